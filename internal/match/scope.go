package match

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// chooseScope fills dirty, or decides that all keys are.
//
// Beside what is asked for, always decided again are: keys of files that no completed run has looked at (new ones, and
// those that were replaced); keys of lines whose payout has a new version; all that is open; and all that was matched
// by anything but its own key, since a better partner may have arrived.
func (d *decision) chooseScope(ctx context.Context, scope Scope) error {
	// A handful of rows that every statement joins: without statistics the planner takes them for one.
	if _, err := d.tx.Exec(ctx, `ANALYZE file`); err != nil {
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
	if d.replaced == nil {
		d.replaced = []int32{}
	}

	var decidedBefore bool
	if err := d.tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM verdict)`).Scan(&decidedBefore); err != nil {
		return err
	}
	if d.all = scope.All || !decidedBefore; d.all {
		return nil
	}

	if err := d.run(ctx,
		`CREATE TEMP TABLE dirty (order_key uuid) ON COMMIT DROP`,
		// The file's own dates let the planner read only the partitions that hold its rows.
		`INSERT INTO dirty
		 SELECT r.order_key
		   FROM pos_row AS r
		   JOIN file AS f USING (file_id)
		  WHERE NOT f.decided
		    AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE NOT decided AND kind = 'pos_log')
		                            AND (SELECT max(last_date) FROM file WHERE NOT decided AND kind = 'pos_log')`,
		`INSERT INTO dirty
		 SELECT r.order_key
		   FROM settlement_row AS r
		   JOIN file AS f USING (file_id)
		  WHERE NOT f.decided
		    AND r.business_date BETWEEN (SELECT min(first_date) FROM file WHERE NOT decided AND kind = 'settlement')
		                            AND (SELECT max(last_date) FROM file WHERE NOT decided AND kind = 'settlement')`,
		// A new version of a payout concerns its lines, and those of every payout that it replaces, however far back.
		`INSERT INTO dirty
		 WITH RECURSIVE changed AS (
		     SELECT p.acquirer, p.payout_id
		       FROM payout_row AS p
		       JOIN file AS f USING (file_id)
		      WHERE NOT f.decided
		      UNION
		     SELECT p.acquirer, p.replaces_payout_id
		       FROM changed
		       JOIN payout_row AS p USING (acquirer, payout_id)
		      WHERE p.replaces_payout_id IS NOT NULL
		 )
		 SELECT r.order_key
		   FROM changed AS c
		   JOIN settlement_row AS r USING (payout_id)
		  WHERE r.acquirer = c.acquirer`,
		`INSERT INTO dirty
		 SELECT unnest(ARRAY[order_key, settle_key])
		   FROM verdict
		  WHERE outcome <> 'matched'
		     OR settle_key <> order_key`,
	); err != nil {
		return err
	}
	if !scope.From.IsZero() {
		if _, err := d.exec(ctx, `
			INSERT INTO dirty
			SELECT order_key FROM verdict WHERE business_date BETWEEN $1 AND $2
			 UNION ALL
			SELECT order_key FROM pos_row WHERE business_date BETWEEN $1 AND $2
			 UNION ALL
			SELECT order_key FROM settlement_row WHERE business_date BETWEEN $1 AND $2`,
			scope.From.UTC(), scope.To.UTC()); err != nil {
			return err
		}
	}
	return d.run(ctx,
		`CREATE TEMP TABLE once ON COMMIT DROP AS
		 SELECT DISTINCT order_key FROM dirty WHERE order_key IS NOT NULL`,
		`DROP TABLE dirty`,
		`ALTER TABLE once RENAME TO dirty`,
		`ALTER TABLE dirty ADD PRIMARY KEY (order_key)`,
		`ANALYZE dirty`,
	)
}

// payoutState finds, for every reported payout, the state that its lines have: that of the newest version of the last
// payout in its chain of re-issues. Two payouts that claim to replace the same one: the newer is followed.
func (d *decision) payoutState(ctx context.Context) error {
	if _, err := d.exec(ctx, `
		CREATE TEMP TABLE payout_version ON COMMIT DROP AS
		SELECT DISTINCT ON (p.acquirer, p.payout_id)
		       p.acquirer, p.payout_id, p.merchant_id, p.payout_date, p.version_time, p.amount, p.currency, p.status,
		       p.reason_code, p.reason, p.file_id, p.line,
		       array_position(ARRAY['PROCESSING', 'HELD', 'FAILED', 'PAID', 'RETURNED'], p.status) AS rank
		  FROM payout_row AS p
		  JOIN file AS f USING (file_id)
		 WHERE f.state = 'loaded'
		   AND f.replaced_by IS NULL
		 ORDER BY p.acquirer, p.payout_id, p.version_time DESC, rank DESC, f.file_date, f.sha256, p.line`); err != nil {
		return err
	}
	return d.run(ctx,
		`CREATE TEMP TABLE payout_state ON COMMIT DROP AS
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
		`ALTER TABLE payout_state ADD PRIMARY KEY (acquirer, payout_id)`,
		`ANALYZE payout_state`,
	)
}
