package postgres_test

import (
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
	size := func(table string) (bytes, rows int64) {
		t.Helper()
		if err := pool.QueryRow(ctx, `SELECT pg_relation_size('`+table+`'), (SELECT count(*) FROM `+table+`)`).Scan(&bytes, &rows); err != nil {
			t.Fatal(err)
		}
		return bytes, rows
	}
	// What is left of 20 MB: the few rows at the end keep vacuuming from giving space back; a full table, and one of 5 MB.
	for table, rows := range map[string][2]int{"holiday": {20_000, 100}, "kept": {20_000, 19_000}, "small": {5_000, 100}} {
		exec(`CREATE TABLE ` + table + ` (n integer PRIMARY KEY, text text) WITH (autovacuum_enabled = off)`)
		if _, err := pool.Exec(ctx, `INSERT INTO `+table+` SELECT n, repeat('x', 1000) FROM generate_series(1, $1::integer) AS n`, rows[0]); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(ctx, `DELETE FROM `+table+` WHERE n <= $1`, rows[0]-rows[1]); err != nil {
			t.Fatal(err)
		}
	}
	compact := func() {
		t.Helper()
		if err := postgres.Compact(ctx, pool, "holiday", "kept", "small"); err != nil {
			t.Fatal(err)
		}
	}
	kept, _ := size("kept")
	small, _ := size("small")
	compact()
	if bytes, _ := size("holiday"); bytes < 20<<20 {
		t.Errorf("without statistics a table is written anew: it has %d bytes", bytes)
	}
	exec(`ANALYZE holiday`)
	exec(`ANALYZE kept`)
	exec(`ANALYZE small`)

	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `LOCK TABLE holiday IN ACCESS SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	compact()
	if bytes, _ := size("holiday"); bytes < 20<<20 {
		t.Errorf("a table that somebody reads is written anew: it has %d bytes", bytes)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}

	compact()
	if bytes, rows := size("holiday"); bytes > 1<<20 || rows != 100 {
		t.Errorf("the table has %d bytes and %d rows", bytes, rows)
	}
	if bytes, _ := size("kept"); bytes != kept {
		t.Errorf("a full table is written anew: it has %d bytes, and had %d", bytes, kept)
	}
	if bytes, _ := size("small"); bytes != small {
		t.Errorf("a small table is written anew: it has %d bytes, and had %d", bytes, small)
	}
	var timeout string
	if err := pool.QueryRow(ctx, `SHOW lock_timeout`).Scan(&timeout); err != nil || timeout != "0" {
		t.Errorf("lock_timeout is left at %s, %v", timeout, err)
	}
}
