package export

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// Selection says which rows are wanted. Its zero value is everything.
type Selection struct {
	From, To recon.Date // business dates, inclusive; zero for no bound
	Flagged  bool       // leave out matched and pending
	Outcomes []recon.Outcome
	Causes   []recon.Cause
}

// where returns the condition on a verdict v and its explanation x, and its arguments.
func (s Selection) where() (string, []any) {
	conditions := []string{"true"}
	var args []any
	add := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if !s.From.IsZero() {
		add("v.business_date >= $%d", s.From.UTC())
	}
	if !s.To.IsZero() {
		add("v.business_date <= $%d", s.To.UTC())
	}
	if s.Flagged {
		conditions = append(conditions, "v.outcome NOT IN ('matched', 'pending')")
	}
	if len(s.Outcomes) > 0 {
		add("v.outcome = ANY ($%d)", texts(s.Outcomes))
	}
	if len(s.Causes) > 0 {
		add("x.cause = ANY ($%d)", texts(s.Causes))
	}
	return strings.Join(conditions, "\n   AND "), args
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// days is the selection of everything on the same business dates.
func (s Selection) days() Selection { return Selection{From: s.From, To: s.To} }

// wantsPlain reports whether plain matches are among the rows.
func (s Selection) wantsPlain() bool {
	return !s.Flagged && len(s.Causes) == 0 && (len(s.Outcomes) == 0 || slices.Contains(s.Outcomes, recon.Matched))
}

// querier is a pool or a transaction; a decision that is not kept is exported from its transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	Begin(ctx context.Context) (pgx.Tx, error)
}

// verdictsSQL joins a verdict with the rows that it names, the merged ones where its key has several. What is absent is
// NULL, which costs nothing to sort and to send.
const verdictsSQL = `
	SELECT {order},
	       -- What identifies an order is its own, whatever the line that it was matched with says.
	       COALESCE(CASE WHEN v.has_order THEN p.order_id ELSE s.order_id END, ''),
	       v.type,
	       COALESCE(CASE WHEN v.has_order THEN p.refund_id ELSE s.refund_id END, ''),
	       v.order_key, v.episode,
	       v.business_date,
	       COALESCE(pm.original_order_id, p.original_order_id, sm.original_order_id, {s.original_order_id}),
	       v.acquirer, v.merchant_id,
	       COALESCE(pm.store_id, p.store_id),
	       v.terminal_id,
	       v.channel,
	       COALESCE(pm.channel_txn_id, p.channel_txn_id, sm.channel_txn_id, {s.channel_txn_id}),
	       COALESCE(pm.ref_no, p.ref_no, sm.ref_no, {s.ref_no}),
	       v.txn_time, v.currency, v.pos_amount,
	       CASE WHEN v.settled_amount IS NOT NULL
	            THEN CASE v.type WHEN 'REFUND' THEN -1 ELSE 1 END * CASE
	                 WHEN sm.order_key IS NULL THEN {s.fee}
	                 ELSE (SELECT sum(l.fee)
	                         FROM standing_line AS l
	                        WHERE (l.order_key, l.episode) = (sm.order_key, sm.episode)
	                          AND l.status = 'SETTLED'
	                          AND l.currency = v.currency)
	                 END
	       END,
	       CASE WHEN v.settled_amount IS NOT NULL
	            THEN CASE v.type WHEN 'REFUND' THEN -1 ELSE 1 END * CASE
	                 WHEN sm.order_key IS NULL THEN {s.net_amount}
	                 ELSE (SELECT sum(l.net_amount)
	                         FROM standing_line AS l
	                        WHERE (l.order_key, l.episode) = (sm.order_key, sm.episode)
	                          AND l.status = 'SETTLED'
	                          AND l.currency = v.currency)
	                 END
	       END,
	       ARRAY[v.settled_amount::text, v.amount_due::text, v.amount_arrived::text, v.amount_owed::text, v.amount_excess::text,
	             v.pos_status, v.settle_status, v.outcome,
	             x.cause, x.sub_cause, x.confidence::text, x.certainty, x.incident_id,
	             x.evidence, x.counter_evidence, x.action, v.match_rule, CASE WHEN x.needs_follow_up THEN 't' ELSE 'f' END],
	       v.due_date, NULL, v.settle_date, v.payout_id, v.payout_status,
	       k.case_id, k.status, k.assignee,
	       v.pos_file_id, v.pos_line, v.settle_file_id, v.settle_line
	  FROM verdict_money AS v
	  LEFT JOIN explanation AS x USING (order_key, episode)
	  LEFT JOIN cases AS k USING (order_key, episode)
	  LEFT JOIN {pos_row} ON {p}
	  LEFT JOIN pos_merged AS pm ON v.has_order AND (pm.order_key, pm.episode) = (v.order_key, v.episode)
	  LEFT JOIN {settlement_row} ON {s}
	  LEFT JOIN settlement_merged AS sm ON {sm}
	  {place}
	 WHERE NOT v.plain
	   AND `

