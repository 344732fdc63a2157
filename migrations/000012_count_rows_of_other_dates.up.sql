-- Rows whose own date is another than the file's metadata says: the row's counts, and the file's owner should know.
BEGIN;
ALTER TABLE file
  ADD COLUMN rows_other_date bigint NOT NULL DEFAULT 0;
COMMIT;
