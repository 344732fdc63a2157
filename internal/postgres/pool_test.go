package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// A password is in no error.
func TestOpenKeepsThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://posrecon:geheim@127.0.0.1:1/db",
		"postgres://posrecon:geheim@127.0.0.1:notaport/db",
		"mysql://posrecon:geheim@127.0.0.1/db",
		"postgres://posrecon:geheim%zz@127.0.0.1/db",
		"host=127.0.0.1 port=1 user=posrecon password=geheim",
		"posrecon:geheim@127.0.0.1",
	} {
		pool, err := postgres.Open(t.Context(), url)
		if err == nil {
			pool.Close()
			t.Errorf("%s: opened", url)
			continue
		}
		if strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the error tells the password: %v", url, err)
		}
		if err := postgres.MigrateUp(t.Context(), url); err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: migrate: %v", url, err)
		}
	}
}

// Work is kept only where do says so and has no error.
func TestTransact(t *testing.T) {
	t.Parallel()
	pool := open(t)
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		keep bool
		err  error
		want int
	}{
		"kept":          {true, nil, 1},
		"not kept":      {false, nil, 0},
		"failed":        {true, broken, 0},
		"failed, shown": {false, broken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			err := postgres.Transact(t.Context(), pool, func(tx pgx.Tx) (bool, error) {
				if _, err := tx.Exec(t.Context(), insert("calendar_day", nil)); err != nil {
					return false, err
				}
				return tt.keep, tt.err
			})
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			var got int
			if err := pool.QueryRow(t.Context(), `WITH gone AS (DELETE FROM calendar_day RETURNING 1) SELECT count(*) FROM gone`).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("%d rows are kept, want %d", got, tt.want)
			}
		})
	}
}

