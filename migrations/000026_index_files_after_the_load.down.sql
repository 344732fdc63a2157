BEGIN;
CREATE INDEX pos_row_by_file ON pos_row USING brin (file_id);
CREATE INDEX settlement_row_by_file ON settlement_row USING brin (file_id);
COMMIT;
