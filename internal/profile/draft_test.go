package profile

import (
	"strings"
	"testing"
)

func table(header string, rows ...string) Sample {
	s := Sample{Encoding: "utf-8", Separator: ",", Line: 1, Header: strings.Split(header, ",")}
	for _, r := range rows {
		s.Rows = append(s.Rows, strings.Split(r, ","))
	}
	return s
}

func around(s Sample, before, after []string) Sample {
	s.Before, s.After = before, after
	return s
}

// What a draft takes for certain, for a guess and for nothing that it knows.
func TestDraft(t *testing.T) {
	const head = "商户订单编号,商户编号,金额,结算日,结算状态"
	for _, test := range []struct {
		why    string
		sample Sample
		want   []string
		not    []string
	}{
		{"names that formats use, and words that they know", table("平台单号,商户订单编号,商户编号,金额(分),资金日,结算状态,支付渠道", "X1,P1,M1,3580,2026-03-06,已结算,微信", "X2,P2,M1,100,2026-03-06,冻结,支付宝"),
			[]string{"order_id: 商户订单编号", "merchant_id: 商户编号", "amount: {column: 金额(分), unit: fen}", "map: {已结算: SETTLED, 冻结: HELD}",
				"map: {微信: WECHAT, 支付宝: ALIPAY}", "such as P1", "acquirer: TODO"}, nil},
		{"whole numbers are yuan unless something says fen", table(head, "P1,M1,1000,2026-03-06,已结算"), []string{"amount: 金额   # ? whole numbers, read as yuan"}, []string{"amount: {column: 金额, unit: fen}"}},
		{"with whole fees they are probably fen, which is said", table(head+",手续费", "P1,M1,1000,2026-03-06,已结算,4"), []string{"as whole fees suggest"}, nil},
		{"the lines before the rows say fen", around(table(head, "P1,M1,1000,2026-03-06,已结算"), []string{"对账单 金额单位：分"}, nil), []string{"amount: {column: 金额, unit: fen}"}, nil},
		{"a column of shares is none of fen", table("商户订单编号,商户编号,分账金额,结算日,结算状态", "P1,M1,10.00,2026-03-06,已结算"), nil, []string{"unit: fen"}},
		{"a net that is not the amount less the fee", table(head+",手续费,结算金额", "P1,M1,10.00,2026-03-06,已结算,0.04,9.00"), []string{"金额 less 手续费 is not 结算金额"}, nil},
		{"what denies is looked for before what it denies", table(head, "P1,M1,1.00,2026-03-06,未结算", "P2,M1,1.00,2026-03-06,结算失败", "P3,M1,1.00,2026-03-06,结算中", "P4,M1,1.00,2026-03-06,已出款",
			"P5,M1,1.00,2026-03-06,暂缓结算", "P6,M1,1.00,2026-03-06,已解冻", "P7,M1,1.00,2026-03-06,异常", "P8,M1,1.00,2026-03-06,未成功"),
			[]string{"未结算: PENDING   # ?", "结算失败: REJECTED\n", "结算中: PENDING   # ?", "已出款: SETTLED   # ?", "暂缓结算: HELD   # ?", "已解冻: TODO   # ?", "异常: TODO   # ?", "未成功: TODO   # ?"}, nil},
		{"paid is SETTLED in a settlement file", table(head, "P1,M1,1.00,2026-03-06,已清算", "P1,M1,1.00,2026-03-06,已入账", "P1,M1,1.00,2026-03-06,已支付", "P1,M1,1.00,2026-03-06,已付", "P1,M1,1.00,2026-03-06,已到账", "P1,M1,1.00,2026-03-06,止付"),
			[]string{"已清算: SETTLED", "已入账: SETTLED", "已支付: SETTLED", "已付: SETTLED", "已到账: SETTLED", "止付: HELD"}, []string{"TODO: TODO"}},
		{"a payout's words are a payout's", table("打款单号,商户编号,打款日期,打款金额,打款状态", "D1,M1,2026-03-06,10.00,成功", "D2,M1,2026-03-06,10.00,处理中"), []string{"kind: payout", "成功: PAID", "处理中: PROCESSING"}, []string{"SETTLED"}},
		{"a column of states is no type", table("商户订单编号,商户编号,金额,结算日,交易状态", "P1,M1,1.00,2026-03-06,成功", "P2,M1,1.00,2026-03-06,失败"), []string{"column: 交易状态", "成功: SETTLED"}, []string{"  type:"}},
		{"a column of types is no state", table("商户订单编号,商户编号,金额,结算日,交易状态", "P1,M1,1.00,2026-03-06,消费", "P2,M1,1.00,2026-03-06,退货"), []string{"type:", "消费: SALE", "退货: REFUND", "status: {value: SETTLED}   # ? no column says"}, nil},
		{"found by their values alone", table("商户订单编号,商户编号,金额,结算日,甲,乙", "P1,M1,1.00,2026-03-06,收款,已到账", "P2,M1,1.00,2026-03-06,退款,待出款"),
			[]string{"column: 乙", "已到账: SETTLED", "待出款: PENDING", "收款: SALE", "退款: REFUND"}, []string{"value: SETTLED"}},
		{"a state of numbers is nobody's guess", table(head, "P1,M1,1.00,2026-03-06,1", "P2,M1,1.00,2026-03-06,2"), []string{"'1': TODO   # ?", "'2': TODO   # ?"}, []string{"value: SETTLED"}},
		{"a settlement day before a trade's", table("商户订单编号,商户编号,金额,交易日期,交易时间,到账日,状态", "P1,M1,1.00,20260305,91530,20260306,成功"), []string{"settle_date: 到账日", "txn_time: {join: [交易日期, 交易时间]}"}, nil},
		{"a trade's day, where there is no other", table("商户订单编号,商户编号,金额,交易日期,交易时间,状态", "P1,M1,1.00,2026-03-05,09:15:30,成功"),
			[]string{"settle_date: 交易日期   # ? a trade's own day", "txn_time: {join: [交易日期, 交易时间]}"}, nil},
		{"a day of the order first", table("商户订单编号,商户编号,金额,结算日,结算状态", "P1,M1,1.00,06/03/2026,已结算"), []string{"settle_date: {column: 结算日, layout: dd/MM/yyyy}   # ? or MM/dd/yyyy"}, nil},
		{"negative amounts without a type", table(head, "P1,M1,-1.00,2026-03-06,已结算"), []string{"type: {sign_of: 金额}   # ?"}, nil},
		{"people", table("付款人姓名,卡号,手机号,甲,"+head, "张三,622280****0000,13712342600,622280****0001,P1,M1,1.00,2026-03-06,已结算"),
			[]string{"personal: [付款人姓名, 卡号, 手机号, 甲]", "columns: [商户订单编号,"}, []string{"columns: [付款人", "张三", "1371", "6222"}},
		{"a merchant and a day above the rows", around(table("商户订单号,金额,状态", "P1,1.00,成功"), []string{"商户编号：822100000000001", "结算日期: 2026-03-06"}, nil),
			[]string{"merchant_id: {capture: merchant}", "settle_date: {capture: day}", "pattern: '商户编号"}, nil},
		{"whose it is, by what it says", around(table(head, "P1,M1,1.00,2026-03-06,已结算"), []string{"拉卡拉支付对账单"}, nil), []string{"acquirer: lakala   # ? the file says 拉卡拉"}, nil},
		{"totals and feet", around(table(head, "P1,M1,1.00,2026-03-06,已结算"), nil, []string{"合计,,1.00,,", "总笔数：1 总金额：1.00", "总笔数,1", "制表人：张三,复核：李四", "第1页"}),
			[]string{"{label: 合计, of: 金额}", `{label: 总笔数, pattern: '总笔数\s*[:：]\s*([¥￥]?-?[\d,.]+)', of: count}`, "{label: 总笔数, of: count}", `'^[\s"]*制表人'`, `'^[\s"]*第1页'`}, []string{"张三", "李四"}},
		{"JSON", Sample{JSON: true, Path: "data.list", Header: []string{"orderNo", "merchantNo", "amount", "settleDate", "status", "payer.name"}, Rows: [][]string{{"P1", "M1", "1.00", "2026-03-06", "SUCCESS", "张三"}}},
			[]string{"file: {layout: json, rows: data.list}", "order_id: orderNo", "merchant_id: merchantNo", "amount: amount", "settle_date: settleDate", "SUCCESS: SETTLED", "personal: [payer.name]"}, nil},
		{"fixed widths", Sample{Encoding: "gb18030", Record: "A1   中文  20260305 6222800000000000001"},
			[]string{"layout: fixed", "columns: [c1, c2, c3, c4]", "widths: [5, 6, 9, 19]", "# 1234567890", "6222*************01", "order_id: TODO"}, []string{"6222800000000000001"}},
		{"near to a format: what it lacks is named, and read from what seems to stand for it", table("商户号,终端号,交易日期,交易时间,交易类型,拉卡拉交易流水号,商户流水号,交易金额,手续费,状态,清算日期", "822,D1,20260305,091530,消费,2026,P1,1.00,0.01,已出款,20260306"),
			[]string{"nearest to the format lakala-settlement, and lacks of it 商户请求流水号, 结算状态", "order_id: 商户流水号", "# ? status: the format does not know 已出款", "已出款: SETTLED",
				"columns: [商户号, 交易日期, 交易时间, 拉卡拉交易流水号, 商户流水号, 状态]", "acquirer: TODO", "acquirer: lakala if the file is theirs"}, []string{"unit: fen"}},
		{"near to a format that takes each row for settled, with a column that says otherwise", table("清算日期,交易日期,交易时间,终端号,交易金额,清算金额,流水号,商户号,结果", "20260305,2026-03-05,09:15:30,D1,1.00,0.99,1,898,已清算", "20260305,2026-03-05,09:15:30,D1,1.00,0.99,1,898,暂停"),
			[]string{"nearest to the format chinaums-portal", "column: 结果", "已清算: SETTLED", "暂停: HELD"}, []string{"value: SETTLED}"}},
		{"near to a format, and nothing stands for what it lacks", table("商户号,终端号,交易日期,交易时间,交易类型,拉卡拉交易流水号,交易金额,结算状态", "822,D1,20260305,091530,消费,2026,1.00,已结算"), []string{"order_id: TODO", "# ? order_id: no column looks like"}, nil},
	} {
		text := Draft("日报 20260306.csv", test.sample)
		for _, want := range test.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: it lacks %q:\n%s", test.why, want, text)
			}
		}
		for _, not := range test.not {
			if strings.Contains(text, not) {
				t.Errorf("%s: it has %q:\n%s", test.why, not, text)
			}
		}
		_, err := Parse("draft", []byte(text))
		if todo := strings.Contains(text, ": "+blank); todo != (err != nil) || err != nil && !strings.Contains(err.Error(), "draft that was not completed") {
			t.Errorf("%s: %v:\n%s", test.why, err, text)
		}
		if todo := strings.NewReplacer("acquirer: "+blank, "acquirer: lakala", ": "+blank, ": X").Replace(text); test.sample.Record == "" && !strings.Contains(todo, "X") {
			if _, err := Parse("draft", []byte(todo)); err != nil {
				t.Errorf("%s: completed: %v:\n%s", test.why, err, todo)
			}
		}
	}
}

