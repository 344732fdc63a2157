-- How often an acquirer's logs lack a callback, or the channel's id, of payments that went well is learned from their rows of two
-- days, which are all that a night brings. So it is counted while a log is loaded, by acquirer and business date:
-- [{"acquirer", "date", "sales", "heard" with a callback, "numbered" with the channel's id}, …]. NULL where it was not counted, as of
-- the logs that are there: their rows are counted when they are asked for.
BEGIN;
ALTER TABLE file
  ADD COLUMN habits jsonb;
COMMIT;
