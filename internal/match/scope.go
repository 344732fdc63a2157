package match

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// chooseScope begins dirty, the keys to decide, and finds the fresh files.
//
// Beside what is asked for, always decided again are: keys of files that were replaced; all that is open but what is left alone
// (waiting.go); all that was matched by anything but its own key, since a better partner may have arrived, or by a tolerance. Where the calendar or an
// acquirer's cycle has changed due dates, all is: those of plain matches are told together. Fresh files' own keys follow in
// matchPlainly, those of lines whose payout has changed in keepPayouts.
func (d *decision) chooseScope(ctx context.Context, scope Scope) error {
	// A handful of rows that every statement joins: without statistics the planner takes them for one.
	if err := d.run(ctx, d.analyzeSmall("file")); err != nil {
		return err
	}
	rows, err := d.tx.Query(ctx, `
		SELECT file_id
		  FROM file
		 WHERE replaced_by IS NOT NULL
		   AND state = 'loaded'
		 ORDER BY file_id`)
	if err != nil {
		return err
	}
	if d.replaced, err = pgx.CollectRows(rows, pgx.RowTo[int32]); err != nil {
		return err
	}
	// A file that counts already and is to be decided anew has rows that were plain matches beside others that no run has
	// seen: which are which is not known any more. It is rare, so all is decided.
	var nothing, mixed bool
	if err := d.tx.QueryRow(ctx, `
		SELECT NOT EXISTS (SELECT FROM file WHERE counts),
		       EXISTS (SELECT FROM file WHERE counts AND NOT decided AND replaced_by IS NULL)`).Scan(&nothing, &mixed); err != nil {
		return err
	}
	d.all = scope.All || nothing || mixed
	if !d.all {
		if d.all, err = d.dueChanged(ctx); err != nil {
			return err
		}
	}
	if err := d.readFresh(ctx); err != nil {
		return err
	}
	if err := d.run(ctx, `CREATE TEMP TABLE dirty (order_key uuid) ON COMMIT DROP`); err != nil || d.all {
		return err
	}
	if err := d.run(ctx,
		// The file's own dates let the planner read only the partitions that hold its rows.
		`INSERT INTO dirty
		 SELECT r.order_key
		   FROM pos_row AS r
		   JOIN file AS f USING (file_id)
		  WHERE NOT f.decided
		    AND f.replaced_by IS NOT NULL
		    AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE NOT decided AND replaced_by IS NOT NULL AND kind = 'pos_log')
		                            AND (SELECT max(last_date) FROM file WHERE NOT decided AND replaced_by IS NOT NULL AND kind = 'pos_log')`,
		`INSERT INTO dirty
		 SELECT r.order_key
		   FROM settlement_row AS r
		   JOIN file AS f USING (file_id)
		  WHERE NOT f.decided
		    AND f.replaced_by IS NOT NULL
		    AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE NOT decided AND replaced_by IS NOT NULL AND kind = 'settlement')
		                            AND (SELECT max(last_date) FROM file WHERE NOT decided AND replaced_by IS NOT NULL AND kind = 'settlement')`,
		`INSERT INTO dirty
		 SELECT unnest(ARRAY[v.order_key, v.settle_key])
		   FROM verdict AS v
		  WHERE (v.outcome <> 'matched'
		         OR v.settle_key <> v.order_key
		         OR v.pos_amount IS DISTINCT FROM v.settled_amount) -- by a tolerance, which may be another now
		    AND NOT (`+leftAlone+`)`,
	); err != nil {
		return err
	}
	if scope.From.IsZero() {
		return nil
	}
	return d.chooseRange(ctx, scope)
}

// chooseRange adds to dirty what there is of the business dates asked for: but for what fresh files hold, which is decided anyway. Which
// files have rows of these dates the register knows, so that a month is not read for one day.
func (d *decision) chooseRange(ctx context.Context, scope Scope) error {
	rows, err := d.tx.Query(ctx, `
		SELECT file_id
		  FROM file
		 WHERE state = 'loaded'
		   AND kind IN ('pos_log', 'settlement')
		   AND first_date <= $2
		   AND last_date >= $1
		   AND file_id <> ALL ($3)
		 ORDER BY file_id`, scope.From.UTC(), scope.To.UTC(), append(append([]int32{}, d.fresh.pos...), d.fresh.lines...))
	if err != nil {
		return err
	}
	files, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return err
	}
	of := where("r", files, [2]recon.Date{scope.From, scope.To})
	return d.run(ctx, `
		INSERT INTO dirty
		SELECT order_key FROM verdict WHERE business_date BETWEEN '`+scope.From.String()+`' AND '`+scope.To.String()+`'
		 UNION ALL
		SELECT order_key FROM pos_row AS r WHERE `+of+`
		 UNION ALL
		SELECT order_key FROM settlement_row AS r WHERE `+of)
}

