package classify

import (
	"cmp"

	"github.com/posrecon/posrecon/internal/codes"
	"github.com/posrecon/posrecon/internal/recon"
)

// features are what an order's own rows say of it, one value per family. A column that its log does not carry gives none.
func (s *subject) features() []feature {
	list := s.allFeatures()
	switch list[0].value {
	case "other_amount":
		return list[:1] // how the payment went says nothing of how the amount came to differ
	case "other_status":
		return list[:2] // money that settled was not short, whatever the till was told
	}
	return list
}

// allFeatures are features before what the line says makes some of them pointless.
func (s *subject) allFeatures() []feature {
	list := make([]feature, 0, len(families))
	settlement := s.settlementValue()
	list = append(list, feature{"settlement", settlement})
	switch settlement {
	case "settled":
		list = append(list, feature{"payout", payoutValue(s.PayoutStatus)}, feature{"reason", s.reason().value()})
	case "held", "rejected", "returned", "pending":
		list = append(list, feature{"reason", s.reason().value()})
	}
	list = append(list, feature{"status", posValue(s.POSStatus)})
	if s.Codes {
		list = append(list, feature{"code", s.code().value()})
	}
	// Of a payment that failed no channel gives notice.
	if s.Type == string(recon.TypeRefund) {
		return list // nor of a refund, whose transaction is another one
	}
	if final := s.POSStatus == string(recon.POSFailed) || s.POSStatus == string(recon.POSClosed); s.Callbacks && !final {
		list = append(list, feature{"callback", choose(s.HasCallback, "heard", "silent")})
	}
	if s.ChannelTxns {
		list = append(list, feature{"channel_txn", choose(s.HasChannelTxn, "has", "lacks")})
	}
	return list
}

func choose(ok bool, yes, no string) string {
	if ok {
		return yes
	}
	return no
}

// settlementValue is what the acquirer's lines say of an order.
func (s *subject) settlementValue() string {
	switch {
	case s.outcome() == recon.AmountMismatch:
		return "other_amount"
	case s.outcome() == recon.StatusMismatch:
		return "other_status"
	}
	switch recon.SettleStatus(s.SettleStatus) {
	case recon.SettleSettled:
		return "settled"
	case recon.SettleHeld:
		return "held"
	case recon.SettleRejected:
		return "rejected"
	case recon.SettleReturned:
		return "returned"
	case recon.SettlePending:
		return "pending"
	}
	return "none"
}

func payoutValue(status string) string {
	switch recon.PayoutStatus(status) {
	case recon.PayoutProcessing:
		return "processing"
	case recon.PayoutHeld:
		return "held"
	case recon.PayoutFailed:
		return "failed"
	case recon.PayoutReturned:
		return "returned"
	}
	return ""
}

func posValue(status string) string {
	switch recon.POSStatus(status) {
	case recon.POSSuccess:
		return "success"
	case recon.POSFailed:
		return "failed"
	case recon.POSClosed:
		return "closed"
	case recon.POSReversed:
		return "reversed"
	case recon.POSUnknown:
		return "unknown"
	case recon.POSPending:
		return "pending"
	}
	return ""
}

// posCode is the meaning of one response code.
type posCode struct {
	class    codes.Class // "" where there is none
	sub      recon.SubCause
	strength codes.Strength
	en, zh   string
}

// code is what the POS's response code says to the acquirer and on the channel that it came by.
func (s *subject) code() posCode {
	if s.ResponseCode == "" {
		return posCode{}
	}
	r, ok := codes.FindResponse(s.ResponseCode, s.Acquirer, s.Channel)
	if !ok {
		return posCode{class: codes.Other}
	}
	return posCode{r.Class, r.SubCause, r.Strength, r.EN, r.ZH}
}

// value is the code's value in its family: the sub-cause that a business code names, else the class.
func (c posCode) value() string {
	v := "other"
	switch c.class {
	case "":
		return "none"
	case codes.Business:
		switch c.sub {
		case recon.PayerFunds, recon.Declined, recon.OperatorError, recon.Closed:
			v = string(c.sub)
		}
	case codes.Approved, codes.System, codes.Network, codes.Waiting, codes.Blocked:
		v = string(c.class)
	}
	switch v {
	case "other", string(codes.Approved), string(codes.System), string(codes.Network):
		return v // of a system's code the class is what counts: the payer may have been charged
	}
	return v + doubt(c.strength)
}

// doubt is the suffix of a value whose code has several meanings.
func doubt(s codes.Strength) string {
	switch s {
	case codes.Medium:
		return " likely"
	case codes.Weak:
		return " perhaps"
	}
	return ""
}

// holdReason is what a line's or payout's reason says.
type holdReason struct {
	sub      recon.SubCause // "" for nothing that is known
	strength codes.Strength
	given    bool // a reason was given, known or not
}

// readHold reads a reason: a code with one meaning or a usual one, else the words, else a code that hints.
func readHold(code, text string, scopes ...string) holdReason {
	given := code != "" || text != ""
	p, _ := codes.FindPayout(code, scopes...)
	if p.Strength == codes.Strong || p.Strength == codes.Medium {
		return holdReason{p.SubCause, p.Strength, given}
	}
	if sub, ok := codes.FindWords(text); ok {
		return holdReason{sub, codes.Medium, given}
	}
	return holdReason{p.SubCause, codes.Weak, given}
}

// value is the reason's value in its family.
func (h holdReason) value() string {
	switch {
	case !h.given:
		return "none"
	case h.sub == "":
		return "unknown"
	}
	return string(h.sub) + doubt(h.strength)
}

// reason is what explains that a line is withheld, or its payout is not paid.
func (s *subject) reason() holdReason {
	if s.SettleStatus == string(recon.SettleSettled) {
		return readHold(s.PayoutCode, s.PayoutReason, s.Acquirer)
	}
	h := readHold(s.ReasonCode, s.Reason, s.Acquirer)
	if h.sub == recon.PayoutLate && s.SettleStatus == string(recon.SettlePending) {
		h.sub = recon.SystemDelay // no payout is late before there is one
	}
	return h
}

// payout is the newest of the payouts that pay the order's line.
func (s *subject) payout() string { return cmp.Or(s.LastPayoutID, s.PayoutID) }
