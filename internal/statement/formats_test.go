package statement

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/posrecon/posrecon/internal/archive"
	"github.com/posrecon/posrecon/internal/profile"
)

const formatsDir = "../../testdata/formats"

// formatSamples lists the samples of real formats: some byte for byte as their owners send them.
func formatSamples(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(formatsDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p string) bool { return strings.HasSuffix(p, ".want") })
	if len(all) < 40 {
		t.Fatalf("%d samples in %s", len(all), formatsDir)
	}
	return all
}

// sampleDocuments reads the documents of a sample as ingest would, by name.
func sampleDocuments(t testing.TB, path string) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	docs, done, err := archive.Documents(bytes.NewReader(data), int64(len(data)), filepath.Base(path))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, d := range docs {
		rc, err := d.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		rc.Close()
		out[d.Name[strings.LastIndexByte(d.Name, '!')+1:]] = text
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFormats reads every sample without any configuration and compares with the .want beside it.
func TestFormats(t *testing.T) {
	t.Parallel()
	for _, path := range formatSamples(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			docs := sampleDocuments(t, path)
			names := make([]string, 0, len(docs))
			for name := range docs {
				names = append(names, name)
			}
			slices.Sort(names)
			var got strings.Builder
			for _, name := range names {
				if len(names) > 1 {
					fmt.Fprintf(&got, "== %s\n", name)
				}
				got.WriteString(readNamed(bytes.NewReader(docs[name]), name, nil).describe())
			}
			want := path + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(text), "\n"), strings.Split(got.String(), "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// records describes what a text says, without where it says it.
func records(res result) string {
	for i := range res.Records {
		r := &res.Records[i]
		r.Line = 0
		switch {
		case r.POS != nil:
			r.POS.Line = 0
		case r.Settlement != nil:
			r.Settlement.Line = 0
		case r.Payout != nil:
			r.Payout.Line = 0
		case r.Bank != nil:
			r.Bank.Line = 0
		case r.Reject != nil:
			r.Reject.Line, r.Reject.Raw = 0, ""
		}
	}
	res.Columns, res.Meta, res.About = nil, Meta{}, About{}
	return res.describe()
}

// utf8Of returns a sample's text.
func utf8Of(t testing.TB, data []byte) string {
	t.Helper()
	if text := strings.TrimPrefix(string(data), "\ufeff"); !strings.Contains(text, "\ufffd") && slices.Equal([]byte(strings.ToValidUTF8(text, "?")), []byte(text)) {
		return text
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().String(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Whatever a portal, a mail gateway or a spreadsheet does to a file on its way, it says the same.
func TestSavedAgain(t *testing.T) {
	t.Parallel()
	encode := func(t *testing.T, s string) []byte {
		out, err := simplifiedchinese.GB18030.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(out)
	}
	lines := func(s string) []string {
		return strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\n"), "\n")
	}
	for _, how := range []struct {
		name  string
		table bool // only what has columns
		save  func(t *testing.T, text string, as About) []byte
	}{
		{"UTF-8", false, func(_ *testing.T, s string, _ About) []byte { return []byte(s) }},
		{"UTF-8 with a byte order mark", false, func(_ *testing.T, s string, _ About) []byte { return []byte("\ufeff" + s) }},
		{"GB18030", false, func(t *testing.T, s string, _ About) []byte { return encode(t, s) }},
		{"UTF-16 of a spreadsheet", false, func(t *testing.T, s string, _ About) []byte {
			out, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(s)
			if err != nil {
				t.Fatal(err)
			}
			return []byte(out)
		}},
		{"LF", false, func(_ *testing.T, s string, _ About) []byte { return []byte(strings.ReplaceAll(s, "\r\n", "\n")) }},
		{"CRLF", false, func(_ *testing.T, s string, _ About) []byte {
			return []byte(strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n"))
		}},
		{"no line end at the end", false, func(_ *testing.T, s string, _ About) []byte { return []byte(strings.TrimRight(s, "\r\n")) }},
		{"ten lines of a preface", true, func(_ *testing.T, s string, _ About) []byte {
			return []byte(strings.Repeat("\n商户对账单 第 1 页,,\n", 5) + s)
		}},
		{"columns the other way round, and two more", true, func(_ *testing.T, s string, as About) []byte {
			return []byte(strings.Join(reordered(lines(s), as.Header, as.Separator[0]), "\n") + "\n")
		}},
		{"XLSX", true, func(t *testing.T, s string, as About) []byte { return workbook(t, lines(s), as.Separator[0]) }},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			for _, path := range formatSamples(t) {
				for name, data := range sampleDocuments(t, path) {
					first := readNamed(bytes.NewReader(data), name, nil)
					if first.Err != nil {
						continue
					}
					p := profileNamed(t, first.About.Format)
					if how.table && !p.HasHeader() {
						continue
					}
					saved := how.save(t, utf8Of(t, data), first.About)
					got := readNamed(bytes.NewReader(saved), name, nil)
					if diff := cmp.Diff(strings.Split(records(first), "\n"), strings.Split(records(got), "\n")); diff != "" {
						t.Errorf("%s (-as it was +%s):\n%s", name, how.name, diff)
					}
				}
			}
		})
	}
}

func profileNamed(t testing.TB, name string) *profile.Profile {
	t.Helper()
	for _, p := range profile.Builtin() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no profile %q", name)
	return nil
}

// cellsOf cuts a sample's line.
func cellsOf(line string, sep byte) []string {
	cells, _ := cutCells(nil, line, sep, strings.Contains(line, `"`), maxColumns)
	if strings.HasPrefix(line, "`") {
		for i := range cells {
			cells[i] = "`" + cells[i]
		}
	}
	return cells
}

// reordered turns a table's columns round and adds one at either end.
func reordered(lines []string, header int, sep byte) []string {
	names := cellsOf(lines[header-1], sep)
	out := slices.Clone(lines)
	for i := header - 1; i < len(lines); i++ {
		cells := cellsOf(lines[i], sep)
		if len(cells) <= len(names)/2 || strings.HasPrefix(lines[i], "#") || strings.HasPrefix(lines[i], "合计") {
			continue // a title, a summary
		}
		for len(cells) < len(names) {
			cells = append(cells, "")
		}
		cells = cells[:len(names)]
		slices.Reverse(cells)
		mark := ""
		if strings.HasPrefix(lines[i], "`") {
			mark = "`"
		}
		cells = append(append([]string{mark + "新增列1"}, cells...), mark+"新增列2")
		for j, c := range cells {
			if strings.ContainsAny(c, `",`) && mark == "" {
				cells[j] = `"` + strings.ReplaceAll(c, `"`, `""`) + `"`
			}
		}
		out[i] = strings.Join(cells, string(sep))
	}
	return out
}

// workbook saves a table as a spreadsheet does that was told to leave all as text.
func workbook(t *testing.T, lines []string, sep byte) []byte {
	t.Helper()
	f := excelize.NewFile()
	for i, line := range lines {
		cells := cellsOf(line, sep)
		for j, c := range cells {
			cell, err := excelize.CoordinatesToCellName(j+1, i+1)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.SetCellStr("Sheet1", cell, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every format that ships has a sample that shows it, or is named here with the reason why there is none.
func TestEveryFormatHasASample(t *testing.T) {
	without := map[string]string{
		"alipay-account-summary": "a header line, below",
		"allinpay-check":         "the sample has two more columns",
		"bank-ccb":               "old .xls only",
		"bank-corporate":         "names differ by bank",
		"chinaums-export-net":    "made below",
		"chinaums-push":          "made below",
		"chinaums-store":         "made below",
		"shengpay-error":         "made below",
		"shengpay-order":         "made below",
		"wechat-bill-creating":   "made below",
		"wechat-no-bill-v3":      "made below",
		"wechat-refusal":         "made below",
	}
	seen := map[string]bool{}
	for _, path := range formatSamples(t) {
		for name, data := range sampleDocuments(t, path) {
			res := readNamed(bytes.NewReader(data), name, nil)
			var fe *FileError
			if errors.As(res.Err, &fe) {
				seen[fe.Format] = true
			}
			seen[res.About.Format] = true
		}
	}
	for _, p := range profile.Builtin() {
		if !seen[p.Name] && without[p.Name] == "" {
			t.Errorf("%s: no sample", p.Name)
		}
		if seen[p.Name] && without[p.Name] != "" {
			t.Errorf("%s has a sample by now", p.Name)
		}
	}
}

// TestMade reads files that are made here after a documented or seen layout of which there is no sample.
func TestMade(t *testing.T) {
	for _, test := range []struct{ why, text, format, want string }{
		{"ChinaUMS, an Excel export with net amounts",
			"商户名称,商户号,终端号,结算日期,交易时间,卡号,金额,手续费,净额,参考号,交易类型,交易渠道,商户订单号,银商订单号\n测试,898000000000001,00000001,20260305,2026-03-05 10:30:00,,35.80,0.14,35.66,103000028804,消费,微信,POS1,3194\n",
			"chinaums-export-net", "POS1 35.80 SALE SETTLED 2026-03-05 WECHAT"},
		{"ChinaUMS, the store export: a card sale has the reference number for an order number",
			"清算时间\t交易时间\t终端号\t交易类型\t卡号\t交易金额\t清算金额\t手续费\t流水号\t检索号\t卡类型\t发卡行\t商户号\t商户名称\t分店简称\t商户订单号\t银商订单号\t交易方式\n2026-03-05\t2026-03-04 23:05:10\t00000001\t消费\t622280*********0000\t2,500.00\t2,485.00\t15.00\t005607\t230510005607\t贷记卡\t招行\t898000000000001\t店\t\t\t\t刷卡\n",
			"chinaums-store", "230510005607 2500.00 SALE SETTLED 2026-03-05 CARD"},
		{"ChinaUMS, the push file, with a title of few fields",
			"20260305|898|1\n20260305|103000|6222|35.80|028804|00000001|898000000000001|000012|20260305|103000028804|2|0.14|\n",
			"chinaums-push", "103000028804 35.80 SALE SETTLED 2026-03-05 CARD"},
		{"Shengpay's order, amounts in fen", `{"mchId":"30057909","outTradeNo":"P1","transactionId":"T1","totalFee":4500,"tradeType":"wx_native","status":"PAY_SUCCESS","payTime":"20260305111111"}`,
			"shengpay-order", "P1 45.00 SALE SUCCESS 2026-03-05T11:11:11+08:00 WECHAT"},
		{"WeChat Pay with a comma in the goods: the back-ticks tell the cells apart",
			"交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注\n`2026-03-05 09:15:30,`wx8,`1900000109,`0,`1,`4200,`P1,`o,`MICROPAY,`SUCCESS,`CMB,`CNY,`30.80,`5.00,`茶,点心,`a,b,`0.18000,`0.60%,`35.80,`\n总交易单数,应结订单总金额,手续费总金额,订单总金额\n`1,`30.80,`0.18000,`35.80\n",
			"wechat-trade", "P1 35.80 SALE SETTLED 2026-03-05 WECHAT"},
	} {
		res := readNamed(strings.NewReader(test.text), "", nil)
		got := ""
		for _, r := range res.Records {
			switch {
			case r.Settlement != nil:
				s := r.Settlement
				got += fmt.Sprintf("%s %s %s %s %s %s", s.OrderID, s.Amount.StringFixed(2), s.Type, s.Status, s.SettleDate, s.Channel)
			case r.POS != nil:
				p := r.POS
				got += fmt.Sprintf("%s %s %s %s %s %s", p.OrderID, p.Amount.StringFixed(2), p.Type, p.Status, p.TxnTime.Format("2006-01-02T15:04:05Z07:00"), p.Channel)
			case r.Reject != nil:
				got += fmt.Sprint(fields(*r.Reject))
			}
		}
		if res.Err != nil || res.About.Format != test.format || got != test.want || res.Untied != "" {
			t.Errorf("%s: %v %s %s\n got %s\nwant %s", test.why, res.Err, res.About.Format, res.Untied, got, test.want)
		}
	}
}

// A file that stands in place of a bill says whether the day was empty or the bill is still to come.
func TestNoBill(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		why, text, format string
		nothing           bool
	}{
		{"no trades on the day, v2", "<xml><return_code><![CDATA[FAIL]]></return_code>\n<return_msg><![CDATA[No Bill Exist]]></return_msg>\n</xml>", "wechat-no-bill", true},
		{"no trades on the day, v3", `{"code":"NO_STATEMENT_EXIST","message":"账单文件不存在"}`, "wechat-no-bill-v3", true},
		{"the older name of it", `{"code":"NO_BILL_EXIST","message":"账单文件不存在"}`, "wechat-no-bill-v3", true},
		{"the bill is being made", `{"code":"STATEMENT_CREATING","message":"账单生成中"}`, "wechat-bill-creating", false},
		{"the older name of it", `{"code":"BILL_CREATING","message":"账单生成中"}`, "wechat-bill-creating", false},
		{"the caller was refused, v3", `{"code":"NO_AUTH","message":"无权限"}`, "wechat-refusal", false},
		{"the caller was refused, v2", "<xml>\n<return_code><![CDATA[FAIL]]></return_code>\n<return_msg>签名失败</return_msg>\n</xml>", "wechat-refusal", false},
		{"no trades on the day, at Shengpay", `{"returnCode":"SUCCESS","resultCode":"FAIL","errorCode":"BILL_NOT_EXIST","errorCodeDes":"账单不存在"}`, "shengpay-no-bill", true},
		{"another error of Shengpay", `{"returnCode":"SUCCESS","resultCode":"FAIL","errorCode":"SYSTEM_ERROR","errorCodeDes":"系统异常"}`, "shengpay-error", false},
	} {
		var fe *FileError
		if res := readNamed(strings.NewReader(test.text), "", nil); !errors.As(res.Err, &fe) || fe.Format != test.format || fe.Nothing != test.nothing || fe.Version == "" {
			t.Errorf("%s: %+v", test.why, res.Err)
		}
	}
}

// TestTotals: a file that lost rows, or its end, does not pass.
func TestSourceTotals(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(formatsDir, name))
		if err != nil {
			t.Fatal(err)
		}
		return utf8Of(t, data)
	}
	cut := func(s string, from, to int) string {
		l := strings.SplitAfter(s, "\n")
		return strings.Join(slices.Delete(slices.Clone(l), from, to), "")
	}
	for _, test := range []struct{ why, text, want string }{
		{"WeChat, a row gone", cut(read("wechat_trade_all.csv"), 3, 4), "总交易单数 says 6, the rows come to 5"},
		{"WeChat, an amount changed", strings.Replace(read("wechat_trade_all.csv"), "`0.60%,`88.00", "`0.60%,`89.00", 1), "订单总金额 says 263.8, the rows come to 264.8"},
		{"WeChat, the end gone", cut(read("wechat_trade_all.csv"), 7, 9), "总交易单数 is missing at its end"},
		{"WeChat's fund flow, a row gone that is not even loaded", cut(read("wechat_fundflow.csv"), 2, 3), "资金流水总笔数 says 4, the rows come to 3"},
		{"Alipay, a row gone", cut(read("20880000000000000156_20260305_业务明细.csv"), 5, 6), "交易合计笔数 says 2, the rows come to 1"},
		{"Alipay, the end gone", cut(read("20880000000000000156_20260305_业务明细.csv"), 8, 12), "交易合计笔数 is missing"},
		{"the POS platform, a row gone", cut(read("pos_sync_tab.txt"), 1, 2), "the number on the first line says 3, the rows come to 2"},
		{"MT940, an entry gone", strings.Replace(read("bank_mt940.sta"), ":61:2603060306RC99,62NTRF822000000000001//B2026030600002", "", 1), "the closing balance"},
		{"camt.053, an entry changed", strings.Replace(read("bank_camt053.xml"), `<Amt Ccy="CNY">2829.38`, `<Amt Ccy="CNY">2829.37`, 1), "the closing balance"},
		{"MT940, the end gone", strings.Split(read("bank_mt940.sta"), ":61:2603060306RC")[0], "has no closing balance: it is cut short"},
		{"MT940, the end of the first statement gone", strings.Split(read("bank_mt940.sta"), ":61:2603060306RC")[0] + read("bank_mt940.sta"), "has no closing balance: it is cut short"},
		{"MT940, cut in the closing balance", strings.Split(read("bank_mt940.sta"), "CNY12746")[0], "has no closing balance: it is cut short"},
		{"BAI2, the end gone", strings.Split(read("bank_bai2.txt"), "49,")[0], "account ***0001 has no record 49: it is cut short"},
		{"BAI2, the group's end gone", strings.Split(read("bank_bai2.txt"), "98,")[0], "the group has no record 98"},
		{"BAI2, the file's end gone", strings.Split(read("bank_bai2.txt"), "99,")[0], "the file has no record 99"},
		{"BAI2, a record gone that has no amount", strings.Replace(read("bank_bai2.txt"), "88,CHINAUMS/\n", "", 1), "record 49 of account ***0001 says 4 records, it has 3"},
		{"BAI2, another number of accounts", strings.Replace(read("bank_bai2.txt"), "98,1284596,1", "98,1284596,2", 1), "record 98 of the group says 2 accounts, it has 1"},
		{"BAI2, another sum of the file", strings.Replace(read("bank_bai2.txt"), "99,1284596", "99,1284597", 1), "record 99 of the file says 1284597, its records add up to 1284596"},
		{"BAI2, an entry changed", strings.Replace(read("bank_bai2.txt"), "282938", "282937", 1), "record 49"},
	} {
		if res := readNamed(strings.NewReader(test.text), "", nil); res.Err != nil || !strings.Contains(res.Untied, test.want) {
			t.Errorf("%s: %v, %q, want %q", test.why, res.Err, res.Untied, test.want)
		}
	}
}

// TestStandards reads what the international statement formats allow beside what the samples have.
func TestStandards(t *testing.T) {
	mt940 := func(lines ...string) string {
		return strings.Join(slices.Concat([]string{":20:S", ":25:6225000000000001", ":28C:1/1", ":60F:C260306CNY0,"}, lines, []string{":62F:C260306CNY30,", "-"}), "\r\n") + "\r\n"
	}
	bai2 := func(records, total string, lines ...string) string {
		var n int
		fmt.Sscan(records, &n)
		return strings.Join(slices.Concat([]string{"01,B,C,260306,1800,1,80,,2/", "02,C,B,1,260306,,CNY,2/"}, lines,
			[]string{"49," + total + "," + records + "/", fmt.Sprintf("98,%s,1,%d/", total, n+2), fmt.Sprintf("99,%s,1,%d/", total, n+4)}), "\n") + "\n"
	}
	camt := func(details string) string {
		return `<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt><Stmt><Acct><Id><Othr><Id>6225000000000001</Id></Othr></Id><Ccy>CNY</Ccy></Acct>` +
			`<Ntry><Amt Ccy="CNY">100.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-06</Dt></BookgDt><NtryDtls>` + details + `</NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>`
	}
	detail := func(ccy, amount, more string) string {
		return `<TxDtls><AmtDtls><TxAmt><Amt Ccy="` + ccy + `">` + amount + `</Amt></TxAmt></AmtDtls>` + more + `</TxDtls>`
	}
	for _, test := range []struct{ why, text, want string }{
		{"MT940, a quote in a narrative is a character", mt940(":61:2603060306C10,NTRF1//B1", ":86:KAHAO", "\"X,POS", ":61:2603060306C20,NTRF2//B2", ":86:TUI \"HUI\"", "ZHANGHU\""),
			`10.00 "KAHAO "X,POS 1"; 20.00 "TUI "HUI" ZHANGHU" 2"`},
		{"MT940, pages of a statement, each opened and closed", mt940(":61:2603060306C10,NTRF1//B1", ":62M:C260306CNY10,", "-", ":20:S", ":25:6225000000000001", ":28C:1/2", ":60M:C260306CNY10,", ":61:2603060306C20,NTRF2//B2"),
			`10.00 "1"; 20.00 "2"`},
		{"BAI2, an account's summary goes on in an 88", bai2("4", "2569192", "03,6225000000000001,CNY,010,1001658,,/", "88,015,1284596,,/", "16,195,282938,Z,B1,898,POS/"), `2829.38 "898 POS"`},
		{"BAI2, amounts by availability and a value date", bai2("4", "3000", "03,6225000000000001,CNY,010,1000,,S,1,2,3,015,500,,V,260306,1200/", "16,195,1000,D,2,0,600,1,400,B1,898,POS/", "16,195,500,V,260306,,B2,899,POS, \"X/"),
			`10.00 "898 POS"; 5.00 "899 POS "X"`},
		{"BAI2, an account without a summary", bai2("3", "1000", "03,6225000000000001,CNY/", "16,195,1000,Z,B1,898,POS/"), `10.00 "898 POS"`},
		{"camt.053, transactions that come to their entry", camt(detail("CNY", "70.00", "") + detail("CNY", "30.00", "")), `70.00 ""; 30.00 ""`},
		{"camt.053, a refund taken from a batch", camt(detail("CNY", "130.00", "") + detail("CNY", "30.00", "<CdtDbtInd>DBIT</CdtDbtInd>")), `130.00 ""; -30.00 ""`},
		{"camt.053, a transaction in another currency", camt(detail("USD", "8.00", "<RmtInf><Ustrd>898</Ustrd></RmtInf>") + detail("CNY", "30.00", "<RmtInf><Ustrd>899</Ustrd></RmtInf>")), `100.00 "898 899"`},
		{"camt.053, transactions that do not come to their entry", camt(detail("CNY", "70.00", "") + detail("CNY", "20.00", "")), `100.00 ""`},
		{"camt.053, an amount of a billion digits", camt(detail("CNY", "1e1000000000", "") + detail("CNY", "20.00", "")), `100.00 ""`},
	} {
		res := readNamed(strings.NewReader(test.text), "", nil)
		var got []string
		for _, r := range res.Records {
			if r.Bank == nil {
				t.Errorf("%s: %v", test.why, res.rejects())
				continue
			}
			got = append(got, fmt.Sprintf("%s \"%s\"", r.Bank.Amount.StringFixed(2), r.Bank.Memo))
		}
		if diff := cmp.Diff(test.want, strings.Join(got, "; ")); diff != "" || res.Err != nil || res.Untied != "" {
			t.Errorf("%s: %v %q (-want +got):\n%s", test.why, res.Err, res.Untied, diff)
		}
	}
}

// A quote in a field of fixed width is a character; it took the lines that follow with it.
func TestQuoteInFixedWidth(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(formatsDir, "INN26030588ZM_898000000000001"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(data, []byte("\n"))
	for i, quote := range []string{`,"`, `",`} {
		blank := bytes.LastIndex(lines[i], []byte("  "))
		lines[i] = slices.Concat(lines[i][:blank], []byte(quote), lines[i][blank+2:])
	}
	quoted := bytes.Join(lines, []byte("\n"))
	res := readNamed(bytes.NewReader(quoted), "INN26030588ZM_898000000000001", nil)
	want := readNamed(bytes.NewReader(data), "INN26030588ZM_898000000000001", nil)
	if diff := cmp.Diff(want.accepted(), res.accepted()); diff != "" || len(want.accepted()) < 2 || len(res.rejects()) > 0 {
		t.Errorf("%v (-want +got):\n%s", res.rejects(), diff)
	}
}

// The portal's export is cut off at 1,000 rows without a word; ours are not.
func TestRowCap(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(formatsDir, "chinaums_netbank_20260305.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	l := strings.SplitAfter(string(data), "\n")
	var b strings.Builder
	b.WriteString(strings.Join(l[:4], ""))
	for i := range 1000 {
		b.WriteString(strings.Replace(l[5], "POS20260305000021", fmt.Sprintf("P%d", i), 1))
	}
	res := readNamed(strings.NewReader(b.String()), "", nil)
	if len(res.Records) != 1000 || !strings.Contains(res.Remark, "1000") {
		t.Errorf("%d records, remark %q", len(res.Records), res.Remark)
	}
}

// Names, cards, accounts and payers' ids of the samples are in nothing that is kept.
func TestNothingPersonal(t *testing.T) {
	personal := []string{"oUpF8uMuAJO", "*杨", "137****2600", "622280*", "622848*", "439225*", "6225000000000001", "621226", "216200100000000001", "*某", "2088000000000001", "o12Tt4h", "1234****9876",
		"ZHANG SAN", "张三", "李店", "王小明", "wangxm@"}
	documents := map[string][]byte{}
	for _, path := range formatSamples(t) {
		for name, data := range sampleDocuments(t, path) {
			documents[name] = data
		}
	}
	// The samples' other sides are businesses; here they are people.
	for _, name := range []string{"bank_camt053.xml", "bank_mt940.sta", "bank_cmb.csv", "bank_boc.csv", "bank_abc.csv", "bank_icbc.csv"} {
		text := utf8Of(t, documents[name])
		for _, business := range []string{"银联商务股份有限公司客户备付金", "拉卡拉支付股份有限公司", "财付通支付科技有限公司"} {
			documents["李店 in "+name] = []byte(strings.ReplaceAll(text, business, "李店"))
			text = strings.ReplaceAll(text, business, "张三")
		}
		documents["张三 in "+name] = []byte(text)
		documents["ZHANG SAN in "+name] = []byte(strings.NewReplacer("张三", "ZHANG SAN", "CHINAUMS KEHU BEIFUJIN", "ZHANG SAN").Replace(text))
	}
	own := "account,book_date,amount,counterparty,memo\n6225000000000001,2026-03-05,1.00,张三,x\n6225000000000001,2026-03-05,1.00,ZHANG SAN,wangxm@example.com\n6225000000000001,2026-03-05,1.00,李店,x\n"
	documents["canonical"] = []byte(own)
	documents["canonical, with a cell too many"] = []byte(strings.ReplaceAll(own, ",x\n", ",x,\n"))
	alipay := utf8Of(t, documents["20880000000000000156_20260305_业务明细.csv"])
	documents["a comma in the goods"] = []byte(strings.NewReplacer("收银台收款", "套餐A,大杯", "*杨(137****2600)", "王小明 wangxm@example.com", "*雪真", "王小明").Replace(alipay))
	for name, data := range documents {
		text := readNamed(bytes.NewReader(data), name, nil).describe()
		// The same with every row rejected: what is kept of a rejected line must do as well.
		for _, day := range []string{"2026-03-05", "2026-03-06", "20260306", "260306C"} {
			spoiled := bytes.ReplaceAll(data, []byte(day), []byte(strings.Replace(day, "03", "13", 1)))
			text += readNamed(bytes.NewReader(spoiled), name, nil).describe()
		}
		// And with a column too many.
		text += readNamed(bytes.NewReader(bytes.ReplaceAll(data, []byte("2026-03-06"), []byte("2026-03-06,,,,,,,,,,,,,,,,,,,,,"))), name, nil).describe()
		for _, p := range personal {
			if strings.Contains(text, p) {
				t.Errorf("%s keeps %s:\n%s", name, p, lineWith(text, p))
			}
		}
	}
}

// lineWith returns the first line of a text that holds a part.
func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
