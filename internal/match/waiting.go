package match

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// Orders that wait for their lines are most of a night whose files come before they are due, and over a holiday there are a
// million of them. Their verdict, pending, says all that is needed when the line comes, so that they are not decided one by one
// on each night until then: an order that begins to wait gets its verdict from its row (waiting), and one whose line comes as it
// should becomes a plain match by its verdict (arrived). What else can happen to one puts its key into dirty: it is due, a
// further row tells of it, or a line without an order may be its.
//
// Orders that are due, or failed, and have no line rest in the same way: of what was ever open most is that, and its verdict changes
// when a row tells of it, a line may be its, or its due date moves. What explains them is found anew on each night until it is final
// (final.go), for which they leave their rows in pos_now.

// waits is the condition that verdict v is of an order that waits for nothing but its line, rests that it is of one that has none
// though it should, or failed.
const (
	waits = `v.outcome = 'pending'
		    AND v.match_rule = 'none'
		    AND v.due_date IS NOT NULL`
	rests = `v.outcome = 'unsettled'
		    AND v.match_rule = 'none'
		    AND v.settle_key IS NULL
		    AND v.episode = 0
		    AND v.due_date IS NOT NULL`
)

// leftAlone is the condition that verdict v is not decided again before something happens to its order. What stayed behind of an
// archived month is decided each night, since nobody looks whether due dates of such a month have changed.
const leftAlone = `(` + waits + `
		     OR ` + rests + `)
		    AND v.` + liveDates

// findArrived finds in arrived the waiting orders that a fresh line makes plain matches of, and ends their verdicts. It adds to
// dirty the keys of all other lines without a fresh order, and the waiting orders that are due now.
func (d *decision) findArrived(ctx context.Context) error {
	if err := d.run(ctx, `
		CREATE TEMP TABLE arrived (
		    order_key     uuid NOT NULL,
		    acquirer      text NOT NULL,
		    merchant_id   text NOT NULL,
		    channel       text NOT NULL,
		    type          text NOT NULL,
		    currency      text NOT NULL,
		    business_date date NOT NULL,
		    due_date      date NOT NULL,
		    txn_time      timestamptz NOT NULL,
		    amount        numeric(18,2) NOT NULL,
		    fee           numeric(18,2),
		    net_amount    numeric(18,2),
		    settle_date   date NOT NULL,
		    settle_file_id integer NOT NULL,
		    payout_id     text
		) ON COMMIT DROP`); err != nil {
		return err
	}
	if d.all { // every order is fresh
		return nil
	}
	if err := d.with(ctx, wholeSides,
		`ANALYZE dirty`,
		`INSERT INTO arrived
		 SELECT v.order_key,
		        v.acquirer,
		        v.merchant_id,
		        v.channel,
		        v.type,
		        v.currency,
		        v.business_date,
		        v.due_date,
		        v.txn_time,
		        abs(v.pos_amount),
		        s.fee,
		        s.net_amount,
		        s.settle_date,
		        s.file_id,
		        s.payout_id
		   FROM without_order AS w
		   JOIN verdict AS v ON v.order_key = w.order_key
		   JOIN settlement_row AS s ON s.order_key = w.order_key AND `+d.fresh.line("s")+`
		   LEFT JOIN payout_state AS y ON y.acquirer = v.acquirer AND y.payout_id = s.payout_id AND y.status <> 'PAID'
		  WHERE w.lines = 1
		    AND `+waits+`
		    AND v.episode = 0
		    AND v.pos_status = 'SUCCESS'
		    AND s.status = 'SETTLED'
		    AND s.amount = abs(v.pos_amount)
		    AND s.currency = v.currency
		    AND abs(v.business_date - s.business_date) <= `+recurrence+`
		    AND y.payout_id IS NULL`,
		`DELETE FROM arrived AS a USING dirty AS k WHERE k.order_key = a.order_key`,
		// Of several rows, whatever they say together, no plain match is made.
		`DELETE FROM arrived WHERE order_key IN (SELECT m.order_key FROM pos_merged AS m JOIN arrived USING (order_key))`,
		`ANALYZE arrived`,
		`DELETE FROM verdict AS v
		  USING arrived AS a
		  WHERE v.order_key = a.order_key
		    AND v.episode = 0`,
		`INSERT INTO dirty
		 SELECT order_key
		   FROM without_order AS w
		  WHERE NOT EXISTS (SELECT FROM arrived AS a WHERE a.order_key = w.order_key)`,
	); err != nil {
		return err
	}
	return d.endWaiting(ctx)
}

