package ingest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// readerVersion grows when the reader learns to read what it refused or rejected before; files that an older one
// refused are then offered again.
const readerVersion = 3

// maxMonths bounds the months that one file's rows fall in: twenty years. Each is a partition, which the database has to
// hold open; dates that are spread further are damaged.
const maxMonths = 240

// loader loads files into one database.
type loader struct {
	pool       *pgxpool.Pool
	opt        Options
	partitions *postgres.Partitions
	sources    sources
	registered map[string]registered // of all known bytes among the files, as they were when the call began
	indexed    map[string]bool       // tables whose rows go into an index as they come
}

// held says that a file's content keeps it from being loaded; it carries what goes into the register.
type held struct {
	state  State
	code   string
	reason string
}

func (h *held) Error() string { return h.reason }

// errChanged says that a file was written to while it was read.
var errChanged = errors.New("the file changed while it was read")

// load loads one file, or says why not.
func (l *loader) load(ctx context.Context, c candidate) (File, error) {
	report := File{Path: c.shown(), SHA256: c.sha256}
	if c.sha256 == "" {
		report.State, report.Reason = Changed, "it was taken away before it was read"
		return report, nil
	}
	known, err := l.known(ctx, c)
	if err != nil {
		return report, err
	}
	if known != nil {
		return *known, nil
	}

	entry := register{candidate: c}
	err = postgres.TransactAgain(ctx, l.pool, func(tx pgx.Tx) (bool, error) {
		entry = register{candidate: c} // a retried transaction begins anew
		return true, l.loadRows(ctx, tx, &entry)
	})
	var h *held
	switch {
	case errors.Is(err, fs.ErrNotExist):
		report.State, report.Reason = Changed, "it was taken away while it was read"
		return report, nil
	case errors.Is(err, errChanged):
		report.State, report.Reason = Changed, errChanged.Error()+"; it is left for the next run"
		return report, nil
	case errors.As(err, &h):
		report.State, report.Reason = h.state, h.reason
		entry.format = c.format // what another night will compare with
		entry.rowsLoaded, entry.rowsRejected, entry.rowsRead = 0, 0, 0
		err = postgres.Transact(ctx, l.pool, func(tx pgx.Tx) (bool, error) {
			if err := entry.begin(ctx, tx); err != nil {
				return false, err
			}
			return true, entry.finish(ctx, tx, *h)
		})
	case err == nil:
		report.State = Loaded
	}
	if errors.Is(err, errKnown) { // another posrecon loaded the same bytes meanwhile
		report.State = Known
		return report, nil
	}
	report.Format, report.Remark, report.Left = entry.format, entry.remark, entry.left
	report.Kind, report.Acquirer, report.Date = entry.kind, entry.acquirer, entry.date.String()
	report.Rows, report.Rejected = entry.rowsLoaded, entry.rowsRejected
	return report, err
}

// known returns the report on a file whose bytes the register knows, or nil where it is to be loaded: because it is
// new, or because what kept it from being loaded may have gone.
func (l *loader) known(ctx context.Context, c candidate) (*File, error) {
	e, ok := l.registered[c.sha256]
	if !ok {
		return nil, nil
	}
	report := &File{Path: c.shown(), SHA256: c.sha256, Reason: e.Reason, Kind: recon.Kind(e.Kind), Acquirer: e.Acquirer}
	if e.Date != nil {
		report.Date = recon.DateFromUTC(*e.Date).String()
	}
	if e.State == string(Loaded) {
		report.State, report.Reason = Known, ""
		if e.Rejected > 0 && c.version != "" && c.version != e.FormatVersion {
			if err := l.reread(ctx, c, e.FileID, report); err != nil {
				return nil, err
			}
			if report.Rows > 0 {
				report.State, report.Format = Loaded, c.format
				report.Remark = "its profile has changed: its rejected lines were read again; what was accepted of it stays"
				return report, l.noteNames(ctx, c, e)
			}
		}
		if err := l.keep(ctx, c, e, report); err != nil {
			return nil, err
		}
		return report, l.noteNames(ctx, c, e)
	}
	// A profile that is new, was corrected or is gone may make another file of it.
	otherwise := e.Format != c.format || e.FormatVersion != c.version
	if e.State == string(Nothing) && e.ReaderVersion == readerVersion && !otherwise {
		report.State = Known
		return report, l.noteNames(ctx, c, e)
	}
	mayLoadNow := e.ReaderVersion < readerVersion || otherwise ||
		e.Code == codeTotals && l.opt.AcceptTotals ||
		e.Code == codeSameName && l.opt.Further != FurtherHold ||
		e.Code == codeNoAcquirer && c.folder != ""
	if !mayLoadNow {
		report.State = Waiting
		return report, nil
	}
	_, err := l.pool.Exec(ctx, `DELETE FROM file WHERE sha256 = $1 AND state <> 'loaded'`, c.sha256)
	return nil, err
}

