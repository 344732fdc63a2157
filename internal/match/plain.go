package match

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// agree is the condition that an order p and its line s are a plain match, where each is the only row of the key and y is the
// line's payout if its money is not there.
var agree = `p.type <> 'VOID'
		          AND p.status = 'SUCCESS'
		          AND s.status = 'SETTLED'
		          AND s.amount = p.amount
		          AND s.currency = p.currency
		          AND abs(p.business_date - s.business_date) <= ` + recurrence + `
		          AND y.payout_id IS NULL`

// plainGroup are the columns by which plain matches are told together.
const plainGroup = `p.acquirer, p.merchant_id, p.channel, p.type, p.currency, p.business_date, COALESCE(p.settle_cycle, '') AS cycle,
		          s.settle_date, s.file_id AS settle_file_id, s.payout_id`

// matchPlainly counts the plain matches among the fresh rows into plain_now, and adds every other key of theirs to dirty,
// which the rest of the decision looks at, but for lines of orders that waited for them (arrived) and orders that begin to wait
// (waiting). One row on each side that agree need no thought, and most do: they are joined, told together, and never written
// down one by one.
func (d *decision) matchPlainly(ctx context.Context) error {
	if err := d.joinFresh(ctx); err != nil {
		return err
	}
	if d.rules.Joined != nil {
		d.rules.Joined()
	}
	for _, step := range []func(context.Context) error{d.findRepeated, d.findArrived, d.findKnown, d.setApart, d.findWaiting} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return d.run(ctx,
		`INSERT INTO dirty
		 SELECT other_key
		   FROM plain_now AS m
		  WHERE other_key IS NOT NULL
		    AND orders > 0
		    AND NOT EXISTS (SELECT FROM waiting AS w WHERE w.order_key = m.other_key)`,
		// Of all rows that count, where all are fresh. Those that begin to wait are not decided.
		`CREATE TEMP TABLE lineless ON COMMIT DROP AS
		 SELECT other_key AS order_key, sum(orders) AS orders, max(pos_place) AS pos_place, max(pos_of) AS pos_of
		   FROM plain_now AS m
		  WHERE other_key IS NOT NULL
		    AND NOT EXISTS (SELECT FROM waiting AS w WHERE w.order_key = m.other_key)
		  GROUP BY other_key
		 HAVING max(lines) = 0`,
		`DELETE FROM plain_now WHERE other_key IS NOT NULL`,
		`DROP TABLE without_order`,
		`ANALYZE plain_now (acquirer, merchant_id, business_date, cycle)`, // not of what was sold when, in long arrays
		// In order, so that looking one up in an index is near the last.
		`CREATE TEMP TABLE once ON COMMIT DROP AS
		 SELECT DISTINCT order_key FROM dirty WHERE order_key IS NOT NULL ORDER BY order_key`,
		`DROP TABLE dirty`,
		`ALTER TABLE once RENAME TO dirty`,
		`ALTER TABLE dirty ADD PRIMARY KEY (order_key)`,
		`ANALYZE dirty`,
	)
}

// findRepeated adds to dirty the keys with orders and lines that have several rows on one side. Whether there are any shows without
// looking at one key: a line that comes twice makes the join of orders and lines hold more orders than there are, and an order
// that comes twice more lines.
func (d *decision) findRepeated(ctx context.Context) error {
	var orders, joined, lines, joinedLines int64
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT COALESCE(sum(rows_loaded - rows_archived), 0) FROM file WHERE file_id = ANY (`+integers(d.fresh.pos)+`)),
		       (SELECT COALESCE(sum(orders), 0) FROM plain_now),
		       (SELECT COALESCE(sum(rows_loaded - rows_archived), 0) FROM file WHERE file_id = ANY (`+integers(d.fresh.lines)+`)),
		       (SELECT COALESCE(sum(lines), 0) FROM plain_now)`).Scan(&orders, &joined, &lines, &joinedLines); err != nil {
		return err
	}
	if orders == joined && lines == joinedLines {
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
		        half, sign, lines, orders, amount, net, sold)
		 SELECT `+plainGroup+`,
		        0,
		        -1,
		        count(s.order_key),
		        `+plainSums("p", "s")+`
		   FROM apart AS a
		   JOIN pos_row AS p ON p.order_key = a.order_key AND `+d.fresh.posRow("p")+`
		   JOIN settlement_row AS s ON s.order_key = p.order_key AND `+d.fresh.line("s")+`
		   LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id AND y.status <> 'PAID'
		  WHERE `+agree+`
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`,
	)
}

// plainSums returns the sums of plain matches over orders of one alias and lines of another: how many, their money,
// unsigned, and when each was sold, in seconds after the business date began in UTC.
func plainSums(order, line string) string {
	return strings.NewReplacer("{o}", order, "{l}", line).Replace(`count({o}.order_key)::integer AS orders,
		        sum({o}.amount) AS amount,
		        sum(COALESCE({l}.net_amount, {l}.amount - COALESCE({l}.fee, 0))) AS net,
		        array_agg(floor(date_part('epoch', {o}.txn_time) - 86400 * ({o}.business_date - DATE '1970-01-01'))::integer) AS sold`)
}

