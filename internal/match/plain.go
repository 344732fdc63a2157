package match

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// fresh are files whose rows no run has decided and which count, with the business dates that bound their rows.
type fresh struct {
	pos, lines           []int32
	posDates, linesDates [2]recon.Date
}

// readFresh reads which files are fresh; where all is decided, every file that counts.
func (d *decision) readFresh(ctx context.Context) error {
	rows, err := d.tx.Query(ctx, `
		SELECT file_id, kind = 'pos_log', first_date, last_date
		  FROM file
		 WHERE state = 'loaded'
		   AND replaced_by IS NULL
		   AND kind IN ('pos_log', 'settlement')
		   AND first_date IS NOT NULL
		   AND (NOT decided OR $1)
		 ORDER BY file_id`, d.all)
	if err != nil {
		return err
	}
	var (
		id          int32
		pos         bool
		first, last time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &pos, &first, &last}, func() error {
		files, dates := &d.fresh.lines, &d.fresh.linesDates
		if pos {
			files, dates = &d.fresh.pos, &d.fresh.posDates
		}
		*files = append(*files, id)
		if from := recon.DateFromUTC(first); dates[0].IsZero() || from.Before(dates[0]) {
			dates[0] = from
		}
		if to := recon.DateFromUTC(last); to.After(dates[1]) {
			dates[1] = to
		}
		return nil
	})
	return err
}

// where returns the condition that a row of alias is of a fresh file, in constants: they let the planner read only the
// partitions that hold such rows, and hash a long list of files.
func where(alias string, files []int32, dates [2]recon.Date) string {
	if len(files) == 0 {
		return "false"
	}
	return fmt.Sprintf("%[1]s.file_id = ANY (%[2]s) AND %[1]s.business_date BETWEEN '%[3]s' AND '%[4]s'",
		alias, integers(files), dates[0], dates[1])
}

func (f *fresh) posRow(alias string) string { return where(alias, f.pos, f.posDates) }
func (f *fresh) line(alias string) string   { return where(alias, f.lines, f.linesDates) }

// integers returns ids as an SQL array constant.
func integers(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return "'{" + strings.Join(texts, ",") + "}'::integer[]"
}

// agree is the condition that an order p and its line s are a plain match, where each is the only row of the key and the
// line's payout is in state y.
var agree = `p.type <> 'VOID'
		          AND p.status = 'SUCCESS'
		          AND s.status = 'SETTLED'
		          AND s.amount = p.amount
		          AND s.currency = p.currency
		          AND abs(p.business_date - s.business_date) <= ` + strconv.Itoa(recurrenceDays) + `
		          AND (y.status IS NULL OR y.status = 'PAID')`

// plainGroup are the columns by which plain matches are told together.
const plainGroup = `p.acquirer, p.merchant_id, p.channel, p.type, p.currency, p.business_date, COALESCE(p.settle_cycle, ''),
		          s.settle_date, s.file_id, s.payout_id`

// matchPlainly counts the plain matches among the fresh rows into plain_now, and adds every other key of theirs to dirty,
// which the rest of the decision looks at. One row on each side that agree need no thought, and most do: they are joined,
// told together, and never written down one by one.
func (d *decision) matchPlainly(ctx context.Context) error {
	posRow, line := d.fresh.posRow("p"), d.fresh.line("s")
	if err := d.with(ctx, wholeSides,
		// What is no plain match gets a group of its own, by its key.
		`CREATE TEMP TABLE plain_now (acquirer, merchant_id, channel, type, currency, business_date, cycle, settle_date, settle_file_id, payout_id,
		        other_key, sign, lines, orders, amount, net, sold) ON COMMIT DROP AS
		 SELECT `+plainGroup+`,
		        CASE WHEN `+agree+` THEN NULL ELSE p.order_key END,
		        1::smallint,
		        count(s.order_key),
		        `+plainSums("p", "s")+`
		   FROM pos_row AS p
		   LEFT JOIN settlement_row AS s ON s.order_key = p.order_key AND `+line+`
		   LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
		  WHERE `+posRow+`
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`,
		`CREATE TEMP TABLE without_order ON COMMIT DROP AS
		 SELECT s.order_key
		   FROM settlement_row AS s
		  WHERE `+line+`
		    AND NOT EXISTS (SELECT FROM pos_row AS p WHERE p.order_key = s.order_key AND `+posRow+`)`,
	); err != nil {
		return err
	}
	if d.rules.Joined != nil {
		d.rules.Joined()
	}
	if err := d.findRepeated(ctx); err != nil {
		return err
	}
	if err := d.findKnown(ctx); err != nil {
		return err
	}
	if err := d.setApart(ctx); err != nil {
		return err
	}
	return d.run(ctx,
		`INSERT INTO dirty
		 SELECT other_key FROM plain_now WHERE other_key IS NOT NULL`,
		`DELETE FROM plain_now WHERE other_key IS NOT NULL`,
		`INSERT INTO dirty SELECT order_key FROM without_order`,
		`DROP TABLE without_order`,
		`ANALYZE plain_now`,
		`CREATE TEMP TABLE once ON COMMIT DROP AS
		 SELECT DISTINCT order_key FROM dirty WHERE order_key IS NOT NULL`,
		`DROP TABLE dirty`,
		`ALTER TABLE once RENAME TO dirty`,
		`ALTER TABLE dirty ADD PRIMARY KEY (order_key)`,
		`ANALYZE dirty`,
	)
}

