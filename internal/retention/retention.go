// Package retention moves months that nobody works on any more out of the tables that every night reads into schema archive, where
// they can be asked, and back. What stays live decides as before; that rests on one rule:
//
// An order is live or archived as a whole. An order and its line can lie in two months: a line without a time is dated by its
// settle date, a key comes again within 180 days, a pair was matched beyond the key. A month that waited for its last order to
// be free of the next month would never go, and an order without its line would be flagged. So the month's partition goes, and
// the few keys in it that are tied to what is kept stay behind, in a partition of the same month that is made anew. They follow
// as soon as nothing ties them. The other way round, a file that comes late and tells of archived keys brings these keys back
// before it is decided (Thaw).
//
// What is 180 days apart is another order (contract §2), so no more than that has to be looked through on either side, and at
// least that is kept. A key that comes again after its first order was archived begins as a first order.
//
// Facts move with what had been decided of them (verdicts, explanations, what several rows say together, the ledger of plain
// matches). Cases, their history and labels stay where they are: they are people's work.
package retention

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// MinKeepDays is how many days have to be kept at least: rows that come tomorrow are tied to no order that is older.
const MinKeepDays = tieDays + 1

// tieDays is how far apart rows of one order are at most.
const tieDays = 180

var days = strconv.Itoa(tieDays)

// lockTimeout bounds how long a month waits for the tables, since everybody else then waits behind it.
const lockTimeout = 10 * time.Second

// ErrInUse says that the tables were in use, so that a month could not move.
var ErrInUse = errors.New("the tables are in use: a file is being loaded, or an export is under way; nothing of the month was moved, say it again later")

// ErrDistributed says that months of a distributed database do not move.
var ErrDistributed = errors.New("the database is distributed, and months of a distributed database cannot be archived or restored yet; nothing was moved")

var (
	facts = []string{"pos_row", "settlement_row"}
	// What was decided of keys, by order_key.
	derived = []string{"verdict", "explanation", "pos_merged", "settlement_merged", "standing_line"}
)

// Options say what is archived.
type Options struct {
	Before   recon.Date // the first date that is kept
	EvenOpen bool       // months with open cases too: their orders stay behind
	Wait     time.Duration
}

// Moved is a month that was archived or restored.
type Moved struct {
	Month          string `json:"month"`
	POSRows        int64  `json:"pos_rows"`
	SettlementRows int64  `json:"settlement_rows"`
	Stay           int64  `json:"rows_that_stay"` // rows of the month that remain live
}

// Kept is a month that could have been archived and was not.
type Kept struct {
	Month  string `json:"month"`
	Count  int64  `json:"count"`
	Reason string `json:"reason"`
}

// Report is what a call did.
type Report struct {
	Archived []Moved `json:"archived"`
	Kept     []Kept  `json:"kept"`
	Restored []Moved `json:"restored"`
}

func newReport() *Report {
	return &Report{Archived: []Moved{}, Kept: []Kept{}, Restored: []Moved{}}
}

func told(month recon.Date) string { return month.UTC().Format("2006-01") }

// Archive moves every month that lies wholly before opt.Before into the archive, oldest first, each in a transaction of its own, so
// that one that breaks off leaves every month either here or there. Months are archived in their order: one that has to stay
// keeps those after it. It holds the lock of a run.
func Archive(ctx context.Context, pool *pgxpool.Pool, opt Options) (*Report, error) {
	report := newReport()
	err := locked(ctx, pool, opt.Wait, func() error {
		live, err := months(ctx, pool, liveMonths)
		if err != nil {
			return err
		}
		archived, err := months(ctx, pool, archivedMonths)
		if err != nil {
			return err
		}
		for _, m := range live {
			if postgres.NextMonth(m).After(opt.Before) || slices.ContainsFunc(archived, m.Equal) {
				continue
			}
			if len(report.Kept) > 0 {
				report.Kept = append(report.Kept, Kept{Month: told(m), Reason: "a month before it stays, and months go in their order"})
				continue
			}
			done, kept, err := archiveMonth(ctx, pool, m, opt.EvenOpen)
			switch {
			case err != nil:
				return fmt.Errorf("archive %s: %w", told(m), err)
			case kept != nil:
				report.Kept = append(report.Kept, *kept)
			default:
				report.Archived = append(report.Archived, done)
			}
		}
		return sweep(ctx, pool)
	})
	if err != nil {
		return report, err
	}
	return report, settle(ctx, pool, report.Archived)
}

