BEGIN;
ALTER TABLE file
 DROP COLUMN rows_other_date;
COMMIT;
