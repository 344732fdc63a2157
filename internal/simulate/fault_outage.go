package simulate

import "github.com/posrecon/posrecon/internal/recon"

// Outage is a channel that stops answering for a window, for one acquirer or all, across their merchants: requests
// time out, results stay unknown, callbacks do not come. Some payments are lost; of the others some were really taken
// and settle on time (the POS never learns of it), some settle once the channel has recovered, one or two files later,
// and some were charged twice by a till that tried again.
type Outage struct {
	Channel  string // "" is every channel
	Acquirer string // "" is every acquirer
	Day      int    // of the world, from 0
	From, To int    // seconds of the day
	Loss     int    // per mille of the payments in the window that are hit
	Taken    int    // per mille of those hit that were taken after all; default 150
	Twice    int    // per mille of those taken that were charged twice
}

// Name implements Fault.
func (Outage) Name() string { return "outage" }

func (f Outage) bind(w *world, b *bound) error {
	ch, err := channel(f.Channel)
	if err != nil {
		return err
	}
	acq, err := w.acquirer(f.Acquirer)
	if err != nil {
		return err
	}
	if f.Taken == 0 {
		f.Taken = 150
	}
	why := b.label(recon.ChannelOutage)
	heard := b.label(recon.CallbackLost)
	for _, d := range w.daysIn(f.Day, f.Day) {
		w.pos[d] = append(w.pos[d], func(o *order) {
			if o.second < f.From || o.second >= f.To || ch != all && o.channel != ch || acq != all && o.m.acquirer != acq ||
				!o.clean() || !o.rng.chance(f.Loss) {
				return
			}
			p, r := &o.pos[0], &o.rng
			p.callback, p.msg = 0, "系统超时"
			p.code = pick(r, "68", "98", "SYSTEMERROR", "ACQ.SYSTEM_ERROR", "BANKERROR", "91", "96", "")
			switch r.intn(10) {
			case 0, 1, 2, 3, 4:
				p.status = recon.POSUnknown
			case 5, 6:
				p.status = recon.POSPending
			case 7:
				if p.status = recon.POSFailed; p.code == "" {
					p.code = "SYSTEMERROR"
				}
			default: // the till was told to go on, and went on
				p.code = pick(r, "00", p.code)
			}
			if p.status == recon.POSUnknown && r.intn(3) == 0 {
				p.txn = 0
			}
			if !r.chance(f.Taken) {
				o.lost(why)
				return
			}
			o.touched, o.within, o.amiss, o.base = true, b.incident, heard, why
			s := o.settled(w.settle[o.m.cycle][o.business])
			switch {
			case r.chance(f.Twice):
				o.settled(s.day).txn = 2
			case r.intn(2) == 0:
				for range r.between(1, 2) {
					s.day = w.nextFile[s.day]
				}
				o.delay = why
			}
		})
	}
	return nil
}
