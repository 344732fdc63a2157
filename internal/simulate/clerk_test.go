package simulate

import (
	"bytes"
	"encoding/csv"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// clerk reads the inboxes of a world night by night, knowing nothing of how it was made, and judges every order by
// the input contract: slowly, with maps and decimals, in the contract's own words. What it finds must be the truth.
type clerk struct {
	t        rapid.TB
	cal      *calendar.Calendar
	seen     map[string]bool // file contents
	files    []*clerkFile
	totals   map[string]bool // acquirer and kind that has sent control totals
	cutoff   time.Duration
	deadline time.Duration
}

type clerkFile struct {
	night    int
	name     string
	acquirer string
	meta     map[string]string
	trailer  map[string]string
	rows     []map[string]string
	payout   bool
	replaced bool
}

func newClerk(t rapid.TB) *clerk {
	return &clerk{t: t, cal: calendar.Default(), seen: map[string]bool{}, totals: map[string]bool{},
		cutoff: 23 * time.Hour, deadline: 10 * time.Hour}
}

// read takes in what newly arrived in an inbox.
func (c *clerk) read(inbox fs.FS, night int) {
	c.t.Helper()
	var found []*clerkFile
	for name, data := range readTree(c.t, inbox) {
		if c.seen[string(data)] {
			continue
		}
		c.seen[string(data)] = true
		f := &clerkFile{night: night, name: path.Base(name), acquirer: path.Dir(name), meta: map[string]string{}, trailer: map[string]string{}}
		into := f.meta
		var body bytes.Buffer
		for line := range bytes.Lines(data) {
			if k, v, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(line)), "# "), ": "); line[0] == '#' && ok {
				into[k] = v
				continue
			}
			into = f.trailer
			body.Write(line)
		}
		records, err := csv.NewReader(&body).ReadAll()
		if err != nil {
			c.t.Fatalf("%s: %v", name, err)
		}
		for _, r := range records[1:] {
			row := map[string]string{"file": name}
			for i, column := range records[0] {
				row[column] = r[i]
			}
			f.rows = append(f.rows, row)
		}
		f.payout = slices.Contains(records[0], "replaces_payout_id")
		if f.acquirer == "." || c.ties(f) {
			found = append(found, f)
		}
	}
	slices.SortFunc(found, func(a, b *clerkFile) int { return strings.Compare(a.acquirer+a.name, b.acquirer+b.name) })
	c.files = append(c.files, found...)
	for _, f := range c.files {
		if f.meta["replaces"] == "" {
			continue
		}
		for _, g := range c.files {
			if g.name == f.meta["replaces"] && g.acquirer == f.acquirer && g.meta["settle_date"] == f.meta["settle_date"] {
				g.replaced = true
			}
		}
	}
}

// ties reports whether a file agrees with its control totals; one that does not is held back whole.
func (c *clerk) ties(f *clerkFile) bool {
	source := f.acquirer
	if f.payout {
		source += " payouts"
	}
	if f.trailer["total_count"] == "" {
		return !c.totals[source]
	}
	c.totals[source] = true
	amount, fee := decimal.Zero, decimal.Zero
	for _, r := range f.rows {
		amount = amount.Add(signed(r, "amount"))
		if !f.payout {
			fee = fee.Add(signed(r, "fee"))
		}
	}
	return f.trailer["total_count"] == decimal.NewFromInt(int64(len(f.rows))).String() &&
		f.trailer["total_amount"] == amount.StringFixed(2) && (f.payout || f.trailer["total_fee"] == fee.StringFixed(2))
}

func money(s string) decimal.Decimal {
	if s == "" {
		return decimal.Zero
	}
	return decimal.RequireFromString(s)
}

// signed returns a column, negative on a refund's row.
func signed(r map[string]string, column string) decimal.Decimal {
	if r["type"] == "REFUND" {
		return money(r[column]).Neg()
	}
	return money(r[column])
}

