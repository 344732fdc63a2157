package match

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// listedKeys bounds how many keys are handed over as a list: ten megabytes.
const listedKeys = 500_000

// bringTogether reads all rows of the keys to decide: by the index, unless they are so many that reading everything costs less.
func (d *decision) bringTogether(ctx context.Context) error {
	const posNow, lineNow = `
		CREATE TEMP TABLE pos_now ON COMMIT DROP AS
		SELECT r.*
		  FROM pos_row AS r
		`, `
		CREATE TEMP TABLE line_now ON COMMIT DROP AS
		SELECT r.*
		  FROM settlement_row AS r
		`
	counting := `r.file_id <> ALL (` + integers(d.replaced) + `)`
	keys, rows, err := d.count(ctx, "dirty")
	if err != nil {
		return err
	}
	if d.all && keys <= listedKeys {
		elsewhere := `SELECT order_key FROM dirty`
		few := !many(keys, rows) // so many places are looked into no faster than all rows are read
		if few {
			elsewhere += ` EXCEPT SELECT order_key FROM lineless WHERE ` + placed
		}
		for _, rows := range []struct{ now, keys string }{
			{posNow, elsewhere},
			{lineNow, `SELECT order_key FROM dirty EXCEPT SELECT order_key FROM lineless`}, // mostly few, or none
		} {
			// A list, unlike a temporary table, can be looked into by several workers, which read the rows side by side.
			found, err := d.tx.Query(ctx, rows.keys)
			if err != nil {
				return err
			}
			list, err := pgx.CollectRows(found, pgx.RowTo[[16]byte])
			if err != nil {
				return err
			}
			if _, err := d.tx.Exec(ctx, rows.now+`WHERE $1::uuid[] <> '{}' AND r.order_key = ANY ($1) AND `+counting, list); err != nil {
				return err
			}
		}
		if few {
			if err := d.bringPlaced(ctx); err != nil {
				return err
			}
		}
	} else if err := d.with(ctx, d.lookUps(keys, rows),
		posNow+`JOIN dirty USING (order_key) WHERE `+counting,
		lineNow+`JOIN dirty USING (order_key) WHERE `+counting,
	); err != nil {
		return err
	}
	return d.run(ctx, `ANALYZE pos_now`, `ANALYZE line_now`)
}

// placed is the condition that the join has found where the only row of a key without a line lies.
const placed = `orders = 1 AND pos_place IS NOT NULL`

// bringPlaced adds to pos_now the orders without a line whose only row the join has found, by the place where it lies.
func (d *decision) bringPlaced(ctx context.Context) error {
	rows, err := d.tx.Query(ctx, `SELECT DISTINCT pos_of, pos_of::regclass::text AS name FROM lineless WHERE `+placed+` ORDER BY name`)
	if err != nil {
		return err
	}
	type table struct {
		Of   uint32
		Name string
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[table])
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := d.run(ctx, fmt.Sprintf(`
			INSERT INTO pos_now
			SELECT r.*
			  FROM %s AS r
			 WHERE ctid = ANY (ARRAY(SELECT pos_place FROM lineless WHERE pos_of = %d AND `+placed+`))`, t.Name, t.Of)); err != nil {
			return err
		}
	}
	return nil
}

