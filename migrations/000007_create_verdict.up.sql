-- One verdict per order and per settlement line without an order: which line was matched and by which pass, the
-- outcome, and the three amounts from which the money view derives all others. Written by runs only.
-- Both sides of a match are claimed: an order by the primary key, a line by verdict_claims_a_line_once.
BEGIN;
CREATE TABLE verdict (
    order_key      uuid NOT NULL,              -- of the order, or of the line where there is no order
    episode        smallint NOT NULL,          -- 0, or 1, 2 … where the key recurs more than 180 days apart
    business_date  date NOT NULL,
    has_order      boolean NOT NULL,
    duplicate_pos  boolean NOT NULL,
    settled_lines  integer NOT NULL,          -- standing SETTLED lines
    pos_file_id    integer,
    pos_line       integer,
    settle_key     uuid,
    settle_episode smallint,
    settle_file_id integer,
    settle_line    integer,
    txn_time       timestamptz,
    due_date       date,
    missing_year   smallint,                   -- the calendar year without which the due date cannot be counted
    settle_date    date,
    outcome        text COLLATE "C" NOT NULL,
    match_rule     text COLLATE "C" NOT NULL,
    type           text COLLATE "C" NOT NULL,
    acquirer       text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL,
    channel        text COLLATE "C" NOT NULL,
    terminal_id    text COLLATE "C",
    currency       text COLLATE "C" NOT NULL,
    pos_status     text COLLATE "C",                       -- REVERSED where a void succeeded
    settle_status  text COLLATE "C",
    payout_status  text COLLATE "C",                       -- of the newest payout in the chain that the line's payout begins
    payout_fact    text COLLATE "C",                       -- which payout in which version that is: a new one is a new fact
    pos_amount     numeric(24,2),              -- signed: REFUND negative
    settled_amount numeric(24,2),              -- signed sum of the standing SETTLED lines in the order's currency
    received       numeric(24,2) NOT NULL,     -- the part of it whose payout is PAID, or not named, or not reported
    CONSTRAINT verdict_claims_an_order_once PRIMARY KEY (order_key, episode),
    CONSTRAINT verdict_claims_a_line_once UNIQUE (settle_key, settle_episode),
    CONSTRAINT verdict_outcome_is_known CHECK (outcome IN ('matched', 'pending', 'unsettled', 'status_mismatch', 'amount_mismatch', 'duplicate', 'unexpected_settlement')),
    CONSTRAINT verdict_match_rule_is_known CHECK (match_rule IN ('order_id', 'channel_txn', 'reference', 'ambiguous', 'none')),
    CONSTRAINT verdict_is_of_an_order_or_a_line CHECK (has_order = (pos_file_id IS NOT NULL) AND (has_order OR settle_file_id IS NOT NULL)),
    CONSTRAINT verdict_without_order_is_unexpected CHECK (has_order = (outcome <> 'unexpected_settlement')),
    CONSTRAINT verdict_pending_has_no_line CHECK (outcome <> 'pending' OR settle_key IS NULL)
);
-- Verdicts are written night by night, so that a block's summary tells its dates.
CREATE INDEX verdict_by_business_date ON verdict USING brin (business_date);
-- What a run looks at again: all that is open, and all that was not matched by its own key.
CREATE INDEX verdict_open ON verdict (order_key) WHERE outcome <> 'matched' OR settle_key <> order_key;
COMMIT;
