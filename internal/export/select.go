package export

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/classify"
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

// querier is a pool or a transaction; a decision that is not kept is exported from its transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// row is one exported row. Absent text is "", an absent number or day is not valid.
type row struct {
	key              [16]byte
	episode          int16
	businessDate     time.Time
	orderID          string
	refundID         string
	originalOrderID  string
	acquirer         string
	merchantID       string
	storeID          string
	terminalID       string
	channel          string
	channelTxnID     string
	refNo            string
	typ              string
	txnTime          *time.Time
	currency         string
	posAmount        decimal.NullDecimal
	settledAmount    decimal.NullDecimal
	fee              decimal.NullDecimal
	netAmount        decimal.NullDecimal
	due              decimal.Decimal
	arrived          decimal.Decimal
	owed             decimal.Decimal
	excess           decimal.Decimal
	posStatus        string
	settleStatus     string
	outcome          string
	cause            string
	subCause         string
	confidence       decimal.NullDecimal
	certainty        string
	incidentID       string
	evidence         []classify.Evidence
	counterEvidence  []classify.Evidence
	action           string
	dueDate          *time.Time
	settleDate       *time.Time
	payoutID         string
	payoutStatus     string
	matchRule        string
	needsFollowUp    bool
	caseID           string
	caseStatus       string
	assignee         string
	sourceFile       string
	sourceLine       *int32
	settleSourceFile string
	settleSourceLine *int32
}

// verdictsSQL joins a verdict with the rows that it names, the merged ones where its key has several.
const verdictsSQL = `
	SELECT v.order_key, v.episode, v.business_date,
	       COALESCE(CASE WHEN v.has_order THEN p.order_id ELSE s.order_id END, ''),
	       -- What identifies an order is its own, whatever the line that it was matched with says.
	       COALESCE(CASE WHEN v.has_order THEN p.refund_id ELSE s.refund_id END, ''),
	       COALESCE(pm.original_order_id, p.original_order_id, sm.original_order_id, s.original_order_id, ''),
	       v.acquirer, v.merchant_id,
	       COALESCE(pm.store_id, p.store_id, ''),
	       COALESCE(v.terminal_id, ''),
	       v.channel,
	       COALESCE(pm.channel_txn_id, p.channel_txn_id, sm.channel_txn_id, s.channel_txn_id, ''),
	       COALESCE(pm.ref_no, p.ref_no, sm.ref_no, s.ref_no, ''),
	       v.type, v.txn_time, v.currency, v.pos_amount, v.settled_amount,
	       CASE WHEN v.settled_amount IS NOT NULL
	            THEN CASE v.type WHEN 'REFUND' THEN -1 ELSE 1 END * CASE
	                 WHEN sm.order_key IS NULL THEN s.fee
	                 ELSE (SELECT sum(l.fee)
	                         FROM standing_line AS l
	                        WHERE (l.order_key, l.episode) = (sm.order_key, sm.episode)
	                          AND l.status = 'SETTLED'
	                          AND l.currency = v.currency)
	                 END
	       END,
	       CASE WHEN v.settled_amount IS NOT NULL
	            THEN CASE v.type WHEN 'REFUND' THEN -1 ELSE 1 END * CASE
	                 WHEN sm.order_key IS NULL THEN s.net_amount
	                 ELSE (SELECT sum(l.net_amount)
	                         FROM standing_line AS l
	                        WHERE (l.order_key, l.episode) = (sm.order_key, sm.episode)
	                          AND l.status = 'SETTLED'
	                          AND l.currency = v.currency)
	                 END
	       END,
	       v.amount_due, v.amount_arrived, v.amount_owed, v.amount_excess,
	       COALESCE(v.pos_status, ''), COALESCE(v.settle_status, ''), v.outcome,
	       COALESCE(x.cause, ''), COALESCE(x.sub_cause, ''), x.confidence, COALESCE(x.certainty, ''), COALESCE(x.incident_id, ''),
	       COALESCE(x.evidence, '[]'), COALESCE(x.counter_evidence, '[]'), COALESCE(x.action, ''),
	       v.due_date, v.settle_date,
	       COALESCE(v.payout_id, ''),
	       COALESCE(v.payout_status, ''),
	       v.match_rule, COALESCE(x.needs_follow_up, false),
	       COALESCE(k.case_id, ''), COALESCE(k.status, ''), COALESCE(k.assignee, ''),
	       COALESCE(pf.name, ''), v.pos_line,
	       COALESCE(sf.name, ''), v.settle_line
	  FROM verdict_money AS v
	  LEFT JOIN explanation AS x USING (order_key, episode)
	  LEFT JOIN cases AS k USING (order_key, episode)
	  LEFT JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
	  LEFT JOIN pos_merged AS pm ON v.has_order AND (pm.order_key, pm.episode) = (v.order_key, v.episode)
	  LEFT JOIN settlement_row AS s
	    ON (s.order_key, s.file_id, s.line) = (COALESCE(v.settle_key, v.order_key), v.settle_file_id, v.settle_line)
	  LEFT JOIN settlement_merged AS sm
	    ON v.settle_file_id IS NOT NULL
	   AND (sm.order_key, sm.episode) = (COALESCE(v.settle_key, v.order_key), COALESCE(v.settle_episode, v.episode))
	  LEFT JOIN file AS pf ON pf.file_id = v.pos_file_id
	  LEFT JOIN file AS sf ON sf.file_id = v.settle_file_id
	 WHERE NOT v.plain
	   AND `

