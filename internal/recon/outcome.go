package recon

// Outcome is what the facts say of an order or of a settlement line without one. Where several hold, the first of
// Outcomes stands.
type Outcome string

// The outcomes of the contract.
const (
	UnexpectedSettlement Outcome = "unexpected_settlement"
	Duplicate            Outcome = "duplicate"
	AmountMismatch       Outcome = "amount_mismatch"
	StatusMismatch       Outcome = "status_mismatch"
	Unsettled            Outcome = "unsettled"
	Pending              Outcome = "pending"
	Matched              Outcome = "matched"
)

// Outcomes lists every outcome, the strongest first.
var Outcomes = []Outcome{UnexpectedSettlement, Duplicate, AmountMismatch, StatusMismatch, Unsettled, Pending, Matched}

// Flagged reports whether o belongs on the list that finance works from.
func (o Outcome) Flagged() bool { return o != Pending && o != Matched }

// CarriesCause reports whether an order with outcome o has a cause and a sub-cause.
func (o Outcome) CarriesCause() bool {
	return o == Unsettled || o == StatusMismatch || o == AmountMismatch
}

// Cause is why the money of an order has not arrived.
type Cause string

// The four causes of the contract.
const (
	Delay          Cause = "delay"
	InterfaceFault Cause = "interface_fault"
	FrozenAccount  Cause = "frozen_account"
	FailedTxn      Cause = "failed_txn"
)

// Causes lists the four causes in the contract's order.
var Causes = []Cause{Delay, InterfaceFault, FrozenAccount, FailedTxn}

// SubCause refines a Cause.
type SubCause string

// The sub-causes of the contract.
const (
	FileLate            SubCause = "file_late"
	SystemDelay         SubCause = "system_delay"
	PayoutLate          SubCause = "payout_late"
	ChannelOutage       SubCause = "channel_outage"
	CallbackLost        SubCause = "callback_lost"
	Network             SubCause = "network"
	FalseSuccess        SubCause = "false_success"
	AccountFrozen       SubCause = "account_frozen"
	AccountAbnormal     SubCause = "account_abnormal"
	InsufficientBalance SubCause = "insufficient_balance"
	PayerFunds          SubCause = "payer_funds"
	Declined            SubCause = "declined"
	Closed              SubCause = "closed"
	OperatorError       SubCause = "operator_error"
)

// Cause returns the cause that s refines.
func (s SubCause) Cause() Cause {
	switch s {
	case FileLate, SystemDelay, PayoutLate:
		return Delay
	case ChannelOutage, CallbackLost, Network, FalseSuccess:
		return InterfaceFault
	case AccountFrozen, AccountAbnormal, InsufficientBalance:
		return FrozenAccount
	default:
		return FailedTxn
	}
}

// SubCauses lists every sub-cause, grouped by cause.
var SubCauses = []SubCause{
	FileLate, SystemDelay, PayoutLate,
	ChannelOutage, CallbackLost, Network, FalseSuccess,
	AccountFrozen, AccountAbnormal, InsufficientBalance,
	PayerFunds, Declined, Closed, OperatorError,
}
