//go:build citus

package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/retention"
	"github.com/posrecon/posrecon/internal/testdb"
)

// explained is a statement and the plan that the coordinator has for it.
type explained struct {
	sql, plan string
	rows      int64
}

// explainer has every statement of a transaction explained before it is executed.
type explainer struct {
	mu     sync.Mutex
	list   []*explained
	here   int // that could not be explained, since they end on the coordinator
	failed []string
}

type explaining struct{}

var explainable = regexp.MustCompile(`(?is)^\s*(SELECT|WITH|INSERT|UPDATE|DELETE|CREATE TEMP TABLE \w+ (\(.*?\) )?(ON COMMIT DROP )?AS)\b`)

func (e *explainer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if ctx.Value(explaining{}) != nil || conn.PgConn().TxStatus() != 'T' || !explainable.MatchString(data.SQL) {
		return ctx
	}
	inner := context.WithValue(ctx, explaining{}, (*explained)(nil))
	args := []any{pgx.QueryExecModeDescribeExec}
	for _, a := range data.Args {
		if _, ok := a.(pgx.QueryResultFormats); !ok {
			args = append(args, a)
		}
	}
	_, err := conn.Exec(inner, `SAVEPOINT explained`)
	var plan string
	if err == nil {
		var rows pgx.Rows
		if rows, err = conn.Query(inner, `EXPLAIN (COSTS OFF) `+data.SQL, args...); err == nil {
			var lines []string
			lines, err = pgx.CollectRows(rows, pgx.RowTo[string])
			plan = strings.Join(lines, "\n")
		}
		for _, sql := range []string{`ROLLBACK TO SAVEPOINT explained`, `RELEASE SAVEPOINT explained`} {
			_, back := conn.Exec(inner, sql)
			err = errors.Join(err, back)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && strings.HasSuffix(pg.Where, fmt.Sprintf(":%d", conn.Config().Port)):
		// What is left of it, once its parts have come, is the coordinator's own, which Citus explains over a connection that does
		// not know our temporary tables.
		e.here++
		return ctx
	case err != nil:
		e.failed = append(e.failed, err.Error()+": "+data.SQL)
		return ctx
	}
	x := &explained{sql: data.SQL, plan: plan}
	e.list = append(e.list, x)
	return context.WithValue(ctx, explaining{}, x)
}

// TraceQueryEnd notes how many rows the statement came to.
func (e *explainer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if x, ok := ctx.Value(explaining{}).(*explained); ok && x != nil {
		x.rows = data.CommandTag.RowsAffected()
	}
}

// TestWhatCrosses holds of every statement of two nights and of an export that no rows of orders go from node to node: each join
// of two tables that are spread is one of shards that lie on one node. And of the second night, that what comes to the coordinator
// is of that night and of what is open, never a whole table.
func TestWhatCrosses(t *testing.T) {
	t.Parallel()
	const history, night = 20_000, 300
	e := &explainer{}
	url := testdb.New(t)
	// What a part of a statement brings, for the rest of it, is bounded by Citus itself, in kB.
	open := func(most int) *pgxpool.Pool {
		pool, err := postgres.Open(t.Context(), fmt.Sprintf("%s&citus.max_intermediate_result_size=%d", url, most))
		if err != nil {
			t.Fatal(err)
		}
		config := pool.Config()
		pool.Close()
		config.ConnConfig.Tracer = e
		if pool, err = pgxpool.NewWithConfig(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	nights := []struct {
		name  string
		first recon.Date
		days  int
		n     int
		rows  int64 // that one statement may come to
		kB    int
	}{
		{"H", recon.NewDate(2026, 10, 1), 30, history, history, 8192}, // what it brings is all there is
		{"N", recon.NewDate(2026, 11, 9), 1, night, history / 10, 512},
	}
	// Of a statement that is not explained, Citus itself refuses to send rows from node to node.
	var allowed string
	if err := open(8192).QueryRow(t.Context(), `SHOW citus.enable_repartition_joins`).Scan(&allowed); err != nil || allowed != "off" {
		t.Fatalf("repartition joins are %s, %v", allowed, err)
	}
	for _, night := range nights {
		e.list, e.failed, e.here = nil, nil, 0
		b := &bench{open(night.kB), shanghai(t)}
		job := b.job(&world{acquirers: recon.Acquirers{}})
		inbox := t.TempDir()
		nightOfMonths(t, inbox, night.name, night.first, night.days, night.n)
		asOf := night.first.AddDays(night.days).At(12*time.Hour, b.zone)
		if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, Out: t.TempDir(), AsOf: asOf}); err != nil {
			t.Fatal(err)
		}
		spread := 0
		for _, x := range e.list {
			if strings.Contains(x.plan, "Citus Adaptive") {
				spread++
			}
			if strings.Contains(x.plan, "MapMerge") || strings.Contains(strings.ToLower(x.plan), "repartition") {
				t.Errorf("rows go from node to node for\n%s\n%s", x.sql, x.plan)
			}
			if strings.Contains(x.plan, "Citus Adaptive") && x.rows > night.rows {
				t.Errorf("night %s: %d rows come to the coordinator for\n%s\n%s", night.name, x.rows, x.sql, x.plan)
			}
		}
		for _, f := range e.failed {
			t.Errorf("not explained: %s", f)
		}
		if spread < 40 {
			t.Errorf("only %d statements over nodes were explained", spread)
		}
		if e.here > 10 {
			t.Errorf("%d statements could not be explained", e.here)
		}
		t.Logf("night %s: %d statements explained, %d of them over nodes; %d not", night.name, len(e.list), spread, e.here)
	}
}

// TestLineIsClaimedOnce holds that the database itself refuses a second claim of a line, by whichever key.
func TestLineIsClaimedOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	claim := `INSERT INTO claim VALUES ('00000000-0000-0000-0000-000000000001', 0, gen_random_uuid(), 0)`
	if _, err := b.pool.Exec(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	_, err := b.pool.Exec(t.Context(), claim)
	if err == nil || !strings.Contains(err.Error(), "claim_of_a_line_once") {
		t.Errorf("error %v", err)
	}
}

// TestMonthsStay holds that retention, which moves partitions, says that it cannot.
func TestMonthsStay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := retention.Archive(t.Context(), b.pool, retention.Options{Before: recon.NewDate(2026, 1, 1)})
	if !errors.Is(err, retention.ErrDistributed) {
		t.Errorf("error %v", err)
	}
	_, err = retention.Restore(t.Context(), b.pool, recon.NewDate(2025, 1, 1), 0)
	if !errors.Is(err, retention.ErrDistributed) {
		t.Errorf("error %v", err)
	}
}

// A database that is spread over nodes takes later migrations, and gives them back, as one server does: with the rows of a night in it.
func TestLaterMigrations(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{pool, shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	run := func(name string, day recon.Date) {
		t.Helper()
		inbox := t.TempDir()
		nightOfMonths(t, inbox, name, day, 1, 200)
		if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, AsOf: day.AddDays(2).At(12*time.Hour, b.zone)}); err != nil {
			t.Fatal(err)
		}
	}
	run("A", recon.NewDate(2026, 11, 9))
	const first = 24 // those before were there before a database could be spread
	version, _, err := postgres.MigrateVersion(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.MigrateDown(t.Context(), url, int(version)-first+1); err != nil {
		t.Fatal(err)
	}
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	pool.Reset()
	run("B", recon.NewDate(2026, 11, 10))
	b.clean(t, "after migrations", recon.NewDate(2026, 11, 12).At(12*time.Hour, b.zone))
	pool.Close()
}
