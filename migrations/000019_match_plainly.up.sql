-- Most orders are plain matches: one POS row that says success, one SETTLED line of the same key, amount and currency, and
-- a payout that is PAID or not reported. They follow from the facts by a join of equal keys, so no verdict is written for
-- each: table verdict keeps all others, and view decided has both. What runs ask of plain matches night after night (how
-- many, of whom, when sold, when settled) is told together in plain_match, some fifty orders a row.
BEGIN;
DROP VIEW verdict_money;

-- Whether the rows of a file count in the verdicts: a completed run has decided them, and no decided file replaces it.
ALTER TABLE file
  ADD COLUMN counts boolean NOT NULL DEFAULT false;
UPDATE file AS f
   SET counts = true
 WHERE f.state = 'loaded'
   AND f.decided
   AND NOT EXISTS (SELECT FROM file AS g WHERE g.file_id = f.replaced_by AND g.decided);

-- Due dates as runs counted them, by the calendar of that day.
CREATE TABLE due_day (
    acquirer      text COLLATE "C" NOT NULL,
    business_date date NOT NULL,
    cycle         text COLLATE "C" NOT NULL,  -- as the orders name it, '' for the acquirer's own
    due_date      date,
    missing_year  smallint,                   -- the calendar year without which it cannot be counted
    CONSTRAINT due_day_once PRIMARY KEY (acquirer, business_date, cycle),
    CONSTRAINT due_day_is_counted_or_says_why CHECK ((due_date IS NULL) = (missing_year IS NOT NULL))
);
INSERT INTO due_day
SELECT DISTINCT ON (v.acquirer, v.business_date, COALESCE(m.settle_cycle, p.settle_cycle, ''))
       v.acquirer,
       v.business_date,
       COALESCE(m.settle_cycle, p.settle_cycle, ''),
       v.due_date,
       v.missing_year
  FROM verdict AS v
  JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
  LEFT JOIN pos_merged AS m ON (m.order_key, m.episode) = (v.order_key, v.episode)
 WHERE v.due_date IS NOT NULL
    OR v.missing_year IS NOT NULL
 ORDER BY v.acquirer, v.business_date, COALESCE(m.settle_cycle, p.settle_cycle, ''), v.due_date;

-- The state of every reported payout: that of the newest version of the last payout in its chain of re-issues.
CREATE TABLE payout_state (
    acquirer     text COLLATE "C" NOT NULL,
    payout_id    text COLLATE "C" NOT NULL,
    last_id      text COLLATE "C" NOT NULL,   -- of the last payout in the chain
    merchant_id  text COLLATE "C" NOT NULL,
    status       text COLLATE "C" NOT NULL,
    reason_code  text COLLATE "C",
    reason       text COLLATE "C",
    amount       numeric(18,2) NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    payout_date  date NOT NULL,
    version_time timestamptz NOT NULL,
    file_id      integer NOT NULL,
    line         integer NOT NULL,
    fact         text COLLATE "C" NOT NULL,   -- which payout in which version: a new one is a new fact
    CONSTRAINT payout_state_once PRIMARY KEY (acquirer, payout_id)
);

-- Plain matches told together. A row is never changed: what is no plain match any more is taken away by a further row.
CREATE TABLE plain_match (
    acquirer       text COLLATE "C" NOT NULL,
    merchant_id    text COLLATE "C" NOT NULL,
    channel        text COLLATE "C" NOT NULL,
    type           text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    business_date  date NOT NULL,
    due_date       date,
    settle_date    date NOT NULL,
    settle_file_id integer NOT NULL,
    payout_id      text COLLATE "C",
    sign           smallint NOT NULL,         -- 1, or -1 for orders that are taken away
    orders         integer NOT NULL,
    amount         numeric(24,2) NOT NULL,    -- of the orders, unsigned
    net            numeric(24,2) NOT NULL,    -- of their lines, unsigned: amount less fee where a line has none
    sold           integer[] NOT NULL,        -- when each was sold, in seconds after the business date began in UTC
    CONSTRAINT plain_match_sign_is_one CHECK (sign IN (1, -1)),
    CONSTRAINT plain_match_counts_its_orders CHECK (orders > 0 AND cardinality(sold) = orders),
    CONSTRAINT plain_match_type_is_known CHECK (type IN ('SALE', 'REFUND'))
);
CREATE INDEX plain_match_by_date ON plain_match USING brin (business_date);
CREATE INDEX plain_match_by_payout ON plain_match (payout_id) WHERE payout_id IS NOT NULL;

-- A payout's lines among the verdicts are looked up when it changes.
ALTER TABLE verdict
  ADD COLUMN payout_id text COLLATE "C";
UPDATE verdict AS v
   SET payout_id = COALESCE(m.payout_id, s.payout_id)
  FROM settlement_row AS s
  LEFT JOIN settlement_merged AS m USING (order_key)
 WHERE (s.order_key, s.file_id, s.line) = (COALESCE(v.settle_key, v.order_key), v.settle_file_id, v.settle_line)
   AND (m.order_key IS NULL OR m.episode = COALESCE(v.settle_episode, v.episode));
CREATE INDEX verdict_by_payout ON verdict (payout_id) WHERE payout_id IS NOT NULL;
-- Nearly all that has a verdict is open now: an index of what is open finds nothing faster.
DROP INDEX verdict_open;

-- Rejected lines that a corrected profile reads as facts join a file that counts already. Until a run has decided them they are
-- named here, and make no plain match.
CREATE TABLE reread_line (
    file_id integer NOT NULL,
    line    integer NOT NULL,
    CONSTRAINT reread_line_once PRIMARY KEY (file_id, line)
);

