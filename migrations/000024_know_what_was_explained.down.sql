BEGIN;
ALTER TABLE archive.explanation
  DROP COLUMN digest;
ALTER TABLE explanation
  DROP COLUMN digest;
COMMIT;
