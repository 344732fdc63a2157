-- Facts of the acquirer: every accepted row of every settlement file. order_key is the key of the order it is about;
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
    currency          text NOT NULL,
    txn_time          timestamptz,
    status            text NOT NULL,
    type              text NOT NULL,
    acquirer          text NOT NULL,
    merchant_id       text NOT NULL,
    channel           text,
    terminal_id       text,
    payout_id         text,
    order_id          text NOT NULL,
    refund_id         text,
    original_order_id text,
    channel_txn_id    text,
    ref_no            text,
    trace_no          text,
    batch_no          text,
    reason_code       text,
    reason            text,
    CONSTRAINT settlement_row_amount_is_unsigned CHECK (amount >= 0 AND fee >= 0 AND net_amount >= 0),
    CONSTRAINT settlement_row_status_is_known CHECK (status IN ('SETTLED', 'HELD', 'REJECTED', 'RETURNED', 'PENDING')),
    CONSTRAINT settlement_row_type_is_known CHECK (type IN ('SALE', 'REFUND'))
) PARTITION BY RANGE (business_date);
CREATE INDEX settlement_row_by_file ON settlement_row USING brin (file_id);
COMMIT;
