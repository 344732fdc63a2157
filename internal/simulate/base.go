package simulate

import "github.com/posrecon/posrecon/internal/recon"

// Base is what goes wrong in every world all the time, per 100,000 sales, without any incident.
type Base struct {
	Failures   int // the payer's side says no: short of funds, declined, a bad code
	Closed     int // closed, reversed or timed out
	Waiting    int // left waiting for the payer, never paid
	Voids      int // cancelled at the till a few minutes later; one in five of these tries fails
	Reversed   int // SUCCESS first, REVERSED in the same log or the next day's
	Stragglers int // the row comes one to three working days late
	Noise      int // taken, with a passing error code from a first try
	NoCall     int // taken, without a callback in the log
	Queried    int // UNKNOWN or FAILED in its own log, found to be a SUCCESS in the next day's
	OtherID    int // the settlement row carries an id of the acquirer's own
	TwicePOS   int // recorded and taken twice, under two channel transactions
	TwicePaid  int // settled on two dates
	Refunds    int // refunds per 100,000 sales, on the day or up to three days later
}

// Times returns the base with every rate at so many per cent.
func (b Base) Times(percent int) Base {
	for _, rate := range []*int{&b.Failures, &b.Closed, &b.Waiting, &b.Voids, &b.Reversed, &b.Stragglers, &b.Noise, &b.NoCall,
		&b.Queried, &b.OtherID, &b.TwicePOS, &b.TwicePaid, &b.Refunds} {
		*rate = *rate * percent / 100
	}
	return b
}

// baseOf returns the rates of the hour, acquirer and channel of an order.
func (w *world) baseOf(o *order) *Base {
	if !w.opt.Bunched {
		return &w.opt.Base
	}
	r := seeded(w.opt.Seed, 0xb0, uint64(o.day), uint64(o.second/3600), uint64(o.m.acquirer), uint64(o.channel))
	// The square of a normal variate has mean one and variance two, which is what the correlation asks for.
	z := -6_000
	for range 12 {
		z += r.intn(1000)
	}
	b := w.opt.Base
	for _, rate := range []*int{&b.Waiting, &b.Stragglers, &b.Noise, &b.NoCall, &b.Queried} {
		*rate = min(*rate*(z*z/1000)/1000, 15_000)
	}
	return &b
}

// Usual is the base of a quiet business, near what the development worlds show.
var Usual = Base{Failures: 1900, Closed: 300, Waiting: 500, Voids: 150, Reversed: 50, Stragglers: 150, Noise: 900, NoCall: 600,
	Queried: 60, OtherID: 60, TwicePOS: 15, TwicePaid: 10, Refunds: 900}

var failures = [...]struct {
	share     int
	code, msg string
	sub       recon.SubCause
}{
	{19, "51", "余额不足", recon.PayerFunds},
	{17, "NOTENOUGH", "余额不足", recon.PayerFunds},
	{9, "ACQ.BUYER_BALANCE_NOT_ENOUGH", "买家余额不足", recon.PayerFunds},
	{8, "55", "密码错误", recon.Declined},
	{4, "61", "超出金额限制", recon.Declined},
	{4, "62", "受限制的卡", recon.Declined},
	{4, "54", "卡已过期", recon.Declined},
	{7, "AUTHCODEEXPIRE", "二维码已过期", recon.OperatorError},
	{7, "AUTH_CODE_INVALID", "付款码无效", recon.OperatorError},
	{4, "13", "无效金额", recon.OperatorError},
}

const failureShares = 83

// payer decides what the payer's side makes of a sale, before any fault of ours.
func (w *world) payer(o *order) {
	b, r := w.baseOf(o), &o.rng
	p := &o.pos[0]
	at := r.intn(100_000)
	hit := func(rate int) bool { at -= rate; return at < 0 }
	switch {
	case hit(b.Failures):
		f := failures[0]
		for i, n := 0, r.intn(failureShares); n >= 0; i++ {
			f = failures[i]
			n -= f.share
		}
		*p = posFact{status: recon.POSFailed, code: f.code, msg: f.msg, day: p.day, second: p.second, txn: r.intn(2)}
		o.lost(label{sub: f.sub})
	case hit(b.Closed):
		*p = posFact{status: pick(r, recon.POSClosed, recon.POSReversed), day: p.day, second: p.second, txn: 1}
		o.lost(label{sub: recon.Closed})
	case hit(b.Waiting):
		*p = posFact{status: pick(r, recon.POSPending, recon.POSUnknown), code: pick(r, "USERPAYING", "USERPAYING", "ACQ.PAYMENT_FAIL", ""),
			msg: "等待用户付款", day: p.day, second: p.second, txn: 1}
		o.lost(label{sub: recon.Closed})
	case hit(b.Voids):
		v := posFact{status: recon.POSSuccess, code: "00", txn: 1, void: true, second: min(o.second+r.between(60, 900), 24*3600-1)}
		if r.intn(5) == 0 { // a void that did not succeed is evidence only: the sale stands
			v.status, v.code, v.msg = recon.POSFailed, "25", "原交易不存在"
			o.touched = true
			o.add(v)
			return
		}
		o.add(v)
		o.lost(label{sub: recon.Closed})
	case hit(b.Reversed):
		o.add(posFact{status: recon.POSReversed, txn: 1, day: r.intn(2)})
		o.lost(label{sub: recon.Closed})
	case hit(b.Noise):
		p.code, p.msg = pick(r, "SYSTEMERROR", "96", "BANKERROR", "91", "68", "98"), "系统繁忙"
	case hit(b.NoCall):
		p.callback = 0
	case hit(b.Queried):
		p.status, p.code, p.msg, p.callback = recon.POSUnknown, pick(r, "68", "SYSTEMERROR", ""), "系统超时", 0
		// Only a log that says when it was exported can take a FAILED back, and only one that is exported later.
		if w.opt.ExportedAt && w.late[lateLog{o.day, o.m.acquirer}] == 0 && r.intn(3) == 0 {
			p.status, p.code = recon.POSFailed, "96"
		}
		o.touched = true
		o.add(posFact{status: recon.POSSuccess, code: "00", msg: "查询确认", txn: 1, day: 1})
	case hit(b.TwicePOS):
		if w.opt.Withhold.ChannelTxnIDs {
			return // two rows without them would be one fact
		}
		o.touched = true
		o.add(posFact{status: recon.POSSuccess, code: "00", txn: 2, twin: true, callback: 3, second: min(o.second+r.between(20, 180), 24*3600-1)})
		if r.intn(2) == 0 { // the payer was charged twice, and both charges settle
			o.settled(w.settle[o.m.cycle][o.business])
			o.settled(w.settle[o.m.cycle][o.business]).txn = 2
		}
	}
}

// wear is what happens to the settlement of an undisturbed sale or refund now and then.
func (w *world) wear(o *order) {
	b, r := w.baseOf(o), &o.rng
	at := r.intn(100_000)
	hit := func(rate int) bool { at -= rate; return at < 0 }
	s := &o.set[0]
	switch {
	case hit(b.Stragglers):
		for range r.between(1, 3) {
			s.day = w.nextFile[s.day]
		}
		o.touched, o.delay = true, label{sub: recon.SystemDelay}
	case hit(b.TwicePaid) && o.refund == 0:
		o.touched = true
		second := o.settled(w.nextFile[s.day])
		second.txn = 1 + r.intn(2)
	case hit(b.OtherID) && o.refund == 0:
		if no := w.opt.Withhold; no.ChannelTxnIDs && no.References {
			return // nothing would be left to know it by
		}
		o.touched, s.ownID = true, true
	}
}