// locked calls do with the lock of a run, and with the indexes that it needs in place.
func locked(ctx context.Context, pool *pgxpool.Pool, wait time.Duration, do func() error) error {
	release, err := postgres.Lock(ctx, pool, wait)
	if err != nil {
		return err
	}
	defer release()
	distributed, err := postgres.Distributed(ctx, pool)
	if err != nil {
		return err
	}
	if distributed {
		return ErrDistributed
	}
	if err := postgres.IndexPartitions(ctx, pool); err != nil {
		return err
	}
	err = do()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55P03" { // lock_not_available
		return fmt.Errorf("%w (%s)", ErrInUse, pg.Message)
	}
	return err
}

const (
	liveMonths = `
		SELECT DISTINCT to_date(right(child.relname, 7), 'YYYY_MM') AS month
		  FROM pg_inherits AS i
		  JOIN pg_class AS child ON child.oid = i.inhrelid
		 WHERE i.inhparent IN ('pos_row'::regclass, 'settlement_row'::regclass)
		 ORDER BY month`
	archivedMonths = `SELECT month FROM archive.month ORDER BY month`
)

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func months(ctx context.Context, q querier, sql string) ([]recon.Date, error) {
	rows, err := q.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (recon.Date, error) {
		var t time.Time
		err := row.Scan(&t)
		return recon.DateFromUTC(t), err
	})
}

// mover is one transaction that moves what is dated from from, before to.
type mover struct {
	tx       pgx.Tx
	from, to recon.Date
	columns  map[string]string // by table, as the catalogue has them: later migrations may add some to both sides
}

func newMover(ctx context.Context, tx pgx.Tx, from, to recon.Date) (*mover, error) {
	m := &mover{tx: tx, from: from, to: to, columns: map[string]string{}}
	if err := lockBriefly(ctx, tx); err != nil {
		return nil, err
	}
	return m, m.readColumns(ctx)
}

// lockBriefly bounds what tx waits for, and keeps others from changing partitions.
func lockBriefly(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL lock_timeout = %d`, lockTimeout.Milliseconds())); err != nil {
		return err
	}
	return postgres.LockPartitions(ctx, tx)
}

func (m *mover) readColumns(ctx context.Context) error {
	for _, table := range slices.Concat(facts, derived, []string{"plain_match"}) {
		var names string
		if err := m.tx.QueryRow(ctx, `
			SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
			  FROM pg_attribute
			 WHERE attrelid = $1::regclass
			   AND attnum > 0
			   AND NOT attisdropped`, table).Scan(&names); err != nil {
			return err
		}
		m.columns[table] = names
	}
	return nil
}

// run runs statements in which {from} and {to} are the dates.
func (m *mover) run(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := m.tx.Exec(ctx, m.dated(sql)); err != nil {
			return err
		}
	}
	return nil
}

func (m *mover) dated(sql string) string {
	return strings.NewReplacer("{from}", "DATE '"+m.from.String()+"'", "{to}", "DATE '"+m.to.String()+"'").Replace(sql)
}

// settle does for the tables what autovacuum would do too late. Rows of an archived month never change again, so they are frozen
// once, now that they are warm, and not some night when the server has to. Of the tables that a night reads whole, a month was
// deleted. A restored month's indexes are there; what stayed behind has some, too.
func settle(ctx context.Context, pool *pgxpool.Pool, archived []Moved) error {
	if err := postgres.IndexPartitions(ctx, pool); err != nil {
		return err
	}
	for _, m := range archived {
		for _, table := range facts {
			if _, err := pool.Exec(ctx, `VACUUM (FREEZE, ANALYZE) archive.`+table+"_"+strings.ReplaceAll(m.Month, "-", "_")); err != nil {
				return fmt.Errorf("vacuum what was archived: %w", err)
			}
		}
	}
	for _, table := range append(slices.Clone(derived), "plain_match") {
		if _, err := pool.Exec(ctx, `VACUUM (ANALYZE) `+table); err != nil {
			return fmt.Errorf("vacuum what remains: %w", err)
		}
	}
	return nil
}

var keepDays = regexp.MustCompile(`^([1-9][0-9]{0,4})d$`)

// ParseKeep reads how many days are kept, as 400d.
func ParseKeep(s string) (int, error) {
	found := keepDays.FindStringSubmatch(s)
	if found == nil {
		return 0, fmt.Errorf("%q is no number of days such as 400d", s)
	}
	days := 0
	_, _ = fmt.Sscan(found[1], &days)
	if days < MinKeepDays {
		return 0, fmt.Errorf("%s is too short: rows within %d days can be of one order, so at least %dd are kept", s, tieDays, MinKeepDays)
	}
	return days, nil
}
