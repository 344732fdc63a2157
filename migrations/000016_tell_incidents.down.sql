BEGIN;
DROP TABLE incident;
CREATE TABLE incident (
    incident_id text COLLATE "C" NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    scope       text COLLATE "C" NOT NULL,   -- acquirer, channel, merchant or terminal, as key=value pairs
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    orders      bigint NOT NULL,
    CONSTRAINT incident_once PRIMARY KEY (incident_id)
);
COMMIT;
