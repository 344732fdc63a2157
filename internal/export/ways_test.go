package export_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/simulate"
)

// Which way the rows are got is a matter of time only: each gives the same bytes, in the order of the contract's columns.
func TestWays(t *testing.T) {
	t.Parallel()
	job := newJob(t)
	dir := t.TempDir()
	opt := simulate.Mixed(7)
	opt.OrdersPerDay = 300
	if _, err := simulate.Write(t.Context(), dir, opt); err != nil {
		t.Fatal(err)
	}
	nights, err := filepath.Glob(filepath.Join(dir, "*", "inbox"))
	if err != nil || len(nights) < 2 {
		t.Fatalf("%d nights, %v", len(nights), err)
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(nights[len(nights)-1]), "as_of"))
	if err != nil {
		t.Fatal(err)
	}
	asOf, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: nights, AsOf: asOf}); err != nil {
		t.Fatal(err)
	}
	sameAsView(t, job, asOf)
	// What a corrected profile has read of files that count, and no run has decided, is no match yet, whichever side it is on.
	for _, file := range []string{"file_id", "settle_file_id"} {
		line := strings.Replace(file, "file_id", "line", 1)
		before := sameAsView(t, job, asOf)
		if _, err := job.Pool.Exec(t.Context(), `
			INSERT INTO reread_line
			SELECT `+file+`, `+line+`
			  FROM plain
			 ORDER BY order_key
			 LIMIT 3`); err != nil {
			t.Fatal(err)
		}
		if after := sameAsView(t, job, asOf); after != before-3 {
			t.Errorf("of %d plain matches %d are left without three whose %s were read again", before, after, line)
		}
	}
	if _, err := job.Pool.Exec(t.Context(), `DELETE FROM reread_line`); err != nil {
		t.Fatal(err)
	}
	day := recon.DateOf(asOf, job.Config.Zone)
	for name, sel := range map[string]export.Selection{
		"all":       {},
		"flagged":   {Flagged: true},
		"some days": {From: day.AddDays(-4), To: day.AddDays(-2)},
		"outcomes":  {Outcomes: []recon.Outcome{recon.Matched, recon.Unsettled}},
		"causes":    {From: day.AddDays(-4), Causes: []recon.Cause{recon.Delay}},
	} {
		write := func(way, most int) string {
			t.Helper()
			var out bytes.Buffer
			err := pgx.BeginFunc(t.Context(), job.Pool, func(tx pgx.Tx) error {
				_, err := export.WriteBy(t.Context(), tx, &out, sel, job.View(asOf, export.English), way, most)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		want := write(export.Ways["lookUp"], 0)
		if lines := strings.Count(want, "\n"); lines < 10 {
			t.Errorf("%s: only %d lines", name, lines)
		}
		for which, way := range export.Ways {
			for _, most := range []int{0, 1000} { // payouts and cases that are joined by the server, or looked up
				if diff := cmp.Diff(strings.SplitAfter(want, "\n"), strings.SplitAfter(write(way, most), "\n")); diff != "" {
					t.Errorf("%s by lookUp (-) and by %s with at most %d (+):\n%s", name, which, most, diff)
				}
			}
		}
	}
}

// sameAsView compares what an export says of plain matches with view plain, which is what the rest of the program takes for them, and
// returns how many there are.
func sameAsView(t *testing.T, job *pipeline.Job, asOf time.Time) int {
	t.Helper()
	said := []string{"business_date", "acquirer", "merchant_id", "order_id", "type", "refund_id", "original_order_id", "terminal_id",
		"channel_txn_id", "ref_no", "due_date", "settle_date", "payout_id", "payout_status", "settled_amount", "fee", "net_amount",
		"source_line", "settle_source_line"}
	rows, err := job.Pool.Query(t.Context(), `
		SELECT concat_ws('|', business_date, acquirer, merchant_id, order_id, type, COALESCE(refund_id, ''), COALESCE(original_order_id, ''),
		                 COALESCE(terminal_id, ''), COALESCE(channel_txn_id, ''), COALESCE(ref_no, ''), COALESCE(due_date::text, ''), settle_date,
		                 COALESCE(payout_id, ''), COALESCE(payout_status, ''), signed_amount,
		                 COALESCE((CASE type WHEN 'REFUND' THEN -fee ELSE fee END)::text, ''),
		                 COALESCE((CASE type WHEN 'REFUND' THEN -net_amount ELSE net_amount END)::text, ''), line, settle_line)
		  FROM plain`)
	if err != nil {
		t.Fatal(err)
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := export.Write(t.Context(), job.Pool, &out, export.CSV, export.Selection{}, job.View(asOf, export.English)); err != nil {
		t.Fatal(err)
	}
	table, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(out.Bytes(), []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) int { return slices.Index(table[0], name) }
	exported, matched := map[string]bool{}, 0
	for _, row := range table[1:] {
		if row[at("outcome")] != "matched" {
			continue
		}
		var cells []string
		for _, name := range said {
			cells = append(cells, row[at(name)])
		}
		exported[strings.Join(cells, "|")] = true
		matched++
	}
	for _, match := range want {
		if !exported[match] {
			t.Errorf("not exported as the view has it: %s", match)
		}
	}
	var decided int // with those that a verdict was written of
	if err := job.Pool.QueryRow(t.Context(), `SELECT count(*) FROM decided WHERE outcome = 'matched'`).Scan(&decided); err != nil {
		t.Fatal(err)
	}
	if matched != decided {
		t.Errorf("%d matches are exported of %d", matched, decided)
	}
	return len(want)
}
