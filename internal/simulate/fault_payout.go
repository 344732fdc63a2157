package simulate

import (
	"fmt"

	"github.com/posrecon/posrecon/internal/recon"
)

var payeeReasons = map[string]string{
	"E2010": "收款账户已销户",
	"E2014": "户名不符",
	"E2033": "收款账户状态异常",
	"E2051": "超过II类账户日累计限额",
}

// AccountAbnormal is a payee's account that takes no money: closed, under another name, in an abnormal state, or at
// the daily limit of its class. Rows settle; the payouts of them FAIL, or are PAID first and RETURNED by the bank.
type AccountAbnormal struct {
	Merchant   Merchant
	From, To   int    // payout dates, as days
	Code       string // E2010, E2014, E2033 or E2051
	ReturnedIn int    // days after which a payout that looked PAID comes back; 0: it FAILS at once
	Fixed      int    // days after the payout on which it is issued anew and PAID; 0 is never
}

// Name implements Fault.
func (AccountAbnormal) Name() string { return "bad_account" }

func (f AccountAbnormal) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	text, ok := payeeReasons[f.Code]
	if !ok {
		return fmt.Errorf("no reason %q on the payee's side", f.Code)
	}
	r := reason{f.Code, text}
	p := &payoutPlan{why: b.label(recon.AccountAbnormal)}
	if f.ReturnedIn > 0 {
		p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid},
			payoutVersion{status: recon.PayoutReturned, reason: r, after: f.ReturnedIn})
	} else {
		p.versions = append(p.versions, payoutVersion{status: recon.PayoutFailed, reason: r})
	}
	if f.Fixed > f.ReturnedIn {
		p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid, after: f.Fixed, reissue: true})
	}
	w.disturb(m, f.From, f.To, p)
	return nil
}

// PayoutLate is a payout that is PROCESSING for some days: the acquirer's or the bank's queue, not the payee.
type PayoutLate struct {
	Acquirer string // "" is every acquirer
	From, To int    // payout dates, as days
	PerMille int    // of the merchants
	Paid     int    // days after which it is PAID; 0 is never
	Creep    int    // further days for each payout date after the first, as when a queue grows
}

// Name implements Fault.
func (PayoutLate) Name() string { return "payout_late" }

func (f PayoutLate) bind(w *world, b *bound) error {
	chosen := b.rng // the same merchants on every date
	for d := f.From; d <= f.To; d++ {
		p := &payoutPlan{why: b.label(recon.PayoutLate),
			versions: []payoutVersion{{status: recon.PayoutProcessing, reason: reason{"", "银行处理中"}}}}
		if f.Paid > 0 {
			p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid, after: f.Paid + f.Creep*(d-f.From)})
		}
		b.rng = chosen
		if err := w.disturbSome(f.Acquirer, d, f.PerMille, p, b); err != nil {
			return err
		}
	}
	return nil
}

// BankMaintenance is a receiving bank that is closed for a night: payouts FAIL with E9001 and are issued anew, under
// another id that replaces the first.
type BankMaintenance struct {
	Acquirer string // "" is every acquirer
	Day      int    // payout date
	PerMille int    // of the merchants: those that bank there
	Reissued int    // days after which the new payout is PAID; 0 is never
}

// Name implements Fault.
func (BankMaintenance) Name() string { return "bank_maintenance" }

func (f BankMaintenance) bind(w *world, b *bound) error {
	p := &payoutPlan{why: b.label(recon.PayoutLate),
		versions: []payoutVersion{{status: recon.PayoutFailed, reason: reason{"E9001", "收款行系统维护,次日重新出款"}}}}
	if f.Reissued > 0 {
		p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid, after: f.Reissued, reissue: true})
	}
	return w.disturbSome(f.Acquirer, f.Day, f.PerMille, p, b)
}

func (w *world) disturbSome(acquirer string, day, perMille int, p *payoutPlan, b *bound) error {
	acq, err := w.acquirer(acquirer)
	if err != nil {
		return err
	}
	for i := range w.merchants {
		if m := &w.merchants[i]; (acq == all || m.acquirer == acq) && b.rng.chance(perMille) {
			w.disturb(m, day, day, p)
		}
	}
	return nil
}

// RowsReturned is an account that takes no money either, at an acquirer that says so row by row: what was SETTLED on a
// date is RETURNED in a later file, and settles once more when the account has been put right.
type RowsReturned struct {
	Merchant Merchant
	Day      int    // settle date
	Code     string // E2010, E2014, E2033 or E2051
	In       int    // days after which the rows come back
	Fixed    int    // days after the settle date on which they settle again; 0 is never
}

// Name implements Fault.
func (RowsReturned) Name() string { return "rows_returned" }

