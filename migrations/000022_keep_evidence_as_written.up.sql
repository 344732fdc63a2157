-- Evidence is written and read whole, as JSON, by the program alone. Taking each apart on the way in cost a fifth of what
-- writing an explanation does, and putting it together again on the way out more.
BEGIN;
ALTER TABLE explanation
  ALTER COLUMN evidence TYPE text COLLATE "C" USING evidence::text,
  ALTER COLUMN counter_evidence TYPE text COLLATE "C" USING counter_evidence::text;
COMMIT;
