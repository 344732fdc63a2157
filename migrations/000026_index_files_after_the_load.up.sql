-- An index of the rows' files costs a load a twentieth of its time while rows come in, and is made in a moment once they are there:
-- like the index by key, of each partition after the first load into it, see package postgres. The first load after this makes those
-- of the months that there are, which it reads once for it.
BEGIN;
DROP INDEX pos_row_by_file;
DROP INDEX settlement_row_by_file;
COMMIT;
