package statement

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// A good row of each kind, all columns filled.
var (
	goodPOS = [][2]string{
		{"order_id", "C01"}, {"acquirer", "lakala"}, {"merchant_id", "M1"}, {"channel", "WECHAT"}, {"amount", "100.00"},
		{"status", "SUCCESS"}, {"txn_time", "2026-11-02 12:01:00"}, {"store_id", "S1"}, {"terminal_id", "T1"},
		{"operator_id", "O1"}, {"scan_mode", "B2C"}, {"type", "REFUND"}, {"refund_id", "R1"}, {"original_order_id", "C00"},
		{"currency", "CNY"}, {"channel_txn_id", "4200"}, {"ref_no", "000000500001"}, {"trace_no", "000001"},
		{"batch_no", "000002"}, {"response_code", "00"}, {"response_message", "OK"}, {"settle_cycle", "T+1"},
		{"callback_time", "2026-11-02 12:01:01"},
	}
	goodSettlement = [][2]string{
		{"order_id", "C01"}, {"merchant_id", "M1"}, {"amount", "100.00"}, {"settle_date", "2026-11-03"},
		{"status", "SETTLED"}, {"acquirer", "lakala"}, {"fee", "0.38"}, {"net_amount", "99.62"}, {"currency", "CNY"},
		{"type", "SALE"}, {"refund_id", "R1"}, {"original_order_id", "C00"}, {"txn_time", "2026-11-02 12:01:00"},
		{"terminal_id", "T1"}, {"channel", "WECHAT"}, {"channel_txn_id", "4200"}, {"ref_no", "000000500001"},
		{"trace_no", "000001"}, {"batch_no", "000002"}, {"payout_id", "PA1"}, {"reason_code", "R1301"}, {"reason", "风险"},
	}
	goodPayout = [][2]string{
		{"payout_id", "PA1"}, {"merchant_id", "M1"}, {"payout_date", "2026-11-03"}, {"amount", "99.62"},
		{"status", "PAID"}, {"acquirer", "lakala"}, {"currency", "CNY"}, {"reason_code", "E1"}, {"reason", "户名不符"},
		{"bank_credit_time", "2026-11-03T10:00:00+08:00"}, {"replaces_payout_id", "PA0"},
	}
)

// file writes one row with one cell replaced, under metadata.
func file(meta string, row [][2]string, column, value string) string {
	var names, values []string
	for _, cell := range row {
		if cell[0] == column {
			cell[1] = value
		}
		names = append(names, cell[0])
		values = append(values, `"`+strings.ReplaceAll(cell[1], `"`, `""`)+`"`)
	}
	return meta + strings.Join(names, ",") + "\n" + strings.Join(values, ",") + "\n"
}

