package classify

import (
	"bytes"
	"encoding/csv"
	"math"
	"slices"
	"strconv"

	"github.com/posrecon/posrecon/internal/recon"
)

// Labelled is an order whose cause is known, with what its verdict was derived from.
type Labelled struct {
	Features, Rates string
	Actual          recon.SubCause
}

// refitWorth is how many labelled orders of a sub-cause the present weights are worth: a few labels change little, thousands
// take over.
const refitWorth = 50

// refitLeast is from how many labels on the calibration is fitted, too (practice §4.6).
const refitLeast = 300

// Refit returns the text of a weights file in which the labels have been taken into account: a value is as probable as it is
// among the labelled orders of a sub-cause, a sub-cause as frequent as the labels say against what the present weights expect of
// the same orders. It is for a person to review. What cohorts made of the rates stays as it was stored.
func (w *Weights) Refit(labels []Labelled) ([]byte, error) {
	type item struct {
		n      *inference
		actual int
	}
	var items []item
	counts := map[string]map[string]*perSub{} // family → value → labelled orders of each sub-cause
	var of, expected perSub
	seen := map[string]*perSub{} // family → labelled orders that say anything in it
	for _, l := range labels {
		n, err := parseInference(w, l.Features, l.Rates)
		if err != nil {
			return nil, err
		}
		at := indexOf(l.Actual)
		if at < 0 {
			continue
		}
		items = append(items, item{n, at})
		of[at]++
		for j, p := range n.posterior {
			expected[j] += p
		}
		for _, f := range n.features {
			if w.values[f.family][f.value] == nil {
				continue // a doubtful code, or a value that the file does not know
			}
			if counts[f.family] == nil {
				counts[f.family] = map[string]*perSub{}
				seen[f.family] = &perSub{}
			}
			if counts[f.family][f.value] == nil {
				counts[f.family][f.value] = &perSub{}
			}
			counts[f.family][f.value][at]++
			seen[f.family][at]++
		}
	}
	fitted := *w
	fitted.values = map[string]map[string]*perSub{}
	for j := range fitted.rate {
		fitted.rate[j] = w.rate[j] * (of[j] + refitWorth) / (expected[j] + refitWorth)
	}
	for family, values := range w.values {
		fitted.values[family] = map[string]*perSub{}
		for value, p := range values {
			q := *p
			if n := seen[family]; n != nil {
				for j := range q {
					k := 0.0
					if c := counts[family][value]; c != nil {
						k = c[j]
					}
					q[j] = (k + refitWorth*p[j]) / (n[j] + refitWorth)
				}
			}
			fitted.values[family][value] = &q
		}
	}
	if len(items) >= refitLeast {
		best := math.Inf(-1)
		for power := 0.5; power < 1.55; power += 0.05 {
			try := fitted
			try.power = power
			sum := 0.0
			for _, it := range items {
				likelihood := try.likelihoodOf(it.n.features, it.n.habit)
				p := try.posterior(&it.n.rates, &likelihood)
				cause := 0.0
				for j := range p {
					if recon.SubCauses[j].Cause() == recon.SubCauses[it.actual].Cause() {
						cause += p[j]
					}
				}
				sum += math.Log(max(cause, leastLikely))
			}
			if sum > best {
				best, fitted.power = sum, power
			}
		}
	}
	return fitted.text(w.Text)
}

// text writes weights in the order of lines of another file.
func (w *Weights) text(like []byte) ([]byte, error) {
	r := csv.NewReader(bytes.NewReader(like))
	r.Comment = '#'
	records, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString("# Refitted from labels. Review every line that differs before it is used: weights: FILE in the configuration.\n")
	c := csv.NewWriter(&out)
	for i, record := range records {
		var p *perSub
		switch {
		case i == 0:
		case record[0] == "rate":
			p = &w.rate
		case record[0] == "calibration":
			record[2] = number(math.Round(w.power*100) / 100)
		default:
			p = w.values[record[0]][record[1]]
		}
		if p != nil {
			record = slices.Clone(record)
			for j := range p {
				record[j+2] = strconv.FormatFloat(p[j], 'g', 3, 64)
			}
		}
		if err := c.Write(record); err != nil {
			return nil, err
		}
	}
	c.Flush()
	return out.Bytes(), c.Error()
}
