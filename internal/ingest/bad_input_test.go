package ingest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/ingest"
)

const (
	posHeader        = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,type\n"
	settlementHeader = "order_id,merchant_id,amount,settle_date,status,type,fee\n"
	payoutHeader     = "payout_id,merchant_id,payout_date,amount,status,replaces_payout_id\n"
)

func posLine(id, amount string) string {
	return id + ",lakala,M1,WECHAT," + amount + ",SUCCESS,2026-11-02 12:00:00,SALE\n"
}

// A file that cannot be read as a whole is refused with the reason, loads nothing and is in nobody's way.
func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	const unknown = "line 1: no header of a POS log, settlement or payout file: the columns must be named in English, as in order_id, merchant_id, amount, status" +
		"; no format that posrecon knows fits either: 'posrecon ingest --explain FILE' drafts a profile for it"
	cases := map[string]struct{ text, reason string }{
		"a program": {"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00",
			"line 1: binary data, not CSV: the line holds a NUL byte"},
		"a picture":               {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "line 1: this is a picture, not a table"},
		"a workbook":              {"PK\x03\x04\x14\x00\x06\x00", "archive a workbook.csv: this zip is damaged or cut short: zip: not a valid zip file"},
		"an empty zip":            {"PK\x05\x06" + strings.Repeat("\x00", 18), "archive an empty zip.csv: it holds nothing"},
		"JSON of nobody":          {`{"a": [1, 2]}`, "line 1: a JSON document that no format reads; a profile with file: {layout: json} can"},
		"JSON cut short":          {`[{"a": `, "line 1: a JSON document that no format reads; a profile with file: {layout: json} can"},
		"XML of nobody":           {"<?xml version=\"1.0\"?>\n<html></html>", "line 1: an XML document that no format reads"},
		"gzip":                    {"\x1f\x8b\x08\x00\x00", "archive gzip.csv: this gzip is damaged: unexpected EOF"},
		"UTF-16":                  {"\xff\xfeo\x00r\x00", unknown},
		"empty":                   {"", "line 1: the file is empty: it has no header"},
		"a byte order mark alone": {"\ufeff", "line 1: the file is empty: it has no header"},
		"metadata alone":          {"# acquirer: lakala\n\n", "line 3: the file is empty: it has no header"},
		"a header in Chinese": {"订单号,金额,状态\nA1,1.00,SUCCESS\n", "line 1: no format reads its columns, and they are not those of a POS log, " +
			"settlement or payout file of the contract's either; 'posrecon ingest --explain FILE' drafts a profile for it"},
		"a header in GBK": {"\xb6\xa9\xb5\xa5\xba\xc5,\xbd\xf0\xb6\xee\n", unknown},
		"no header at all": {posLine("A1", "10.00"),
			unknown},
		"a required column is missing": {strings.Replace(posHeader, "amount,", "", 1) + "A1,lakala,M1,WECHAT,SUCCESS,2026-11-02 12:00:00,SALE\n",
			"line 1: required columns of a pos_log file are missing: amount"},
		"two required columns are missing": {"order_id,merchant_id,status,fee\nA1,M1,SETTLED,0.00\n",
			"line 1: required columns of a settlement file are missing: amount, settle_date"},
		"a column is there twice":     {"amount," + posHeader + "1.00," + posLine("A1", "10.00"), `line 1: amount "amount": the header has this column twice`},
		"the header is one long line": {strings.Repeat("x", 2<<20), "line 1: no header: the line is longer than 1 MiB"},
		"metadata that are no date":   {"# settle_date: 2026-02-30\n" + settlementHeader, `line 1: settle_date "2026-02-30": no such day`},
		"metadata given twice": {"# acquirer: lakala\n# acquirer: chinaums\n" + settlementHeader,
			`line 2: acquirer "chinaums": given twice with different values`},
		"a total that is no number": {posHeader + posLine("A1", "10.00") + "# total_amount: 10,00\n",
			`line 3: total_amount "10,00": not a plain amount in yuan such as 1234.50, or -1234.50`},
		"a total without a value": {posHeader + posLine("A1", "10.00") + "# total_count:\n", `line 3: total_count "": not a whole number`},
		"a total given twice": {posHeader + posLine("A1", "10.00") + "# total_count: 1\n# total_count: 2\n",
			`line 4: total_count "2": stated twice with different values`},
	}
	spread := posHeader
	for m := range 1000 {
		spread += fmt.Sprintf("A%d,lakala,M1,WECHAT,1.00,SUCCESS,%d-%02d-02 12:00:00,SALE\n", m, 2001+m/12, m%12+1)
	}
	cases["dates over eighty years"] = struct{ text, reason string }{spread,
		"line 242: its rows are dated over more than 240 months: the dates are damaged"}
	in := newInbox(t)
	for name, tt := range cases {
		in.write(t, "lakala/"+name+".csv", tt.text)
	}
	in.write(t, "lakala/good.csv", payoutHeader+"P1,M1,2026-11-03,1.00,PAID,\n")
	files, again := in.load(t), in.load(t)
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			f := files["lakala/"+name+".csv"]
			if f.State != ingest.Refused || f.Reason != tt.reason || f.Rows != 0 {
				t.Errorf("it is %s with %d rows:\n got %s\nwant %s", f.State, f.Rows, f.Reason, tt.reason)
			}
			if f := again["lakala/"+name+".csv"]; f.State != ingest.Waiting || f.Reason != tt.reason {
				t.Errorf("the next night it is %s: %s", f.State, f.Reason)
			}
		})
	}
	if good := files["lakala/good.csv"]; good.State != ingest.Loaded || good.Rows != 1 {
		t.Errorf("the file beside them is %s with %d rows: %s", good.State, good.Rows, good.Reason)
	}
}

