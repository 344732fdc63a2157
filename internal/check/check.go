// Package check re-derives every invariant from the stored facts: what a run must have stored is computed again from
// nothing and compared, row by row. It changes nothing; what it writes on the way is rolled back.
package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/postgres"
)

// Finding is one row that breaks an invariant, or, as a note, one that a person should know of.
type Finding struct {
	Invariant string `json:"invariant"`
	Row       string `json:"row"`    // which row, so that it can be found
	Detail    string `json:"detail"` // what is wrong with it
}

// Report is what a check found.
type Report struct {
	Violations []Finding `json:"violations"`
	Notes      []Finding `json:"notes"`
	Checked    []string  `json:"checked"`
	More       int       `json:"more"` // findings beyond the limit of each invariant
}

// perInvariant bounds the findings of one invariant: enough to see what they have in common.
const perInvariant = 50

// invariant is a statement that selects the rows that break it, as (row, detail), and must select none.
type invariant struct {
	name string
	note bool
	sql  string
}

// name is an order in a finding, by its key; look tells the ids that a person can search for instead.
func name(alias string) string {
	return fmt.Sprintf(`'%[2]s' || %[1]s.order_key || '#' || %[1]s.episode`, alias, orderMark)
}

// orderMark begins the name of an order by its key.
const orderMark = "order\x1f"

// nameSQL tells the ids of an order, from whichever row has them.
const nameSQL = `
	SELECT COALESCE(
	       (SELECT concat_ws('/', r.acquirer, r.merchant_id, r.type, r.order_id, r.refund_id) FROM pos_row AS r WHERE r.order_key = $1 LIMIT 1),
	       (SELECT concat_ws('/', r.acquirer, r.merchant_id, r.type, r.order_id, r.refund_id) FROM settlement_row AS r WHERE r.order_key = $1 LIMIT 1),
	       $1::text)`

// tell returns the name of a row as a person knows it.
func tell(ctx context.Context, tx pgx.Tx, row string) (string, error) {
	order, ok := strings.CutPrefix(row, orderMark)
	if !ok {
		return row, nil
	}
	key, episode, _ := strings.Cut(order, "#")
	if err := tx.QueryRow(ctx, nameSQL, key).Scan(&row); err != nil {
		return "", err
	}
	if episode != "0" {
		row += "#" + episode
	}
	return row, nil
}

// rowsOfFiles counts the rows of each file, live or archived; one file may have several counts.
const (
	rowsOfFiles = `
			        SELECT file_id, count(*) AS rows FROM pos_row GROUP BY file_id
			         UNION ALL
			        SELECT file_id, count(*) FROM settlement_row GROUP BY file_id
			         UNION ALL
			        SELECT file_id, count(*) FROM payout_row GROUP BY file_id
			         UNION ALL
			        SELECT file_id, count(*) FROM bank_row GROUP BY file_id
			         UNION ALL` + archivedRowsOfFiles
	archivedRowsOfFiles = `
			        SELECT file_id, count(*) AS rows FROM archive.pos_row GROUP BY file_id
			         UNION ALL
			        SELECT file_id, count(*) FROM archive.settlement_row GROUP BY file_id`
)

