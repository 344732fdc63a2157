-- Days that differ from the week, for years that were loaded beside those the program ships with. A year here stands
-- instead of the shipped one.
BEGIN;
CREATE TABLE calendar_day (
    day    date NOT NULL,
    kind   text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    notice text COLLATE "C" NOT NULL,
    CONSTRAINT calendar_day_once PRIMARY KEY (day),
    CONSTRAINT calendar_day_kind_is_known CHECK (kind IN ('off', 'working'))
);
COMMIT;
