package statement

import (
	"strings"
	"testing"

	"github.com/posrecon/posrecon/internal/profile"
)

// ownProfile parses a profile of the tests' own.
func ownProfile(t testing.TB, text string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const widthProfile = `name: mine
kind: settlement
acquirer: lakala
match: {columns: [单号, 商户, 日期]}
fields:
  order_id: 单号
  merchant_id: 商户
  settle_date: 日期
  amount: 金额
  fee: 手续费
  status: {value: SETTLED}
personal: [付款人]
`

// A row whose cells do not stand under their names is a rejected line, whatever its last cells hold, and keeps none of
// them where one could name a person. A row that its source merely ends with one more separator is read.
func TestWidth(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ why, text, want string }{
		{"a comma in a cell, and an empty last one", "单号,商户,日期,付款人,券,金额,手续费,备注\nA1,M1,2026-11-03,张三,满100,减10,10.00,0.06,\nA2,M1,2026-11-03,张三,满100,减10,20.00,0.06,\n",
			"9 fields, the header 8|9 fields, the header 8"},
		{"the same in one row", "单号,商户,日期,付款人,券,金额,手续费,备注\nA1,M1,2026-11-03,张三,满100,减10,10.00,0.06,\n", "9 fields, the header 8"},
		{"the header ends with a separator as well", "单号,商户,日期,付款人,金额,手续费,\nA1,M1,2026-11-03,张三,10.00,0.06,\n", "10.00 0.06"},
		{"but a comma in a cell is one more", "单号,商户,日期,付款人,券,金额,手续费,备注,\nA1,M1,2026-11-03,张三,满100,减10,10.00,0.06,,\n", "10 fields, the header 8"},
		{"quoted rows end with a separator (ICBC)", "单号,商户,日期,付款人,金额,手续费\n\"A1\",M1,2026-11-03,\"张三\",10.00,0.06,\n\"A2\",M1,2026-11-03,\"张\n三\",10.00,0.06,\n", "10.00 0.06|10.00 0.06"},
		{"tabs are in no cell", "单号\t商户\t日期\t付款人\t金额\t手续费\nA1\tM1\t2026-11-03\t张三\t10.00\t0.06\t\n", "10.00 0.06"},
		{"a cell too few", "单号,商户,日期,付款人,金额,手续费\nA1,2026-11-03,张三,10.00,0.06\n", "5 fields, the header 6"},
		{"a quote that does not end", "单号,商户,日期,付款人,金额,手续费\nA1,\"M1,2026-11-03,张三,10.00,0.06\n", "does not end as it should"},
		{"back-ticks, and a column without them that was added", "单号,商户,日期,付款人,金额,手续费,新列\n`A1,`M1,`2026-11-03,`张三,`10.00,`0.06,x\n`A2,`M1,`2026-11-03,`张,三,`10.00,`0.06,`x\n",
			"10.00 0.06|10.00 0.06"},
		{"back-ticks, and neither way of cutting fits", "单号,商户,日期,付款人,金额,手续费,新列\n`A1,`M1,`2026-11-03,`张,三,`10.00,`0.06,x\n", "6 fields, the header 7"},
	} {
		res := readNamed(strings.NewReader(test.text), "", []*profile.Profile{ownProfile(t, widthProfile)})
		if res.Err != nil {
			t.Errorf("%s: %v", test.why, res.Err)
			continue
		}
		var got []string
		for _, r := range res.Records {
			if r.Reject != nil {
				got = append(got, strings.TrimPrefix(r.Reject.Rule, "the line has "))
				if strings.Contains(r.Reject.Raw+r.Reject.Value, "张") {
					t.Errorf("%s: a name is kept in %+v", test.why, r.Reject)
				}
			} else {
				got = append(got, r.Settlement.Amount.StringFixed(2)+" "+r.Settlement.Fee.Decimal.StringFixed(2))
			}
		}
		if s := strings.Join(got, "|"); !strings.HasSuffix(s, test.want) {
			t.Errorf("%s:\n got %s\nwant %s", test.why, s, test.want)
		}
	}
}

// A row that cannot be told apart may be one of those that a count is of; a file is not held back for it, unless more are
// missing.
func TestCountsOfUnreadableRows(t *testing.T) {
	t.Parallel()
	p := ownProfile(t, widthProfile+"totals: [{label: 销售, of: count, when: {券: 无}}, {label: 券, of: count, when: {券: 满减}}]\n")
	const head = "单号,商户,日期,付款人,券,金额,手续费\nA1,M1,2026-11-03,,无,10.00,\n"
	for _, test := range []struct{ why, text, untied string }{
		{"it may be either", head + "A2,M1,2026-11-03,,满,减,10.00,\n销售,1\n券,1\n", ""},
		{"but not two", head + "A2,M1,2026-11-03,,满,减,10.00,\n销售,1\n券,2\n", "券 says 2, the rows come to 0"},
		{"and there are not too many", head + "A2,M1,2026-11-03,,满,减,10.00,\n销售,0\n", "销售 says 0, the rows come to 1"},
	} {
		res := readNamed(strings.NewReader(test.text), "", []*profile.Profile{p})
		if len(res.rejects()) != 1 || len(res.accepted()) != 1 || res.Untied != test.untied {
			t.Errorf("%s: %v %q", test.why, res.rejects(), res.Untied)
		}
	}
}

// The value at fault is not kept either where its column names a person.
func TestValueAtFault(t *testing.T) {
	t.Parallel()
	p := ownProfile(t, strings.Replace(widthProfile, "order_id: 单号", "order_id: 付款人", 1))
	res := readNamed(strings.NewReader("单号,商户,日期,付款人,金额,手续费\nA1,M1,2026-11-03,"+strings.Repeat("张", 200)+",10.00,0.06\n"), "", []*profile.Profile{p})
	if len(res.Records) != 1 || res.Records[0].Reject == nil || res.Records[0].Reject.Value != "***" {
		t.Errorf("%+v", res.Records)
	}
}
