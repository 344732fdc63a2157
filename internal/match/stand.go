package match

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Columns that enrich a fact: of the rows of one fact a filled value beats an empty one, else the newer file's stands.
var (
	posEnriched = []string{
		"txn_time", "channel", "original_order_id", "store_id", "terminal_id", "operator_id", "scan_mode",
		"channel_txn_id", "ref_no", "trace_no", "batch_no", "response_code", "response_message", "settle_cycle",
		"callback_time",
	}
	settlementEnriched = []string{
		"fee", "net_amount", "original_order_id", "txn_time", "terminal_id", "channel", "channel_txn_id", "ref_no",
		"trace_no", "batch_no", "payout_id", "reason_code", "reason",
	}
)

// enriched returns the select list that merges columns over the rows of a fact, and the one that names those in which
// filled values differ.
func enriched(columns []string) (values, differs string) {
	var v, d strings.Builder
	for _, c := range columns {
		fmt.Fprintf(&v, "(array_agg(%[1]s ORDER BY file_date DESC, sha256 DESC, line DESC) FILTER (WHERE %[1]s IS NOT NULL))[1] AS %[1]s,\n", c)
		fmt.Fprintf(&d, "CASE WHEN count(DISTINCT %[1]s) > 1 THEN '%[1]s' END, ", c)
	}
	return v.String(), "concat_ws(', ', " + strings.TrimSuffix(d.String(), ", ") + ") AS differs"
}

// maxHistory bounds the text, in characters, that lists every fact of a key: some forty facts, more than anybody reads.
// A broken export can put all of its rows under one order id.
const maxHistory = "4000"

// recurrenceDays separates two orders that use one key: a key that recurs more than so many days apart is another
// order (contract §2).
const recurrenceDays = 180

// recurrence is recurrenceDays in SQL.
var recurrence = strconv.Itoa(recurrenceDays)

