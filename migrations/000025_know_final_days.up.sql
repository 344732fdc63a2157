-- Of what is open most stays open for good: a payment that failed, say. Once more of an acquirer's files have come than a late line
-- waits for, what explains its orders of a day is final, unless something happens to them, and is left as it is.
BEGIN;
CREATE TABLE final_day (
    acquirer      text COLLATE "C" NOT NULL,
    business_date date NOT NULL,
    due_date      date NOT NULL,
    as_of         timestamptz NOT NULL, -- of the night that explained them last
    asleep        boolean NOT NULL,     -- nothing was explained beside them in the last run
    CONSTRAINT final_day_once PRIMARY KEY (acquirer, business_date, due_date)
);
ALTER TABLE file
  ADD COLUMN dates date[]; -- business and settle dates of its rows, NULL where not known one by one
-- Such an explanation names another row, and is made anew when that goes.
CREATE INDEX explanation_by_other_merchant ON explanation (order_key, episode) WHERE action = 'check_merchant';
COMMIT;