-- What makes a plain match, given that no verdict says otherwise: every key that is none has a verdict.
CREATE VIEW plain AS
SELECT p.order_key,
       p.business_date,
       p.file_id,
       p.line,
       p.txn_time,
       p.amount,
       p.currency,
       p.status,
       p.type,
       p.acquirer,
       p.merchant_id,
       p.channel,
       COALESCE(p.terminal_id, s.terminal_id) AS terminal_id,
       p.order_id,
       p.refund_id,
       COALESCE(p.original_order_id, s.original_order_id) AS original_order_id,
       p.store_id,
       COALESCE(p.channel_txn_id, s.channel_txn_id) AS channel_txn_id,
       COALESCE(p.ref_no, s.ref_no) AS ref_no,
       d.due_date,
       d.missing_year,
       s.settle_date,
       s.status AS settle_status,
       s.fee,
       s.net_amount,
       s.payout_id,
       s.file_id AS settle_file_id,
       s.line AS settle_line,
       y.status AS payout_status,
       y.fact AS payout_fact,
       CASE WHEN p.type = 'REFUND' THEN -p.amount ELSE p.amount END::numeric(24,2) AS signed_amount
  FROM pos_row AS p
  JOIN file AS pf ON pf.file_id = p.file_id AND pf.counts
  JOIN settlement_row AS s ON s.order_key = p.order_key
  JOIN file AS sf ON sf.file_id = s.file_id AND sf.counts
  LEFT JOIN due_day AS d
    ON d.acquirer = p.acquirer
   AND d.business_date = p.business_date
   AND d.cycle = COALESCE(p.settle_cycle, '')
  LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
 WHERE p.type <> 'VOID'
   AND NOT EXISTS (SELECT FROM verdict AS v WHERE v.order_key = p.order_key)
   AND NOT EXISTS (SELECT FROM reread_line AS r WHERE (r.file_id, r.line) = (p.file_id, p.line))
   AND NOT EXISTS (SELECT FROM reread_line AS r WHERE (r.file_id, r.line) = (s.file_id, s.line));

-- No more than what orders show. So the files of payouts are told of once more, and the next run, which finds files that count among
-- the new ones, decides everything.
UPDATE file
   SET decided = false
 WHERE kind = 'payout'
   AND state = 'loaded';
INSERT INTO payout_state
SELECT DISTINCT ON (v.acquirer, v.payout_id)
       v.acquirer, v.payout_id, v.payout_id, p.merchant_id, v.payout_status, p.reason_code, p.reason, p.amount, p.currency, p.payout_date,
       p.version_time, p.file_id, p.line, v.payout_fact
  FROM verdict AS v
  JOIN payout_row AS p ON p.acquirer = v.acquirer AND p.payout_id = v.payout_id
 WHERE v.payout_status IS NOT NULL
   AND v.settled_lines = 1
 ORDER BY v.acquirer, v.payout_id, p.version_time DESC, p.file_id, p.line;

-- The verdicts of plain matches go.
DELETE FROM verdict AS v
 USING pos_row AS p, settlement_row AS s
 WHERE v.outcome = 'matched'
   AND v.settle_key = v.order_key
   AND v.episode = 0
   AND v.pos_amount = v.settled_amount
   AND (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
   AND (s.order_key, s.file_id, s.line) = (v.settle_key, v.settle_file_id, v.settle_line)
   AND s.currency = p.currency
   AND abs(p.business_date - s.business_date) <= 180
   AND NOT EXISTS (SELECT FROM pos_merged AS m WHERE m.order_key = v.order_key)
   AND NOT EXISTS (SELECT FROM settlement_merged AS m WHERE m.order_key = v.order_key);
INSERT INTO plain_match
SELECT acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id, 1, count(*),
       sum(amount), sum(COALESCE(net_amount, amount - COALESCE(fee, 0))),
       array_agg(floor(extract(epoch FROM txn_time) - extract(epoch FROM business_date))::integer ORDER BY txn_time, order_key)
  FROM plain
 GROUP BY acquirer, merchant_id, channel, type, currency, business_date, due_date, settle_date, settle_file_id, payout_id;

-- Every verdict, written down or plain.
CREATE VIEW decided AS
SELECT order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line, settle_key, settle_episode,
       settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date, outcome, match_rule, type, acquirer, merchant_id,
       channel, terminal_id, currency, pos_status, settle_status, payout_status, payout_fact, payout_id, pos_amount, settled_amount,
       received, false AS plain
  FROM verdict
 UNION ALL
SELECT order_key, 0::smallint, business_date, true, false, 1, file_id, line, order_key, 0::smallint,
       settle_file_id, settle_line, txn_time, due_date, missing_year, settle_date, 'matched' COLLATE "C", 'order_id' COLLATE "C", type,
       acquirer, merchant_id, channel, terminal_id, currency, status, settle_status, payout_status, payout_fact, payout_id, signed_amount,
       signed_amount, signed_amount, true
  FROM plain;

-- The one definition of money (contract: due, arrived, owed, excess), read by the export, the checks and every total.
-- UNKNOWN and PENDING count as due: the payer may have been charged, and facts, not causes, decide.
CREATE VIEW verdict_money AS
SELECT with_arrived.*,
       amount_due - amount_arrived AS amount_owed,
       received - amount_arrived AS amount_excess
  FROM (SELECT with_due.*,
               CASE WHEN type = 'SALE' THEN least(amount_due, received) ELSE greatest(amount_due, received) END AS amount_arrived
          FROM (SELECT d.*,
                       CASE WHEN NOT has_order
                              OR outcome = 'pending'
                              OR pos_status IN ('FAILED', 'CLOSED', 'REVERSED') THEN 0
                            ELSE pos_amount
                       END AS amount_due
                  FROM decided AS d) AS with_due) AS with_arrived;
COMMIT;
