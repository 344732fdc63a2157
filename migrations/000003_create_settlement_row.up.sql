-- Facts of the acquirer: every accepted row of every settlement file. order_key is the key of the order it is about, and
-- business_date is that of its txn_time, else its settle_date.
BEGIN;
CREATE TABLE settlement_row (
    order_key         uuid NOT NULL,
    business_date     date NOT NULL,
    file_id           integer NOT NULL,
    line              integer NOT NULL,
    settle_date       date NOT NULL,
    amount            numeric(18,2) NOT NULL,
    fee               numeric(18,2),
    net_amount        numeric(18,2),
    currency          text COLLATE "C" NOT NULL,
    txn_time          timestamptz,
    status            text COLLATE "C" NOT NULL,
    type              text COLLATE "C" NOT NULL,
    acquirer          text COLLATE "C" NOT NULL,
    merchant_id       text COLLATE "C" NOT NULL,
    channel           text COLLATE "C",
    terminal_id       text COLLATE "C",
    payout_id         text COLLATE "C",
    order_id          text COLLATE "C" NOT NULL,
    refund_id         text COLLATE "C",
    original_order_id text COLLATE "C",
    channel_txn_id    text COLLATE "C",
    ref_no            text COLLATE "C",
    trace_no          text COLLATE "C",
    batch_no          text COLLATE "C",
    reason_code       text COLLATE "C",
    reason            text COLLATE "C",
    CONSTRAINT settlement_row_amount_is_unsigned CHECK (amount >= 0 AND fee >= 0 AND net_amount >= 0),
    CONSTRAINT settlement_row_status_is_known CHECK (status IN ('SETTLED', 'HELD', 'REJECTED', 'RETURNED', 'PENDING')),
    CONSTRAINT settlement_row_type_is_known CHECK (type IN ('SALE', 'REFUND'))
) PARTITION BY RANGE (business_date);
CREATE INDEX settlement_row_by_file ON settlement_row USING brin (file_id);
COMMIT;
