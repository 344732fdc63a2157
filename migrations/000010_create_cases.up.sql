-- What people follow up. A case outlives the verdicts of single runs, and its events are its history, never changed.
BEGIN;
CREATE TABLE cases (
    case_id          text COLLATE "C" NOT NULL,    -- derived from the order's key, never from a sequence or a clock
    order_key        uuid NOT NULL,
    episode          smallint NOT NULL,
    status           text COLLATE "C" NOT NULL,
    assignee         text COLLATE "C" NOT NULL DEFAULT '',
    resolved_facts   text COLLATE "C" NOT NULL DEFAULT '', -- digest of the facts when a person resolved it: other facts reopen it
    CONSTRAINT cases_once PRIMARY KEY (case_id),
    CONSTRAINT cases_one_per_order UNIQUE (order_key, episode),
    CONSTRAINT cases_status_is_known CHECK (status IN ('open', 'resolved', 'closed')),
    CONSTRAINT cases_resolved_know_their_facts CHECK ((status = 'resolved') = (resolved_facts <> ''))
);
CREATE TABLE case_event (
    case_id   text COLLATE "C" NOT NULL,
    seq       integer NOT NULL,
    at        timestamptz NOT NULL,    -- the as-of of the run, or the clock when a person acted
    kind      text COLLATE "C" NOT NULL,
    actor     text COLLATE "C" NOT NULL,           -- posrecon, or who acted
    outcome   text COLLATE "C" NOT NULL,
    cause     text COLLATE "C" NOT NULL,
    sub_cause text COLLATE "C" NOT NULL,
    note      text COLLATE "C" NOT NULL,
    CONSTRAINT case_event_in_order PRIMARY KEY (case_id, seq),
    CONSTRAINT case_event_of_case FOREIGN KEY (case_id) REFERENCES cases ON DELETE CASCADE,
    CONSTRAINT case_event_kind_is_known CHECK (kind IN ('opened', 'changed', 'closed', 'reopened', 'resolved', 'assigned', 'commented'))
);
COMMIT;