// findRepeated adds to dirty the keys that have several rows on one side. Whether there are any shows without looking at one
// key: a line that comes twice makes the join of orders and lines longer than the orders are, and an order that comes twice
// makes it hold more lines than there are with an order.
func (d *decision) findRepeated(ctx context.Context) error {
	var orders, joined, linesWithOrder, joinedLines int64
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT COALESCE(sum(rows_loaded - rows_archived), 0) FROM file WHERE file_id = ANY (`+integers(d.fresh.pos)+`)),
		       (SELECT COALESCE(sum(orders), 0) FROM plain_now),
		       (SELECT COALESCE(sum(rows_loaded - rows_archived), 0) FROM file WHERE file_id = ANY (`+integers(d.fresh.lines)+`)) - (SELECT count(*) FROM without_order),
		       (SELECT COALESCE(sum(lines), 0) FROM plain_now)`).Scan(&orders, &joined, &linesWithOrder, &joinedLines); err != nil {
		return err
	}
	if orders == joined && linesWithOrder == joinedLines {
		return nil
	}
	// One worker counts faster than two whose counts have to be brought together.
	return d.with(ctx, append(slices.Clone(wholeSides), "max_parallel_workers_per_gather = 0"),
		`INSERT INTO dirty
		 SELECT p.order_key FROM pos_row AS p WHERE `+d.fresh.posRow("p")+` GROUP BY p.order_key HAVING count(*) > 1`,
		`INSERT INTO dirty
		 SELECT s.order_key FROM settlement_row AS s WHERE `+d.fresh.line("s")+` GROUP BY s.order_key HAVING count(*) > 1`,
	)
}

// setApart takes out of plain_now what the fresh rows make of the keys in dirty, which need more than them. It leaves them in
// the temporary table apart: what earlier runs decided is only of these.
func (d *decision) setApart(ctx context.Context) error {
	var apart int64
	if err := d.run(ctx,
		`CREATE TEMP TABLE apart ON COMMIT DROP AS
		 SELECT DISTINCT order_key FROM dirty WHERE order_key IS NOT NULL`,
		`ANALYZE apart`,
	); err != nil {
		return err
	}
	if err := d.tx.QueryRow(ctx, `SELECT count(*) FROM apart`).Scan(&apart); err != nil || apart == 0 {
		return err
	}
	settings := append([]string{"join_collapse_limit = 1"}, fewKeys...) // from the keys to their rows
	if d.all || apart > 20_000 {                                        // so many look-ups cost what reading both sides does
		settings = wholeSides
	}
	return d.with(ctx, settings,
		`INSERT INTO plain_now (acquirer, merchant_id, channel, type, currency, business_date, cycle, settle_date, settle_file_id, payout_id,
		        sign, lines, orders, amount, net, sold)
		 SELECT `+plainGroup+`,
		        -1,
		        count(s.order_key),
		        `+plainSums("p", "s")+`
		   FROM apart AS a
		   JOIN pos_row AS p ON p.order_key = a.order_key AND `+d.fresh.posRow("p")+`
		   JOIN settlement_row AS s ON s.order_key = p.order_key AND `+d.fresh.line("s")+`
		   LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
		  WHERE `+agree+`
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`,
	)
}

// Settings that make a plan what it is known to have to be: the planner has no statistics of a partitioned table as a whole,
// takes what it joins for billions of rows or for a few, and chooses a loop or a sort that takes ten times as long.
var (
	// Both sides are read once and hashed, by one worker beside the leader: counting, which is the leader's alone, takes it as
	// long as the join takes the two.
	wholeSides = []string{"enable_nestloop = off", "enable_sort = off", "parallel_tuple_cost = 0", "parallel_setup_cost = 0",
		"max_parallel_workers_per_gather = 1"}
	// Few keys are looked up in the indexes of a long history.
	fewKeys = []string{"enable_hashjoin = off"}
)

// with runs statements under settings of the planner, and takes those back.
func (d *decision) with(ctx context.Context, settings []string, statements ...string) error {
	var all []string
	for _, s := range settings {
		all = append(all, "SET LOCAL "+s)
	}
	all = append(all, statements...)
	for _, s := range settings {
		name, _, _ := strings.Cut(s, " ")
		all = append(all, "SET LOCAL "+name+" TO DEFAULT")
	}
	return d.run(ctx, all...)
}

// plainSums returns the sums of plain matches over orders of one alias and lines of another: how many, their money,
// unsigned, and when each was sold, in seconds after the business date began in UTC.
func plainSums(order, line string) string {
	return strings.NewReplacer("{o}", order, "{l}", line).Replace(`count(*)::integer AS orders,
		        sum({o}.amount) AS amount,
		        sum(COALESCE({l}.net_amount, {l}.amount - COALESCE({l}.fee, 0))) AS net,
		        array_agg(floor(date_part('epoch', {o}.txn_time) - 86400 * ({o}.business_date - DATE '1970-01-01'))::integer) AS sold`)
}

// findKnown adds to dirty the fresh keys that earlier files told of: only with what they said can these be decided. Every
// key is looked up in the index of every partition that has earlier rows; a scan of the history would cost what it holds.
func (d *decision) findKnown(ctx context.Context) error {
	if d.all {
		return nil
	}
	if err := d.run(ctx,
		`CREATE TEMP TABLE fresh_key ON COMMIT DROP AS
		 SELECT p.order_key FROM pos_row AS p WHERE `+d.fresh.posRow("p")+`
		  UNION
		 SELECT s.order_key FROM settlement_row AS s WHERE `+d.fresh.line("s"),
		`ANALYZE fresh_key`,
	); err != nil {
		return err
	}
	var (
		keys, rows  int64
		first, last *time.Time
	)
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM fresh_key),
		       COALESCE(sum(rows_loaded), 0)::bigint,
		       min(first_date),
		       max(last_date)
		  FROM file
		 WHERE state = 'loaded'
		   AND kind IN ('pos_log', 'settlement')
		   AND file_id <> ALL (`+integers(d.fresh.pos)+`)
		   AND file_id <> ALL (`+integers(d.fresh.lines)+`)`).Scan(&keys, &rows, &first, &last); err != nil {
		return err
	}
	if first == nil {
		return d.run(ctx, `DROP TABLE fresh_key`)
	}
	earlier := fmt.Sprintf("BETWEEN '%s' AND '%s'", recon.DateFromUTC(*first), recon.DateFromUTC(*last))
	return d.with(ctx, lookUps(keys, rows),
		`INSERT INTO dirty
		 SELECT k.order_key
		   FROM fresh_key AS k
		  WHERE EXISTS (SELECT
		                  FROM pos_row AS p
		                 WHERE p.order_key = k.order_key
		                   AND p.business_date `+earlier+`
		                   AND p.file_id <> ALL (`+integers(d.fresh.pos)+`))`,
		`INSERT INTO dirty
		 SELECT k.order_key
		   FROM fresh_key AS k
		  WHERE EXISTS (SELECT
		                  FROM settlement_row AS s
		                 WHERE s.order_key = k.order_key
		                   AND s.business_date `+earlier+`
		                   AND s.file_id <> ALL (`+integers(d.fresh.lines)+`))`,
		`DROP TABLE fresh_key`,
	)
}

