package classify

import (
	"time"

	"github.com/posrecon/posrecon/internal/codes"
	"github.com/posrecon/posrecon/internal/recon"
)

// subject is one flagged verdict with what its rows say, as the explaining rules read it.
type subject struct {
	Key             [16]byte
	Episode         int16
	Outcome         string
	MatchRule       string
	Type            string
	Acquirer        string
	MerchantID      string
	Channel         string
	TerminalID      string
	Currency        string
	BusinessDate    time.Time
	DueDate         *time.Time
	MissingYear     *int16
	TxnTime         *time.Time
	SettleDate      *time.Time
	HasOrder        bool
	DuplicatePOS    bool
	SettledLines    int32
	POSStatus       string
	SettleStatus    string
	PayoutStatus    string
	OrderID         string
	Amount          string // yuan, of the POS, else of the settlement
	SettledAmount   string
	ResponseCode    string
	ResponseMessage string
	HasChannelTxn   bool
	HasCallback     bool
	Voided          bool
	Cycle           string
	ReasonCode      string
	Reason          string
	PayoutID        string
	LastPayoutID    string // of the newest payout in the chain
	PayoutCode      string
	PayoutReason    string
	PayoutDate      *time.Time
	POSSource       string // file:line
	SettleSource    string
	PayoutSource    string
	POSHistory      string // every fact of a key with several
	POSDiffers      string
	SettleHistory   string
	SettleDiffers   string
	Codes           bool // the POS log gives response codes at all
	Callbacks       bool // the POS log gives callback times at all
	ChannelTxns     bool // the POS log gives channel transaction ids at all
	Explained       bool
	Final           bool   // its stored explanation is final: it is read for what others share with it
	Digest          *int64 // of its stored explanation; nil where that has none
}

// asksForOne is the condition that verdict v asks for an explanation: all that is flagged, and what is pending only because a
// calendar year is missing or that has candidates to name.
const asksForOne = `v.outcome NOT IN ('matched', 'pending')
	    OR v.missing_year IS NOT NULL AND v.outcome = 'pending'
	    OR v.match_rule = 'ambiguous'`

// final is the condition that the explanation of verdict v, where it has one, is final: it is of an order at rest, as match has it, or of
// one that settled though the POS has it otherwise, which shares outages with these; and of a day of which they are explained for good.
// asleep is that nothing is explained beside it either.
const (
	final  = canBeFinal + ` IN (SELECT acquirer, business_date, due_date FROM final)`
	asleep = canBeFinal + ` IN (SELECT acquirer, business_date, due_date FROM final WHERE asleep)`

	canBeFinal = `(v.outcome = 'unsettled' AND v.match_rule = 'none' AND v.settle_key IS NULL OR v.outcome = 'status_mismatch')
	   AND v.episode = 0
	   AND v.due_date IS NOT NULL
	   AND (v.acquirer, v.business_date, v.due_date)`
)

// subjectsSQL selects the subjects of a run in a fixed order. All of them are open, so that the decision has their rows at hand.
const subjectsSQL = `
	SELECT v.order_key, v.episode, v.outcome, v.match_rule, v.type, v.acquirer, v.merchant_id, v.channel,
	       COALESCE(v.terminal_id, ''), v.currency, v.business_date, v.due_date, v.missing_year, v.txn_time, v.settle_date,
	       v.has_order, v.duplicate_pos, v.settled_lines,
	       COALESCE(v.pos_status, ''), COALESCE(v.settle_status, ''), COALESCE(v.payout_status, ''),
	       COALESCE(p.order_id, s.order_id, ''),
	       to_char(COALESCE(p.amount, s.amount), 'FM999999999999999990.00'),
	       COALESCE(to_char(v.settled_amount, 'FM999999999999999990.00'), ''),
	       COALESCE(pm.response_code, p.response_code, ''),
	       COALESCE(pm.response_message, p.response_message, ''),
	       COALESCE(pm.channel_txn_id, p.channel_txn_id) IS NOT NULL,
	       COALESCE(pm.callback_time, p.callback_time) IS NOT NULL,
	       COALESCE(pm.voided, false),
	       COALESCE(pm.settle_cycle, p.settle_cycle, ''),
	       COALESCE(sm.reason_code, s.reason_code, ''),
	       COALESCE(sm.reason, s.reason, ''),
	       COALESCE(sm.payout_id, s.payout_id, ''),
	       COALESCE(y.last_id, ''), COALESCE(y.reason_code, ''), COALESCE(y.reason, ''), y.payout_date,
	       COALESCE(pf.name || ':' || p.line, ''),
	       COALESCE(sf.name || ':' || s.line, ''),
	       COALESCE(yf.name || ':' || y.line, ''),
	       COALESCE(pm.history, ''), COALESCE(pm.differs, ''), COALESCE(sm.history, ''), COALESCE(sm.differs, ''),
	       COALESCE(pf.has_codes, false), COALESCE(pf.has_callbacks, false), COALESCE(pf.has_channel_txns, false),
	       x.order_key IS NOT NULL,
	       x.order_key IS NOT NULL AND ` + final + `,
	       x.digest
	  FROM verdict AS v
	  LEFT JOIN explanation AS x ON (x.order_key, x.episode) = (v.order_key, v.episode)
	  LEFT JOIN pos_now AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
	  LEFT JOIN pos_said AS pm ON v.has_order AND (pm.order_key, pm.episode) = (v.order_key, v.episode)
	  LEFT JOIN line_now AS s
	    ON (s.order_key, s.file_id, s.line) = (COALESCE(v.settle_key, v.order_key), v.settle_file_id, v.settle_line)
	  LEFT JOIN line_said AS sm
	    ON v.settle_file_id IS NOT NULL
	   AND (sm.order_key, sm.episode) = (COALESCE(v.settle_key, v.order_key), COALESCE(v.settle_episode, v.episode))
	  LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = COALESCE(sm.payout_id, s.payout_id)
	  LEFT JOIN file AS pf ON pf.file_id = v.pos_file_id
	  LEFT JOIN file AS sf ON sf.file_id = v.settle_file_id
	  LEFT JOIN file AS yf ON yf.file_id = y.file_id
	 WHERE (` + asksForOne + `)
	   AND (x.order_key IS NULL OR NOT (` + asleep + `))
	 ORDER BY v.order_key, v.episode`