// Drafts of several files do not share a name.
func TestDraftNames(t *testing.T) {
	a, b := table("甲,乙,丙,丁"), table("甲,乙,丙,戊")
	for _, test := range []struct {
		name   string
		sample Sample
		want   string
	}{
		{"lakala_20260306.csv", a, "my-lakala"}, {"x.csv", a, "my-x"}, {"拉卡拉-settle-日报.xlsx", a, "my-settle"}, {"日报.csv", a, "my-" + slug("1", a)[3:]},
	} {
		if got := slug(test.name, test.sample); got != test.want {
			t.Errorf("%s is named %s, want %s", test.name, got, test.want)
		}
	}
	if slug("日报.csv", a) == slug("月报.csv", b) || slug("日报.csv", a) != slug("月报.csv", a) || !validName.MatchString(slug("日报.csv", a)) {
		t.Error("names by columns")
	}
}

// FuzzDraft: whatever a file looks like, its draft is YAML, and is refused only where something is left blank.
func FuzzDraft(f *testing.F) {
	f.Add("商户号,金额,状态", "M1,1.00,已结算", "合计：1.00", "a.csv", true)
	f.Add("a'b: [,#x,{\",- y", "1,2,3", "'", "..", false)
	f.Fuzz(func(t *testing.T, header, row, line, name string, json bool) {
		s := around(table(header, row), []string{line}, []string{line})
		s.JSON = json
		text := Draft(name, s)
		if _, err := Parse("draft", []byte(text)); err != nil && strings.Contains(err.Error(), "not YAML") {
			t.Errorf("%v:\n%s", err, text)
		}
		Draft(name, Sample{Record: row})
	})
}