// endWaiting adds to dirty the waiting orders that are due now, and those at rest that are not: a file deadline may have moved.
func (d *decision) endWaiting(ctx context.Context) error {
	rows, err := d.tx.Query(ctx, `
		SELECT DISTINCT acquirer, due_date, outcome
		  FROM verdict AS v
		 WHERE `+leftAlone)
	if err != nil {
		return err
	}
	var (
		acquirer, outcome   string
		due                 time.Time
		acquirers, outcomes []string
		dates               []time.Time
	)
	if _, err := pgx.ForEachRow(rows, []any{&acquirer, &due, &outcome}, func() error {
		if d.isDue(acquirer, recon.DateFromUTC(due)) == (outcome == string(recon.Pending)) {
			acquirers, dates, outcomes = append(acquirers, acquirer), append(dates, due), append(outcomes, outcome)
		}
		return nil
	}); err != nil || len(dates) == 0 {
		return err
	}
	_, err = d.tx.Exec(ctx, `
		INSERT INTO dirty
		SELECT v.order_key
		  FROM verdict AS v
		  JOIN unnest($1::text[], $2::date[], $3::text[]) AS u (acquirer, due_date, outcome)
		    ON (u.acquirer, u.due_date, u.outcome) = (v.acquirer, v.due_date, v.outcome)
		 WHERE `+leftAlone, acquirers, dates, outcomes)
	return err
}

