package statement

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posrecon/posrecon/internal/profile"
)

// said writes what matters of the records: who, how much, which way, when, how it stands.
func said(res result) string {
	var out []string
	for _, r := range res.Records {
		switch {
		case r.Settlement != nil:
			s := r.Settlement
			out = append(out, fmt.Sprint(s.OrderID, " ", s.MerchantID, " ", s.Amount.StringFixed(2), " ", s.Type, " ", s.Status, " ", s.SettleDate))
		case r.POS != nil:
			p := r.POS
			out = append(out, fmt.Sprint(p.OrderID, " ", p.Amount.StringFixed(2), " ", p.Type, " ", p.Status))
		case r.Payout != nil:
			p := r.Payout
			out = append(out, fmt.Sprint(p.PayoutID, " ", p.MerchantID, " ", p.Amount.StringFixed(2), " ", p.Status, " ", p.PayoutDate, " ", p.ReplacesPayoutID, p.Reason))
		case r.Bank != nil:
			out = append(out, fmt.Sprint(r.Bank.BookDate, " ", r.Bank.Amount.StringFixed(2)))
		default:
			out = append(out, "rejected: "+r.Reject.Rule)
		}
	}
	return strings.Join(out, "|")
}

// sample returns a sample as UTF-8.
func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(formatsDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return utf8Of(t, data)
}

// changed replaces in a text, and fails where there is nothing to replace.
func changed(t testing.TB, s, old, new string) string {
	t.Helper()
	if !strings.Contains(s, old) {
		t.Fatalf("%q is not in the text", old)
	}
	return strings.Replace(s, old, new, 1)
}

