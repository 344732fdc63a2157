package match

import (
	"context"
	"fmt"
)

// maxCandidates bounds the pairs that one value of a matching key may give within one slot of time: a reference that
// 1,000 orders and 1,000 lines share (zeros, a constant) identifies nothing, and listing its million pairs would help
// nobody. Such a value is ambiguous without a list.
const maxCandidates = 100

// pass is one rule by which an order and a line without a partner of their own key may be found to belong together.
type pass struct {
	rule string
	key  string // columns that must be equal, all non-empty; they exist on both sides
	when string // condition on the order o and the line l beside the key
	near bool   // they must be near in time as well
}

// The passes of the contract, in order. Each requires equal acquirer and type and matches only where exactly one
// order and one line remain.
var passes = []pass{
	// A refund whose own id only one side knows: wallets repeat the sale's order id.
	{rule: "order_id", key: "acquirer, type, merchant_id, order_id, amount, currency",
		when: `o.type = 'REFUND' AND (o.refund_id IS NULL) <> (l.refund_id IS NULL)`},
	{rule: "channel_txn", key: "acquirer, type, channel_txn_id, amount, currency",
		when: `true`},
	{rule: "reference", key: "acquirer, type, ref_no, amount, currency",
		when: `true`, near: true},
	{rule: "reference", key: "acquirer, type, trace_no, terminal_id, amount, currency",
		when: `(o.ref_no IS NULL OR l.ref_no IS NULL)`, near: true},
}

// A reference number is unique within about a day and a trace number within less, so time must agree as well: ten
// minutes where both sides know the time, else the line's settle date within seven days after the business date. To
// join by it rather than to compare everything with everything, both sides are put into slots: of ten minutes (an
// order into its own and both beside it), and, for lines without a time, of a day (an order into the eight days on which
// its line may come).
const (
	orderSlots = `
		    SELECT s.slot
		      FROM (SELECT 't' || (floor(extract(epoch FROM x.txn_time) / 600)::bigint + step) AS slot
		              FROM generate_series(-1, 1) AS step
		             WHERE x.txn_time IS NOT NULL
		             UNION ALL
		            SELECT 'd' || (x.business_date + step)
		              FROM generate_series(0, 7) AS step) AS s`
	lineSlots = `
		    SELECT s.slot
		      FROM (SELECT 't' || floor(extract(epoch FROM x.txn_time) / 600)::bigint AS slot
		             WHERE x.txn_time IS NOT NULL
		             UNION ALL
		            SELECT 'd' || x.settle_date
		             WHERE x.txn_time IS NULL) AS s`
	nearInTime = `CASE WHEN o.txn_time IS NOT NULL AND l.txn_time IS NOT NULL
		              THEN o.slot LIKE 't%' AND abs(extract(epoch FROM o.txn_time - l.txn_time)) <= 600
		              ELSE o.slot LIKE 'd%'
		         END`
)

