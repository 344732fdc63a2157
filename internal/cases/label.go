package cases

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
)

// Label is what the cause of an order turned out to be, beside what had been stated.
type Label struct {
	Acquirer   string
	Source     string // person or implied
	Stated     recon.SubCause
	Confidence recon.Amount // 0 … 1, of the stated cause
	Features   string       // what it was derived from, as package classify stores it
	Rates      string
	Actual     recon.SubCause
	Amount     recon.Amount
	Currency   string
}

// Learn labels the orders whose later facts say what the cause was. It must follow the decision of a run and precede its
// explanations, for it compares the new verdicts with what had been stated. Only what is plain is said:
//
//	an order without a line that is settled now, and whose line came with the file of its due date or an earlier one: that
//	file was late; whose line settles later: the line was, unless a freeze or an incident of many was stated, which may as
//	well have ended
//	a payout under way that is paid now, under its own number: it was late
//	an order that was settled though the POS had no success, and has one now: the notice was lost
//
// Where another version of the program has decided everything anew, what has changed may be its opinion: there only orders with a row
// in a file that no run has decided are learned from.
func Learn(ctx context.Context, tx pgx.Tx, asOf time.Time, another bool) error {
	var fresh []int32 // nil where it does not matter
	if another {
		rows, err := tx.Query(ctx, `SELECT file_id FROM file WHERE state = 'loaded' AND NOT decided ORDER BY file_id`)
		if err != nil {
			return fmt.Errorf("learn from what arrived: %w", err)
		}
		found, err := pgx.CollectRows(rows, pgx.RowTo[int32])
		if err != nil {
			return fmt.Errorf("learn from what arrived: %w", err)
		}
		fresh = append([]int32{}, found...)
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO label (order_key, episode, source, at, actor, acquirer, stated, confidence, features, rates, weights, actual, amount, currency)
		SELECT order_key, episode, 'implied', $1, 'posrecon', acquirer, stated, confidence, features, rates, weights, actual, amount, currency
		  FROM (
		    SELECT x.order_key,
		           x.episode,
		           v.acquirer,
		           x.sub_cause AS stated,
		           x.confidence,
		           x.features,
		           x.rates,
		           x.weights,
		           abs(COALESCE(v.pos_amount, 0)) AS amount,
		           v.currency,
		           CASE
		               WHEN x.features LIKE 'settlement=none status=success%' AND v.settle_date <= v.due_date THEN 'file_late'
		               WHEN x.features LIKE 'settlement=none status=success%' AND v.settle_date > v.due_date
		                AND x.sub_cause NOT IN ('account_frozen', 'file_late', 'channel_outage') THEN 'system_delay'
		               WHEN x.features LIKE 'settlement=settled payout=processing%' THEN 'payout_late'
		               WHEN x.features LIKE 'settlement=other\_status%' AND v.pos_status = 'SUCCESS' THEN 'callback_lost'
		           END AS actual
		      FROM explanation AS x
		      LEFT JOIN verdict AS told USING (order_key, episode)
		      JOIN LATERAL (SELECT *
		                      FROM decided AS d
		                     WHERE (d.order_key, d.episode) = (x.order_key, x.episode)
		                       AND d.outcome = 'matched'
		                       AND COALESCE(told.outcome, 'matched') = 'matched'
		                    OFFSET 0) AS v ON true
		     WHERE x.cause IS NOT NULL
		       AND x.needs_follow_up
		       AND ($2::integer[] IS NULL OR v.pos_file_id = ANY ($2) OR v.settle_file_id = ANY ($2))
		       ) AS learned
		 WHERE actual IS NOT NULL
		ON CONFLICT (order_key, episode, source) DO NOTHING`, asOf, fresh)
	if err != nil {
		return fmt.Errorf("learn from what arrived: %w", err)
	}
	return nil
}

// label records what a person found the cause of a case's order to be.
func label(ctx context.Context, tx pgx.Tx, id string, act Act) error {
	tag, err := tx.Exec(ctx, `
		INSERT INTO label (order_key, episode, source, at, actor, acquirer, stated, confidence, features, rates, weights, actual, amount, currency)
		SELECT k.order_key, k.episode, 'person', $2, $3, v.acquirer, x.sub_cause, x.confidence, x.features, x.rates, x.weights, $4,
		       abs(COALESCE(v.pos_amount, 0)), v.currency
		  FROM cases AS k
		  JOIN verdict AS v USING (order_key, episode)
		  JOIN explanation AS x USING (order_key, episode)
		 WHERE k.case_id = $1
		   AND x.cause IS NOT NULL
		ON CONFLICT (order_key, episode, source)
		DO UPDATE
		   SET at = excluded.at, actor = excluded.actor, stated = excluded.stated, confidence = excluded.confidence, features = excluded.features,
		       rates = excluded.rates, weights = excluded.weights, actual = excluded.actual`, id, act.At, act.Actor, string(act.Actual))
	if err == nil && tag.RowsAffected() == 0 {
		return fmt.Errorf("no cause was stated for it, so none can be found right or wrong")
	}
	return err
}

// Labels returns all labels, in the order of their orders. What a person says outranks what is implied.
func Labels(ctx context.Context, pool *pgxpool.Pool) ([]Label, error) {
	rows, err := pool.Query(ctx, `
		SELECT DISTINCT ON (order_key, episode)
		       acquirer, source, stated, confidence, features, rates, actual, amount, currency
		  FROM label
		 ORDER BY order_key, episode, source DESC`)
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Label])
	if err != nil {
		return nil, fmt.Errorf("read labels: %w", err)
	}
	return list, nil
}
