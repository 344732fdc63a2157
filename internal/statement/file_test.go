package statement

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/recon"
)

const (
	posHead    = "order_id,acquirer,merchant_id,channel,amount,status,txn_time\n"
	posRow     = "C01,lakala,M1,WECHAT,100.00,SUCCESS,2026-11-02 12:01:00\n"
	settleHead = "order_id,merchant_id,amount,settle_date,status\n"
	settleRow  = "C01,M1,100.00,2026-11-03,SETTLED\n"
	payoutHead = "payout_id,merchant_id,payout_date,amount,status\n"
	payoutRow  = "PA1,M1,2026-11-03,99.62,PAID\n"
)

func TestKind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want recon.Kind
		why  string
	}{
		{posHead, recon.KindPOSLog, "the required columns of a POS log; no rows is a quiet day"},
		{settleHead, recon.KindSettlement, "the required columns of a settlement file"},
		{payoutHead, recon.KindPayout, "the required columns of a payout file"},
		{"STATUS, Txn_Time ,amount,channel,merchant_id,acquirer,order_id\n", recon.KindPOSLog, "any order, any case, blanks around"},
		{"\ufeff" + settleHead, recon.KindSettlement, "a byte order mark before the header"},
		{"\ufeff# settle_date: 2026-11-03\norder_id,merchant_id,amount,status\n", recon.KindSettlement,
			"a byte order mark before metadata; the settle date is the file's"},
		{"# payout_date: 2026-11-03\npayout_id,merchant_id,amount,status\n", recon.KindPayout, "the payout date is the file's"},
		{"备注,order_id,,merchant_id,amount,settle_date,status,x,,\n", recon.KindSettlement, "unknown and unnamed columns"},
		{"order_id,acquirer,merchant_id,channel,amount,status,txn_time,settle_date\n", recon.KindSettlement,
			"satisfies both; only a settlement file has a settle date"},
		{"order_id,acquirer,merchant_id,channel,amount,status,txn_time,settle_date,response_code,callback_time\n",
			recon.KindPOSLog, "satisfies both, but most columns are a POS log's"},
		{"order_id,acquirer,merchant_id,channel,amount,status,txn_time,payout_id,payout_date\n", recon.KindPOSLog,
			"an order_id: no payout file"},
		{"payout_id,payout_date,merchant_id,amount,status,settle_date,channel,txn_time\n", recon.KindPayout,
			"without order_id it is a payout file, whatever else it has"},
		{"order_id,payout_id,payout_date,merchant_id,amount,status,settle_date\n", recon.KindSettlement,
			"lines with their payouts are a settlement file"},
	} {
		if got := mustRead(t, tt.text); got.Kind != tt.want {
			t.Errorf("%q: %s, want %s: %s", tt.text, got.Kind, tt.want, tt.why)
		}
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	got := mustRead(t, "备注,Order_ID,fee,merchant_id,store_id,amount,settle_date,status,\n").Columns
	want := []string{"order_id", "fee", "merchant_id", "amount", "settle_date", "status"} // store_id is a POS log's
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Columns (-want +got):\n%s", diff)
	}
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want string // a part of the error
		why  string
	}{
		{"", "line 1: the file is empty", "no bytes"},
		{"\ufeff", "line 1: the file is empty", "a byte order mark and nothing else"},
		{"\n \r\n,,,\n# acquirer: lakala\n", "the file is empty: it has no header", "blanks and metadata only"},
		{"PK\x03\x04rest", "line 1: the workbook is damaged or cut short", "half an XLSX, renamed to .csv"},
		{"\x1f\x8b\x08", "gzip", "gzip"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "XLS workbook", "an old workbook"},
		{"%PDF-1.7\n", "PDF", "a PDF"},
		{"\xff\xfeo\x00r\x00", "line 1: no header of a POS log", "as Excel saves Unicode text, cut short"},
		{"order\x00id\n", "line 1: binary data", "a NUL byte"},
		{"# note: x\n\xb6\xa9\xb5\xa5\xba\xc5,amount\n", "line 2: no header of a POS log", "Chinese names in GBK"},
		{"订单号,商户号,金额\n", "line 1: no format reads its columns, and they are not those of a POS log, settlement or payout file", "Chinese names"},
		{"a,b,amount\n1,2,3\n", "no header of a POS log", "one familiar name is none"},
		{"C01,lakala,M1,WECHAT,100.00\n", "no header of a POS log", "rows without a header"},
		{"order_id,merchant_id,amount,status\n", "required columns of a settlement file are missing: settle_date", "no date anywhere"},
		{"order_id,acquirer,merchant_id,amount,status,txn_time,channel_txn_id\n", "required columns of a pos_log file are missing: channel",
			"channel is required"},
		{"payout_id,merchant_id,amount\n", "payout file are missing: payout_date, status", "two missing"},
		{"# payout_date: 2026-11-03\norder_id,payout_id,merchant_id,amount,status\n", "settlement file are missing: settle_date",
			"lines of orders are no payouts, though the file names a payout date"},
		{"order_id,merchant_id,amount,Amount ,settle_date,status\n", `line 1: amount "amount": the header has this column twice`, "which amount?"},
		{strings.Repeat("x,", maxColumns) + settleHead, "columns, at most 512 are read", "too many columns"},
		{strings.Repeat("x", maxRecord+1) + "\n", "line 1: no header: the line is longer than 1 MiB", "a line without end"},
		{"order_id,\"merchant_id\n", "line 1: no header: a quote is not closed", "an open quote in the header"},
		{strings.Repeat("# k: v\n", maxPreamble+1) + settleHead, "no header after 256 lines", "a preamble without end"},
		{"# settle_date: 2026/11/03\n" + settleHead, `line 1: settle_date "2026/11/03": not a date of the form`, "a spreadsheet's date"},
		{"# settle_date: 2026-02-30\n" + settleHead, "no such day", "an impossible date"},
		{"# exported_at: yesterday\n" + posHead, `exported_at "yesterday": not a time`, "no time"},
		{"# acquirer: lakala\n# acquirer: shengpay\n" + settleHead, `line 2: acquirer "shengpay": given twice with different values`, "which?"},
		{"# note: " + strings.Repeat("x", maxText+1) + "\n" + settleHead, "a text has at most 1024 bytes", "a value without end"},
		{settleHead + settleRow + "# total_count: 1,000\n", `line 3: total_count "1,000": not a whole number`, "a thousands separator"},
		{settleHead + settleRow + "# total_count: -1\n", "not a whole number", "a negative count"},
		{settleHead + settleRow + "# total_count:\n", `total_count "": not a whole number`, "stated and empty"},
		{settleHead + settleRow + "# total_amount: 100.005\n", `total_amount "100.005": not a plain amount`, "three decimals"},
		{settleHead + settleRow + "# total_amount: 1,000.00\n", "not a plain amount", "a thousands separator"},
		{settleHead + settleRow + "# total_fee: NaN\n", "not a plain amount", "NaN"},
		{settleHead + settleRow + "# total_count: 1\n# total_count: 2\n", "line 4: total_count \"2\": stated twice with different values", "which?"},
	} {
		if got := fileError(t, tt.text).Error(); !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want it to say %q", tt.why, got, tt.want)
		}
	}
}

