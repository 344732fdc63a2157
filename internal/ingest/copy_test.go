package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/postgres"
)

// Rows of several months in turns and bad lines in between, both many more than travel at once, all arrive.
func TestCopyTakesTurns(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	var b strings.Builder
	b.WriteString(posHeader)
	const rows = 12_000
	for n := range rows {
		amount, day := "1.00", fmt.Sprintf("2026-%02d-%02d", 9+n%3, 1+n/1000)
		if n > rows/2 {
			day = fmt.Sprintf("2027-%02d-01", 1+n/1000-6) // months that come up later
		}
		if n%4 == 3 {
			amount = "x" + strings.Repeat("9", 500)
		}
		fmt.Fprintf(&b, "A%d,lakala,M1,WECHAT,%s,SUCCESS,%s 12:00:00,SALE\n", n, amount, day)
	}
	in.write(t, "pos.csv", b.String())
	told := &rowCount{}
	in.opt.Progress = told
	if f := in.load(t)["pos.csv"]; f.State != ingest.Loaded || f.Rows != rows*3/4 || f.Rejected != rows/4 {
		t.Errorf("it is %s with %d rows and %d rejected: %s", f.State, f.Rows, f.Rejected, f.Reason)
	}
	if told.rows != rows*3/4 {
		t.Errorf("%d rows were told of", told.rows)
	}
	if months := in.query(t, `SELECT DISTINCT tableoid::regclass::text FROM pos_row`); len(months) != 9 {
		t.Errorf("the rows are in %v", months)
	}
}

// Rows of one month go straight into it, until another comes; wherever they go from then on, each is where it belongs.
func TestCopyIntoMonths(t *testing.T) {
	t.Parallel()
	for months, want := range map[string][]string{
		"11 11":       {"pos_row_2026_11 2"},
		"11 12 11":    {"pos_row_2026_11 2", "pos_row_2026_12 1"},
		"11 12 12 11": {"pos_row_2026_11 2", "pos_row_2026_12 2"},
		"12 10 11 12": {"pos_row_2026_10 1", "pos_row_2026_11 1", "pos_row_2026_12 2"},
	} {
		in := newInbox(t)
		text := posHeader
		for i, month := range strings.Fields(months) {
			text += fmt.Sprintf("A%d,lakala,M1,WECHAT,1.00,SUCCESS,2026-%s-05 12:00:00,SALE\n", i, month)
		}
		in.write(t, "pos.csv", text)
		if f := in.load(t)["pos.csv"]; f.State != ingest.Loaded {
			t.Errorf("%s: it is %s: %s", months, f.State, f.Reason)
		}
		got := in.query(t, `SELECT concat_ws(' ', tableoid::regclass, count(*)) FROM pos_row GROUP BY tableoid ORDER BY tableoid::regclass::text`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", months, diff)
		}
	}
}

// Into a partition with an index the rows of a file go by their keys, some at a time, and are the same rows.
func TestCopySorts(t *testing.T) {
	t.Parallel()
	const rows = 70_000 // more than are sorted at a time
	load := func(first bool) []string {
		in := newInbox(t)
		if first {
			in.write(t, "a/pos.csv", posLog("A", "2026-11-02", 1))
			in.load(t)
			if err := postgres.IndexPartitions(t.Context(), in.pool); err != nil {
				t.Fatal(err)
			}
		}
		in.write(t, "b/pos.csv", posLog("B", "2026-11-03", rows))
		if f := in.load(t)["b/pos.csv"]; f.State != ingest.Loaded || f.Rows != rows {
			t.Errorf("it is %s with %d rows: %s", f.State, f.Rows, f.Reason)
		}
		turns := in.query(t, `
			SELECT count(*)::text
			  FROM (SELECT order_key < lag(order_key) OVER (ORDER BY ctid) AS back FROM pos_row WHERE business_date = '2026-11-03') AS r
			 WHERE back`)
		if falls, err := strconv.Atoi(turns[0]); err != nil || first && falls > 5 || !first && falls < rows/4 {
			t.Errorf("with an index before %t: the keys fall %s times", first, turns[0])
		}
		return in.query(t, `
			SELECT concat_ws(' ', order_key, line, order_id, amount, txn_time)
			  FROM pos_row
			 WHERE business_date = '2026-11-03'
			 ORDER BY line`)
	}
	if diff := cmp.Diff(load(false), load(true)); diff != "" {
		t.Errorf("sorted rows differ (-as they come +sorted):\n%.2000s", diff)
	}
}

