package simulate

import "github.com/posrecon/posrecon/internal/recon"

// TerminalNetwork is one terminal without a network for some hours, on every channel: requests get no response, so the
// rows have no channel transaction id and no reference. What never left the terminal was never paid.
type TerminalNetwork struct {
	Merchant Merchant
	Terminal int // of the merchant
	Day      int
	From, To int // seconds of the day; 0, 0 is the whole day
	Loss     int // per mille; default 900
}

// Name implements Fault.
func (TerminalNetwork) Name() string { return "terminal_network" }

func (f TerminalNetwork) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	if f.To == 0 {
		f.To = 24 * 3600
	}
	if f.Loss == 0 {
		f.Loss = 900
	}
	terminal := f.Terminal % len(m.terminals)
	why := b.label(recon.Network)
	for _, d := range w.daysIn(f.Day, f.Day) {
		w.pos[d] = append(w.pos[d], func(o *order) {
			if o.m != m || o.terminal != terminal || o.second < f.From || o.second >= f.To || !o.clean() || !o.rng.chance(f.Loss) {
				return
			}
			r := &o.rng
			o.pos[0] = posFact{status: pick(r, recon.POSUnknown, recon.POSUnknown, recon.POSPending), code: pick(r, "68", "NETERR", ""),
				msg: "通讯超时", day: o.day, second: o.second, noRef: true}
			o.lost(why)
		})
	}
	return nil
}
