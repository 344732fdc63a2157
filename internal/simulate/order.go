package simulate

import "github.com/posrecon/posrecon/internal/recon"

// posFact is one row of a POS log about an order.
type posFact struct {
	status    recon.POSStatus
	code, msg string
	day       int // the log is the one of this day
	late      int // … in a later part of it, by so many days
	night     int // the first night that sees it
	second    int // of the day sold
	txn       int // which channel transaction id it carries; 0 is none
	noRef     bool
	callback  int  // seconds after the sale; 0 is none
	void      bool // a VOID row: an event on the sale
	twin      bool // recorded again with another channel transaction: a duplicate, not progress
}

// setFact is one row of a settlement file about an order.
type setFact struct {
	status recon.SettleStatus
	day    int // settle date
	file   fileKey
	night  int
	amount int64
	m      *merchant // whom the row says was paid
	txn    int
	noTxn  bool
	ownID  bool // the row carries an id of the acquirer's own instead of the order's
	noPay  bool // names no payout
	reason reason
	label  label // why the money of this row is not there
	cell   *cell

	// A corrected file says otherwise of this row from night fixNight on.
	fixNight int
	wrong    int64 // the amount before the correction; 0: the same
	dropped  bool  // not in the corrected file
}

// order is one sale or refund with all the rows that will ever be written about it.
type order struct {
	day, seq int
	m        *merchant
	terminal int
	channel  int
	second   int
	amount   int64 // fen
	hash     uint64
	rng      rng

	refund   int // number of the refund on its sale; 0 is a sale
	noRefID  bool
	saleDay  int
	saleSeq  int
	saleHash uint64

	business, due int
	taken         bool // the channel has the payer's money
	touched       bool // something other than an undisturbed sale
	orphan        bool // no POS row at all

	pos    [4]posFact
	npos   int
	set    [4]setFact
	nset   int
	base   label // why no row comes at all
	delay  label // why the row comes after its due date
	amiss  label // why the amount or the status differs
	within string
}

// label names a sub-cause, and with it the cause; the zero label is none.
type label struct {
	sub      recon.SubCause
	incident string
}

// reason is a reason code with its text, as settlement and payout files carry it.
type reason struct{ code, text string }

// sale makes the i-th sale of a day with all that will ever be written about it.
func (w *world) sale(day, i int, o *order) {
	r := seeded(w.opt.Seed, uint64(day)+1, uint64(i)+1)
	*o = order{day: day, seq: i + 1, hash: r.next(), taken: true}
	o.m = &w.merchants[w.bySlot[r.intn(len(w.bySlot))]]
	o.terminal = r.intn(len(o.m.terminals))
	for at := r.intn(100); at >= channels[o.channel].share; o.channel++ {
		at -= channels[o.channel].share
	}
	const jitter = 64
	o.second = w.second(i*jitter+r.intn(jitter), w.opt.OrdersPerDay*jitter)
	o.amount = amount(&r)
	o.rng = r
	w.live(o)
}

// live takes an order that has been sold through the payment, the faults and the settlement.
func (w *world) live(o *order) {
	w.date(o)
	if o.npos == 0 && !o.orphan {
		row := o.add(posFact{status: recon.POSSuccess, code: "00", txn: 1, callback: o.rng.between(1, 5)})
		if o.refund > 0 {
			row.callback = 0
		}
	}
	if o.clean() { // what a fault has made comes with its fate
		w.payer(o)
		for _, f := range w.pos[o.day] {
			f(o)
		}
	}
	if o.taken {
		if o.nset == 0 {
			o.settled(w.settle[o.m.cycle][o.business])
		}
		if !o.touched {
			w.wear(o)
		}
		for _, f := range w.rows[o.day] {
			f(o)
		}
	}
	w.place(o)
}

// date puts an order on its business and due dates.
func (w *world) date(o *order) {
	o.business = o.day
	if o.second >= int(cutOff.Seconds()) {
		o.business++
	}
	o.due = w.due[o.m.cycle][o.business]
}

// add records a POS row in the log of the order's own day.
func (o *order) add(f posFact) *posFact {
	f.day += o.day
	if f.second == 0 {
		f.second = o.second
	}
	o.pos[o.npos] = f
	o.npos++
	return &o.pos[o.npos-1]
}

// settled records a SETTLED row on a settle date.
func (o *order) settled(day int) *setFact {
	o.set[o.nset] = setFact{status: recon.SettleSettled, day: day, amount: o.amount, m: o.m, txn: 1, fixNight: never}
	o.nset++
	return &o.set[o.nset-1]
}

// lost says that no settlement row will come, and why. What was decided earlier stays.
func (o *order) lost(why label) {
	o.taken, o.touched, o.nset, o.base, o.within = false, true, 0, why, why.incident
}

// clean reports whether an order is an undisturbed sale so far, fit for something of its own to happen to it.
func (o *order) clean() bool {
	return !o.touched && o.taken && o.refund == 0 && !o.orphan && o.npos == 1
}

// amount draws what people pay at a counter: mostly 5 to 80 yuan, a third of it whole yuan, a long tail.
func amount(r *rng) int64 {
	knots := [...]int64{100, 350, 590, 800, 1000, 1250, 1500, 1850, 2200, 2600, 3100, 3800, 4700, 6000, 8200, 13000, 52000}
	k := r.intn(len(knots) - 1)
	a := knots[k] + int64(r.intn(int(knots[k+1]-knots[k])))
	if r.intn(3) == 0 {
		a -= a % 100
	}
	return a
}

// fee returns the acquirer's fee on an amount, rounded half up to the fen.
func (m *merchant) feeOn(amount int64) int64 { return (amount*m.fee + 5000) / 10000 }
