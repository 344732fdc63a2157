-- Facts of the POS: every accepted row of every POS log, once per file, never changed. A VOID carries the key of the
-- sale it names. Partitioned by month of business date: a night reads the months it touches, old ones detach.
-- Columns that a decision reads of every row come first: reaching a later one costs the way over all before it.
-- Indexes by order_key are made per partition, after the first load into it: see package postgres.
-- No foreign key to file: it would cost a look-up per row, and posrecon check looks instead.
BEGIN;
CREATE TABLE pos_row (
    order_key         uuid NOT NULL,
    business_date     date NOT NULL,
    file_id           integer NOT NULL,
    line              integer NOT NULL,
    txn_time          timestamptz NOT NULL,
    amount            numeric(18,2) NOT NULL,
    currency          text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    acquirer          text COLLATE "C" NOT NULL,
    merchant_id       text COLLATE "C" NOT NULL,
    channel           text COLLATE "C" NOT NULL,
    settle_cycle      text COLLATE "C",
    terminal_id       text COLLATE "C",
    order_id          text COLLATE "C" NOT NULL,
    refund_id         text COLLATE "C",
    original_order_id text COLLATE "C",
    store_id          text COLLATE "C",
    operator_id       text COLLATE "C",
    scan_mode         text COLLATE "C",
    channel_txn_id    text COLLATE "C",
    ref_no            text COLLATE "C",
    trace_no          text COLLATE "C",
    batch_no          text COLLATE "C",
    response_code     text COLLATE "C",
    response_message  text COLLATE "C",
    callback_time     timestamptz,
    CONSTRAINT pos_row_amount_is_unsigned CHECK (amount >= 0),
    CONSTRAINT pos_row_status_is_known CHECK (status IN ('SUCCESS', 'FAILED', 'CLOSED', 'REVERSED', 'PENDING', 'UNKNOWN')),
    CONSTRAINT pos_row_type_is_known CHECK (type IN ('SALE', 'REFUND', 'VOID'))
) PARTITION BY RANGE (business_date);
CREATE INDEX pos_row_by_file ON pos_row USING brin (file_id);
COMMIT;