// What a source's rows say of money that comes, goes, comes back or is stopped.
func TestEvents(t *testing.T) {
	t.Parallel()
	const (
		alipayHead = "支付宝交易号,商户订单号,业务类型,完成时间,订单金额（元）,商家实收（元）,服务费（元）"
		account    = "#支付宝账务明细查询\n#账号：[20880000000000000156]\n账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,交易渠道,业务类型,备注\n"
		fundflow   = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\n"
		leshua     = "BT,编号,交易时间,订单号,商户号,费率(万分之一),交易金额(分),手续费(分),结算金额(分),资金流向,第三方订单号\n"
		corporate  = "账号,交易日期,借方发生额,贷方发生额,余额,对方户名,摘要\n"
	)
	zme := sample(t, "INN26030588ZME_898000000000001")
	zm := sample(t, "INN26030588ZM_898000000000001")
	lichu := sample(t, "00000001_20260305.txt")
	for _, test := range []struct{ why, name, text, want string }{
		{"Alipay, one merchant: its number without the 0156 that an account's has", "",
			"#账号：[20880000000000000156]\n" + alipayHead + "\nT1,P1,交易,2026-03-05 10:00:30,100.00,100.00,-0.60\n#交易合计：1笔，商家实收共100.00元\n",
			"P1 2088000000000000 100.00 SALE SETTLED 2026-03-05"},
		{"Alipay, a bill of several merchants: each row's own", "",
			"#账号：[20880000000000000156]\n" + alipayHead + ",商户识别号\nT1,P1,交易,2026-03-05 10:00:30,100.00,100.00,-0.60,208899995\nT1,P2,交易,2026-03-05 10:00:30,1.00,1.00,0.00,\n#交易合计：2笔，商家实收共101.00元\n",
			"P1 208899995 100.00 SALE SETTLED 2026-03-05|P2 2088000000000000 1.00 SALE SETTLED 2026-03-05"},
		{"Alipay, a withdrawal that came back", "",
			account + "1,W1,,,2026-03-05 22:00:00,,0.00,-69.40,0.00,支付宝,提现,\n2,W1,,,2026-03-05 23:00:00,,69.40,0.00,69.40,支付宝,提现退回,\n#支出合计：1笔，共-69.40元\n#收入合计：1笔，共69.40元\n",
			"W1 2088000000000000 69.40 PAID 2026-03-05 |W1 2088000000000000 69.40 RETURNED 2026-03-05 "},
		{"WeChat Pay, a settlement to the bank and one that came back", "",
			fundflow + "`2026-03-05 00:10:03,`1,`1900000109202603050000000001,`充值/提现,`结算,`支出,`512.34,`0.00,`system,`,`TX1\n" +
				"`2026-03-05 11:10:03,`2,`1900000109202603050000000002,`充值/提现,`提现退票,`收入,`300.00,`300.00,`system,`银行退回,`TX0\n" +
				"`2026-03-05 11:20:03,`3,`1900000109202603050000000003,`充值,`结算,`收入,`1.00,`301.00,`system,`,`TX9\n" +
				"资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\n`3.0,`2.0,`301.00,`1.0,`512.34\n",
			"TX1 1900000109 512.34 PAID 2026-03-05 |TX0 1900000109 300.00 RETURNED 2026-03-05 银行退回"},
		{"Leshua, a sale that was frozen on its day is held: the freeze acts on the next day's payout", "",
			leshua + "BV,1,2026-03-05 10:00:00,L1,58001,38,500,2,498,进账,P1\nBV,2,2026-03-05 17:00:00,L1,58001,38,500,2,498,冻结,P1\nBV,3,2026-03-05 18:00:00,L1,58001,38,500,2,498,解冻,P1\n",
			"P1 58001 5.00 SALE SETTLED 2026-03-05|P1 58001 5.00 SALE HELD 2026-03-06|P1 58001 5.00 SALE SETTLED 2026-03-06"},
		{"UnionPay, an adjustment that takes money", "INN26030588ZME_898", zme, "REFUND SETTLED 2026-03-05"},
		{"UnionPay, an adjustment that gives money back", "INN26030588ZME_898", changed(t, zme, " D00", " C00"), "SALE SETTLED 2026-03-05"},
		{"UnionPay, a record that was cut within the merchant's number", "INN26030588ZM_898", zm[:300], "rejected: the record is shorter than its columns, or they do not stand where they should"},
		{"UnionPay, records without their last columns", "INN26030588ZM_898", func() string {
			var out []string
			for line := range strings.Lines(zm) {
				line = strings.TrimRight(line, "\r\n")
				out = append(out, line[:len(line)-132])
			}
			return strings.Join(out, "\n")
		}(), said(readNamed(strings.NewReader(zm), "INN26030588ZM_898", nil))},
		{"Lichu, a paid order", "", lichu, "1.00 SALE SETTLED 2026-03-05"},
		{"Lichu, an order in a state that nobody has documented", "", changed(t, lichu, ",6,1,3", ",6,2,3"), "rejected: a value that the profile lichu does not know"},
		{"Lakala, the parts of a main order are the same money", "",
			`{"resp_data": [{"merchant_no": "822", "out_trade_no": "MAIN1", "trade_no": "t1", "trade_state": "SUCCESS", "total_amount": "300", "trade_time": "20260305100000", "account_type": "WECHAT", "split_attr": "M"},
			 {"merchant_no": "822", "out_trade_no": "SUB1", "trade_no": "t2", "trade_state": "SUCCESS", "total_amount": "100", "trade_time": "20260305100000", "account_type": "WECHAT", "split_attr": "S"}]}`,
			"MAIN1 3.00 SALE SUCCESS"},
		{"Leshua, a payout made again, and one of which a part is stopped", "",
			`{"list": [{"billId":"20260307000000000009","merchantId":"58","planAmount":500,"suspendAmount":0,"realAmount":500,"state":1,"settDate":"2026-03-07","remark":"重打款 原单20260306000000000003"},
			 {"billId":"20260307000000000010","merchantId":"58","planAmount":500,"suspendAmount":200,"realAmount":300,"state":1,"settDate":"2026-03-07","remark":"客户账T1"}]}`,
			"20260307000000000009 58 5.00 PAID 2026-03-07 20260306000000000003|20260307000000000010 58 3.00 PAID 2026-03-07 止付 200 分"},
		{"a red debit of a company's account comes in", "", corporate + "622,2026-03-06,100.00,,900.00,甲公司,付款\n622,2026-03-06,-100.00,,1000.00,甲公司,付款冲正\n",
			"2026-03-06 -100.00|2026-03-06 100.00"},
		{"the foot of a bank's statement is no line of it", "", strings.TrimRight(sample(t, "bank_cmb.csv"), "\r\n") + "\n收入合计：1笔，共100.00元\n合计,,,\n",
			said(readNamed(strings.NewReader(sample(t, "bank_cmb.csv")), "", nil))},
	} {
		res := readNamed(strings.NewReader(test.text), test.name, nil)
		if got := said(res); res.Err != nil || res.Untied != "" || test.want == "" || !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: %v %s\n got %s\nwant %s", test.why, res.Err, res.Untied, got, test.want)
		}
	}
}

