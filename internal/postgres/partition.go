package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	last map[string]recon.Date // by table, the latest month that rows went into
}

// NewPartitions returns a maker of partitions in pool's database.
func NewPartitions(pool *pgxpool.Pool) *Partitions {
	return &Partitions{pool: pool, used: map[string]bool{}, last: map[string]recon.Date{}}
}

// Ensure makes the partition of table (pos_row or settlement_row) that holds date. It works on a connection of its
// own: a partition made within a loader's transaction would lock the table until that file is loaded, while attaching
// one does not disturb loaders (SHARE UPDATE EXCLUSIVE against their ROW EXCLUSIVE).
func (p *Partitions) Ensure(ctx context.Context, table string, date recon.Date) error {
	month := MonthOf(date)
	name := PartitionName(table, month)

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used[name] {
		return nil
	}
	if err := p.make(ctx, table, month); err != nil {
		return err
	}
	p.used[name] = true
	if month.After(p.last[table]) {
		p.last[table] = month
	}
	return nil
}

// aheadMonths is how many months' partitions stand ready behind the latest that has rows: a load at the change of month
// then finds its partition, and needs no DDL while others load.
const aheadMonths = 2

// Ahead makes the partitions of the months after those that rows went into.
func (p *Partitions) Ahead(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for table, month := range p.last {
		for range aheadMonths {
			month = NextMonth(month)
			if err := p.make(ctx, table, month); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *Partitions) make(ctx context.Context, table string, month recon.Date) error {
	err := pgx.BeginFunc(ctx, p.pool, func(tx pgx.Tx) error {
		if err := LockPartitions(ctx, tx); err != nil {
			return err
		}
		return MakePartition(ctx, tx, table, month)
	})
	if err != nil {
		return fmt.Errorf("make partition %s: %w", PartitionName(table, month), err)
	}
	return nil
}

// MonthOf returns the first day of a date's month.
func MonthOf(date recon.Date) recon.Date { return recon.NewDate(date.Year(), date.UTC().Month(), 1) }

// NextMonth returns the first day of the month after that of date.
func NextMonth(date recon.Date) recon.Date {
	return recon.DateFromUTC(MonthOf(date).UTC().AddDate(0, 1, 0))
}

// PartitionName is the name of the partition that holds a month of table.
func PartitionName(table string, month recon.Date) string {
	return table + "_" + month.UTC().Format("2006_01")
}

// MonthBounds is the bound of a month's partition, in SQL.
func MonthBounds(month recon.Date) string {
	return fmt.Sprintf("FOR VALUES FROM ('%s') TO ('%s')", MonthOf(month), NextMonth(month))
}

// LockPartitions keeps other programs from making, archiving or restoring partitions until tx ends.
func LockPartitions(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, partitionLock)
	return err
}

// MakePartition makes the partition of a month of table within tx, which must hold LockPartitions; one that exists stays.
func MakePartition(ctx context.Context, tx pgx.Tx, table string, month recon.Date) error {
	name := PartitionName(table, month)
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil || exists {
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL)`, name, table)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s %s`, table, name, MonthBounds(month))); err != nil {
		return err
	}
	// The planner takes an empty table of which it knows nothing for ten pages, without an index, and would rather read the whole
	// history than look for single orders there.
	_, err := tx.Exec(ctx, `ANALYZE `+name)
	return err
}

// index is one that every partition of a fact table has.
type index struct{ name, on string }

// indexes are made on a partition after the first load into it: building one from what is there, sorted, costs a third of keeping it
// while random keys come in, and of files, which are told of ranges of pages, reading the pages once costs less than asking for each
// row whether its range is told of already. Hardly a key comes twice: to look for entries that could be kept as one is for nothing.
var indexes = []index{{"by_key", "(order_key) WITH (deduplicate_items = off)"}, {"by_file", "USING brin (file_id)"}}

// facts are the tables that have partitions.
var facts = []string{"pos_row", "settlement_row"}

