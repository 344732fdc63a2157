//go:build !citus

package pipeline_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// beforeIndexes has the server do something before it makes an index by key.
func (b *bench) beforeIndexes(t *testing.T, do string) {
	t.Helper()
	for _, sql := range []string{
		`CREATE FUNCTION before_index() RETURNS event_trigger LANGUAGE plpgsql AS $$
		 BEGIN
		     IF current_query() LIKE '%_by_key%' THEN
		         ` + do + `
		     END IF;
		 END $$`,
		`CREATE EVENT TRIGGER before_index ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION before_index()`,
	} {
		if _, err := b.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// The export of a first night waits for the indexes by which it looks its rows up, however long they take: made here only once the
// decision is stored.
func TestExportWaitsForIndexes(t *testing.T) {
	t.Parallel()
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	b.beforeIndexes(t, `WHILE NOT EXISTS (SELECT FROM run) LOOP PERFORM pg_sleep(0.5); END LOOP;`)
	inbox := t.TempDir()
	nightOfMonths(t, inbox, "N", recon.NewDate(2026, 11, 9), 1, 2_000)
	if _, err := b.job(&world{acquirers: recon.Acquirers{}}).Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, Out: t.TempDir(),
		AsOf: time.Date(2026, 11, 12, 12, 0, 0, 0, b.zone)}); err != nil {
		t.Fatal(err)
	}
	exports := 0
	for _, plan := range p.take() {
		if !strings.Contains(plan, "WITH ORDINALITY") {
			continue
		}
		exports++
		if !strings.Contains(plan, "Index Scan using pos_row_2026_11_by_key") {
			t.Errorf("the export reads a whole month for forty rows:\n%s", plan)
		}
	}
	if exports != 1 {
		t.Errorf("%d plans of an export were told", exports)
	}
}

// A run whose indexes cannot be made says so, and does not wait for them for ever. What it has decided stays, and the next one makes them.
func TestIndexesFail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beforeIndexes(t, `RAISE 'no space left for it';`)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	inbox := t.TempDir()
	nightOfMonths(t, inbox, "N", recon.NewDate(2026, 11, 9), 1, 200)
	job, opt := b.job(&world{acquirers: recon.Acquirers{}}), pipeline.Options{Kind: "run", Inbox: []string{inbox}, Out: t.TempDir(),
		AsOf: time.Date(2026, 11, 12, 12, 0, 0, 0, b.zone)}
	if _, err := job.Run(ctx, opt); err == nil || !strings.Contains(err.Error(), "index the partitions") || !strings.Contains(err.Error(), "no space left for it") {
		t.Fatalf("the run says %v", err)
	}
	if _, err := b.pool.Exec(ctx, `DROP EVENT TRIGGER before_index`); err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(ctx, opt); err != nil {
		t.Fatal(err)
	}
	if made := b.dump(t, `SELECT indexname FROM pg_indexes WHERE indexname LIKE 'pos_row_2026_11%' ORDER BY indexname`); len(made) != 2 {
		t.Errorf("made are %q", made)
	}
}
