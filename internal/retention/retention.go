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

	"github.com/posrecon/posrecon/internal/match"
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

// archiveMonth archives one month, or tells why it is kept.
func archiveMonth(ctx context.Context, pool *pgxpool.Pool, month recon.Date, evenOpen bool) (done Moved, kept *Kept, err error) {
	done.Month = told(month)
	if err := bind(ctx, pool, month); err != nil {
		return done, nil, err
	}
	err = postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
		m, err := newMover(ctx, tx, month, postgres.NextMonth(month))
		if err != nil {
			return false, err
		}
		if err := m.holdStill(ctx); err != nil {
			return false, err
		}
		if kept, err = m.blocked(ctx, evenOpen); err != nil || kept != nil {
			return false, err
		}
		if err := m.findStaying(ctx); err != nil {
			return false, err
		}
		if err := m.countGone(ctx, &done); err != nil {
			return false, err
		}
		if err := m.moveDerived(ctx); err != nil {
			return false, err
		}
		for _, table := range facts {
			if err := m.detach(ctx, table, month, &done); err != nil {
				return false, err
			}
		}
		if err := m.moveLedger(ctx); err != nil {
			return false, err
		}
		return true, m.run(ctx, `
			INSERT INTO archive.month (month, last_settle_date)
			SELECT {from}, max(settle_date)
			  FROM (SELECT settle_date FROM archive.plain_match WHERE month = {from}
			         UNION ALL
			        SELECT settle_date FROM archive.verdict WHERE month = {from}) AS told`)
	})
	return done, kept, err
}

