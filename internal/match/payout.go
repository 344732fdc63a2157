package match

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// PayoutDifference is a payout whose amount is not the sum of its lines' net amounts.
type PayoutDifference struct {
	Acquirer   string       `json:"acquirer"`
	PayoutID   string       `json:"payout_id"`
	MerchantID string       `json:"merchant_id"`
	Currency   string       `json:"currency"`
	Amount     recon.Amount `json:"amount"`
	Lines      int64        `json:"lines"`
	Net        recon.Amount `json:"net"`
	Difference recon.Amount `json:"payout_difference"` // amount − net; never spread over orders
	Source     string       `json:"source"`
}

// PayoutDifferences returns the payouts that do not tie with their lines, in the order of their ids: amount = Σ signed
// net of the standing SETTLED lines + difference. A line without a net amount counts with its amount less its fee. The
// lines of a payout that was re-issued count for the newest of its chain. Acquirers whose lines never name a payout
// are left out: there is nothing to tie. So are payouts that have lines in the archive, which were tied while those were here.
// With onlyNew, only payouts that undecided files tell of, or whose lines they bring, are looked at. It reads what Decide
// leaves behind, so it must follow it.
func PayoutDifferences(ctx context.Context, tx pgx.Tx, onlyNew bool) ([]PayoutDifference, error) {
	touched := `SELECT acquirer, last_id FROM payout_state`
	if onlyNew {
		touched = `
		SELECT y.acquirer, y.last_id
		  FROM payout_state AS y
		  JOIN (SELECT p.acquirer, p.payout_id
		          FROM payout_row AS p
		          JOIN file AS f USING (file_id)
		         WHERE NOT f.decided
		         UNION
		        SELECT m.acquirer, m.payout_id
		          FROM plain_now AS m
		          JOIN file AS f ON f.file_id = m.settle_file_id
		         WHERE NOT f.decided
		         UNION
		        SELECT acquirer, payout_id
		          FROM arrived
		         UNION
		        SELECT r.acquirer, r.payout_id
		          FROM line_now AS r
		          JOIN file AS f USING (file_id)
		         WHERE NOT f.decided
		       ) AS told ON told.acquirer = y.acquirer AND told.payout_id = y.payout_id`
	}
	// In steps with statistics of their own: guessed together, their sizes make the planner loop over every line.
	for _, sql := range []string{
		`CREATE TEMP TABLE tied_payout ON COMMIT DROP AS
		 SELECT DISTINCT y.acquirer, y.last_id, y.payout_id
		   FROM payout_state AS y
		   JOIN (` + touched + `) AS t ON t.acquirer = y.acquirer AND t.last_id = y.last_id`,
		`CREATE TEMP TABLE archived_payout ON COMMIT DROP AS
		 SELECT acquirer, payout_id FROM archive.plain_match WHERE payout_id IN (SELECT payout_id FROM tied_payout)
		  UNION
		 SELECT acquirer, payout_id FROM archive.verdict WHERE payout_id IN (SELECT payout_id FROM tied_payout)`,
		`DELETE FROM tied_payout AS t
		  USING (SELECT p.acquirer, p.last_id FROM tied_payout AS p JOIN archived_payout AS a USING (acquirer, payout_id)) AS gone
		  WHERE (gone.acquirer, gone.last_id) = (t.acquirer, t.last_id)`,
		`ANALYZE tied_payout`,
		`CREATE TEMP TABLE tied_verdict ON COMMIT DROP AS
		 SELECT COALESCE(settle_key, order_key) AS order_key, settle_file_id AS file_id, settle_line AS line
		   FROM verdict
		  WHERE settle_status = 'SETTLED'
		    AND payout_id IN (SELECT payout_id FROM tied_payout)`,
		// Several rows of a key are counted as what stands of them.
		`DELETE FROM tied_verdict
		  WHERE order_key IN (SELECT g.order_key FROM settlement_merged AS g JOIN tied_verdict USING (order_key))`,
		`ANALYZE tied_verdict`,
		`CREATE TEMP TABLE tied_net ON COMMIT DROP AS
		 WITH of_payout AS (
		     SELECT m.acquirer, m.payout_id, m.type, m.currency, sum(m.sign * m.orders) AS lines, sum(m.sign * m.net) AS net
		       FROM plain_match AS m
		      WHERE m.payout_id IN (SELECT payout_id FROM tied_payout)
		      GROUP BY m.acquirer, m.payout_id, m.type, m.currency
		      UNION ALL
		     SELECT r.acquirer, r.payout_id, r.type, r.currency, count(*),
		            sum(COALESCE(r.net_amount, r.amount - COALESCE(r.fee, 0)))
		       FROM tied_verdict AS v
		       JOIN settlement_row AS r USING (order_key, file_id, line)
		      GROUP BY r.acquirer, r.payout_id, r.type, r.currency
		      UNION ALL
		     SELECT s.acquirer, s.payout_id, s.type, s.currency, count(*),
		            sum(COALESCE(s.net_amount, s.amount - COALESCE(s.fee, 0)))
		       FROM standing_line AS s
		      WHERE s.status = 'SETTLED'
		        AND s.payout_id IN (SELECT payout_id FROM tied_payout)
		      GROUP BY s.acquirer, s.payout_id, s.type, s.currency
		 )
		 SELECT t.acquirer, t.last_id, o.currency, sum(o.lines)::bigint AS lines,
		        sum(CASE o.type WHEN 'REFUND' THEN -o.net ELSE o.net END) AS net
		   FROM of_payout AS o
		   JOIN tied_payout AS t ON t.acquirer = o.acquirer AND t.payout_id = o.payout_id
		  GROUP BY t.acquirer, t.last_id, o.currency`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("tie payouts with their lines: %w", err)
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT y.acquirer, y.payout_id, y.merchant_id, y.currency, y.amount, COALESCE(n.lines, 0), COALESCE(n.net, 0),
		       y.amount - COALESCE(n.net, 0), f.name || ':' || y.line
		  FROM payout_state AS y
		  JOIN tied_payout AS t ON t.acquirer = y.acquirer AND t.payout_id = y.payout_id AND t.last_id = y.payout_id
		  JOIN file AS f ON f.file_id = y.file_id
		  LEFT JOIN tied_net AS n ON n.acquirer = y.acquirer AND n.last_id = y.payout_id AND n.currency = y.currency
		 WHERE y.amount <> COALESCE(n.net, 0)
		   AND EXISTS (SELECT
		                 FROM file AS g
		                WHERE g.kind = 'settlement'
		                  AND g.has_payouts
		                  AND g.acquirer IN (y.acquirer, ''))
		 ORDER BY y.acquirer, y.payout_id`)
	if err != nil {
		return nil, fmt.Errorf("tie payouts with their lines: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PayoutDifference])
	if err != nil {
		return nil, fmt.Errorf("tie payouts with their lines: %w", err)
	}
	return list, nil
}
