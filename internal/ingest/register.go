package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// Why a file is not loaded, for programs; the register has the reason in words beside it.
const (
	codeUnreadable = "unreadable"
	codeNoAcquirer = "no_acquirer"
	codeTotals     = "totals"
	codeSameName   = "same_name"
	codeUnknown    = "unknown_format"
	codeNothing    = "nothing"
)

// errKnown says that the register knows the bytes by now.
var errKnown = errors.New("the bytes are known")

// register is the entry of one file in the file register while it is being loaded.
type register struct {
	candidate
	fileID     int32
	kind       recon.Kind
	acquirer   string
	date       recon.Date // the file's own date
	lastOwn    recon.Date // the latest date that its rows carry, for a file that states none
	lastHeld   recon.Date // the same of rows that are held, by which a profile may speak of a later payout than the file's
	rowsOf     string     // the acquirer that all its rows name
	severalOf  bool       // its rows name several
	exportedAt time.Time
	statusTime time.Time
	replaces   string
	format     string // the profile that reads it
	remark     string
	left       int

	hasTotals, totalsWaived            bool
	rowsRead, rowsLoaded, rowsRejected int64
	rowsOtherDate                      int64 // rows whose own date is another than the metadata's
	firstDate, lastDate                recon.Date
	dates                              map[recon.Date]bool // business and settle dates of its rows
	lastDated                          recon.Date          // the last of these that was noted

	hasCodes, hasCallbacks, hasChannelTxns, hasPayouts bool
	habits                                             habits
}

// begin takes the bytes' place in the register; whoever comes second waits and finds them known.
func (e *register) begin(ctx context.Context, tx pgx.Tx) error {
	err := tx.QueryRow(ctx, `
		INSERT INTO file (sha256, name, names, state, reason, size_bytes, reader_version)
		VALUES ($1, $2, $3, 'held', 'being loaded', $4, $5)
		ON CONFLICT (sha256) DO NOTHING
		RETURNING file_id`, e.sha256, e.name, e.names, e.size, readerVersion).Scan(&e.fileID)
	if errors.Is(err, pgx.ErrNoRows) {
		return errKnown
	}
	return err
}

// describe takes over what the file says of itself.
func (e *register) describe(r *statement.Reader) {
	meta := r.Meta()
	e.kind = r.Kind()
	e.format = r.About().Format
	e.acquirer = strings.ToLower(meta.Acquirer)
	e.exportedAt = meta.ExportedAt
	e.statusTime = meta.StatusTime
	e.replaces = meta.Replaces
}

// nameAcquirer finds the acquirer of a settlement or payout file: its metadata, else its folder. Its rows' own column
// wins over both. A POS log names it row by row; one whose rows all name the same is that acquirer's, any other nobody's.
func (l *loader) nameAcquirer(e *register, r *statement.Reader) error {
	if e.kind == recon.KindPOSLog {
		e.acquirer = ""
		return nil
	}
	if e.acquirer == "" {
		e.acquirer = e.folder
	}
	if e.acquirer != "" || e.kind == recon.KindBank { // a bank's name is good to have; its lines say whose money it is
		return nil
	}
	for _, column := range r.Columns() {
		if column == "acquirer" {
			return nil
		}
	}
	return &held{state: Held, code: codeNoAcquirer,
		reason: "no acquirer: write '# acquirer: NAME' before the header, or put the file into a folder of the acquirer's name"}
}

// seeAcquirer notes the acquirer of a row. Rows outrank metadata and folder: a file whose rows all
// name one acquirer is that one's, whatever it says of itself.
func (e *register) seeAcquirer(id string) {
	switch {
	case id == "" || id == e.rowsOf:
	case e.rowsOf == "":
		e.rowsOf = id
	default:
		e.severalOf = true
	}
}

// ownAcquirer completes the acquirer of a row of a settlement or payout file, which its own column names, else the file.
func (e *register) ownAcquirer(id *string) bool {
	*id = strings.ToLower(cmp.Or(*id, e.acquirer))
	e.seeAcquirer(*id)
	return *id != ""
}

