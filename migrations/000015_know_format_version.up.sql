-- Which edition of its format read a file: another one reads its rejected lines again.
BEGIN;
ALTER TABLE file
  ADD COLUMN format_version text COLLATE "C" NOT NULL DEFAULT '';
COMMIT;