// A pre-authorisation moves no money; its completion does.
func TestPreauthorisation(t *testing.T) {
	t.Parallel()
	zm := sample(t, "INN26030588ZM_898000000000001")
	all := said(readNamed(strings.NewReader(zm), "INN26030588ZM_898", nil))
	first, rest, _ := strings.Cut(zm, "\n")
	for code, want := range map[string]string{"03": all, "02": all[strings.Index(all, "|")+1:]} {
		row := []byte(first)
		copy(row[215:], code)
		if got := said(readNamed(bytes.NewReader(append(append(row, '\n'), rest...)), "INN26030588ZM_898", nil)); got != want {
			t.Errorf("with %s:\n got %s\nwant %s", code, got, want)
		}
	}
}

// All pages of an answer are read, however they lie in the file; what was cut off, or is no row, is told.
func TestPages(t *testing.T) {
	t.Parallel()
	object := func(id string) string {
		return fmt.Sprintf(`{"billId":%q,"merchantId":"58","planAmount":500,"suspendAmount":0,"realAmount":500,"state":1,"settDate":"2026-03-07"}`, id)
	}
	page := func(total int, ids ...string) string {
		var rows []string
		for _, id := range ids {
			rows = append(rows, object(id))
		}
		return fmt.Sprintf(`{"pageNo":1,"list":[%s],"totalCount":%d}`, strings.Join(rows, ","), total)
	}
	own := ownProfile(t, "name: mine\nkind: payout\nacquirer: leshua\nfile: {layout: json}\nmatch: {columns: [billId, state]}\nfields:\n  payout_id: billId\n"+
		"  merchant_id: merchantId\n  payout_date: settDate\n  amount: {column: realAmount, unit: fen}\n  status: {value: PAID}\n")
	for _, test := range []struct {
		why, text string
		own       bool
		rows      int
		bad       int
		remark    string
		untied    string
		err       string
	}{
		{"one page that is all", page(2, "A", "B"), false, 2, 0, "", "", ""},
		{"two pages", page(3, "A", "B") + "\n" + page(3, "C"), false, 3, 0, "", "", ""},
		{"one page of several", page(45, "A", "B"), false, 2, 0, "totalCount says 45, this file has 2", "", ""},
		{"more rows than there should be", page(1, "A", "B"), false, 2, 0, "", "totalCount says 1, the rows come to 2", ""},
		{"cut off behind a row", strings.Split(page(2, "A", "B"), "]")[0], false, 2, 0, "", "", "ends in the middle"},
		{"cut off within a row", strings.Split(page(2, "A", "B"), `"merchantId":"58","planAmount":500,"suspendAmount":0,"realAmount":500,"state":1,"settDate":"2026-03-07"}],`)[0], false, 1, 0, "", "", "ends in the middle"},
		{"cut off behind the rows", strings.TrimSuffix(page(2, "A", "B"), "}"), false, 2, 0, "", "", "ends in the middle"},
		{"something else behind it", page(2, "A", "B") + " x", false, 2, 0, "", "", "not JSON"},
		{"another document behind it", page(2, "A", "B") + ` {"error": 1}`, false, 2, 0, "", "", `no rows at "list"`},
		{"an element that is no object", `{"list":[` + object("A") + `,"B",null,[1],` + object("C") + `],"totalCount":5}`, false, 5, 3, "", "", ""},
		{"an array of its own, and another", "[" + object("A") + "]\n[" + object("B") + "," + object("C") + "]", true, 3, 0, "", "", ""},
		{"an array that is not closed", "[" + object("A") + ",", true, 1, 0, "", "", "ends in the middle"},
		{"lines", object("A") + "\n" + object("B") + "\n", true, 2, 0, "", "", ""},
	} {
		var profiles []*profile.Profile
		if test.own {
			profiles = append(profiles, own)
		}
		res := readNamed(strings.NewReader(test.text), "", profiles)
		var fe *FileError
		if (test.err != "") != (res.Err != nil) || res.Err != nil && (!errors.As(res.Err, &fe) || !strings.Contains(fe.Rule, test.err)) {
			t.Errorf("%s: %v, want %q", test.why, res.Err, test.err)
		}
		if len(res.Records) != test.rows || len(res.rejects()) != test.bad || !strings.Contains(res.Remark, test.remark) || res.Err == nil && test.remark == "" && res.Remark != "" ||
			res.Err == nil && (res.Untied != "") != (test.untied != "") || !strings.Contains(res.Untied, test.untied) {
			t.Errorf("%s: %d rows, rejected %q, remark %q, untied %q", test.why, len(res.Records), res.rejects(), res.Remark, res.Untied)
		}
	}
}