// seeDate notes the business date of a loaded row.
func (e *register) seeDate(d recon.Date) {
	if e.firstDate.IsZero() || d.Before(e.firstDate) {
		e.firstDate = d
	}
	if d.After(e.lastDate) {
		e.lastDate = d
	}
	e.dated(d)
}

// dated notes a business or settle date of a row.
func (e *register) dated(d recon.Date) {
	if d.Equal(e.lastDated) {
		return
	}
	if e.dates == nil {
		e.dates = map[recon.Date]bool{}
	}
	e.lastDated = d
	if len(e.dates) <= maxDates {
		e.dates[d] = true
	}
}

// maxDates bounds the dates that are kept of a file: as many as there are business dates in the months that its rows may fall in.
// Settle dates decide on no partition, and could be any.
const maxDates = maxMonths * 31

// allDates are the dates that were noted, in order, as a parameter: NULL where they are too many to name.
func (e *register) allDates() []time.Time {
	if len(e.dates) > maxDates {
		return nil
	}
	list := []time.Time{}
	for d := range e.dates {
		list = append(list, d.UTC())
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// seeOwnDate notes a date by which the file may be dated if it states none.
func (e *register) seeOwnDate(d recon.Date) { e.lastOwn = later(e.lastOwn, d) }

func later(a, b recon.Date) recon.Date {
	if b.After(a) {
		return b
	}
	return a
}

// ownDate is the file's date: what its metadata states, else the latest that its rows carry.
func (e *register) ownDate(meta statement.Meta, zone *time.Location) recon.Date {
	switch {
	case e.kind == recon.KindPOSLog && !meta.ExportedAt.IsZero():
		return recon.DateOf(meta.ExportedAt, zone)
	case e.kind == recon.KindSettlement && !meta.SettleDate.IsZero():
		return meta.SettleDate
	case e.kind == recon.KindPayout && !meta.PayoutDate.IsZero():
		return meta.PayoutDate
	}
	if e.lastOwn.IsZero() {
		return e.lastHeld
	}
	return e.lastOwn
}

// checkTotals holds a file back whose control totals do not tie with its rows, or are missing though its source has
// sent them. A difference is explained only by a rejected line whose amount cannot be read, and then the count must tie.
func (l *loader) checkTotals(e *register, r *statement.Reader) error {
	e.date = e.ownDate(r.Meta(), l.opt.Zone)
	if e.rowsOf != "" && !e.severalOf {
		e.acquirer = e.rowsOf
	}
	if e.date.IsZero() {
		// A file without a row and without a date of its own tells nothing of any day; its place in the register is all.
		e.date = recon.NewDate(1970, 1, 1)
	}
	totals, seen := r.Totals(), r.Seen()
	e.hasTotals = totals.Stated() || r.StatesTotals()
	e.rowsOtherDate = int64(seen.OtherDates)
	var problem string
	switch {
	case !r.Canonical():
		problem = r.Untied()
	case !e.hasTotals:
		if l.sources[source{e.kind, e.acquirer}] {
			problem = "it has no control totals, which this source has sent before: it may be cut short"
		}
	case totals.Count != nil && *totals.Count != int64(seen.Count):
		problem = fmt.Sprintf("total_count says %d rows, the file has %d", *totals.Count, seen.Count)
	case totals.Count != nil && seen.UnreadableAmounts > 0:
	case totals.Amount != nil && !totals.Amount.Equal(seen.Amount):
		problem = fmt.Sprintf("total_amount says %s yuan, the rows add up to %s", totals.Amount.StringFixed(2), seen.Amount.StringFixed(2))
	case totals.Fee != nil && !totals.Fee.Equal(seen.Fee):
		problem = fmt.Sprintf("total_fee says %s yuan, the rows add up to %s", totals.Fee.StringFixed(2), seen.Fee.StringFixed(2))
	}
	if problem == "" {
		return nil
	}
	if l.opt.AcceptTotals {
		e.totalsWaived = true
		return nil
	}
	return &held{state: Held, code: codeTotals, reason: problem + "; ask for the file again, or load it as it is with 'posrecon ingest --accept-totals'"}
}

// lockName is the acquirer under which files finish one after the other: POS logs all under one, since a log of several
// acquirers concerns each of theirs.
func (e *register) lockName() string {
	if e.kind == recon.KindPOSLog {
		return ""
	}
	return e.acquirer
}

// finishLoaded completes the entry of a loaded file: what it replaces, and what replaces it.
func (e *register) finishLoaded(ctx context.Context, tx pgx.Tx, further Further) error {
	// Files of one acquirer, kind and date finish one after the other, whoever loads them: of two with one name only one
	// can be first, and an original and its correction must see each other.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', $1::text, $2::text, $3::text), 0))`,
		string(e.kind), e.lockName(), e.date.String()); err != nil {
		return err
	}
	if e.replaces == "" && further != FurtherAdd {
		var before string
		err := tx.QueryRow(ctx, `
			SELECT sha256
			  FROM file
			 WHERE (kind, file_date) = ($2, $4)
			   -- A POS log of several acquirers may be the same log as one of a single one.
			   AND (acquirer = $3 OR kind = 'pos_log' AND '' IN (acquirer, $3))
			   AND names && $1
			   AND state = 'loaded'
			   AND file_id <> $5
			   -- A correction that came before its original does not stand in its way.
			   AND replaces <> ALL ($1 || $6::text)
			 ORDER BY replaced_by IS NOT NULL, file_id DESC
			 LIMIT 1`, e.names, string(e.kind), e.acquirer, e.date.UTC(), e.fileID, e.sha256).Scan(&before)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
		case err != nil:
			return err
		case further == FurtherReplace:
			e.replaces = before
		default:
			return &held{state: Held, code: codeSameName, reason: fmt.Sprintf("another file named %s of the same acquirer, kind and date is loaded (SHA-256 %.12s…); say 'posrecon ingest --replace' if this one corrects it, '--add' if it belongs beside it", e.name, before)}
		}
	}
	if err := e.finish(ctx, tx, held{state: Loaded}); err != nil {
		return err
	}
	return resolveReplacements(ctx, tx, e.fileID)
}

