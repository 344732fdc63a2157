-- Months that nobody works on any more leave the tables that every night reads, and stay where they can be asked. Schema
-- archive has tables of the same names and columns: the facts by month, where a month's partition is attached as it is, and
-- what had been decided of them, each row with its month. posrecon retention moves both ways.
BEGIN;
CREATE SCHEMA archive;
CREATE TABLE archive.month (
    month            date NOT NULL,
    archived_at      timestamptz NOT NULL DEFAULT now(), -- or when what had stayed behind followed
    last_settle_date date,                    -- of its lines: later days are whole in the live tables
    CONSTRAINT month_once PRIMARY KEY (month),
    CONSTRAINT month_is_its_first_day CHECK (extract(day FROM month) = 1)
);
CREATE TABLE archive.pos_row (LIKE pos_row INCLUDING ALL) PARTITION BY RANGE (business_date);
CREATE TABLE archive.settlement_row (LIKE settlement_row INCLUDING ALL) PARTITION BY RANGE (business_date);

-- No unique constraints: a key that recurs years later is another order, whose verdict begins with episode 0 again.
CREATE TABLE archive.verdict (month date NOT NULL, LIKE verdict);
CREATE TABLE archive.explanation (month date NOT NULL, LIKE explanation);
CREATE TABLE archive.pos_merged (month date NOT NULL, LIKE pos_merged);
CREATE TABLE archive.settlement_merged (month date NOT NULL, LIKE settlement_merged);
CREATE TABLE archive.standing_line (month date NOT NULL, LIKE standing_line);
CREATE TABLE archive.plain_match (month date NOT NULL, LIKE plain_match);
CREATE INDEX verdict_by_key ON archive.verdict (order_key);
CREATE INDEX verdict_by_settle_key ON archive.verdict (settle_key) WHERE settle_key <> order_key;
CREATE INDEX verdict_by_payout ON archive.verdict (payout_id) WHERE payout_id IS NOT NULL;
CREATE INDEX explanation_by_key ON archive.explanation (order_key);
CREATE INDEX pos_merged_by_key ON archive.pos_merged (order_key);
CREATE INDEX settlement_merged_by_key ON archive.settlement_merged (order_key);
CREATE INDEX standing_line_by_key ON archive.standing_line (order_key);
CREATE INDEX plain_match_by_payout ON archive.plain_match (payout_id) WHERE payout_id IS NOT NULL;

ALTER TABLE file
  ADD COLUMN rows_archived bigint NOT NULL DEFAULT 0, -- of rows_loaded
  ADD CONSTRAINT file_archives_what_it_loaded CHECK (rows_archived BETWEEN 0 AND rows_loaded);
COMMIT;
