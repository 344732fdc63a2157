BEGIN;
DELETE FROM rejected_line AS r
 USING file AS f
 WHERE f.file_id = r.file_id
   AND f.kind = 'bank_statement';
DELETE FROM file
 WHERE state = 'nothing'
    OR kind = 'bank_statement';
ALTER TABLE file
 DROP CONSTRAINT file_kind_is_known,
  ADD CONSTRAINT file_kind_is_known CHECK (kind IN ('', 'pos_log', 'settlement', 'payout')),
 DROP CONSTRAINT file_state_is_known,
  ADD CONSTRAINT file_state_is_known CHECK (state IN ('loaded', 'held', 'refused')),
 DROP COLUMN remark,
 DROP COLUMN format;
COMMIT;