// payoutColumns are the columns of payout_state.
const payoutColumns = `acquirer, payout_id, last_id, merchant_id, status, reason_code, reason, amount, currency, payout_date,
		        version_time, file_id, line, fact`

// payoutState finds the state that a payout's lines have, in payout_now: that of the newest version of the last payout in its chain of
// re-issues. Two payouts that claim to replace the same one: the newer is followed. It does so for the payouts in payout_touched, whole
// chains of them; of all others payout_state has it.
func (d *decision) payoutState(ctx context.Context) error {
	touched, err := d.touchedPayouts(ctx)
	if err != nil {
		return err
	}
	return d.run(ctx,
		`CREATE TEMP TABLE payout_touched ON COMMIT DROP AS `+touched,
		`ANALYZE payout_touched`,
		`CREATE TEMP TABLE payout_version ON COMMIT DROP AS
		 SELECT DISTINCT ON (p.acquirer, p.payout_id)
		        p.acquirer, p.payout_id, p.merchant_id, p.payout_date, p.version_time, p.amount, p.currency, p.status,
		        p.reason_code, p.reason, p.file_id, p.line,
		        array_position(ARRAY['PROCESSING', 'HELD', 'FAILED', 'PAID', 'RETURNED'], p.status) AS rank
		   FROM payout_row AS p
		   JOIN payout_touched USING (acquirer, payout_id)
		   JOIN file AS f USING (file_id)
		  WHERE f.state = 'loaded'
		    AND f.replaced_by IS NULL
		  ORDER BY p.acquirer, p.payout_id, p.version_time DESC, rank DESC, f.file_date, f.sha256, p.line`,
		`CREATE TEMP TABLE payout_now ON COMMIT DROP AS
		 WITH RECURSIVE successor AS (
		     SELECT DISTINCT ON (p.acquirer, p.replaces_payout_id)
		            p.acquirer, p.replaces_payout_id AS payout_id, p.payout_id AS next_id
		       FROM payout_row AS p
		       JOIN file AS f ON f.file_id = p.file_id AND f.state = 'loaded' AND f.replaced_by IS NULL
		       JOIN payout_version AS v ON v.acquirer = p.acquirer AND v.payout_id = p.payout_id
		      WHERE p.replaces_payout_id IS NOT NULL
		      ORDER BY p.acquirer, p.replaces_payout_id, v.version_time DESC, v.rank DESC, p.payout_id
		 ), chain AS (
		     SELECT acquirer, payout_id, payout_id AS last_id, 0 AS depth
		       FROM payout_version
		      UNION ALL
		     -- The replaced payout itself need not have been reported.
		     SELECT s.acquirer, s.payout_id, s.payout_id, 0
		       FROM successor AS s
		      WHERE NOT EXISTS (SELECT FROM payout_version AS v WHERE v.acquirer = s.acquirer AND v.payout_id = s.payout_id)
		      UNION ALL
		     SELECT c.acquirer, c.payout_id, s.next_id, c.depth + 1
		       FROM chain AS c
		       JOIN successor AS s ON s.acquirer = c.acquirer AND s.payout_id = c.last_id
		      -- No acquirer re-issues a payout fifty times; payouts that replace each other in a ring end here too.
		      WHERE c.depth < 50
		 ), last AS (
		     SELECT DISTINCT ON (acquirer, payout_id) acquirer, payout_id, last_id
		       FROM chain
		      ORDER BY acquirer, payout_id, depth DESC
		 )
		 SELECT l.acquirer, l.payout_id, l.last_id, v.merchant_id, v.status, v.reason_code, v.reason, v.amount, v.currency,
		        v.payout_date, v.version_time, v.file_id, v.line,
		        concat_ws(' ', l.last_id, v.status, v.reason_code, v.version_time) AS fact
		   FROM last AS l
		   JOIN payout_version AS v ON v.acquirer = l.acquirer AND v.payout_id = l.last_id`,
		`ALTER TABLE payout_now ADD PRIMARY KEY (acquirer, payout_id)`,
		`ANALYZE payout_now`,
	)
}