// Several exports of a portal, one after the other: each is cut off by itself, and has its own order of columns.
func TestExportsInOne(t *testing.T) {
	t.Parallel()
	const (
		title = "对账明细查询结果（仅显示1000条记录）\n"
		head  = "清算日期\t交易日期\t交易时间\t终端号\t交易金额\t清算金额\t手续费\t流水号\t交易类型\t参考号\t商户号\t商户订单号\n"
	)
	row := func(order, amount, net string) string {
		return "20260305\t2026-03-05\t10:30:00\t00000001\t" + amount + "\t" + net + "\t0.14\t028804\t消费\t103000028804\t898000000000001\t" + order + "\n"
	}
	var full strings.Builder
	full.WriteString(title + head)
	for i := range 1000 {
		full.WriteString(row(fmt.Sprint("P", i), "35.80", "35.66"))
	}
	if res := readNamed(strings.NewReader(full.String()+title+head+row("Q", "1.00", "0.99")), "", nil); len(res.Records) != 1001 || !strings.Contains(res.Remark, "exactly 1000 rows") {
		t.Errorf("%d records, remark %q", len(res.Records), res.Remark)
	}
	other := strings.Replace(head, "交易金额\t清算金额", "清算金额\t交易金额", 1)
	res := readNamed(strings.NewReader(title+head+row("A", "35.80", "35.66")+title+other+row("B", "35.66", "35.80")), "", nil)
	if got, want := said(res), "A 898000000000001 35.80 SALE SETTLED 2026-03-05|B 898000000000001 35.80 SALE SETTLED 2026-03-05"; got != want {
		t.Errorf("with columns in another order:\n got %s\nwant %s", got, want)
	}
}

// What may stand in an amount that is loaded may stand in one that a control total adds up.
func TestTotalsOfMarkedAmounts(t *testing.T) {
	t.Parallel()
	p := ownProfile(t, widthProfile+"totals: [{label: 合计, pattern: '^合计,+([^,]+)', of: 金额}]\n")
	for _, test := range []struct{ why, cell, total, untied string }{
		{"a yen sign", "¥20.00", "30.00", ""},
		{"thousands", `"1,020.00"`, "1030.00", ""},
		{"a mark, and a total that does not tie", "CNY20.00", "31.00", "合计 says 31, the rows come to 30"},
		{"the total has the mark", "20.00", "¥30.00元", ""},
		{"a total of no size at all", "20.00", "1E+999999999", "合计 is \"1E+999999999\", which is no number"},
	} {
		res := readNamed(strings.NewReader("单号,商户,日期,付款人,金额,手续费\nA1,M1,2026-11-03,,10.00,\nA2,M1,2026-11-03,,"+test.cell+",\n合计,,,,"+test.total+",\n"), "", []*profile.Profile{p})
		if len(res.accepted()) != 2 || res.Untied != test.untied {
			t.Errorf("%s: %v %q", test.why, res.rejects(), res.Untied)
		}
	}
}

