// Package pipeline is one run: the order of the stages, the lock, what is kept and what is only shown. The stages
// themselves are other packages'.
package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/cases"
	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/retention"
)

// Job runs the stages on one database.
type Job struct {
	Pool     *pgxpool.Pool
	Config   config.Config
	Calendar *calendar.Calendar
	Log      *slog.Logger
	Progress ingest.Progress    // may be nil
	Program  string             // name and version, for the record of runs
	Profiles []*profile.Profile // the user's own formats
	Weights  *classify.Weights  // of causes; nil for those that ship

	// SleepFrom is from how many rows of POS logs in a month on days whose explanations are final are not read any more; 0 for what is
	// usual. Tests, whose logs are small, set it.
	SleepFrom int64
	// KeepBytes is how much of what is flagged is kept in memory between its two readings; 0 for what is usual.
	KeepBytes int
}

// Options say what one run does.
type Options struct {
	Kind         string   // run or reconcile
	Inbox        []string // what to load first; none for reconcile
	Out          string   // folder for the flagged CSV; "" writes none
	From, To     recon.Date
	AsOf         time.Time
	Wait         time.Duration
	Further      ingest.Further
	AcceptTotals bool
	Rehash       bool // read also the files that lie as they did when they were read before
}

// Report is what a run did; its JSON is the summary that --json prints.
type Report struct {
	AsOf         string                   `json:"as_of"`
	Kind         string                   `json:"kind"`
	Stored       bool                     `json:"stored"` // false: an earlier as-of than the last run's shows, and changes nothing
	Files        []ingest.File            `json:"files"`
	Waiting      []ingest.File            `json:"waiting"` // held back or refused by earlier runs, and still so
	RowsLoaded   int64                    `json:"rows_loaded"`
	RowsRejected int64                    `json:"rows_rejected"`
	Decided      int64                    `json:"decided"`
	Cases        cases.Changes            `json:"cases"`
	Totals       []export.Total           `json:"totals"`
	Payouts      []match.PayoutDifference `json:"payout_differences"`
	Fees         []match.FeeDifference    `json:"fee_differences"`
	Bank         []match.BankTie          `json:"bank"`          // payouts that are not simply credited
	BankCredited int                      `json:"bank_credited"` // payouts that are
	MissingYears []int                    `json:"missing_years"`
	Export       string                   `json:"export,omitempty"`
	Seconds      map[string]float64       `json:"seconds"`
	Spilled      int64                    `json:"spilled_bytes"` // written to temporary files, for want of work_mem; see spilled
	Withheld     bool                     `json:"-"`
}

// Attention reports whether the run is done but something needs a look: exit status 3.
func (r *Report) Attention() bool {
	return r.Withheld || len(r.Payouts) > 0 || len(r.MissingYears) > 0
}

// Run loads, decides, explains, updates cases and exports. Every file is one transaction; the decision with all that
// follows from it is one more. A run that is killed leaves each of them whole or absent, and the next run goes on.
func (j *Job) Run(ctx context.Context, opt Options) (*Report, error) {
	release, err := postgres.Lock(ctx, j.Pool, opt.Wait)
	if err != nil {
		return nil, err
	}
	defer release()

	report := &Report{
		AsOf: opt.AsOf.In(j.Config.Zone).Format(time.RFC3339), Kind: opt.Kind, Files: []ingest.File{}, Waiting: []ingest.File{},
		Totals: []export.Total{}, Payouts: []match.PayoutDifference{}, Fees: []match.FeeDifference{}, Bank: []match.BankTie{}, MissingYears: []int{}, Seconds: map[string]float64{},
	}
	before, err := spilled(ctx, j.Pool)
	if err != nil {
		return nil, err
	}
	index := indexing{}
	if len(opt.Inbox) > 0 {
		start := time.Now()
		loaded, err := ingest.Paths(ctx, j.Pool, opt.Inbox, j.ingestOptions(opt))
		if err != nil {
			return nil, err
		}
		report.take(loaded)
		if index, err = j.index(ctx, loaded); err != nil {
			return nil, err
		}
		report.Seconds["ingest"] = time.Since(start).Seconds()
	} else if err := postgres.IndexPartitions(ctx, j.Pool); err != nil { // of a load that was broken off
		return nil, err
	}
	err = j.decideAndExport(ctx, opt, report, index)
	if err := errors.Join(err, index.wait()); err != nil {
		return nil, err
	}
	if report.Stored {
		// The run is done and told, whatever comes of this; a full disk is no reason to call it off.
		if err := postgres.Compact(ctx, j.Pool, "verdict", "explanation"); err != nil {
			j.Log.Warn("tables of what is open stay larger than they need be", "error", err)
		}
	}
	after, err := spilled(ctx, j.Pool)
	if err != nil {
		return nil, err
	}
	report.Spilled = after - before
	return report, nil
}

