package simulate

import (
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Summary says what a world holds. What it counts of orders is the truth of the last night, where an unexpected
// settlement counts as one.
type Summary struct {
	Counts
	SettlementRows int
	Payouts        int // rows of payout files: versions of payouts
	Nights         []Night
}

// Night is the truth of one night, counted.
type Night struct {
	Counts
	AsOf time.Time
}

// Counts are counts of truth rows. Print them by Outcomes and SubCauses, whose order is fixed.
type Counts struct {
	Orders     int
	ByOutcome  map[recon.Outcome]int
	ByCause    map[recon.Cause]int
	BySubCause map[recon.SubCause]int
}

func newCounts() Counts {
	return Counts{ByOutcome: map[recon.Outcome]int{}, ByCause: map[recon.Cause]int{}, BySubCause: map[recon.SubCause]int{}}
}

func (c *Counts) count(v *verdict) {
	c.Orders++
	c.ByOutcome[v.outcome]++
	if v.label.sub != "" {
		c.ByCause[v.label.sub.Cause()]++
		c.BySubCause[v.label.sub]++
	}
}

// Outcomes returns the outcomes that occur, in the order of precedence.
func (c Counts) Outcomes() []recon.Outcome { return occurring(recon.Outcomes, c.ByOutcome) }

// Causes returns the causes that occur, in the contract's order.
func (c Counts) Causes() []recon.Cause { return occurring(recon.Causes, c.ByCause) }

// SubCauses returns the sub-causes that occur, in the contract's order.
func (c Counts) SubCauses() []recon.SubCause { return occurring(recon.SubCauses, c.BySubCause) }

func occurring[K comparable](inOrder []K, counts map[K]int) []K {
	var keys []K
	for _, k := range inOrder {
		if counts[k] > 0 {
			keys = append(keys, k)
		}
	}
	return keys
}
