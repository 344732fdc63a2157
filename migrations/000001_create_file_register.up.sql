-- Every file that was ever offered: loaded, held back or refused. A file is its bytes, so sha256 is its identity.
-- Text is compared by its bytes here and in every table, whatever the database's language: the same facts then give the
-- same bytes on every server.
BEGIN;
CREATE TABLE file (
    file_id        integer GENERATED ALWAYS AS IDENTITY,
    sha256         text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,              -- the smallest of its names
    names          text[] COLLATE "C" NOT NULL,            -- every name under which the bytes were offered
    state          text COLLATE "C" NOT NULL,
    reason         text COLLATE "C" NOT NULL DEFAULT '',   -- why it was held back or refused, in words for a clerk
    reason_code    text COLLATE "C" NOT NULL DEFAULT '',
    kind           text COLLATE "C" NOT NULL DEFAULT '',
    acquirer       text COLLATE "C" NOT NULL DEFAULT '',   -- '' for a POS log, whose rows name their acquirer
    file_date      date,                       -- the file's own date: exported_at, settle_date or payout_date
    exported_at    timestamptz,
    status_time    timestamptz,
    replaces       text COLLATE "C" NOT NULL DEFAULT '',   -- name or SHA-256 of the file that this one says it replaces
    replaced_by    integer,
    size_bytes     bigint NOT NULL,
    has_totals     boolean NOT NULL DEFAULT false,
    totals_waived  boolean NOT NULL DEFAULT false, -- loaded with --accept-totals although its totals did not tie
    rows_read      bigint NOT NULL DEFAULT 0,
    rows_loaded    bigint NOT NULL DEFAULT 0,
    rows_rejected  bigint NOT NULL DEFAULT 0,
    first_date     date,                       -- business dates of its rows, to know which partitions hold them
    last_date      date,
    -- A column that is empty throughout a file is absent, and evidence of nothing.
    has_codes        boolean NOT NULL DEFAULT false,
    has_callbacks    boolean NOT NULL DEFAULT false,
    has_channel_txns boolean NOT NULL DEFAULT false,
    has_payouts      boolean NOT NULL DEFAULT false,
    reader_version integer NOT NULL,           -- a newer reader reads refused files and rejected lines again
    decided        boolean NOT NULL DEFAULT false, -- whether a completed run has looked at its rows
    told           boolean NOT NULL DEFAULT false, -- whether a report has told of its rejected lines, or that it is held back
    CONSTRAINT file_has_an_id PRIMARY KEY (file_id),
    CONSTRAINT file_is_its_bytes UNIQUE (sha256),
    CONSTRAINT file_name_is_one_of_its_names CHECK (name = ANY (names)),
    CONSTRAINT file_sha256_is_hex CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT file_state_is_known CHECK (state IN ('loaded', 'held', 'refused')),
    CONSTRAINT file_kind_is_known CHECK (kind IN ('', 'pos_log', 'settlement', 'payout')),
    CONSTRAINT file_not_loaded_says_why CHECK (state = 'loaded' OR reason <> ''),
    CONSTRAINT file_loaded_is_dated CHECK (state <> 'loaded' OR (kind <> '' AND file_date IS NOT NULL)),
    CONSTRAINT file_counts_its_rows CHECK (rows_read = rows_loaded + rows_rejected),
    CONSTRAINT file_does_not_replace_itself CHECK (replaced_by <> file_id)
);
CREATE INDEX file_by_date ON file (kind, acquirer, file_date);
CREATE INDEX file_not_decided ON file (file_id) WHERE NOT decided;

-- Bad input is data: every rejected line with what was wrong. raw is masked where it held personal data.
CREATE TABLE rejected_line (
    file_id integer NOT NULL,
    line    bigint NOT NULL,
    field   text COLLATE "C" NOT NULL,
    value   text COLLATE "C" NOT NULL,
    rule    text COLLATE "C" NOT NULL,
    raw     text COLLATE "C" NOT NULL,
    CONSTRAINT rejected_line_once PRIMARY KEY (file_id, line),
    CONSTRAINT rejected_line_of_file FOREIGN KEY (file_id) REFERENCES file
);
COMMIT;
