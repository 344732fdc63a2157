package pipeline_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// worlds is on how many worlds each of the three laws is held, at half a second a world; -rapid.checks=5000 asks for more.
const worlds = 40

func TestMain(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", strconv.Itoa(worlds)); err != nil {
			panic(err)
		}
	}
	os.Exit(testdb.Main(m))
}

func yuanOf(fen int64) decimal.Decimal { return decimal.New(fen, -2) }

func shanghai(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// failer is what a test and a rapid property have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// bench is one database, used for one world after the other.
type bench struct {
	pool *pgxpool.Pool
	zone *time.Location
}

func newBench(t testing.TB) *bench {
	t.Helper()
	// With a handful of rows the search for the best order of joins costs ten times what the joins do.
	pool, err := postgres.Open(t.Context(), testdb.New(t)+"&join_collapse_limit=1&from_collapse_limit=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &bench{pool, shanghai(t)}
}

// clear empties the database. TRUNCATE would give every table a new file, which costs more than these few rows.
func (b *bench) clear(t failer) {
	t.Helper()
	var batch pgx.Batch
	for _, table := range []string{"case_event", "cases", "explanation", "incident", "standing_line", "settlement_merged", "pos_merged",
		"verdict", "plain_match", "payout_state", "due_day", "final_day", "reread_line", "payout_row", "bank_row", "settlement_row", "pos_row", "rejected_line", "file", "run"} {
		batch.Queue("DELETE FROM " + table)
	}
	if err := b.pool.SendBatch(context.Background(), &batch).Close(); err != nil {
		t.Fatalf("clear the database: %v", err)
	}
}

// job is the program as configured for a world.
func (b *bench) job(w *world) *pipeline.Job {
	return &pipeline.Job{
		Pool:     b.pool,
		Config:   config.Config{Lang: "en", Zone: b.zone, Acquirers: w.acquirers, Aliases: w.aliases},
		Calendar: calendar.Default(), Log: slog.New(slog.DiscardHandler), Program: "posrecon test",
	}
}

func (b *bench) rules(w *world) oracleRules {
	return oracleRules{zone: b.zone, calendar: calendar.Default(), acquirers: w.acquirers, aliases: w.aliases}
}

// run does one night.
func (b *bench) run(t failer, w *world, inbox string, asOf time.Time) *pipeline.Report {
	t.Helper()
	report, err := b.job(w).Run(context.Background(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, AsOf: asOf})
	if err != nil {
		t.Fatalf("run as of %s: %v", asOf.Format(time.RFC3339), err)
	}
	return report
}

// export returns the bytes of the export of everything.
func (b *bench) export(t failer, w *world, asOf time.Time) []byte {
	t.Helper()
	return b.exportFrom(t, b.pool, w, asOf)
}

// exportFrom exports what q sees.
func (b *bench) exportFrom(t failer, q pipeline.Querier, w *world, asOf time.Time) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := export.Write(context.Background(), q, &out, export.CSV, export.Selection{}, b.job(w).View(asOf, export.English)); err != nil {
		t.Fatalf("export: %v", err)
	}
	return out.Bytes()
}

// parseExport returns the rows of an export by column.
func parseExport(t failer, text []byte) []map[string]string {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff")))).ReadAll()
	if err != nil || len(records) == 0 {
		t.Fatalf("the export is no CSV: %v", err)
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// numberIncidents puts a number for each incident in the place of its id, by the order of the rows. An incident keeps the id that it
// got from its first order on the night when it was found; which order that was depends on what had come by then.
func numberIncidents(rows []map[string]string) []map[string]string {
	numbers := map[string]string{"": ""}
	for _, row := range rows {
		id := row["incident_id"]
		if _, ok := numbers[id]; !ok {
			numbers[id] = strconv.Itoa(len(numbers))
		}
		row["incident_id"] = numbers[id]
	}
	return rows
}

// dump returns every row of a query as text, to compare two states of the database.
func (b *bench) dump(t failer, sql string) []string {
	t.Helper()
	rows, err := b.pool.Query(context.Background(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

// without returns rows of an export as text without some columns.
func without(rows []map[string]string, columns ...string) []string {
	var list []string
	for _, row := range rows {
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(row)) {
			if !slices.Contains(columns, name) && row[name] != "" {
				fmt.Fprintf(&b, "%s=%s ", name, row[name])
			}
		}
		list = append(list, b.String())
	}
	return list
}

// nightOfMonths writes a POS log and a settlement file with n orders, spread evenly over the days from first, all but one of
// fifty of which settle on the day after.
func nightOfMonths(t *testing.T, dir, name string, first recon.Date, days, n int) {
	t.Helper()
	var pos, lines strings.Builder
	pos.WriteString("order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id\n")
	lines.WriteString("# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,txn_time\n")
	for i := range n {
		day := first.AddDays(i * days / n)
		at := fmt.Sprintf("%s %02d:%02d:%02d", day, 8+i%12, i%60, i/7%60)
		fmt.Fprintf(&pos, "%s-%d,lakala,M%d,WECHAT,%d.%02d,SUCCESS,%s,T%s%d\n", name, i, i%40, 1+i%90, i%100, at, name, i)
		if i%50 != 7 {
			fmt.Fprintf(&lines, "%s-%d,M%d,%d.%02d,0.01,%s,SETTLED,%s\n", name, i, i%40, 1+i%90, i%100, day.AddDays(1), at)
		}
	}
	for file, text := range map[string]string{"pos-" + name + ".csv": pos.String(), "settlement-" + name + ".csv": lines.String()} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// clean checks a database.
func (b *bench) clean(t *testing.T, when string, asOf time.Time) {
	t.Helper()
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	report, err := check.Run(t.Context(), tx, match.Rules{AsOf: asOf, Zone: b.zone, Calendar: calendar.Default(), Acquirers: recon.Acquirers{}})
	if err != nil {
		t.Fatalf("check %s: %v", when, err)
	}
	for _, f := range report.Violations {
		t.Errorf("check %s: %+v", when, f)
	}
}