// Lines at the end of a fixed-width file are no records, whatever their width.
func TestFixedTrailer(t *testing.T) {
	t.Parallel()
	const text = "A1        M1 00000010002026-11-03\nA2        M1 00000020002026-11-03\nTRAILER0000000002 0000003000 AND WHAT ELSE THERE IS\nEND\n"
	const base = `name: mine
kind: settlement
acquirer: lakala
file: {layout: fixed, columns: [no, m, amt, day], widths: [10, 3, 10, 10]}
match: {cells: {amt: '^\d{10}$', day: '^20'}}
fields: {order_id: no, merchant_id: m, amount: {column: amt, unit: fen}, settle_date: day, status: {value: SETTLED}}
`
	for _, test := range []struct{ why, more, untied string }{
		{"they are ignored", "ignore: [^TRAILER, ^END]\n", ""},
		{"they state totals", "ignore: [^END]\ntotals: [{label: count, pattern: '^TRAILER(\\d{10})', of: count}, {label: sum, pattern: '^TRAILER\\d{10} (\\d{10})', of: amt, unit: fen}]\n", ""},
		{"they state totals that do not tie", "ignore: [^END]\ntotals: [{label: count, pattern: '^TRAILER(\\d{9})', of: count}]\n", "count says 0, the rows come to 2"},
	} {
		res := readNamed(strings.NewReader(text), "", []*profile.Profile{ownProfile(t, base+test.more)})
		if got := said(res); res.Err != nil || got != "A1 M1 10.00 SALE SETTLED 2026-11-03|A2 M1 20.00 SALE SETTLED 2026-11-03" || res.Untied != test.untied {
			t.Errorf("%s: %v %q %s", test.why, res.Err, res.Untied, got)
		}
	}
}

// A total may stand beside its label, before the rows or behind them, in as many cells as there are.
func TestTotalsBesideLabels(t *testing.T) {
	t.Parallel()
	p := ownProfile(t, widthProfile+"totals: [{label: 合计, of: 金额}, {label: 总笔数, of: count}]\nignore: [^合计, ^打印]\n")
	const head, rows = "单号,商户,日期,付款人,金额,手续费\n", "A1,M1,2026-11-03,,10.00,\nA2,M1,2026-11-03,,20.00,\n"
	for _, test := range []struct{ why, text, untied string }{
		{"behind the rows", head + rows + "合计,30.00\n总笔数,2\n", ""},
		{"under their columns", head + rows + "合计,,,,30.00,\n总笔数,2,,,,\n", ""},
		{"with a colon, in one cell", head + rows + "总笔数：2笔,合计：¥30.00元\n", ""},
		{"before the rows", "对账单\n合计：,30.00,总笔数：,2\n" + head + rows, ""},
		{"with tabs", strings.ReplaceAll(head+rows+"总笔数,2\n合计,30.00\n", ",", "\t"), ""},
		{"in a line that is ignored as well, and does not tie", head + rows + "合计,31.00\n", "合计 says 31, the rows come to 30"},
		{"the count does not tie", head + rows + "打印,总笔数,3\n", "总笔数 says 3, the rows come to 2"},
		{"in a block of its own with a header, as before", head + rows + "合计,总笔数\n30.00,2\n", ""},
		{"the same, that does not tie", head + rows + "合计,总笔数\n30.00,3\n", "总笔数 says 3, the rows come to 2"},
		{"nothing is stated", head + rows + "打印时间,2026\n", ""},
	} {
		res := readNamed(strings.NewReader(test.text), "", []*profile.Profile{p})
		if res.Err != nil || len(res.accepted()) != 2 || len(res.rejects()) > 0 || res.Untied != test.untied {
			t.Errorf("%s: %v %v %q", test.why, res.Err, res.rejects(), res.Untied)
		}
	}
	narrow := ownProfile(t, "name: mine\nkind: bank_statement\nacquirer: abc\nmatch: {columns: [日期, 金额]}\nfields: {book_date: 日期, amount: 金额}\ntotals: [{label: 合计, of: 金额}]\n")
	res := readNamed(strings.NewReader("日期,金额,备注\n2026-11-03,10.00,x\n合计,11.00,\n"), "", []*profile.Profile{narrow})
	if len(res.Records) != 1 || !strings.Contains(res.Untied, "合计 says 11") {
		t.Errorf("a narrow table: %d rows, %q", len(res.Records), res.Untied)
	}
}
