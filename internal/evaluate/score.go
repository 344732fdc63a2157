package evaluate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/simulate"
)

// Score adds up what was found over nights and worlds.
type Score struct {
	orders, outcomes int // all orders, and those whose outcome is right
	causes           [2]confusion
	subs, subsRight  int
	plainSubs        int
	bins             [10]bin
	classBins        map[string]*[10]bin
	brier            float64
	owed, owedWrong  float64
	kept, flipped    int // orders flagged on two nights running with the same truth, and those whose stated cause changed
	misses           map[string]int

	cited, citedRight int // pieces of evidence, and those that the true cause left behind

	found, foundRight int // incidents that are stated, and those that are one
	real, realFound   int // faults that hit several orders, and those that are found
	spans             int // outages and faults of terminals that were found
	overlap           float64
}

// What is compared: ours, and plain rules that look at one order alone.
const (
	ours = iota
	plainRules
)

// confusion counts, for each cause, orders that have it and that are stated to.
type confusion struct{ right, stated, true_ map[string]int }

func (c *confusion) add(true_, stated string) {
	if c.true_ == nil {
		c.right, c.stated, c.true_ = map[string]int{}, map[string]int{}, map[string]int{}
	}
	c.true_[true_]++
	c.stated[stated]++
	if true_ == stated {
		c.right[true_]++
	}
}

// f1 returns the F1 of a cause; ok is false where no order has it.
func (c *confusion) f1(cause string) (f float64, ok bool) {
	if c.true_[cause] == 0 {
		return 0, false
	}
	return 2 * float64(c.right[cause]) / float64(c.true_[cause]+c.stated[cause]), true
}

// macro is the mean of F1 over the causes that occur.
func (c *confusion) macro() float64 {
	sum, n := 0.0, 0
	for _, cause := range recon.Causes {
		if f, ok := c.f1(string(cause)); ok {
			sum += f
			n++
		}
	}
	return sum / float64(max(n, 1))
}

type bin struct {
	n, right int
	stated   float64
}

func (s *Score) night(want map[key]truth, got, before map[key]stated, no simulate.Withheld) {
	if s.misses == nil {
		s.misses, s.classBins = map[string]int{}, map[string]*[10]bin{}
	}
	for k, t := range want {
		g := got[k]
		s.orders++
		if g.outcome == t.outcome {
			s.outcomes++
		} else {
			s.misses[fmt.Sprintf("outcome %s -> %s", t.outcome, cmp.Or(g.outcome, "(absent)"))]++
		}
		if t.cause == "" {
			continue
		}
		s.subs++
		right := 0.0
		if g.sub == t.sub {
			s.subsRight++
		} else {
			s.misses[fmt.Sprintf("%s -> %s", t.sub, cmp.Or(g.sub, "-"))]++
		}
		if g.plain == t.sub {
			s.plainSubs++
		}
		if g.sub == t.sub { // of a wrong cause no evidence can be the true one's
			ledger := simulate.Ledger(recon.SubCause(t.sub), t.incident, no)
			for _, family := range strings.Fields(g.cited) {
				s.cited++
				if slices.Contains(ledger, family) {
					s.citedRight++
				}
			}
		}
		s.causes[ours].add(t.cause, g.cause)
		s.causes[plainRules].add(t.cause, string(recon.SubCause(g.plain).Cause()))
		s.owed += t.owed
		b := &s.bins[min(9, int(g.confidence*10))]
		c := s.classBins[g.cause]
		if c == nil {
			c = new([10]bin)
			s.classBins[g.cause] = c
		}
		cb := &c[min(9, int(g.confidence*10))]
		if g.cause == t.cause {
			right = 1
			b.right++
			cb.right++
		} else {
			s.owedWrong += t.owed
		}
		b.n++
		cb.n++
		b.stated += g.confidence
		cb.stated += g.confidence
		s.brier += (g.confidence - right) * (g.confidence - right)
		if p, ok := before[k]; ok && p.cause != "" && p.outcome == g.outcome {
			s.kept++
			if p.cause != g.cause {
				s.flipped++
			}
		}
	}
}

// incidents compares the incidents that are stated with the faults of the world. A stated incident is right where most of its
// orders are of one fault; a fault of three orders or more is found where one stated incident holds at least half of them.
func (s *Score) incidents(want map[key]truth, got map[key]stated, faults, spans map[string]span) {
	members := map[string]map[string]int{} // stated → fault → orders
	sizes, true_ := map[string]int{}, map[string]int{}
	for k, t := range want {
		if t.cause == "" {
			continue
		}
		if shared(t.incident) {
			true_[t.incident]++
		}
		if g := got[k]; g.incident != "" {
			sizes[g.incident]++
			if members[g.incident] == nil {
				members[g.incident] = map[string]int{}
			}
			members[g.incident][t.incident]++
		}
	}
	for id, of := range members {
		if sizes[id] < 3 {
			continue
		}
		s.found++
		for name, n := range of {
			if shared(name) && 2*n > sizes[id] {
				s.foundRight++
			}
		}
	}
	for name, n := range true_ {
		if n < 3 {
			continue
		}
		s.real++
		for _, id := range slices.Sorted(maps.Keys(members)) {
			if of := members[id]; 2*of[name] >= n {
				s.realFound++
				if strings.HasSuffix(name, "-outage") || strings.HasSuffix(name, "-terminal_network") {
					s.spans++
					s.overlap += faults[name].overlap(spans[id])
				}
				break
			}
		}
	}
}

// shared reports whether a fault of a world hits many orders at once, and not one here and one there.
func shared(incident string) bool {
	_, kind, _ := strings.Cut(incident, "-")
	switch kind {
	case "outage", "frozen", "batch_late", "file_late", "short_file", "payout_late", "bank_maintenance", "terminal_network", "bad_account",
		"rows_returned", "insufficient_balance", "negative_batch":
		return true
	}
	return false
}

