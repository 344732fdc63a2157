-- Keys with several rows: what the rows of the standing fact say together (a filled value beats an empty one, else the
-- newer file's), which columns differ, and every fact in words. Keys with one row need none: the row speaks.
BEGIN;
CREATE TABLE pos_merged (
    order_key        uuid NOT NULL,
    episode          smallint NOT NULL,
    voided           boolean NOT NULL,
    txn_time         timestamptz NOT NULL,
    channel          text NOT NULL,
    original_order_id text,
    store_id         text,
    terminal_id      text,
    operator_id      text,
    scan_mode        text,
    channel_txn_id   text,
    ref_no           text,
    trace_no         text,
    batch_no         text,
    response_code    text,
    response_message text,
    settle_cycle     text,
    callback_time    timestamptz,
    differs          text NOT NULL,   -- columns in which rows of the same fact differ, comma separated
    history          text NOT NULL,   -- every fact of the key, oldest file first
    CONSTRAINT pos_merged_once PRIMARY KEY (order_key, episode)
);
CREATE TABLE settlement_merged (
    order_key         uuid NOT NULL,
    episode           smallint NOT NULL,
    original_order_id text,
    txn_time          timestamptz,
    terminal_id       text,
    channel           text,
    channel_txn_id    text,
    ref_no            text,
    trace_no          text,
    batch_no          text,
    payout_id         text,
    reason_code       text,
    reason            text,
    differs           text NOT NULL,
    history           text NOT NULL,
    CONSTRAINT settlement_merged_once PRIMARY KEY (order_key, episode)
);
-- Which rows of such a key stand, with what their fact says. A row whose key is not in settlement_merged stands by itself.
CREATE TABLE standing_line (
    order_key  uuid NOT NULL,
    episode    smallint NOT NULL,
    file_id    integer NOT NULL,
    line       integer NOT NULL,
    acquirer   text NOT NULL,
    type       text NOT NULL,
    status     text NOT NULL,
    currency   text NOT NULL,
    amount     numeric(18,2) NOT NULL,
    fee        numeric(18,2),
    net_amount numeric(18,2),
    payout_id  text,
    CONSTRAINT standing_line_once PRIMARY KEY (order_key, file_id, line)
);
COMMIT;