// bind lets a month's partitions know their dates by a constraint, which is checked while everybody works; attaching them elsewhere
// then reads no row.
func bind(ctx context.Context, pool *pgxpool.Pool, month recon.Date) error {
	for _, table := range facts {
		name := postgres.PartitionName(table, month)
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := lockBriefly(ctx, tx); err != nil {
				return err
			}
			if err := postgres.MakePartition(ctx, tx, table, month); err != nil {
				return err
			}
			var bound bool
			if err := tx.QueryRow(ctx, `
				SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND conname = 'holds_its_month')`, name).Scan(&bound); err != nil || bound {
				return err
			}
			_, err := tx.Exec(ctx, fmt.Sprintf(`
				ALTER TABLE %s ADD CONSTRAINT holds_its_month CHECK (business_date >= '%s' AND business_date < '%s') NOT VALID`,
				name, month, postgres.NextMonth(month)))
			return err
		})
		if err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s VALIDATE CONSTRAINT holds_its_month`, name)); err != nil {
			return err
		}
	}
	return nil
}

// holdStill keeps loaders out of the partitions that hold the dates: what is looked at here must be all there is. Others read on.
func (m *mover) holdStill(ctx context.Context) error {
	live, err := months(ctx, m.tx, liveMonths)
	if err != nil {
		return err
	}
	for _, month := range live {
		if month.Before(m.from) || !month.Before(m.to) {
			continue
		}
		for _, table := range facts {
			var exists bool
			if err := m.tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, postgres.PartitionName(table, month)).Scan(&exists); err != nil {
				return err
			}
			if !exists {
				continue
			}
			if _, err := m.tx.Exec(ctx, `LOCK TABLE `+postgres.PartitionName(table, month)+` IN SHARE MODE`); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocked tells why the month has to stay, nil where it may go.
func (m *mover) blocked(ctx context.Context, evenOpen bool) (*Kept, error) {
	for _, b := range []struct{ reason, sql string }{
		{"files with rows of it that no run has decided: say 'posrecon run'", undecidedFiles},
		{"orders of it have open cases: resolve them, or say --even-open", `
			SELECT count(*)
			  FROM cases AS k
			  JOIN LATERAL (SELECT d.business_date
			                  FROM decided AS d
			                 WHERE (d.order_key, d.episode) = (k.order_key, k.episode)
			                OFFSET 0) AS v ON true
			 WHERE k.status = 'open'
			   AND v.business_date >= {from}
			   AND v.business_date < {to}`},
		{"orders of it are pending, say --even-open to leave them behind", `
			SELECT count(*)
			  FROM verdict
			 WHERE outcome = 'pending'
			   AND business_date >= {from}
			   AND business_date < {to}`},
	} {
		if evenOpen && b.sql != undecidedFiles {
			continue
		}
		var n int64
		if err := m.tx.QueryRow(ctx, m.dated(b.sql)).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			return &Kept{Month: told(m.from), Count: n, Reason: b.reason}, nil
		}
	}
	return nil, nil
}

const undecidedFiles = `
			SELECT count(*)
			  FROM file
			 WHERE NOT decided
			   AND state = 'loaded'
			   AND kind IN ('pos_log', 'settlement')
			   AND first_date < {to}
			   AND last_date >= {from}`

// nearby is the condition that a row r is of the days beside those that are moved on which it could be of one of their orders.
var nearby = `(r.business_date >= {from} - ` + days + ` AND r.business_date < {from}
		                OR r.business_date >= {to} AND r.business_date < {to} + ` + days + `)`

// findStaying lists in staying the keys with rows of the dates that are tied to what stays live, or are still worked on.
func (m *mover) findStaying(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE inside ON COMMIT DROP AS
		 SELECT order_key FROM pos_row WHERE business_date >= {from} AND business_date < {to}
		  UNION
		 SELECT order_key FROM settlement_row WHERE business_date >= {from} AND business_date < {to}`,
		`ANALYZE inside`,
		`CREATE TEMP TABLE pairs ON COMMIT DROP AS
		 SELECT v.order_key,
		        v.settle_key,
		        v.business_date >= {from} AND v.business_date < {to} AS order_inside,
		        NOT EXISTS (SELECT
		                      FROM settlement_row AS r
		                     WHERE r.order_key = v.settle_key
		                       AND (r.business_date < {from} OR r.business_date >= {to})) AS line_inside
		   FROM verdict AS v
		  WHERE v.settle_key <> v.order_key`,
		`CREATE TEMP TABLE staying ON COMMIT DROP AS
		 -- The same order: a key that is on both sides within the days in which it is one.
		 SELECT order_key FROM inside WHERE order_key IN (SELECT r.order_key FROM pos_row AS r WHERE `+nearby+`)
		  UNION
		 SELECT order_key FROM inside WHERE order_key IN (SELECT r.order_key FROM settlement_row AS r WHERE `+nearby+`)
		  UNION
		 -- A key that recurs: the later order is the second only as long as the first is there.
		 SELECT a.order_key
		   FROM verdict AS a
		   JOIN verdict AS b ON b.order_key = a.order_key
		  WHERE a.episode > 0
		    AND (a.business_date >= {from} AND a.business_date < {to}) <> (b.business_date >= {from} AND b.business_date < {to})
		  UNION
		 SELECT unnest(ARRAY[order_key, settle_key])
		   FROM pairs
		  WHERE order_inside <> line_inside
		  UNION
		 SELECT order_key FROM cases WHERE status = 'open'
		  UNION
		 SELECT order_key FROM verdict WHERE outcome = 'pending'
		  UNION
		 -- What has several candidates would have one, were the others gone.
		 SELECT order_key
		   FROM verdict
		  WHERE match_rule = 'ambiguous'
		    AND business_date >= {to} - `+days,
		`ALTER TABLE staying ADD PRIMARY KEY (order_key)`,
	); err != nil {
		return err
	}
	// Both halves of a pair stay, and what else is of their keys.
	for {
		tag, err := m.tx.Exec(ctx, `
			INSERT INTO staying
			SELECT p.settle_key FROM pairs AS p JOIN staying AS s ON s.order_key = p.order_key
			 UNION
			SELECT p.order_key FROM pairs AS p JOIN staying AS s ON s.order_key = p.settle_key
			ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return m.run(ctx, `ANALYZE staying`)
		}
	}
}

const leavesNow = `r.business_date >= {from}
			   AND r.business_date < {to}
			   AND NOT EXISTS (SELECT FROM staying AS s WHERE s.order_key = r.order_key)`

// countGone takes what leaves into the register, and into done.
func (m *mover) countGone(ctx context.Context, done *Moved) error {
	for table, n := range map[string]*int64{"pos_row": &done.POSRows, "settlement_row": &done.SettlementRows} {
		if err := m.tx.QueryRow(ctx, m.dated(`
			WITH gone AS (
			    SELECT r.file_id, count(*) AS rows
			      FROM `+table+` AS r
			     WHERE `+leavesNow+`
			     GROUP BY r.file_id
			), counted AS (
			    UPDATE file AS f
			       SET rows_archived = f.rows_archived + gone.rows
			      FROM gone
			     WHERE f.file_id = gone.file_id
			    RETURNING gone.rows
			)
			SELECT COALESCE(sum(rows), 0)::bigint FROM counted`)).Scan(n); err != nil {
			return err
		}
	}
	return nil
}

// moveDerived moves what was decided of the keys that leave. All of a key leaves at once, so that its key says it.
func (m *mover) moveDerived(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE leaving ON COMMIT DROP AS
		 SELECT k AS order_key,
		        date_trunc('month', min(r.business_date))::date AS month
		   FROM verdict AS r
		  CROSS JOIN unnest(ARRAY[r.order_key, r.settle_key]) AS k
		  WHERE k IS NOT NULL
		    AND `+leavesNow+`
		  GROUP BY k`,
		`ANALYZE leaving`,
	); err != nil {
		return err
	}
	for _, table := range derived {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH gone AS (
			    DELETE FROM %[1]s AS t
			     USING leaving AS l
			     WHERE l.order_key = t.order_key
			    RETURNING l.month, t.*
			)
			INSERT INTO archive.%[1]s (month, %[2]s)
			SELECT month, %[2]s FROM gone`, table, m.columns[table])); err != nil {
			return err
		}
	}
	return nil
}

// detach moves a month's partition of table into the archive as it is, and makes a new one of what stays. The few rows that stay are
// the only ones that are copied.
func (m *mover) detach(ctx context.Context, table string, month recon.Date, done *Moved) error {
	name := postgres.PartitionName(table, month)
	if err := m.run(ctx,
		fmt.Sprintf(`ALTER TABLE %s DETACH PARTITION %s`, table, name),
		fmt.Sprintf(`ALTER TABLE %s SET SCHEMA archive`, name),
		fmt.Sprintf(`ALTER TABLE archive.%[1]s ATTACH PARTITION archive.%[2]s %[3]s`, table, name, postgres.MonthBounds(month)),
	); err != nil {
		return err
	}
	if err := postgres.MakePartition(ctx, m.tx, table, month); err != nil {
		return err
	}
	tag, err := m.tx.Exec(ctx, fmt.Sprintf(`
		WITH back AS (
		    DELETE FROM archive.%[1]s AS r
		     USING staying AS s
		     WHERE s.order_key = r.order_key
		    RETURNING r.*
		)
		INSERT INTO %[1]s (%[2]s)
		SELECT %[2]s FROM back`, name, m.columns[table]))
	if err != nil {
		return err
	}
	done.Stay += tag.RowsAffected()
	if _, err := postgres.MakeIndexes(ctx, m.tx, table, name); err != nil {
		return err
	}
	return m.run(ctx, `ANALYZE `+name)
}

// moveLedger moves the ledger of plain matches of the dates, but for what the live facts of them still come to.
func (m *mover) moveLedger(ctx context.Context) error {
	if err := m.run(ctx, fmt.Sprintf(`
		WITH gone AS (
		    DELETE FROM plain_match
		     WHERE business_date >= {from}
		       AND business_date < {to}
		    RETURNING *
		)
		INSERT INTO archive.plain_match (month, %[1]s)
		SELECT date_trunc('month', business_date)::date, %[1]s FROM gone`, m.columns["plain_match"])); err != nil {
		return err
	}
	return m.bringLedgerBack(ctx, `p.business_date >= {from} AND p.business_date < {to}`)
}

// ledgerColumns are what match.PlainLedger selects.
const ledgerColumns = `acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
		       sign, orders, amount, net, sold`

// bringLedgerBack takes live plain matches out of the archive's ledger into the live one.
func (m *mover) bringLedgerBack(ctx context.Context, where string) error {
	return m.run(ctx,
		// From a few orders to their lines, over indexes: of partitions that were made just now the planner knows nothing.
		`SET LOCAL enable_hashjoin = off`, `SET LOCAL enable_mergejoin = off`, `SET LOCAL enable_seqscan = off`,
		`CREATE TEMP TABLE back ON COMMIT DROP AS
		 SELECT * FROM (`+match.PlainLedger(1, where)+`) AS ledger (`+ledgerColumns+`)`,
		`SET LOCAL enable_hashjoin TO DEFAULT`, `SET LOCAL enable_mergejoin TO DEFAULT`, `SET LOCAL enable_seqscan TO DEFAULT`,
		`INSERT INTO plain_match (`+ledgerColumns+`)
		 SELECT `+ledgerColumns+` FROM back`,
		`UPDATE back SET sign = -sign`,
		`INSERT INTO archive.plain_match (month, `+ledgerColumns+`)
		 SELECT date_trunc('month', business_date)::date, `+ledgerColumns+` FROM back`,
		`DROP TABLE back`,
	)
}

// beginning is before all rows.
var beginning = recon.NewDate(1900, 1, 1)

// sweep moves what had stayed behind of archived months and nothing ties any more.
func sweep(ctx context.Context, pool *pgxpool.Pool) error {
	return postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
		end, err := archivedBefore(ctx, tx)
		if err != nil || end.IsZero() {
			return false, err
		}
		m, err := newMover(ctx, tx, beginning, end)
		if err != nil {
			return false, err
		}
		if err := m.holdStill(ctx); err != nil {
			return false, err
		}
		// Rows of a month that is not archived stand between, or of a file that is not decided: another time.
		var between bool
		if err := tx.QueryRow(ctx, m.dated(`
			SELECT (`+undecidedFiles+`) > 0
			    OR EXISTS (SELECT
			                 FROM (`+liveMonths+`) AS live
			                WHERE live.month < {to}
			                  AND live.month NOT IN (SELECT month FROM archive.month))`)).Scan(&between); err != nil || between {
			return false, err
		}
		if err := m.findStaying(ctx); err != nil {
			return false, err
		}
		var gone Moved
		if err := m.countGone(ctx, &gone); err != nil || gone.POSRows+gone.SettlementRows == 0 {
			return false, err
		}
		if err := m.moveDerived(ctx); err != nil {
			return false, err
		}
		for _, table := range facts {
			if err := m.run(ctx, fmt.Sprintf(`
				WITH gone AS (
				    DELETE FROM %[1]s AS r
				     WHERE `+leavesNow+`
				    RETURNING r.*
				)
				INSERT INTO archive.%[1]s (%[2]s)
				SELECT %[2]s FROM gone`, table, m.columns[table])); err != nil {
				return false, err
			}
		}
		if err := m.moveLedger(ctx); err != nil {
			return false, err
		}
		return true, m.run(ctx, `UPDATE archive.month SET archived_at = now() WHERE month = (SELECT max(month) FROM archive.month)`)
	})
}

// archivedBefore returns the first date that was never archived, zero where nothing is.
func archivedBefore(ctx context.Context, tx pgx.Tx) (recon.Date, error) {
	archived, err := months(ctx, tx, archivedMonths)
	if err != nil || len(archived) == 0 {
		return recon.Date{}, err
	}
	return postgres.NextMonth(archived[len(archived)-1]), nil
}

// Restore attaches an archived month and all after it, in one transaction, so that what is archived is always all that is older
// than what is live. What the months before it hold of the same orders comes with them. The next run decides everything again.
func Restore(ctx context.Context, pool *pgxpool.Pool, month recon.Date, wait time.Duration) (*Report, error) {
	report := newReport()
	err := locked(ctx, pool, wait, func() error {
		return postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
			archived, err := months(ctx, tx, archivedMonths)
			if err != nil {
				return false, err
			}
			if !slices.ContainsFunc(archived, month.Equal) {
				return false, fmt.Errorf("%s is not archived", told(month))
			}
			m, err := newMover(ctx, tx, month, postgres.NextMonth(archived[len(archived)-1]))
			if err != nil {
				return false, err
			}
			for _, one := range archived {
				if one.Before(month) {
					continue
				}
				done := Moved{Month: told(one)}
				if err := m.attach(ctx, one, &done); err != nil {
					return false, fmt.Errorf("restore %s: %w", done.Month, err)
				}
				report.Restored = append(report.Restored, done)
			}
			return true, m.thawTied(ctx)
		})
	})
	if err != nil {
		return newReport(), err
	}
	return report, settle(ctx, pool, nil)
}

// attach brings an archived month back with all that had been decided of it, and has its files decided again.
func (m *mover) attach(ctx context.Context, month recon.Date, done *Moved) error {
	for table, n := range map[string]*int64{"pos_row": &done.POSRows, "settlement_row": &done.SettlementRows} {
		name := postgres.PartitionName(table, month)
		if err := m.tx.QueryRow(ctx, `
			WITH back AS (
			    SELECT file_id, count(*) AS rows FROM archive.`+name+` GROUP BY file_id
			), counted AS (
			    UPDATE file AS f
			       SET rows_archived = f.rows_archived - back.rows,
			           decided = false
			      FROM back
			     WHERE f.file_id = back.file_id
			    RETURNING back.rows
			)
			SELECT COALESCE(sum(rows), 0)::bigint FROM counted`).Scan(n); err != nil {
			return err
		}
		if err := m.run(ctx,
			fmt.Sprintf(`ALTER TABLE %s DETACH PARTITION %s`, table, name),
			fmt.Sprintf(`INSERT INTO archive.%[1]s (%[2]s) SELECT %[2]s FROM %[1]s`, name, m.columns[table]),
			fmt.Sprintf(`DROP TABLE %s`, name),
			fmt.Sprintf(`ALTER TABLE archive.%s DETACH PARTITION archive.%s`, table, name),
			fmt.Sprintf(`ALTER TABLE archive.%s SET SCHEMA public`, name),
			fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s %s`, table, name, postgres.MonthBounds(month)),
		); err != nil {
			return err
		}
	}
	for _, table := range append(slices.Clone(derived), "plain_match") {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH back AS (
			    DELETE FROM archive.%[1]s
			     WHERE month = DATE '%[3]s'
			    RETURNING *
			)
			INSERT INTO %[1]s (%[2]s)
			SELECT %[2]s FROM back
			ON CONFLICT DO NOTHING`, table, m.columns[table], month)); err != nil {
			return err
		}
	}
	_, err := m.tx.Exec(ctx, `DELETE FROM archive.month WHERE month = $1`, month.UTC())
	return err
}

// thawTied brings back what is still archived of orders that are live now.
func (m *mover) thawTied(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE thawing ON COMMIT DROP AS
		 WITH archived AS (
		     SELECT order_key FROM archive.pos_row WHERE business_date >= {from} - `+days+`
		      UNION
		     SELECT order_key FROM archive.settlement_row WHERE business_date >= {from} - `+days+`
		 )
		 SELECT order_key FROM archived WHERE order_key IN (SELECT order_key FROM pos_row WHERE business_date < {from} + `+days+`)
		  UNION
		 SELECT order_key FROM archived WHERE order_key IN (SELECT order_key FROM settlement_row WHERE business_date < {from} + `+days+`)
		  UNION
		 SELECT order_key
		   FROM verdict
		  WHERE episode > 0`,
		`ALTER TABLE thawing ADD PRIMARY KEY (order_key)`,
		// The half of a pair whose other half is live.
		`INSERT INTO thawing
		 SELECT unnest(ARRAY[v.order_key, v.settle_key])
		   FROM archive.verdict AS v
		  WHERE v.settle_key <> v.order_key
		    AND (EXISTS (SELECT FROM pos_row AS p WHERE p.order_key = v.order_key)
		         OR EXISTS (SELECT FROM settlement_row AS s WHERE s.order_key = v.settle_key))
		 ON CONFLICT DO NOTHING`,
	); err != nil {
		return err
	}
	// Orders of the restored months have brought their ledger with them.
	return m.thaw(ctx, `p.business_date < {from} AND p.order_key IN (SELECT order_key FROM thawing)`)
}

