-- Facts of the payouts: every accepted version of every payout. Few beside the orders they pay, so not partitioned.
BEGIN;
CREATE TABLE payout_row (
    acquirer           text COLLATE "C" NOT NULL,
    payout_id          text COLLATE "C" NOT NULL,
    file_id            integer NOT NULL,
    line               integer NOT NULL,
    merchant_id        text COLLATE "C" NOT NULL,
    payout_date        date NOT NULL,
    version_time       timestamptz NOT NULL,   -- the file's status_time, else the payout date's local midnight
    amount             numeric(18,2) NOT NULL, -- negative where the acquirer takes money back
    currency           text COLLATE "C" NOT NULL,
    status             text COLLATE "C" NOT NULL,
    reason_code        text COLLATE "C",
    reason             text COLLATE "C",
    bank_credit_time   timestamptz,
    replaces_payout_id text COLLATE "C",
    CONSTRAINT payout_row_once PRIMARY KEY (acquirer, payout_id, file_id, line),
    CONSTRAINT payout_row_of_file FOREIGN KEY (file_id) REFERENCES file,
    CONSTRAINT payout_row_status_is_known CHECK (status IN ('PAID', 'PROCESSING', 'HELD', 'FAILED', 'RETURNED')),
    CONSTRAINT payout_row_does_not_replace_itself CHECK (replaces_payout_id <> payout_id)
);
CREATE INDEX payout_row_by_file ON payout_row (file_id);
CREATE INDEX payout_row_by_replaced ON payout_row (acquirer, replaces_payout_id) WHERE replaces_payout_id IS NOT NULL;
COMMIT;
