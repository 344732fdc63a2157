package simulate

import (
	"iter"
	"slices"

	"github.com/posrecon/posrecon/internal/recon"
)

// cell is one payout: what an acquirer pays a merchant for the rows that settle on one date. Cells are all that a world
// keeps of its orders, so they are small.
type cell struct {
	m       *merchant
	net     int64 // fen, of the SETTLED rows that name it
	life    *payoutLife
	day     int32
	rows    int32
	sameday bool
}

// payoutLife is what becomes of one disturbed payout; an undisturbed one has none.
type payoutLife struct {
	*payoutPlan
	night []int // by version: the first night that sees it
	after []int // by version: how many days after the first report it is heard of
}

// payoutPlan is the life of a disturbed payout. An undisturbed one has none: it is PAID on its date.
type payoutPlan struct {
	versions []payoutVersion
	why      label
}

type payoutVersion struct {
	status  recon.PayoutStatus
	reason  reason
	after   int  // days after the payout's first report
	reissue bool // paid again under a new id, which replaces the one before
}

type payoutAt struct {
	merchant, day int
}

// cell returns the payout of a merchant on a settle date. What an acquirer settles on the sale's own day is a batch,
// and a payout, apart.
func (w *world) cell(m *merchant, day int, sameday bool) *cell {
	batch := 0
	if sameday {
		batch = 1
	}
	if w.cells[batch] == nil {
		w.cells[batch] = make([][]cell, len(w.dates))
	}
	row := w.cells[batch][day]
	if row == nil {
		row = make([]cell, len(w.merchants))
		w.cells[batch][day] = row
	}
	c := &row[m.index]
	if c.m == nil {
		c.m, c.day, c.sameday = m, int32(day), sameday
		if p := w.payouts[payoutAt{m.index, day}]; p != nil {
			c.life = &payoutLife{payoutPlan: p}
			for _, v := range p.versions {
				c.life.after = append(c.life.after, v.after)
				at := w.reported(c, v.after)
				if w.opt.NoPayouts {
					at = len(w.nightOf) - 1 // the horizon, which no night sees
				}
				c.life.night = append(c.life.night, w.nightOf[at])
			}
		}
	}
	return c
}

// reported returns the day whose payout file carries what becomes of a payout some days after its first report.
func (w *world) reported(c *cell, after int) int {
	at := int(c.day) + after
	if c.sameday {
		at++
	}
	if p := w.files[fileKey{c.m.acquirer, at, mainPart}]; p != nil && p.payoutToo {
		at += p.delay
	}
	return min(at, len(w.dates)-1)
}

// state returns the newest version of a payout that a night knows, and false where none has been reported.
func (c *cell) state(night int) (payoutVersion, bool) {
	if c.life == nil {
		return payoutVersion{status: recon.PayoutPaid}, true
	}
	v, ok := payoutVersion{}, false
	for i, n := range c.life.night {
		if n <= night {
			v, ok = c.life.versions[i], true
		}
	}
	return v, ok
}

// good reports whether the money of a payout counts as received: PAID, or nothing known to the contrary.
func (c *cell) good(night int) bool {
	if c == nil {
		return true
	}
	v, ok := c.state(night)
	return !ok || v.status == recon.PayoutPaid
}

// disturb plans the payouts of a merchant on some days; a day that an earlier fault has planned stays as it is.
func (w *world) disturb(m *merchant, from, to int, p *payoutPlan) {
	for _, v := range p.versions {
		if !slices.Contains(w.news, v.after) {
			w.news = append(w.news, v.after)
		}
	}
	for d := max(from, 0); d <= min(to, len(w.dates)-1); d++ {
		if at := (payoutAt{m.index, d}); w.payouts[at] == nil {
			w.payouts[at] = p
		}
	}
}

// report is a version of a payout, as a payout file carries it.
type report struct {
	cell    *cell
	version int
}

// reports yields what an acquirer's payout file of a day says: what it pays on the day, what it paid overnight for the
// sales of the day before, and what has become of earlier payouts, by merchant.
func (w *world) reports(acquirer, day int) iter.Seq[report] {
	return func(yield func(report) bool) {
		for batch, days := range w.cells {
			first := day - batch // a same-day batch is reported the next morning
			for _, back := range w.news {
				if days == nil || first < back {
					continue
				}
				cells := days[first-back]
				for i := range cells {
					c := &cells[i]
					if c.rows == 0 || c.m.acquirer != acquirer {
						continue
					}
					for v, after := range c.heard() {
						if after == back && !yield(report{c, v}) {
							return
						}
					}
				}
			}
		}
	}
}

// heard returns, for each version of a payout, how many days after its first report it is heard of.
func (c *cell) heard() []int {
	if c.life == nil {
		return onTime
	}
	return c.life.after
}

var onTime = []int{0}