// stored are the invariants of what is stored, checked before anything is derived again.
func stored() []invariant {
	return []invariant{
		{name: "every loaded file has as many rows as its entry says", sql: `
			SELECT f.name || ' (file ' || f.file_id || ')', 'the register says ' || f.rows_loaded || ' rows, the tables hold ' || COALESCE(n.rows, 0)
			  FROM file AS f
			  LEFT JOIN (SELECT file_id, sum(rows) AS rows FROM (` + rowsOfFiles + `) AS r GROUP BY file_id) AS n USING (file_id)
			 WHERE f.rows_loaded <> COALESCE(n.rows, 0)
			 ORDER BY f.file_id`},
		{name: "every file has as many archived rows as its entry says", sql: `
			SELECT f.name || ' (file ' || f.file_id || ')', 'the register says ' || f.rows_archived || ' archived rows, the archive holds ' || COALESCE(n.rows, 0)
			  FROM file AS f
			  LEFT JOIN (` + archivedRowsOfFiles + `) AS n USING (file_id)
			 WHERE f.rows_archived <> COALESCE(n.rows, 0)
			 ORDER BY f.file_id`},
		{name: "every log's habits are those of its rows", sql: `
			WITH of_rows AS (
			    SELECT p.file_id, p.acquirer, p.business_date AS date, count(*) AS sales, count(p.callback_time) AS heard, count(p.channel_txn_id) AS numbered
			      FROM pos_row AS p
			     WHERE p.status = 'SUCCESS'
			       AND p.type = 'SALE'
			     GROUP BY p.file_id, p.acquirer, p.business_date
			), log AS (
			    SELECT file_id, name, habits
			      FROM file
			     WHERE habits IS NOT NULL
			       AND rows_archived = 0
			), told AS (
			    SELECT g.file_id, h.*
			      FROM log AS g
			     CROSS JOIN LATERAL jsonb_to_recordset(g.habits) AS h (acquirer text, date date, sales bigint, heard bigint, numbered bigint)
			)
			SELECT g.name || ' (file ' || g.file_id || ')',
			       'the register says of ' || acquirer || ' on ' || date || ' ' || COALESCE(t.sales || ' sales, ' || t.heard || ' callbacks, ' || t.numbered || ' channel ids', 'nothing')
			       || ', its rows ' || COALESCE(r.sales || ', ' || r.heard || ', ' || r.numbered, 'nothing')
			  FROM told AS t
			  FULL JOIN of_rows AS r USING (file_id, acquirer, date)
			  JOIN log AS g USING (file_id)
			 WHERE (t.sales, t.heard, t.numbered) IS DISTINCT FROM (r.sales, r.heard, r.numbered)
			 ORDER BY file_id, acquirer, date`},
		// Rows of one order are at most 180 days apart; a file that no run has decided brings the rest back when one does.
		{name: "no order is archived in part", sql: `
			WITH archived AS (
			    SELECT order_key, business_date FROM archive.pos_row
			     UNION
			    SELECT order_key, business_date FROM archive.settlement_row
			), live AS (
			    SELECT r.order_key, r.business_date FROM pos_row AS r JOIN file AS f USING (file_id) WHERE f.decided
			     UNION
			    SELECT r.order_key, r.business_date FROM settlement_row AS r JOIN file AS f USING (file_id) WHERE f.decided
			)
			SELECT DISTINCT order_key::text, 'has rows of ' || a.business_date || ' in the archive, and live ones of ' || l.business_date
			  FROM archived AS a
			  JOIN live AS l USING (order_key)
			 WHERE l.business_date < (SELECT max(business_date) FROM archived) + 180
			   AND abs(l.business_date - a.business_date) <= 180
			 ORDER BY 1, 2`},
		{name: "every rejected line is kept", sql: `
			SELECT f.name || ' (file ' || f.file_id || ')', 'the register says ' || f.rows_rejected || ' rejected lines, ' || COALESCE(n.lines, 0) || ' are kept'
			  FROM file AS f
			  LEFT JOIN (SELECT file_id, count(*) AS lines FROM rejected_line GROUP BY file_id) AS n USING (file_id)
			 WHERE f.rows_rejected <> COALESCE(n.lines, 0)
			 ORDER BY f.file_id`},
		{name: "every row is of a loaded file", sql: `
			SELECT 'file ' || n.file_id, n.rows || ' rows of a file that the register does not have as loaded'
			  FROM (` + rowsOfFiles + `) AS n
			 WHERE NOT EXISTS (SELECT FROM file AS f WHERE f.file_id = n.file_id AND f.state = 'loaded')
			 ORDER BY n.file_id`},
		{name: "every row's key is that of the order it names", sql: `
			WITH told AS (
			    SELECT order_key, acquirer, merchant_id, file_id, line,
			           CASE type WHEN 'VOID' THEN 'SALE' ELSE type END AS type,
			           CASE type WHEN 'VOID' THEN COALESCE(original_order_id, order_id) ELSE order_id END AS order_id,
			           CASE type WHEN 'REFUND' THEN COALESCE('R' || refund_id, 'A' || amount) ELSE '' END AS part
			      FROM (SELECT order_key, acquirer, merchant_id, file_id, line, type, order_id, refund_id, original_order_id, amount FROM pos_row
			             UNION ALL
			            SELECT order_key, acquirer, merchant_id, file_id, line, type, order_id, refund_id, original_order_id, amount FROM archive.pos_row) AS p
			     UNION ALL
			    SELECT order_key, acquirer, merchant_id, file_id, line, type, order_id,
			           CASE type WHEN 'REFUND' THEN COALESCE('R' || refund_id, 'A' || amount) ELSE '' END
			      FROM (SELECT order_key, acquirer, merchant_id, file_id, line, type, order_id, refund_id, amount FROM settlement_row
			             UNION ALL
			            SELECT order_key, acquirer, merchant_id, file_id, line, type, order_id, refund_id, amount FROM archive.settlement_row) AS s
			)
			SELECT concat_ws('/', acquirer, merchant_id, type, order_id), 'file ' || file_id || ' line ' || line || ' is stored under the key of another order'
			  FROM told
			 WHERE order_key <> encode(substring(sha256(convert_to(concat(
			           acquirer, chr(31), merchant_id, chr(31), type, chr(31), order_id, chr(31), part, chr(31)), 'UTF8')) FOR 16), 'hex')::uuid
			 ORDER BY file_id, line
			 LIMIT 51`},
		{name: "owed and excess are never both on a row, and received is what arrived and what is in excess", sql: `
			SELECT ` + name("v") + `, 'due ' || m.amount_due || ', arrived ' || m.amount_arrived || ', owed ' || m.amount_owed || ', excess ' || m.amount_excess || ', received ' || v.received
			  FROM decided AS v
			  JOIN verdict_money AS m USING (order_key, episode)
			 WHERE m.amount_owed * m.amount_excess <> 0
			    OR m.amount_due <> m.amount_arrived + m.amount_owed
			    OR v.received <> m.amount_arrived + m.amount_excess
			 ORDER BY v.order_key, v.episode`},
		{name: "plain matches told together are the plain matches", sql: `
			WITH facts AS (
			    SELECT acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
			           count(*) AS orders,
			           sum(amount) AS amount,
			           sum(COALESCE(net_amount, amount - COALESCE(fee, 0))) AS net,
			           array_agg(floor(date_part('epoch', txn_time) - 86400 * (business_date - DATE '1970-01-01'))::integer) AS sold
			      FROM plain
			     GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
			), both_sides AS (
			    SELECT acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
			           sign AS side, sign * orders AS orders, sign * amount AS amount, sign * net AS net,
			           sign * (SELECT sum(s::bigint * s) FROM unnest(sold) AS s) AS sold
			      FROM plain_match
			     UNION ALL
			    SELECT acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id,
			           0, -orders, -amount, -net, -(SELECT sum(s::bigint * s) FROM unnest(sold) AS s)
			      FROM facts
			)
			SELECT concat_ws('/', acquirer, merchant_id, channel, type, business_date, settle_date, payout_id),
			       'told together are ' || sum(orders) || ' orders and ' || sum(amount) || ' ' || currency || ' more than the facts hold'
			  FROM both_sides
			 GROUP BY acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id
			HAVING (sum(orders), sum(amount), sum(net), sum(sold)) IS DISTINCT FROM (0, 0.00, 0.00, 0)
			 ORDER BY 1`},
		{name: "no settlement line is claimed twice, nor claimed and unexpected", sql: `
			WITH of_another AS MATERIALIZED (
			    SELECT order_key, episode, settle_key, settle_episode
			      FROM verdict
			     WHERE (settle_key, settle_episode) <> (order_key, episode)
			)
			SELECT ` + name("v") + `, 'its line is claimed by another verdict as well'
			  FROM of_another AS v
			  JOIN verdict AS w ON (w.order_key, w.episode) = (v.settle_key, v.settle_episode)
			 WHERE w.outcome = 'unexpected_settlement'
			 UNION ALL
			-- Whoever claims the line of its own key is alone with it, unless one of these claims it as well.
			SELECT ` + name("v") + `, 'its line is claimed by another verdict as well'
			  FROM of_another AS v
			  JOIN decided AS w ON (w.order_key, w.episode) = (v.settle_key, v.settle_episode)
			 WHERE (w.settle_key, w.settle_episode) = (w.order_key, w.episode)
			 UNION ALL
			SELECT ` + name("v") + `, 'its line is claimed by another verdict as well'
			  FROM (SELECT *, count(*) OVER (PARTITION BY settle_key, settle_episode) AS claims
			          FROM of_another) AS v
			 WHERE v.claims > 1`},
		{name: "every flagged verdict is explained, and no other but what says why", sql: `
			SELECT ` + name("v") + `, 'outcome ' || v.outcome || ' without an explanation'
			  FROM verdict AS v
			  LEFT JOIN explanation AS x USING (order_key, episode)
			 WHERE v.outcome NOT IN ('matched', 'pending')
			   AND x.order_key IS NULL
			 UNION ALL
			SELECT ` + name("x") + `, 'an explanation without a verdict to explain'
			  FROM explanation AS x
			  LEFT JOIN verdict AS v USING (order_key, episode)
			 WHERE v.order_key IS NULL
			    OR v.outcome = 'matched' AND v.match_rule <> 'ambiguous'`},
		{name: "outcomes that carry a cause have one", sql: `
			SELECT ` + name("v") + `, 'outcome ' || v.outcome || ', cause ' || COALESCE(x.cause, 'none')
			  FROM verdict AS v
			  JOIN explanation AS x USING (order_key, episode)
			 WHERE (v.outcome IN ('unsettled', 'status_mismatch', 'amount_mismatch')) <> (x.cause IS NOT NULL)
			 ORDER BY v.order_key, v.episode`},
		{name: "a case is open exactly when its order needs follow-up and nobody resolved it", sql: `
			SELECT ` + name("x") + `, 'needs follow-up, its case is ' || COALESCE(k.status, 'not there')
			  FROM explanation AS x
			  LEFT JOIN cases AS k USING (order_key, episode)
			 WHERE x.needs_follow_up
			   AND COALESCE(k.status, 'none') NOT IN ('open', 'resolved')
			 UNION ALL
			SELECT k.case_id, 'is ' || k.status || ' though nothing needs follow-up'
			  FROM cases AS k
			  LEFT JOIN explanation AS x USING (order_key, episode)
			 WHERE k.status <> 'closed'
			   AND NOT COALESCE(x.needs_follow_up, false)
			   -- The case of an archived order rests as it is.
			   AND NOT EXISTS (SELECT FROM archive.pos_row AS a WHERE a.order_key = k.order_key)
			   AND NOT EXISTS (SELECT FROM archive.settlement_row AS a WHERE a.order_key = k.order_key)
			   AND k.case_id NOT IN (SELECT case_id FROM case_event WHERE kind = 'reopened' AND actor <> 'posrecon')`},
		{name: "every case has a history that begins with its opening and has no gaps", sql: `
			SELECT k.case_id, 'its history begins with ' || COALESCE(min(e.kind) FILTER (WHERE e.seq = 1), 'nothing') || ' and has ' || count(e.seq) || ' events up to number ' || COALESCE(max(e.seq), 0)
			  FROM cases AS k
			  LEFT JOIN case_event AS e USING (case_id)
			 GROUP BY k.case_id
			HAVING min(e.kind) FILTER (WHERE e.seq = 1) IS DISTINCT FROM 'opened'
			    OR count(e.seq) <> max(e.seq)
			 ORDER BY k.case_id`},
		{name: "files that earlier runs held back or refused", note: true, sql: `
			SELECT name, state || ': ' || reason
			  FROM file
			 WHERE state IN ('held', 'refused')
			 ORDER BY name, sha256`},
		{name: "lines that were rejected", note: true, sql: `
			SELECT f.name || ':' || r.line, concat_ws(' ', NULLIF(r.field, ''), quote_literal(r.value)) || ': ' || r.rule
			  FROM rejected_line AS r
			  JOIN file AS f USING (file_id)
			 ORDER BY f.file_date, f.sha256, r.line`},
		{name: "files with rows of another date than the file states", note: true, sql: `
			SELECT name, rows_other_date || ' rows carry a date of their own that differs from the file''s; the row''s counts'
			  FROM file
			 WHERE rows_other_date > 0
			   AND state = 'loaded'
			 ORDER BY name, sha256`},
		{name: "voids that name no sale", note: true, sql: `
			SELECT concat_ws('/', r.acquirer, r.merchant_id, r.order_id), 'voids ' || COALESCE(r.original_order_id, r.order_id) || ', which no POS log has (' || f.name || ':' || r.line || ')'
			  FROM pos_row AS r
			  JOIN file AS f USING (file_id)
			 WHERE r.type = 'VOID'
			   AND r.status = 'SUCCESS'
			   AND f.replaced_by IS NULL
			   AND NOT EXISTS (SELECT FROM pos_row AS s JOIN file AS g USING (file_id) WHERE s.order_key = r.order_key AND s.type = 'SALE' AND g.replaced_by IS NULL)
			 ORDER BY f.file_date, f.sha256, r.line`},
		{name: "files that replace others, and what differs", note: true, sql: `
			SELECT f.name, 'replaced by ' || g.name || ': ' || f.rows_loaded || ' rows before, ' || g.rows_loaded || ' now'
			  FROM file AS f
			  JOIN file AS g ON g.file_id = f.replaced_by
			 ORDER BY f.file_date, f.sha256`},
		{name: "files that were loaded since the last run and are not decided yet", note: true, sql: `
			SELECT name, 'say posrecon run' FROM file WHERE NOT decided AND state = 'loaded' ORDER BY name, sha256`},
	}
}

