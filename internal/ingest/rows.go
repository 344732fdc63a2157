package ingest

import (
	"time"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// Columns of the fact tables in the order in which the functions below fill them.
var (
	posColumns = []string{
		"order_key", "business_date", "file_id", "line", "txn_time", "amount", "status", "type", "acquirer", "merchant_id",
		"channel", "order_id", "currency", "refund_id", "original_order_id", "store_id", "terminal_id", "operator_id",
		"scan_mode", "channel_txn_id", "ref_no", "trace_no", "batch_no", "response_code", "response_message",
		"settle_cycle", "callback_time",
	}
	settlementColumns = []string{
		"order_key", "business_date", "file_id", "line", "settle_date", "amount", "fee", "net_amount", "txn_time", "status",
		"type", "acquirer", "merchant_id", "order_id", "currency", "refund_id", "original_order_id", "terminal_id",
		"channel", "channel_txn_id", "ref_no", "trace_no", "batch_no", "payout_id", "reason_code", "reason",
	}
	payoutColumns = []string{
		"acquirer", "payout_id", "file_id", "line", "merchant_id", "payout_date", "version_time", "amount", "currency",
		"status", "reason_code", "reason", "bank_credit_time", "replaces_payout_id",
	}
	bankColumns = []string{
		"file_id", "line", "bank", "account", "book_date", "book_time", "amount", "currency", "counterparty", "memo", "bank_ref", "balance",
	}
	rejectColumns = []string{"file_id", "line", "field", "value", "rule", "raw"}
)

// businessDate returns the business date of an instant at an acquirer.
func (l *loader) businessDate(acquirer string, t time.Time) recon.Date {
	return calendar.BusinessDate(t, l.opt.Acquirers.Get(acquirer).CutOff, l.opt.Zone)
}

// posValues returns the row's values for posColumns, and its business date.
func (l *loader) posValues(fileID int32, r *recon.POSRow) ([]any, recon.Date) {
	r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
	day := l.businessDate(r.Acquirer, r.TxnTime)
	return []any{
		[16]byte(r.Key()), day.UTC(), fileID, int32(r.Line), r.TxnTime, r.Amount, string(r.Status), string(r.Type), r.Acquirer,
		r.MerchantID, r.Channel, r.OrderID, r.Currency, text(r.RefundID), text(r.OriginalOrderID), text(r.StoreID),
		text(r.TerminalID), text(r.OperatorID), text(r.ScanMode), text(r.ChannelTxnID), text(r.RefNo), text(r.TraceNo),
		text(r.BatchNo), text(r.ResponseCode), text(r.ResponseMessage), text(r.SettleCycle.String()), instant(r.CallbackTime),
	}, day
}

// settlementValues returns the row's values for settlementColumns, and its business date: that of its transaction
// time, else its settle date.
func (l *loader) settlementValues(fileID int32, r *recon.SettlementRow) ([]any, recon.Date) {
	r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
	day := r.SettleDate
	if !r.TxnTime.IsZero() {
		day = l.businessDate(r.Acquirer, r.TxnTime)
	}
	return []any{
		[16]byte(r.Key()), day.UTC(), fileID, int32(r.Line), r.SettleDate.UTC(), r.Amount, number(r.Fee), number(r.NetAmount),
		instant(r.TxnTime), string(r.Status), string(r.Type), r.Acquirer, r.MerchantID, r.OrderID, r.Currency,
		text(r.RefundID), text(r.OriginalOrderID), text(r.TerminalID), text(r.Channel), text(r.ChannelTxnID), text(r.RefNo),
		text(r.TraceNo), text(r.BatchNo), text(r.PayoutID), text(r.ReasonCode), text(r.Reason),
	}, day
}

// payoutValues returns the row's values for payoutColumns. A version without a status time has the payout date's local
// midnight.
func (l *loader) payoutValues(fileID int32, statusTime time.Time, r *recon.PayoutRow) ([]any, recon.Date) {
	r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
	version := statusTime
	if version.IsZero() {
		version = r.PayoutDate.At(0, l.opt.Zone)
	}
	return []any{
		r.Acquirer, r.PayoutID, fileID, int32(r.Line), r.MerchantID, r.PayoutDate.UTC(), version, r.Amount, r.Currency,
		string(r.Status), text(r.ReasonCode), text(r.Reason), instant(r.BankCreditTime), text(r.ReplacesPayoutID),
	}, r.PayoutDate
}

// bankValues returns the row's values for bankColumns.
func bankValues(fileID int32, r *recon.BankRow) ([]any, recon.Date) {
	return []any{
		fileID, int32(r.Line), r.Bank, r.Account, r.BookDate.UTC(), instant(r.BookTime), r.Amount, r.Currency,
		text(r.Counterparty), text(r.Memo), text(r.BankRef), number(r.Balance),
	}, r.BookDate
}

func rejectValues(fileID int32, r *statement.Reject) []any {
	return []any{fileID, int64(r.Line), r.Field, r.Value, r.Rule, r.Raw}
}

// text returns s, or NULL where it is empty: an absent value is no value.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func number(d decimal.NullDecimal) any {
	if !d.Valid {
		return nil
	}
	return d.Decimal
}