// Thaw brings back, within the transaction of a decision and before it, the archived orders of which files tell that no run has
// decided: they are decided with all that is known of them. Nights whose files are of these days cost one look at the register.
func Thaw(ctx context.Context, tx pgx.Tx) error {
	end, err := archivedBefore(ctx, tx)
	if err != nil || end.IsZero() {
		return err
	}
	m := &mover{tx: tx, from: beginning, to: end.AddDays(tieDays), columns: map[string]string{}}
	var late bool
	if err := tx.QueryRow(ctx, m.dated(`SELECT (`+undecidedFiles+`) > 0`)).Scan(&late); err != nil || !late {
		return err
	}
	if err := m.readColumns(ctx); err != nil {
		return err
	}
	if err := m.run(ctx,
		`CREATE TEMP TABLE told_late ON COMMIT DROP AS
		 SELECT r.order_key FROM pos_row AS r JOIN file AS f USING (file_id) WHERE NOT f.decided AND r.business_date < {to}
		  UNION
		 SELECT r.order_key FROM settlement_row AS r JOIN file AS f USING (file_id) WHERE NOT f.decided AND r.business_date < {to}`,
		`ANALYZE told_late`,
		`CREATE TEMP TABLE thawing ON COMMIT DROP AS
		 SELECT order_key
		   FROM told_late AS t
		  WHERE EXISTS (SELECT FROM archive.pos_row AS p WHERE p.order_key = t.order_key)
		     OR EXISTS (SELECT FROM archive.settlement_row AS s WHERE s.order_key = t.order_key)`,
		`ALTER TABLE thawing ADD PRIMARY KEY (order_key)`,
	); err != nil {
		return fmt.Errorf("find archived orders that late files tell of: %w", err)
	}
	// A key that began anew since has a verdict of its own, or is told of in the ledger: what it comes to with its first order is
	// found by deciding everything.
	if err := m.run(ctx, `
		UPDATE file
		   SET decided = false
		 WHERE counts
		   AND file_id IN (SELECT file_id FROM pos_row JOIN thawing USING (order_key)
		                    UNION
		                   SELECT file_id FROM settlement_row JOIN thawing USING (order_key))`); err != nil {
		return fmt.Errorf("find archived orders that late files tell of: %w", err)
	}
	if err := m.thaw(ctx, `p.order_key IN (SELECT order_key FROM thawing)`); err != nil {
		return fmt.Errorf("bring back archived orders that late files tell of: %w", err)
	}
	return m.run(ctx, `DROP TABLE told_late`, `DROP TABLE thawing`)
}

