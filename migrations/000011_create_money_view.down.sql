BEGIN;
DROP VIEW verdict_money;
COMMIT;
