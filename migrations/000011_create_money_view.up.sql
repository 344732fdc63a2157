-- The one definition of money (contract: due, arrived, owed, excess), read by the export, the checks and every total.
-- UNKNOWN and PENDING count as due: the payer may have been charged, and facts, not causes, decide.
BEGIN;
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
