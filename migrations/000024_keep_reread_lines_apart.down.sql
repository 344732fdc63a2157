BEGIN;
CREATE OR REPLACE VIEW plain AS
SELECT p.order_key,
       p.business_date,
       p.file_id,
       p.line,
       p.txn_time,
       p.amount,
       p.currency,
       p.status,
       p.type,
       p.acquirer,
       p.merchant_id,
       p.channel,
       COALESCE(p.terminal_id, s.terminal_id) AS terminal_id,
       p.order_id,
       p.refund_id,
       COALESCE(p.original_order_id, s.original_order_id) AS original_order_id,
       p.store_id,
       COALESCE(p.channel_txn_id, s.channel_txn_id) AS channel_txn_id,
       COALESCE(p.ref_no, s.ref_no) AS ref_no,
       d.due_date,
       d.missing_year,
       s.settle_date,
       s.status AS settle_status,
       s.fee,
       s.net_amount,
       s.payout_id,
       s.file_id AS settle_file_id,
       s.line AS settle_line,
       y.status AS payout_status,
       y.fact AS payout_fact,
       CASE WHEN p.type = 'REFUND' THEN -p.amount ELSE p.amount END::numeric(24,2) AS signed_amount
  FROM pos_row AS p
  JOIN file AS pf ON pf.file_id = p.file_id AND pf.counts
  JOIN settlement_row AS s ON s.order_key = p.order_key
  JOIN file AS sf ON sf.file_id = s.file_id AND sf.counts
  LEFT JOIN due_day AS d
    ON d.acquirer = p.acquirer
   AND d.business_date = p.business_date
   AND d.cycle = COALESCE(p.settle_cycle, '')
  LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
 WHERE p.type <> 'VOID'
   AND NOT EXISTS (SELECT FROM verdict AS v WHERE v.order_key = p.order_key);
DROP TABLE reread_line;
COMMIT;