func TestGoodRows(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row  [][2]string
		want map[string]any
	}{
		{goodPOS, map[string]any{
			"Line": 2, "OrderID": "C01", "Acquirer": "lakala", "MerchantID": "M1", "Channel": "WECHAT", "Type": recon.TypeRefund,
			"RefundID": "R1", "OriginalOrderID": "C00", "Amount": "100.00", "Currency": "CNY", "Status": recon.POSSuccess,
			"TxnTime": "2026-11-02T12:01:00+08:00", "StoreID": "S1", "TerminalID": "T1", "OperatorID": "O1", "ScanMode": "B2C",
			"ChannelTxnID": "4200", "RefNo": "000000500001", "TraceNo": "000001", "BatchNo": "000002", "ResponseCode": "00",
			"ResponseMessage": "OK", "SettleCycle": "T+1", "CallbackTime": "2026-11-02T12:01:01+08:00",
		}},
		{goodSettlement, map[string]any{
			"Line": 2, "Acquirer": "lakala", "OrderID": "C01", "MerchantID": "M1", "TerminalID": "T1", "Channel": "WECHAT",
			"Type": recon.TypeSale, "RefundID": "R1", "OriginalOrderID": "C00", "Amount": "100.00", "Fee": "0.38",
			"NetAmount": "99.62", "Currency": "CNY", "TxnTime": "2026-11-02T12:01:00+08:00", "SettleDate": "2026-11-03",
			"Status": recon.SettleSettled, "ChannelTxnID": "4200", "RefNo": "000000500001", "TraceNo": "000001",
			"BatchNo": "000002", "PayoutID": "PA1", "ReasonCode": "R1301", "Reason": "风险",
		}},
		{goodPayout, map[string]any{
			"Line": 2, "Acquirer": "lakala", "PayoutID": "PA1", "MerchantID": "M1", "PayoutDate": "2026-11-03",
			"Amount": "99.62", "Currency": "CNY", "Status": recon.PayoutPaid, "ReasonCode": "E1", "Reason": "户名不符",
			"BankCreditTime": "2026-11-03T10:00:00+08:00", "ReplacesPayoutID": "PA0",
		}},
	} {
		res := mustRead(t, file("", tt.row, "", ""))
		if len(res.Records) != 1 || res.Seen.Rejected > 0 {
			t.Fatalf("rejects %q", res.rejects())
		}
		if diff := cmp.Diff(tt.want, only(res.Records[0])); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// only returns the fields of what a record holds.
func only(rec Record) map[string]any {
	switch {
	case rec.POS != nil:
		return fields(*rec.POS)
	case rec.Settlement != nil:
		return fields(*rec.Settlement)
	case rec.Payout != nil:
		return fields(*rec.Payout)
	}
	return fields(*rec.Reject)
}

// TestValues replaces one cell of a good row: what is read of it, or the rule it breaks.
func TestValues(t *testing.T) {
	t.Parallel()
	const rejected = "rejected: "
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		row           [][2]string
		column, value string
		field         string // of the row
		want          any    // its value, or rejected + rule; nil for empty
		why           string
	}{
		// required
		{goodPOS, "order_id", "", "OrderID", rejected + ruleRequired, "required"},
		{goodPOS, "order_id", " \t\u3000\u00a0", "OrderID", rejected + ruleRequired, "blanks are nothing"},
		{goodPOS, "acquirer", "", "Acquirer", rejected + ruleRequired, "required of a POS log"},
		{goodPOS, "merchant_id", "", "MerchantID", rejected + ruleRequired, "required"},
		{goodPOS, "channel", "", "Channel", rejected + ruleRequired, "required of a POS log"},
		{goodPOS, "amount", "", "Amount", rejected + ruleRequired, "required"},
		{goodPOS, "status", "", "Status", rejected + ruleRequired, "required: no default"},
		{goodPOS, "txn_time", "", "TxnTime", rejected + ruleRequired, "required: never now"},
		{goodSettlement, "order_id", "", "OrderID", rejected + ruleRequired, "required"},
		{goodSettlement, "merchant_id", "", "MerchantID", rejected + ruleRequired, "required"},
		{goodSettlement, "settle_date", "", "SettleDate", rejected + ruleRequired, "required, and the file gives none"},
		{goodSettlement, "status", "", "Status", rejected + ruleRequired, "required"},
		{goodSettlement, "acquirer", "", "Acquirer", nil, "the folder may say it"},
		{goodSettlement, "channel", "", "Channel", nil, "optional in a settlement file"},
		{goodSettlement, "txn_time", "", "TxnTime", nil, "optional in a settlement file"},
		{goodPayout, "payout_id", "", "PayoutID", rejected + ruleRequired, "required"},
		{goodPayout, "merchant_id", "", "MerchantID", rejected + ruleRequired, "required"},
		{goodPayout, "payout_date", "", "PayoutDate", rejected + ruleRequired, "required, and the file gives none"},
		{goodPayout, "amount", "", "Amount", rejected + ruleRequired, "required"},
		{goodPayout, "status", "", "Status", rejected + ruleRequired, "required"},

		// identifiers
		{goodPOS, "order_id", "\t\u3000C01 \u00a0\r\n", "OrderID", "C01", "blanks around it go"},
		{goodPOS, "order_id", "C 01", "OrderID", "C 01", "a blank inside stays"},
		{goodPOS, "order_id", "00000001", "OrderID", "00000001", "leading zeros stay"},
		{goodPOS, "order_id", "4111111111111111", "OrderID", "4111111111111111", "an order id is never masked"},
		{goodPOS, "order_id", long(128), "OrderID", long(128), "the longest"},
		{goodPOS, "order_id", long(129), "OrderID", rejected + ruleIdentifierTooLong, "longer"},
		{goodPOS, "merchant_id", "M\t1", "MerchantID", rejected + ruleControl, "a tab inside an identifier"},
		{goodPOS, "terminal_id", "T\n1", "TerminalID", rejected + ruleControl, "a line break inside an identifier"},
		{goodPOS, "terminal_id", "T\x7f1", "TerminalID", rejected + ruleControl, "DEL"},
		{goodPOS, "terminal_id", "T\u00851", "TerminalID", rejected + ruleControl, "a control character beyond ASCII"},
		{goodPOS, "terminal_id", "T\u00b71", "TerminalID", "T·1", "no control character, though it begins with the same byte"},
		{goodPOS, "order_id", "4.20000E+27", "OrderID", rejected + ruleSpreadsheetID, "digits lost to a spreadsheet"},
		{goodPOS, "channel_txn_id", "4E+27", "ChannelTxnID", rejected + ruleSpreadsheetID, "in any identifier"},
		{goodPOS, "order_id", "4E27", "OrderID", "4E27", "could be an id"},
		{goodPOS, "order_id", "4E+27A", "OrderID", "4E+27A", "no number"},

		// channel, type, status, currency, cycle
		{goodPOS, "channel", "wechat", "Channel", "WECHAT", "in upper case"},
		{goodSettlement, "channel", " UnionPay ", "Channel", "UNIONPAY", "in upper case, trimmed"},
		{goodPOS, "type", "", "Type", recon.TypeSale, "a sale unless it says otherwise"},
		{goodPOS, "type", "void", "Type", recon.TypeVoid, "any case"},
		{goodPOS, "type", "退款", "Type", rejected + "not one of SALE, REFUND, VOID", "no other language"},
		{goodSettlement, "type", "REFUND", "Type", recon.TypeRefund, "a refund"},
		{goodSettlement, "type", "VOID", "Type", rejected + "not one of SALE, REFUND", "a settlement file has no voids"},
		{goodPOS, "status", " closed", "Status", recon.POSClosed, "any case, trimmed"},
		{goodPOS, "status", "SETTLED", "Status", rejected + "not one of SUCCESS, FAILED, CLOSED, REVERSED, PENDING, UNKNOWN", "another kind's status"},
		{goodSettlement, "status", "SUCCESS", "Status", rejected + "not one of PENDING, HELD, REJECTED, RETURNED, SETTLED", "another kind's status"},
		{goodPayout, "status", "processing", "Status", recon.PayoutProcessing, "any case"},
		{goodPayout, "status", "PAYED", "Status", rejected + "not one of PROCESSING, HELD, FAILED, PAID, RETURNED", "a typing error"},
		{goodPOS, "currency", "", "Currency", "CNY", "yuan unless it says otherwise"},
		{goodPOS, "currency", "usd", "Currency", "USD", "any case"},
		{goodPOS, "currency", "YUAN", "Currency", rejected + ruleCurrency, "four letters"},
		{goodPOS, "currency", "156", "Currency", rejected + ruleCurrency, "a number"},
		{goodPOS, "currency", "元", "Currency", rejected + ruleCurrency, "three bytes, but no letters A to Z"},
		{goodPOS, "settle_cycle", "", "SettleCycle", nil, "none: the acquirer's"},
		{goodPOS, "settle_cycle", "d+0", "SettleCycle", "D+0", "any case"},
		{goodPOS, "settle_cycle", "T1", "SettleCycle", rejected + ruleCycle, "no plus"},
		{goodPOS, "settle_cycle", "T+-1", "SettleCycle", rejected + ruleCycle, "negative"},
		{goodPOS, "settle_cycle", "D+367", "SettleCycle", rejected + ruleCycle, "beyond any contract"},

		// texts
		{goodPOS, "response_message", "a\r\n\tb", "ResponseMessage", "a\r\n\tb", "a text may have lines"},
		{goodPOS, "response_message", "a\x1bb", "ResponseMessage", rejected + ruleControl, "but no other control characters"},
		{goodPOS, "response_message", long(1024), "ResponseMessage", long(1024), "the longest"},
		{goodPOS, "response_message", long(1025), "ResponseMessage", rejected + ruleTextTooLong, "longer"},
		{goodSettlement, "reason", "卡号6222020200112230", "Reason", "卡号622202******2230", "personal data in free text is masked"},

		// damage
		{goodPOS, "response_message", "a\x00b", "ResponseMessage", rejected + "holds a NUL byte; the file is damaged", "NUL"},
		{goodPOS, "response_message", "\xb3\xc9\xb9\xa6", "ResponseMessage", "成功", "GBK"},
		{goodPOS, "response_message", "交易成功\xff", "ResponseMessage", rejected + "is not UTF-8; the file may be GBK, or damaged", "UTF-8 with a damaged byte"},
		{goodPOS, "response_message", "成\ufffd", "ResponseMessage", rejected + "holds a character that an earlier conversion could not read (U+FFFD)", "a bad conversion"},

		// amounts
		{goodPOS, "amount", "0", "Amount", "0.00", "zero is an amount"},
		{goodPOS, "amount", "0.5", "Amount", "0.50", "one decimal"},
		{goodPOS, "amount", " 12.34 ", "Amount", "12.34", "blanks around"},
		{goodPOS, "amount", "007.00", "Amount", "7.00", "leading zeros"},
		{goodPOS, "amount", "9999999999999999.99", "Amount", "9999999999999999.99", "16 digits: exact"},
		{goodPOS, "amount", "12345678901234567", "Amount", rejected + ruleAmountTooLarge, "17 digits"},
		{goodPOS, "amount", "12.345", "Amount", rejected + ruleAmountDecimals, "three decimals: never rounded"},
		{goodPOS, "amount", "12.340", "Amount", rejected + ruleAmountDecimals, "a third decimal, though zero"},
		{goodPOS, "amount", "1,234.50", "Amount", rejected + ruleAmountThousands, "thousands separator"},
		{goodPOS, "amount", "1，234", "Amount", rejected + ruleAmountThousands, "a full-width one"},
		{goodPOS, "amount", "1e3", "Amount", rejected + ruleAmountForm, "an exponent"},
		{goodPOS, "amount", "NaN", "Amount", rejected + ruleAmountForm, "NaN is a decimal to PostgreSQL"},
		{goodPOS, "amount", "Infinity", "Amount", rejected + ruleAmountForm, "so is Infinity"},
		{goodPOS, "amount", "-5", "Amount", rejected + ruleAmountSign, "the type gives the direction"},
		{goodPOS, "amount", "+5", "Amount", rejected + ruleAmountSign, "plus too"},
		{goodPOS, "amount", "5.", "Amount", rejected + ruleAmountForm, "no digit behind the point"},
		{goodPOS, "amount", ".5", "Amount", rejected + ruleAmountForm, "no digit before the point"},
		{goodPOS, "amount", "１２", "Amount", rejected + ruleAmountForm, "full-width digits"},
		{goodPOS, "amount", "¥5", "Amount", rejected + ruleAmountForm, "a currency sign"},
		{goodPOS, "amount", "1 000", "Amount", rejected + ruleAmountForm, "a blank inside"},
		{goodSettlement, "fee", "", "Fee", nil, "no fee is not zero"},
		{goodSettlement, "fee", "0.00", "Fee", "0", "a fee of zero is one"},
		{goodSettlement, "fee", "-0.38", "Fee", rejected + ruleAmountSign, "unsigned"},
		{goodSettlement, "fee", "0.375", "Fee", rejected + ruleAmountDecimals, "fen are whole"},
		{goodSettlement, "net_amount", "", "NetAmount", nil, "absent"},
		{goodSettlement, "net_amount", "-99.62", "NetAmount", rejected + ruleAmountSign, "unsigned"},
		{goodPayout, "amount", "-20.5", "Amount", "-20.50", "a payout may be negative"},
		{goodPayout, "amount", "--20", "Amount", rejected + ruleAmountPayoutSign, "but not twice"},
		{goodPayout, "amount", "+20", "Amount", rejected + ruleAmountPayoutSign, "and has no plus"},
		{goodPayout, "amount", "-", "Amount", rejected + ruleAmountForm, "a placeholder is no amount"},

		// times
		{goodPOS, "txn_time", "2026-11-02T12:01:00", "TxnTime", "2026-11-02T12:01:00+08:00", "a T between, local"},
		{goodPOS, "txn_time", "2026-11-02T04:01:00Z", "TxnTime", "2026-11-02T12:01:00+08:00", "UTC"},
		{goodPOS, "txn_time", "2026-11-02 12:01:00-05:30", "TxnTime", "2026-11-03T01:31:00+08:00", "another offset"},
		{goodPOS, "txn_time", "2026-11-02 12:01:00.5", "TxnTime", "2026-11-02T12:01:00.5+08:00", "a fraction"},
		{goodPOS, "txn_time", "2026-11-02T12:01:00.123456789+08:00", "TxnTime", "2026-11-02T12:01:00.123456+08:00", "microseconds are kept"},
		{goodPOS, "txn_time", "2028-02-29 00:00:00", "TxnTime", "2028-02-29T00:00:00+08:00", "a leap day"},
		{goodPOS, "txn_time", "2026-02-29 00:00:00", "TxnTime", rejected + ruleNoSuchDay, "no leap year"},
		{goodPOS, "txn_time", "2026-13-01 00:00:00", "TxnTime", rejected + ruleNoSuchDay, "no such month"},
		{goodPOS, "txn_time", "2026-11-02 24:00:00", "TxnTime", rejected + ruleNoSuchTime, "the next day's midnight has its own date"},
		{goodPOS, "txn_time", "2026-11-02 12:60:00", "TxnTime", rejected + ruleNoSuchTime, "no such minute"},
		{goodPOS, "txn_time", "2026-11-02 12:01:60", "TxnTime", rejected + ruleNoSuchTime, "leap seconds are not local times"},
		{goodPOS, "txn_time", "2026-11-02", "TxnTime", rejected + ruleTimeForm, "no time of day: never midnight"},
		{goodPOS, "txn_time", "2026-11-02 12:01", "TxnTime", rejected + ruleTimeForm, "no seconds"},
		{goodPOS, "txn_time", "2026/11/02 12:01:00", "TxnTime", rejected + ruleTimeForm, "a spreadsheet's date"},
		{goodPOS, "txn_time", "20261102120100", "TxnTime", rejected + ruleTimeForm, "another form"},
		{goodPOS, "txn_time", "46328.5", "TxnTime", rejected + ruleTimeForm, "an Excel serial"},
		{goodPOS, "txn_time", "0000-00-00 00:00:00", "TxnTime", rejected + ruleYear, "MySQL's nothing"},
		{goodPOS, "txn_time", "1999-12-31 23:59:59", "TxnTime", rejected + ruleYear, "too early"},
		{goodPOS, "txn_time", "2100-01-01 00:00:00", "TxnTime", rejected + ruleYear, "too late"},
		{goodPOS, "txn_time", "2026-11-02 12:01:00.", "TxnTime", rejected + ruleTimeForm, "a point and no digit"},
		{goodPOS, "txn_time", "2026-11-02 12:01:00+0800", "TxnTime", rejected + ruleTimeForm, "not RFC 3339"},
		{goodPOS, "txn_time", "2026-11-02 12:01:00 PM", "TxnTime", rejected + ruleTimeForm, "twelve hours"},
		{goodPOS, "callback_time", "", "CallbackTime", nil, "optional"},
		{goodPOS, "callback_time", "-", "CallbackTime", rejected + ruleTimeForm, "a placeholder is no time"},
		{goodPayout, "bank_credit_time", "soon", "BankCreditTime", rejected + ruleTimeForm, "no time"},

		// dates
		{goodSettlement, "settle_date", "2026-11-03 ", "SettleDate", "2026-11-03", "a blank behind"},
		{goodSettlement, "settle_date", "2026/11/03", "SettleDate", rejected + ruleDateForm, "a spreadsheet's date"},
		{goodSettlement, "settle_date", "20261103", "SettleDate", rejected + ruleDateForm, "another form"},
		{goodSettlement, "settle_date", "2026-11-03 00:00:00", "SettleDate", rejected + ruleDateForm, "a time is no date"},
		{goodSettlement, "settle_date", "2026-04-31", "SettleDate", rejected + ruleNoSuchDay, "no such day"},
		{goodSettlement, "settle_date", "1926-11-03", "SettleDate", rejected + ruleYear, "a typing error"},
		{goodPayout, "payout_date", "2026-00-01", "PayoutDate", rejected + ruleNoSuchDay, "no such month"},
	} {
		if i := slices.IndexFunc(tt.row, func(cell [2]string) bool { return cell[0] == tt.column }); i < 0 {
			t.Fatalf("no column %s", tt.column)
		}
		res := mustRead(t, file("", tt.row, tt.column, tt.value))
		if len(res.Records) != 1 {
			t.Fatalf("%d records", len(res.Records))
		}
		rec := res.Records[0]
		rule, wantReject := strings.CutPrefix(asString(tt.want), rejected)
		switch {
		case wantReject && rec.Reject == nil:
			t.Errorf("%s %q is accepted as %v, want: %s: %s", tt.column, tt.value, only(rec)[tt.field], rule, tt.why)
		case wantReject:
			got := [2]string{rec.Reject.Field, rec.Reject.Rule}
			if diff := cmp.Diff([2]string{tt.column, rule}, got); diff != "" {
				t.Errorf("%s %q: %s (-want +got):\n%s", tt.column, tt.value, tt.why, diff)
			}
		case rec.Reject != nil:
			t.Errorf("%s %q is rejected: %s; want %v: %s", tt.column, tt.value, rec.Reject.Rule, tt.want, tt.why)
		default:
			if diff := cmp.Diff(tt.want, only(rec)[tt.field]); diff != "" {
				t.Errorf("%s %q: %s (-want +got):\n%s", tt.column, tt.value, tt.why, diff)
			}
		}
	}
}