// spilled returns the bytes that work on this database has ever written to temporary files, by the server's statistics: other
// programs' work too. What another connection wrote within the last second may be missing, before PostgreSQL 15 any one's.
func spilled(ctx context.Context, pool *pgxpool.Pool) (bytes int64, err error) {
	err = pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		// The pool gives the connection that was used last: what it did is told at once.
		if _, err := conn.Exec(ctx, `
			DO $$
			BEGIN
			    IF current_setting('server_version_num')::integer >= 150000 THEN
			        PERFORM pg_stat_force_next_flush();
			    END IF;
			END $$`); err != nil {
			return err
		}
		return conn.QueryRow(ctx, `SELECT temp_bytes FROM pg_stat_database WHERE datname = current_database()`).Scan(&bytes)
	})
	if err != nil {
		return 0, fmt.Errorf("ask how much the server has written to temporary files: %w", err)
	}
	return bytes, nil
}

// indexing makes the indexes that loading left to be made, once and beside what else goes on.
type indexing struct {
	begin func()        // nil where nothing is to be made
	keyed chan struct{} // closed when keys can be looked up, or never will be
	done  chan error
}

// waitForKeys waits until keys can be looked up.
func (i *indexing) waitForKeys() {
	if i.begin != nil {
		i.begin()
		<-i.keyed
	}
}

func (i *indexing) wait() error {
	if i.begin == nil {
		return nil
	}
	i.begin()
	return <-i.done
}

