BEGIN;
DROP TABLE calendar_day;
COMMIT;
