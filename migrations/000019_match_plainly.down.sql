-- Every plain match gets a verdict of its own again.
BEGIN;
DROP VIEW verdict_money;
INSERT INTO verdict (order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line, settle_key,
       settle_episode, settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date, outcome, match_rule, type, acquirer,
       merchant_id, channel, terminal_id, currency, pos_status, settle_status, payout_status, payout_fact, pos_amount, settled_amount,
       received)
SELECT order_key, 0, business_date, true, false, 1, file_id, line, order_key,
       0, settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date, 'matched', 'order_id', type, acquirer,
       merchant_id, channel, terminal_id, currency, status, settle_status, payout_status, payout_fact, signed_amount, signed_amount,
       signed_amount
  FROM plain;
DROP VIEW decided;
DROP VIEW plain;
DROP TABLE reread_line;
DROP TABLE plain_match;
DROP TABLE payout_state;
DROP TABLE due_day;
ALTER TABLE verdict
 DROP COLUMN payout_id;
CREATE INDEX verdict_open ON verdict (order_key) WHERE outcome <> 'matched' OR settle_key <> order_key;
ALTER TABLE file
 DROP COLUMN counts;
CREATE VIEW verdict_money AS
SELECT order_key,
       episode,
       due AS amount_due,
       arrived AS amount_arrived,
       due - arrived AS amount_owed,
       received - arrived AS amount_excess
  FROM (SELECT order_key,
               episode,
               received,
               due,
               CASE WHEN type = 'SALE' THEN least(due, received) ELSE greatest(due, received) END AS arrived
          FROM (SELECT order_key,
                       episode,
                       received,
                       type,
                       CASE WHEN NOT has_order
                              OR outcome = 'pending'
                              OR pos_status IN ('FAILED', 'CLOSED', 'REVERSED') THEN 0
                            ELSE pos_amount
                       END AS due
                  FROM verdict) AS with_due) AS with_arrived;
COMMIT;