type clerkKey struct{ order, merchant, typ, refund, amount string }

func (k clerkKey) withoutAmount() clerkKey { k.amount = ""; return k }

func keyOf(r map[string]string) clerkKey {
	k := clerkKey{order: r["order_id"], merchant: r["merchant_id"], typ: r["type"], refund: r["refund_id"]}
	if k.typ == "REFUND" && k.refund == "" {
		k.amount = r["amount"]
	}
	return k
}

type clerkVerdict struct {
	outcome                    recon.Outcome
	due, arrived, owed, excess decimal.Decimal
}

// judge returns the verdict on every order and every settlement row without one, as of an instant.
func (c *clerk) judge(asOf time.Time) map[clerkKey]clerkVerdict {
	pos, voided := map[clerkKey][]map[string]string{}, map[clerkKey]bool{}
	settled := map[clerkKey][]map[string]string{}
	type version struct{ date, status string }
	payouts, replacedBy := map[string]version{}, map[string]string{}
	for _, f := range c.files {
		for _, r := range f.rows {
			r["exported_at"] = f.meta["exported_at"]
			switch {
			case f.acquirer == "." && r["type"] == "VOID":
				if r["status"] == "SUCCESS" {
					sale := r["original_order_id"]
					if sale == "" {
						sale = r["order_id"]
					}
					voided[clerkKey{order: sale, merchant: r["merchant_id"], typ: "SALE"}] = true
				}
			case f.acquirer == ".":
				pos[keyOf(r)] = append(pos[keyOf(r)], r)
			case f.payout:
				id := f.acquirer + " " + r["payout_id"]
				v := version{f.meta["status_time"], r["status"]}
				if old, ok := payouts[id]; !ok || v.date > old.date {
					payouts[id] = v
				}
				if r["replaces_payout_id"] != "" {
					replacedBy[f.acquirer+" "+r["replaces_payout_id"]] = id
				}
			case !f.replaced:
				r["acquirer"] = f.acquirer
				settled[keyOf(r)] = append(settled[keyOf(r)], r)
			}
		}
	}
	good := func(r map[string]string) bool {
		id := r["acquirer"] + " " + r["payout_id"]
		for replacedBy[id] != "" {
			id = replacedBy[id]
		}
		v, ok := payouts[id]
		return !ok || v.status == "PAID"
	}
	c.byReference(pos, settled)
	out := map[clerkKey]clerkVerdict{}
	for k, rows := range settled {
		if pos[k] == nil {
			_, received := c.standing(rows, good)
			out[k.withoutAmount()] = clerkVerdict{outcome: recon.UnexpectedSettlement, excess: received}
		}
	}
	for k, rows := range pos {
		out[k.withoutAmount()] = c.order(rows, voided[k], settled[k], good, asOf)
	}
	return out
}

// byReference gives a settlement row whose id is no order's to the one order with its channel transaction, or with its
// reference, of the same amount that has none.
func (c *clerk) byReference(pos, settled map[clerkKey][]map[string]string) {
	for _, column := range []string{"channel_txn_id", "ref_no"} {
		waiting := map[string][]clerkKey{}
		for k, rows := range pos {
			if settled[k] != nil {
				continue
			}
			for _, r := range rows {
				if id := r[column]; id != "" {
					id += " " + r["acquirer"] + r["type"] + r["amount"]
					if !slices.Contains(waiting[id], k) {
						waiting[id] = append(waiting[id], k)
					}
				}
			}
		}
		for k, rows := range settled {
			if r := rows[0]; pos[k] == nil && r[column] != "" {
				if to := waiting[r[column]+" "+r["acquirer"]+r["type"]+r["amount"]]; len(to) == 1 {
					settled[to[0]] = rows
					delete(settled, k)
				}
			}
		}
	}
}

var clerkRank = []string{"PENDING", "HELD", "REJECTED", "RETURNED", "SETTLED"}