// gather brings together what stands: wo has one row per order, wl one per key that has settlement lines, whether it
// came the short way (one row, which stands) or the long one.
func (d *decision) gather(ctx context.Context) error {
	return d.run(ctx, `
		CREATE TEMP TABLE wo ON COMMIT DROP AS
		SELECT r.order_key, 0::smallint AS episode, r.business_date, r.acquirer, r.merchant_id, r.type, r.channel,
		       r.terminal_id, r.txn_time, r.currency, r.amount, r.status AS pos_status, COALESCE(r.settle_cycle, '') AS cycle,
		       false AS duplicate, r.file_id, r.line, false AS slow
		  FROM pos_now AS r
		 WHERE NOT EXISTS (SELECT FROM slow_key AS s WHERE s.order_key = r.order_key)
		 UNION ALL
		SELECT order_key, episode, business_date, acquirer, merchant_id, type, channel,
		       terminal_id, txn_time, currency, amount, CASE WHEN voided THEN 'REVERSED' ELSE status END, COALESCE(settle_cycle, ''),
		       duplicate, file_id, line, true
		  FROM pos_stands`, `
		CREATE TEMP TABLE wl ON COMMIT DROP AS
		SELECT r.order_key, 0::smallint AS episode, r.business_date, r.acquirer, r.merchant_id, r.type, r.channel,
		       r.terminal_id, r.txn_time, r.currency, r.amount, r.fee, r.net_amount, r.status, r.settle_date, r.payout_id,
		       CASE WHEN r.status = 'SETTLED' THEN 1 ELSE 0 END AS settled_lines, r.file_id, r.line
		  FROM line_now AS r
		 WHERE NOT EXISTS (SELECT FROM slow_key AS s WHERE s.order_key = r.order_key)
		 UNION ALL
		SELECT * FROM (
		SELECT DISTINCT ON (order_key, episode)
		       order_key, episode, business_date, acquirer, merchant_id, type, channel,
		       terminal_id, txn_time, currency, amount, fee, net_amount, status, settle_date, payout_id,
		       (count(*) FILTER (WHERE status = 'SETTLED') OVER (PARTITION BY order_key, episode))::integer, file_id, line
		  FROM settle_stands
		 ORDER BY order_key, episode, settle_date, file_date, sha256, line) AS slow`,
		`ANALYZE wo`,
		`ANALYZE wl`,
		// Keys settled more than once: their sums by currency, and how much of them a good payout carries.
		`CREATE TEMP TABLE wl_sum ON COMMIT DROP AS
		 SELECT s.order_key,
		        s.episode,
		        s.currency,
		        sum(s.amount) AS settled,
		        COALESCE(sum(s.amount) FILTER (WHERE p.status IS NULL OR p.status = 'PAID'), 0) AS received,
		        -- The payout that is furthest from paid is the one to show.
		        (array_agg(p.status ORDER BY p.status = 'PAID', p.status) FILTER (WHERE p.status IS NOT NULL))[1] AS payout_status,
		        string_agg(p.fact, ', ' ORDER BY p.fact) AS payout_fact
		   FROM settle_stands AS s
		   JOIN wl ON (wl.order_key, wl.episode) = (s.order_key, s.episode) AND wl.settled_lines > 1
		   LEFT JOIN payout_state AS p ON p.acquirer = s.acquirer AND p.payout_id = s.payout_id
		  GROUP BY s.order_key, s.episode, s.currency`,
		`ANALYZE wl_sum`,
	)
}

