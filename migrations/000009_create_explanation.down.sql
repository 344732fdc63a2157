BEGIN;
DROP TABLE explanation;
DROP TABLE incident;
COMMIT;
