BEGIN;
DROP TABLE settlement_row;
COMMIT;
