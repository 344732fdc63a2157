package export_test

import (
	"bytes"
	"os"
	"path/filepath"
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
