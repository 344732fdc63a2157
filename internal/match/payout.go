package match

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
)

// PayoutDifference is a payout whose amount is not the sum of its lines' net amounts.
type PayoutDifference struct {
	Acquirer   string          `json:"acquirer"`
	PayoutID   string          `json:"payout_id"`
	MerchantID string          `json:"merchant_id"`
	Currency   string          `json:"currency"`
	Amount     decimal.Decimal `json:"amount"`
	Lines      int64           `json:"lines"`
	Net        decimal.Decimal `json:"net"`
	Difference decimal.Decimal `json:"payout_difference"` // amount − net; never spread over orders
	Source     string          `json:"source"`
}

// PayoutDifferences returns the payouts that do not tie with their lines, in the order of their ids: amount = Σ signed
// net of the standing SETTLED lines + difference. A line without a net amount counts with its amount less its fee. The
// lines of a payout that was re-issued count for the newest of its chain. Acquirers whose lines never name a payout
// are left out: there is nothing to tie. With onlyNew, only payouts that undecided files tell of, or whose lines they
// bring, are looked at. It reads the temporary table payout_state, so it must follow Decide.
func PayoutDifferences(ctx context.Context, tx pgx.Tx, onlyNew bool) ([]PayoutDifference, error) {
	touched := `SELECT acquirer, last_id FROM payout_state`
	if onlyNew {
		touched = `
		    SELECT y.acquirer, y.last_id
		      FROM payout_row AS p
		      JOIN file AS f USING (file_id)
		      JOIN payout_state AS y ON y.acquirer = p.acquirer AND y.payout_id = p.payout_id
		     WHERE NOT f.decided
		     UNION
		    SELECT y.acquirer, y.last_id
		      FROM settlement_row AS r
		      JOIN file AS f USING (file_id)
		      JOIN payout_state AS y ON y.acquirer = r.acquirer AND y.payout_id = r.payout_id
		     WHERE NOT f.decided
		       AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE NOT decided AND kind = 'settlement')
		                               AND (SELECT max(last_date) FROM file WHERE NOT decided AND kind = 'settlement')`
	}
	rows, err := tx.Query(ctx, `
		WITH touched AS (`+touched+`
		), member AS (
		    SELECT y.acquirer, y.last_id, y.payout_id
		      FROM payout_state AS y
		      JOIN (SELECT DISTINCT acquirer, last_id FROM touched) AS t USING (acquirer, last_id)
		), standing AS (
		    SELECT m.acquirer, m.last_id, r.type, r.currency, COALESCE(r.net_amount, r.amount - COALESCE(r.fee, 0)) AS net
		      FROM member AS m
		      JOIN settlement_row AS r ON r.payout_id = m.payout_id AND r.acquirer = m.acquirer
		      JOIN file AS f ON f.file_id = r.file_id AND f.replaced_by IS NULL
		     WHERE r.status = 'SETTLED'
		       AND NOT EXISTS (SELECT FROM settlement_merged AS g WHERE g.order_key = r.order_key)
		     UNION ALL
		    SELECT m.acquirer, m.last_id, s.type, s.currency, COALESCE(s.net_amount, s.amount - COALESCE(s.fee, 0))
		      FROM member AS m
		      JOIN standing_line AS s ON s.payout_id = m.payout_id AND s.acquirer = m.acquirer
		     WHERE s.status = 'SETTLED'
		), tied AS (
		    SELECT y.acquirer, y.payout_id, y.merchant_id, y.currency, y.amount, y.file_id, y.line,
		           count(s.net) AS lines,
		           COALESCE(sum(CASE s.type WHEN 'REFUND' THEN -s.net ELSE s.net END), 0) AS net
		      FROM payout_state AS y
		      JOIN (SELECT DISTINCT acquirer, last_id FROM member) AS t ON t.acquirer = y.acquirer AND t.last_id = y.payout_id
		      LEFT JOIN standing AS s ON s.acquirer = y.acquirer AND s.last_id = y.payout_id AND s.currency = y.currency
		     GROUP BY y.acquirer, y.payout_id, y.merchant_id, y.currency, y.amount, y.file_id, y.line
		)
		SELECT t.acquirer, t.payout_id, t.merchant_id, t.currency, t.amount, t.lines, t.net, t.amount - t.net, f.name || ':' || t.line
		  FROM tied AS t
		  JOIN file AS f USING (file_id)
		 WHERE t.amount <> t.net
		   AND EXISTS (SELECT
		                 FROM file AS g
		                WHERE g.kind = 'settlement'
		                  AND g.has_payouts
		                  AND g.acquirer IN (t.acquirer, ''))
		 ORDER BY t.acquirer, t.payout_id`)
	if err != nil {
		return nil, fmt.Errorf("tie payouts with their lines: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PayoutDifference])
	if err != nil {
		return nil, fmt.Errorf("tie payouts with their lines: %w", err)
	}
	return list, nil
}