// PlainLedger selects what plain matches that meet a condition on view plain, as p, come to: what follows on sign in the columns
// of plain_match, with sign before it.
func PlainLedger(sign int, where string) string {
	return `SELECT p.acquirer, p.merchant_id, p.channel, p.type, p.currency, p.business_date, p.due_date, p.settle_date, p.settle_file_id, p.payout_id,
		        ` + strconv.Itoa(sign) + `, ` + plainSums("p", "p") + `
		   FROM plain AS p
		  WHERE ` + where + `
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`
}

// lookUps returns the settings for finding keys among rows: looking one up costs about what reading twenty rows does.
func lookUps(keys, rows int64) []string {
	if keys*20 > rows {
		return wholeSides
	}
	return fewKeys
}

// takeBack takes out of plain_match what is decided again, or everything, and lets the fresh files count.
func (d *decision) takeBack(ctx context.Context) error {
	if d.all {
		if err := d.run(ctx,
			`DELETE FROM plain_match`,
			// What is archived keeps the due dates that it was decided by.
			`DELETE FROM due_day WHERE business_date >= COALESCE((SELECT max(month) + interval '1 month' FROM archive.month), '-infinity')`,
			`DELETE FROM verdict`,
			`DELETE FROM pos_merged`,
			`DELETE FROM settlement_merged`,
			`DELETE FROM standing_line`,
		); err != nil {
			return err
		}
	} else if err := d.run(ctx,
		`CREATE TEMP TABLE maybe_plain ON COMMIT DROP AS
		 SELECT order_key
		   FROM apart
		  WHERE NOT EXISTS (SELECT FROM verdict AS v WHERE v.order_key = apart.order_key)`,
		`ANALYZE maybe_plain`,
	); err != nil {
		return err
	} else if err := d.with(ctx, fewKeys,
		`CREATE TEMP TABLE was_plain ON COMMIT DROP AS
		 SELECT p.*
		   FROM maybe_plain AS m
		   JOIN plain AS p ON p.order_key = m.order_key`,
		`INSERT INTO plain_match (acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
		        sign, orders, amount, net, sold)
		 SELECT p.acquirer, p.merchant_id, p.channel, p.type, p.currency, p.business_date, p.due_date, p.settle_date, p.settle_file_id, p.payout_id,
		        -1, `+plainSums("p", "p")+`
		   FROM was_plain AS p
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`,
		`DROP TABLE maybe_plain`,
		`DROP TABLE was_plain`,
	); err != nil {
		return err
	}
	return d.run(ctx, `DELETE FROM reread_line`, `
		UPDATE file
		   SET counts = (state = 'loaded' AND replaced_by IS NULL)
		 WHERE counts <> (state = 'loaded' AND replaced_by IS NULL)`)
}

