package match

import "context"

// store writes the verdicts of what was decided: each order with its line, by its own key or by a pair, each line that
// is left; plain matches are told together. The order of the outcomes is the contract's: the first that holds stands.
func (d *decision) store(ctx context.Context) error {
	if err := d.run(ctx,
		`DELETE FROM verdict AS v USING dirty WHERE dirty.order_key = v.order_key`,
		`CREATE TEMP TABLE told ON COMMIT DROP AS
		WITH side_by_side AS (
		    SELECT o.order_key IS NOT NULL AS has_order,
		           o.*,
		           l.order_key AS l_key, l.episode AS l_episode, l.business_date AS l_business_date, l.acquirer AS l_acquirer,
		           l.merchant_id AS l_merchant_id, l.type AS l_type, l.channel AS l_channel, l.terminal_id AS l_terminal_id,
		           l.txn_time AS l_txn_time, l.currency AS l_currency, l.amount AS l_amount, l.status AS l_status,
		           l.settle_date, l.payout_id, l.fee, l.net_amount, COALESCE(l.settled_lines, 0) AS settled_lines,
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
		SELECT COALESCE(order_key, l_key) AS order_key,
		       COALESCE(episode, l_episode) AS episode,
		       COALESCE(business_date, l_business_date) AS business_date,
		       has_order,
		       COALESCE(duplicate, false) AS duplicate_pos,
		       settled_lines,
		       file_id AS pos_file_id,
		       line AS pos_line,
		       CASE WHEN has_order THEN l_key END AS settle_key,
		       CASE WHEN has_order THEN l_episode END AS settle_episode,
		       l_file_id AS settle_file_id,
		       l_line AS settle_line,
		       COALESCE(txn_time, l_txn_time) AS txn_time,
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
		       END AS outcome,
		       CASE WHEN pair_rule IS NOT NULL THEN pair_rule
		            WHEN has_order AND l_key IS NOT NULL THEN 'order_id'
		            ELSE 'none'
		       END AS match_rule,
		       COALESCE(type, l_type) AS type,
		       COALESCE(acquirer, l_acquirer) AS acquirer,
		       COALESCE(merchant_id, l_merchant_id) AS merchant_id,
		       COALESCE(channel, l_channel, '') AS channel,
		       COALESCE(terminal_id, l_terminal_id) AS terminal_id,
		       own_currency AS currency,
		       pos_status,
		       l_status AS settle_status,
		       payout_status,
		       payout_fact,
		       payout_id,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -amount ELSE amount END AS pos_amount,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -settled ELSE settled END AS settled_amount,
		       CASE WHEN COALESCE(type, l_type) = 'REFUND' THEN -received ELSE received END AS received,
		       -- As view plain has it: what agrees in one row on each side follows from the facts.
		       COALESCE(NOT slow
		                AND l_key = order_key
		                AND settled_lines = 1
		                AND pos_status = 'SUCCESS'
		                AND l_amount = amount
		                AND l_currency = currency
		                AND (payout_status IS NULL OR payout_status = 'PAID'), false) AS plain,
		       amount, fee, net_amount, cycle
		  FROM told`,
		`INSERT INTO verdict (order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line,
		        settle_key, settle_episode, settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date,
		        outcome, match_rule, type, acquirer, merchant_id, channel, terminal_id, currency, pos_status, settle_status,
		        payout_status, payout_fact, payout_id, pos_amount, settled_amount, received)
		 SELECT order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line,
		        settle_key, settle_episode, settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date,
		        outcome, match_rule, type, acquirer, merchant_id, channel, terminal_id, currency, pos_status, settle_status,
		        payout_status, payout_fact, payout_id, pos_amount, settled_amount, received
		   FROM told
		  WHERE NOT plain
		  ORDER BY order_key, episode`,
	); err != nil {
		return err
	}
	if err := d.claim(ctx); err != nil {
		return err
	}
	if err := d.run(ctx,
		`INSERT INTO plain_match (`+LedgerColumns+`)
		 SELECT m.acquirer, m.merchant_id, m.channel, m.type, m.currency, m.business_date, u.due_date, m.settle_date, m.settle_file_id, m.payout_id,
		        m.sign, sum(m.orders), sum(m.amount), sum(m.net), max(m.sold) FILTER (WHERE m.half = 0) || max(m.sold) FILTER (WHERE m.half = 1)
		   FROM plain_now AS m -- of each half once
		   JOIN due AS u USING (acquirer, business_date, cycle)
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, m.cycle, m.sign
		  UNION ALL
		 `+PlainLedger(1, "told AS p WHERE p.plain"),
		`ANALYZE plain_match (acquirer, merchant_id, channel, type, business_date, due_date, settle_date, settle_file_id, payout_id)`,
		// The explanations join verdicts with themselves: a plan made for an empty table would loop over them for hours.
		`ANALYZE verdict`,
		// What had candidates and got none of them is ambiguous; its outcome is what it would be without them.
		`UPDATE verdict AS v
		    SET match_rule = 'ambiguous'
		   FROM (SELECT order_key, episode FROM candidate
		          UNION
		         SELECT settle_key, settle_episode FROM candidate
		          UNION
		         SELECT order_key, episode FROM crowd) AS a
		  WHERE (v.order_key, v.episode) = (a.order_key, a.episode)
		    AND v.match_rule = 'none'`,
	); err != nil {
		return err
	}
	return d.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM told) + (SELECT COALESCE(sum(sign * orders), 0) FROM plain_now)
		     + (SELECT count(*) FROM arrived) + (SELECT count(*) FROM waiting)`).Scan(&d.result.Decided)
}

// claim writes down which lines the verdicts claim, where they are spread over nodes: there table claim holds that none is claimed
// twice, as a unique constraint of verdict does on one server.
func (d *decision) claim(ctx context.Context) error {
	if !d.distributed {
		return nil
	}
	gone := `DELETE FROM claim WHERE order_key IN (SELECT order_key FROM dirty)`
	if d.all {
		gone = `DELETE FROM claim`
	}
	return d.run(ctx, gone,
		`INSERT INTO claim (settle_key, settle_episode, order_key, episode)
		 SELECT settle_key, settle_episode, order_key, episode
		   FROM told
		  WHERE NOT plain
		    AND settle_key IS NOT NULL`)
}