// scan returns the addresses to scan a row of subjectsSQL into.
func (s *subject) scan() []any {
	return []any{
		&s.Key, &s.Episode, &s.Outcome, &s.MatchRule, &s.Type, &s.Acquirer, &s.MerchantID, &s.Channel,
		&s.TerminalID, &s.Currency, &s.BusinessDate, &s.DueDate, &s.MissingYear, &s.TxnTime, &s.SettleDate,
		&s.HasOrder, &s.DuplicatePOS, &s.SettledLines,
		&s.POSStatus, &s.SettleStatus, &s.PayoutStatus,
		&s.OrderID, &s.Amount, &s.SettledAmount, &s.ResponseCode, &s.ResponseMessage, &s.HasChannelTxn, &s.HasCallback,
		&s.Voided, &s.Cycle, &s.ReasonCode, &s.Reason, &s.PayoutID, &s.LastPayoutID, &s.PayoutCode, &s.PayoutReason, &s.PayoutDate,
		&s.POSSource, &s.SettleSource, &s.PayoutSource,
		&s.POSHistory, &s.POSDiffers, &s.SettleHistory, &s.SettleDiffers,
		&s.Codes, &s.Callbacks, &s.ChannelTxns, &s.Explained, &s.Final, &s.Digest,
	}
}

// outcome returns the verdict's outcome as the noun it is.
func (s *subject) outcome() recon.Outcome { return recon.Outcome(s.Outcome) }

// nothingOwed reports whether the POS itself says that no money is due.
func (s *subject) nothingOwed() bool {
	return s.POSStatus == string(recon.POSFailed) || s.POSStatus == string(recon.POSClosed) || s.POSStatus == string(recon.POSReversed)
}

// settledWithBadPayout reports whether an order that differs from its settlement, or was settled twice, also waits for a
// payout.
func (s *subject) settledWithBadPayout() bool {
	switch s.outcome() {
	case recon.AmountMismatch, recon.StatusMismatch, recon.Duplicate:
		return s.PayoutStatus != "" && s.PayoutStatus != string(recon.PayoutPaid)
	}
	return false
}

// lineMissing reports whether the order is due, or failed, without any settlement line.
func (s *subject) lineMissing() bool {
	return s.outcome() == recon.Unsettled && s.SettleStatus == ""
}

// expectedSettleDate is the date of the settlement file that should hold the order: its due date, or the day before
// for T+0 and D+0, which settle on the date itself and are due the next morning.
func (s *subject) expectedSettleDate(cycle recon.Cycle) recon.Date {
	if s.DueDate == nil {
		return recon.Date{}
	}
	due := recon.DateFromUTC(*s.DueDate)
	if cycle.Days == 0 {
		return due.AddDays(-1)
	}
	return due
}

// noResult reports whether the POS does not know how the payment went, or knows that the request did not get through.
func (s *subject) noResult() bool {
	switch recon.POSStatus(s.POSStatus) {
	case recon.POSUnknown, recon.POSPending:
		return true
	case recon.POSFailed:
		class := s.code().class
		return class == codes.System || class == codes.Network
	}
	return false
}

// batch is what the order's acquirer settles with it.
func (s *subject) batch() batchKey {
	return batchKey{s.Acquirer, s.Channel, recon.DateFromUTC(s.BusinessDate), dateOrZero(s.DueDate)}
}

// at is when an order was sold, or where no time is known the beginning of its business date.
func (s *subject) at() time.Time {
	if s.TxnTime != nil {
		return *s.TxnTime
	}
	return s.BusinessDate
}
