package ingest

import (
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// table is where rows are copied to. The columns are in the order in which the functions below append them.
type table struct {
	name    string
	monthly bool // partitioned by month of business date
	columns []string
}

var (
	posTable = &table{"pos_row", true, []string{
		"order_key", "business_date", "file_id", "line", "txn_time", "amount", "status", "type", "acquirer", "merchant_id",
		"channel", "order_id", "currency", "refund_id", "original_order_id", "store_id", "terminal_id", "operator_id",
		"scan_mode", "channel_txn_id", "ref_no", "trace_no", "batch_no", "response_code", "response_message",
		"settle_cycle", "callback_time",
	}}
	settlementTable = &table{"settlement_row", true, []string{
		"order_key", "business_date", "file_id", "line", "settle_date", "amount", "fee", "net_amount", "txn_time", "status",
		"type", "acquirer", "merchant_id", "order_id", "currency", "refund_id", "original_order_id", "terminal_id",
		"channel", "channel_txn_id", "ref_no", "trace_no", "batch_no", "payout_id", "reason_code", "reason",
	}}
	payoutTable = &table{"payout_row", false, []string{
		"acquirer", "payout_id", "file_id", "line", "merchant_id", "payout_date", "version_time", "amount", "currency",
		"status", "reason_code", "reason", "bank_credit_time", "replaces_payout_id",
	}}
	bankTable = &table{"bank_row", false, []string{
		"file_id", "line", "bank", "account", "book_date", "book_time", "amount", "currency", "counterparty", "memo", "bank_ref", "balance",
	}}
	rejectTable = &table{"rejected_line", false, []string{"file_id", "line", "field", "value", "rule", "raw"}}
)

// tableOf returns where the rows of a file go.
func tableOf(kind recon.Kind) *table {
	switch kind {
	case recon.KindPOSLog:
		return posTable
	case recon.KindSettlement:
		return settlementTable
	case recon.KindBank:
		return bankTable
	}
	return payoutTable
}

// copySQL is the statement that takes rows into the table, or a partition of it, as an encoder writes them.
func (t *table) copySQL(into string) string {
	quoted := make([]string, len(t.columns))
	for i, column := range t.columns {
		quoted[i] = pgx.Identifier{column}.Sanitize()
	}
	return "COPY " + pgx.Identifier{into}.Sanitize() + " (" + strings.Join(quoted, ", ") + ") FROM STDIN (FORMAT binary)"
}

// businessDate returns the business date of an instant at an acquirer.
func (l *loader) businessDate(acquirer string, t time.Time) recon.Date {
	return calendar.BusinessDate(t, l.opt.Acquirers.Get(acquirer).CutOff, l.opt.Zone)
}

// prepare completes a record from what the file and the configuration say, and returns the date by which its row is kept:
// the business date, for payouts and bank lines the day of the money. The entry learns of it what the register tells of
// files. It is not ok where no acquirer is known for the record. Acquirers' ids are lower case.
func (l *loader) prepare(entry *register, rec statement.Record) (day recon.Date, ok bool) {
	switch {
	case rec.POS != nil:
		r := rec.POS
		r.Acquirer = strings.ToLower(r.Acquirer)
		r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
		entry.seeOwnDate(recon.DateOf(r.TxnTime, l.opt.Zone))
		entry.seeAcquirer(r.Acquirer)
		entry.hasCodes = entry.hasCodes || r.ResponseCode != ""
		entry.hasCallbacks = entry.hasCallbacks || !r.CallbackTime.IsZero()
		entry.hasChannelTxns = entry.hasChannelTxns || r.ChannelTxnID != ""
		day = l.businessDate(r.Acquirer, r.TxnTime)
		entry.habits.see(r, day)
		return day, true
	case rec.Settlement != nil:
		r := rec.Settlement
		if !entry.ownAcquirer(&r.Acquirer) {
			return day, false
		}
		r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
		entry.dated(r.SettleDate)
		if r.Status == recon.SettleHeld && entry.version != "" {
			entry.lastHeld = later(entry.lastHeld, r.SettleDate)
		} else {
			entry.seeOwnDate(r.SettleDate)
		}
		entry.hasChannelTxns = entry.hasChannelTxns || r.ChannelTxnID != ""
		entry.hasPayouts = entry.hasPayouts || r.PayoutID != ""
		if r.TxnTime.IsZero() {
			return r.SettleDate, true
		}
		return l.businessDate(r.Acquirer, r.TxnTime), true
	case rec.Bank != nil:
		rec.Bank.Bank = strings.ToLower(rec.Bank.Bank)
		entry.seeAcquirer(rec.Bank.Bank)
		entry.seeOwnDate(rec.Bank.BookDate)
		return rec.Bank.BookDate, true
	default:
		r := rec.Payout
		if !entry.ownAcquirer(&r.Acquirer) {
			return day, false
		}
		r.MerchantID = l.opt.merchant(r.Acquirer, r.MerchantID)
		entry.seeOwnDate(r.PayoutDate)
		return r.PayoutDate, true
	}
}

// encode appends the row of a prepared record.
func (l *loader) encode(e *encoder, entry *register, day recon.Date, rec statement.Record) {
	switch {
	case rec.POS != nil:
		e.pos(entry.fileID, day, rec.POS)
	case rec.Settlement != nil:
		e.settlement(entry.fileID, day, rec.Settlement)
	case rec.Bank != nil:
		e.bank(entry.fileID, rec.Bank)
	default:
		version := entry.statusTime
		if version.IsZero() { // a version without a status time has the payout date's local midnight
			version = rec.Payout.PayoutDate.At(0, l.opt.Zone)
		}
		e.payout(entry.fileID, version, rec.Payout)
	}
}

func (e *encoder) pos(fileID int32, day recon.Date, r *recon.POSRow) {
	e.row(len(posTable.columns))
	e.uuid(r.Key())
	e.date(day)
	e.integer(fileID)
	e.integer(int32(r.Line))
	e.instant(r.TxnTime)
	e.amount(r.Amount)
	e.text(string(r.Status))
	e.text(string(r.Type))
	e.text(r.Acquirer)
	e.text(r.MerchantID)
	e.text(r.Channel)
	e.text(r.OrderID)
	e.text(r.Currency)
	e.optional(r.RefundID)
	e.optional(r.OriginalOrderID)
	e.optional(r.StoreID)
	e.optional(r.TerminalID)
	e.optional(r.OperatorID)
	e.optional(r.ScanMode)
	e.optional(r.ChannelTxnID)
	e.optional(r.RefNo)
	e.optional(r.TraceNo)
	e.optional(r.BatchNo)
	e.optional(r.ResponseCode)
	e.optional(r.ResponseMessage)
	e.optional(r.SettleCycle.String())
	e.instant(r.CallbackTime)
}

func (e *encoder) settlement(fileID int32, day recon.Date, r *recon.SettlementRow) {
	e.row(len(settlementTable.columns))
	e.uuid(r.Key())
	e.date(day)
	e.integer(fileID)
	e.integer(int32(r.Line))
	e.date(r.SettleDate)
	e.amount(r.Amount)
	e.optionalAmount(r.Fee)
	e.optionalAmount(r.NetAmount)
	e.instant(r.TxnTime)
	e.text(string(r.Status))
	e.text(string(r.Type))
	e.text(r.Acquirer)
	e.text(r.MerchantID)
	e.text(r.OrderID)
	e.text(r.Currency)
	e.optional(r.RefundID)
	e.optional(r.OriginalOrderID)
	e.optional(r.TerminalID)
	e.optional(r.Channel)
	e.optional(r.ChannelTxnID)
	e.optional(r.RefNo)
	e.optional(r.TraceNo)
	e.optional(r.BatchNo)
	e.optional(r.PayoutID)
	e.optional(r.ReasonCode)
	e.optional(r.Reason)
}

func (e *encoder) payout(fileID int32, version time.Time, r *recon.PayoutRow) {
	e.row(len(payoutTable.columns))
	e.text(r.Acquirer)
	e.text(r.PayoutID)
	e.integer(fileID)
	e.integer(int32(r.Line))
	e.text(r.MerchantID)
	e.date(r.PayoutDate)
	e.instant(version)
	e.amount(r.Amount)
	e.text(r.Currency)
	e.text(string(r.Status))
	e.optional(r.ReasonCode)
	e.optional(r.Reason)
	e.instant(r.BankCreditTime)
	e.optional(r.ReplacesPayoutID)
}

func (e *encoder) bank(fileID int32, r *recon.BankRow) {
	e.row(len(bankTable.columns))
	e.integer(fileID)
	e.integer(int32(r.Line))
	e.text(r.Bank)
	e.text(r.Account)
	e.date(r.BookDate)
	e.instant(r.BookTime)
	e.amount(r.Amount)
	e.text(r.Currency)
	e.optional(r.Counterparty)
	e.optional(r.Memo)
	e.optional(r.BankRef)
	e.optionalAmount(r.Balance)
}

func (e *encoder) reject(fileID int32, r *statement.Reject) {
	e.row(len(rejectTable.columns))
	e.integer(fileID)
	e.bigint(int64(r.Line))
	e.text(r.Field)
	e.text(r.Value)
	e.text(r.Rule)
	e.text(r.Raw)
}