// touchedPayouts returns the statement that finds the payouts of which undecided files tell, with all that are of their chains; or all
// payouts, where all is decided. Account statements are tied with all payouts at once, so that with them all are touched, too.
func (d *decision) touchedPayouts(ctx context.Context) (string, error) {
	var bank bool
	if err := d.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM bank_row)`).Scan(&bank); err != nil {
		return "", err
	}
	if d.all || bank {
		return `
		 SELECT acquirer, payout_id FROM payout_row
		  UNION
		 SELECT acquirer, replaces_payout_id FROM payout_row WHERE replaces_payout_id IS NOT NULL
		  UNION
		 SELECT acquirer, payout_id FROM payout_state`, nil
	}
	// Those of files that others have replaced, too: what they said is taken back.
	rows, err := d.tx.Query(ctx, `
		SELECT file_id
		  FROM file
		 WHERE kind = 'payout'
		   AND state = 'loaded'
		   AND NOT decided
		 ORDER BY file_id`)
	if err != nil {
		return "", err
	}
	files, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		return "", err
	}
	return `
		 WITH RECURSIVE link AS MATERIALIZED (
		     SELECT acquirer, payout_id, replaces_payout_id
		       FROM payout_row
		      WHERE replaces_payout_id IS NOT NULL
		 ), beside AS MATERIALIZED (
		     SELECT acquirer, payout_id, replaces_payout_id AS other_id FROM link
		      UNION
		     SELECT acquirer, replaces_payout_id, payout_id FROM link
		 ), touched AS (
		     SELECT acquirer, payout_id
		       FROM payout_row
		      WHERE file_id = ANY (` + integers(files) + `)
		      UNION
		     SELECT b.acquirer, b.other_id
		       FROM touched AS t
		       JOIN beside AS b ON b.acquirer = t.acquirer AND b.payout_id = t.payout_id
		 )
		 SELECT acquirer, payout_id FROM touched`, nil
}

// keepPayouts writes down the states that have changed, and adds to dirty what they concern: verdicts of their lines, and
// plain matches where the money is not there any more.
func (d *decision) keepPayouts(ctx context.Context) error {
	if err := d.run(ctx,
		`CREATE TEMP TABLE payout_changed ON COMMIT DROP AS
		 SELECT acquirer,
		        payout_id,
		        n.status
		   FROM payout_now AS n
		   FULL JOIN (SELECT o.*
		                FROM payout_state AS o
		                JOIN payout_touched USING (acquirer, payout_id)) AS o USING (acquirer, payout_id)
		  WHERE (n.last_id, n.merchant_id, n.status, n.reason_code, n.reason, n.amount, n.currency, n.payout_date, n.version_time, n.file_id, n.line, n.fact)
		        IS DISTINCT FROM
		        (o.last_id, o.merchant_id, o.status, o.reason_code, o.reason, o.amount, o.currency, o.payout_date, o.version_time, o.file_id, o.line, o.fact)`,
		`ANALYZE payout_changed`,
		`DELETE FROM payout_state
		  WHERE (acquirer, payout_id) IN (SELECT acquirer, payout_id FROM payout_changed)`,
		`INSERT INTO payout_state (`+payoutColumns+`)
		 SELECT `+payoutColumns+`
		   FROM payout_now
		   JOIN payout_changed AS c USING (acquirer, payout_id, status)`,
		d.analyzeSmall("payout_state"),
	); err != nil || d.all {
		return err
	}
	if err := d.run(ctx, `
		INSERT INTO dirty
		SELECT unnest(ARRAY[v.order_key, v.settle_key])
		  FROM payout_changed AS c
		  JOIN verdict AS v ON v.acquirer = c.acquirer AND v.payout_id = c.payout_id`); err != nil {
		return err
	}
	// In which files the lines of plain matches are is known, so that they are found without an index of all lines.
	rows, err := d.tx.Query(ctx, `
		SELECT DISTINCT m.settle_file_id
		  FROM payout_changed AS c
		  JOIN plain_match AS m ON m.acquirer = c.acquirer AND m.payout_id = c.payout_id
		 WHERE c.status <> 'PAID'
		 ORDER BY m.settle_file_id`)
	if err != nil {
		return err
	}
	files, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil || len(files) == 0 {
		return err
	}
	return d.run(ctx, `
		INSERT INTO dirty
		SELECT r.order_key
		  FROM payout_changed AS c
		  JOIN settlement_row AS r ON r.acquirer = c.acquirer AND r.payout_id = c.payout_id
		 WHERE c.status <> 'PAID'
		   AND r.file_id = ANY (`+integers(files)+`)
		   AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE file_id = ANY (`+integers(files)+`))
		                           AND (SELECT max(last_date) FROM file WHERE file_id = ANY (`+integers(files)+`))`)
}