// index makes the indexes after a load, or leaves them to be made. The first decision of a database reads everything once and
// looks for nothing, so that it need not wait for them; and as most of it keeps one processor busy, the other makes them.
func (j *Job) index(ctx context.Context, loaded ingest.Report) (indexing, error) {
	var decided bool
	if err := j.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM file WHERE counts)`).Scan(&decided); err != nil {
		return indexing{}, fmt.Errorf("look for earlier decisions: %w", err)
	}
	if err := loaded.Analyze(ctx, j.Pool); err != nil {
		return indexing{}, err
	}
	if decided {
		return indexing{}, postgres.IndexPartitions(ctx, j.Pool)
	}
	i := indexing{keyed: make(chan struct{}), done: make(chan error, 1)}
	i.begin = sync.OnceFunc(func() {
		go func() {
			keyed := sync.OnceFunc(func() { close(i.keyed) })
			defer keyed()
			i.done <- postgres.IndexBeside(ctx, j.Pool, keyed)
		}()
	})
	return i, nil
}

// decideAndExport is a run after loading. Indexing begins when the fresh rows are joined, and the export of what is stored, which looks
// rows up by their keys, waits for it. Within the decision's transaction nothing waits: indexing may wait for that.
func (j *Job) decideAndExport(ctx context.Context, opt Options, report *Report, index indexing) error {
	start := time.Now()
	// On one snapshot: a file that another program loads meanwhile is the next run's, whole.
	err := postgres.TransactSnapshot(ctx, j.Pool, func(tx pgx.Tx) (bool, error) {
		last, err := lastAsOf(ctx, tx)
		if err != nil {
			return false, err
		}
		report.Stored = last.IsZero() || !opt.AsOf.Before(last)
		same, err := j.nothingNew(ctx, tx, opt)
		if err != nil {
			return false, err
		}
		if same {
			err = j.tellAgain(ctx, tx, opt, report)
		} else {
			err = j.decide(ctx, tx, match.Scope{From: opt.From, To: opt.To}, opt, report, index.begin)
		}
		if err != nil {
			return false, err
		}
		if !report.Stored {
			return false, j.export(ctx, tx, opt, report)
		}
		return true, j.record(ctx, tx, opt, report)
	})
	if err != nil {
		return err
	}
	report.Seconds["decide"] = time.Since(start).Seconds()
	if report.Stored {
		index.waitForKeys()
		start := time.Now()
		if err := j.export(ctx, j.Pool, opt, report); err != nil {
			return err
		}
		report.Seconds["export"] = time.Since(start).Seconds()
	}
	return nil
}

func (j *Job) ingestOptions(opt Options) ingest.Options {
	return ingest.Options{Profiles: j.Profiles,
		Zone: j.Config.Zone, Acquirers: j.Config.Acquirers, Aliases: j.Config.Aliases, Progress: j.Progress,
		Further: opt.Further, AcceptTotals: opt.AcceptTotals, Rehash: opt.Rehash,
	}
}

// Ingest loads files without deciding anything. It needs no lock: files are their own transactions.
func (j *Job) Ingest(ctx context.Context, opt Options) (*Report, error) {
	loaded, err := ingest.Paths(ctx, j.Pool, opt.Inbox, j.ingestOptions(opt))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(loaded.Analyze(ctx, j.Pool), postgres.IndexPartitions(ctx, j.Pool)); err != nil {
		return nil, err
	}
	report := &Report{
		Kind: "ingest", Files: []ingest.File{}, Waiting: []ingest.File{},
		Totals: []export.Total{}, Payouts: []match.PayoutDifference{}, Fees: []match.FeeDifference{}, Bank: []match.BankTie{}, MissingYears: []int{}, Seconds: map[string]float64{},
	}
	report.take(loaded)
	told := make([]string, len(report.Files))
	for i, f := range report.Files {
		told[i] = f.SHA256
	}
	if _, err := j.Pool.Exec(ctx, `UPDATE file SET told = true WHERE sha256 = ANY ($1)`, told); err != nil {
		return nil, fmt.Errorf("record what was told: %w", err)
	}
	return report, nil
}

// take sorts the loaded files into the report: what is new, and what still waits.
func (r *Report) take(loaded ingest.Report) {
	for _, f := range loaded.Files {
		switch f.State {
		case ingest.Known:
		case ingest.Waiting:
			r.Waiting = append(r.Waiting, f)
		default:
			r.Files = append(r.Files, f)
		}
	}
	r.RowsLoaded, r.RowsRejected = loaded.Rows()
	r.Withheld = loaded.Withheld()
}

// nothingNew reports whether a run would decide what the last one did: as of the same instant, under the same rules, with no
// new file. Who asks to reconcile, or for a range, has it decided all the same.
func (j *Job) nothingNew(ctx context.Context, tx pgx.Tx, opt Options) (same bool, err error) {
	if opt.Kind != "run" || !opt.From.IsZero() {
		return false, nil
	}
	err = tx.QueryRow(ctx, `
		SELECT COALESCE((SELECT as_of = $1 AND rules = $2
		                    -- What is explained is explained with what is beside it.
		                    AND NOT EXISTS (SELECT FROM archive.month WHERE archived_at > completed_at)
		                   FROM run
		                  ORDER BY run_id DESC
		                  LIMIT 1), false)
		   AND NOT EXISTS (SELECT FROM file WHERE NOT decided AND state = 'loaded')`, opt.AsOf, j.rules()).Scan(&same)
	if err != nil {
		return false, fmt.Errorf("compare with the last run: %w", err)
	}
	return same, nil
}

// rules is a digest of all that a decision and its explanations depend on beside the facts and the as-of.
func (j *Job) rules() string {
	weights := j.Weights
	if weights == nil {
		weights = classify.Shipped()
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%+v\n%v\n%s\n", j.Program, j.Config.Zone, j.Config.Acquirers, j.Config.Aliases, weights.Version)
	fmt.Fprintf(h, "%v\n%v\n", j.Calendar.Years(), j.Calendar.Days())
	return hex.EncodeToString(h.Sum(nil))
}

// tellAgain reports what the last run decided, and brings the cases in line with it: people may have changed those since.
func (j *Job) tellAgain(ctx context.Context, tx pgx.Tx, opt Options, report *Report) (err error) {
	if report.Cases, err = cases.Update(ctx, tx, opt.AsOf); err != nil {
		return fmt.Errorf("update cases: %w", err)
	}
	rules := match.Rules{AsOf: opt.AsOf, Zone: j.Config.Zone, Calendar: j.Calendar, Acquirers: j.Config.Acquirers}
	if report.Bank, report.BankCredited, err = match.BankTies(ctx, tx, rules); err != nil {
		return err
	}
	var summary []byte
	if err := tx.QueryRow(ctx, `SELECT summary FROM run ORDER BY run_id DESC LIMIT 1`).Scan(&summary); err != nil {
		return fmt.Errorf("read what the last run told: %w", err)
	}
	var last struct {
		MissingYears []int `json:"missing_years"`
	}
	if err := json.Unmarshal(summary, &last); err != nil {
		return fmt.Errorf("read what the last run told: %w", err)
	}
	report.MissingYears = last.MissingYears
	report.Totals, err = export.Totals(ctx, tx, export.Selection{})
	return err
}

// decide computes verdicts, explanations and cases within tx, and the totals over the asked range.
func (j *Job) decide(ctx context.Context, tx pgx.Tx, scope match.Scope, opt Options, report *Report, joined func()) error {
	asOf := opt.AsOf
	if err := postgres.ReadOwnWrites(ctx, tx); err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	if err := retention.Thaw(ctx, tx); err != nil {
		return err
	}
	var err error
	if scope.All, err = j.isAnother(ctx, tx); err != nil {
		return err
	}
	anew := scope.All || opt.Kind == "reconcile" // who asks for it trusts nothing that is stored
	if scope.Final, err = j.final(ctx, tx, asOf, anew); err != nil {
		return err
	}
	rules := match.Rules{AsOf: asOf, Zone: j.Config.Zone, Calendar: j.Calendar, Acquirers: j.Config.Acquirers, SleepFrom: j.SleepFrom, Joined: joined}
	result, err := match.Decide(ctx, tx, scope, rules)
	if err != nil {
		return fmt.Errorf("decide: %w", err)
	}
	if err := cases.Learn(ctx, tx, asOf, scope.All); err != nil {
		return err
	}
	start := time.Now()
	explaining := j.Explain(asOf)
	explaining.Anew = anew
	if err := classify.Explain(ctx, tx, explaining); err != nil {
		return fmt.Errorf("explain: %w", err)
	}
	if report.Seconds != nil { // a look back or ahead asks for no times
		report.Seconds["explain"] = time.Since(start).Seconds()
	}
	if report.Cases, err = cases.Update(ctx, tx, asOf); err != nil {
		return fmt.Errorf("update cases: %w", err)
	}
	if report.Payouts, err = match.PayoutDifferences(ctx, tx, true); err != nil {
		return err
	}
	if report.Fees, err = match.FeeDifferences(ctx, tx, rules, true); err != nil {
		return err
	}
	if report.Bank, report.BankCredited, err = match.BankTies(ctx, tx, rules); err != nil {
		return err
	}
	if report.Totals, err = export.Totals(ctx, tx, export.Selection{From: scope.From, To: scope.To}); err != nil {
		return err
	}
	report.Decided = result.Decided
	report.MissingYears = append([]int{}, result.MissingYears...)
	slices.Sort(report.MissingYears)
	return nil
}

// isAnother reports whether another version of the program made the last run. Its verdicts may say what this one would not, and most
// would never be looked at again, so that everything is decided once more. Builds without a version are taken for one.
func (j *Job) isAnother(ctx context.Context, tx pgx.Tx) (is bool, err error) {
	err = tx.QueryRow(ctx, `SELECT COALESCE((SELECT program <> $1 FROM run ORDER BY run_id DESC LIMIT 1), false)`, j.Program).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("ask which program made the last run: %w", err)
	}
	return is, nil
}

// final returns which explanations stay as they are: none where all are made anew, by other rules than the last run's, or as of an
// earlier instant.
func (j *Job) final(ctx context.Context, tx pgx.Tx, asOf time.Time, anew bool) (match.Final, error) {
	if anew {
		return match.FinalNone, nil
	}
	var goesOn bool
	err := tx.QueryRow(ctx, `
		SELECT COALESCE((SELECT rules = $1 AND as_of <= $2
		                   FROM run
		                  ORDER BY run_id DESC
		                  LIMIT 1), true)`, j.rules(), asOf).Scan(&goesOn)
	if err != nil {
		return match.FinalNone, fmt.Errorf("compare with the rules of the last run: %w", err)
	}
	if !goesOn {
		return match.FinalNone, nil
	}
	return match.FinalNow, nil
}

// record marks what the run has looked at and writes its row: with it the run is complete.
func (j *Job) record(ctx context.Context, tx pgx.Tx, opt Options, report *Report) error {
	// What a run that was killed had loaded, and could not tell of, is this one's to tell.
	if err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM file WHERE NOT told AND (state NOT IN ('loaded', 'nothing') OR rows_rejected > 0))`).Scan(&report.Withheld); err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE file SET decided = true, told = true WHERE NOT decided OR NOT told`); err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	summary, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO run (as_of, kind, program, summary, rules) VALUES ($1, $2, $3, $4, $5)`,
		opt.AsOf, opt.Kind, j.Program, summary, j.rules()); err != nil {
		return fmt.Errorf("record the run: %w", err)
	}
	return nil
}

