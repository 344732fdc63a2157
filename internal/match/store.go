package match

import "context"

// store writes the verdicts of what was decided: each order with its line, by its own key or by a pair, each line that
// is left. The order of the outcomes is the contract's: the first that holds stands.
func (d *decision) store(ctx context.Context) error {
	if _, err := d.exec(ctx, `DELETE FROM verdict AS v `+d.usingDirty("v")); err != nil {
		return err
	}
	restore, err := d.withoutIndexes(ctx)
	if err != nil {
		return err
	}
	stored, err := d.exec(ctx, `
		INSERT INTO verdict (order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line,
		       settle_key, settle_episode, settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date,
		       outcome, match_rule, type, acquirer, merchant_id, channel, terminal_id, currency, pos_status, settle_status,
		       payout_status, payout_fact, pos_amount, settled_amount, received)
		WITH side_by_side AS (
		    SELECT o.order_key IS NOT NULL AS has_order,
		           o.*,
		           l.order_key AS l_key, l.episode AS l_episode, l.business_date AS l_business_date, l.acquirer AS l_acquirer,
		           l.merchant_id AS l_merchant_id, l.type AS l_type, l.channel AS l_channel, l.terminal_id AS l_terminal_id,
		           l.txn_time AS l_txn_time, l.currency AS l_currency, l.amount AS l_amount, l.status AS l_status,
		           l.settle_date, l.payout_id, COALESCE(l.settled_lines, 0) AS settled_lines,
		           l.file_id AS l_file_id, l.line AS l_line,
		           p.match_rule AS pair_rule
		      FROM (wo AS o LEFT JOIN pair AS p USING (order_key, episode))
		      FULL JOIN wl AS l ON l.order_key = COALESCE(p.settle_key, o.order_key)
		                       AND l.episode = COALESCE(p.settle_episode, o.episode)
		), told AS (
		    SELECT b.*,
		           COALESCE(b.currency, b.l_currency) AS own_currency,
		           u.due_date, u.is_due, u.missing_year,
		           COALESCE(u.tolerance, 0) AS tolerance,
		           CASE WHEN b.settled_lines > 1 THEN w.payout_status ELSE y.status END AS payout_status,
		           CASE WHEN b.settled_lines > 1 THEN w.payout_fact ELSE y.fact END AS payout_fact,
		           -- In the order's own currency only: money of two currencies is never added.
		           CASE WHEN b.settled_lines = 1 AND b.l_currency = COALESCE(b.currency, b.l_currency) THEN b.l_amount
		                WHEN b.settled_lines > 1 THEN w.settled
		           END AS settled,
		           CASE WHEN b.settled_lines = 1 AND b.l_currency = COALESCE(b.currency, b.l_currency)
		                 AND (y.status IS NULL OR y.status = 'PAID') THEN b.l_amount
		                WHEN b.settled_lines > 1 THEN COALESCE(w.received, 0)
		                ELSE 0
		           END AS received
		      FROM side_by_side AS b
		      LEFT JOIN due AS u ON u.acquirer = b.acquirer AND u.business_date = b.business_date AND u.cycle = b.cycle
		      LEFT JOIN payout_state AS y ON y.acquirer = b.l_acquirer AND y.payout_id = b.payout_id
		      LEFT JOIN wl_sum AS w ON w.order_key = b.l_key AND w.episode = b.l_episode
		                           AND w.currency = COALESCE(b.currency, b.l_currency)
		)
		SELECT COALESCE(order_key, l_key),
		       COALESCE(episode, l_episode),
		       COALESCE(business_date, l_business_date),
		       has_order,
		       COALESCE(duplicate, false),
		       settled_lines,
		       file_id,
		       line,
		       CASE WHEN has_order THEN l_key END,
		       CASE WHEN has_order THEN l_episode END,
		       l_file_id,
		       l_line,
		       COALESCE(txn_time, l_txn_time),
		       due_date,
		       missing_year,
		       settle_date,
		       CASE WHEN NOT has_order THEN 'unexpected_settlement'
		            WHEN duplicate OR settled_lines > 1 THEN 'duplicate'
		            WHEN settled_lines = 1 AND (l_currency <> currency OR abs(l_amount - amount) > tolerance) THEN 'amount_mismatch'
		            WHEN settled_lines = 1 AND pos_status <> 'SUCCESS' THEN 'status_mismatch'
		            WHEN settled_lines = 1 AND payout_status IN ('HELD', 'FAILED', 'RETURNED', 'PROCESSING') THEN 'unsettled'
		            WHEN settled_lines = 1 THEN 'matched'
		            WHEN l_key IS NOT NULL THEN 'unsettled'
		            WHEN pos_status IN ('FAILED', 'CLOSED', 'REVERSED') THEN 'unsettled'
		            WHEN is_due THEN 'unsettled'
		            ELSE 'pending'
		       END,
		       CASE WHEN pair_rule IS NOT NULL THEN pair_rule
		            WHEN has_order AND l_key IS NOT NULL THEN 'order_id'
		            ELSE 'none'
		       END,
		       COALESCE(type, l_type),
		       COALESCE(acquirer, l_acquirer),
		       COALESCE(merchant_id, l_merchant_id),
		       COALESCE(channel, l_channel, ''),
		       COALESCE(terminal_id, l_terminal_id),
		       own_currency,
		       pos_status,
		       l_status,
		       payout_status,
		       payout_fact,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -amount ELSE amount END,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -settled ELSE settled END,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -received ELSE received END
		  FROM told`)
	if err != nil {
		return err
	}
	d.result.Decided = stored
	if err := restore(ctx); err != nil {
		return err
	}
	// The explanations join verdicts with themselves: a plan made for an empty table would loop over them for hours.
	if err := d.run(ctx, `ANALYZE verdict`); err != nil {
		return err
	}
	// What had candidates and got none of them is ambiguous; its outcome is what it would be without them.
	return d.run(ctx, `
		UPDATE verdict AS v
		   SET match_rule = 'ambiguous'
		  FROM (SELECT order_key, episode FROM candidate
		         UNION
		        SELECT settle_key, settle_episode FROM candidate
		         UNION
		        SELECT order_key, episode FROM crowd) AS a
		 WHERE (v.order_key, v.episode) = (a.order_key, a.episode)
		   AND v.match_rule = 'none'`)
}

// withoutIndexes takes the indexes of an empty table of verdicts away, for the first night of a database with a long
// history: building them once, sorted, costs a third of keeping them while a million random keys come in. What it
// returns puts them back under their own names, and with them the constraints. A table with verdicts is left alone.
func (d *decision) withoutIndexes(ctx context.Context) (restore func(context.Context) error, err error) {
	var used bool
	if err := d.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM verdict)`).Scan(&used); err != nil {
		return nil, err
	}
	var orders int64
	if err := d.tx.QueryRow(ctx, `SELECT COALESCE(sum(rows_loaded), 0) FROM file WHERE kind = 'pos_log'`).Scan(&orders); err != nil {
		return nil, err
	}
	// Below this the work of either way is not worth a lock on the table.
	const worthIt = 100_000
	if used || orders < worthIt {
		return func(context.Context) error { return nil }, nil
	}
	if err := d.run(ctx,
		`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_an_order_once`,
		`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_a_line_once`,
	); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		return d.run(ctx,
			`ALTER TABLE verdict ADD CONSTRAINT verdict_claims_an_order_once PRIMARY KEY (order_key, episode)`,
			`ALTER TABLE verdict ADD CONSTRAINT verdict_claims_a_line_once UNIQUE (settle_key, settle_episode)`,
		)
	}, nil
}