// The rows that a verdict names. Where it names no line there is no key to look up.
const (
	namedOrder = `(p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)`
	namedLine  = `(s.order_key, s.file_id, s.line)
	     = (CASE WHEN v.settle_file_id IS NOT NULL THEN COALESCE(v.settle_key, v.order_key) END, v.settle_file_id, v.settle_line)`
	whatTheySay = `v.settle_file_id IS NOT NULL
	   AND (sm.order_key, sm.episode) = (COALESCE(v.settle_key, v.order_key), COALESCE(v.settle_episode, v.episode))`
)

// ofElsewhere are the columns that a line gives a verdict of another key.
var ofElsewhere = []string{"original_order_id", "channel_txn_id", "ref_no", "fee", "net_amount"}

// Where tables are spread over nodes by their key (Citus), each verdict is joined there with the line of its own key, and the
// few lines of another key come from elsewhere, beforehand.
const (
	elsewhereSQL = `
	WITH paired AS MATERIALIZED (
	    SELECT order_key, episode, currency, settle_key, settle_episode, settle_file_id, settle_line
	      FROM verdict
	     WHERE settle_key <> order_key
	), elsewhere AS MATERIALIZED (
	    SELECT v.order_key,
	           v.episode,
	           COALESCE(sm.original_order_id, s.original_order_id) AS original_order_id,
	           COALESCE(sm.channel_txn_id, s.channel_txn_id) AS channel_txn_id,
	           COALESCE(sm.ref_no, s.ref_no) AS ref_no,
	           CASE WHEN sm.order_key IS NULL THEN s.fee ELSE l.fee END AS fee,
	           CASE WHEN sm.order_key IS NULL THEN s.net_amount ELSE l.net_amount END AS net_amount
	      FROM paired AS v
	      JOIN settlement_row AS s ON (s.order_key, s.file_id, s.line) = (v.settle_key, v.settle_file_id, v.settle_line)
	      LEFT JOIN settlement_merged AS sm ON sm.order_key = s.order_key AND sm.episode = v.settle_episode
	      LEFT JOIN (SELECT order_key, episode, currency, sum(fee) AS fee, sum(net_amount) AS net_amount
	                   FROM standing_line
	                  WHERE status = 'SETTLED'
	                  GROUP BY order_key, episode, currency) AS l
	        ON l.order_key = s.order_key AND l.episode = v.settle_episode AND l.currency = v.currency
	)`
	ownLine     = `(s.order_key, s.file_id, s.line) = (v.order_key, v.settle_file_id, v.settle_line) AND v.order_key = COALESCE(v.settle_key, v.order_key)`
	whatOwnSays = `v.settle_file_id IS NOT NULL
	   AND sm.order_key = v.order_key
	   AND sm.episode = COALESCE(v.settle_episode, v.episode)
	   AND v.order_key = COALESCE(v.settle_key, v.order_key)
	  LEFT JOIN elsewhere AS e ON e.order_key = v.order_key AND e.episode = v.episode`
)

// plainSQL selects plain matches, which are what view plain says: one row on each side, which says it all. What every one of them
// says is not sent a million times, and what small tables say of them not joined a million times: row.fillPlain knows it. Merchant
// and business date are in what is sorted by.
const plainSQL = `
	SELECT {order},
	       v.order_id, v.type, COALESCE(v.refund_id, ''), v.order_key,
	       least(v.line, 0)::smallint, -- 0, but no constant: the planner would think that it must sort once more by it
	       NULL::date, COALESCE(v.original_order_id, s.original_order_id), NULL, NULL, v.store_id,
	       COALESCE(v.terminal_id, s.terminal_id), v.channel, COALESCE(v.channel_txn_id, s.channel_txn_id), COALESCE(v.ref_no, s.ref_no),
	       v.txn_time, v.currency, CASE v.type WHEN 'REFUND' THEN -v.amount ELSE v.amount END,
	       CASE v.type WHEN 'REFUND' THEN -s.fee ELSE s.fee END,
	       CASE v.type WHEN 'REFUND' THEN -s.net_amount ELSE s.net_amount END,
	       NULL,
	       NULL::date, v.settle_cycle, s.settle_date, s.payout_id, {payout},
	       {case},
	       v.file_id, v.line, s.file_id, s.line
	  FROM pos_row AS v
	  JOIN settlement_row AS s ON s.order_key = v.order_key
	  {small}
	  {place}
	 WHERE v.type <> 'VOID'
	   AND v.file_id <> ALL ({not counting}) -- few, where those that count may be ten thousands
	   AND s.file_id <> ALL ({not counting})
	   AND NOT EXISTS (SELECT FROM verdict AS d WHERE d.order_key = v.order_key)
	   AND {reread}
	   AND `

