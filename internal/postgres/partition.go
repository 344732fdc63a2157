package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
)

// partitionLock serialises the making of partitions among all posrecon programs on a database.
const partitionLock int64 = runLock + 1

// indexLock serialises the indexing of partitions. It is another lock: indexing waits for loaders, and a loader that
// needs a new partition must not wait for the indexing.
const indexLock int64 = runLock + 2

// Partitions makes the monthly partitions of the fact tables as rows need them. It may be used by several loaders.
type Partitions struct {
	pool *pgxpool.Pool
	mu   sync.Mutex
	used map[string]bool
}

// NewPartitions returns a maker of partitions in pool's database.
func NewPartitions(pool *pgxpool.Pool) *Partitions {
	return &Partitions{pool: pool, used: map[string]bool{}}
}

// Ensure makes the partition of table (pos_row or settlement_row) that holds date. It works on a connection of its
// own: a partition made within a loader's transaction would lock the table until that file is loaded, while attaching
// one does not disturb loaders (SHARE UPDATE EXCLUSIVE against their ROW EXCLUSIVE).
func (p *Partitions) Ensure(ctx context.Context, table string, date recon.Date) error {
	first := recon.NewDate(date.Year(), date.UTC().Month(), 1)
	next := recon.DateFromUTC(first.UTC().AddDate(0, 1, 0))
	name := fmt.Sprintf("%s_%s", table, first.UTC().Format("2006_01"))

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[name] {
		return nil
	}
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, partitionLock); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil || exists {
			return err
		}
		if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL)`, name, table)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`,
			table, name, first.UTC().Format(time.DateOnly), next.UTC().Format(time.DateOnly)))
		return err
	})
	if err != nil {
		return fmt.Errorf("make partition %s: %w", name, err)
	}
	p.used[name] = true
	return nil
}

// indexes are made on every partition of a table, after the first load into it: building one from what is there, sorted,
// costs a third of keeping it while random keys come in.
var indexes = map[string][]struct{ name, on string }{
	"pos_row":        {{"by_key", "(order_key)"}},
	"settlement_row": {{"by_key", "(order_key)"}},
}

// IndexPartitions makes the indexes that partitions of the fact tables lack, and refreshes the planner's statistics of
// those it made one on and of touched: a decision follows at once, and autovacuum would come too late.
func IndexPartitions(ctx context.Context, pool *pgxpool.Pool, touched []string) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, indexLock); err != nil {
			return err
		}
		// Which files and dates a partition holds shows in a few thousand rows as well as in thirty thousand.
		if _, err := tx.Exec(ctx, `SET LOCAL default_statistics_target = 20`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT parent.relname, child.relname
			  FROM pg_inherits AS i
			  JOIN pg_class AS parent ON parent.oid = i.inhparent
			  JOIN pg_class AS child ON child.oid = i.inhrelid
			 WHERE parent.oid IN ('pos_row'::regclass, 'settlement_row'::regclass)
			 ORDER BY child.relname`)
		if err != nil {
			return err
		}
		type partition struct{ Table, Name string }
		partitions, err := pgx.CollectRows(rows, pgx.RowToStructByPos[partition])
		if err != nil {
			return err
		}
		for _, p := range partitions {
			analyze := slices.Contains(touched, p.Name)
			for _, index := range indexes[p.Table] {
				name := p.Name + "_" + index.name
				var exists bool
				if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil {
					return err
				}
				if exists {
					continue
				}
				analyze = true
				if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE INDEX %s ON %s %s`, name, p.Name, index.on)); err != nil {
					return err
				}
			}
			if analyze {
				if _, err := tx.Exec(ctx, "ANALYZE "+p.Name); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("index the partitions: %w", err)
	}
	return nil
}

// Used returns the partitions that rows went into, by name.
func (p *Partitions) Used() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.used))
}