// thaw brings back all of the keys in thawing, and of those that they are paired with.
// where selects the plain matches among them whose ledger is in the archive.
func (m *mover) thaw(ctx context.Context, where string) error {
	for {
		tag, err := m.tx.Exec(ctx, `
			INSERT INTO thawing
			SELECT v.settle_key FROM archive.verdict AS v JOIN thawing AS t ON t.order_key = v.order_key WHERE v.settle_key <> v.order_key
			 UNION
			SELECT v.order_key FROM archive.verdict AS v JOIN thawing AS t ON t.order_key = v.settle_key WHERE v.settle_key <> v.order_key
			ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	if err := m.run(ctx, `ANALYZE thawing`); err != nil {
		return err
	}
	for _, table := range facts {
		if err := m.run(ctx, fmt.Sprintf(`
			UPDATE file AS f
			   SET rows_archived = f.rows_archived - back.rows
			  FROM (SELECT r.file_id, count(*) AS rows
			          FROM archive.%s AS r
			          JOIN thawing AS t USING (order_key)
			         GROUP BY r.file_id) AS back
			 WHERE back.file_id = f.file_id`, table)); err != nil {
			return err
		}
	}
	for _, table := range slices.Concat(facts, derived) {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH back AS (
			    DELETE FROM archive.%[1]s AS r
			     USING thawing AS t
			     WHERE t.order_key = r.order_key
			    RETURNING r.*
			)
			INSERT INTO %[1]s (%[2]s)
			SELECT %[2]s FROM back
			ON CONFLICT DO NOTHING`, table, m.columns[table])); err != nil {
			return err
		}
	}
	return m.bringLedgerBack(ctx, where)
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