// What is joined with plain matches after all where it is much, or they are few.
const (
	withPayout = `LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
	  `
	withCase = `LEFT JOIN cases AS k ON (k.order_key, k.episode) = (v.order_key, 0)
	  `
)

// notReread leaves out what a corrected profile has read of files that count, and no run has decided. Nearly always there is none.
const notReread = `NOT EXISTS (SELECT FROM reread_line AS r WHERE (r.file_id, r.line) = (v.file_id, v.line))
	   AND NOT EXISTS (SELECT FROM reread_line AS r WHERE (r.file_id, r.line) = (s.file_id, s.line))`

// statement is how the rows of a selection are asked for.
type statement struct {
	sql      string
	args     []any
	settings []string // of the planner
}

// The ways to the rows. Which one is taken changes how long it takes, never what comes or in which order.
const (
	lookUp     = iota // few rows: each verdict looks up what it names, and plain matches are found as the planner will
	unbound           // many verdicts, few plain matches: all as the planner will
	readAll           // most rows: both sides are read whole and hashed, and few verdicts look up what they name
	readAllFor        // most rows, and many verdicts
)

// wholeSides keep the planner from loops and merges over sides of millions of rows, of which it knows little where a table has
// partitions, and takes them for short. Of the list of merchants it knows nothing, and would rather hash all orders than that:
// where comparing costs nothing it does not. A second worker would take more from the process that sends than it gives.
var wholeSides = []string{"enable_nestloop = off", "enable_mergejoin = off", "cpu_operator_cost = 0", "max_parallel_workers_per_gather = 1"}

// lookUps keep the planner from sorting all verdicts, to merge them with the merchants, before they look up what they name.
var lookUps = []string{"enable_mergejoin = off"}

// rowsSQL selects the rows of a selection. The order ends in the key, so that the same selection gives the same bytes: by
// business date, acquirer, merchant, order, type, refund and key.
//
// The first three are sorted by as one number, the date and the place of the merchant among all: comparing three texts each time
// takes longer than all else that the server does. Either part is sorted for itself, so that a worker can sort plain matches
// beside the leader, and then merged.
func rowsSQL(sel Selection, way int, known *small) statement {
	where, args := sel.where()
	st := statement{args: append(args, known.merchants.acquirer, known.merchants.id)}
	at := len(args)
	switch way {
	case lookUp:
		st.settings = lookUps
	case readAll, readAllFor:
		st.settings = wholeSides
	}
	by := " ORDER BY 1, 2, 3, 4, 5, 6"
	words := []string{
		"{order}", `(v.business_date - DATE '2000-01-01') * 4294967296 + m.place`,
		"{place}", fmt.Sprintf(`LEFT JOIN unnest($%d::text[], $%d::text[]) WITH ORDINALITY AS m (acquirer, merchant_id, place)
	    ON (m.acquirer, m.merchant_id) = (v.acquirer, v.merchant_id)`, at+1, at+2),
	}
	for _, c := range ofElsewhere {
		value := "s." + c
		if known.distributed {
			value += ", e." + c
			if c == "fee" || c == "net_amount" {
				value = "COALESCE(" + value + ")"
			}
		}
		words = append(words, "{s."+c+"}", value)
	}
	line, says := namedLine, whatTheySay
	if known.distributed {
		line, says = ownLine, whatOwnSays
	}
	words = append(words, "{sm}", says)
	if (way == lookUp || way == readAll) && !known.distributed {
		// Not to be hashed, whatever the planner thinks of it or holds for the rest of the statement: OFFSET 0 keeps it a look-up for
		// each verdict. Most verdicts name no line, which is found out before any month is asked for it.
		words = append(words,
			"{pos_row}", `LATERAL (SELECT * FROM pos_row AS p WHERE `+namedOrder+` OFFSET 0) AS p`, "{p}", "true",
			"{settlement_row}", `LATERAL (SELECT * FROM settlement_row AS s WHERE v.settle_file_id IS NOT NULL AND `+namedLine+` OFFSET 0) AS s`, "{s}", "true")
	} else {
		words = append(words, "{pos_row}", "pos_row AS p", "{p}", namedOrder, "{settlement_row}", "settlement_row AS s", "{s}", line)
	}
	verdicts := verdictsSQL + where
	if sel.wantsPlain() {
		st.args = append(st.args, known.notCounting)
		words = append(words, plainWords(known, len(st.args))...)
		// Of the conditions of a selection that wants plain matches only the dates are not true of each.
		dates, _ := sel.days().where()
		verdicts = "(" + verdicts + by + ")\n\t UNION ALL\n\t(" + plainSQL + dates + by + ")"
	}
	st.sql = strings.NewReplacer(words...).Replace(verdicts + by)
	if known.distributed {
		st.sql = elsewhereSQL + st.sql
	}
	return st
}

