package export

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

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
