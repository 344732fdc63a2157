-- A verdict can be derived again from what is stored with it: the evidence of the order itself, what cohorts made of the rates,
-- and the weights of that day.
BEGIN;
CREATE TABLE weights (
    version text COLLATE "C" NOT NULL, -- of the hash of the text
    text    text COLLATE "C" NOT NULL,
    CONSTRAINT weights_once PRIMARY KEY (version)
);
ALTER TABLE explanation
  ADD COLUMN runner_up text COLLATE "C", -- the likeliest sub-cause of another cause
  ADD COLUMN features  text COLLATE "C", -- family=value, blank-separated
  ADD COLUMN rates     text COLLATE "C", -- family:sub_cause=rate, in the order in which cohorts changed them
  ADD COLUMN weights   text COLLATE "C"; -- the version
COMMIT;
