package simulate

import "github.com/posrecon/posrecon/internal/recon"

var riskHold = reason{"R1301", "风险交易冻结"}

// Hold is how an acquirer keeps money back.
type Hold int

// Rows do not come at all, come as HELD, or come as SETTLED into a payout that is HELD.
const (
	HoldSilently Hold = iota
	HoldRows
	HoldPayouts
)

// FrozenMerchant is a merchant, or one channel of it, under risk control or an authority's order from a moment on: it
// goes on selling, and nothing of it settles while its peers settle. After a release everything comes at once.
type FrozenMerchant struct {
	Merchant Merchant
	Channel  string // "" is the whole merchant; a payout covers all channels, so HoldPayouts always freezes it whole
	Day      int
	From     int // second of the day
	Hold     Hold
	Release  int // days after Day on which the money comes; 0 is never
}

// Name implements Fault.
func (FrozenMerchant) Name() string { return "frozen" }

func (f FrozenMerchant) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	ch, err := channel(f.Channel)
	if err != nil {
		return err
	}
	why := b.label(recon.AccountFrozen)
	released := never
	if f.Release > 0 {
		released = f.Day + f.Release
	}
	if f.Hold == HoldPayouts {
		held := payoutVersion{status: recon.PayoutHeld, reason: reason{riskHold.code, "风险控制,暂缓结算"}}
		for d := f.Day + 1; d < min(released, len(w.dates)); d++ {
			p := &payoutPlan{versions: []payoutVersion{held}, why: why}
			if released != never {
				p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid, after: released - d})
			}
			w.disturb(m, d, d, p)
		}
		return nil
	}
	for _, d := range w.daysIn(f.Day, w.days-1) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if o.m != m || ch != all && o.channel != ch || o.day == f.Day && o.second < f.From {
				return
			}
			o.hold(f.Hold, released, riskHold, why)
		})
	}
	return nil
}

// hold keeps the settlement of an order back until a day, silently or with a HELD row. An order that has been
// disturbed otherwise, or would settle after the release, is left alone.
func (o *order) hold(how Hold, until int, r reason, why label) {
	if o.nset != 1 || o.delay.sub != "" || o.set[0].day >= until || o.set[0].status != recon.SettleSettled {
		return
	}
	o.touched, o.within = true, why.incident
	s := &o.set[0]
	if how == HoldSilently {
		if o.delay = why; until == never {
			o.nset, o.base, o.delay = 0, why, label{}
		} else {
			s.day = until
		}
		return
	}
	paid := *s
	s.status, s.reason, s.label = recon.SettleHeld, r, why
	if until != never {
		paid.day = until
		o.set[1], o.nset = paid, 2
	}
}

// SingleFreeze is risk control of single orders: each comes as HELD, in merchants that are otherwise well.
type SingleFreeze struct {
	From, To int // days
	PerMille int
	Release  int // days after the sale on which the money comes; 0 is never
}

// Name implements Fault.
func (SingleFreeze) Name() string { return "single_freeze" }

func (f SingleFreeze) bind(w *world, b *bound) error {
	why := b.label(recon.AccountFrozen)
	for _, d := range w.daysIn(f.From, f.To) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if o.refund > 0 || !o.clean() || !o.rng.chance(f.PerMille) {
				return
			}
			until := never
			if f.Release > 0 {
				until = max(o.day+f.Release, o.set[0].day+1)
			}
			o.hold(HoldRows, until, riskHold, why)
		})
	}
	return nil
}