func TestFileErrorNamesMissingColumns(t *testing.T) {
	t.Parallel()
	fe := fileError(t, "# note: x\n\npayout_id,merchant_id,amount\n")
	want := &FileError{
		Line:      3,
		Rule:      "required columns of a payout file are missing: payout_date, status",
		Resembles: recon.KindPayout,
		Missing:   []string{"payout_date", "status"},
	}
	if diff := cmp.Diff(want, fe); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSourceErrorIsNoFileError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for _, text := range []string{"", "order_id", posHead, posHead + posRow, posHead + posRow + "C02,la", posHead + `C02,"la`,
		posHead + strings.Repeat("x", 2*maxRecord)} {
		res := readAll(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)))
		var fe *FileError
		if !errors.Is(res.Err, broken) || errors.As(res.Err, &fe) {
			t.Errorf("after %.40q: %v, want the source's error", text, res.Err)
		}
		if len(res.rejects()) > 0 {
			t.Errorf("after %.40q: half a line was judged: %q", text, res.rejects())
		}
	}
	if _, err := Open(strings.NewReader(posHead), Options{}); err == nil {
		t.Error("no zone: want an error")
	}
}

func TestMeta(t *testing.T) {
	t.Parallel()
	res := mustRead(t, "# Acquirer : lakala\n#settle_date：2026-11-03,,,\n# a comment without a colon-like thing\n"+
		"# exported_at: 2026-11-03T00:30:00+08:00\n# status_time: 2026-11-03 09:30:00\n# replaces: settlement.csv\n"+
		"# payout_date:\n# 备注: 更正 v2: final\n# total_count: 99\n\n"+settleHead+settleRow)
	want := map[string]any{
		"Acquirer": "lakala", "SettleDate": "2026-11-03", "ExportedAt": "2026-11-03T00:30:00+08:00",
		"StatusTime": "2026-11-03T09:30:00+08:00", "Replaces": "settlement.csv",
		"line 1": "acquirer: lakala", "line 2": "settle_date: 2026-11-03", "line 4": "exported_at: 2026-11-03T00:30:00+08:00",
		"line 5": "status_time: 2026-11-03 09:30:00", "line 6": "replaces: settlement.csv", "line 7": "payout_date: ",
		"line 8": "备注: 更正 v2: final", "line 9": "total_count: 99",
	}
	if diff := cmp.Diff(want, fields(res.Meta)); diff != "" {
		t.Errorf("Meta (-want +got):\n%s", diff)
	}
	if res.Totals.Stated() {
		t.Error("a line before the header describes the file, it is no control total")
	}
}