// standing returns the SETTLED rows that stand and what of them has been received.
func (c *clerk) standing(rows []map[string]string, good func(map[string]string) bool) (stand []map[string]string, received decimal.Decimal) {
	facts := map[[4]string]map[string]string{}
	for _, r := range rows {
		facts[[4]string{r["amount"], r["status"], r["settle_date"], r["channel_txn_id"]}] = r
	}
	var sorted []map[string]string
	for _, r := range facts {
		sorted = append(sorted, r)
	}
	slices.SortFunc(sorted, func(a, b map[string]string) int {
		if d := strings.Compare(a["settle_date"], b["settle_date"]); d != 0 {
			return d
		}
		return slices.Index(clerkRank, a["status"]) - slices.Index(clerkRank, b["status"])
	})
	for _, r := range sorted {
		switch r["status"] {
		case "SETTLED":
			stand = append(stand, r)
		case "PENDING":
		default:
			stand = nil
		}
	}
	for _, r := range stand {
		if good(r) {
			received = received.Add(signed(r, "amount"))
		}
	}
	return stand, received
}

// order is the verdict on one order.
func (c *clerk) order(rows []map[string]string, voided bool, lines []map[string]string, good func(map[string]string) bool, asOf time.Time) clerkVerdict {
	slices.SortFunc(rows, func(a, b map[string]string) int { return strings.Compare(a["exported_at"], b["exported_at"]) })
	status, txns, dup := "", map[string]bool{}, false
	for _, r := range rows {
		switch s := r["status"]; {
		case s == "UNKNOWN" || s == "PENDING":
			if status == "" {
				status = s
			}
		case status == "" || status == "UNKNOWN" || status == "PENDING" || status == s:
			status = s
		case status == "SUCCESS" && (s == "REVERSED" || s == "CLOSED"):
			status = s
		case s == "SUCCESS" && (status == "REVERSED" || status == "CLOSED"): // the same progress, read the other way
		case status == "FAILED" && s == "SUCCESS" && r["exported_at"] != "":
			status = s
		default:
			dup = true
		}
		if r["status"] == "SUCCESS" && r["channel_txn_id"] != "" {
			txns[r["channel_txn_id"]] = true
		}
	}
	if voided {
		status = "REVERSED"
	}
	never := status == "FAILED" || status == "CLOSED" || status == "REVERSED"
	stand, received := c.standing(lines, good)
	v := clerkVerdict{}
	switch {
	case dup || len(txns) > 1 || len(stand) > 1:
		v.outcome = recon.Duplicate
	case len(stand) == 1 && !money(stand[0]["amount"]).Equal(money(rows[0]["amount"])):
		v.outcome = recon.AmountMismatch
	case len(stand) == 1 && status != "SUCCESS":
		v.outcome = recon.StatusMismatch
	case len(stand) == 1 && good(stand[0]):
		v.outcome = recon.Matched
	case len(lines) > 0 || never || c.due(rows[0], asOf):
		v.outcome = recon.Unsettled
	default:
		v.outcome = recon.Pending
	}
	if v.outcome != recon.Pending && !never {
		v.due = signed(rows[0], "amount")
	}
	if v.arrived = decimal.Min(v.due, received); rows[0]["type"] == "REFUND" {
		v.arrived = decimal.Max(v.due, received)
	}
	v.owed, v.excess = v.due.Sub(v.arrived), received.Sub(v.arrived)
	return v
}

func (c *clerk) due(r map[string]string, asOf time.Time) bool {
	at, err := time.ParseInLocation(time.DateTime, r["txn_time"], shanghai)
	if err != nil {
		c.t.Fatal(err)
	}
	cycle, err := recon.ParseCycle(r["settle_cycle"])
	if err != nil {
		c.t.Fatal(err)
	}
	due, err := c.cal.Due(calendar.BusinessDate(at, c.cutoff, shanghai), cycle)
	return err == nil && !asOf.Before(due.At(c.deadline, shanghai))
}
