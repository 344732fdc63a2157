BEGIN;
DROP INDEX explanation_by_other_merchant;
ALTER TABLE file
  DROP COLUMN dates;
DROP TABLE final_day;
COMMIT;