// resolveReplacements finds what a file replaces, and what already waits to replace it. Both are decided again.
func resolveReplacements(ctx context.Context, tx pgx.Tx, fileID int32) error {
	_, err := tx.Exec(ctx, `
		UPDATE file AS original
		   SET replaced_by = correction.file_id,
		       decided = false
		  FROM file AS correction
		 WHERE correction.state = 'loaded'
		   AND original.state = 'loaded'
		   AND $1 IN (correction.file_id, original.file_id)
		   AND correction.file_id <> original.file_id
		   AND original.replaced_by IS NULL
		   -- A file never replaces the one that replaced it.
		   AND correction.replaced_by IS DISTINCT FROM original.file_id
		   AND correction.replaces <> ''
		   -- Two corrections of one name name each other as well: the newer counts, by its own date, else the one that no
		   -- run has seen yet; within a night it does not matter which came first.
		   AND NOT (original.replaces = ANY (correction.names || correction.sha256)
		            AND (original.file_date, COALESCE(original.exported_at, original.status_time, '-infinity'), NOT original.decided, original.sha256)
		              > (correction.file_date, COALESCE(correction.exported_at, correction.status_time, '-infinity'), NOT correction.decided, correction.sha256))
		   AND (correction.replaces = original.sha256
		        OR correction.replaces = ANY (original.names)
		           AND (correction.kind, correction.file_date) = (original.kind, original.file_date)
		           AND (correction.acquirer = original.acquirer
		                OR correction.kind = 'pos_log' AND '' IN (correction.acquirer, original.acquirer)))`,
		fileID)
	return err
}