// notArchivedSince keeps from comparing what was explained with orders beside it that have been archived since: the next run
// explains it without them.
const notArchivedSince = `
			   AND NOT EXISTS (SELECT FROM archive.month WHERE archived_at > (SELECT max(completed_at) FROM run))`

// derived compares the stored verdicts and explanations with those that Decide and Explain derived again. Keys of files
// that no run has decided yet are left out: nothing can be stored of them.
func derived(distributed bool) []invariant {
	of := strings.NewReplacer("{", "", "}", "")
	if distributed {
		of = strings.NewReplacer("{", "derived_", "}", "")
	}
	// Every column of a verdict, as text, with its name: what differs is named.
	list := []invariant{
		{name: "stored verdicts are what the facts say", sql: `
			SELECT ` + name("v") + `,
			       (SELECT string_agg(s.key || ' stored ' || COALESCE(s.value, 'none') || ', derived ' || COALESCE(d.value, 'none'), '; ' ORDER BY s.key)
			          FROM jsonb_each_text(to_jsonb(v)) AS s
			          JOIN jsonb_each_text(to_jsonb(w)) AS d USING (key)
			         WHERE s.value IS DISTINCT FROM d.value)
			  FROM stored_verdict AS v
			  JOIN {decided} AS w USING (order_key, episode)
			 WHERE v IS DISTINCT FROM w
			   AND v.order_key NOT IN (SELECT order_key FROM undecided)
			 UNION ALL
			SELECT ` + name("v") + `, 'stored as ' || v.outcome || ', but the facts tell of no such order or line'
			  FROM stored_verdict AS v
			  LEFT JOIN {decided} AS w USING (order_key, episode)
			 WHERE w.order_key IS NULL
			   AND v.order_key NOT IN (SELECT order_key FROM undecided)
			 UNION ALL
			SELECT ` + name("w") + `, 'the facts say ' || w.outcome || ', but no verdict is stored'
			  FROM {decided} AS w
			  LEFT JOIN stored_verdict AS v USING (order_key, episode)
			 WHERE v.order_key IS NULL
			   AND w.order_key NOT IN (SELECT order_key FROM undecided)`},
		{name: "stored explanations are what the evidence says", sql: `
			SELECT ` + name("b") + `,
			       CASE WHEN NOT b.stored THEN 'no explanation is stored'
			            WHEN NOT b.derived THEN 'an explanation is stored, the evidence gives none'
			            ELSE (SELECT string_agg(s.key || ' stored ' || left(COALESCE(s.value, 'none'), 200) || ', derived ' || left(COALESCE(d.value, 'none'), 200), '; ' ORDER BY s.key)
			                    FROM jsonb_each_text(b.x) AS s
			                    JOIN jsonb_each_text(b.y) AS d USING (key)
			                   WHERE s.value IS DISTINCT FROM d.value)
			       END
			  FROM (SELECT order_key, episode, x.order_key IS NOT NULL AS stored, y.order_key IS NOT NULL AS derived,
			               to_jsonb(x) AS x, to_jsonb(y) AS y
			          FROM stored_explanation AS x
			          FULL JOIN {explanation} AS y USING (order_key, episode)
			         WHERE x IS DISTINCT FROM y) AS b
			 -- What was written before there were digests has none.
			 WHERE (b.x || jsonb_build_object('digest', COALESCE(NULLIF(b.x -> 'digest', 'null'), b.y -> 'digest'))) IS DISTINCT FROM b.y
			   AND NOT EXISTS (SELECT FROM undecided)` + notArchivedSince},
		{name: "stored incidents are what the explanations say", sql: `
			SELECT COALESCE(x.incident_id, y.incident_id), 'stored ' || COALESCE(x.status, 'nowhere') || ' with ' || COALESCE(x.orders, 0)
			       || ' orders, derived ' || COALESCE(y.status, 'nowhere') || ' with ' || COALESCE(y.orders, 0)
			  FROM stored_incident AS x
			  FULL JOIN incident AS y USING (incident_id, as_of)
			 WHERE x IS DISTINCT FROM y
			   AND NOT EXISTS (SELECT FROM undecided)` + notArchivedSince},
		{name: "stored states of payouts are what their newest versions say", sql: `
			SELECT concat_ws('/', acquirer, payout_id), 'stored ' || COALESCE(x.fact, 'nowhere') || ', derived ' || COALESCE(y.fact, 'from nothing')
			  FROM stored_payout_state AS x
			  FULL JOIN payout_state AS y USING (acquirer, payout_id)
			 WHERE x IS DISTINCT FROM y
			   AND NOT EXISTS (SELECT FROM file WHERE kind IN ('payout', 'bank_statement') AND state = 'loaded' AND NOT decided)`},
		{name: "what several rows of a key say together is what the facts say", sql: `
			SELECT ` + name("b") + `, b.what || ' differs from what is derived'
			  FROM (SELECT order_key, episode, 'the merged POS row' AS what
			          FROM (TABLE stored_pos_merged EXCEPT TABLE {pos_merged}) AS m
			         UNION ALL
			        SELECT order_key, episode, 'the merged settlement line'
			          FROM (TABLE stored_settlement_merged EXCEPT TABLE {settlement_merged}) AS m
			         UNION ALL
			        SELECT order_key, episode, 'a standing line'
			          FROM (TABLE stored_standing_line EXCEPT TABLE {standing_line}) AS m) AS b
			 WHERE b.order_key NOT IN (SELECT order_key FROM undecided)`},
	}
	for i := range list {
		list[i].sql = of.Replace(list[i].sql)
	}
	return list
}

