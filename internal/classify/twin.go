package classify

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// A payer who scans the code of another till pays another merchant: there the money settles without an order, of the same
// amount and channel, within minutes of the order that was meant and never paid (practice §2.2, E18).
type twin struct {
	merchant string // where it settled
	order    string // the line's order id
	source   string // file:line
}

// twinMinutes is how far apart the two can be.
const twinMinutes = 3

// findTwins finds, for orders that were not completed and have no line, the one unexpected line that may be theirs. Of
// several nothing is said.
func findTwins(ctx context.Context, tx pgx.Tx, since recon.Date) (map[[16]byte]twin, error) {
	rows, err := tx.Query(ctx, `
		WITH orphan AS (
		    SELECT v.order_key,
		           v.acquirer,
		           v.channel,
		           v.merchant_id,
		           v.txn_time,
		           abs(v.settled_amount) AS amount,
		           s.order_id,
		           f.name || ':' || s.line AS source
		      FROM verdict AS v
		      JOIN settlement_row AS s ON (s.order_key, s.file_id, s.line) = (v.order_key, v.settle_file_id, v.settle_line)
		      JOIN file AS f ON f.file_id = s.file_id
		     WHERE v.business_date > $2
		       AND v.outcome = 'unexpected_settlement'
		       AND v.type = 'SALE'
		       AND v.settle_status = 'SETTLED'
		       AND v.txn_time IS NOT NULL
		), meant AS (
		    SELECT order_key, acquirer, channel, merchant_id, txn_time, pos_amount AS amount
		      FROM verdict
		     WHERE business_date > $2
		       AND outcome = 'unsettled'
		       AND type = 'SALE'
		       AND settle_key IS NULL
		       AND pos_status IN ('PENDING', 'UNKNOWN', 'CLOSED', 'FAILED')
		), pair AS (
		    SELECT m.order_key,
		           o.merchant_id,
		           o.order_id,
		           o.source,
		           count(*) OVER (PARTITION BY m.order_key) AS of_order,
		           count(*) OVER (PARTITION BY o.order_key) AS of_orphan
		      FROM meant AS m
		      JOIN orphan AS o
		        ON (o.acquirer, o.channel, o.amount) = (m.acquirer, m.channel, m.amount)
		       AND o.txn_time BETWEEN m.txn_time - make_interval(mins => $1) AND m.txn_time + make_interval(mins => $1)
		)
		SELECT order_key, merchant_id, order_id, source
		  FROM pair
		 WHERE of_order = 1
		   AND of_orphan = 1
		 ORDER BY order_key`, twinMinutes, since.UTC())
	if err != nil {
		return nil, err
	}
	found := map[[16]byte]twin{}
	var (
		key [16]byte
		t   twin
	)
	_, err = pgx.ForEachRow(rows, []any{&key, &t.merchant, &t.order, &t.source}, func() error {
		found[key] = t
		return nil
	})
	return found, err
}
