-- Facts of the bank: every accepted line of every account statement. An account has few lines a day, so not partitioned.
-- Names and accounts are kept only as far as a business is recognised by them.
BEGIN;
CREATE TABLE bank_row (
    file_id      integer NOT NULL,
    line         integer NOT NULL,
    bank         text COLLATE "C" NOT NULL,
    account      text COLLATE "C" NOT NULL,   -- masked but for its last four characters, '' where the statement names none
    book_date    date NOT NULL,
    book_time    timestamptz,
    amount       numeric(18,2) NOT NULL,      -- positive for money that came in
    currency     text COLLATE "C" NOT NULL,
    counterparty text COLLATE "C",
    memo         text COLLATE "C",
    bank_ref     text COLLATE "C",
    balance      numeric(18,2),
    CONSTRAINT bank_row_once PRIMARY KEY (file_id, line),
    CONSTRAINT bank_row_of_file FOREIGN KEY (file_id) REFERENCES file
);
CREATE INDEX bank_row_by_date ON bank_row (book_date);
COMMIT;
