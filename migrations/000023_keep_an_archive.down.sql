-- What is archived comes back, row by row: for each archived month the live tables have a partition. The next run decides it.
BEGIN;
INSERT INTO pos_row TABLE archive.pos_row;
INSERT INTO settlement_row TABLE archive.settlement_row;
ALTER TABLE archive.verdict DROP COLUMN month;
ALTER TABLE archive.explanation DROP COLUMN month;
ALTER TABLE archive.pos_merged DROP COLUMN month;
ALTER TABLE archive.settlement_merged DROP COLUMN month;
ALTER TABLE archive.standing_line DROP COLUMN month;
ALTER TABLE archive.plain_match DROP COLUMN month;
INSERT INTO verdict TABLE archive.verdict ON CONFLICT DO NOTHING;
INSERT INTO explanation TABLE archive.explanation ON CONFLICT DO NOTHING;
INSERT INTO pos_merged TABLE archive.pos_merged ON CONFLICT DO NOTHING;
INSERT INTO settlement_merged TABLE archive.settlement_merged ON CONFLICT DO NOTHING;
INSERT INTO standing_line TABLE archive.standing_line ON CONFLICT DO NOTHING;
INSERT INTO plain_match TABLE archive.plain_match;
UPDATE file
   SET decided = false
 WHERE rows_archived > 0;
ALTER TABLE file
 DROP COLUMN rows_archived;
DROP SCHEMA archive CASCADE;
COMMIT;