func asString(v any) string {
	s, _ := v.(string)
	return s
}

// TestSkippedTime: where clocks change, one hour of a year does not exist.
func TestSkippedTime(t *testing.T) {
	t.Parallel()
	if _, rule := parseTime("2026-03-08 02:30:00", newYork); rule != ruleNoSuchTime {
		t.Errorf("rule %q, want %q", rule, ruleNoSuchTime)
	}
	if got, rule := parseTime("2026-03-08 03:30:00", newYork); rule != "" || got.Hour() != 3 {
		t.Errorf("%v, %q", got, rule)
	}
}

// TestFileFillsRow: what the file says stands where the row says nothing, and only there.
func TestFileFillsRow(t *testing.T) {
	t.Parallel()
	const meta = "# acquirer: shengpay\n# settle_date: 2026-11-04\n# payout_date: 2026-11-04\n"
	for _, tt := range []struct {
		row           [][2]string
		column, value string
		field, want   string
		otherDates    int
	}{
		{goodPOS, "acquirer", "", "Acquirer", "shengpay", 0},
		{goodPOS, "acquirer", "lakala", "Acquirer", "lakala", 0},
		{goodSettlement, "acquirer", "", "Acquirer", "shengpay", 1},
		{goodSettlement, "settle_date", "", "SettleDate", "2026-11-04", 0},
		{goodSettlement, "settle_date", "2026-11-03", "SettleDate", "2026-11-03", 1},
		{goodPayout, "payout_date", " ", "PayoutDate", "2026-11-04", 0},
		{goodPayout, "payout_date", "2026-11-03", "PayoutDate", "2026-11-03", 1},
	} {
		res := mustRead(t, file(meta, tt.row, tt.column, tt.value))
		if got := only(res.Records[0])[tt.field]; got != tt.want || res.Seen.OtherDates != tt.otherDates {
			t.Errorf("%s %q: %v, want %s; other dates %d, want %d", tt.column, tt.value, got, tt.want, res.Seen.OtherDates, tt.otherDates)
		}
	}
	// Without the column, too.
	res := mustRead(t, "# settle_date: 2026-11-04\norder_id,merchant_id,amount,status\nC01,M1,1.00,SETTLED\n")
	if got := only(res.Records[0])["SettleDate"]; got != "2026-11-04" {
		t.Errorf("settle date %v, want the file's", got)
	}
}