// finish writes the entry as it is, with what became of the file.
func (e *register) finish(ctx context.Context, tx pgx.Tx, h held) error {
	_, err := tx.Exec(ctx, `
		UPDATE file
		   SET state = $2, reason_code = $3, reason = $4, kind = $5, acquirer = $6, file_date = $7, exported_at = $8,
		       status_time = $9, replaces = $10, has_totals = $11, totals_waived = $12, rows_read = $13, rows_loaded = $14,
		       rows_rejected = $15, first_date = $16, last_date = $17,
		       has_codes = $18, has_callbacks = $19, has_channel_txns = $20, has_payouts = $21,
		       rows_other_date = $22, format = $23, remark = $24,
		       format_version = $25, dates = $26, habits = CASE WHEN $2 = 'loaded' AND $5 = 'pos_log' THEN $27::jsonb END
		 WHERE file_id = $1`,
		e.fileID, string(h.state), h.code, h.reason, string(e.kind), e.acquirer, day(e.date), instant(e.exportedAt),
		instant(e.statusTime), e.replaces, e.hasTotals, e.totalsWaived, e.rowsRead, e.rowsLoaded,
		e.rowsRejected, day(e.firstDate), day(e.lastDate),
		e.hasCodes, e.hasCallbacks, e.hasChannelTxns, e.hasPayouts, e.rowsOtherDate, e.format, e.remark, e.version, e.allDates(),
		e.habits.list())
	return err
}

// day is a date as a parameter, NULL where there is none.
func day(d recon.Date) any {
	if d.IsZero() {
		return nil
	}
	return d.UTC()
}

// instant is a time as a parameter, NULL where there is none.
func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

// registered is what the register has of known bytes.
type registered struct {
	SHA256        string
	FileID        int32
	State         string
	Code          string
	Reason        string
	ReaderVersion int
	Kind          string
	Acquirer      string
	Date          *time.Time
	Rejected      int64
	Format        string
	FormatVersion string
	Names         []string
}

// readRegister reads what the register has of files, by their bytes. It is asked once for all of them: nearly all files of a
// night are those of the nights before.
func readRegister(ctx context.Context, pool *pgxpool.Pool, files []candidate) (map[string]registered, error) {
	sums := make([]string, 0, len(files))
	for _, f := range files {
		sums = append(sums, f.sha256)
	}
	rows, err := pool.Query(ctx, `
		SELECT sha256, file_id, state, reason_code, reason, reader_version, kind, acquirer, file_date, rows_rejected, format,
		       format_version, names
		  FROM file
		 WHERE sha256 = ANY ($1)`, sums)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[registered])
	if err != nil {
		return nil, err
	}
	known := make(map[string]registered, len(list))
	for _, e := range list {
		known[e.SHA256] = e
	}
	return known, nil
}

// source is who sends files of a kind.
type source struct {
	kind     recon.Kind
	acquirer string
}

// sources knows who sends control totals.
type sources map[source]bool

// knownSources learns from the register, and from the files of this call themselves: which of them is loaded first
// must not matter.
func knownSources(ctx context.Context, pool *pgxpool.Pool, files []candidate) (sources, error) {
	rows, err := pool.Query(ctx, `
		SELECT DISTINCT kind, acquirer
		  FROM file
		 WHERE has_totals
		   AND format IN ('', 'canonical') -- other formats have totals of their own, and say when they must
		 ORDER BY kind, acquirer`)
	if err != nil {
		return nil, err
	}
	type pair struct{ Kind, Acquirer string }
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
	if err != nil {
		return nil, err
	}
	s := sources{}
	for _, f := range found {
		s[source{recon.Kind(f.Kind), f.Acquirer}] = true
	}
	for _, f := range files {
		if f.sendsTotals && f.source.kind != "" {
			s[f.sender()] = true
		}
	}
	return s, nil
}
