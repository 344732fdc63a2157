-- An index of the rows' files costs more while rows come in, one by one, than it does once they are there. So it is made like the index
-- by key, of each partition after the first load into it: see package postgres. The first load after this makes those of the months
-- that there are, which it reads once for it.
BEGIN;
DROP INDEX pos_row_by_file;
DROP INDEX settlement_row_by_file;
COMMIT;