// pair finds partners for orders and lines that have none of their own key. The first pass of the contract, the key
// itself, needs no table: equal keys join when verdicts are stored.
func (d *decision) pair(ctx context.Context) error {
	if err := d.run(ctx,
		// First who is alone, by keys only: joined with what else is to be known of them at once, the planner carries a
		// million rows through the join to keep a few.
		`CREATE TEMP TABLE alone ON COMMIT DROP AS
		 SELECT o.order_key AS o_key, o.episode AS o_episode, l.order_key AS l_key, l.episode AS l_episode
		   FROM (SELECT order_key, episode FROM wo) AS o
		   FULL JOIN (SELECT order_key, episode FROM wl) AS l ON (l.order_key, l.episode) = (o.order_key, o.episode)
		  WHERE o.order_key IS NULL
		     OR l.order_key IS NULL`,
		`ANALYZE alone`,
		`CREATE TEMP TABLE lone_line ON COMMIT DROP AS
		 SELECT l.order_key, l.episode, l.business_date, l.acquirer, l.merchant_id, l.type, l.amount, l.currency, l.txn_time,
		        l.terminal_id, l.file_id, l.line, l.settle_date, r.order_id, r.refund_id,
		        COALESCE(m.channel_txn_id, r.channel_txn_id) AS channel_txn_id,
		        COALESCE(m.ref_no, r.ref_no) AS ref_no,
		        COALESCE(m.trace_no, r.trace_no) AS trace_no,
		        false AS paired
		   FROM alone AS a
		   JOIN wl AS l ON (l.order_key, l.episode) = (a.l_key, a.l_episode)
		   JOIN line_now AS r ON (r.order_key, r.file_id, r.line) = (l.order_key, l.file_id, l.line)
		   LEFT JOIN line_said AS m ON (m.order_key, m.episode) = (l.order_key, l.episode)`,
		// Where no line is alone, no order has anything to be compared with: on a day before most are due that is a million.
		`CREATE TEMP TABLE lone_order ON COMMIT DROP AS
		 SELECT o.order_key, o.episode, o.business_date, o.acquirer, o.merchant_id, o.type, o.amount, o.currency, o.txn_time,
		        o.terminal_id, o.file_id, o.line, r.order_id, r.refund_id,
		        COALESCE(m.channel_txn_id, r.channel_txn_id) AS channel_txn_id,
		        COALESCE(m.ref_no, r.ref_no) AS ref_no,
		        COALESCE(m.trace_no, r.trace_no) AS trace_no,
		        false AS paired
		   FROM alone AS a
		   JOIN wo AS o ON (o.order_key, o.episode) = (a.o_key, a.o_episode)
		   JOIN pos_now AS r ON (r.order_key, r.file_id, r.line) = (o.order_key, o.file_id, o.line)
		   LEFT JOIN pos_said AS m ON (m.order_key, m.episode) = (o.order_key, o.episode)
		  WHERE EXISTS (SELECT FROM lone_line)`,
		`ANALYZE lone_order`,
		`ANALYZE lone_line`,
		`CREATE TEMP TABLE candidate (
		     order_key uuid NOT NULL, episode smallint NOT NULL,
		     settle_key uuid NOT NULL, settle_episode smallint NOT NULL
		 ) ON COMMIT DROP`,
		`CREATE TEMP TABLE pair (
		     order_key uuid NOT NULL, episode smallint NOT NULL,
		     settle_key uuid NOT NULL, settle_episode smallint NOT NULL,
		     match_rule text NOT NULL,
		     PRIMARY KEY (order_key, episode),
		     UNIQUE (settle_key, settle_episode)
		 ) ON COMMIT DROP`,
		// Orders and lines of one crowded key value: ambiguous without a list.
		`CREATE TEMP TABLE crowd (order_key uuid NOT NULL, episode smallint NOT NULL) ON COMMIT DROP`,
	); err != nil {
		return err
	}
	for _, p := range passes {
		if err := d.runPass(ctx, p); err != nil {
			return fmt.Errorf("pass %s on %s: %w", p.rule, p.key, err)
		}
	}
	return d.run(ctx,
		// A candidate that a later pass matched elsewhere is none any more.
		`DELETE FROM candidate AS c
		  USING pair AS p
		  WHERE (p.order_key, p.episode) = (c.order_key, c.episode)
		     OR (p.settle_key, p.settle_episode) = (c.settle_key, c.settle_episode)`,
		// An order and a line that are equal but for the merchant are not matched by their key; each names the other. Merchants
		// that count their orders from 1 share order ids, so that the amount has to be equal too.
		`CREATE TEMP TABLE sibling ON COMMIT DROP AS
		 SELECT o.order_key, o.episode, l.order_key AS settle_key, l.episode AS settle_episode
		   FROM lone_order AS o
		   JOIN lone_line AS l USING (acquirer, type, order_id, amount, currency)
		  WHERE o.merchant_id <> l.merchant_id
		    AND o.refund_id IS NOT DISTINCT FROM l.refund_id
		    AND NOT o.paired
		    AND NOT l.paired`,
		`ANALYZE pair`,
	)
}

