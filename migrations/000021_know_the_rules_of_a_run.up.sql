-- A run under the rules of the one before, as of the same instant and with no new file, has nothing to decide.
BEGIN;
ALTER TABLE run
  ADD COLUMN rules text COLLATE "C" NOT NULL DEFAULT ''; -- digest of what it depended on beside facts and as-of, '' where unknown
COMMIT;
