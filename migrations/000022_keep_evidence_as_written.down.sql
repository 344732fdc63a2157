BEGIN;
ALTER TABLE explanation
  ALTER COLUMN evidence TYPE jsonb USING evidence::jsonb,
  ALTER COLUMN counter_evidence TYPE jsonb USING counter_evidence::jsonb;
COMMIT;