// runPass pairs what p joins one to one, and remembers the rest of what it joins as candidates.
func (d *decision) runPass(ctx context.Context, p pass) error {
	ofOrder, ofLine, when := `SELECT '' AS slot`, `SELECT '' AS slot`, p.when
	if p.near {
		ofOrder, ofLine, when = orderSlots, lineSlots, p.when+" AND "+nearInTime
	}
	sides := fmt.Sprintf(`
		WITH o AS (
		    SELECT x.*, slots.slot, count(*) OVER (PARTITION BY %[1]s, slots.slot) AS sharing
		      FROM lone_order AS x
		     CROSS JOIN LATERAL (%[2]s) AS slots
		     WHERE NOT x.paired
		       AND (%[1]s) IN (SELECT %[1]s FROM lone_line WHERE NOT paired)
		), l AS (
		    SELECT x.*, slots.slot, count(*) OVER (PARTITION BY %[1]s, slots.slot) AS sharing
		      FROM lone_line AS x
		     CROSS JOIN LATERAL (%[3]s) AS slots
		     WHERE NOT x.paired
		       AND (%[1]s) IN (SELECT %[1]s FROM lone_order WHERE NOT paired)
		)`, p.key, ofOrder, ofLine)
	if _, err := d.tx.Exec(ctx, fmt.Sprintf(`
		CREATE TEMP TABLE found ON COMMIT DROP AS %s
		SELECT o.order_key, o.episode, l.order_key AS settle_key, l.episode AS settle_episode
		  FROM o
		  JOIN l USING (%s, slot)
		 WHERE o.sharing * l.sharing <= %d
		   AND %s`, sides, p.key, maxCandidates, when)); err != nil {
		return err
	}
	if _, err := d.tx.Exec(ctx, fmt.Sprintf(`
		CREATE TEMP TABLE crowd_now ON COMMIT DROP AS %[1]s, crowded AS (
		    SELECT DISTINCT %[2]s, slot FROM o JOIN (SELECT DISTINCT %[2]s, slot, sharing FROM l) AS l USING (%[2]s, slot) WHERE o.sharing * l.sharing > %[3]d
		)
		SELECT order_key, episode FROM o JOIN crowded USING (%[2]s, slot)
		 UNION
		SELECT order_key, episode FROM l JOIN crowded USING (%[2]s, slot)`, sides, p.key, maxCandidates)); err != nil {
		return err
	}
	return d.run(ctx,
		// What is in a crowd has more candidates than are listed: it is one to one with nobody.
		`INSERT INTO pair
		 SELECT order_key, episode, settle_key, settle_episode, '`+p.rule+`'
		   FROM (SELECT *,
		                count(*) OVER (PARTITION BY order_key, episode) AS lines,
		                count(*) OVER (PARTITION BY settle_key, settle_episode) AS orders
		           FROM found) AS counted
		  WHERE lines = 1
		    AND orders = 1
		    AND NOT EXISTS (SELECT FROM crowd_now AS c WHERE (c.order_key, c.episode) = (counted.order_key, counted.episode))
		    AND NOT EXISTS (SELECT FROM crowd_now AS c WHERE (c.order_key, c.episode) = (counted.settle_key, counted.settle_episode))`,
		`UPDATE lone_order AS o SET paired = true FROM pair AS p WHERE NOT o.paired AND (p.order_key, p.episode) = (o.order_key, o.episode)`,
		`UPDATE lone_line AS l SET paired = true FROM pair AS p WHERE NOT l.paired AND (p.settle_key, p.settle_episode) = (l.order_key, l.episode)`,
		`INSERT INTO candidate
		 SELECT f.order_key, f.episode, f.settle_key, f.settle_episode
		   FROM found AS f
		  WHERE NOT EXISTS (SELECT FROM pair AS p WHERE (p.order_key, p.episode) = (f.order_key, f.episode))
		    AND NOT EXISTS (SELECT FROM pair AS p WHERE (p.settle_key, p.settle_episode) = (f.settle_key, f.settle_episode))`,
		`DROP TABLE found`,
		`INSERT INTO crowd SELECT order_key, episode FROM crowd_now`,
		`DROP TABLE crowd_now`,
	)
}