// MakeIndexes makes the indexes that a partition lacks.
func MakeIndexes(ctx context.Context, tx pgx.Tx, partition string) error {
	for _, x := range indexes {
		if err := makeIndex(ctx, tx, partition, x); err != nil {
			return err
		}
	}
	return nil
}

func makeIndex(ctx context.Context, tx pgx.Tx, partition string, x index) error {
	name := partition + "_" + x.name
	var exists bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&exists); err != nil || exists {
		return err
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE INDEX %s ON %s %s`, name, partition, x.on))
	return err
}

// Indexed returns the fact tables that have a partition with an index: rows that go in may have to find their places there.
func Indexed(ctx context.Context, pool *pgxpool.Pool) (map[string]bool, error) {
	rows, err := pool.Query(ctx, `
		SELECT DISTINCT parent.relname
		  FROM pg_inherits AS i
		  JOIN pg_class AS parent ON parent.oid = i.inhparent
		  JOIN pg_class AS child ON child.oid = i.inhrelid
		 WHERE parent.oid IN ('pos_row'::regclass, 'settlement_row'::regclass)
		   AND to_regclass(child.relname || '_by_key') IS NOT NULL`)
	if err != nil {
		return nil, fmt.Errorf("look for indexes: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look for indexes: %w", err)
	}
	indexed := map[string]bool{}
	for _, name := range names {
		indexed[name] = true
	}
	return indexed, nil
}

// Months counts the partitions that hold orders now, and tells whether any partition of a fact table has rows and lacks its index: a key
// is looked up there by reading them all.
func Months(ctx context.Context, tx pgx.Tx) (months int64, unindexed bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE parent.relname = 'pos_row'),
		       COALESCE(bool_or(to_regclass(child.relname || '_by_key') IS NULL AND pg_relation_size(child.oid) > 0), false)
		  FROM pg_inherits AS i
		  JOIN pg_class AS parent ON parent.oid = i.inhparent
		  JOIN pg_class AS child ON child.oid = i.inhrelid
		 WHERE parent.oid IN ('pos_row'::regclass, 'settlement_row'::regclass)`).Scan(&months, &unindexed)
	if err != nil {
		return 0, false, fmt.Errorf("look for indexes: %w", err)
	}
	return months, unindexed, nil
}

// AnalyzePartitions refreshes the planner's statistics of partitions after a load, those of either fact table beside the other's: a
// decision follows at once, and autovacuum would come too late. For the same reason the index by file of a partition that has one is
// told of the pages that the load has filled, which are read for every file else. Of a fact table as a whole it sees to it that the
// planner knows one thing, see analyzeKeys.
func AnalyzePartitions(ctx context.Context, pool *pgxpool.Pool, partitions []string) error {
	errs := make([]error, len(facts))
	var wg sync.WaitGroup
	for i, table := range facts {
		wg.Go(func() {
			others := func(partition string) bool { return !strings.HasPrefix(partition, table+"_") }
			errs[i] = analyze(ctx, pool, slices.DeleteFunc(slices.Clone(partitions), others))
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("analyze the partitions: %w", err)
	}
	if len(partitions) == 0 {
		return nil
	}
	if distributed, err := Distributed(ctx, pool); err != nil || distributed { // the parts of a shard are small
		return err
	}
	for _, table := range facts {
		if err := analyzeKeys(ctx, pool, table); err != nil {
			return fmt.Errorf("analyze the keys of %s: %w", table, err)
		}
	}
	return nil
}

// analyze refreshes what the server knows of partitions.
func analyze(ctx context.Context, pool *pgxpool.Pool, partitions []string) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		// Which files and dates a partition holds shows in a few thousand rows as well as in thirty thousand.
		if _, err := tx.Exec(ctx, `SET LOCAL default_statistics_target = 20`); err != nil {
			return err
		}
		for _, p := range partitions {
			if _, err := tx.Exec(ctx, "ANALYZE "+p); err != nil {
				return err
			}
			// NULL for a partition without the index yet; on Citus, where the shards have it, the coordinator's is empty.
			if _, err := tx.Exec(ctx, `SELECT brin_summarize_new_values(to_regclass($1))`, p+"_by_file"); err != nil {
				return err
			}
		}
		return nil
	})
}