// Figures are the score in numbers.
type Figures struct {
	Orders          int                `json:"orders"`
	Outcomes        float64            `json:"outcome_accuracy"`
	MacroF1         float64            `json:"macro_f1"`
	F1              map[string]float64 `json:"f1"`
	Sub             float64            `json:"sub_cause_accuracy"`
	ECE             float64            `json:"ece"`
	ClassECE        float64            `json:"classwise_ece"` // the worst cause's
	Brier           float64            `json:"brier"`
	OwedWrong       float64            `json:"owed_wrong"` // share of the amount owed whose cause is wrong
	Flips           float64            `json:"flip_rate"`
	IncidentsRight  float64            `json:"incident_precision"`
	IncidentsFound  float64            `json:"incident_recall"`
	Overlap         float64            `json:"window_overlap"` // of outages and faults of terminals
	Evidence        float64            `json:"evidence_precision"`
	PlainMacroF1    float64            `json:"plain_rules_macro_f1"`
	PlainSub        float64            `json:"plain_rules_sub_cause_accuracy"`
	MajorityMacroF1 float64            `json:"majority_macro_f1"`
}

// Figures computes the figures.
func (s *Score) Figures() Figures {
	f := Figures{Orders: s.subs, F1: map[string]float64{}, MacroF1: s.causes[ours].macro(), PlainMacroF1: s.causes[plainRules].macro()}
	share := func(a, b int) float64 { return float64(a) / float64(max(b, 1)) }
	f.Outcomes, f.Sub, f.PlainSub = share(s.outcomes, s.orders), share(s.subsRight, s.subs), share(s.plainSubs, s.subs)
	f.Flips, f.IncidentsRight, f.IncidentsFound = share(s.flipped, s.kept), share(s.foundRight, s.found), share(s.realFound, s.real)
	f.Evidence = share(s.citedRight, s.cited)
	if s.spans > 0 {
		f.Overlap = s.overlap / float64(s.spans)
	}
	for _, c := range recon.Causes {
		if v, ok := s.causes[ours].f1(string(c)); ok {
			f.F1[string(c)] = v
		}
	}
	f.ECE = ece(&s.bins)
	for _, b := range s.classBins {
		f.ClassECE = max(f.ClassECE, ece(b))
	}
	f.Brier = s.brier / float64(max(s.subs, 1))
	if s.owed > 0 {
		f.OwedWrong = s.owedWrong / s.owed
	}
	var most string
	for c, n := range s.causes[ours].true_ {
		if m := s.causes[ours].true_[most]; n > m || n == m && c < most {
			most = c
		}
	}
	var all confusion
	for c, n := range s.causes[ours].true_ {
		for range n {
			all.add(c, most)
		}
	}
	f.MajorityMacroF1 = all.macro()
	return f
}

func ece(bins *[10]bin) float64 {
	sum, n := 0.0, 0
	for _, b := range bins {
		sum += math.Abs(float64(b.right) - b.stated)
		n += b.n
	}
	return sum / float64(max(n, 1))
}

// Bins returns the reliability of the stated confidences: for each tenth how many orders, the mean stated, the share right.
func (s *Score) Bins() (n [10]int, stated, right [10]float64) {
	for i, b := range s.bins {
		n[i], stated[i], right[i] = b.n, b.stated/float64(max(b.n, 1)), float64(b.right)/float64(max(b.n, 1))
	}
	return n, stated, right
}

// Misses returns the kinds of mistakes, most frequent first.
func (s *Score) Misses(most int) []string {
	names := slices.SortedFunc(maps.Keys(s.misses), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.misses[b], s.misses[a]), cmp.Compare(a, b))
	})
	var list []string
	for _, name := range names[:min(most, len(names))] {
		list = append(list, fmt.Sprintf("%6d %s", s.misses[name], name))
	}
	return list
}

// Add adds what another score has found.
func (s *Score) Add(o *Score) {
	if s.misses == nil {
		s.misses, s.classBins = map[string]int{}, map[string]*[10]bin{}
	}
	s.orders += o.orders
	s.outcomes += o.outcomes
	s.subs += o.subs
	s.subsRight += o.subsRight
	s.plainSubs += o.plainSubs
	s.brier += o.brier
	s.owed += o.owed
	s.owedWrong += o.owedWrong
	s.kept += o.kept
	s.flipped += o.flipped
	s.found += o.found
	s.real += o.real
	s.foundRight += o.foundRight
	s.cited += o.cited
	s.citedRight += o.citedRight
	s.spans += o.spans
	s.overlap += o.overlap
	s.realFound += o.realFound
	for i := range s.causes {
		s.causes[i].merge(&o.causes[i])
	}
	for i, b := range o.bins {
		s.bins[i].merge(b)
	}
	for c, bins := range o.classBins {
		if s.classBins[c] == nil {
			s.classBins[c] = new([10]bin)
		}
		for i, b := range bins {
			s.classBins[c][i].merge(b)
		}
	}
	for m, n := range o.misses {
		s.misses[m] += n
	}
}

func (b *bin) merge(o bin) { b.n, b.right, b.stated = b.n+o.n, b.right+o.right, b.stated+o.stated }

func (c *confusion) merge(o *confusion) {
	if c.true_ == nil {
		c.right, c.stated, c.true_ = map[string]int{}, map[string]int{}, map[string]int{}
	}
	for _, pair := range [][2]map[string]int{{c.right, o.right}, {c.stated, o.stated}, {c.true_, o.true_}} {
		for k, n := range pair[1] {
			pair[0][k] += n
		}
	}
}