// One run at a time on a database, from however many hosts; the lock of a killed one is free.
func TestLock(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	here, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	there, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()

	release, err := postgres.Lock(t.Context(), here, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.Lock(t.Context(), there, 0); !errors.Is(err, postgres.ErrLocked) {
		t.Errorf("a second one: %v, want %v", err, postgres.ErrLocked)
	}
	if _, err := postgres.Lock(t.Context(), there, time.Millisecond); !errors.Is(err, postgres.ErrLocked) {
		t.Errorf("a second one that waits too short: %v, want %v", err, postgres.ErrLocked)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := postgres.Lock(cancelled, there, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("a second one that is told to stop: %v, want %v", err, context.Canceled)
	}

	// Another database of the same server has a lock of its own.
	elsewhere := open(t)
	releaseElsewhere, err := postgres.Lock(t.Context(), elsewhere, 0)
	if err != nil {
		t.Errorf("on another database: %v", err)
	} else {
		releaseElsewhere()
	}

	// One that waits gets it when the first is done, and keeps it from a third.
	got := make(chan error, 1)
	go func() {
		releaseThere, err := postgres.Lock(context.WithoutCancel(t.Context()), there, time.Minute)
		if err == nil {
			if _, third := postgres.Lock(context.WithoutCancel(t.Context()), here, 0); !errors.Is(third, postgres.ErrLocked) {
				err = fmt.Errorf("a third one: %v, want %w", third, postgres.ErrLocked)
			}
			releaseThere()
		}
		got <- err
	}()
	release()
	if err := <-got; err != nil {
		t.Errorf("one that waits: %v", err)
	}

	// The connection's end is the lock's end.
	ctx, stop := context.WithCancel(t.Context())
	release, err = postgres.Lock(ctx, here, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	release() // although its context is gone
	release, err = postgres.Lock(t.Context(), there, 0)
	if err != nil {
		t.Fatalf("after the first was told to stop: %v", err)
	}
	release()
}

// Partitions are made as months need them, once, however many loaders ask.
func TestPartitions(t *testing.T) {
	t.Parallel()
	pool := open(t)
	dates := []recon.Date{
		recon.NewDate(2026, 12, 31), recon.NewDate(2027, 1, 1), recon.NewDate(2028, 2, 29), recon.NewDate(2028, 2, 1),
		recon.NewDate(2000, 1, 1), recon.NewDate(2099, 12, 31),
	}
	var wg sync.WaitGroup
	for range 4 {
		loader := postgres.NewPartitions(pool)
		wg.Go(func() {
			for _, date := range dates {
				for _, table := range []string{"pos_row", "settlement_row"} {
					if err := loader.Ensure(context.WithoutCancel(t.Context()), table, date); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for _, date := range dates {
		changed := columns{"business_date": fmt.Sprintf("'%s'", date)}
		for _, table := range []string{"pos_row", "settlement_row"} {
			if _, err := pool.Exec(t.Context(), insert(table, changed)); err != nil {
				t.Errorf("%s of %s: %v", table, date, err)
			}
		}
	}
	rows, err := pool.Query(t.Context(), `
		SELECT tableoid::regclass || ' ' || business_date FROM pos_row ORDER BY business_date`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"pos_row_2000_01 2000-01-01", "pos_row_2026_12 2026-12-31", "pos_row_2027_01 2027-01-01",
		"pos_row_2028_02 2028-02-01", "pos_row_2028_02 2028-02-29", "pos_row_2099_12 2099-12-31",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("where rows lie (-want +got):\n%s", diff)
	}
}

// A loaded calendar stands instead of the shipped years that it lists, and whatever a file may say can be read back.
func TestCalendar(t *testing.T) {
	t.Parallel()
	pool := open(t)
	ctx := t.Context()
	current := func() *calendar.Calendar {
		t.Helper()
		c, err := postgres.Calendar(ctx, pool, calendar.Default())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	load := func(rows string) {
		t.Helper()
		c, err := calendar.Parse(strings.NewReader("date,kind,name,notice\n" + rows))
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.LoadCalendar(ctx, pool, c); err != nil {
			t.Fatal(err)
		}
	}
	working := func(date recon.Date) bool {
		t.Helper()
		working, err := current().IsWorkingDay(date)
		if err != nil {
			t.Fatal(err)
		}
		return working
	}
	if current() != calendar.Default() {
		t.Error("with nothing loaded it is not the shipped calendar")
	}
	if current().Loaded(2027) {
		t.Fatal("2027 is shipped by now; this test wants a year that is not")
	}

	// Its notice reaches into the December before; a make-up Saturday; a name with all that CSV must quote.
	december := recon.NewDate(2026, 12, 31)
	if !working(december) {
		t.Fatal("2026-12-31 is shipped as a day off")
	}
	const text = "2026-12-31,off,元旦,n\n2027-01-01,off,\"a, \"\"b\"\"\nc\",\"n, o\"\n2027-01-09,working,调休,n\n"
	for range 2 { // twice is once
		load(text)
		if working(december) || working(recon.NewDate(2027, 1, 1)) || !working(recon.NewDate(2027, 1, 9)) || !working(recon.NewDate(2027, 1, 4)) {
			t.Error("the loaded days do not count")
		}
		if working(recon.NewDate(2026, 10, 1)) {
			t.Error("the shipped days of the year before count no more")
		}
	}
	var days []string
	for _, d := range current().Days() {
		if d.Date.Year() == 2027 {
			days = append(days, fmt.Sprintf("%s %s %q %q", d.Date, d.Kind, d.Name, d.Notice))
		}
	}
	if diff := cmp.Diff([]string{`2027-01-01 off "a, \"b\"\nc" "n, o"`, `2027-01-09 working "调休" "n"`}, days); diff != "" {
		t.Errorf("days of 2027 (-want +got):\n%s", diff)
	}

	// A corrected file takes a day back without a mark for it.
	load("2027-01-01,off,元旦,n\n")
	if working(recon.NewDate(2027, 1, 9)) {
		t.Error("a day that the corrected file does not have counts still")
	}
	// A shipped year can be replaced whole.
	load("2026-01-01,off,元旦,n\n")
	if !working(recon.NewDate(2026, 10, 1)) {
		t.Error("a day of the shipped year counts although another file stands instead of it")
	}
}

// A database that cannot hold every name is refused, with the way out.
func TestOpenNeedsUTF8(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	name := conn.Config().Database + "_ascii"
	if _, err := conn.Exec(t.Context(), `CREATE DATABASE `+name+` ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if conn, err := pgx.Connect(context.Background(), url); err == nil {
			_, err = conn.Exec(context.Background(), `DROP DATABASE `+name)
			if err != nil {
				t.Error(err)
			}
			conn.Close(context.Background())
		}
	})
	pool, err := postgres.Open(t.Context(), strings.Replace(url, conn.Config().Database, name, 1))
	if err == nil {
		pool.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "SQL_ASCII") || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("%v", err)
	}
}

// The months after the latest that has rows stand ready, without indexes until they have rows themselves.
func TestPartitionsAhead(t *testing.T) {
	t.Parallel()
	pool := open(t)
	partitions := postgres.NewPartitions(pool)
	for _, date := range []recon.Date{recon.NewDate(2026, 11, 30), recon.NewDate(2026, 10, 2)} {
		if err := partitions.Ensure(t.Context(), "pos_row", date); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := partitions.Ahead(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(t.Context(), insert("pos_row", nil)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(postgres.AnalyzePartitions(t.Context(), pool, partitions.Used()), postgres.IndexPartitions(t.Context(), pool)); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string][]string{
		`SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'pos_row'::regclass ORDER BY 1`: {"pos_row_2026_10", "pos_row_2026_11", "pos_row_2026_12", "pos_row_2027_01"},
		`SELECT indexname::text FROM pg_indexes WHERE indexname LIKE 'pos_row_20%' ORDER BY 1`:              {"pos_row_2026_11_by_file", "pos_row_2026_11_by_key"},
	} {
		rows, err := pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
	}
}

// Counting keys waits for nobody: a loader, or who makes indexes, may wait for it in turn.
func TestAnalyzeWaitsForNobody(t *testing.T) {
	t.Parallel()
	pool := open(t)
	partitions := postgres.NewPartitions(pool)
	for _, table := range []string{"pos_row", "settlement_row"} {
		if err := partitions.Ensure(t.Context(), table, recon.NewDate(2026, 11, 5)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pool.Exec(t.Context(), insert("pos_row", nil)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	known := func() (is bool) {
		t.Helper()
		if err := pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stats WHERE tablename = 'pos_row' AND attname = 'order_key' AND inherited)`).Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	for _, lock := range []string{"pos_row IN ACCESS EXCLUSIVE MODE", "pos_row_2026_11 IN ACCESS EXCLUSIVE MODE", "pos_row_2026_11 IN SHARE MODE"} {
		tx, err := pool.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(ctx, "LOCK TABLE "+lock); err != nil {
			t.Fatal(err)
		}
		if err := postgres.AnalyzePartitions(ctx, pool, []string{"settlement_row_2026_11"}); err != nil {
			t.Errorf("%s: %v", lock, err)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := postgres.AnalyzePartitions(ctx, pool, []string{"pos_row_2026_11"}); err != nil || !known() {
		t.Errorf("once nobody is in the way keys are not counted: %v", err)
	}
}