// analyzeKeys tells the planner, once, that nearly every row of a partitioned table has a key of its own. Autovacuum never looks at
// such a table as a whole; without that the planner takes a join of two by their keys for a two hundredth of all pairs of rows, and
// where that is ten million times ten million no plan costs more than another: it sorts both, or looks up one by one. Three hundred rows
// show it; what showed otherwise, since the first load was of few orders with many rows, is looked at again after the next.
func analyzeKeys(ctx context.Context, pool *pgxpool.Pool, table string) error {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var known bool
	if err := conn.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_stats
		                WHERE schemaname = current_schema()
		                  AND tablename = $1
		                  AND attname = 'order_key'
		                  AND inherited
		                  AND n_distinct < 0)`, table).Scan(&known); err != nil || known {
		return err
	}
	// Not within a transaction: there it would hold its locks on all partitions at once, in an order of its own. It waits for nobody long,
	// since others may wait for it: where it cannot be done now it is after the next load.
	for _, sql := range []string{
		`SET default_statistics_target = 1`,
		`SET lock_timeout = '1s'`,
		`ANALYZE (SKIP_LOCKED) ` + table + ` (order_key)`,
		`RESET lock_timeout`,
		`RESET default_statistics_target`,
	} {
		_, err := conn.Exec(ctx, sql)
		if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && (pgErr.Code == "55P03" || pgErr.Code == "40P01") {
			continue // lock_not_available, deadlock_detected
		}
		if err != nil { // with its session goes what it has set
			return errors.Join(err, conn.Hijack().Close(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// IndexPartitions makes the indexes that partitions of the fact tables lack.
func IndexPartitions(ctx context.Context, pool *pgxpool.Pool) error {
	for _, x := range indexes {
		if err := indexPartitions(ctx, pool, x); err != nil {
			return err
		}
	}
	return nil
}

// IndexBeside is IndexPartitions beside other work, whose processor it leaves alone: each index takes one process. It calls keyed as
// soon as keys can be looked up.
func IndexBeside(ctx context.Context, pool *pgxpool.Pool, keyed func()) error {
	for i, x := range indexes {
		if err := indexPartitions(ctx, pool, x, `SET LOCAL max_parallel_maintenance_workers = 0`); err != nil {
			return err
		}
		if i == 0 {
			keyed()
		}
	}
	return nil
}

// indexPartitions makes one index on all partitions that lack it, under settings.
func indexPartitions(ctx context.Context, pool *pgxpool.Pool, x index, settings ...string) error {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, setting := range settings {
			if _, err := tx.Exec(ctx, setting); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, indexLock); err != nil {
			return err
		}
		// Keys are hashes: to compress the pages of their index on the way into the log takes a third of the time and saves nothing.
		// Only a superuser may say so, as the private server's user is.
		if _, err := tx.Exec(ctx, `
			SELECT set_config('wal_compression', 'off', true)
			  FROM pg_roles
			 WHERE rolname = current_user
			   AND rolsuper`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			SELECT child.relname
			  FROM pg_inherits AS i
			  JOIN pg_class AS child ON child.oid = i.inhrelid
			 WHERE i.inhparent IN ('pos_row'::regclass, 'settlement_row'::regclass)
			 ORDER BY child.relname`)
		if err != nil {
			return err
		}
		partitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		distributed, err := Distributed(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range partitions {
			// One that was made ahead is indexed once it has rows; one that another program has archived meanwhile is not.
			var filled bool
			sql := `SELECT COALESCE(pg_relation_size(to_regclass('` + p + `')) > 0, false)`
			if distributed { // the rows of none are here
				sql = `SELECT count(*) > 0 FROM (SELECT 1 FROM ` + p + ` LIMIT 1) AS one`
			}
			if err := tx.QueryRow(ctx, sql).Scan(&filled); err != nil {
				return err
			}
			if !filled {
				continue
			}
			if err := makeIndex(ctx, tx, p, x); err != nil {
				return err
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
