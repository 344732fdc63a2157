BEGIN;
DROP TABLE rejected_line;
DROP TABLE file;
COMMIT;
