package simulate

import "github.com/posrecon/posrecon/internal/recon"

// verdict is what is true of an order on a night, in fen.
type verdict struct {
	outcome                    recon.Outcome
	label                      label
	due, arrived, owed, excess int64
}

// judge says what is true of an order on a night, from the rows that have arrived by then; ok is false where none has.
func (w *world) judge(o *order, night int) (v verdict, ok bool) {
	status, recorded, twin := o.standing(night)
	s := o.settlement(night)
	if !recorded && !s.any {
		return v, false
	}
	void := status == recon.POSFailed || status == recon.POSClosed || status == recon.POSReversed
	unheard := o.amiss.or(label{recon.CallbackLost, o.within})
	switch {
	case !recorded:
		v.outcome = recon.UnexpectedSettlement
	case twin || s.settled > 1:
		v.outcome = recon.Duplicate
	case s.settled == 1 && s.sum != o.amount:
		v.outcome, v.label = recon.AmountMismatch, o.amiss.or(label{recon.OperatorError, o.within})
	case s.settled == 1 && status != recon.POSSuccess:
		v.outcome, v.label = recon.StatusMismatch, unheard
	case s.settled == 1 && s.unpaid != nil:
		v.outcome, v.label = recon.Unsettled, s.unpaid.life.why
	case s.settled == 1:
		v.outcome = recon.Matched
	case s.any:
		v.outcome, v.label = recon.Unsettled, s.why
	case void:
		v.outcome, v.label = recon.Unsettled, o.base.or(unheard)
	case w.dueBy[night] >= o.due:
		v.outcome, v.label = recon.Unsettled, w.absent(o, status, night)
	default:
		v.outcome = recon.Pending
	}
	if v.label.sub == "" {
		v.label.incident = o.within
	}
	if recorded && v.outcome != recon.Pending && !void {
		v.due = o.amount
	}
	v.arrived = min(v.due, s.good)
	v.owed, v.excess = v.due-v.arrived, s.good-v.arrived
	if o.refund > 0 {
		v.due, v.arrived, v.owed, v.excess = -v.due, -v.arrived, -v.owed, -v.excess
	}
	return v, true
}

func (l label) or(other label) label {
	if l.sub != "" {
		return l
	}
	return other
}

// standing folds the POS rows that have arrived: a final status beats UNKNOWN and PENDING, a void that succeeded makes
// the sale REVERSED, a second channel transaction is a duplicate.
func (o *order) standing(night int) (status recon.POSStatus, recorded, twin bool) {
	voided := false
	for i := range o.npos {
		f := &o.pos[i]
		switch {
		case f.night > night:
		case f.void:
			voided = voided || f.status == recon.POSSuccess
		default:
			recorded, twin = true, twin || f.twin
			if open := f.status == recon.POSUnknown || f.status == recon.POSPending; !open || status == "" {
				status = f.status
			}
		}
	}
	if voided && recorded {
		status = recon.POSReversed
	}
	return status, recorded, twin
}

// settlement is what the settlement rows of an order amount to on a night.
type settlement struct {
	any     bool  // a row has arrived
	settled int   // SETTLED facts that stand
	sum     int64 // of their amounts
	good    int64 // of those whose payout is PAID, not reported or not named
	unpaid  *cell // a payout among them that is bad
	why     label // of the standing row, where it is not SETTLED
}

// settlement folds the settlement rows that have arrived, by settle date and then by status: a later HELD, REJECTED or
// RETURNED un-settles what was settled before.
func (o *order) settlement(night int) (t settlement) {
	var rows [len(o.set)]*setFact
	n := 0
	for i := range o.nset {
		s := &o.set[i]
		if s.night > night || s.dropped && s.fixNight <= night {
			continue
		}
		at := n
		for ; at > 0 && later(rows[at-1], s); at-- {
			rows[at] = rows[at-1]
		}
		rows[at] = s
		n++
	}
	for _, s := range rows[:n] {
		t.any = true
		switch s.status {
		case recon.SettleSettled:
			amount := s.amount
			if s.wrong > 0 && s.fixNight > night {
				amount = s.wrong
			}
			t.settled, t.sum = t.settled+1, t.sum+amount
			if s.cell.good(night) {
				t.good += amount
			} else {
				t.unpaid = s.cell
			}
		case recon.SettlePending:
			t.why = s.label
		default:
			t.settled, t.sum, t.good, t.unpaid, t.why = 0, 0, 0, nil, s.label
		}
	}
	return t
}

var settleRank = map[recon.SettleStatus]int{}

func init() {
	for i, s := range recon.SettleStatuses {
		settleRank[s] = i
	}
}

// later reports whether a stands after b.
func later(a, b *setFact) bool {
	if a.day != b.day {
		return a.day > b.day
	}
	return settleRank[a.status] > settleRank[b.status]
}

// absent says why an order that is due has no row yet. A row that lies in a file that has not come is explained by the
// file, unless it would be late in that file too. A payment that the POS itself saw go wrong needs no file to explain it; of one that the POS
// calls a success nobody can tell more than that the file is missing.
func (w *world) absent(o *order, status recon.POSStatus, night int) label {
	if o.nset > 0 && o.delay.sub == "" && o.set[0].file.part != samedayPart {
		s := &o.set[0]
		if p := w.files[fileKey{s.file.acquirer, s.day, mainPart}]; p != nil && s.day <= w.arrived[night] {
			return p.why
		}
	}
	if status == recon.POSSuccess && w.cycles[o.m.cycle].Days > 0 {
		if p := w.files[fileKey{o.m.acquirer, o.due, mainPart}]; p != nil && w.nightOf[o.due+p.delay] > night {
			return p.why
		}
	}
	return o.base.or(o.delay).or(o.amiss).or(label{recon.SystemDelay, o.within})
}
