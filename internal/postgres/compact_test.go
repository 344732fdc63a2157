package postgres_test

import (
	"slices"
	"testing"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestCompact(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	pool, err := postgres.Open(ctx, testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	// What a table is written into changes when it is written anew.
	state := func(table string) (bytes, rows, file int64) {
		t.Helper()
		if err := pool.QueryRow(ctx, `
			SELECT pg_relation_size('`+table+`'), (SELECT count(*) FROM `+table+`), pg_relation_filenode('`+table+`')::bigint`).Scan(&bytes, &rows, &file); err != nil {
			t.Fatal(err)
		}
		return bytes, rows, file
	}
	tables := map[string]struct{ rows, left int }{
		"holiday": {20_000, 100},    // of 20 MB the few rows at the end are left, which keep vacuuming from giving space back
		"filled":  {20_000, 19_000}, // which its statistics do not know yet
		"small":   {5_000, 100},     // is read in no time
	}
	for table, n := range tables {
		exec(`CREATE TABLE ` + table + ` (n integer PRIMARY KEY, text text) WITH (autovacuum_enabled = off)`)
		exec(`INSERT INTO ` + table + ` VALUES (0, repeat('x', 1000))`)
		exec(`ANALYZE ` + table)
		if _, err := pool.Exec(ctx, `INSERT INTO `+table+` SELECT n, repeat('x', 1000) FROM generate_series(1, $1::integer) AS n`, n.rows-1); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(ctx, `DELETE FROM `+table+` WHERE n < $1`, n.rows-n.left); err != nil {
			t.Fatal(err)
		}
	}
	before := map[string]int64{}
	for table := range tables {
		_, _, before[table] = state(table)
	}
	compact := func(anew ...string) {
		t.Helper()
		if err := postgres.Compact(ctx, pool, "holiday", "filled", "small"); err != nil {
			t.Fatal(err)
		}
		for table, n := range tables {
			bytes, rows, file := state(table)
			if written := file != before[table]; written != slices.Contains(anew, table) || rows != int64(n.left) || written && bytes > 1<<20 {
				t.Errorf("%s is written anew: %t; it has %d bytes and %d rows", table, written, bytes, rows)
			}
		}
	}

	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE holiday IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	compact() // while somebody reads it
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	compact("holiday")

	for name, usual := range map[string]string{"lock_timeout": "0", "default_statistics_target": "100"} {
		var value string
		if err := pool.QueryRow(ctx, `SHOW `+name).Scan(&value); err != nil || value != usual {
			t.Errorf("%s is left at %s, %v", name, value, err)
		}
	}
}
