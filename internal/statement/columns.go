package statement

import (
	"fmt"
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
)

// column is a column that some kind of file may have.
type column int

const (
	colOrderID column = iota
	colAcquirer
	colMerchantID
	colChannel
	colAmount
	colStatus
	colTxnTime
	colStoreID
	colTerminalID
	colOperatorID
	colScanMode
	colType
	colRefundID
	colOriginalOrderID
	colCurrency
	colChannelTxnID
	colRefNo
	colTraceNo
	colBatchNo
	colResponseCode
	colResponseMessage
	colSettleCycle
	colCallbackTime
	colSettleDate
	colFee
	colNetAmount
	colPayoutID
	colReasonCode
	colReason
	colPayoutDate
	colBankCreditTime
	colReplacesPayoutID
	colAccount
	colBookDate
	colBookTime
	colCounterparty
	colMemo
	colBankRef
	colBalance
	columnCount
)

var columnNames = [columnCount]string{
	"order_id", "acquirer", "merchant_id", "channel", "amount", "status", "txn_time", "store_id", "terminal_id",
	"operator_id", "scan_mode", "type", "refund_id", "original_order_id", "currency", "channel_txn_id", "ref_no",
	"trace_no", "batch_no", "response_code", "response_message", "settle_cycle", "callback_time", "settle_date", "fee",
	"net_amount", "payout_id", "reason_code", "reason", "payout_date", "bank_credit_time", "replaces_payout_id", "account",
	"book_date", "book_time", "counterparty", "memo", "bank_ref", "balance",
}

func (c column) String() string { return columnNames[c] }

var columnByName = func() map[string]column {
	m := make(map[string]column, columnCount)
	for i, name := range columnNames {
		m[name] = column(i)
	}
	return m
}()

// layout is what a kind of file holds.
type layout struct {
	kind     recon.Kind
	required []column
	optional []column
}

// layouts lists the kinds. The acquirer of a settlement or payout file may be a column, although the files of one
// acquirer seldom have it.
var layouts = []layout{
	{
		kind: recon.KindPOSLog,
		required: []column{
			colOrderID, colAcquirer, colMerchantID, colChannel, colAmount, colStatus, colTxnTime,
		},
		optional: []column{
			colStoreID, colTerminalID, colOperatorID, colScanMode, colType, colRefundID, colOriginalOrderID, colCurrency,
			colChannelTxnID, colRefNo, colTraceNo, colBatchNo, colResponseCode, colResponseMessage, colSettleCycle,
			colCallbackTime,
		},
	},
	{
		kind:     recon.KindSettlement,
		required: []column{colOrderID, colMerchantID, colAmount, colSettleDate, colStatus},
		optional: []column{
			colAcquirer, colFee, colNetAmount, colCurrency, colType, colRefundID, colOriginalOrderID, colTxnTime,
			colTerminalID, colChannel, colChannelTxnID, colRefNo, colTraceNo, colBatchNo, colPayoutID, colReasonCode,
			colReason,
		},
	},
	{
		kind:     recon.KindPayout,
		required: []column{colPayoutID, colMerchantID, colPayoutDate, colAmount, colStatus},
		optional: []column{colAcquirer, colCurrency, colReasonCode, colReason, colBankCreditTime, colReplacesPayoutID},
	},
	{
		kind:     recon.KindBank,
		required: []column{colAccount, colBookDate, colAmount, colCounterparty, colMemo},
		optional: []column{colAcquirer, colCurrency, colBookTime, colBankRef, colBalance},
	},
}

// header is a file's header, understood.
type header struct {
	kind  recon.Kind
	names []string         // as in the file, trimmed and in lower case; the last one is not empty
	at    [columnCount]int // where in a row a column of the kind stands, -1 for nowhere
}

// columns returns the recognised columns in the order of the file.
func (h *header) columns() []string {
	var names []string
	for i, name := range h.names {
		if col, known := columnByName[name]; known && h.at[col] == i {
			names = append(names, name)
		}
	}
	return names
}

// readHeader understands a header whose names are trimmed and in lower case. The error has no line yet.
func readHeader(names []string, meta *Meta) (*header, *FileError) {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1] // commas that a spreadsheet appended
	}
	present := make(map[column]bool)
	for _, name := range names {
		if col, known := columnByName[name]; known {
			present[col] = true
		}
	}
	l, err := chooseLayout(present, meta)
	if err != nil {
		return nil, err
	}

	h := &header{kind: l.kind, names: names}
	for i := range h.at {
		h.at[i] = -1
	}
	for _, cols := range [][]column{l.required, l.optional} {
		for _, col := range cols {
			for i, name := range names {
				if name != col.String() {
					continue
				}
				if h.at[col] >= 0 {
					return nil, &FileError{Field: name, Value: name, Rule: "the header has this column twice"}
				}
				h.at[col] = i
			}
		}
	}
	return h, nil
}

// chooseLayout decides the kind; the package comment has the rules. Where no kind's required columns are all there, it
// names the kind with the fewest missing, then the one that knows most of the columns.
func chooseLayout(present map[column]bool, meta *Meta) (*layout, *FileError) {
	var best, nearest *layout
	var bestKnown, nearestKnown int
	var missing []string
	for i := range layouts {
		l := &layouts[i]
		if (l.kind == recon.KindPayout || l.kind == recon.KindBank) && present[colOrderID] {
			continue // a settlement file that lacks its settle date must not pass for payouts
		}
		lacks, known := l.fit(present, meta)
		if len(lacks) == 0 && known >= bestKnown { // on a tie the later one: settlement, after the POS log
			best, bestKnown = l, known
		}
		if nearest == nil || len(lacks) < len(missing) || len(lacks) == len(missing) && known > nearestKnown {
			nearest, nearestKnown, missing = l, known, lacks
		}
	}
	switch {
	case best != nil:
		return best, nil
	case len(missing) > len(nearest.required)-2:
		// One familiar name, say amount, makes no header.
		return nil, &FileError{Unknown: true, Rule: "no header of a POS log, settlement or payout file: " +
			"the columns must be named in English, as in order_id, merchant_id, amount, status"}
	default:
		return nil, &FileError{
			Rule:      fmt.Sprintf("required columns of a %s file are missing: %s", nearest.kind, strings.Join(missing, ", ")),
			Resembles: nearest.kind,
			Missing:   missing,
		}
	}
}

// fit returns the required columns that are missing, and how many of the columns present the layout knows. A date
// that the metadata give is not missing.
func (l *layout) fit(present map[column]bool, meta *Meta) (missing []string, known int) {
	for _, col := range l.required {
		switch {
		case present[col]:
			known++
		case col == colSettleDate && !meta.SettleDate.IsZero():
		case col == colPayoutDate && !meta.PayoutDate.IsZero():
		default:
			missing = append(missing, col.String())
		}
	}
	for _, col := range l.optional {
		if present[col] {
			known++
		}
	}
	return missing, known
}