// countDue counts the due date of every acquirer × business date × cycle that is in from, a table and a condition where there is
// one, and was not counted yet, into due. The calendar is the one authority for working days, so the counting is its, not SQL's; the
// combinations are few whatever the orders.
func (d *decision) countDue(ctx context.Context, from string) error {
	if err := d.run(ctx, `
		CREATE TEMP TABLE IF NOT EXISTS due (
		    acquirer      text NOT NULL,
		    business_date date NOT NULL,
		    cycle         text NOT NULL,
		    due_date      date,
		    is_due        boolean NOT NULL,
		    missing_year  smallint,
		    tolerance     numeric(18,2) NOT NULL,
		    PRIMARY KEY (acquirer, business_date, cycle)
		) ON COMMIT DROP`); err != nil {
		return err
	}
	rows, err := d.tx.Query(ctx, `
		SELECT acquirer, business_date, cycle FROM `+from+`
		EXCEPT
		SELECT acquirer, business_date, cycle FROM due
		 ORDER BY acquirer, business_date, cycle`)
	if err != nil {
		return err
	}
	type combination struct {
		Acquirer     string
		BusinessDate time.Time
		Cycle        string
	}
	combinations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[combination])
	if err != nil {
		return err
	}
	missing := map[int]bool{}
	_, err = d.tx.CopyFrom(ctx, pgx.Identifier{"due"},
		[]string{"acquirer", "business_date", "cycle", "due_date", "is_due", "missing_year", "tolerance"},
		pgx.CopyFromSlice(len(combinations), func(i int) ([]any, error) {
			c := combinations[i]
			acquirer := d.rules.Acquirers.Get(c.Acquirer)
			due, noYear, err := d.dueDate(c.Acquirer, c.BusinessDate, c.Cycle)
			switch {
			case err != nil:
				return nil, err
			case noYear != 0:
				missing[noYear] = true
				return []any{c.Acquirer, c.BusinessDate, c.Cycle, nil, false, int16(noYear), acquirer.Tolerance}, nil
			}
			return []any{c.Acquirer, c.BusinessDate, c.Cycle, due.UTC(), d.isDue(c.Acquirer, due), nil, acquirer.Tolerance}, nil
		}))
	if err != nil {
		return err
	}
	for year := range missing {
		if !slices.Contains(d.result.MissingYears, year) {
			d.result.MissingYears = append(d.result.MissingYears, year)
		}
	}
	return d.run(ctx,
		`ANALYZE due`,
		// Due dates are kept for plain matches, which have no verdict to keep theirs.
		`INSERT INTO due_day (acquirer, business_date, cycle, due_date, missing_year)
		 SELECT acquirer, business_date, cycle, due_date, missing_year
		   FROM due
		 ON CONFLICT (acquirer, business_date, cycle)
		 DO UPDATE
		    SET due_date = excluded.due_date, missing_year = excluded.missing_year
		  WHERE (due_day.due_date, due_day.missing_year) IS DISTINCT FROM (excluded.due_date, excluded.missing_year)`,
	)
}

// dueDate counts the due date of an acquirer's orders of a business date and cycle, "" for the acquirer's own; or names the
// calendar year without which it cannot be counted.
func (d *decision) dueDate(acquirer string, business time.Time, named string) (due recon.Date, missingYear int, err error) {
	cycle := d.rules.Acquirers.Get(acquirer).Cycle
	if named != "" {
		if cycle, err = recon.ParseCycle(named); err != nil {
			return due, 0, fmt.Errorf("stored order of %s on %s: %w", acquirer, business.Format(time.DateOnly), err)
		}
	}
	due, err = d.rules.Calendar.Due(recon.DateFromUTC(business), cycle)
	var noYear calendar.MissingYearError
	if errors.As(err, &noYear) {
		return recon.Date{}, noYear.Year, nil
	}
	return due, 0, err
}

// isDue reports whether, as of the decision, the file deadline of an acquirer has passed on a due date.
func (d *decision) isDue(acquirer string, due recon.Date) bool {
	return !d.rules.AsOf.Before(due.At(d.rules.Acquirers.Get(acquirer).Deadline, d.rules.Zone))
}

// liveDates is the condition that a business date lies behind the archived months.
const liveDates = `business_date >= COALESCE((SELECT max(month) + interval '1 month' FROM archive.month), '-infinity')`

// dueChanged reports whether a due date that was counted before is another one now. Archived months rest as they are.
func (d *decision) dueChanged(ctx context.Context) (changed bool, err error) {
	rows, err := d.tx.Query(ctx, `
		SELECT acquirer, business_date, cycle, due_date, COALESCE(missing_year, 0)::integer
		  FROM due_day
		 WHERE `+liveDates)
	if err != nil {
		return false, err
	}
	var (
		acquirer, cycle string
		business        time.Time
		was             *time.Time
		missing         int
	)
	_, err = pgx.ForEachRow(rows, []any{&acquirer, &business, &cycle, &was, &missing}, func() error {
		due, noYear, err := d.dueDate(acquirer, business, cycle)
		changed = changed || noYear != missing || was != nil && !was.Equal(due.UTC())
		return err
	})
	return changed, err
}
