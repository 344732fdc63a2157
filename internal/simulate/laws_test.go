package simulate

import (
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/recon"
)

// smaller makes a drawn world small enough to write many of them.
func smaller(o Options) Options {
	o.OrdersPerDay = min(o.OrdersPerDay, 100)
	return o
}

// TestLaws holds what the truth of any world obeys: see check.
func TestLaws(t *testing.T) {
	for name, opt := range map[string]Options{"quiet": smaller(Quiet()), "demo": Demo(), "bulk": Bulk(2000)} {
		t.Run(name, func(t *testing.T) { check(t, t.TempDir(), opt) })
	}
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		check(rt, dir, smaller(Mixed(seed)))
	})
}

// check writes a world and holds, for every night, that
// what a clerk finds who has only the files is the truth, to the fen, with one row for each order;
// due = arrived + owed, and owed or excess is zero;
// exactly the outcomes that carry a cause have one, and its cause is that of its sub-cause;
// the summary counts what the files hold;
// a verdict differs from the night before only where a row about the order or its payout arrived, its acquirer sent a
// file or replaced one, or it fell due.
func check(t rapid.TB, dir string, opt Options) {
	t.Helper()
	summary, err := Write(context.Background(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	c := newClerk(t)
	before := map[clerkKey][]string{}
	for n, want := range summary.Nights {
		night := filepath.Join(dir, fmt.Sprintf("%02d", n+1))
		c.read(os.DirFS(filepath.Join(night, "inbox")), n)
		text, err := os.ReadFile(filepath.Join(night, "as_of"))
		if err != nil {
			t.Fatal(err)
		}
		asOf, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
		if err != nil || !asOf.Equal(want.AsOf) {
			t.Fatalf("as_of %q, not %v: %v", text, want.AsOf, err)
		}
		found := c.judge(asOf)
		counts := newCounts()
		now := map[clerkKey][]string{}
		for _, r := range readTruth(t, os.DirFS(night)) {
			k := clerkKey{order: r[0], merchant: r[1], typ: r[2], refund: r[3]}
			if now[k] != nil {
				t.Fatalf("night %d: %v has two truth rows", n+1, k)
			}
			now[k] = r
			g, ok := found[k]
			if !ok {
				t.Fatalf("night %d: %v is in the truth, and in no file", n+1, r)
			}
			clerks := []string{string(g.outcome), g.due.StringFixed(2), g.arrived.StringFixed(2), g.owed.StringFixed(2), g.excess.StringFixed(2)}
			truth := append([]string{r[4]}, r[8:]...)
			if strings.Join(clerks, " ") != strings.Join(truth, " ") {
				t.Errorf("night %d, %v: a clerk finds %v", n+1, r, clerks)
			}
			hold(t, r)
			counts.Orders++
			counts.ByOutcome[recon.Outcome(r[4])]++
			if r[5] != "" {
				counts.ByCause[recon.Cause(r[5])]++
				counts.BySubCause[recon.SubCause(r[6])]++
			}
		}
		if len(now) != len(found) {
			for k, v := range found {
				if now[k] == nil {
					t.Errorf("night %d: the files hold %v (%v), the truth does not", n+1, k, v.outcome)
				}
			}
		}
		if got, want := fmt.Sprint(counts), fmt.Sprint(want.Counts); got != want {
			t.Errorf("night %d: the truth counts %s, the summary %s", n+1, got, want)
		}
		news := c.news(n)
		for k, r := range before {
			if strings.Join(r, ",") != strings.Join(now[k], ",") && !news.mayMove(r) {
				t.Errorf("night %d: %v became %v, and nothing said so", n+1, r, now[k])
			}
		}
		before = now
	}
	c.payoutsTie(opt)
}

// hold checks the laws of one truth row.
func hold(t rapid.TB, r []string) {
	t.Helper()
	due, arrived, owed, excess := money(r[8]), money(r[9]), money(r[10]), money(r[11])
	if !due.Equal(arrived.Add(owed)) || !owed.Mul(excess).IsZero() {
		t.Errorf("%v: due is not arrived and owed, or both owed and excess", r)
	}
	if outcome := recon.Outcome(r[4]); outcome.CarriesCause() != (r[5] != "") || r[5] != "" && string(recon.SubCause(r[6]).Cause()) != r[5] {
		t.Errorf("%v: outcome and cause do not go together", r)
	}
}

// news is what arrived on one night.
type news struct {
	orders   map[string]bool // by the digits of the id, which an id of the acquirer's own shares
	payouts  map[string]bool // ids with a new version or a replacement
	paidBy   map[string][]string
	files    bool // a settlement file
	replaced bool // … that replaces another
}

func digits(id string) string { return strings.TrimLeft(id, "AP") }

func (c *clerk) news(night int) news {
	n := news{orders: map[string]bool{}, payouts: map[string]bool{}, paidBy: map[string][]string{}}
	for _, f := range c.files {
		tonight := f.night == night
		n.files = n.files || tonight && f.acquirer != "." && !f.payout
		n.replaced = n.replaced || tonight && f.meta["replaces"] != ""
		for _, r := range f.rows {
			switch id := digits(r["order_id"]); {
			case f.payout && tonight:
				n.payouts[r["payout_id"]], n.payouts[r["replaces_payout_id"]] = true, true
			case f.payout:
			case tonight:
				n.orders[id], n.orders[digits(r["original_order_id"])] = true, true
			default:
				n.paidBy[id] = append(n.paidBy[id], r["payout_id"])
			}
		}
	}
	delete(n.payouts, "")
	return n
}

// mayMove reports whether the news, or the time that passed, can have changed a verdict.
func (n news) mayMove(before []string) bool {
	id := digits(before[0])
	switch {
	case before[4] == string(recon.Pending), n.orders[id], n.replaced:
		return true
	case n.files && before[6] == string(recon.FileLate): // the file came, and what it does not hold is to be found elsewhere
		return true
	}
	return slices.ContainsFunc(n.paidBy[id], func(p string) bool { return n.payouts[p] })
}

// payoutsTie holds that each payout is the net of the SETTLED rows that name it, in the end, but for files that a fault
// keeps back past the last night.
func (c *clerk) payoutsTie(opt Options) {
	c.t.Helper()
	for _, f := range opt.Faults {
		switch f.(type) {
		case FileLate, ShortFile, Corrected:
			return
		}
	}
	net := map[string]decimal.Decimal{}
	for _, f := range c.files {
		for _, r := range f.rows {
			if f.acquirer != "." && !f.payout && !f.replaced && r["status"] == "SETTLED" {
				id := f.acquirer + " " + r["payout_id"]
				net[id] = net[id].Add(signed(r, "net_amount"))
			}
		}
	}
	newer := map[string]string{}
	for _, f := range c.files {
		for _, r := range f.rows {
			if f.payout {
				id := f.acquirer + " " + r["payout_id"]
				if old := r["replaces_payout_id"]; old != "" {
					if newer[f.acquirer+" "+old] != "" {
						c.t.Errorf("payout %s is replaced twice", old)
					}
					newer[f.acquirer+" "+old] = id
					net[id] = net[f.acquirer+" "+old]
				}
				if !net[id].Equal(money(r["amount"])) {
					c.t.Errorf("payout %s of %s: its rows net %s", id, r["amount"], net[id])
				}
			}
		}
	}
}

func readTruth(t rapid.TB, night fs.FS) [][]string {
	t.Helper()
	f, err := night.Open("truth.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	records, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(records[0], ",") + "\n"; got != truthHeader {
		t.Fatalf("truth has the columns %s", got)
	}
	return records[1:]
}