func TestTotals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		tail string
		want map[string]any
		why  string
	}{
		{"", map[string]any{}, "none stated"},
		{"# total_count: 1\n# total_amount: 100.00\n# total_fee: 0.38\n",
			map[string]any{"Count": int64(1), "Amount": "100.00", "Fee": "0.38"}, "all three"},
		{"\r\n# TOTAL_COUNT：1,,,,\r\n\r\n# total_amount: -20\r\n\r\n",
			map[string]any{"Count": int64(1), "Amount": "-20.00"}, "as a spreadsheet saves it, blank lines between, more refunded than sold"},
		{"# total_count: 1\n# by: clerk\n# total_count: 1\n", map[string]any{"Count": int64(1)}, "stated twice alike, and a remark"},
		{"# total_count: 1", map[string]any{"Count": int64(1)}, "no line end at the end of the file"},
	} {
		res := mustRead(t, settleHead+settleRow+tt.tail)
		if diff := cmp.Diff(tt.want, fields(res.Totals)); diff != "" || res.Seen.Count != 1 {
			t.Errorf("%s: %d records, totals (-want +got):\n%s", tt.why, res.Seen.Count, diff)
		}
	}
}

// TestHashLines is about '#' lines after the header.
func TestHashLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rows     string
		accepted []int
		rejects  []string
		why      string
	}{
		{"# total_count: 2\n" + settleRow, []int{3}, []string{`2  "": the line has 1 field, the header 5`},
			"a row follows: data, and no total"},
		{"#C7,M1,5.00,2026-11-03,SETTLED\n" + settleRow, []int{2, 3}, nil, "an order id may begin with #"},
		{settleRow + "#C7,M1,5.00,2026-11-03,SETTLED\n", []int{2, 3}, nil, "as the last row too"},
		{settleRow + "#C:7,M1,5.00,2026-11-03,SETTLED\n", []int{2, 3}, nil, "a colon does not make it a remark: it has the cells of a row"},
		{settleRow + "# end of file\n", []int{2}, []string{`3  "": the line has 1 field, the header 5`},
			"not of the form # key: value, so it is data"},
		{settleRow + "\"# total_count: 9\"\n", []int{2}, []string{`3  "": the line has 1 field, the header 5`},
			"within quotes it is data"},
		{"# total_count: 2\n# total_amount: 1\n\n" + settleRow + "# total_count: 3\n", []int{5},
			[]string{`2  "": the line has 1 field, the header 5`, `3  "": the line has 1 field, the header 5`},
			"two files put together: the first one's totals are data, in order"},
		{"#C7,\"M\n1\",5.00,2026-11-03,SETTLED\n", nil,
			[]string{`2  "": a quoted cell on this line does not end as it should`, `3  "": the line has 4 fields, the header 5`},
			"a # line never spans lines"},
	} {
		res := mustRead(t, settleHead+tt.rows)
		if diff := cmp.Diff(tt.accepted, res.accepted()); diff != "" {
			t.Errorf("%s: accepted lines (-want +got):\n%s", tt.why, diff)
		}
		if diff := cmp.Diff(tt.rejects, res.rejects()); diff != "" {
			t.Errorf("%s: rejects (-want +got):\n%s", tt.why, diff)
		}
		if res.Totals.Stated() != strings.HasSuffix(tt.rows, "3\n") {
			t.Errorf("%s: totals %v", tt.why, fields(res.Totals))
		}
	}

	// A trailer has an end: what is more than it can hold is data, and the last ones are still totals.
	res := mustRead(t, settleHead+settleRow+strings.Repeat("# note: x\n", maxTrailer)+"# total_count: 66\n")
	if res.Seen.Count != 2 || res.Seen.Rejected != 1 || *res.Totals.Count != 66 {
		t.Errorf("a long trailer: %+v, %v", res.Seen, fields(res.Totals))
	}
}

