package classify

import (
	"fmt"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// loneRun is a merchant's last orders without a line, in batches that hold no other merchant's. Nobody is there to compare
// with, and only their order in time says what happened.
type loneRun struct {
	since      time.Time
	first      [16]byte
	begun      recon.Date // its first business date
	last       recon.Date
	orders     int
	ofFirstDay int
	later      int32   // due orders of the merchant that were sold after each of them and have settled
	days       int     // business dates
	rate       float64 // of its first business date's orders that have no line
	before     int     // orders of the first business date that settled, all of them sold before the run; 0 where others did not
}

// loneRuns are the runs, by acquirer and merchant.
type loneRuns map[merchantKey]*loneRun

// add takes a merchant's next order without a line. They come by merchant and time; what settles in between begins a new run.
func (all loneRuns) add(o *tailOrder, b batches) {
	if o.line || !b.alone(*o.batch, o.who) {
		return
	}
	k := merchantKey{acquirer: o.batch.acquirer, merchant: o.who}
	r := all[k]
	if r == nil || r.later > o.later {
		r = &loneRun{since: o.at, first: o.key, begun: o.batch.business, later: o.later}
		all[k] = r
	}
	if r.last != o.batch.business {
		r.last, r.days = o.batch.business, r.days+1
	}
	if r.orders++; r.last == r.begun {
		r.ofFirstDay++
	}
	day := b[batchKey{acquirer: k.acquirer, business: r.begun}].of[o.who]
	r.before, r.rate = 0, day.rate()
	if day.missing == int64(r.ofFirstDay) {
		r.before = int(day.due - day.missing)
	}
}

// of returns the run that an order is in, if nothing has settled since.
func (all loneRuns) of(acquirer, merchant string, at time.Time) (*loneRun, bool) {
	r := all[merchantKey{acquirer: acquirer, merchant: merchant}]
	return r, r != nil && r.later == 0 && !at.Before(r.since) && r.orders >= aloneMissing && (r.cut() || r.rate >= aloneRate)
}

// cut reports whether a moment parts what settled from what did not. A late batch leaves out orders of any time of its day.
func (r *loneRun) cut() bool { return r.before >= aloneMissing && r.ofFirstDay >= aloneMissing }

// outlasts reports whether a run that a moment began has gone on for further days: each would need another late or absent file,
// where one freeze explains them all.
func (r *loneRun) outlasts() bool { return r.cut() && r.days >= 2 }

// leadsTo reports whether a merchant's run among its peers goes on where this one ends, with nothing settled in between.
func (r *loneRun) leadsTo(t *tail) bool {
	return r != nil && t != nil && int(r.later) == t.exceptions && r.since.Before(t.since)
}

// likely returns how likely a late batch and a freeze are. Both are judgments (practice §4.5 has no peers to go by here).
func (r *loneRun) likely() (late, frozen float64) {
	switch {
	case r.outlasts():
		return 0.08, 0.9
	case r.cut():
		return 0.3, 0.55
	case r.days >= 3:
		return 0.15, 0.8
	}
	return 0.5, 0.35
}

// sentence is what the run says.
func (r *loneRun) sentence(e *explainer, merchant string) Evidence {
	item := Evidence{Family: "merchant",
		EN:     fmt.Sprintf("none of %d due orders of merchant %s since %s has settled, over %d business dates; no other merchant is due there to compare with", r.orders, merchant, e.local(r.since), r.days),
		ZH:     fmt.Sprintf("商户 %s 自 %s 起 %d 笔到期订单均未结算，涉及 %d 个账期；同批没有其他商户可供比较", merchant, e.local(r.since), r.orders, r.days),
		Source: "cohort: merchant"}
	if r.cut() {
		item.EN = fmt.Sprintf("none of %d due orders of merchant %s since %s has settled, over %d business dates, and all %d of that day before; no other merchant is due there to compare with", r.orders, merchant, e.local(r.since), r.days, r.before)
		item.ZH = fmt.Sprintf("商户 %s 自 %s 起 %d 笔到期订单均未结算，涉及 %d 个账期，当天此前 %d 笔均已结算；同批没有其他商户可供比较", merchant, e.local(r.since), r.orders, r.days, r.before)
	}
	return item
}

// The least number of orders, and share of a day that no moment cuts, from which anything is told of a merchant without peers.
const (
	aloneMissing = 3
	aloneRate    = 0.5
)
