package simulate

import "github.com/posrecon/posrecon/internal/recon"

// CallbackLost is a channel that took the money and told the acquirer, whose notice never reached the POS: the POS
// records PENDING, UNKNOWN or FAILED without a code, and the row settles as if nothing were wrong.
type CallbackLost struct {
	Acquirer string // "" is every acquirer
	From, To int    // days
	PerMille int
}

// Name implements Fault.
func (CallbackLost) Name() string { return "callback_lost" }

func (f CallbackLost) bind(w *world, b *bound) error {
	acq, err := w.acquirer(f.Acquirer)
	if err != nil {
		return err
	}
	why := b.label(recon.CallbackLost)
	for _, d := range w.daysIn(f.From, f.To) {
		w.pos[d] = append(w.pos[d], func(o *order) {
			if acq != all && o.m.acquirer != acq || !o.clean() || !o.rng.chance(f.PerMille) {
				return
			}
			p := &o.pos[0]
			p.status, p.code, p.callback = pick(&o.rng, recon.POSPending, recon.POSPending, recon.POSUnknown, recon.POSFailed), "", 0
			o.touched, o.within, o.amiss = true, b.incident, why
		})
	}
	return nil
}

// FalseSuccess is a till that says paid where the channel never had the payment: an old receipt, a forged screen, a
// client that believed its own optimism. The row never comes.
type FalseSuccess struct {
	From, To int // days
	PerMille int
	WithTxn  bool // the log has a channel transaction id all the same
}

// Name implements Fault.
func (FalseSuccess) Name() string { return "false_success" }

func (f FalseSuccess) bind(w *world, b *bound) error {
	why := b.label(recon.FalseSuccess)
	for _, d := range w.daysIn(f.From, f.To) {
		w.pos[d] = append(w.pos[d], func(o *order) {
			if !o.clean() || !o.rng.chance(f.PerMille) {
				return
			}
			if p := &o.pos[0]; !f.WithTxn {
				p.txn, p.callback = 0, 0
			}
			o.lost(why)
		})
	}
	return nil
}