// plainSQL selects plain matches, whose one row on each side says it all: all that is due has arrived (contract §5).
const plainSQL = `
	SELECT v.order_key, 0::smallint, v.business_date, v.order_id, COALESCE(v.refund_id, ''), COALESCE(v.original_order_id, ''),
	       v.acquirer, v.merchant_id, COALESCE(v.store_id, ''), COALESCE(v.terminal_id, ''), v.channel,
	       COALESCE(v.channel_txn_id, ''), COALESCE(v.ref_no, ''), v.type, v.txn_time, v.currency, v.signed_amount, v.signed_amount,
	       CASE v.type WHEN 'REFUND' THEN -v.fee ELSE v.fee END,
	       CASE v.type WHEN 'REFUND' THEN -v.net_amount ELSE v.net_amount END,
	       v.signed_amount, v.signed_amount, 0.00, 0.00,
	       v.status, v.settle_status, v.outcome, '', '', NULL::numeric, '', '', '[]', '[]', '',
	       v.due_date, v.settle_date, COALESCE(v.payout_id, ''), COALESCE(v.payout_status, ''), 'order_id', false,
	       COALESCE(k.case_id, ''), COALESCE(k.status, ''), COALESCE(k.assignee, ''), pf.name, v.line, sf.name, v.settle_line
	  FROM (SELECT *, 'matched' AS outcome FROM plain) AS v
	 CROSS JOIN (SELECT NULL::text AS cause) AS x
	  JOIN file AS pf ON pf.file_id = v.file_id
	  JOIN file AS sf ON sf.file_id = v.settle_file_id
	  LEFT JOIN cases AS k ON (k.order_key, k.episode) = (v.order_key, 0)
	 WHERE `

// rowsSQL selects the rows of a selection. The order ends in the key, so that the same selection gives the same bytes: by
// business date, acquirer, merchant, order, type, refund and key.
func rowsSQL(where string) string {
	return verdictsSQL + where + "\n\t UNION ALL" + plainSQL + where + "\n\t ORDER BY 3, 7, 8, 4, 14, 5, 1, 2"
}