func (f RowsReturned) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	text, ok := payeeReasons[f.Code]
	if !ok || f.In < 1 {
		return fmt.Errorf("reason %q in %d days: a reason on the payee's side, and later", f.Code, f.In)
	}
	why := b.label(recon.AccountAbnormal)
	for _, d := range w.daysIn(0, f.Day) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if o.m != m || o.nset != 1 || o.set[0].day != f.Day || o.set[0].status != recon.SettleSettled {
				return
			}
			o.touched, o.within = true, b.incident
			o.set[0].noPay = true // the money came and went by a way of its own
			o.set[1], o.set[2], o.nset = o.set[0], o.set[0], 2
			back := &o.set[1]
			back.status, back.day, back.reason, back.label = recon.SettleReturned, f.Day+f.In, reason{f.Code, text}, why
			if f.Fixed > f.In {
				o.set[2].day, o.set[2].noPay, o.nset = f.Day+f.Fixed, false, 3
			}
		})
	}
	return nil
}

var shortOfFunds = reason{"R1102", "商户账户余额不足,待充值后结算"}

// InsufficientBalance is a merchant whose acquirer keeps its money until it tops up its account: the rows come as HELD,
// or the payouts are.
type InsufficientBalance struct {
	Merchant Merchant
	Day      int // settle date of what is held
	Hold     Hold
	TopUp    int // days after which the money comes; 0 is never
}

// Name implements Fault.
func (InsufficientBalance) Name() string { return "insufficient_balance" }

func (f InsufficientBalance) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	why := b.label(recon.InsufficientBalance)
	if f.Hold == HoldPayouts {
		w.disturb(m, f.Day, f.Day, f.plan(why))
		return nil
	}
	for _, d := range w.daysIn(0, f.Day) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if o.m != m || o.nset != 1 || o.set[0].day != f.Day {
				return
			}
			until := never
			if f.TopUp > 0 {
				until = f.Day + f.TopUp
			}
			o.hold(HoldRows, until, shortOfFunds, why)
		})
	}
	return nil
}

func (f InsufficientBalance) plan(why label) *payoutPlan {
	p := &payoutPlan{why: why, versions: []payoutVersion{{status: recon.PayoutHeld, reason: shortOfFunds}}}
	if f.TopUp > 0 {
		p.versions = append(p.versions, payoutVersion{status: recon.PayoutPaid, after: f.TopUp})
	}
	return p
}

// NegativeBatch is a merchant that refunds a large sale of the day before in full: the refund is more than all it
// sells, the net of the batch is negative, and the payout is HELD until it tops up.
type NegativeBatch struct {
	Merchant Merchant
	Day      int // of the refund; the sale is on the day before
	TopUp    int // days after which the payout counts as PAID; 0 is never
}

// Name implements Fault.
func (NegativeBatch) Name() string { return "negative_batch" }

func (f NegativeBatch) bind(w *world, b *bound) error {
	m, err := w.merchant(f.Merchant, b)
	if err != nil {
		return err
	}
	if f.Day < 1 || f.Day >= w.days {
		return fmt.Errorf("day %d: the sale needs a day before it, and the refund a trading day", f.Day)
	}
	at := w.settle[m.cycle][f.Day]
	w.disturb(m, at, at, InsufficientBalance{TopUp: f.TopUp}.plan(b.label(recon.InsufficientBalance)))
	slots := 0
	for _, i := range w.bySlot {
		if int(i) == m.index {
			slots++
		}
	}
	days := int64(f.Day - w.business(m, at) + 5) // the batch holds every business day that settles on its date
	total := (10_000 + int64(w.opt.OrdersPerDay)*int64(slots)*9_000/int64(len(w.bySlot))) * days
	sale := order{seq: w.reserve(f.Day-1, 1), m: m, amount: total - total%100, second: 10*3600 + b.rng.intn(3600), hash: b.rng.next(),
		rng: seeded(b.rng.next()), touched: true, taken: true, within: b.incident, day: f.Day - 1}
	refund := order{seq: w.reserve(f.Day, 1), m: m, amount: sale.amount, second: 11*3600 + b.rng.intn(3600), hash: b.rng.next(),
		rng: seeded(b.rng.next()), touched: true, taken: true, within: b.incident, day: f.Day,
		refund: 1, saleDay: sale.day, saleSeq: sale.seq}
	w.inject(sale)
	w.inject(refund)
	return nil
}

// business returns the first business day whose sales settle on a day, for a merchant.
func (w *world) business(m *merchant, at int) int {
	for d, s := range w.settle[m.cycle] {
		if s == at {
			return d
		}
	}
	return at
}
