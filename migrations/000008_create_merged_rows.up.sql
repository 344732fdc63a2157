-- Keys with several rows: what the rows of the standing fact say together (a filled value beats an empty one, else the
-- newer file's), which columns differ, and every fact in words. Keys with one row need none: the row speaks.
BEGIN;
CREATE TABLE pos_merged (
    order_key        uuid NOT NULL,
    episode          smallint NOT NULL,
    voided           boolean NOT NULL,
    txn_time         timestamptz NOT NULL,
    channel          text COLLATE "C" NOT NULL,
    original_order_id text COLLATE "C",
    store_id         text COLLATE "C",
    terminal_id      text COLLATE "C",
    operator_id      text COLLATE "C",
    scan_mode        text COLLATE "C",
    channel_txn_id   text COLLATE "C",
    ref_no           text COLLATE "C",
    trace_no         text COLLATE "C",
    batch_no         text COLLATE "C",
    response_code    text COLLATE "C",
    response_message text COLLATE "C",
    settle_cycle     text COLLATE "C",
    callback_time    timestamptz,
    differs          text COLLATE "C" NOT NULL,   -- columns in which rows of the same fact differ, comma separated
    history          text COLLATE "C" NOT NULL,   -- every fact of the key, oldest file first
    CONSTRAINT pos_merged_once PRIMARY KEY (order_key, episode)
);
CREATE TABLE settlement_merged (
    order_key         uuid NOT NULL,
    episode           smallint NOT NULL,
    original_order_id text COLLATE "C",
    txn_time          timestamptz,
    terminal_id       text COLLATE "C",
    channel           text COLLATE "C",
    channel_txn_id    text COLLATE "C",
    ref_no            text COLLATE "C",
    trace_no          text COLLATE "C",
    batch_no          text COLLATE "C",
    payout_id         text COLLATE "C",
    reason_code       text COLLATE "C",
    reason            text COLLATE "C",
    differs           text COLLATE "C" NOT NULL,
    history           text COLLATE "C" NOT NULL,
    CONSTRAINT settlement_merged_once PRIMARY KEY (order_key, episode)
);
-- Which rows of such a key stand, with what their fact says. A row whose key is not in settlement_merged stands by itself.
CREATE TABLE standing_line (
    order_key  uuid NOT NULL,
    episode    smallint NOT NULL,
    file_id    integer NOT NULL,
    line       integer NOT NULL,
    acquirer   text COLLATE "C" NOT NULL,
    type       text COLLATE "C" NOT NULL,
    status     text COLLATE "C" NOT NULL,
    currency   text COLLATE "C" NOT NULL,
    amount     numeric(24,2) NOT NULL,
    fee        numeric(24,2),
    net_amount numeric(24,2),
    payout_id  text COLLATE "C",
    CONSTRAINT standing_line_once PRIMARY KEY (order_key, file_id, line)
);
COMMIT;
