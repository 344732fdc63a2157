package statement

import (
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// Totals are the control totals that the lines after the rows state; nil for one that is not stated.
type Totals struct {
	Count  *int64
	Amount *decimal.Decimal
	Fee    *decimal.Decimal
}

// Stated reports whether the file states any control total.
func (t Totals) Stated() bool { return t.Count != nil || t.Amount != nil || t.Fee != nil }

// The keys of control totals.
const (
	keyTotalCount  = "total_count"
	keyTotalAmount = "total_amount"
	keyTotalFee    = "total_fee"
)

func isTotal(key string) bool {
	return key == keyTotalCount || key == keyTotalAmount || key == keyTotalFee
}

// add enters one line after the rows; a key that is no total is a remark. A total that cannot be read, an empty one
// too, is a fault of the file: somebody stated something, and nothing may be taken for it.
func (t *Totals) add(e MetaEntry) *FileError {
	fault := func(rule string) *FileError {
		return &FileError{Line: e.Line, Field: e.Key, Value: excerpt([]byte(e.Value), maxValue), Rule: rule}
	}
	const twice = "stated twice with different values"
	switch e.Key {
	case keyTotalCount:
		n, ok := digits(e.Value)
		if !ok || len(e.Value) > 15 {
			return fault("not a whole number")
		}
		count := int64(n)
		if t.Count != nil && *t.Count != count {
			return fault(twice)
		}
		t.Count = &count
	case keyTotalAmount, keyTotalFee:
		d, ok := parseTotal(e.Value)
		if !ok {
			return fault("not a plain amount in yuan such as 1234.50, or -1234.50")
		}
		total := &t.Amount
		if e.Key == keyTotalFee {
			total = &t.Fee
		}
		if *total != nil && !(*total).Equal(d) {
			return fault(twice)
		}
		*total = &d
	}
	return nil
}

// parseTotal reads an amount that may be negative: more may be refunded than sold.
func parseTotal(s string) (decimal.Decimal, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	fen, ok := parseFen(s)
	if negative {
		fen = -fen
	}
	return yuan(fen), ok
}

// Seen is what was read, for comparison with the control totals: rejected lines count, with their amounts where they
// are readable. All statuses and currencies are added up, SALE minus REFUND, as the files' own totals do; a VOID adds
// nothing. The amounts of payouts are added up as they are.
type Seen struct {
	Count             int // records returned, rejects included
	Rejected          int
	UnreadableAmounts int // rejects whose Amount is not known
	UnreadableFees    int // rejects whose Fee is not known
	OtherDates        int // accepted rows whose own settle_date or payout_date differs from the file's
	Amount            decimal.Decimal
	Fee               decimal.Decimal
}

// sums adds up what was read.
type sums struct {
	seen   Seen
	amount fenSum
	fee    fenSum
}

// addRow adds an accepted row's amount and fee in fen.
func (s *sums) addRow(typ recon.Type, amount, fee int64) {
	s.seen.Count++
	switch typ {
	case recon.TypeVoid:
		return
	case recon.TypeRefund:
		amount, fee = -amount, -fee
	}
	s.amount.add(amount)
	s.fee.add(fee)
}

func (s *sums) addRejected(rej *Reject) {
	s.seen.Count++
	s.seen.Rejected++
	if rej.Amount.Valid {
		s.amount.high = s.amount.high.Add(rej.Amount.Decimal)
	} else {
		s.seen.UnreadableAmounts++
	}
	if rej.Fee.Valid {
		s.fee.high = s.fee.high.Add(rej.Fee.Decimal)
	} else if rej.FeeUnread {
		s.seen.UnreadableFees++
	}
}

func (s *sums) result() Seen {
	seen := s.seen
	seen.Amount, seen.Fee = s.amount.result(), s.fee.result()
	return seen
}

// fenSum is an exact sum: fen in low while they fit, the rest in high. Adding decimals for every row would cost more
// than reading it.
type fenSum struct {
	low  int64
	high decimal.Decimal
}

// add adds one amount of at most 18 digits.
func (s *fenSum) add(fen int64) {
	s.low += fen
	// 2⁶¹ is more than any amount, so that another one still fits.
	if s.low > 1<<61 || s.low < -(1<<61) {
		s.high, s.low = s.result(), 0
	}
}

func (s *fenSum) result() decimal.Decimal { return s.high.Add(yuan(s.low)) }
