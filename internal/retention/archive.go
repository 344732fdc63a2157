package retention

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// archiveMonth archives one month, or tells why it is kept.
func archiveMonth(ctx context.Context, pool *pgxpool.Pool, month recon.Date, evenOpen bool) (done Moved, kept *Kept, err error) {
	done.Month = told(month)
	if err := bind(ctx, pool, month); err != nil {
		return done, nil, err
	}
	err = postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
		m, err := newMover(ctx, tx, month, postgres.NextMonth(month))
		if err != nil {
			return false, err
		}
		if err := m.holdStill(ctx); err != nil {
			return false, err
		}
		if kept, err = m.blocked(ctx, evenOpen); err != nil || kept != nil {
			return false, err
		}
		if err := m.findStaying(ctx); err != nil {
			return false, err
		}
		if err := m.countGone(ctx, &done); err != nil {
			return false, err
		}
		if err := m.moveDerived(ctx); err != nil {
			return false, err
		}
		for _, table := range facts {
			if err := m.detach(ctx, table, month, &done); err != nil {
				return false, err
			}
		}
		if err := m.moveLedger(ctx); err != nil {
			return false, err
		}
		return true, m.run(ctx, `
			INSERT INTO archive.month (month, last_settle_date)
			SELECT {from}, max(settle_date)
			  FROM (SELECT settle_date FROM archive.plain_match WHERE month = {from}
			         UNION ALL
			        SELECT settle_date FROM archive.verdict WHERE month = {from}) AS told`)
	})
	return done, kept, err
}

