package pipeline_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/recon"
)

// TestCasebook runs the two nights of testdata/casebook, one order for each rule of identity, progress and money, and
// holds that the export has exactly the rows of truth.csv, with its outcome and its money.
func TestCasebook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := &world{acquirers: recon.Acquirers{}} // the contract's defaults
	for _, night := range []string{"01", "02"} {
		dir := filepath.Join("testdata", "casebook", night)
		text, err := os.ReadFile(filepath.Join(dir, "as_of"))
		if err != nil {
			t.Fatal(err)
		}
		asOf, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		report := b.run(t, w, filepath.Join(dir, "inbox"), asOf)
		rows := parseExport(t, b.export(t, w, asOf))
		if diff := gocmp.Diff(readTruth(t, filepath.Join(dir, "truth.csv")), truthOf(rows)); diff != "" {
			t.Errorf("night %s: truth (-), export (+):\n%s", night, diff)
		}
		checkRows(t, b, w, rows, asOf)
		checkTotals(t, w, report, rows)

		// C27's amount has three decimals: its line is rejected, once, and everything beside it is read.
		if rejected := map[string]int64{"01": 1, "02": 0}[night]; report.RowsRejected != rejected {
			t.Errorf("night %s: %d rows rejected, want %d", night, report.RowsRejected, rejected)
		}
		rules := map[string]string{}
		for _, row := range rows {
			rules[row["order_id"]+" "+row["merchant_id"]] = row["match_rule"]
		}
		for order, want := range map[string]string{
			"C01 M1": "order_id", "C23 M1": "channel_txn", "C24a M1": "ambiguous", "C24b M1": "ambiguous", "X24 M1": "ambiguous",
			"C20 M1": "none", "C20 M2": "none",
		} {
			if rules[order] != want {
				t.Errorf("night %s: order %s matched by %q, want %q", night, order, rules[order], want)
			}
		}
	}
}

// truthColumns are those of truth.csv, but for its note.
var truthColumns = []string{"order_id", "merchant_id", "type", "refund_id", "outcome", "amount_due", "amount_arrived",
	"amount_owed", "amount_excess"}

func readTruth(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := records[0][:len(truthColumns)]; !slices.Equal(got, truthColumns) {
		t.Fatalf("%s has the columns %v, want %v", path, got, truthColumns)
	}
	var list []string
	for _, record := range records[1:] {
		list = append(list, strings.Join(record[:len(truthColumns)], ","))
	}
	slices.Sort(list)
	return list
}

func truthOf(rows []map[string]string) []string {
	var list []string
	for _, row := range rows {
		cells := make([]string, len(truthColumns))
		for i, name := range truthColumns {
			cells[i] = row[name]
		}
		list = append(list, strings.Join(cells, ","))
	}
	slices.Sort(list)
	return list
}
