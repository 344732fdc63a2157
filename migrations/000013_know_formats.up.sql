-- A file is read by a format, and may say that there is nothing to load: a summary, an answer that no bill exists.
BEGIN;
ALTER TABLE file
  ADD COLUMN format text COLLATE "C" NOT NULL DEFAULT '', -- the profile that read it, 'canonical' for the contract's own
  ADD COLUMN remark text COLLATE "C" NOT NULL DEFAULT '', -- what is noteworthy of a loaded file, in words for a clerk
 DROP CONSTRAINT file_state_is_known,
  ADD CONSTRAINT file_state_is_known CHECK (state IN ('loaded', 'held', 'refused', 'nothing')),
 DROP CONSTRAINT file_kind_is_known,
  ADD CONSTRAINT file_kind_is_known CHECK (kind IN ('', 'pos_log', 'settlement', 'payout', 'bank_statement'));
COMMIT;