func TestBlankLines(t *testing.T) {
	t.Parallel()
	res := mustRead(t, "\n \t\r\n"+settleHead+"\n"+settleRow+"\r\n,,,,\n \u3000,\t,\"\",,\u00a0\n"+settleRow+"\n\n")
	if diff := cmp.Diff([]int{5, 9}, res.accepted()); diff != "" || res.Seen.Rejected != 0 {
		t.Errorf("rejects %q, accepted lines (-want +got):\n%s", res.rejects(), diff)
	}
}

// TestCSV is about how lines become cells.
func TestCSV(t *testing.T) {
	t.Parallel()
	const head = "order_id,merchant_id,amount,settle_date,status,reason\n"
	row := func(reason string) string { return "C01,M1,1.00,2026-11-03,HELD," + reason }
	const broken = ` "": a quoted cell on this line does not end as it should`
	for _, tt := range []struct {
		rows    string
		reasons []string
		rejects []string
		why     string
	}{
		{row("a\n") + row("b\r\n") + row("c\r\r\n") + row("d"), []string{"a", "b", "c", "d"}, nil,
			"line ends mixed, CR doubled by a bad conversion, none at the end of the file"},
		{row(`"a,b"` + "\n"), []string{"a,b"}, nil, "a comma in quotes"},
		{row(`"say ""no"""` + "\n"), []string{`say "no"`}, nil, "doubled quotes"},
		{row("\"a\nb\r\nc\"\r\n") + row("d\n"), []string{"a\nb\r\nc", "d"}, nil, "line breaks in quotes"},
		{row("\"\"\n"), []string{""}, nil, "empty in quotes"},
		{row("\"\"\"\"\n"), []string{`"`}, nil, "one quote in quotes"},
		{row(` "a" ` + "\n"), []string{"a"}, nil, "blanks around quotes"},
		{`"C01" ,"M1","1.00",` + "\t" + `"2026-11-03","HELD","a"` + "\n", []string{"a"}, nil, "all quoted"},
		{row(`5" screen` + "\n"), []string{`5" screen`}, nil, "a quote inside an unquoted cell is an ordinary character"},
		{row("a,,\n") + row("b, \t\n"), []string{"a", "b"}, nil, "more cells than the header, all empty"},
		{row("a,x\n"), nil, []string{`2  "": the line has 7 fields, the header 6`}, "more cells than the header, one filled"},
		{row(`a,"",""x""` + "\n"), nil, []string{`2 ` + broken}, "text behind a closing quote"},
		{"C01,M1,1.00\n" + row("b\n"), []string{"b"}, []string{`2  "": the line has 3 fields, the header 6`}, "fewer cells"},
		{row("a\n") + "C02,M1,1.0", []string{"a"}, []string{`3  "": the line has 3 fields, the header 6`}, "a truncated file"},
		{row("a\n") + row(`"b`+"\n") + row("c\n") + row("d\n"), []string{"a", "c", "d"}, []string{`3 ` + broken},
			"a quote that is never closed costs one line"},
		{row(`"b`+"\n") + row(`"c"`+"\n") + row("d\n"), []string{"c", "d"}, []string{`2 ` + broken},
			"the next quote of the file does not close it, for text follows that quote"},
		{row(`"b`+"\n") + row("c\n") + row("\"d\n"), []string{"c"}, []string{`2 ` + broken, `4 ` + broken}, "two open quotes"},
		{row("\"a\nb\",\"c\n") + row("d\n"), []string{"d"}, []string{`2 ` + broken, `3 ` + broken},
			"a second cell stays open: each line of the record by itself"},
		{`x"y,M1,1.00,2026-11-03,HELD,"a` + "\nb\"\n", nil, []string{`2 ` + broken, `3  "": the line has 1 field, the header 6`},
			"a record with an ordinary quote must end on its line"},
		{row("\"" + strings.Repeat("\n", maxRecordLines-1) + "\"\n"), []string{""}, nil, "as many lines as a record may have"},
		{row("\"" + strings.Repeat("x\n", maxRecordLines) + "\"\n"), nil,
			append([]string{`2 ` + broken}, tooFew(3, maxRecordLines-1, maxRecordLines+2)...), "one more"},
		{row("a\n") + row(strings.Repeat("x", maxRecord)+"\n") + row("b\n"), []string{"a", "b"},
			[]string{`3  "": the line is longer than 1 MiB`}, "a line that is too long"},
		{row("\"" + strings.Repeat("x", maxRecord/2) + "\n" + strings.Repeat("y", maxRecord/2) + "\"\n"), nil,
			[]string{`2 ` + broken, `3  "": the line has 1 field, the header 6`}, "a record that is too long, in two lines that are not"},
	} {
		res := mustRead(t, head+tt.rows)
		var reasons []string
		for _, rec := range res.Records {
			if rec.Settlement != nil {
				reasons = append(reasons, rec.Settlement.Reason)
			}
		}
		if diff := cmp.Diff(tt.reasons, reasons); diff != "" {
			t.Errorf("%s: reasons (-want +got):\n%s", tt.why, diff)
		}
		if diff := cmp.Diff(tt.rejects, res.rejects()); diff != "" {
			t.Errorf("%s: rejects (-want +got):\n%s", tt.why, diff)
		}
	}
}

