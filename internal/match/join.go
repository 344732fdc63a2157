package match

import "context"

// joinFresh joins the fresh orders and lines: plain matches are told together in plain_now, every other order has a group of its
// own there, by its key; without_order has the lines that no fresh order has.
func (d *decision) joinFresh(ctx context.Context) error {
	posRow, line := d.fresh.posRow("p"), d.fresh.line("s")
	return d.with(ctx, wholeNight,
		`CREATE TEMP TABLE plain_now (acquirer, merchant_id, channel, type, currency, business_date, cycle, settle_date, settle_file_id, payout_id,
		        other_key, sign, lines, orders, amount, net, sold) ON COMMIT DROP AS
		 SELECT `+plainGroup+`,
		        CASE WHEN `+agree+` THEN NULL ELSE p.order_key END,
		        1::smallint,
		        count(s.order_key),
		        `+plainSums("p", "s")+`
		   FROM pos_row AS p
		   LEFT JOIN settlement_row AS s ON s.order_key = p.order_key AND `+line+`
		   LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id AND y.status <> 'PAID'
		  WHERE `+posRow+`
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`,
		`CREATE TEMP TABLE without_order ON COMMIT DROP AS
		 SELECT s.order_key, count(*) AS lines
		   FROM settlement_row AS s
		  WHERE `+line+`
		    AND NOT EXISTS (SELECT FROM pos_row AS p WHERE p.order_key = s.order_key AND `+posRow+`)
		  GROUP BY s.order_key`,
		`ANALYZE without_order`,
	)
}
