package statement

import (
	"cmp"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

var (
	posTypes    = []recon.Type{recon.TypeSale, recon.TypeRefund, recon.TypeVoid}
	settleTypes = []recon.Type{recon.TypeSale, recon.TypeRefund}
)

// posRow reads the split record as a row of a POS log into r.pos. The file's acquirer stands for an empty one.
func (r *Reader) posRow(line int) {
	c := &r.cells
	r.pos = recon.POSRow{
		Line:            line,
		OrderID:         c.required(colOrderID),
		Acquirer:        cmp.Or(c.identifier(colAcquirer), r.meta.Acquirer),
		MerchantID:      c.required(colMerchantID),
		Channel:         strings.ToUpper(c.required(colChannel)),
		Type:            choice(c, colType, posTypes, recon.TypeSale),
		RefundID:        c.identifier(colRefundID),
		OriginalOrderID: c.identifier(colOriginalOrderID),
		Amount:          c.amount(colAmount),
		Currency:        c.currency(),
		Status:          choice(c, colStatus, recon.POSStatuses, ""),
		TxnTime:         c.requiredTime(colTxnTime),
		StoreID:         c.identifier(colStoreID),
		TerminalID:      c.identifier(colTerminalID),
		OperatorID:      c.identifier(colOperatorID),
		ScanMode:        c.identifier(colScanMode),
		ChannelTxnID:    c.identifier(colChannelTxnID),
		RefNo:           c.identifier(colRefNo),
		TraceNo:         c.identifier(colTraceNo),
		BatchNo:         c.identifier(colBatchNo),
		ResponseCode:    c.identifier(colResponseCode),
		ResponseMessage: c.message(colResponseMessage),
		SettleCycle:     c.cycle(),
		CallbackTime:    c.time(colCallbackTime),
	}
	if r.pos.Acquirer == "" {
		c.fail(colAcquirer, "", ruleRequired)
	}
}

// settlementRow reads the split record as a settlement line into r.settlement. The file's acquirer and settle date
// stand for empty ones.
func (r *Reader) settlementRow(line int) {
	c := &r.cells
	s := &r.settlement
	*s = recon.SettlementRow{
		Line:            line,
		Acquirer:        cmp.Or(c.identifier(colAcquirer), r.meta.Acquirer),
		OrderID:         c.required(colOrderID),
		MerchantID:      c.required(colMerchantID),
		TerminalID:      c.identifier(colTerminalID),
		Channel:         strings.ToUpper(c.identifier(colChannel)),
		Type:            choice(c, colType, settleTypes, recon.TypeSale),
		RefundID:        c.identifier(colRefundID),
		OriginalOrderID: c.identifier(colOriginalOrderID),
		Amount:          c.amount(colAmount),
		Currency:        c.currency(),
		TxnTime:         c.time(colTxnTime),
		SettleDate:      c.date(colSettleDate, r.meta.SettleDate),
		Status:          choice(c, colStatus, recon.SettleStatuses, ""),
		ChannelTxnID:    c.identifier(colChannelTxnID),
		RefNo:           c.identifier(colRefNo),
		TraceNo:         c.identifier(colTraceNo),
		BatchNo:         c.identifier(colBatchNo),
		PayoutID:        c.identifier(colPayoutID),
		ReasonCode:      c.identifier(colReasonCode),
		Reason:          c.message(colReason),
	}
	s.Fee, c.feeFen = c.optionalAmount(colFee)
	s.NetAmount, _ = c.optionalAmount(colNetAmount)
}

// payoutRow reads the split record as a version of a payout into r.payout. The file's acquirer and payout date stand
// for empty ones.
func (r *Reader) payoutRow(line int) {
	c := &r.cells
	r.payout = recon.PayoutRow{
		Line:             line,
		Acquirer:         cmp.Or(c.identifier(colAcquirer), r.meta.Acquirer),
		PayoutID:         c.required(colPayoutID),
		MerchantID:       c.required(colMerchantID),
		PayoutDate:       c.date(colPayoutDate, r.meta.PayoutDate),
		Amount:           c.signedAmount(colAmount),
		Currency:         c.currency(),
		Status:           choice(c, colStatus, recon.PayoutStatuses, ""),
		ReasonCode:       c.identifier(colReasonCode),
		Reason:           c.message(colReason),
		BankCreditTime:   c.time(colBankCreditTime),
		ReplacesPayoutID: c.identifier(colReplacesPayoutID),
	}
	if r.payout.ReplacesPayoutID != "" && r.payout.ReplacesPayoutID == r.payout.PayoutID {
		c.fail(colReplacesPayoutID, r.payout.ReplacesPayoutID, "a payout cannot replace itself")
	}
}

// bankRow reads the split record as a line of an account statement into r.bank. The owner of the statement is a business;
// those who pay it may be people: of their names and accounts only enough is kept to recognise them.
func (r *Reader) bankRow(line int) {
	c := &r.cells
	r.bank = recon.BankRow{
		Line:         line,
		Bank:         cmp.Or(c.identifier(colAcquirer), r.meta.Acquirer),
		Account:      maskAccount(c.identifier(colAccount)),
		BookDate:     c.date(colBookDate, recon.Date{}),
		BookTime:     c.time(colBookTime),
		Amount:       c.signedAmount(colAmount),
		Currency:     c.currency(),
		Counterparty: maskName(c.message(colCounterparty)),
		Memo:         c.message(colMemo),
		BankRef:      c.identifier(colBankRef),
	}
	if s := c.value(colBalance); s != "" {
		unsigned, negative := strings.CutPrefix(s, "-")
		fen, ok := parseFen(unsigned)
		if !ok {
			c.fail(colBalance, s, amountRule(unsigned))
		}
		if negative {
			fen = -fen
		}
		r.bank.Balance = decimal.NewNullDecimal(yuan(fen))
	}
}
