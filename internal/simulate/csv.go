package simulate

import (
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
)

// Rows are appended to one buffer by hand: at hundreds of thousands of orders a second, fmt and encoding/csv would
// take most of the time. No value of a world holds a quote or a line break, and only reasons hold commas.

func appendField(b []byte, s string) []byte { return append(append(b, s...), ',') }

// appendText writes a field that may hold commas.
func appendText(b []byte, s string) []byte {
	if !strings.Contains(s, ",") {
		return append(b, s...)
	}
	return append(append(append(b, '"'), s...), '"')
}

// appendFen writes an amount of fen as yuan with two decimals.
func appendFen(b []byte, fen int64) []byte {
	if fen < 0 {
		b, fen = append(b, '-'), -fen
	}
	b = appendInt(b, uint64(fen/100), 1)
	return append(b, '.', byte('0'+fen/10%10), byte('0'+fen%10))
}

// appendInt writes n with at least width digits.
func appendInt(b []byte, n uint64, width int) []byte {
	var buf [20]byte
	i := len(buf)
	for n > 0 || i > len(buf)-width {
		i--
		buf[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, buf[i:]...)
}

// appendDigits writes the last width digits of n, at most 18.
func appendDigits(b []byte, n uint64, width int) []byte {
	b = append(b, "000000000000000000"[:width]...)
	for i := len(b) - 1; width > 0; width, i = width-1, i-1 {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

// appendTime writes a second of a day as local clock time after its date.
func (w *world) appendTime(b []byte, day, second int) []byte {
	day, second = day+second/86400, second%86400
	b = append(append(b, w.iso[day]...), ' ')
	h, m, s := second/3600, second/60%60, second%60
	return append(b, byte('0'+h/10), byte('0'+h%10), ':', byte('0'+m/10), byte('0'+m%10), ':', byte('0'+s/10), byte('0'+s%10))
}

// appendID writes the order id: a letter for its series, the date, eight digits.
func (w *world) appendID(b []byte, series byte, day, seq int) []byte {
	b = append(append(b, series), w.digits[day][2:]...)
	return appendDigits(b, uint64(seq), 8)
}

func (w *world) appendOrderID(b []byte, o *order) []byte {
	if o.refund > 0 {
		return w.appendID(b, 'P', o.saleDay, o.saleSeq)
	}
	return w.appendID(b, 'P', o.day, o.seq)
}

// appendRefund writes the columns type, refund_id, original_order_id.
func (w *world) appendRefund(b []byte, o *order) []byte {
	if o.refund == 0 {
		return append(b, "SALE,,,"...)
	}
	b = append(b, "REFUND,"...)
	b = append(w.appendRefundID(b, o), ',')
	return append(w.appendID(b, 'P', o.saleDay, o.saleSeq), ',')
}

func (w *world) appendRefundID(b []byte, o *order) []byte {
	if o.refund == 0 || o.noRefID {
		return b
	}
	return w.appendID(b, 'R', o.day, o.seq)
}

// appendTxn writes the channel's transaction id, in the form of its channel.
func (w *world) appendTxn(b []byte, o *order, txn int) []byte {
	if txn == 0 {
		return b
	}
	r := rng(o.hash + uint64(txn))
	switch o.channel {
	case 0:
		b = appendDigits(append(b, "4200"...), r.next(), 12)
		return appendDigits(b, r.next(), 12)
	case 1:
		b = append(append(b, w.digits[o.day]...), "2200"...)
		return appendDigits(b, r.next(), 16)
	default:
		return appendDigits(append(b, "69"...), r.next(), 18)
	}
}

func (w *world) appendRef(b []byte, o *order) []byte { return appendDigits(b, o.hash, 12) }

const posHeader = "order_id,acquirer,merchant_id,store_id,terminal_id,channel,type,refund_id,original_order_id,amount,currency,status,txn_time,"

func (w *world) posHeader() []byte {
	b, no := []byte(posHeader), w.opt.Withhold
	if !no.ChannelTxnIDs {
		b = append(b, "channel_txn_id,"...)
	}
	if !no.References {
		b = append(b, "ref_no,trace_no,"...)
	}
	if !no.Codes {
		b = append(b, "response_code,response_message,"...)
	}
	b = append(b, "settle_cycle"...)
	if !no.Callbacks {
		b = append(b, ",callback_time"...)
	}
	return append(b, '\n')
}

func (w *world) appendPOS(b []byte, o *order, f *posFact) []byte {
	if f.void && o.hash&1 == 0 {
		b = append(w.appendID(b, 'V', o.day, o.seq), ',')
	} else {
		b = append(w.appendOrderID(b, o), ',')
	}
	b = appendField(b, w.opt.Acquirers[o.m.acquirer])
	b = appendField(b, o.m.id)
	b = appendField(b, o.m.stores[o.terminal])
	b = appendField(b, o.m.terminals[o.terminal])
	b = appendField(b, channels[o.channel].name)
	switch {
	case f.void && o.hash&1 == 0:
		b = append(w.appendID(append(b, "VOID,,"...), 'P', o.day, o.seq), ',')
	case f.void:
		b = append(b, "VOID,,,"...)
	default:
		b = w.appendRefund(b, o)
	}
	b = appendFen(b, o.amount)
	b = append(b, ",CNY,"...)
	b = appendField(b, string(f.status))
	b = append(w.appendTime(b, o.day, f.second), ',')
	no := &w.opt.Withhold
	if !no.ChannelTxnIDs {
		b = append(w.appendTxn(b, o, f.txn), ',')
	}
	if !no.References {
		if !f.noRef {
			b = w.appendRef(b, o)
		}
		b = append(appendDigits(append(b, ','), uint64(o.seq), 6), ',')
	}
	if !no.Codes {
		b = appendField(b, f.code)
		b = appendField(b, f.msg)
	}
	b = append(b, w.cycleName[o.m.cycle]...)
	if !no.Callbacks {
		if b = append(b, ','); f.callback > 0 {
			b = w.appendTime(b, o.day, f.second+f.callback)
		}
	}
	return append(b, '\n')
}

const settlementHeader = "order_id,merchant_id,terminal_id,channel,type,refund_id,original_order_id,amount,fee,net_amount,currency,txn_time,settle_date,status,channel_txn_id,ref_no,trace_no,payout_id,reason_code,reason\n"

func (w *world) appendSettlement(b []byte, o *order, s *setFact, amount int64) []byte {
	if s.ownID {
		b = append(w.appendID(b, 'A', o.day, o.seq), ',')
	} else {
		b = append(w.appendOrderID(b, o), ',')
	}
	b = appendField(b, s.m.id)
	b = appendField(b, o.m.terminals[o.terminal])
	b = appendField(b, channels[o.channel].name)
	b = w.appendRefund(b, o)
	fee := s.m.feeOn(amount)
	b = append(appendFen(b, amount), ',')
	b = append(appendFen(b, fee), ',')
	b = appendFen(b, amount-fee)
	b = append(b, ",CNY,"...)
	// A clock that is behind does not take a sale into the day before.
	b = append(w.appendTime(b, o.day, max(0, min(o.second+w.skew[o.m.acquirer], 24*3600-1))), ',')
	b = appendField(b, w.iso[s.day])
	b = appendField(b, string(s.status))
	if !s.noTxn {
		b = w.appendTxn(b, o, s.txn)
	}
	b = append(w.appendRef(append(b, ','), o), ',')
	b = append(appendDigits(b, uint64(o.seq), 6), ',')
	if s.cell != nil {
		b = w.appendPayoutID(b, s.cell, 0)
	}
	b = append(b, ',')
	b = appendField(b, s.reason.code)
	b = appendText(b, s.reason.text)
	return append(b, '\n')
}

const payoutHeader = "payout_id,merchant_id,payout_date,amount,currency,status,reason_code,reason,bank_credit_time,replaces_payout_id\n"

// appendPayoutID writes the id of a payout after it has been re-issued so many times. The last digits look random, so
// that an id says nothing about the payout's fate.
func (w *world) appendPayoutID(b []byte, c *cell, issue int) []byte {
	b = append(append(b, 'P', 'O'), w.digits[c.day][2:]...)
	b = append(b, c.m.id[len(c.m.id)-7:]...)
	batch := uint64(0)
	if c.sameday {
		batch = 1
	}
	r := seeded(w.opt.Seed, uint64(c.day), uint64(c.m.index))
	for range issue {
		r.next()
	}
	return appendDigits(b, r.next()/20*20+2*uint64(issue%10)+batch, 4)
}

func (w *world) appendPayout(b []byte, c *cell, v int) []byte {
	version, issue := payoutVersion{status: recon.PayoutPaid}, 0
	if c.life != nil {
		version = c.life.versions[v]
		for _, u := range c.life.versions[:v+1] {
			if u.reissue {
				issue++
			}
		}
	}
	day := int(c.day) // a payout issued anew has the date on which it was
	if version.reissue {
		day += version.after
	}
	b = append(w.appendPayoutID(b, c, issue), ',')
	b = appendField(b, c.m.id)
	b = appendField(b, w.iso[day])
	b = append(appendFen(b, c.net), ",CNY,"...)
	b = appendField(b, string(version.status))
	b = appendField(b, version.reason.code)
	b = append(appendText(b, version.reason.text), ",,"...)
	if version.reissue {
		b = w.appendPayoutID(b, c, issue-1)
	}
	return append(b, '\n')
}

const truthHeader = "order_id,merchant_id,type,refund_id,outcome,cause,sub_cause,incident,amount_due,amount_arrived,amount_owed,amount_excess\n"

func (w *world) appendTruth(b []byte, o *order, v *verdict) []byte {
	alone := v.outcome == recon.UnexpectedSettlement // the row is known by what it says itself
	if alone && o.set[0].ownID {
		b = append(w.appendID(b, 'A', o.day, o.seq), ',')
	} else {
		b = append(w.appendOrderID(b, o), ',')
	}
	b = appendField(b, o.m.id)
	if o.refund > 0 {
		b = append(w.appendRefundID(append(b, "REFUND,"...), o), ',')
	} else {
		b = append(b, "SALE,,"...)
	}
	b = appendField(b, string(v.outcome))
	if v.label.sub != "" {
		b = append(b, v.label.sub.Cause()...)
	}
	b = append(b, ',')
	b = appendField(b, string(v.label.sub))
	b = appendField(b, v.label.incident)
	b = append(appendFen(b, v.due), ',')
	b = append(appendFen(b, v.arrived), ',')
	b = append(appendFen(b, v.owed), ',')
	b = appendFen(b, v.excess)
	return append(b, '\n')
}