// findKnown adds to dirty the keys of fresh orders that earlier files told of: only with what they said can these be decided.
// Every key is looked up in the index of every partition that has earlier orders, in their order, which finds the next one near
// the last; only a short history is read. Earlier lines are not looked for: those of a key without an order are unexpected, or
// were matched with another key's, and decided on each night (chooseScope). Of lines without a fresh order nothing is known here
// that findArrived does not know.
func (d *decision) findKnown(ctx context.Context) error {
	if d.all {
		return nil
	}
	var (
		keys, rows  int64
		first, last *time.Time
	)
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT COALESCE(sum(rows_loaded), 0)::bigint FROM file WHERE file_id = ANY (`+integers(d.fresh.pos)+`)),
		       COALESCE(sum(rows_loaded), 0)::bigint,
		       min(first_date),
		       max(last_date)
		  FROM file
		 WHERE state = 'loaded'
		   AND kind = 'pos_log'
		   AND file_id <> ALL (`+integers(d.fresh.pos)+`)`).Scan(&keys, &rows, &first, &last); err != nil || first == nil {
		return err
	}
	earlier := fmt.Sprintf("BETWEEN '%s' AND '%s'", recon.DateFromUTC(*first), recon.DateFromUTC(*last))
	known := func(condition, order string) string {
		return `
		 SELECT k.order_key
		   FROM (SELECT order_key FROM pos_row AS p WHERE ` + condition + d.fresh.posRow("p") + order + `) AS k
		   JOIN pos_row AS p
		     ON p.order_key = k.order_key
		    AND p.business_date ` + earlier + `
		    AND p.file_id <> ALL (` + integers(d.fresh.pos) + `)`
	}
	settings, statement := d.lookUps(keys/4, rows), known("", "")
	if !many(keys/4, rows) && !d.distributed {
		// In their order each is found near the last, and each half of them by a process of its own. Over nodes each compares its own,
		// and nothing is brought together.
		const inOrder = `
		  ORDER BY order_key`
		// By the planner's costs sharing the reading and sorting saves less than a fifth a key, sharing the looking up a third for each
		// month.
		settings = slices.Concat(settings, []string{"parallel_tuple_cost = 0"}, besideEachOther(keys/4))
		statement = known(lowerKeys("p"), inOrder) + `
		  UNION ALL` + known(upperKeys("p"), inOrder)
	}
	return d.with(ctx, settings,
		`CREATE TEMP TABLE known_key ON COMMIT DROP AS`+statement,
		`INSERT INTO dirty SELECT order_key FROM known_key`,
		`DROP TABLE known_key`,
	)
}

// LedgerColumns are the columns of plain_match.
const LedgerColumns = `acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
		        sign, orders, amount, net, sold`

// PlainLedger selects, as LedgerColumns, what plain matches come to with a sign: those of from, a table p with the columns of view
// plain, and a condition on it where there is one.
func PlainLedger(sign int, from string) string {
	return `SELECT p.acquirer, p.merchant_id, p.channel, p.type, p.currency, p.business_date, p.due_date, p.settle_date, p.settle_file_id, p.payout_id,
		        ` + strconv.Itoa(sign) + `, ` + plainSums("p", "p") + `
		   FROM ` + from + `
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10`
}

// takeBack takes out of plain_match what is decided again, or everything, and lets the fresh files count.
func (d *decision) takeBack(ctx context.Context) error {
	if d.all {
		if err := d.run(ctx,
			`DELETE FROM plain_match`,
			// What is archived keeps the due dates that it was decided by.
			`DELETE FROM due_day WHERE `+liveDates,
			`DELETE FROM verdict`,
			`DELETE FROM pos_merged`,
			`DELETE FROM settlement_merged`,
			`DELETE FROM standing_line`,
		); err != nil {
			return err
		}
	} else if err := d.takeBackApart(ctx); err != nil {
		return err
	}
	return d.run(ctx, `DELETE FROM reread_line`, `
		UPDATE file
		   SET counts = (state = 'loaded' AND replaced_by IS NULL)
		 WHERE counts <> (state = 'loaded' AND replaced_by IS NULL)`)
}

// takeBackApart takes the plain matches among the keys in apart out of plain_match.
func (d *decision) takeBackApart(ctx context.Context) error {
	if err := d.run(ctx,
		`CREATE TEMP TABLE judged ON COMMIT DROP AS
		 SELECT v.order_key FROM verdict AS v JOIN apart USING (order_key)`,
		`CREATE TEMP TABLE maybe_plain ON COMMIT DROP AS
		 SELECT order_key
		   FROM apart
		  WHERE NOT EXISTS (SELECT FROM judged AS j WHERE j.order_key = apart.order_key)
		  ORDER BY order_key`,
		`DROP TABLE judged`,
		`ANALYZE maybe_plain`,
	); err != nil {
		return err
	}
	keys, rows, err := d.count(ctx, "maybe_plain")
	if err != nil {
		return err
	}
	// Left to itself the planner joins all of the view first, whatever the keys: OFFSET 0 makes it a look-up for each of them.
	settings, plain := d.lookUps(keys, rows), `JOIN LATERAL (SELECT * FROM plain WHERE plain.order_key = m.order_key OFFSET 0) AS p ON true`
	if many(keys, rows) || d.distributed { // where each node joins its own
		plain = `JOIN plain AS p ON p.order_key = m.order_key`
	}
	return d.with(ctx, settings,
		`CREATE TEMP TABLE was_plain ON COMMIT DROP AS
		 SELECT p.*
		   FROM maybe_plain AS m
		   `+plain,
		`INSERT INTO plain_match (`+LedgerColumns+`)
		 `+PlainLedger(-1, "was_plain AS p"),
		`DROP TABLE maybe_plain`,
		`DROP TABLE was_plain`,
	)
}