// TestContributions is about what rejected lines add to the totals.
func TestContributions(t *testing.T) {
	t.Parallel()
	const head = "order_id,merchant_id,amount,settle_date,status,type,fee\n"
	for _, tt := range []struct {
		text        string
		amount, fee string // "" for not known
		feeUnread   bool
		why         string
	}{
		{head + ",M1,100.00,2026-11-03,SETTLED,SALE,0.38\n", "100", "0.38", false, "the fault is elsewhere"},
		{head + ",M1,100.00,2026-11-03,SETTLED,refund,0.38\n", "-100", "-0.38", false, "a refund, whatever its case"},
		{head + "C1,M1,100.00,2026-11-03,SETTLED,VOID,0.38\n", "0", "0", false, "a void adds nothing"},
		{head + "C1,M1,x,2026-11-03,SETTLED,VOID,x\n", "0", "", false, "whatever its amount says"},
		{head + "C1,M1,12.345,2026-11-03,SETTLED,,\n", "12.345", "", false, "three decimals are readable; no fee is none"},
		{head + "C1,M1,12.3456789,2026-11-03,SETTLED,,\n", "", "", false, "seven are no amount"},
		{head + "C1,M1,NaN,2026-11-03,SETTLED,,1.00\n", "", "1", false, "NaN is not readable, the fee is"},
		{head + "C1,M1,-5,2026-11-03,SETTLED,,\n", "", "", false, "a sign: whose direction is meant?"},
		{head + `C1,M1,"1,234.50",2026-11-03,SETTLED,,` + "\n", "", "", false, "no plain decimal"},
		{head + "C1,M1,5.00,2026-11-03,SETTLED,?,1.00\n", "", "", true, "an unknown direction"},
		{head + "C1,M1,5.00,2026-11-03,SETTLED,,x\n", "5", "", true, "a fee that cannot be read"},
		{head + "C1,M1,5.00,2026-11-03,SETTLED,\n", "", "", false, "cells are missing: which one is the amount?"},
		{head + "C1,M1,1,234.50,2026-11-03,SETTLED,,\n", "", "", false, "a cell too many"},
		{head + "C1,M1,5.00,2026-11-03,SETTLED,,\"1.00\n", "", "", false, "an open quote"},
		{head + "C\xff,M1,5.00,2026-11-03,SETTLED,,1.00\n", "5", "1", false, "bytes that are not UTF-8 elsewhere in the line"},
		{payoutHead + ",M1,2026-11-03,-99.62,PAID\n", "-99.62", "", false, "a payout's sign counts"},
		{posHead + "C01,lakala,M1,,100.00,SUCCESS,2026-11-02 12:01:00\n", "100", "", false, "a file without types has sales"},
	} {
		res := mustRead(t, tt.text)
		if len(res.Records) != 1 || res.Records[0].Reject == nil {
			t.Fatalf("%s: want one reject, got %s", tt.why, res.describe())
		}
		rej := res.Records[0].Reject
		if got := [2]string{nullString(rej.Amount), nullString(rej.Fee)}; got != [2]string{tt.amount, tt.fee} || rej.FeeUnread != tt.feeUnread {
			t.Errorf("%s: amount and fee %q, want %q; fee unread %v", tt.why, got, [2]string{tt.amount, tt.fee}, rej.FeeUnread)
		}
		if unread := res.Seen.UnreadableAmounts == 1; unread != (tt.amount == "") || res.Seen.Amount.String() != orZero(tt.amount) {
			t.Errorf("%s: seen %v", tt.why, fields(res.Seen))
		}
	}
}