// A bad line is kept with its number, field, value and rule; the lines around it load; nothing stands in for it.
func TestRejectedLines(t *testing.T) {
	t.Parallel()
	good := func(n int) string { return posLine(fmt.Sprintf("G%d", n), "1.00") }
	row := func(order, amount, status, time, typ string) string {
		return strings.Join([]string{order, "lakala", "M1", "WECHAT", amount, status, time, typ}, ",")
	}
	const noon = "2026-11-02 12:00:00"
	amount := func(a string) string { return row("B1", a, "SUCCESS", noon, "SALE") }
	cases := map[string]struct{ line, field, value, rule string }{
		"three decimals":           {amount("1.005"), "amount", "1.005", "more than two decimals"},
		"a negative amount":        {amount("-1.00"), "amount", "-1.00", "a sign is not allowed: the type says the direction"},
		"a positive sign":          {amount("+1.00"), "amount", "+1.00", "a sign is not allowed: the type says the direction"},
		"a thousands separator":    {amount(`"1,234.50"`), "amount", "1,234.50", "thousands separators are not allowed"},
		"a separator, not quoted":  {amount("1,234.50"), "", "", "the line has 9 fields, the header 8"},
		"an exponent":              {amount("1e3"), "amount", "1e3", "not a plain amount in yuan such as 1234.50"},
		"no number":                {amount("NaN"), "amount", "NaN", "not a plain amount in yuan such as 1234.50"},
		"infinity":                 {amount("Inf"), "amount", "Inf", "not a plain amount in yuan such as 1234.50"},
		"a hexadecimal number":     {amount("0x10"), "amount", "0x10", "not a plain amount in yuan such as 1234.50"},
		"a currency sign":          {amount("¥1.00"), "amount", "¥1.00", "not a plain amount in yuan such as 1234.50"},
		"full-width digits":        {amount("１.００"), "amount", "１.００", "not a plain amount in yuan such as 1234.50"},
		"a comma as decimal point": {amount(`"1,50"`), "amount", "1,50", "thousands separators are not allowed"},
		"nothing before the point": {amount(".50"), "amount", ".50", "not a plain amount in yuan such as 1234.50"},
		"nothing behind the point": {amount("1."), "amount", "1.", "not a plain amount in yuan such as 1234.50"},
		"too large an amount":      {amount("12345678901234567.00"), "amount", "12345678901234567.00", "more than 16 digits before the point"},
		"no amount":                {amount(""), "amount", "", "required and empty"},
		"no order id":              {row("", "1.00", "SUCCESS", noon, "SALE"), "order_id", "", "required and empty"},
		"an order id of blanks":    {row(" 　", "1.00", "SUCCESS", noon, "SALE"), "order_id", "", "required and empty"},
		"an order id from a spreadsheet": {row("4.20000E+27", "1.00", "SUCCESS", noon, "SALE"), "order_id", "4.20000E+27",
			"a spreadsheet made this identifier a number and its last digits are lost; export it as text"},
		"an order id that is too long": {row(strings.Repeat("9", 129), "1.00", "SUCCESS", noon, "SALE"), "order_id", strings.Repeat("9", 129),
			"an identifier has at most 128 bytes"},
		"a day that there is not": {row("B1", "1.00", "SUCCESS", "2026-02-30 12:00:00", "SALE"), "txn_time", "2026-02-30 12:00:00", "no such day"},
		"an hour that there is not": {row("B1", "1.00", "SUCCESS", "2026-11-02 24:00:00", "SALE"), "txn_time", "2026-11-02 24:00:00",
			"no such time of day"},
		"a date without a time": {row("B1", "1.00", "SUCCESS", "2026-11-02", "SALE"), "txn_time", "2026-11-02",
			"not a time of the form 2026-11-02 12:01:00 or 2026-11-02T12:01:00+08:00"},
		"a date of a spreadsheet": {row("B1", "1.00", "SUCCESS", "46328.5", "SALE"), "txn_time", "46328.5",
			"not a time of the form 2026-11-02 12:01:00 or 2026-11-02T12:01:00+08:00"},
		"the year 1970":       {row("B1", "1.00", "SUCCESS", "1970-01-01 00:00:00", "SALE"), "txn_time", "1970-01-01 00:00:00", "the year is not from 2000 to 2099"},
		"no time":             {row("B1", "1.00", "SUCCESS", "", "SALE"), "txn_time", "", "required and empty"},
		"an unknown status":   {row("B1", "1.00", "PAID", noon, "SALE"), "status", "PAID", "not one of SUCCESS, FAILED, CLOSED, REVERSED, PENDING, UNKNOWN"},
		"no status":           {row("B1", "1.00", "", noon, "SALE"), "status", "", "required and empty"},
		"an unknown type":     {row("B1", "1.00", "SUCCESS", noon, "TIP"), "type", "TIP", "not one of SALE, REFUND, VOID"},
		"a NUL byte":          {row("B1", "1.\x0000", "SUCCESS", noon, "SALE"), "amount", `1.\x0000`, "holds a NUL byte; the file is damaged"},
		"a word in GBK":       {row("B1", "1.00", "SUCCESS", noon, "\xcf\xfb\xb7\xd1"), "type", "消费", "not one of SALE, REFUND, VOID"},
		"half a character":    {row("B1\xe6\x94", "1.00", "SUCCESS", noon, "SALE"), "order_id", `B1\xe6\x94`, "is not UTF-8; the file may be GBK, or damaged"},
		"a lost character":    {row("B\ufffd", "1.00", "SUCCESS", noon, "SALE"), "order_id", "B\ufffd", "holds a character that an earlier conversion could not read (U+FFFD)"},
		"a control character": {row("B\x07", "1.00", "SUCCESS", noon, "SALE"), "order_id", "B\x07", "holds a control character"},
		"too few fields":      {"B1,lakala,M1", "", "", "the line has 3 fields, the header 8"},
		"a quote left open":   {`"B1,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-02 12:00:00,SALE`, "", "", "a quoted cell on this line does not end as it should"},
		"more than 1 MiB":     {row("B1", "1.00", "SUCCESS", noon, strings.Repeat("S", 1<<20)), "", "", "the line is longer than 1 MiB"},
	}
	in := newInbox(t)
	for name, tt := range cases {
		in.write(t, name+".csv", posHeader+good(1)+tt.line+"\n"+good(2)+good(3))
	}
	files := in.load(t)
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			f := files[name+".csv"]
			if f.State != ingest.Loaded || f.Rows != 3 || f.Rejected != 1 {
				t.Errorf("the file is %s with %d rows and %d rejected lines (%s), want 3 and 1", f.State, f.Rows, f.Rejected, f.Reason)
			}
			if diff := cmp.Diff([]string{fmt.Sprintf("3 %s %q: %s", tt.field, tt.value, tt.rule)}, in.rejected(t, name+".csv")); diff != "" {
				t.Errorf("rejected lines (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"G1 2 1.00", "G2 4 1.00", "G3 5 1.00"}, in.query(t, `
				SELECT concat_ws(' ', order_id, line, amount) FROM pos_row JOIN file USING (file_id) WHERE name = $1 ORDER BY line`, name+".csv")); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// Lines of the acquirer's files that cannot be read.
func TestRejectedLinesOfAcquirers(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ header, line, want string }{
		"a void that is settled":        {settlementHeader, "B1,M1,1.00,2026-11-03,SETTLED,VOID,0.00", `type "VOID": not one of SALE, REFUND`},
		"a negative fee":                {settlementHeader, "B1,M1,1.00,2026-11-03,SETTLED,SALE,-0.01", `fee "-0.01": a sign is not allowed: the type says the direction`},
		"a day that there is not":       {settlementHeader, "B1,M1,1.00,2026-02-30,SETTLED,SALE,0.00", `settle_date "2026-02-30": no such day`},
		"a date of other form":          {settlementHeader, "B1,M1,1.00,20261103,SETTLED,SALE,0.00", `settle_date "20261103": not a date of the form 2026-11-02`},
		"no date":                       {settlementHeader, "B1,M1,1.00,,SETTLED,SALE,0.00", `settle_date "": required and empty`},
		"a status of a payout":          {settlementHeader, "B1,M1,1.00,2026-11-03,PAID,SALE,0.00", `status "PAID": not one of PENDING, HELD, REJECTED, RETURNED, SETTLED`},
		"no merchant":                   {settlementHeader, "B1,,1.00,2026-11-03,SETTLED,SALE,0.00", `merchant_id "": required and empty`},
		"two minus signs":               {payoutHeader, "P9,M1,2026-11-03,--1.00,PAID,", `amount "--1.00": the only sign allowed is one minus`},
		"a plus sign":                   {payoutHeader, "P9,M1,2026-11-03,+1.00,PAID,", `amount "+1.00": the only sign allowed is one minus`},
		"a payout's three decimals":     {payoutHeader, "P9,M1,2026-11-03,-1.005,PAID,", `amount "-1.005": more than two decimals`},
		"no payout id":                  {payoutHeader, ",M1,2026-11-03,1.00,PAID,", `payout_id "": required and empty`},
		"a status of a settlement":      {payoutHeader, "P9,M1,2026-11-03,1.00,SETTLED,", `status "SETTLED": not one of PROCESSING, HELD, FAILED, PAID, RETURNED`},
		"a payout that replaces itself": {payoutHeader, "P9,M1,2026-11-03,1.00,PAID,P9", `replaces_payout_id "P9": a payout cannot replace itself`},
	}
	in := newInbox(t)
	for name, tt := range cases {
		good := "G1,M1,1.00,2026-11-03,SETTLED,SALE,0.00\n"
		if tt.header == payoutHeader {
			good = "P1,M1,2026-11-03,-1.00,PAID,\n"
		}
		in.write(t, "lakala/"+name+".csv", tt.header+good+tt.line+"\n")
	}
	files := in.load(t)
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			f := files["lakala/"+name+".csv"]
			if f.State != ingest.Loaded || f.Rows != 1 || f.Rejected != 1 {
				t.Errorf("the file is %s with %d rows and %d rejected lines (%s), want 1 and 1", f.State, f.Rows, f.Rejected, f.Reason)
			}
			if diff := cmp.Diff([]string{"3 " + tt.want}, in.rejected(t, name+".csv")); diff != "" {
				t.Errorf("rejected lines (-want +got):\n%s", diff)
			}
		})
	}
}

// Control totals tie with what was read, rejected lines included; what does not tie is held back whole.
func TestControlTotals(t *testing.T) {
	t.Parallel()
	const (
		sale   = "S1,M1,10.00,2026-11-03,SETTLED,SALE,0.04\n"
		refund = "S1,M1,4.00,2026-11-03,SETTLED,REFUND,0.01\n"
		held   = "S2,M1,5.00,2026-11-03,HELD,SALE,0.00\n"
		// Rejected: the amount of one can be read, that of the other cannot.
		readable   = "S3,M1,1.010,2026-11-03,SETTLED,SALE,0.00\n"
		unreadable = "S4,M1,ten,2026-11-03,SETTLED,SALE,0.00\n"
		acceptance = "; ask for the file again, or load it as it is with 'posrecon ingest --accept-totals'"
	)
	cases := map[string]struct {
		rows, totals string
		loaded       int64
		held         string // reason; "" where the file loads
	}{
		"all statuses count, sale minus refund":                  {sale + refund + held, "# total_count: 3\n# total_amount: 11.00\n# total_fee: 0.03\n", 3, ""},
		"more refunded than sold":                                {refund, "# total_count: 1\n# total_amount: -4.00\n# total_fee: -0.01\n", 1, ""},
		"a count alone":                                          {sale, "# total_count: 1\n", 1, ""},
		"a rejected line's amount counts":                        {sale + readable, "# total_count: 2\n# total_amount: 11.01\n", 1, ""},
		"a rejected line's amount is unreadable, the count ties": {sale + unreadable, "# total_count: 2\n# total_amount: 20.00\n", 1, ""},
		"a rejected line's amount is unreadable, the count does not tie": {sale + unreadable, "# total_count: 3\n# total_amount: 20.00\n", 0,
			"total_count says 3 rows, the file has 2"},
		"a rejected line's amount is unreadable, there is no count": {sale + unreadable, "# total_amount: 20.00\n", 0,
			"total_amount says 20.00 yuan, the rows add up to 10.00"},
		"one row is missing":                  {sale, "# total_count: 2\n# total_amount: 15.00\n", 0, "total_count says 2 rows, the file has 1"},
		"one fen is missing":                  {sale, "# total_count: 1\n# total_amount: 10.01\n", 0, "total_amount says 10.01 yuan, the rows add up to 10.00"},
		"the fees do not tie":                 {sale, "# total_count: 1\n# total_fee: 0.05\n", 0, "total_fee says 0.05 yuan, the rows add up to 0.04"},
		"cut off in the last row":             {sale + "S2,M1,5.0", "", 1, ""},
		"a total before the last row is data": {sale + "# total_count: 5\n" + held, "", 2, ""},
		"a remark is no total":                {sale, "# total_shops: 3\n", 1, ""},
	}
	in := newInbox(t)
	for name, tt := range cases {
		// Each is of an acquirer of its own: what one source sends, another need not.
		in.write(t, name+".csv", "# acquirer: "+strings.ReplaceAll(name, " ", "-")+"\n"+settlementHeader+tt.rows+tt.totals)
	}
	in.write(t, "before.csv", "# acquirer: before\n# total_count: 5\n"+settlementHeader+sale)
	cases["before"] = cases["cut off in the last row"] // metadata before the header describe the file, whatever their key
	first, second := in.load(t), in.load(t)
	in.opt.AcceptTotals = true
	third := in.load(t)
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			f := first[name+".csv"]
			if tt.held == "" {
				if f.State != ingest.Loaded || f.Rows != tt.loaded {
					t.Errorf("it is %s with %d rows (%s), want it loaded with %d", f.State, f.Rows, f.Reason, tt.loaded)
				}
				return
			}
			if f.State != ingest.Held || f.Reason != tt.held+acceptance || f.Rows != 0 {
				t.Errorf("it is %s with %d rows:\n got %s\nwant %s", f.State, f.Rows, f.Reason, tt.held+acceptance)
			}
			if f := second[name+".csv"]; f.State != ingest.Waiting {
				t.Errorf("the next night it is %s", f.State)
			}
			if f := third[name+".csv"]; f.State != ingest.Loaded || f.Rows == 0 {
				t.Errorf("accepted, it is %s with %d rows", f.State, f.Rows)
			}
			if waived := in.query(t, `SELECT name FROM file WHERE totals_waived AND name = $1`, name+".csv"); len(waived) != 1 {
				t.Error("the register does not say that its totals were waived")
			}
		})
	}
}

// A source that has sent control totals must send them: a file of it without may be cut short, wherever it is cut.
func TestTruncatedFile(t *testing.T) {
	t.Parallel()
	whole := settlementHeader
	for n := range 5 {
		whole += fmt.Sprintf("S%d,M1,1.00,2026-11-04,SETTLED,SALE,0.00\n", n)
	}
	whole += "# total_count: 5\n# total_amount: 5.00\n"
	in := newInbox(t)
	in.write(t, "lakala/before.csv", settlementHeader+"B1,M1,1.00,2026-11-03,SETTLED,SALE,0.00\n# total_count: 1\n# total_amount: 1.00\n")
	if f := in.load(t)["lakala/before.csv"]; f.State != ingest.Loaded {
		t.Fatalf("the file of the day before is %s: %s", f.State, f.Reason)
	}
	// Behind the count only what the amount adds is lost, and the count ties.
	end := strings.Index(whole, "# total_amount")
	for cut := len(settlementHeader); cut < len(whole); cut++ {
		in.write(t, fmt.Sprintf("lakala/cut-%d.csv", cut), whole[:cut])
	}
	files := in.load(t)
	for cut := len(settlementHeader); cut < len(whole); cut++ {
		f := files[fmt.Sprintf("lakala/cut-%d.csv", cut)]
		if cut < end-1 && (f.State == ingest.Loaded || f.Rows != 0) {
			t.Errorf("cut after %q it is %s with %d rows", whole[max(0, cut-30):cut], f.State, f.Rows)
		}
		if f.State == ingest.Loaded && f.Rows != 5 {
			t.Errorf("cut after %q it loads with %d of 5 rows", whole[max(0, cut-30):cut], f.Rows)
		}
	}
}
