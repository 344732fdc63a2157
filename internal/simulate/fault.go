package simulate

import (
	"errors"
	"fmt"

	"github.com/posrecon/posrecon/internal/recon"
)

// Fault is one thing that goes wrong in a world. Each type says its mechanism in its comment, leaves the rows that the
// mechanism would leave and no others, and labels the orders it hits. A fault of an earlier place in Options.Faults
// decides first; what it has decided, a later one leaves alone.
type Fault interface {
	// Name is the short name in the incident's label, such as "outage".
	Name() string
	// bind resolves the targets of the fault and hooks it into the world.
	bind(w *world, b *bound) error
}

// bound is a fault at its place in a world.
type bound struct {
	incident string
	rng      rng
}

func (b *bound) label(sub recon.SubCause) label { return label{sub, b.incident} }

// Merchant picks a merchant by its index, or leaves the choice to the world.
type Merchant int

// Merchants of the world's choice: any, in proportion to its sales, or one of the extremes. A frozen giant looks like
// an outage, and a frozen dwarf like a straggler.
const (
	AnyMerchant Merchant = -1 - iota
	LargestMerchant
	SmallestMerchant
)

var (
	errNoSuchMerchant = errors.New("no such merchant")
	errNoSuchAcquirer = errors.New("no such acquirer")
	errNoSuchChannel  = errors.New("no such channel")
)

func (w *world) merchant(m Merchant, b *bound) (*merchant, error) {
	switch m { // the slots are by size
	case AnyMerchant:
		return &w.merchants[w.bySlot[b.rng.intn(len(w.bySlot))]], nil
	case LargestMerchant:
		return &w.merchants[w.bySlot[0]], nil
	case SmallestMerchant:
		return &w.merchants[w.bySlot[len(w.bySlot)-1]], nil
	}
	if m < 0 || int(m) >= len(w.merchants) {
		return nil, fmt.Errorf("%w: %d of %d", errNoSuchMerchant, m, len(w.merchants))
	}
	return &w.merchants[m], nil
}

// any is the index that stands for every acquirer or every channel.
const all = -1

func (w *world) acquirer(name string) (int, error) {
	if name == "" {
		return all, nil
	}
	for i, a := range w.opt.Acquirers {
		if a == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %q", errNoSuchAcquirer, name)
}

func channel(name string) (int, error) {
	if name == "" {
		return all, nil
	}
	for i, c := range channels {
		if c.name == name {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%w: %q", errNoSuchChannel, name)
}

// daysIn clips [from, to] to the trading days of the world.
func (w *world) daysIn(from, to int) []int {
	var days []int
	for d := max(from, 0); d <= min(to, w.days-1); d++ {
		days = append(days, d)
	}
	return days
}

// place gives every row of an order its file and the night that first sees it.
func (w *world) place(o *order) {
	for i := range o.npos {
		f := &o.pos[i]
		arrives := f.day + 1
		if len(w.late) > 0 {
			if by := w.late[lateLog{f.day, o.m.acquirer}]; by > 0 && f.day == o.day {
				f.late = by
				arrives += by
			}
		}
		f.night = w.nightOf[arrives]
	}
	for i := 0; i < o.nset; i++ { // a correction may add a row
		s := &o.set[i]
		s.file = fileKey{o.m.acquirer, s.day, mainPart}
		arrives := s.day
		if w.cycles[o.m.cycle].Days == 0 {
			s.file.part = samedayPart
			arrives++
		}
		if len(w.files) > 0 {
			if p := w.files[s.file]; p != nil {
				arrives += p.delay
				if p.short > 0 && o.second >= p.from {
					s.file.part, arrives = secondPart, arrives+p.short
				}
				w.correct(o, s, p)
			}
		}
		s.night = w.nightOf[min(arrives, len(w.nightOf)-1)]
		if s.status == recon.SettleSettled && !s.noPay {
			s.cell = w.cell(s.m, s.day, s.file.part == samedayPart)
		}
	}
}
