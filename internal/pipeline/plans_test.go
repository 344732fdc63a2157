//go:build !citus

package pipeline_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// plans collects how the server executed every statement, as its module auto_explain tells it.
type plans struct {
	mu   sync.Mutex
	list []string
}

// open opens the database with every connection telling its plans, with the rows that each step really had.
func (p *plans) open(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	config := pool.Config()
	pool.Close()
	inner := config.AfterConnect
	config.ConnConfig.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if strings.Contains(n.Message, "plan:\n") {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.list = append(p.list, n.Message)
		}
	}
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if err := inner(ctx, conn); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, `LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;
			SET auto_explain.log_timing = off; SET auto_explain.log_level = notice`)
		return err
	}
	if pool, err = pgxpool.NewWithConfig(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// take returns the plans since the last call.
func (p *plans) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.list
	p.list = nil
	return list
}

// pretendRows makes the planner believe that November's orders and lines are so many.
func (b *bench) pretendRows(t *testing.T, n int) {
	t.Helper()
	if _, err := b.pool.Exec(t.Context(), `
		UPDATE pg_class
		   SET reltuples = $1
		 WHERE relname IN ('pos_row_2026_11', 'settlement_row_2026_11')`, n); err != nil {
		t.Fatal(err)
	}
}

var (
	scanned = regexp.MustCompile(`Seq Scan on ((?:pos_row|settlement_row)_\d{4}_\d\d)\b.*\(actual`)
	looked  = regexp.MustCompile(`Index (?:Only )?Scan using \w+ on ((?:pos_row|settlement_row)_\d{4}_\d\d).*loops=(\d+)\)`)
)

