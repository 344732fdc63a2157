-- Why the money of a flagged verdict has not arrived, and the incidents that explain many orders at once.
-- No foreign key to verdict: a run writes both anew for what it decides, and posrecon check compares them.
BEGIN;
CREATE TABLE incident (
    incident_id text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,   -- acquirer, channel, merchant or terminal, as key=value pairs
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    orders      bigint NOT NULL,
    CONSTRAINT incident_once PRIMARY KEY (incident_id)
);
CREATE TABLE explanation (
    order_key        uuid NOT NULL,
    episode          smallint NOT NULL,
    cause            text COLLATE "C",             -- NULL for outcomes that carry none: duplicate, unexpected_settlement
    sub_cause        text COLLATE "C",
    confidence       numeric(3,2),
    certainty        text COLLATE "C",
    incident_id      text COLLATE "C",
    evidence         jsonb NOT NULL,   -- [{"family","en","zh","source"}], strongest first
    counter_evidence jsonb NOT NULL,
    action           text COLLATE "C" NOT NULL,    -- a key of the table of next steps in package classify
    needs_follow_up  boolean NOT NULL,
    CONSTRAINT explanation_once PRIMARY KEY (order_key, episode),
    CONSTRAINT explanation_cause_is_known CHECK (cause IN ('delay', 'interface_fault', 'frozen_account', 'failed_txn')),
    CONSTRAINT explanation_cause_is_whole CHECK ((cause IS NULL) = (sub_cause IS NULL) AND (cause IS NULL) = (confidence IS NULL) AND (cause IS NULL) = (certainty IS NULL)),
    CONSTRAINT explanation_confidence_is_a_share CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT explanation_certainty_is_known CHECK (certainty IN ('high', 'medium', 'low'))
);
COMMIT;
