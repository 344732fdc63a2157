package retention

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// bringLedgerBack takes live plain matches out of the archive's ledger into the live one.
func (m *mover) bringLedgerBack(ctx context.Context, where string) error {
	return m.run(ctx,
		// From a few orders to their lines, over indexes: of partitions that were made just now the planner knows nothing.
		`SET LOCAL enable_hashjoin = off`, `SET LOCAL enable_mergejoin = off`, `SET LOCAL enable_seqscan = off`,
		`CREATE TEMP TABLE back ON COMMIT DROP AS
		 SELECT * FROM (`+match.PlainLedger(1, "plain AS p WHERE "+where)+`) AS ledger (`+match.LedgerColumns+`)`,
		`SET LOCAL enable_hashjoin TO DEFAULT`, `SET LOCAL enable_mergejoin TO DEFAULT`, `SET LOCAL enable_seqscan TO DEFAULT`,
		`INSERT INTO plain_match (`+match.LedgerColumns+`)
		 SELECT `+match.LedgerColumns+` FROM back`,
		`UPDATE back SET sign = -sign`,
		`INSERT INTO archive.plain_match (month, `+match.LedgerColumns+`)
		 SELECT date_trunc('month', business_date)::date, `+match.LedgerColumns+` FROM back`,
		`DROP TABLE back`,
	)
}

// beginning is before all rows.
var beginning = recon.NewDate(1900, 1, 1)

// archivedBefore returns the first date that was never archived, zero where nothing is.
func archivedBefore(ctx context.Context, tx pgx.Tx) (recon.Date, error) {
	archived, err := months(ctx, tx, archivedMonths)
	if err != nil || len(archived) == 0 {
		return recon.Date{}, err
	}
	return postgres.NextMonth(archived[len(archived)-1]), nil
}

// Restore attaches an archived month and all after it, in one transaction, so that what is archived is always all that is older
// than what is live. What the months before it hold of the same orders comes with them. The next run decides everything again.
func Restore(ctx context.Context, pool *pgxpool.Pool, month recon.Date, wait time.Duration) (*Report, error) {
	report := newReport()
	err := locked(ctx, pool, wait, func() error {
		return postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
			archived, err := months(ctx, tx, archivedMonths)
			if err != nil {
				return false, err
			}
			if !slices.ContainsFunc(archived, month.Equal) {
				return false, fmt.Errorf("%s is not archived", told(month))
			}
			m, err := newMover(ctx, tx, month, postgres.NextMonth(archived[len(archived)-1]))
			if err != nil {
				return false, err
			}
			for _, one := range archived {
				if one.Before(month) {
					continue
				}
				done := Moved{Month: told(one)}
				if err := m.attach(ctx, one, &done); err != nil {
					return false, fmt.Errorf("restore %s: %w", done.Month, err)
				}
				report.Restored = append(report.Restored, done)
			}
			return true, m.thawTied(ctx)
		})
	})
	if err != nil {
		return newReport(), err
	}
	return report, settle(ctx, pool, nil)
}

// attach brings an archived month back with all that had been decided of it, and has its files decided again.
func (m *mover) attach(ctx context.Context, month recon.Date, done *Moved) error {
	for table, n := range map[string]*int64{"pos_row": &done.POSRows, "settlement_row": &done.SettlementRows} {
		name := postgres.PartitionName(table, month)
		if err := m.tx.QueryRow(ctx, `
			WITH back AS (
			    SELECT file_id, count(*) AS rows FROM archive.`+name+` GROUP BY file_id
			), counted AS (
			    UPDATE file AS f
			       SET rows_archived = f.rows_archived - back.rows,
			           decided = false
			      FROM back
			     WHERE f.file_id = back.file_id
			    RETURNING back.rows
			)
			SELECT COALESCE(sum(rows), 0)::bigint FROM counted`).Scan(n); err != nil {
			return err
		}
		if err := m.run(ctx,
			fmt.Sprintf(`ALTER TABLE %s DETACH PARTITION %s`, table, name),
			fmt.Sprintf(`INSERT INTO archive.%[1]s (%[2]s) SELECT %[2]s FROM %[1]s`, name, m.columns[table]),
			fmt.Sprintf(`DROP TABLE %s`, name),
			fmt.Sprintf(`ALTER TABLE archive.%s DETACH PARTITION archive.%s`, table, name),
			fmt.Sprintf(`ALTER TABLE archive.%s SET SCHEMA public`, name),
			fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s %s`, table, name, postgres.MonthBounds(month)),
		); err != nil {
			return err
		}
	}
	for _, table := range append(slices.Clone(derived), "plain_match") {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH back AS (
			    DELETE FROM archive.%[1]s
			     WHERE month = DATE '%[3]s'
			    RETURNING *
			)
			INSERT INTO %[1]s (%[2]s)
			SELECT %[2]s FROM back
			ON CONFLICT DO NOTHING`, table, m.columns[table], month)); err != nil {
			return err
		}
	}
	_, err := m.tx.Exec(ctx, `DELETE FROM archive.month WHERE month = $1`, month.UTC())
	return err
}