// bind lets a month's partitions know their dates by a constraint, which is checked while everybody works; attaching them elsewhere
// then reads no row.
func bind(ctx context.Context, pool *pgxpool.Pool, month recon.Date) error {
	for _, table := range facts {
		name := postgres.PartitionName(table, month)
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := lockBriefly(ctx, tx); err != nil {
				return err
			}
			if err := postgres.MakePartition(ctx, tx, table, month); err != nil {
				return err
			}
			var bound bool
			if err := tx.QueryRow(ctx, `
				SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND conname = 'holds_its_month')`, name).Scan(&bound); err != nil || bound {
				return err
			}
			_, err := tx.Exec(ctx, fmt.Sprintf(`
				ALTER TABLE %s ADD CONSTRAINT holds_its_month CHECK (business_date >= '%s' AND business_date < '%s') NOT VALID`,
				name, month, postgres.NextMonth(month)))
			return err
		})
		if err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s VALIDATE CONSTRAINT holds_its_month`, name)); err != nil {
			return err
		}
	}
	return nil
}

// holdStill keeps loaders out of the partitions that hold the dates: what is looked at here must be all there is. Others read on.
func (m *mover) holdStill(ctx context.Context) error {
	live, err := months(ctx, m.tx, liveMonths)
	if err != nil {
		return err
	}
	for _, month := range live {
		if month.Before(m.from) || !month.Before(m.to) {
			continue
		}
		for _, table := range facts {
			var exists bool
			if err := m.tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, postgres.PartitionName(table, month)).Scan(&exists); err != nil {
				return err
			}
			if !exists {
				continue
			}
			if _, err := m.tx.Exec(ctx, `LOCK TABLE `+postgres.PartitionName(table, month)+` IN SHARE MODE`); err != nil {
				return err
			}
		}
	}
	return nil
}

// blocked tells why the month has to stay, nil where it may go.
func (m *mover) blocked(ctx context.Context, evenOpen bool) (*Kept, error) {
	for _, b := range []struct{ reason, sql string }{
		{"files with rows of it that no run has decided: say 'posrecon run'", undecidedFiles},
		{"orders of it have open cases: resolve them, or say --even-open", `
			SELECT count(*)
			  FROM cases AS k
			  JOIN LATERAL (SELECT d.business_date
			                  FROM decided AS d
			                 WHERE (d.order_key, d.episode) = (k.order_key, k.episode)
			                OFFSET 0) AS v ON true
			 WHERE k.status = 'open'
			   AND v.business_date >= {from}
			   AND v.business_date < {to}`},
		{"orders of it are pending, say --even-open to leave them behind", `
			SELECT count(*)
			  FROM verdict
			 WHERE outcome = 'pending'
			   AND business_date >= {from}
			   AND business_date < {to}`},
	} {
		if evenOpen && b.sql != undecidedFiles {
			continue
		}
		var n int64
		if err := m.tx.QueryRow(ctx, m.dated(b.sql)).Scan(&n); err != nil {
			return nil, err
		}
		if n > 0 {
			return &Kept{Month: told(m.from), Count: n, Reason: b.reason}, nil
		}
	}
	return nil, nil
}

const undecidedFiles = `
			SELECT count(*)
			  FROM file
			 WHERE NOT decided
			   AND state = 'loaded'
			   AND kind IN ('pos_log', 'settlement')
			   AND first_date < {to}
			   AND last_date >= {from}`

// nearby is the condition that a row r is of the days beside those that are moved on which it could be of one of their orders.
var nearby = `(r.business_date >= {from} - ` + days + ` AND r.business_date < {from}
		                OR r.business_date >= {to} AND r.business_date < {to} + ` + days + `)`

// findStaying lists in staying the keys with rows of the dates that are tied to what stays live, or are still worked on.
func (m *mover) findStaying(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE inside ON COMMIT DROP AS
		 SELECT order_key FROM pos_row WHERE business_date >= {from} AND business_date < {to}
		  UNION
		 SELECT order_key FROM settlement_row WHERE business_date >= {from} AND business_date < {to}`,
		`ANALYZE inside`,
		`CREATE TEMP TABLE pairs ON COMMIT DROP AS
		 SELECT v.order_key,
		        v.settle_key,
		        v.business_date >= {from} AND v.business_date < {to} AS order_inside,
		        NOT EXISTS (SELECT
		                      FROM settlement_row AS r
		                     WHERE r.order_key = v.settle_key
		                       AND (r.business_date < {from} OR r.business_date >= {to})) AS line_inside
		   FROM verdict AS v
		  WHERE v.settle_key <> v.order_key`,
		`CREATE TEMP TABLE staying ON COMMIT DROP AS
		 -- The same order: a key that is on both sides within the days in which it is one.
		 SELECT order_key FROM inside WHERE order_key IN (SELECT r.order_key FROM pos_row AS r WHERE `+nearby+`)
		  UNION
		 SELECT order_key FROM inside WHERE order_key IN (SELECT r.order_key FROM settlement_row AS r WHERE `+nearby+`)
		  UNION
		 -- A key that recurs: the later order is the second only as long as the first is there.
		 SELECT a.order_key
		   FROM verdict AS a
		   JOIN verdict AS b ON b.order_key = a.order_key
		  WHERE a.episode > 0
		    AND (a.business_date >= {from} AND a.business_date < {to}) <> (b.business_date >= {from} AND b.business_date < {to})
		  UNION
		 SELECT unnest(ARRAY[order_key, settle_key])
		   FROM pairs
		  WHERE order_inside <> line_inside
		  UNION
		 SELECT order_key FROM cases WHERE status = 'open'
		  UNION
		 SELECT order_key FROM verdict WHERE outcome = 'pending'
		  UNION
		 -- What has several candidates would have one, were the others gone.
		 SELECT order_key
		   FROM verdict
		  WHERE match_rule = 'ambiguous'
		    AND business_date >= {to} - `+days,
		`ALTER TABLE staying ADD PRIMARY KEY (order_key)`,
	); err != nil {
		return err
	}
	// Both halves of a pair stay, and what else is of their keys.
	for {
		tag, err := m.tx.Exec(ctx, `
			INSERT INTO staying
			SELECT p.settle_key FROM pairs AS p JOIN staying AS s ON s.order_key = p.order_key
			 UNION
			SELECT p.order_key FROM pairs AS p JOIN staying AS s ON s.order_key = p.settle_key
			ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return m.run(ctx, `ANALYZE staying`)
		}
	}
}

const leavesNow = `r.business_date >= {from}
			   AND r.business_date < {to}
			   AND NOT EXISTS (SELECT FROM staying AS s WHERE s.order_key = r.order_key)`

// countGone takes what leaves into the register, and into done.
func (m *mover) countGone(ctx context.Context, done *Moved) error {
	for table, n := range map[string]*int64{"pos_row": &done.POSRows, "settlement_row": &done.SettlementRows} {
		if err := m.tx.QueryRow(ctx, m.dated(`
			WITH gone AS (
			    SELECT r.file_id, count(*) AS rows
			      FROM `+table+` AS r
			     WHERE `+leavesNow+`
			     GROUP BY r.file_id
			), counted AS (
			    UPDATE file AS f
			       SET rows_archived = f.rows_archived + gone.rows
			      FROM gone
			     WHERE f.file_id = gone.file_id
			    RETURNING gone.rows
			)
			SELECT COALESCE(sum(rows), 0)::bigint FROM counted`)).Scan(n); err != nil {
			return err
		}
	}
	return nil
}

// moveDerived moves what was decided of the keys that leave. All of a key leaves at once, so that its key says it.
func (m *mover) moveDerived(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE leaving ON COMMIT DROP AS
		 SELECT k AS order_key,
		        date_trunc('month', min(r.business_date))::date AS month
		   FROM verdict AS r
		  CROSS JOIN unnest(ARRAY[r.order_key, r.settle_key]) AS k
		  WHERE k IS NOT NULL
		    AND `+leavesNow+`
		  GROUP BY k`,
		`ANALYZE leaving`,
	); err != nil {
		return err
	}
	for _, table := range derived {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH gone AS (
			    DELETE FROM %[1]s AS t
			     USING leaving AS l
			     WHERE l.order_key = t.order_key
			    RETURNING l.month, t.*
			)
			INSERT INTO archive.%[1]s (month, %[2]s)
			SELECT month, %[2]s FROM gone`, table, m.columns[table])); err != nil {
			return err
		}
	}
	return nil
}

// detach moves a month's partition of table into the archive as it is, and makes a new one of what stays. The few rows that stay are
// the only ones that are copied.
func (m *mover) detach(ctx context.Context, table string, month recon.Date, done *Moved) error {
	name := postgres.PartitionName(table, month)
	if err := m.run(ctx,
		fmt.Sprintf(`ALTER TABLE %s DETACH PARTITION %s`, table, name),
		fmt.Sprintf(`ALTER TABLE %s SET SCHEMA archive`, name),
		fmt.Sprintf(`ALTER TABLE archive.%[1]s ATTACH PARTITION archive.%[2]s %[3]s`, table, name, postgres.MonthBounds(month)),
	); err != nil {
		return err
	}
	if err := postgres.MakePartition(ctx, m.tx, table, month); err != nil {
		return err
	}
	tag, err := m.tx.Exec(ctx, fmt.Sprintf(`
		WITH back AS (
		    DELETE FROM archive.%[1]s AS r
		     USING staying AS s
		     WHERE s.order_key = r.order_key
		    RETURNING r.*
		)
		INSERT INTO %[1]s (%[2]s)
		SELECT %[2]s FROM back`, name, m.columns[table]))
	if err != nil {
		return err
	}
	done.Stay += tag.RowsAffected()
	if err := postgres.MakeIndexes(ctx, m.tx, name); err != nil {
		return err
	}
	return m.run(ctx, `ANALYZE `+name)
}

// moveLedger moves the ledger of plain matches of the dates, but for what the live facts of them still come to.
func (m *mover) moveLedger(ctx context.Context) error {
	if err := m.run(ctx, fmt.Sprintf(`
		WITH gone AS (
		    DELETE FROM plain_match
		     WHERE business_date >= {from}
		       AND business_date < {to}
		    RETURNING *
		)
		INSERT INTO archive.plain_match (month, %[1]s)
		SELECT date_trunc('month', business_date)::date, %[1]s FROM gone`, m.columns["plain_match"])); err != nil {
		return err
	}
	return m.bringLedgerBack(ctx, `p.business_date >= {from} AND p.business_date < {to}`)
}

// sweep moves what had stayed behind of archived months and nothing ties any more.
func sweep(ctx context.Context, pool *pgxpool.Pool) error {
	return postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
		end, err := archivedBefore(ctx, tx)
		if err != nil || end.IsZero() {
			return false, err
		}
		m, err := newMover(ctx, tx, beginning, end)
		if err != nil {
			return false, err
		}
		if err := m.holdStill(ctx); err != nil {
			return false, err
		}
		// Rows of a month that is not archived stand between, or of a file that is not decided: another time.
		var between bool
		if err := tx.QueryRow(ctx, m.dated(`
			SELECT (`+undecidedFiles+`) > 0
			    OR EXISTS (SELECT
			                 FROM (`+liveMonths+`) AS live
			                WHERE live.month < {to}
			                  AND live.month NOT IN (SELECT month FROM archive.month))`)).Scan(&between); err != nil || between {
			return false, err
		}
		if err := m.findStaying(ctx); err != nil {
			return false, err
		}
		var gone Moved
		if err := m.countGone(ctx, &gone); err != nil || gone.POSRows+gone.SettlementRows == 0 {
			return false, err
		}
		if err := m.moveDerived(ctx); err != nil {
			return false, err
		}
		for _, table := range facts {
			if err := m.run(ctx, fmt.Sprintf(`
				WITH gone AS (
				    DELETE FROM %[1]s AS r
				     WHERE `+leavesNow+`
				    RETURNING r.*
				)
				INSERT INTO archive.%[1]s (%[2]s)
				SELECT %[2]s FROM gone`, table, m.columns[table])); err != nil {
				return false, err
			}
		}
		if err := m.moveLedger(ctx); err != nil {
			return false, err
		}
		return true, m.run(ctx, `UPDATE archive.month SET archived_at = now() WHERE month = (SELECT max(month) FROM archive.month)`)
	})
}