// standSlow finds what stands of keys that have several rows on one side, a void, or rows too far apart to be one
// order. Everything it needs is in temporary tables of those keys alone; most keys have one row on each side and never
// come here.
func (d *decision) standSlow(ctx context.Context) error {
	if err := d.run(ctx, `
		CREATE TEMP TABLE slow_key ON COMMIT DROP AS
		SELECT order_key
		  FROM pos_now
		 GROUP BY order_key
		HAVING count(*) > 1 OR bool_or(type = 'VOID')
		 UNION
		SELECT order_key
		  FROM line_now
		 GROUP BY order_key
		HAVING count(*) > 1`); err != nil {
		return err
	}
	// One row on each side can be two orders only where the loaded dates span more than the recurrence.
	var spansRecurrence bool
	if err := d.tx.QueryRow(ctx, `
		SELECT COALESCE(max(last_date) - min(first_date) > $1, false) FROM file WHERE state = 'loaded'`,
		recurrenceDays).Scan(&spansRecurrence); err != nil {
		return err
	}
	if spansRecurrence {
		if err := d.run(ctx, fmt.Sprintf(`
			INSERT INTO slow_key
			SELECT DISTINCT order_key
			  FROM pos_now AS r
			  JOIN line_now AS s USING (order_key)
			 WHERE abs(r.business_date - s.business_date) > %d
			   AND order_key NOT IN (SELECT order_key FROM slow_key)`, recurrenceDays)); err != nil {
			return err
		}
	}
	posValues, posDiffers := enriched(posEnriched)
	settleValues, settleDiffers := enriched(settlementEnriched)
	return d.run(ctx,
		`ALTER TABLE slow_key ADD PRIMARY KEY (order_key)`,
		`ANALYZE slow_key`,

		// An episode is one order of a key that recurs.
		fmt.Sprintf(`
		CREATE TEMP TABLE slow_day ON COMMIT DROP AS
		WITH day AS (
		    SELECT r.order_key, r.business_date
		      FROM pos_now AS r JOIN slow_key USING (order_key)
		     UNION
		    SELECT r.order_key, r.business_date
		      FROM line_now AS r JOIN slow_key USING (order_key)
		), step AS (
		    SELECT order_key,
		           business_date,
		           CASE WHEN business_date - lag(business_date) OVER (PARTITION BY order_key ORDER BY business_date) > %d
		                THEN 1 ELSE 0
		           END AS new_order
		      FROM day
		)
		SELECT order_key,
		       business_date,
		       (sum(new_order) OVER (PARTITION BY order_key ORDER BY business_date))::smallint AS episode
		  FROM step`, recurrenceDays),

		`ANALYZE slow_day`,

		// Rows that agree in all that makes a fact but carry two different channel transaction ids are two facts; a row
		// without one belongs to the smallest.
		`CREATE TEMP TABLE slow_pos ON COMMIT DROP AS
		 SELECT r.*, f.file_date, f.sha256, f.name, f.exported_at, d.episode,
		        COALESCE(r.channel_txn_id,
		                 min(r.channel_txn_id) OVER (PARTITION BY r.order_key, d.episode, r.type, r.amount, r.currency, r.status),
		                 '') AS fact_txn
		   FROM pos_now AS r
		   JOIN slow_day AS d USING (order_key, business_date)
		   JOIN file AS f USING (file_id)`,
		`CREATE TEMP TABLE pos_fact ON COMMIT DROP AS
		 SELECT order_key, episode, type, amount, currency, status, fact_txn,
		        acquirer, merchant_id, order_id, refund_id,
		        status NOT IN ('PENDING', 'UNKNOWN') AS final,
		        (array_agg(file_id ORDER BY file_date, sha256, line))[1] AS file_id,
		        (array_agg(line ORDER BY file_date, sha256, line))[1] AS line,
		        min(file_date) AS file_date,
		        (array_agg(sha256 ORDER BY file_date, sha256, line))[1] AS sha256,
		        (array_agg(name ORDER BY file_date, sha256, line))[1] AS name,
		        max(ARRAY[file_date::text, sha256, to_char(line, 'FM0000000000')]) AS last_seen,
		        bool_and(exported_at IS NOT NULL) AS exported,
		        min(exported_at) AS first_export,
		        max(exported_at) AS last_export,
		        min(txn_time) AS first_txn_time,
		        max(txn_time) AS last_txn_time,
		        (array_agg(business_date ORDER BY file_date DESC, sha256 DESC, line DESC))[1] AS business_date,
		        `+posValues+posDiffers+`
		   FROM slow_pos
		  GROUP BY order_key, episode, type, amount, currency, status, fact_txn, acquirer, merchant_id, order_id, refund_id`,

		// The facts of a key are looked up by the statements below; a file that is sent again makes every key a slow one.
		`CREATE INDEX ON pos_fact (order_key, episode)`,
		`ANALYZE pos_fact`,

		// What stands of an order's rows. A final status beats PENDING and UNKNOWN. FAILED gives way to a SUCCESS that
		// was exported later; one SUCCESS gives way to a REVERSED or CLOSED of the same amount. Two finals left over
		// are a duplicate, shown by its SUCCESS that was seen first; of two that are not final the newest speaks.
		`CREATE TEMP TABLE pos_stands ON COMMIT DROP AS
		 WITH compared AS (
		     SELECT f.*,
		            bool_or(type = 'VOID' AND status = 'SUCCESS') OVER of_order AS voided,
		            bool_or(type <> 'VOID' AND final) OVER of_order AS has_final,
		            max(CASE WHEN type <> 'VOID' AND status = 'SUCCESS' AND exported
		                     THEN ARRAY[last_export, last_txn_time] END) OVER of_order AS last_success,
		            bool_or(type <> 'VOID' AND status IN ('REVERSED', 'CLOSED')) OVER of_amount AS undone,
		            count(*) FILTER (WHERE type <> 'VOID' AND status = 'SUCCESS') OVER of_amount AS successes
		       FROM pos_fact AS f
		     WINDOW of_order AS (PARTITION BY order_key, episode),
		            of_amount AS (PARTITION BY order_key, episode, amount, currency)
		 ), kept AS (
		     SELECT *
		       FROM compared
		      WHERE type <> 'VOID'
		        AND CASE WHEN NOT final THEN NOT has_final
		                 WHEN status = 'FAILED' AND exported THEN COALESCE(last_success < ARRAY[first_export, first_txn_time], true)
		                 WHEN status = 'SUCCESS' THEN NOT (undone AND successes = 1)
		                 ELSE true
		            END
		 )
		 SELECT DISTINCT ON (order_key, episode)
		        kept.*,
		        final AND count(*) OVER (PARTITION BY order_key, episode) > 1 AS duplicate
		   FROM kept
		  ORDER BY order_key, episode,
		           status = 'SUCCESS' DESC,
		           CASE WHEN NOT final THEN last_seen END DESC NULLS LAST,
		           file_date, sha256, line`,

		`ANALYZE pos_stands`,
		`DELETE FROM pos_merged AS m USING dirty WHERE dirty.order_key = m.order_key`,
		`INSERT INTO pos_merged (order_key, episode, voided, `+strings.Join(posEnriched, ", ")+`, differs, history)
		 SELECT order_key, episode, voided, `+strings.Join(posEnriched, ", ")+`, differs,
		        (SELECT left(string_agg(concat_ws(' ', NULLIF(f.type, s.type), f.status, f.amount, f.currency,
		                                     to_char(f.txn_time AT TIME ZONE `+d.zone()+`, 'YYYY-MM-DD HH24:MI:SS'),
		                                     NULLIF(f.fact_txn, ''), '(' || f.name || ':' || f.line || ')'),
		                           '; ' ORDER BY f.file_date, f.sha256, f.line), `+maxHistory+`)
		           FROM pos_fact AS f
		          WHERE (f.order_key, f.episode) = (s.order_key, s.episode))
		   FROM pos_stands AS s`,

		`CREATE TEMP TABLE slow_settle ON COMMIT DROP AS
		 SELECT r.*, f.file_date, f.sha256, f.name, d.episode,
		        COALESCE(r.channel_txn_id,
		                 min(r.channel_txn_id) OVER (PARTITION BY r.order_key, d.episode, r.amount, r.currency, r.status, r.settle_date),
		                 '') AS fact_txn
		   FROM line_now AS r
		   JOIN slow_day AS d USING (order_key, business_date)
		   JOIN file AS f USING (file_id)`,
		`CREATE TEMP TABLE settle_fact ON COMMIT DROP AS
		 SELECT order_key, episode, amount, currency, status, settle_date, fact_txn,
		        type, acquirer, merchant_id, order_id, refund_id,
		        array_position(ARRAY['PENDING', 'HELD', 'REJECTED', 'RETURNED', 'SETTLED'], status) AS rank,
		        (array_agg(file_id ORDER BY file_date, sha256, line))[1] AS file_id,
		        (array_agg(line ORDER BY file_date, sha256, line))[1] AS line,
		        min(file_date) AS file_date,
		        (array_agg(sha256 ORDER BY file_date, sha256, line))[1] AS sha256,
		        (array_agg(name ORDER BY file_date, sha256, line))[1] AS name,
		        (array_agg(business_date ORDER BY txn_time IS NOT NULL DESC, file_date DESC, sha256 DESC, line DESC))[1] AS business_date,
		        `+settleValues+settleDiffers+`
		   FROM slow_settle
		  GROUP BY order_key, episode, amount, currency, status, settle_date, fact_txn, type, acquirer, merchant_id, order_id, refund_id`,

		`CREATE INDEX ON settle_fact (order_key, episode)`,
		`ANALYZE settle_fact`,

		// What stands of a key's lines: the SETTLED ones that nothing un-settled since; where there is none, the latest.
		// On one date SETTLED outranks all, so only a RETURNED, REJECTED or HELD of a later date un-settles.
		`CREATE TEMP TABLE settle_stands ON COMMIT DROP AS
		 WITH undone AS (
		     SELECT order_key, episode, max(settle_date) AS settle_date
		       FROM settle_fact
		      WHERE status IN ('RETURNED', 'REJECTED', 'HELD')
		      GROUP BY order_key, episode
		 ), settled AS (
		     SELECT f.*
		       FROM settle_fact AS f
		       LEFT JOIN undone AS u USING (order_key, episode)
		      WHERE f.status = 'SETTLED'
		        AND (u.settle_date IS NULL OR f.settle_date >= u.settle_date)
		 ), latest AS (
		     SELECT DISTINCT ON (order_key, episode) f.*
		       FROM settle_fact AS f
		      WHERE NOT EXISTS (SELECT FROM settled AS s WHERE (s.order_key, s.episode) = (f.order_key, f.episode))
		      ORDER BY order_key, episode, settle_date DESC, rank DESC, file_date, sha256, line
		 )
		 SELECT * FROM settled
		  UNION ALL
		 SELECT * FROM latest`,
		`ANALYZE settle_stands`,

		`DELETE FROM standing_line AS m USING dirty WHERE dirty.order_key = m.order_key`,
		`INSERT INTO standing_line (order_key, episode, file_id, line, acquirer, type, status, currency, amount, fee, net_amount, payout_id)
		 SELECT order_key, episode, file_id, line, acquirer, type, status, currency, amount, fee, net_amount, payout_id
		   FROM settle_stands`,
		`DELETE FROM settlement_merged AS m USING dirty WHERE dirty.order_key = m.order_key`,
		`INSERT INTO settlement_merged (order_key, episode, original_order_id, txn_time, terminal_id, channel,
		        channel_txn_id, ref_no, trace_no, batch_no, payout_id, reason_code, reason,
		        differs, history)
		 -- One line is chosen before its history is told: told for each first, ten thousand lines of one key take hours.
		 SELECT order_key, episode, original_order_id, txn_time, terminal_id, channel,
		        channel_txn_id, ref_no, trace_no, batch_no, payout_id, reason_code, reason,
		        differs,
		        (SELECT left(string_agg(concat_ws(' ', f.status, f.amount, f.currency, f.settle_date,
		                                     NULLIF(f.fact_txn, ''), f.payout_id, '(' || f.name || ':' || f.line || ')'),
		                           '; ' ORDER BY f.settle_date, f.rank, f.file_date, f.sha256, f.line), `+maxHistory+`)
		           FROM settle_fact AS f
		          WHERE (f.order_key, f.episode) = (s.order_key, s.episode))
		   FROM (SELECT DISTINCT ON (order_key, episode) *
		           FROM settle_stands
		          ORDER BY order_key, episode, settle_date, file_date, sha256, line) AS s`,
		`ANALYZE pos_merged`,
		`ANALYZE settlement_merged`,
		`ANALYZE standing_line`,
		// What follows looks there for the keys to decide only.
		`CREATE TEMP TABLE pos_said ON COMMIT DROP AS
		 SELECT m.* FROM pos_merged AS m JOIN dirty USING (order_key)`,
		`CREATE TEMP TABLE line_said ON COMMIT DROP AS
		 SELECT m.* FROM settlement_merged AS m JOIN dirty USING (order_key)`,
		// Joined to rows that the planner takes for one, they would be read once for each of them.
		`ALTER TABLE pos_said ADD PRIMARY KEY (order_key, episode)`,
		`ALTER TABLE line_said ADD PRIMARY KEY (order_key, episode)`,
		`ANALYZE pos_said`,
		`ANALYZE line_said`,
	)
}

// zone returns the time zone's name as an SQL literal; zone names come from the tz database and hold no quote.
func (d *decision) zone() string {
	return "'" + strings.ReplaceAll(d.rules.Zone.String(), "'", "") + "'"
}
