package recon

// Kind is what a file holds. It is recognised by content, never by the file's name.
type Kind string

// The three canonical kinds of the input contract.
const (
	KindPOSLog     Kind = "pos_log"
	KindSettlement Kind = "settlement"
	KindPayout     Kind = "payout"

	// KindBank is a bank's account statement: where the acquirers' payouts arrive, several in one credit or one in several.
	KindBank Kind = "bank_statement"
)

// Type is the direction of money of an order: a SALE brings money in, a REFUND takes it back, a VOID cancels a sale.
type Type string

// The types a POS log or a settlement file may carry. A VOID occurs in POS logs only.
const (
	TypeSale   Type = "SALE"
	TypeRefund Type = "REFUND"
	TypeVoid   Type = "VOID"
)

// POSStatus is what the POS recorded of an order.
type POSStatus string

// SUCCESS, FAILED, CLOSED and REVERSED are final; PENDING and UNKNOWN are not.
const (
	POSSuccess  POSStatus = "SUCCESS"
	POSFailed   POSStatus = "FAILED"
	POSClosed   POSStatus = "CLOSED"
	POSReversed POSStatus = "REVERSED"
	POSPending  POSStatus = "PENDING"
	POSUnknown  POSStatus = "UNKNOWN"
)

// POSStatuses lists every POS status that a file may carry.
var POSStatuses = []POSStatus{POSSuccess, POSFailed, POSClosed, POSReversed, POSPending, POSUnknown}

// SettleStatus is what an acquirer's settlement file says of an order.
type SettleStatus string

// On one settle date the later of this list stands: PENDING < HELD < REJECTED < RETURNED < SETTLED.
const (
	SettlePending  SettleStatus = "PENDING"
	SettleHeld     SettleStatus = "HELD"
	SettleRejected SettleStatus = "REJECTED"
	SettleReturned SettleStatus = "RETURNED"
	SettleSettled  SettleStatus = "SETTLED"
)

// SettleStatuses lists every settlement status that a file may carry, weakest first.
var SettleStatuses = []SettleStatus{SettlePending, SettleHeld, SettleRejected, SettleReturned, SettleSettled}

// PayoutStatus is the state of a payout.
type PayoutStatus string

// At one instant the later of this list stands: PROCESSING < HELD < FAILED < PAID < RETURNED.
const (
	PayoutProcessing PayoutStatus = "PROCESSING"
	PayoutHeld       PayoutStatus = "HELD"
	PayoutFailed     PayoutStatus = "FAILED"
	PayoutPaid       PayoutStatus = "PAID"
	PayoutReturned   PayoutStatus = "RETURNED"
)

// PayoutStatuses lists every payout status that a file may carry, weakest first.
var PayoutStatuses = []PayoutStatus{PayoutProcessing, PayoutHeld, PayoutFailed, PayoutPaid, PayoutReturned}