// findWaiting finds in waiting the fresh orders that begin to wait: nothing else is known of them, and they are not due.
func (d *decision) findWaiting(ctx context.Context) error {
	if d.all { // the lines without a fresh order are no concern of findArrived's then
		if err := d.run(ctx, `INSERT INTO dirty SELECT order_key FROM without_order`); err != nil {
			return err
		}
	}
	if err := d.countDue(ctx, "plain_now WHERE orders > 0"); err != nil {
		return err
	}
	if err := d.run(ctx, `
		CREATE TEMP TABLE waiting (
		    order_key     uuid NOT NULL,
		    business_date date NOT NULL,
		    file_id       integer NOT NULL,
		    line          integer NOT NULL,
		    txn_time      timestamptz NOT NULL,
		    due_date      date NOT NULL,
		    type          text NOT NULL,
		    acquirer      text NOT NULL,
		    merchant_id   text NOT NULL,
		    channel       text NOT NULL,
		    terminal_id   text,
		    currency      text NOT NULL,
		    status        text NOT NULL,
		    amount        numeric(18,2) NOT NULL
		) ON COMMIT DROP`); err != nil {
		return err
	}
	var (
		some bool
		rows int64
	)
	if err := d.tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM due WHERE NOT is_due),
		       (SELECT COALESCE(sum(orders), 0) FROM plain_now)`).Scan(&some, &rows); err != nil || !some {
		return err
	}
	if err := d.with(ctx, wholeSides, `
		CREATE TEMP TABLE begun ON COMMIT DROP AS
		SELECT m.other_key AS order_key, min(u.due_date) AS due_date
		  FROM plain_now AS m
		  JOIN due AS u USING (acquirer, business_date, cycle)
		 WHERE m.other_key IS NOT NULL
		   AND NOT EXISTS (SELECT FROM apart AS a WHERE a.order_key = m.other_key)
		 GROUP BY m.other_key
		-- An order that comes twice is found by its lines otherwise, and here are none.
		HAVING sum(m.orders) = 1
		   AND bool_and(m.lines = 0 AND NOT u.is_due AND u.missing_year IS NULL)`); err != nil {
		return err
	}
	var n int64
	if err := d.tx.QueryRow(ctx, `SELECT count(*) FROM begun`).Scan(&n); err != nil {
		return err
	}
	// Where the indexes may still be in the making a few orders are decided as all others are: reading everything would take longer.
	if n == 0 || d.all && !many(n, rows) {
		return d.run(ctx, `DROP TABLE begun`)
	}
	if err := d.run(ctx, `ANALYZE begun`); err != nil {
		return err
	}
	return d.with(ctx, d.lookUps(n, rows),
		`INSERT INTO waiting
		 SELECT p.order_key, p.business_date, p.file_id, p.line, p.txn_time, b.due_date, p.type, p.acquirer, p.merchant_id, p.channel,
		        p.terminal_id, p.currency, p.status, p.amount
		   FROM begun AS b
		   JOIN pos_row AS p ON p.order_key = b.order_key AND `+d.fresh.posRow("p")+`
		  WHERE p.type <> 'VOID'
		    AND p.status IN ('SUCCESS', 'PENDING', 'UNKNOWN')`,
		`DROP TABLE begun`,
		`ANALYZE waiting`,
	)
}

// bringWhatMayFit adds to dirty, with their rows, the orders left alone to which a line without an order may belong: those of which
// a pass beyond the key, or the search for siblings, could say so.
func (d *decision) bringWhatMayFit(ctx context.Context) error {
	if err := d.run(ctx,
		// A line is alone where no order of its key is near enough to be its.
		`CREATE TEMP TABLE loose ON COMMIT DROP AS
		 SELECT l.acquirer, l.type, l.amount, l.currency, l.order_id, l.channel_txn_id, l.ref_no, l.trace_no
		   FROM line_now AS l
		  WHERE NOT EXISTS (SELECT
		                      FROM pos_now AS p
		                     WHERE p.order_key = l.order_key
		                       AND p.type <> 'VOID'
		                       AND abs(p.business_date - l.business_date) <= `+recurrence+`)`,
		`ANALYZE loose`,
		// The amount has to be equal in any case, and the verdict has it.
		`CREATE TEMP TABLE equal_amount ON COMMIT DROP AS
		 SELECT v.order_key, v.business_date, v.pos_file_id AS file_id, v.pos_line AS line
		   FROM verdict AS v
		  WHERE `+leftAlone+`
		    AND (v.acquirer, v.type, abs(v.pos_amount), v.currency) IN (SELECT acquirer, type, amount, currency FROM loose)`,
		`DELETE FROM equal_amount AS e USING dirty AS k WHERE k.order_key = e.order_key`,
		`INSERT INTO equal_amount
		 SELECT order_key, business_date, file_id, line
		   FROM waiting
		  WHERE (acquirer, type, amount, currency) IN (SELECT acquirer, type, amount, currency FROM loose)`,
		`ANALYZE equal_amount`,
	); err != nil {
		return err
	}
	keys, rows, err := d.count(ctx, "equal_amount")
	if err != nil || keys == 0 {
		return err
	}
	const (
		order = `
		 SELECT p.order_key, p.acquirer, p.type, p.amount, p.currency, p.order_id,
		        COALESCE(m.channel_txn_id, p.channel_txn_id) AS channel_txn_id,
		        COALESCE(m.ref_no, p.ref_no) AS ref_no,
		        COALESCE(m.trace_no, p.trace_no) AS trace_no
		   FROM equal_amount AS e
		   JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (e.order_key, e.file_id, e.line)`
		merged = `JOIN pos_merged AS m ON m.order_key = p.order_key`
	)
	if err := d.with(ctx, d.lookUps(keys, rows),
		`CREATE TEMP TABLE equal_order ON COMMIT DROP AS`+order+` AND p.business_date = e.business_date
		   LEFT `+merged,
		// Of several rows the one that a verdict names may be of another date.
		`INSERT INTO equal_order`+order+` AND p.business_date <> e.business_date
		   `+merged,
		`ANALYZE equal_order`,
	); err != nil {
		return err
	}
	return d.run(ctx,
		`CREATE TEMP TABLE may_fit ON COMMIT DROP AS
		 SELECT order_key FROM equal_order WHERE (acquirer, type, amount, currency, order_id) IN (SELECT acquirer, type, amount, currency, order_id FROM loose)
		  UNION
		 SELECT order_key FROM equal_order WHERE (acquirer, type, amount, currency, channel_txn_id) IN (SELECT acquirer, type, amount, currency, channel_txn_id FROM loose)
		  UNION
		 SELECT order_key FROM equal_order WHERE (acquirer, type, amount, currency, ref_no) IN (SELECT acquirer, type, amount, currency, ref_no FROM loose)
		  UNION
		 SELECT order_key FROM equal_order WHERE (acquirer, type, amount, currency, trace_no) IN (SELECT acquirer, type, amount, currency, trace_no FROM loose)`,
		`ANALYZE may_fit`,
		`DELETE FROM waiting AS w USING may_fit AS f WHERE f.order_key = w.order_key`,
		`INSERT INTO dirty SELECT order_key FROM may_fit`,
		`INSERT INTO pos_now
		 SELECT r.*
		   FROM pos_row AS r
		   JOIN may_fit USING (order_key)
		  WHERE r.file_id <> ALL (`+integers(d.replaced)+`)`,
		// Another order of the same id, half a year away, may have a line.
		`INSERT INTO line_now
		 SELECT r.*
		   FROM settlement_row AS r
		   JOIN may_fit USING (order_key)
		  WHERE r.file_id <> ALL (`+integers(d.replaced)+`)`,
		`ANALYZE dirty`,
		`ANALYZE pos_now`,
		`ANALYZE line_now`,
	)
}

// storeWaiting writes the verdicts of the orders that begin to wait, and tells those whose lines have arrived in plain_match.
func (d *decision) storeWaiting(ctx context.Context) error {
	return d.run(ctx,
		// By the key, so that the index takes one after the other.
		`INSERT INTO verdict (order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line,
		        txn_time, due_date, outcome, match_rule, type, acquirer, merchant_id, channel, terminal_id, currency, pos_status,
		        pos_amount, received)
		 SELECT order_key, 0, business_date, true, false, 0, file_id, line,
		        txn_time, due_date, 'pending', 'none', type, acquirer, merchant_id, channel, terminal_id, currency, status,
		        CASE WHEN type = 'REFUND' THEN -amount ELSE amount END, 0
		   FROM waiting
		  ORDER BY order_key`,
		`INSERT INTO plain_match (`+LedgerColumns+`)
		 `+PlainLedger(1, "arrived AS p"),
	)
}

// explained are the columns of a POS row that explanations read.
const explained = `order_key, file_id, line, order_id, amount, response_code, response_message, channel_txn_id, callback_time, settle_cycle`

// bringResting adds the rows of orders at rest to pos_now, as far as explanations read them, and what several rows of one say
// together to pos_said. Of days that are asleep it brings the successes, which merchants' other orders are compared with.
func (d *decision) bringResting(ctx context.Context) error {
	if d.all { // nothing rests
		return nil
	}
	const wanted = rests + `
		    AND (v.pos_status = 'SUCCESS' OR NOT ` + asleep + `)`
	var keys, rows int64
	if err := d.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM verdict AS v WHERE `+wanted+`),
		       (SELECT COALESCE(sum(rows_loaded - rows_archived), 0)::bigint
		          FROM file
		         WHERE state = 'loaded'
		           AND kind = 'pos_log')`).Scan(&keys, &rows); err != nil || keys == 0 {
		return err
	}
	return d.with(ctx, d.lookUps(keys, rows),
		`CREATE TEMP TABLE resting ON COMMIT DROP AS
		 SELECT v.order_key, v.business_date, v.pos_file_id AS file_id, v.pos_line AS line
		   FROM verdict AS v
		  WHERE `+wanted+`
		    AND v.`+liveDates+`
		  ORDER BY v.order_key`,
		`DELETE FROM resting AS r USING dirty AS k WHERE k.order_key = r.order_key`,
		`ANALYZE resting`,
		`INSERT INTO pos_said
		 SELECT m.*
		   FROM resting AS k
		   JOIN pos_merged AS m USING (order_key)`,
		`INSERT INTO pos_now (`+explained+`)
		 SELECT `+explained+`
		   FROM resting AS k
		   JOIN pos_row AS r USING (order_key, business_date, file_id, line)`,
		// Of several rows the one that a verdict names may be of another date.
		`INSERT INTO pos_now (`+explained+`)
		 SELECT r.`+strings.ReplaceAll(explained, ", ", ", r.")+`
		   FROM resting AS k
		   JOIN pos_said AS m ON (m.order_key, m.episode) = (k.order_key, 0)
		   JOIN pos_row AS r
		     ON (r.order_key, r.file_id, r.line) = (k.order_key, k.file_id, k.line)
		    AND r.business_date <> k.business_date`,
		`DROP TABLE resting`,
		`ANALYZE pos_now`,
		`ANALYZE pos_said`,
	)
}