// listedKeys bounds how many keys are handed over as a list: two megabytes.
const listedKeys = 100_000

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
	var keys, rows int64
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM dirty),
		       (SELECT COALESCE(sum(greatest(c.reltuples, 0)), 0)::bigint
		          FROM pg_inherits AS i
		          JOIN pg_class AS c ON c.oid = i.inhrelid
		         WHERE i.inhparent IN ('pos_row'::regclass, 'settlement_row'::regclass))`).Scan(&keys, &rows); err != nil {
		return err
	}
	settings := lookUps(keys, rows)
	if d.all { // the indexes may still be in the making
		settings = wholeSides
	}
	if d.all && keys <= listedKeys {
		// A list, unlike a temporary table, can be looked into by several workers, which read the rows side by side.
		found, err := d.tx.Query(ctx, `SELECT order_key FROM dirty`)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(found, pgx.RowTo[[16]byte])
		if err != nil {
			return err
		}
		for _, sql := range []string{posNow, lineNow} {
			if _, err := d.tx.Exec(ctx, sql+`WHERE r.order_key = ANY ($1) AND `+counting, list); err != nil {
				return err
			}
		}
	} else if err := d.with(ctx, settings,
		posNow+`JOIN dirty USING (order_key) WHERE `+counting,
		lineNow+`JOIN dirty USING (order_key) WHERE `+counting,
	); err != nil {
		return err
	}
	return d.run(ctx, `ANALYZE pos_now`, `ANALYZE line_now`)
}
