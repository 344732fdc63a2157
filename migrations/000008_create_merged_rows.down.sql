BEGIN;
DROP TABLE standing_line;
DROP TABLE settlement_merged;
DROP TABLE pos_merged;
COMMIT;
