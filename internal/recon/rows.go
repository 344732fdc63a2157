package recon

import (
	"crypto/sha256"
	"time"

	"github.com/shopspring/decimal"
)

// POSRow is one accepted row of a POS log. Empty text is an absent value; amounts are yuan, unsigned.
type POSRow struct {
	Line            int // physical line in the file, from 1
	OrderID         string
	Acquirer        string
	MerchantID      string
	Channel         string
	Type            Type
	RefundID        string
	OriginalOrderID string
	Amount          decimal.Decimal
	Currency        string
	Status          POSStatus
	TxnTime         time.Time
	StoreID         string
	TerminalID      string
	OperatorID      string
	ScanMode        string
	ChannelTxnID    string
	RefNo           string
	TraceNo         string
	BatchNo         string
	ResponseCode    string
	ResponseMessage string
	SettleCycle     Cycle     // zero where the row gives none
	CallbackTime    time.Time // zero where the row gives none
}

// SettlementRow is one accepted row of a settlement file: a settlement line.
type SettlementRow struct {
	Line            int
	Acquirer        string // "" where the row has no acquirer column; the file's then counts
	OrderID         string
	MerchantID      string
	TerminalID      string
	Channel         string
	Type            Type // SALE or REFUND
	RefundID        string
	OriginalOrderID string
	Amount          decimal.Decimal
	Fee             decimal.NullDecimal
	NetAmount       decimal.NullDecimal
	Currency        string
	TxnTime         time.Time // zero where the row gives none
	SettleDate      Date
	Status          SettleStatus
	ChannelTxnID    string
	RefNo           string
	TraceNo         string
	BatchNo         string
	PayoutID        string
	ReasonCode      string
	Reason          string
}

// PayoutRow is one accepted row of a payout file: one version of a payout. Its amount may be negative.
type PayoutRow struct {
	Line             int
	Acquirer         string
	PayoutID         string
	MerchantID       string
	PayoutDate       Date
	Amount           decimal.Decimal
	Currency         string
	Status           PayoutStatus
	ReasonCode       string
	Reason           string
	BankCreditTime   time.Time
	ReplacesPayoutID string
}

// BankRow is one line of a bank's account statement. Its amount is positive for money that comes in.
type BankRow struct {
	Line         int
	Bank         string // the bank's id, "" where the file does not say
	Account      string // as the statement writes it, masked
	BookDate     Date
	BookTime     time.Time // zero where the line gives none
	Amount       decimal.Decimal
	Currency     string
	Counterparty string
	Memo         string
	BankRef      string
	Balance      decimal.NullDecimal
}

// OrderKey identifies an order, and equally the settlement lines about it: the first 16 bytes of the SHA-256 over
// acquirer, merchant, type, order id and the refund part, each ended by a unit separator (0x1F). Sixteen bytes keep
// joins and indexes narrow; at a billion orders a day for a year the chance of one collision is below 1e-15.
type OrderKey [16]byte

// NewOrderKey returns the key of the row that these values name. For a refund without an id of its own (wallets repeat
// the sale's order id) the amount joins the key; for a sale both refundID and amount are left out.
func NewOrderKey(acquirer, merchantID string, typ Type, orderID, refundID string, amount decimal.Decimal) OrderKey {
	part := ""
	if typ == TypeRefund {
		if part = "R" + refundID; refundID == "" {
			part = "A" + amount.StringFixed(2)
		}
	}
	buf := make([]byte, 0, 128)
	for _, s := range [...]string{acquirer, merchantID, string(typ), orderID, part} {
		buf = append(append(buf, s...), 0x1f)
	}
	sum := sha256.Sum256(buf)
	return OrderKey(sum[:16])
}

// Key returns the order's key. A VOID has the key of the sale it names: original_order_id, else its own order_id.
func (r *POSRow) Key() OrderKey {
	if r.Type == TypeVoid {
		sale := r.OriginalOrderID
		if sale == "" {
			sale = r.OrderID
		}
		return NewOrderKey(r.Acquirer, r.MerchantID, TypeSale, sale, "", r.Amount)
	}
	return NewOrderKey(r.Acquirer, r.MerchantID, r.Type, r.OrderID, r.RefundID, r.Amount)
}

// Key returns the key of the order this line is about.
func (r *SettlementRow) Key() OrderKey {
	return NewOrderKey(r.Acquirer, r.MerchantID, r.Type, r.OrderID, r.RefundID, r.Amount)
}