// Run checks everything at the rules' as-of. It must run in a transaction that is rolled back.
func Run(ctx context.Context, tx pgx.Tx, rules match.Rules) (Report, error) {
	report := Report{Violations: []Finding{}, Notes: []Finding{}}
	if err := postgres.ReadOwnWrites(ctx, tx); err != nil {
		return Report{}, fmt.Errorf("prepare the check: %w", err)
	}
	if err := report.lookAll(ctx, tx, stored()); err != nil {
		return Report{}, err
	}
	for _, sql := range []string{
		`CREATE TEMP TABLE stored_verdict ON COMMIT DROP AS SELECT * FROM decided`,
		`CREATE TEMP TABLE stored_explanation ON COMMIT DROP AS SELECT * FROM explanation`,
		`CREATE TEMP TABLE stored_incident ON COMMIT DROP AS SELECT * FROM incident`,
		`CREATE TEMP TABLE stored_pos_merged ON COMMIT DROP AS SELECT * FROM pos_merged`,
		`CREATE TEMP TABLE stored_settlement_merged ON COMMIT DROP AS SELECT * FROM settlement_merged`,
		`CREATE TEMP TABLE stored_standing_line ON COMMIT DROP AS SELECT * FROM standing_line`,
		`CREATE TEMP TABLE stored_payout_state ON COMMIT DROP AS SELECT * FROM payout_state`,
		`CREATE TEMP TABLE undecided ON COMMIT DROP AS
		 SELECT DISTINCT order_key FROM pos_row JOIN file AS f USING (file_id) WHERE NOT f.decided
		  UNION
		 SELECT DISTINCT order_key FROM settlement_row JOIN file AS f USING (file_id) WHERE NOT f.decided`,
		// The row type of a view or copy differs from the table's: compare by the same type.
		`ANALYZE stored_verdict`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return Report{}, fmt.Errorf("prepare the check: %w", err)
		}
	}
	if _, err := match.Decide(ctx, tx, match.Scope{All: true, Final: match.FinalAsStored}, rules); err != nil {
		return Report{}, fmt.Errorf("derive verdicts again: %w", err)
	}
	weights, err := classify.UsedWeights(ctx, tx)
	if err != nil {
		return Report{}, fmt.Errorf("read the weights of the last run: %w", err)
	}
	if err := classify.Explain(ctx, tx, classify.Rules{AsOf: rules.AsOf, Zone: rules.Zone, Acquirers: rules.Acquirers, Weights: weights, Anew: true}); err != nil {
		return Report{}, fmt.Errorf("derive explanations again: %w", err)
	}
	distributed, err := postgres.Distributed(ctx, tx)
	if err != nil {
		return Report{}, fmt.Errorf("prepare the check: %w", err)
	}
	if distributed { // what is compared row by row is brought to one place
		for _, table := range []string{"decided", "explanation", "pos_merged", "settlement_merged", "standing_line"} {
			if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE derived_%[1]s ON COMMIT DROP AS SELECT * FROM %[1]s`, table)); err != nil {
				return Report{}, fmt.Errorf("prepare the check: %w", err)
			}
		}
	}
	if err := report.lookAll(ctx, tx, derived(distributed)); err != nil {
		return Report{}, err
	}
	differences, err := match.PayoutDifferences(ctx, tx, false)
	if err != nil {
		return Report{}, err
	}
	for i, p := range differences {
		if i == perInvariant {
			report.More += len(differences) - i
			break
		}
		report.Notes = append(report.Notes, Finding{"payouts that do not tie with their lines", p.Acquirer + "/" + p.PayoutID,
			fmt.Sprintf("amount %s %s, %d lines net %s, difference %s (%s)", p.Amount.StringFixed(2), p.Currency, p.Lines, p.Net.StringFixed(2), p.Difference.StringFixed(2), p.Source)})
	}
	fees, err := match.FeeDifferences(ctx, tx, rules, false)
	if err != nil {
		return Report{}, err
	}
	for i, f := range fees {
		if i == perInvariant {
			report.More += len(fees) - i
			break
		}
		report.Notes = append(report.Notes, Finding{"fees that are not the contract's", f.Acquirer + "/" + f.MerchantID + "/" + f.SettleDate,
			fmt.Sprintf("fee %s %s, contracted %s at %s, difference %s, %d of %d lines", f.Fee.String(), f.Currency, f.Contracted.String(), f.Rate, f.Difference.String(), f.Differing, f.Lines)})
	}
	ties, _, err := match.BankTies(ctx, tx, rules)
	if err != nil {
		return Report{}, err
	}
	for i, b := range ties {
		if i == perInvariant {
			report.More += len(ties) - i
			break
		}
		report.Notes = append(report.Notes, Finding{"payouts that are not simply credited on the bank account",
			strings.TrimSuffix(b.Acquirer+"/"+b.MerchantID+"/"+b.PayoutID, "/"),
			strings.TrimSpace(fmt.Sprintf("%s of %s, %s %s, %s %s", b.State, b.Date, b.Amount.String(), b.Currency, strings.Join(b.Lines, " "), b.Reason))})
	}
	return report, nil
}

// lookAll runs invariants. They compare everything with everything that has its key, which is the work of a hash; the planner,
// which has no statistics of all orders as a whole, would rather loop.
func (r *Report) lookAll(ctx context.Context, tx pgx.Tx, invariants []invariant) error {
	if err := allowLoops(ctx, tx, "off"); err != nil {
		return err
	}
	for _, inv := range invariants {
		if err := r.look(ctx, tx, inv); err != nil {
			return err
		}
	}
	return allowLoops(ctx, tx, "on")
}

func allowLoops(ctx context.Context, tx pgx.Tx, value string) error {
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = `+value+`; SET LOCAL enable_mergejoin = `+value); err != nil {
		return fmt.Errorf("prepare the check: %w", err)
	}
	return nil
}

// look runs one invariant and notes what it selects.
func (r *Report) look(ctx context.Context, tx pgx.Tx, inv invariant) error {
	rows, err := tx.Query(ctx, inv.sql)
	if err != nil {
		return fmt.Errorf("check that %s: %w", inv.name, err)
	}
	var found []Finding
	f := Finding{Invariant: inv.name}
	_, err = pgx.ForEachRow(rows, []any{&f.Row, &f.Detail}, func() error {
		if len(found) == perInvariant {
			r.More++
		} else {
			found = append(found, f)
		}
		return nil
	})
	for i := range found {
		if err == nil {
			found[i].Row, err = tell(ctx, tx, found[i].Row)
		}
	}
	if err != nil {
		return fmt.Errorf("check that %s: %w", inv.name, err)
	}
	if inv.note {
		r.Notes = append(r.Notes, found...)
	} else {
		r.Violations = append(r.Violations, found...)
	}
	if !inv.note {
		r.Checked = append(r.Checked, inv.name)
	}
	return nil
}
