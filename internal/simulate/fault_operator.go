package simulate

import "github.com/posrecon/posrecon/internal/recon"

// WrongAmount is an amount keyed twice, into the POS and into the terminal, and once wrongly: a zero too many or too
// few, two digits swapped. What was charged settles.
type WrongAmount struct {
	From, To int // days
	PerMille int
}

// Name implements Fault.
func (WrongAmount) Name() string { return "wrong_amount" }

func (f WrongAmount) bind(w *world, b *bound) error {
	why := b.label(recon.OperatorError)
	for _, d := range w.daysIn(f.From, f.To) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if !o.clean() || o.nset != 1 || !o.rng.chance(f.PerMille) {
				return
			}
			s := &o.set[0]
			s.amount = misread(&o.rng, o.amount)
			o.touched, o.within, o.amiss = true, b.incident, why
		})
	}
	return nil
}

// misread returns another amount than the one meant, never the same and never nothing.
func misread(r *rng, amount int64) int64 {
	switch r.intn(3) {
	case 0:
		return amount * 10
	case 1:
		if amount >= 10 {
			return amount / 10
		}
	default:
		yuan := amount / 100
		if a, b := yuan/10%10, yuan%10; a != b {
			return amount + (b-a)*1000 + (a-b)*100
		}
	}
	return amount * 10
}

// Orphan is a payer who scans the code of another till: the money settles for the wrong merchant, without an order
// there. With Twin, the order that was meant waits in vain at its own merchant, minutes before.
type Orphan struct {
	From, To int // days
	PerDay   int
	Twin     bool
}

// Name implements Fault.
func (Orphan) Name() string { return "orphan" }

func (f Orphan) bind(w *world, b *bound) error {
	why := b.label(recon.OperatorError)
	for _, d := range w.daysIn(f.From, f.To) {
		seq := w.reserve(d, 2*f.PerDay)
		for i := range f.PerDay {
			r := &b.rng
			m := &w.merchants[w.bySlot[r.intn(len(w.bySlot))]]
			o := order{day: d, seq: seq + 2*i, m: m, terminal: r.intn(len(m.terminals)), channel: r.intn(2), orphan: true, taken: true,
				touched: true, second: 10*3600 + r.intn(12*3600), amount: amount(r), hash: r.next(), rng: seeded(r.next()), within: b.incident}
			w.inject(o)
			if !f.Twin {
				continue
			}
			meant := w.neighbour(m)
			t := order{day: d, seq: seq + 2*i + 1, m: meant, terminal: r.intn(len(meant.terminals)), channel: o.channel, amount: o.amount,
				second: o.second - r.between(20, 110), hash: r.next(), rng: seeded(r.next())}
			t.add(posFact{status: pick(r, recon.POSPending, recon.POSClosed), code: "USERPAYING", msg: "等待用户付款"})
			t.lost(why)
			w.inject(t)
		}
	}
	return nil
}

// neighbour returns the next merchant of the same acquirer.
func (w *world) neighbour(m *merchant) *merchant {
	return &w.merchants[(m.index+len(w.opt.Acquirers))%len(w.merchants)]
}
