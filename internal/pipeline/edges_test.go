package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// given is a file of an inbox: its path, and its text without the indentation of this source.
type given struct{ path, text string }

func (g given) write(t testing.TB, inbox string) {
	t.Helper()
	path := filepath.Join(inbox, g.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(strings.TrimLeft(g.text, "\n")) {
		b.WriteString(strings.TrimLeft(line, "\t"))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const oneSale = `
	order_id,acquirer,merchant_id,channel,amount,status,txn_time
	O1,lakala,M1,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00
`

// settled is a settlement file of 2026-03-06 with one line about O1.
func settled(preamble, amount string) string {
	return "# settle_date: 2026-03-06\n" + preamble + "order_id,merchant_id,amount,settle_date,status\nO1,M1," + amount + ",,SETTLED\n"
}

// TestEdges holds hand-made inboxes about what is rare in random worlds. Each is loaded in the order of its paths, and
// once more one file after the other in the opposite order.
func TestEdges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, tt := range map[string]struct {
		files []given
		want  []string // acquirer, order, outcome, match rule, amounts owed and in excess
	}{
		"one acquirer's control totals do not bind another, though both stand in a column": {
			files: []given{
				{"pos.csv", oneSale},
				{"s1.csv", `
					order_id,merchant_id,amount,settle_date,status,acquirer
					X1,M1,5.00,2026-03-06,SETTLED,chinaums
					# total_count: 1
				`},
				{"s2.csv", `
					order_id,merchant_id,amount,settle_date,status,acquirer
					O1,M1,10.00,2026-03-06,SETTLED,lakala
				`},
			},
			want: []string{"chinaums X1 unexpected_settlement none 0.00 5.00", "lakala O1 matched order_id 0.00 0.00"},
		},
		"a correction replaces its own acquirer's file of that name, not another's": {
			files: []given{
				{"pos.csv", oneSale},
				{"a/s.csv", `
					# settle_date: 2026-03-06
					order_id,merchant_id,amount,settle_date,status,acquirer
					X1,M1,5.00,,SETTLED,chinaums
				`},
				{"b/s.csv", `
					# settle_date: 2026-03-06
					order_id,merchant_id,amount,settle_date,status,acquirer
					O1,M1,9.00,,SETTLED,lakala
				`},
				{"c/corrected.csv", `
					# acquirer: lakala
					# settle_date: 2026-03-06
					# replaces: s.csv
					order_id,merchant_id,amount,settle_date,status
					O1,M1,10.00,,SETTLED
				`},
			},
			want: []string{"chinaums X1 unexpected_settlement none 0.00 5.00", "lakala O1 matched order_id 0.00 0.00"},
		},
		"an acquirer is the same in capitals": {
			files: []given{
				{"pos.csv", oneSale},
				{"s.csv", settled("# acquirer: LaKaLa\n", "10.00")},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"of two corrections of one name one counts": {
			files: []given{
				{"pos.csv", oneSale},
				{"a/s.csv", settled("# acquirer: lakala\n", "11.00")},
				{"b/s.csv", settled("# acquirer: lakala\n# replaces: s.csv\n", "10.00")},
				{"c/s.csv", settled("# acquirer: lakala\n# replaces: s.csv\n# note: the same once more\n", "10.00")},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"an original may arrive after its correction of the same name": {
			files: []given{
				{"pos.csv", oneSale},
				{"b/s.csv", settled("# acquirer: lakala\n# replaces: s.csv\n", "10.00")},
				{"z/s.csv", settled("# acquirer: lakala\n", "11.00")},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"a correction may call the original by any name under which it came": {
			files: []given{
				{"pos.csv", oneSale},
				{"lakala/a-copy.csv", settled("", "11.00")},
				{"lakala/corrected.csv", settled("# replaces: s.csv\n", "10.00")},
				{"lakala/s.csv", settled("", "11.00")},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"a correction of a correction does not bring the original back": {
			files: []given{
				{"pos.csv", oneSale},
				{"lakala/first.csv", settled("# replaces: s.csv\n", "12.00")},
				{"lakala/s.csv", settled("", "11.00")},
				{"lakala/second.csv", settled("# replaces: first.csv\n", "10.00")},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"a payout that replaces itself is a bad line and stops nothing": {
			files: []given{
				{"lakala/p.csv", `
					payout_id,merchant_id,payout_date,amount,status,replaces_payout_id
					P1,M1,2026-03-06,10.00,FAILED,P1
					P2,M1,2026-03-06,10.00,PAID,
				`},
				{"pos.csv", oneSale},
			},
			want: []string{"lakala O1 unsettled none 10.00 0.00"},
		},
		"payouts that replace each other in a ring stop nothing": {
			files: []given{
				{"lakala/p.csv", `
					payout_id,merchant_id,payout_date,amount,status,replaces_payout_id
					P1,M1,2026-03-06,10.00,PAID,P2
					P2,M1,2026-03-06,10.00,PAID,P1
				`},
				{"lakala/s.csv", `
					order_id,merchant_id,amount,settle_date,status,payout_id
					O1,M1,10.00,2026-03-06,SETTLED,P1
				`},
				{"pos.csv", oneSale},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"a refund is known by its own id, not by its line's": {
			files: []given{
				{"lakala/s.csv", `
					order_id,merchant_id,type,refund_id,amount,settle_date,status
					O1,M1,REFUND,R1,10.00,2026-03-06,SETTLED
				`},
				{"pos.csv", `
					order_id,acquirer,merchant_id,channel,type,amount,status,txn_time
					O1,lakala,M1,WECHAT,REFUND,10.00,SUCCESS,2026-03-05 12:00:00
				`},
			},
			want: []string{"lakala O1 matched order_id 0.00 0.00"},
		},
		"a reference that many share, each at a time of its own": {
			files: sharing(11, func(i int) string { return fmt.Sprintf("%02d:00:00,,F1", 9+i) }),
			want:  repeat(11, "lakala O%02d matched reference 0.00 0.00"),
		},
		"a constant in place of channel transaction ids does not hide the references": {
			files: sharing(11, func(i int) string { return fmt.Sprintf("12:00:00,0,F%d", i) }),
			want:  repeat(11, "lakala O%02d matched reference 0.00 0.00"),
		},
		"a reference that many share at one time is ambiguous": {
			files: sharing(11, func(int) string { return "12:00:00,,F1" }),
			want: append(repeat(11, "lakala O%02d unsettled ambiguous 10.00 0.00"),
				repeat(11, "lakala S%02d unexpected_settlement ambiguous 0.00 10.00")...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{acquirers: recon.Acquirers{}}
			asOf := time.Date(2026, 3, 6, 12, 0, 0, 0, b.zone)
			check := func(how string, report *pipeline.Report) {
				t.Helper()
				rows := parseExport(t, b.export(t, w, asOf))
				var got []string
				for _, row := range rows {
					got = append(got, strings.Join([]string{row["acquirer"], row["order_id"], row["outcome"], row["match_rule"],
						row["amount_owed"], row["amount_excess"]}, " "))
					if row["type"] == "REFUND" && row["refund_id"] != "" {
						t.Errorf("%s: the refund has got the id %s", how, row["refund_id"])
					}
				}
				slices.Sort(got)
				if diff := gocmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", how, diff)
				}
				for _, f := range append(report.Files, report.Waiting...) {
					if f.State != ingest.Loaded {
						t.Errorf("%s: %s is %s: %s", how, filepath.Base(f.Path), f.State, f.Reason)
					}
				}
				checkRows(t, b, w, rows, asOf)
			}
			inbox := t.TempDir()
			for _, f := range tt.files {
				f.write(t, inbox)
			}
			b.clear(t)
			check("at once", b.run(t, w, inbox, asOf))

			b.clear(t)
			for _, f := range slices.Backward(tt.files) {
				report, err := b.job(w).Ingest(context.Background(), pipeline.Options{Inbox: []string{filepath.Join(inbox, f.path)}})
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range report.Files {
					if f.State != ingest.Loaded {
						t.Errorf("one by one: %s is %s: %s", filepath.Base(f.Path), f.State, f.Reason)
					}
				}
			}
			check("one by one", b.run(t, w, inbox, asOf))
		})
	}
}

// sharing returns n sales and n settlement lines under other order ids; columns gives what the i-th pair has in common:
// its time of day, its channel transaction id and its reference number.
func sharing(n int, columns func(int) string) []given {
	var pos, lines strings.Builder
	pos.WriteString("order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id,ref_no\n")
	lines.WriteString("order_id,merchant_id,amount,settle_date,status,txn_time,channel_txn_id,ref_no\n")
	for i := range n {
		fmt.Fprintf(&pos, "O%02d,lakala,M1,WECHAT,10.00,SUCCESS,2026-03-05 %s\n", i, columns(i))
		fmt.Fprintf(&lines, "S%02d,M1,10.00,2026-03-06,SETTLED,2026-03-05 %s\n", i, columns(i))
	}
	return []given{{"lakala/s.csv", lines.String()}, {"pos.csv", pos.String()}}
}

func repeat(n int, format string) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// TestKnownName holds that a further file under a known name is held back, also where the first came under several.
func TestKnownName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := &world{acquirers: recon.Acquirers{}}
	asOf := time.Date(2026, 3, 6, 12, 0, 0, 0, b.zone)
	inbox := t.TempDir()
	for _, f := range []given{
		{"pos.csv", oneSale},
		{"lakala/a-copy.csv", settled("", "10.00")},
		{"lakala/resent/s.csv", settled("", "11.00")},
		{"lakala/s.csv", settled("", "10.00")},
	} {
		f.write(t, inbox)
	}
	report := b.run(t, w, inbox, asOf)
	var held []string
	for _, f := range report.Files {
		if f.State == ingest.Held {
			held = append(held, strings.TrimPrefix(f.Path, inbox))
		}
	}
	if diff := gocmp.Diff([]string{"/lakala/resent/s.csv"}, held); diff != "" || !report.Attention() {
		t.Errorf("held back (-want +got), attention %v:\n%s", report.Attention(), diff)
	}
	if rows := parseExport(t, b.export(t, w, asOf)); len(rows) != 1 || rows[0]["outcome"] != "matched" {
		t.Errorf("the export has %v, want O1 matched", rows)
	}
	if report := b.run(t, w, inbox, asOf); report.Attention() || len(report.Waiting) != 1 {
		t.Errorf("the next run: attention %v, %d files waiting; what earlier runs held back is listed, and no news", report.Attention(), len(report.Waiting))
	}
}

// TestLockIsFree holds that the lock of a run is free as soon as the run has ended, not some time later.
func TestLockIsFree(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range 300 {
		release, err := postgres.Lock(t.Context(), b.pool, 0)
		if err != nil {
			t.Fatalf("after %d runs: %v", n, err)
		}
		release()
	}
}

// TestLaterCorrection holds that of two corrections of one name the one that came a night later counts, whatever their
// bytes, and goes on to count when copies of either arrive.
func TestLaterCorrection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := &world{acquirers: recon.Acquirers{}}
	earlier := settled("# replaces: s.csv\n", "11.00")
	later := []string{"", ""} // one with a smaller SHA-256 than earlier, one with a larger
	for n := 0; later[0] == "" || later[1] == ""; n++ {
		text := settled(fmt.Sprintf("# replaces: s.csv\n# note: %d\n", n), "10.00")
		larger := 0
		if a, b := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(earlier)); bytes.Compare(a[:], b[:]) > 0 {
			larger = 1
		}
		later[larger] = text
	}
	for _, correction := range later {
		b.clear(t)
		inbox := t.TempDir()
		for n, files := range [][]given{
			{{"pos.csv", oneSale}, {"lakala/s.csv", settled("", "12.00")}, {"lakala/b/s.csv", earlier}},
			{{"lakala/c/s.csv", correction}},
			{{"lakala/copy-of-b.csv", earlier}, {"lakala/copy-of-c.csv", correction}},
		} {
			for _, f := range files {
				f.write(t, inbox)
			}
			asOf := time.Date(2026, 3, 6+n, 12, 0, 0, 0, b.zone)
			b.run(t, w, inbox, asOf)
			rows := parseExport(t, b.export(t, w, asOf))
			want := "10.00"
			if n == 0 {
				want = "11.00"
			}
			if len(rows) != 1 || rows[0]["settled_amount"] != want {
				t.Errorf("night %d: the export has %v, want O1 settled with %s", n+1, rows, want)
			}
		}
	}
}