// thawTied brings back what is still archived of orders that are live now.
func (m *mover) thawTied(ctx context.Context) error {
	if err := m.run(ctx,
		`CREATE TEMP TABLE thawing ON COMMIT DROP AS
		 WITH archived AS (
		     SELECT order_key FROM archive.pos_row WHERE business_date >= {from} - `+days+`
		      UNION
		     SELECT order_key FROM archive.settlement_row WHERE business_date >= {from} - `+days+`
		 )
		 SELECT order_key FROM archived WHERE order_key IN (SELECT order_key FROM pos_row WHERE business_date < {from} + `+days+`)
		  UNION
		 SELECT order_key FROM archived WHERE order_key IN (SELECT order_key FROM settlement_row WHERE business_date < {from} + `+days+`)
		  UNION
		 SELECT order_key
		   FROM verdict
		  WHERE episode > 0`,
		`ALTER TABLE thawing ADD PRIMARY KEY (order_key)`,
		// The half of a pair whose other half is live.
		`INSERT INTO thawing
		 SELECT unnest(ARRAY[v.order_key, v.settle_key])
		   FROM archive.verdict AS v
		  WHERE v.settle_key <> v.order_key
		    AND (EXISTS (SELECT FROM pos_row AS p WHERE p.order_key = v.order_key)
		         OR EXISTS (SELECT FROM settlement_row AS s WHERE s.order_key = v.settle_key))
		 ON CONFLICT DO NOTHING`,
	); err != nil {
		return err
	}
	// Orders of the restored months have brought their ledger with them.
	return m.thaw(ctx, `p.business_date < {from} AND p.order_key IN (SELECT order_key FROM thawing)`)
}

// Thaw brings back, within the transaction of a decision and before it, the archived orders of which files tell that no run has
// decided: they are decided with all that is known of them. Nights whose files are of these days cost one look at the register.
func Thaw(ctx context.Context, tx pgx.Tx) error {
	end, err := archivedBefore(ctx, tx)
	if err != nil || end.IsZero() {
		return err
	}
	m := &mover{tx: tx, from: beginning, to: end.AddDays(tieDays), columns: map[string]string{}}
	var late bool
	if err := tx.QueryRow(ctx, m.dated(`SELECT (`+undecidedFiles+`) > 0`)).Scan(&late); err != nil || !late {
		return err
	}
	if err := m.readColumns(ctx); err != nil {
		return err
	}
	if err := m.run(ctx,
		`CREATE TEMP TABLE told_late ON COMMIT DROP AS
		 SELECT r.order_key FROM pos_row AS r JOIN file AS f USING (file_id) WHERE NOT f.decided AND r.business_date < {to}
		  UNION
		 SELECT r.order_key FROM settlement_row AS r JOIN file AS f USING (file_id) WHERE NOT f.decided AND r.business_date < {to}`,
		`ANALYZE told_late`,
		`CREATE TEMP TABLE thawing ON COMMIT DROP AS
		 SELECT order_key
		   FROM told_late AS t
		  WHERE EXISTS (SELECT FROM archive.pos_row AS p WHERE p.order_key = t.order_key)
		     OR EXISTS (SELECT FROM archive.settlement_row AS s WHERE s.order_key = t.order_key)`,
		`ALTER TABLE thawing ADD PRIMARY KEY (order_key)`,
	); err != nil {
		return fmt.Errorf("find archived orders that late files tell of: %w", err)
	}
	// A key that began anew since has a verdict of its own, or is told of in the ledger: what it comes to with its first order is
	// found by deciding everything.
	if err := m.run(ctx, `
		UPDATE file
		   SET decided = false
		 WHERE counts
		   AND file_id IN (SELECT file_id FROM pos_row JOIN thawing USING (order_key)
		                    UNION
		                   SELECT file_id FROM settlement_row JOIN thawing USING (order_key))`); err != nil {
		return fmt.Errorf("find archived orders that late files tell of: %w", err)
	}
	if err := m.thaw(ctx, `p.order_key IN (SELECT order_key FROM thawing)`); err != nil {
		return fmt.Errorf("bring back archived orders that late files tell of: %w", err)
	}
	return m.run(ctx, `DROP TABLE told_late`, `DROP TABLE thawing`)
}

// thaw brings back all of the keys in thawing, and of those that they are paired with.
// where selects the plain matches among them whose ledger is in the archive.
func (m *mover) thaw(ctx context.Context, where string) error {
	for {
		tag, err := m.tx.Exec(ctx, `
			INSERT INTO thawing
			SELECT v.settle_key FROM archive.verdict AS v JOIN thawing AS t ON t.order_key = v.order_key WHERE v.settle_key <> v.order_key
			 UNION
			SELECT v.order_key FROM archive.verdict AS v JOIN thawing AS t ON t.order_key = v.settle_key WHERE v.settle_key <> v.order_key
			ON CONFLICT DO NOTHING`)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			break
		}
	}
	if err := m.run(ctx, `ANALYZE thawing`); err != nil {
		return err
	}
	for _, table := range facts {
		if err := m.run(ctx, fmt.Sprintf(`
			UPDATE file AS f
			   SET rows_archived = f.rows_archived - back.rows
			  FROM (SELECT r.file_id, count(*) AS rows
			          FROM archive.%s AS r
			          JOIN thawing AS t USING (order_key)
			         GROUP BY r.file_id) AS back
			 WHERE back.file_id = f.file_id`, table)); err != nil {
			return err
		}
	}
	for _, table := range slices.Concat(facts, derived) {
		if err := m.run(ctx, fmt.Sprintf(`
			WITH back AS (
			    DELETE FROM archive.%[1]s AS r
			     USING thawing AS t
			     WHERE t.order_key = r.order_key
			    RETURNING r.*
			)
			INSERT INTO %[1]s (%[2]s)
			SELECT %[2]s FROM back
			ON CONFLICT DO NOTHING`, table, m.columns[table])); err != nil {
			return err
		}
	}
	return m.bringLedgerBack(ctx, where)
}