// A night reads what it brings and what is open, never the months behind it; and no statement looks up one by one what it
// could read at once.
func TestPlans(t *testing.T) {
	t.Parallel()
	const history, night = 40_000, 1_000
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	run := func(inbox string, n int, asOf time.Time) []string {
		t.Helper()
		p.take()
		report, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, Out: t.TempDir(), AsOf: asOf})
		if err != nil {
			t.Fatal(err)
		}
		if report.Decided < int64(n) {
			t.Fatalf("%d decided of %d", report.Decided, n)
		}
		list := p.take()
		if len(list) < 50 {
			t.Fatalf("only %d plans were told", len(list))
		}
		return list
	}
	inboxOf := func(name string, first recon.Date, days, n int) string {
		t.Helper()
		inbox := t.TempDir()
		nightOfMonths(t, inbox, name, first, days, n)
		return inbox
	}
	readsNoHistory := func(list []string) {
		t.Helper()
		for _, plan := range list {
			months := slices.Compact(slices.Sorted(func(yield func(string) bool) {
				for _, m := range scanned.FindAllStringSubmatch(plan, -1) {
					if !yield(m[1]) {
						return
					}
				}
			}))
			for _, month := range months {
				if month[len(month)-len("2026_11"):] < "2026_11" {
					t.Errorf("%s, which is history, is read from end to end:\n%s", month, plan)
				}
			}
		}
	}

	// The first night has no history: its sides are read and hashed. What is looked up by key are the few that are flagged.
	for _, plan := range run(inboxOf("H", recon.NewDate(2026, 7, 1), 130, history), history, time.Date(2026, 11, 9, 12, 0, 0, 0, b.zone)) {
		for _, m := range looked.FindAllStringSubmatch(plan, -1) {
			if loops, err := strconv.Atoi(m[2]); err != nil || loops > history/10 {
				t.Errorf("%s is looked up %s times:\n%s", m[1], m[2], plan)
			}
		}
	}

	// The second night is of one day. The months before are history, and so is most of its own; those after it are made ahead and
	// empty.
	readsNoHistory(run(inboxOf("N", recon.NewDate(2026, 11, 9), 1, night), night, time.Date(2026, 11, 10, 12, 0, 0, 0, b.zone)))

	// Then most of what is open is not due, as over a holiday, and few of it are flagged.
	for day := 13; day <= 14; day++ {
		inbox := t.TempDir()
		pos := strings.Builder{}
		pos.WriteString(posHead)
		for i := range 3 * night / 2 {
			fmt.Fprintf(&pos, "W%d-%d,lakala,M%d,wechat,10.00,SUCCESS,2026-11-%dT12:00:00+08:00\n", day, i, i%50, day)
		}
		if err := os.WriteFile(filepath.Join(inbox, "pos-W.csv"), []byte(pos.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		readsNoHistory(run(inbox, night, time.Date(2026, 11, day+1, 12, 0, 0, 0, b.zone)))
	}
}

// What the planner takes for a hundred million rows is joined and told together by hashing as well, either half of the keys in a
// process of its own: it neither looks one side up for each row of the other nor sorts them by all that they are told by, whatever it
// takes their join for, and no process waits for what another reads.
func TestPlansOfALargeNight(t *testing.T) {
	t.Parallel()
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	inbox := t.TempDir()
	nightOfMonths(t, inbox, "N", recon.NewDate(2026, 11, 9), 1, 2_000)
	if _, err := job.Ingest(t.Context(), pipeline.Options{Inbox: []string{inbox}}); err != nil {
		t.Fatal(err)
	}
	const rows = 100_000_000
	b.pretendRows(t, rows)
	if _, err := b.pool.Exec(t.Context(), `UPDATE file SET rows_loaded = $1, rows_read = $1`, rows); err != nil {
		t.Fatal(err)
	}
	p.take()
	if _, err := job.Run(t.Context(), pipeline.Options{Kind: "reconcile", Out: t.TempDir(), AsOf: time.Date(2026, 11, 10, 12, 0, 0, 0, b.zone)}); err != nil {
		t.Fatal(err)
	}
	joins := 0
	for _, plan := range p.take() {
		if !strings.Contains(plan, "CREATE TEMP TABLE plain_now") {
			continue
		}
		joins++
		steps := plan[strings.Index(plan, "(cost="):]
		if strings.Count(steps, "Hash Full Join") != 2 || strings.Contains(steps, "Nested Loop") || strings.Contains(steps, "Sort") ||
			strings.Contains(steps, "Index Scan using") {
			t.Errorf("the fresh rows are joined so:\n%s", plan)
		}
		if strings.Contains(steps, "->  Gather") || !strings.Contains(steps, "Parallel Append") {
			t.Errorf("the halves are not joined beside each other:\n%s", plan)
		}
	}
	if joins != 1 {
		t.Errorf("%d plans of the join of fresh rows were told", joins)
	}
}

// The keys of a large night are looked for among those of a long history in their order, either half by a process of its own.
func TestPlansOfALongHistory(t *testing.T) {
	t.Parallel()
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	inbox := t.TempDir()
	night := func(name string, first recon.Date, days, n int) {
		t.Helper()
		nightOfMonths(t, inbox, name, first, days, n)
		if _, err := job.Ingest(t.Context(), pipeline.Options{Inbox: []string{inbox}}); err != nil {
			t.Fatal(err)
		}
	}
	decide := func(asOf time.Time) {
		t.Helper()
		if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", AsOf: asOf}); err != nil {
			t.Fatal(err)
		}
	}
	night("H", recon.NewDate(2026, 9, 1), 60, 2_000)
	decide(time.Date(2026, 11, 9, 12, 0, 0, 0, b.zone))
	night("N", recon.NewDate(2026, 11, 9), 1, 2_000)
	b.pretendRows(t, 2_000_000)
	if _, err := b.pool.Exec(t.Context(), `
		UPDATE file AS f
		   SET rows_loaded = n.rows, rows_read = n.rows
		  FROM (SELECT file_id, CASE WHEN decided THEN 100000000 ELSE 1000000 END AS rows FROM file) AS n
		 WHERE n.file_id = f.file_id`); err != nil {
		t.Fatal(err)
	}
	p.take()
	decide(time.Date(2026, 11, 10, 12, 0, 0, 0, b.zone))
	told := 0
	for _, plan := range p.take() {
		if !strings.Contains(plan, "CREATE TEMP TABLE known_key") {
			continue
		}
		told++
		steps := plan[strings.Index(plan, "(cost="):]
		if strings.Count(steps, "->  Nested Loop") != 2 || strings.Contains(steps, "->  Gather") || !strings.Contains(steps, "Parallel Append") ||
			strings.Contains(steps, "Hash Join") || regexp.MustCompile(`Seq Scan on pos_row_2026_(09|10)`).MatchString(steps) {
			t.Errorf("the keys are looked for so:\n%s", plan)
		}
	}
	if told != 1 {
		t.Errorf("%d plans of the search were told", told)
	}
}