// each streams the rows of a selection.
func each(ctx context.Context, q querier, sel Selection, do func(*row) error) error {
	where, args := sel.where()
	rows, err := q.Query(ctx, rowsSQL(where), args...)
	if err != nil {
		return fmt.Errorf("select rows to export: %w", err)
	}
	defer rows.Close()
	var r row
	var evidence, counter []byte
	for rows.Next() {
		r = row{}
		err := rows.Scan(&r.key, &r.episode, &r.businessDate, &r.orderID, &r.refundID, &r.originalOrderID, &r.acquirer, &r.merchantID,
			&r.storeID, &r.terminalID, &r.channel, &r.channelTxnID, &r.refNo, &r.typ, &r.txnTime, &r.currency, &r.posAmount,
			&r.settledAmount, &r.fee, &r.netAmount, &r.due, &r.arrived, &r.owed, &r.excess, &r.posStatus, &r.settleStatus,
			&r.outcome, &r.cause, &r.subCause, &r.confidence, &r.certainty, &r.incidentID, &evidence, &counter, &r.action,
			&r.dueDate, &r.settleDate, &r.payoutID, &r.payoutStatus, &r.matchRule, &r.needsFollowUp, &r.caseID, &r.caseStatus,
			&r.assignee, &r.sourceFile, &r.sourceLine, &r.settleSourceFile, &r.settleSourceLine)
		if err != nil {
			return fmt.Errorf("read a row to export: %w", err)
		}
		if r.evidence, err = sentences(evidence); err != nil {
			return fmt.Errorf("read the evidence of order %s: %w", r.orderID, err)
		}
		if r.counterEvidence, err = sentences(counter); err != nil {
			return fmt.Errorf("read the counter-evidence of order %s: %w", r.orderID, err)
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

// sentences reads stored evidence. Most rows of an export have none.
func sentences(stored []byte) (list []classify.Evidence, err error) {
	if string(stored) == "[]" {
		return nil, nil
	}
	err = json.Unmarshal(stored, &list)
	return list, err
}

// Money is the contract's four amounts, in yuan or another one currency.
type Money struct {
	Due     recon.Amount `json:"amount_due"`
	Arrived recon.Amount `json:"amount_arrived"`
	Owed    recon.Amount `json:"amount_owed"`
	Excess  recon.Amount `json:"amount_excess"`
}

// Total counts the rows of one currency, outcome and cause and adds up their money.
type Total struct {
	Currency string        `json:"currency"`
	Outcome  recon.Outcome `json:"outcome"`
	Cause    recon.Cause   `json:"cause,omitempty"`
	SubCause string        `json:"sub_cause,omitempty"`
	Rows     int64         `json:"rows"`
	FollowUp int64         `json:"needs_follow_up"`
	Money
}

// Totals returns the totals of a selection by currency, outcome, cause and sub-cause, in that order. Money of two
// currencies is never added.
func Totals(ctx context.Context, q querier, sel Selection) ([]Total, error) {
	where, args := sel.where()
	rows, err := q.Query(ctx, `
		WITH told AS (
		    SELECT v.currency,
		           v.outcome,
		           COALESCE(x.cause, '') AS cause,
		           COALESCE(x.sub_cause, '') AS sub_cause,
		           1 AS orders,
		           CASE WHEN x.needs_follow_up THEN 1 ELSE 0 END AS follow_up,
		           v.amount_due,
		           v.amount_arrived,
		           v.amount_owed,
		           v.amount_excess
		      FROM verdict_money AS v
		      LEFT JOIN explanation AS x USING (order_key, episode)
		     WHERE NOT v.plain
		       AND `+where+`
		     UNION ALL
		    -- Plain matches are told together; all that is due of them has arrived.
		    SELECT v.currency, v.outcome, '', '', v.orders, 0, v.amount, v.amount, 0, 0
		      FROM (SELECT currency,
		                   business_date,
		                   'matched' AS outcome,
		                   sign * orders AS orders,
		                   CASE type WHEN 'REFUND' THEN -sign * amount ELSE sign * amount END AS amount
		              FROM plain_match) AS v
		     CROSS JOIN (SELECT NULL::text AS cause) AS x
		     WHERE `+where+`
		)
		SELECT currency, outcome, cause, sub_cause, sum(orders)::bigint, sum(follow_up)::bigint,
		       sum(amount_due), sum(amount_arrived), sum(amount_owed), sum(amount_excess)
		  FROM told
		 GROUP BY currency, outcome, cause, sub_cause
		HAVING sum(orders) > 0
		 ORDER BY currency, outcome, cause, sub_cause`, args...)
	if err != nil {
		return nil, fmt.Errorf("add up totals: %w", err)
	}
	totals, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Total, error) {
		var t Total
		err := r.Scan(&t.Currency, &t.Outcome, &t.Cause, &t.SubCause, &t.Rows, &t.FollowUp, &t.Due, &t.Arrived, &t.Owed, &t.Excess)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("add up totals: %w", err)
	}
	return totals, nil
}

// Add adds other's money to m.
func (m Money) Add(other Money) Money {
	return Money{m.Due.Plus(other.Due), m.Arrived.Plus(other.Arrived), m.Owed.Plus(other.Owed), m.Excess.Plus(other.Excess)}
}
