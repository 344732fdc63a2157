package cases

import (
	"cmp"
	"maps"
	"slices"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// Judgement is how often stated causes turned out right.
type Judgement struct {
	Orders   int         `json:"orders"`
	ByPerson int         `json:"by_person"`
	Lines    []JudgeLine `json:"lines"`
	Bins     []JudgeBin  `json:"bins"`
}

// JudgeLine is a stated sub-cause at an acquirer.
type JudgeLine struct {
	Acquirer    string       `json:"acquirer"`
	Stated      string       `json:"stated"`
	Currency    string       `json:"currency"`
	Orders      int          `json:"orders"`
	Right       int          `json:"cause_right"`
	SubRight    int          `json:"sub_cause_right"`
	Amount      recon.Amount `json:"amount"`
	AmountRight recon.Amount `json:"amount_right"` // of the orders whose cause was right
	MostOften   string       `json:"most_often"`   // what it most often turned out to be
}

// JudgeBin is a tenth of the stated confidences.
type JudgeBin struct {
	Stated string `json:"stated"` // 0.9-1.0
	Orders int    `json:"orders"`
	Mean   string `json:"mean_stated"`
	Right  string `json:"right"` // share of them whose cause was right
}

// Judge compares what was stated with what was learned.
func Judge(labels []Label) Judgement {
	type key struct{ acquirer, stated, currency string }
	type sum struct {
		line   JudgeLine
		actual map[string]int
	}
	sums := map[key]*sum{}
	var bins [10]struct {
		n, right int
		stated   decimal.Decimal
	}
	j := Judgement{Orders: len(labels), Lines: []JudgeLine{}, Bins: []JudgeBin{}}
	for _, l := range labels {
		if l.Source == "person" {
			j.ByPerson++
		}
		k := key{l.Acquirer, string(l.Stated), l.Currency}
		s := sums[k]
		if s == nil {
			s = &sum{line: JudgeLine{Acquirer: l.Acquirer, Stated: string(l.Stated), Currency: l.Currency}, actual: map[string]int{}}
			sums[k] = s
		}
		b := &bins[min(9, int(l.Confidence.Mul(decimal.NewFromInt(10)).IntPart()))]
		b.n++
		b.stated = b.stated.Add(l.Confidence.Decimal)
		s.line.Orders++
		s.line.Amount.Decimal = s.line.Amount.Add(l.Amount.Decimal)
		s.actual[string(l.Actual)]++
		if l.Stated == l.Actual {
			s.line.SubRight++
		}
		if l.Stated.Cause() == l.Actual.Cause() {
			s.line.Right++
			s.line.AmountRight.Decimal = s.line.AmountRight.Add(l.Amount.Decimal)
			b.right++
		}
	}
	for _, s := range sums {
		names := slices.SortedFunc(maps.Keys(s.actual), func(a, b string) int {
			return cmp.Or(cmp.Compare(s.actual[b], s.actual[a]), cmp.Compare(a, b))
		})
		s.line.MostOften = names[0]
		j.Lines = append(j.Lines, s.line)
	}
	slices.SortFunc(j.Lines, func(a, b JudgeLine) int {
		return cmp.Or(cmp.Compare(a.Acquirer, b.Acquirer), cmp.Compare(a.Stated, b.Stated), cmp.Compare(a.Currency, b.Currency))
	})
	for i, b := range bins {
		if b.n == 0 {
			continue
		}
		n := decimal.NewFromInt(int64(b.n))
		from := decimal.New(int64(i), -1)
		j.Bins = append(j.Bins, JudgeBin{from.StringFixed(1) + "-" + from.Add(decimal.New(1, -1)).StringFixed(1), b.n,
			b.stated.DivRound(n, 3).StringFixed(3), decimal.NewFromInt(int64(b.right)).DivRound(n, 3).StringFixed(3)})
	}
	return j
}