// export writes the flagged rows of the asked range into opt.Out, under the name of the as-of's local date.
func (j *Job) export(ctx context.Context, q querier, opt Options, report *Report) error {
	if opt.Out == "" {
		return nil
	}
	name := fmt.Sprintf("posrecon_flagged_%s.csv", recon.DateOf(opt.AsOf, j.Config.Zone))
	path := filepath.Join(opt.Out, name)
	err := WriteFile(path, func(w io.Writer) error {
		_, err := export.Write(ctx, q, w, export.CSV, export.Selection{From: opt.From, To: opt.To, Flagged: true},
			j.View(opt.AsOf, export.Lang(j.Config.Lang)))
		return err
	})
	if err != nil {
		return err
	}
	report.Export = path
	return nil
}

// Explain returns the rules of an explanation as of an instant.
func (j *Job) Explain(asOf time.Time) classify.Rules {
	return classify.Rules{AsOf: asOf, Zone: j.Config.Zone, Acquirers: j.Config.Acquirers, Weights: j.Weights, KeepBytes: j.KeepBytes}
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Begin(ctx context.Context) (pgx.Tx, error)
}

// View returns how this job's exports are told.
func (j *Job) View(asOf time.Time, lang export.Lang) export.View {
	return export.View{Lang: lang, AsOf: asOf, Zone: j.Config.Zone, Acquirers: j.Config.Acquirers, Contact: j.Config.Contact}
}

