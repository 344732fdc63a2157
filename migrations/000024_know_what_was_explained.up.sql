-- An explanation that would say again what it says stays as it is: most do, night after night.
BEGIN;
ALTER TABLE explanation
  ADD COLUMN digest bigint; -- of all that it says, NULL where it was written before there was one
ALTER TABLE archive.explanation
  ADD COLUMN digest bigint;
COMMIT;