// rowCount is a Progress that counts rows.
type rowCount struct {
	hook
	rows int64
}

func (c *rowCount) Rows(n int64) { c.rows += n }

// A load that ends half-way, for whatever reason, leaves nothing in the database and nothing running, and says why.
func TestCopyEndsHalfWay(t *testing.T) {
	for name, tt := range map[string]struct {
		meddle func(t *testing.T, in *inbox, cancel func())
		held   func(err error) bool
	}{
		"it is cancelled": {
			func(_ *testing.T, _ *inbox, cancel func()) { cancel() },
			func(err error) bool { return errors.Is(err, context.Canceled) },
		},
		"the connection is lost": {
			func(t *testing.T, in *inbox, _ func()) {
				in.query(t, `SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY %'`)
			},
			func(err error) bool { return err != nil && strings.Contains(err.Error(), "b/pos.csv") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(t)
			in.write(t, "b/pos.csv", posLog("B", "2026-11-03", 40*manyRows))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h := &halfWay{do: func() { tt.meddle(t, in, cancel) }}
			in.opt.Progress = h
			_, err := ingest.Paths(ctx, in.pool, []string{in.dir}, in.opt)
			if !tt.held(err) {
				t.Errorf("error: %v", err)
			}
			in.leftNothing(t)
		})
	}
	t.Run("the server takes no such row", func(t *testing.T) {
		in := newInbox(t)
		in.query(t, `ALTER TABLE pos_row ADD CONSTRAINT pos_row_has_another_id CHECK (order_id <> 'B15000')`)
		in.write(t, "b/pos.csv", posLog("B", "2026-11-03", 40*manyRows))
		_, err := ingest.Paths(t.Context(), in.pool, []string{in.dir}, in.opt)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.ConstraintName != "pos_row_has_another_id" || !strings.Contains(err.Error(), "b/pos.csv") {
			t.Errorf("error: %v", err)
		}
		in.leftNothing(t)
	})
	t.Run("the file ends with what cannot be read", func(t *testing.T) {
		in := newInbox(t)
		in.write(t, "b/pos.csv", posLog("B", "2026-11-03", manyRows)+"# total_count: many\n")
		if f := in.load(t)["b/pos.csv"]; f.State != ingest.Refused || !strings.Contains(f.Reason, "total_count") {
			t.Errorf("it is %s: %s", f.State, f.Reason)
		}
		in.leftNothing(t)
	})
}

// leftNothing holds that no row is stored and no loader still runs.
func (in *inbox) leftNothing(t *testing.T) {
	t.Helper()
	if rows := in.query(t, `SELECT order_id FROM pos_row`); len(rows) > 0 {
		t.Errorf("%d rows are stored", len(rows))
	}
	if files := in.query(t, `SELECT name FROM file WHERE state = 'loaded'`); len(files) > 0 {
		t.Errorf("%v are loaded", files)
	}
	// What the driver still reads with ends by itself, but not before the call returns.
	var stacks string
	for range 100 {
		buf := make([]byte, 1<<20)
		if stacks = string(buf[:runtime.Stack(buf, true)]); !strings.Contains(stacks, "ingest.(*") {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("still running:\n%s", stacks)
}

// halfWay is a Progress that meddles once some rows are under way.
type halfWay struct {
	hook
	rows int64
	do   func()
}

func (h *halfWay) Rows(n int64) {
	if h.rows += n; h.rows > manyRows {
		h.once.Do(h.do)
	}
}