// plainWords are what plainSQL leaves open; notCounting is the number of that argument.
func plainWords(known *small, notCounting int) []string {
	joined, ofPayout, ofCase, reread := "", "NULL", "NULL, NULL, NULL", "true"
	if known.payouts == nil {
		joined, ofPayout = withPayout, "y.status"
	}
	if known.cases == nil {
		joined, ofCase = joined+withCase, "k.case_id, k.status, k.assignee"
	}
	if known.reread {
		reread = notReread
	}
	return []string{"{not counting}", fmt.Sprintf("$%d", notCounting), "{small}", joined, "{payout}", ofPayout, "{case}", ofCase, "{reread}", reread}
}

// wayTo chooses the way to the rows of a selection: looking a row up costs about what reading twenty does, and one more for each month
// that has to be looked into; where a month's index is still in the making nothing is looked up. Over a holiday most verdicts are
// pending, which say nothing of how long it takes to find those that are flagged.
func wayTo(ctx context.Context, tx pgx.Tx, sel Selection) (int, error) {
	var verdicts, plain, facts int64
	explained := sel
	explained.Causes = nil // they are in another table
	where, args := explained.where()
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM verdict AS v WHERE `+where, args...).Scan(&verdicts); err != nil {
		return lookUp, err
	}
	where, args = sel.days().where()
	if err := tx.QueryRow(ctx, `
		SELECT (SELECT COALESCE(sum(v.sign * v.orders), 0) FROM plain_match AS v WHERE `+where+`),
		       (SELECT COALESCE(sum(rows_loaded - rows_archived), 0)::bigint
		          FROM file
		         WHERE state = 'loaded'
		           AND kind IN ('pos_log', 'settlement'))`, args...).Scan(&plain, &facts); err != nil {
		return lookUp, err
	}
	months, unindexed, err := postgres.Months(ctx, tx)
	if err != nil {
		return lookUp, err
	}
	few, most := verdicts*(20+months) < facts && !unindexed, sel.wantsPlain() && plain*20 >= facts
	switch {
	case most && few:
		return readAll, nil
	case most:
		return readAllFor, nil
	case few:
		return lookUp, nil
	default:
		return unbound, nil
	}
}

// each streams the rows of a selection. A row is valid until do returns.
func each(ctx context.Context, q querier, sel Selection, do func(*row) error) error {
	// Settings of the planner end with the transaction, or with the part of one that this is.
	tx, err := q.Begin(ctx)
	if err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	defer tx.Rollback(ctx) // it has written nothing
	if err := postgres.OnNodes(ctx, tx); err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	way, err := wayTo(ctx, tx, sel)
	if err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	return eachBy(ctx, tx, sel, way, maxSmall, do)
}

// eachBy streams the rows of a selection, got by a way that looks up at most so many payouts or cases by itself.
func eachBy(ctx context.Context, tx pgx.Tx, sel Selection, way, most int, do func(*row) error) error {
	known, err := lookAhead(ctx, tx, sel, way, most)
	if err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	st := rowsSQL(sel, way, known)
	for _, setting := range st.settings {
		if _, err := tx.Exec(ctx, "SET LOCAL "+setting); err != nil {
			return fmt.Errorf("select rows to export: %w", err)
		}
	}
	rows, err := tx.Query(ctx, st.sql, append([]any{resultFormats}, st.args...)...)
	if err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	defer rows.Close()
	r := row{known: known}
	for rows.Next() {
		if err := r.read(rows.RawValues()); err != nil {
			return fmt.Errorf("read a row to export: %w", err)
		}
		if err := do(&r); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read rows to export: %w", err)
	}
	return nil
}
