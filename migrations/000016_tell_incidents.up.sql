-- An incident is a thing with an identity of its own: whom it concerns, what is at stake, how it compares with what is beside it,
-- how it stands, and what can be said of it to the acquirer. It keeps its id from night to night, so every night has a row of its
-- own: what tonight's run made of it, and what nights before did, whose last word names it. One without a row at the last run's
-- as-of is closed.
BEGIN;
DROP TABLE incident; -- the next run finds them again
CREATE TABLE incident (
    incident_id  text COLLATE "C" NOT NULL,  -- derived from kind, scope and first order
    as_of        timestamptz NOT NULL,       -- of the run
    kind         text COLLATE "C" NOT NULL,
    scope        text COLLATE "C" NOT NULL,  -- the columns below as key=value pairs, and the date that it is of
    acquirer     text COLLATE "C" NOT NULL,  -- '' for all
    channel      text COLLATE "C" NOT NULL,
    merchant_id  text COLLATE "C" NOT NULL,
    terminal_id  text COLLATE "C" NOT NULL,
    started_at   timestamptz NOT NULL,
    ended_at     timestamptz NOT NULL,
    orders       bigint NOT NULL,
    peak_orders  bigint NOT NULL,            -- the most orders that it ever had
    merchants    bigint NOT NULL,
    amounts      jsonb NOT NULL,             -- at stake, by currency
    probability  numeric(4,3) NOT NULL,
    rate_inside  numeric(5,4),               -- of payments that failed, NULL where nothing is compared
    rate_outside numeric(5,4),
    status       text COLLATE "C" NOT NULL,  -- recovering: fewer orders than it had
    summary_en   text COLLATE "C" NOT NULL,
    summary_zh   text COLLATE "C" NOT NULL,
    CONSTRAINT incident_once_a_night PRIMARY KEY (incident_id, as_of),
    CONSTRAINT incident_status_is_known CHECK (status IN ('open', 'recovering')),
    CONSTRAINT incident_peak_holds CHECK (orders > 0 AND peak_orders >= orders),
    CONSTRAINT incident_ends_after_it_began CHECK (ended_at >= started_at),
    CONSTRAINT incident_probability_is_a_share CHECK (probability BETWEEN 0 AND 1)
);
COMMIT;