func nullString(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.String()
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

func TestSeen(t *testing.T) {
	t.Parallel()
	const head = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,type\n"
	row := func(amount, status, typ string) string {
		return "C01,lakala,M1,WECHAT," + amount + "," + status + ",2026-11-02 12:01:00," + typ + "\n"
	}
	res := mustRead(t, head+row("100.00", "SUCCESS", "")+row("30.00", "FAILED", "REFUND")+row("100.00", "SUCCESS", "VOID")+
		row("0.01", "UNKNOWN", "SALE")+row("12.345", "SUCCESS", "SALE")+row("x", "SUCCESS", "SALE"))
	want := Seen{Count: 6, Rejected: 2, UnreadableAmounts: 1, Amount: decimal.RequireFromString("82.355")}
	if diff := cmp.Diff(want, res.Seen); diff != "" {
		t.Errorf("all statuses count, SALE minus REFUND, VOID adds nothing (-want +got):\n%s", diff)
	}

	// Sums beyond an int64 of fen stay exact.
	const largest = "9999999999999999.99"
	res = mustRead(t, head+strings.Repeat(row(largest, "SUCCESS", ""), 1000)+strings.Repeat(row("0.01", "SUCCESS", ""), 3))
	if want := decimal.RequireFromString("9999999999999999990.03"); !res.Seen.Amount.Equal(want) {
		t.Errorf("sum %s, want %s", res.Seen.Amount, want)
	}
}

// TestRejectIsFitToKeep: no personal data, and text that PostgreSQL takes.
func TestRejectIsFitToKeep(t *testing.T) {
	t.Parallel()
	res := mustRead(t, settleHead+
		"C01,卡4111111111111111 手机13812345678,x,2026-11-03,SETTLED\n"+
		"C01,M1,4111111111111111.123,2026-11-03,SETTLED\n"+
		"C\x00\xff1,M1,1.00,2026-11-03,SETTLED\n")
	want := []Reject{
		{Line: 2, Field: "amount", Value: "x", Rule: ruleAmountForm, Raw: "C01,卡411111******1111 手机138****5678,x,2026-11-03,SETTLED"},
		{Line: 3, Field: "amount", Value: "411111******1111.123", Rule: ruleAmountDecimals, Raw: "C01,M1,411111******1111.123,2026-11-03,SETTLED"},
		{Line: 4, Field: "order_id", Value: `C\x00\xff1`, Rule: "holds a NUL byte; the file is damaged", Raw: `C\x00\xff1,M1,1.00,2026-11-03,SETTLED`},
	}
	for i, rec := range res.Records {
		rec.Reject.Amount = decimal.NullDecimal{}
		if diff := cmp.Diff(want[i], *rec.Reject); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}

	// A number that the cut would split is masked whole, wherever it stands.
	for at := maxRaw - 25; at <= maxRaw; at++ {
		res := mustRead(t, settleHead+strings.Repeat("x", at)+"4111111111111111x\n")
		if raw := res.Records[0].Reject.Raw; strings.Contains(raw, "1111111") || len(raw) > maxRaw {
			t.Errorf("card number from byte %d: %q", at, raw[at:])
		}
	}
	// A long value is cut.
	res = mustRead(t, settleHead+"C01,"+strings.Repeat("字", 100)+",1,2026-11-03,SETTLED\n")
	if value := res.Records[0].Reject.Value; value != strings.Repeat("字", 66) {
		t.Errorf("value %q of %d bytes", value, len(value))
	}
}