// ErrNoRun says that nothing has been decided yet.
var ErrNoRun = errors.New("no run has completed yet: say 'posrecon run' first, or give --as-of")

// LastAsOf returns the as-of of the last completed run, or ErrNoRun.
func (j *Job) LastAsOf(ctx context.Context) (time.Time, error) {
	last, err := lastAsOf(ctx, j.Pool)
	if err == nil && last.IsZero() {
		err = ErrNoRun
	}
	return last, err
}

type rowQuerier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func lastAsOf(ctx context.Context, q rowQuerier) (time.Time, error) {
	var last *time.Time
	if err := q.QueryRow(ctx, `SELECT max(as_of) FROM run`).Scan(&last); err != nil {
		return time.Time{}, fmt.Errorf("find the last run: %w", err)
	}
	if last == nil {
		return time.Time{}, nil
	}
	return *last, nil
}

// At calls do with the verdicts as they are at asOf: the stored ones where asOf is the last run's, else computed for
// the call and not kept.
func (j *Job) At(ctx context.Context, asOf time.Time, wait time.Duration, do func(q Querier) error) error {
	last, err := lastAsOf(ctx, j.Pool)
	if err != nil {
		return err
	}
	if asOf.Equal(last) {
		return postgres.TransactSnapshot(ctx, j.Pool, func(tx pgx.Tx) (bool, error) { return false, do(tx) })
	}
	release, err := postgres.Lock(ctx, j.Pool, wait)
	if err != nil {
		return err
	}
	defer release()
	return postgres.TransactSnapshot(ctx, j.Pool, func(tx pgx.Tx) (bool, error) {
		if err := j.decide(ctx, tx, match.Scope{}, Options{AsOf: asOf}, &Report{}, nil); err != nil {
			return false, err
		}
		return false, do(tx)
	})
}

// Querier is what exports read from.
type Querier = querier

// WriteFile writes a file whole or not at all: beside its place first, synced, then renamed. A link is followed; what
// is there and is no regular file (a device, a pipe) is written to as it is, never replaced.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return writeInto(path, write)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".posrecon-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	// CreateTemp makes it readable to its owner only; an export is for others to read.
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// writeInto writes to something that is no regular file.
func writeInto(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