// An export of everything hashes one side for the other, and the merchants by which it is sorted, never millions of rows for these.
func TestPlansOfALargeExport(t *testing.T) {
	t.Parallel()
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	inbox := t.TempDir()
	asOf := time.Date(2026, 11, 12, 12, 0, 0, 0, b.zone)
	pos, lines := strings.Builder{}, strings.Builder{}
	pos.WriteString(posHead)
	lines.WriteString(lineHead)
	for i := range 2_000 {
		fmt.Fprintf(&pos, "N-%d,lakala,M%d,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n", i, i)
		fmt.Fprintf(&lines, "N-%d,M%d,10.00,0.06,2026-11-10,SETTLED\n", i, i)
	}
	for name, text := range map[string]string{"pos.csv": pos.String(), "settlement.csv": lines.String()} {
		if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, AsOf: asOf}); err != nil {
		t.Fatal(err)
	}
	b.pretendRows(t, 2_000_000)
	p.take()
	if rows, err := export.Write(t.Context(), b.pool, io.Discard, export.CSV, export.Selection{}, job.View(asOf, export.English)); err != nil || rows != 2_000 {
		t.Fatalf("%d rows are exported, %v", rows, err)
	}
	var plain []string
	for _, plan := range p.take() {
		if _, steps, found := strings.Cut(plan, "Gather Merge"); found && strings.Contains(plan, "settle_cycle") {
			plain = append(plain, steps)
		}
	}
	if len(plain) != 1 {
		t.Fatalf("%d plans of plain matches that are sorted side by side were told", len(plain))
	}
	hashed := regexp.MustCompile(`->  Hash .*\n(?:.*Buckets.*\n)?\s+->  Function Scan on m_\d `)
	if !hashed.MatchString(plain[0]) || strings.Contains(plain[0], "Nested Loop") || strings.Contains(plain[0], "Right Join") {
		t.Errorf("plain matches are joined so:\n%s", plain[0])
	}
}

// While another program's load has a month without its index nothing is looked up there: each look-up would read all of it.
func TestPlansWithoutAnIndex(t *testing.T) {
	t.Parallel()
	p := &plans{}
	b := &bench{p.open(t, testdb.New(t)), shanghai(t)}
	job := b.job(&world{acquirers: recon.Acquirers{}})
	inbox, others := t.TempDir(), t.TempDir()
	asOf := time.Date(2026, 11, 12, 12, 0, 0, 0, b.zone)
	nightOfMonths(t, inbox, "N", recon.NewDate(2026, 11, 9), 1, 2_000)
	if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, AsOf: asOf}); err != nil {
		t.Fatal(err)
	}
	nightOfMonths(t, others, "D", recon.NewDate(2026, 12, 1), 1, 1_000)
	if _, err := ingest.Paths(t.Context(), b.pool, []string{others}, ingest.Options{Zone: b.zone, Acquirers: recon.Acquirers{}}); err != nil {
		t.Fatal(err)
	}
	p.take()
	rows, err := export.Write(t.Context(), b.pool, io.Discard, export.CSV, export.Selection{Flagged: true}, job.View(asOf, export.English))
	if err != nil || rows != 40 {
		t.Fatalf("%d rows are exported, %v", rows, err)
	}
	read := 0
	for _, plan := range p.take() {
		for _, m := range regexp.MustCompile(`Seq Scan on (?:pos_row|settlement_row)_2026_12\b.*loops=(\d+)\)`).FindAllStringSubmatch(plan, -1) {
			if read++; m[1] != "1" {
				t.Errorf("a month without an index is read %s times:\n%s", m[1], plan)
			}
		}
	}
	if read == 0 {
		t.Error("no plan tells of the month without an index")
	}
}

// An explanation that would say again what it says is not written again, which the transaction that wrote it tells.
func TestExplanationsStay(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", "order_id,acquirer,merchant_id,channel,amount,status,txn_time,response_code\n"+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00,00\n"+
		"B,lakala,M1,wechat,10.00,FAILED,2026-11-09T12:00:00+08:00,51\n"+
		"C,lakala,M1,wechat,20.00,FAILED,2026-11-09T12:00:00+08:00,51\n")
	wrote := func() []string {
		return c.b.dump(t, `
			SELECT o.order_id || ' by ' || x.xmin
			  FROM explanation AS x
			  JOIN pos_row AS o USING (order_key)
			 ORDER BY o.order_id`)
	}
	c.night("2026-11-10 12:00")
	first := wrote()
	c.write("pos-2.csv", posHead+"D,lakala,M1,wechat,10.00,SUCCESS,2026-11-10T12:00:00+08:00\n",
		"settlement-2.csv", lineHead+"C,M1,20.00,0.06,2026-11-11,SETTLED\nD,M1,10.00,0.06,2026-11-11,SETTLED\n")
	c.night("2026-11-11 12:00")
	second := wrote()
	if len(first) != 3 || len(second) != 3 {
		t.Fatalf("explained are %q and then %q", first, second)
	}
	for i, why := range []string{"", "", "it is no longer unsettled"} {
		if (first[i] != second[i]) != (why != "") {
			t.Errorf("explained as %s and then as %s: %q", first[i], second[i], why)
		}
	}
	for _, opt := range []pipeline.Options{
		{Kind: "run", Inbox: []string{c.inbox}, AsOf: c.at("2026-11-11 12:30")},
		{Kind: "reconcile", AsOf: c.at("2026-11-11 12:30")}, // which trusts nothing
	} {
		c.run(opt)
		third := wrote()
		if same := slices.Equal(second, third); same != (opt.Kind == "run") {
			t.Errorf("%s: explained are %q and then %q", opt.Kind, second, third)
		}
	}
	c.holds("2026-11-11 12:30", "after a reconciliation")
}