// readAnew is how a loaded file is read by a corrected profile: the same bytes change nothing, others of its name replace it.
const readAnew = "what was read of %s stays; to have it read anew, save it under the same name with one more blank line at its end, " +
	"and load that with 'posrecon ingest --replace FILE'"

// keep tells, once for each edition of a user's profile, that a loaded file would be read by another one now; and each
// time that somebody asks for this very file to replace itself.
func (l *loader) keep(ctx context.Context, c candidate, e registered, report *File) error {
	own := slices.ContainsFunc(l.opt.Profiles, func(p *profile.Profile) bool { return p.Name == c.format && p.Version() == c.version })
	switch {
	case own && c.version != e.FormatVersion:
		report.State, report.Format = Kept, c.format
		report.Reason = "loaded under another edition of its profile " + c.format
		if e.Format != c.format {
			report.Reason = fmt.Sprintf("loaded as %s, and the profile %s fits it now", cmp.Or(e.Format, "canonical"), c.format)
		}
		if _, err := l.pool.Exec(ctx, `UPDATE file SET format_version = $2 WHERE file_id = $1`, e.FileID, c.version); err != nil {
			return err
		}
	case c.named && l.opt.Further == FurtherReplace:
		report.State, report.Reason = Kept, "its bytes are loaded already"
	}
	return nil
}

// tellKept says of the files that are kept what to do, once for each profile.
func tellKept(files []File) {
	first := map[string]int{}
	others := map[string]int{}
	for i := range files {
		f := &files[i]
		if f.State != Kept {
			continue
		}
		if _, ok := first[f.Reason]; ok {
			others[f.Reason]++
			f.State, f.Reason = Known, ""
			continue
		}
		first[f.Reason] = i
	}
	for reason, i := range first {
		of := "it"
		if n := others[reason]; n == 1 {
			of = "it, and of another file like it,"
		} else if n > 1 {
			of = fmt.Sprintf("it, and of %d other files like it,", n)
		}
		files[i].Reason += "; " + fmt.Sprintf(readAnew, of)
	}
}

// noteNames adds the names of bytes that are loaded already. A correction may name the original by any of them. Of
// several names the smallest is shown, so that evidence does not depend on which came first in a night.
func (l *loader) noteNames(ctx context.Context, c candidate, e registered) error {
	if !slices.ContainsFunc(c.names, func(name string) bool { return !slices.Contains(e.Names, name) }) {
		return nil
	}
	return postgres.Transact(ctx, l.pool, func(tx pgx.Tx) (bool, error) {
		var id int32
		err := tx.QueryRow(ctx, `
			UPDATE file
			   SET names = ARRAY(SELECT DISTINCT unnest(names || $2::text[]) ORDER BY 1),
			       name = CASE WHEN decided THEN name ELSE least(name, $3) END
			 WHERE sha256 = $1
			   AND NOT names @> $2::text[]
			RETURNING file_id`, c.sha256, c.names, c.name).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		return true, resolveReplacements(ctx, tx, id)
	})
}

// loadRows moves the file's rows into the fact tables within tx and finishes its register entry.
func (l *loader) loadRows(ctx context.Context, tx pgx.Tx, entry *register) error {
	if err := entry.begin(ctx, tx); err != nil {
		return err
	}
	if entry.damaged != "" {
		return &held{state: Refused, code: codeUnreadable, reason: entry.damaged}
	}
	f, err := entry.open()
	if err != nil {
		return err
	}
	defer f.Close()
	source, err := entry.readAgain(f, func(n int64) {
		if l.opt.Progress != nil {
			l.opt.Progress.Read(n)
		}
	})
	if err != nil {
		return err
	}
	reader, err := statement.Open(source, l.opt.statement(entry.name))
	if err == nil {
		defer reader.Close()
		entry.describe(reader)
		if err = l.nameAcquirer(entry, reader); err == nil {
			err = l.copyRows(ctx, tx, entry, entry.kind, reader)
		}
	}
	// The bytes that were parsed must be those that identify the file, whatever the parser thought of them.
	if same, rerr := source.unchanged(); rerr != nil {
		return fmt.Errorf("read %s: %w", entry.path, rerr)
	} else if !same {
		return errChanged
	}
	var unreadable *statement.FileError
	if errors.As(err, &unreadable) {
		if unreadable.Nothing {
			return &held{state: Nothing, code: codeNothing, reason: unreadable.Rule}
		}
		if unreadable.Unknown {
			reason := unreadable.Error()
			if !strings.Contains(reason, "no format") {
				reason += "; no format that posrecon knows fits either: 'posrecon ingest --explain FILE' drafts a profile for it"
			} else {
				reason += "; 'posrecon ingest --explain FILE' drafts a profile for it"
			}
			return &held{state: Refused, code: codeUnknown, reason: reason}
		}
		return &held{state: Refused, code: codeUnreadable, reason: unreadable.Error()}
	}
	if err != nil {
		return err
	}
	if err := l.checkTotals(entry, reader); err != nil {
		return err
	}
	entry.remark, entry.left = reader.Remark(), reader.Left()
	return entry.finishLoaded(ctx, tx, l.opt.Further)
}