// tooFew lists rejects of n lines of one cell from a line on, and of the line with the closing quote.
func tooFew(from, n, closing int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, rejectf(from+i, "the line has 1 field, the header 6"))
	}
	return append(lines, rejectf(closing, "a quoted cell on this line does not end as it should"))
}

func TestRawIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("字", 1000)
	res := mustRead(t, settleHead+"C01,"+long+"\n"+strings.Repeat("y", maxRecord+1)+"\n")
	first, second := res.Records[0].Reject, res.Records[1].Reject
	if len(first.Raw) > maxRaw || len(first.Raw) < maxRaw-3 || !strings.HasPrefix("C01,"+long, first.Raw) {
		t.Errorf("%d bytes of a long line, want up to %d, whole characters", len(first.Raw), maxRaw)
	}
	if second.Raw != strings.Repeat("y", maxRawOversized) {
		t.Errorf("%d bytes of a line that is too long, want %d", len(second.Raw), maxRawOversized)
	}
}

// TestMemory reads files whose size must not show in memory.
func TestMemory(t *testing.T) {
	const size = 100 << 20
	for _, tt := range []struct {
		name   string
		period string
	}{
		{"one line of 100 MB", strings.Repeat("x", 4096)},
		{"100 MB of commas", strings.Repeat(",", 4096)},
		{"100 MB behind an open quote", `C01,"` + strings.Repeat("x", 4096)},
		{"blank lines", strings.Repeat(" ", 4095) + "\n"},
	} {
		src := io.MultiReader(strings.NewReader(settleHead), &repeated{period: tt.period, left: size})
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		res := readAll(src)
		runtime.ReadMemStats(&after)
		if res.Err != nil {
			t.Errorf("%s: %v", tt.name, res.Err)
		}
		// The buffer grows to 2 MiB by doubling: 4 MiB allocated in all.
		if got := after.TotalAlloc - before.TotalAlloc; got > 6<<20 {
			t.Errorf("%s: %d MiB allocated", tt.name, got>>20)
		}
	}
}

// TestHostileQuotes reads lines each of which opens a quote again: all of it is rejected, and reading comes to its end.
func TestHostileQuotes(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`a",b,"`, `"`, `,"`, `"""`, `",`, `",",`, `a,"b""`, `"a""`, `x,"" ,"`, ` "a" , "`} {
		const size = 256 << 10
		src := io.MultiReader(strings.NewReader(settleHead), &repeated{period: line + "\n", left: size})
		r, err := Open(src, Options{Zone: shanghai})
		if err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = r.Next()
		}
		if seen := r.Seen(); err != io.EOF || seen.Rejected != seen.Count || seen.Count == 0 {
			t.Errorf("%q: %v, %+v", line, err, seen)
		}
	}
}

// repeated is a source of left bytes, a period over and over.
type repeated struct {
	period string
	at     int
	left   int
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), r.left)], r.period[r.at:])
	r.at = (r.at + n) % len(r.period)
	r.left -= n
	return n, nil
}
