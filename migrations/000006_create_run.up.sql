-- A completed run. Its row is written by the transaction that stores its verdicts, so a killed run leaves none.
BEGIN;
CREATE TABLE run (
    run_id       integer GENERATED ALWAYS AS IDENTITY,
    as_of        timestamptz NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    program      text COLLATE "C" NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT now(), -- for people and monitoring: no decision reads it
    summary      jsonb NOT NULL,
    CONSTRAINT run_has_an_id PRIMARY KEY (run_id),
    CONSTRAINT run_kind_is_known CHECK (kind IN ('run', 'reconcile'))
);
COMMIT;
