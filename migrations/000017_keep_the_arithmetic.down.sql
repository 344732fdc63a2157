BEGIN;
ALTER TABLE explanation
  DROP COLUMN weights,
  DROP COLUMN rates,
  DROP COLUMN features,
  DROP COLUMN runner_up;
DROP TABLE weights;
COMMIT;
