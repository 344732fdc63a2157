package export

import (
	"encoding/csv"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/recon"
)

// contractColumns are those of the contract, in its order: other people's spreadsheets read them by name.
const contractColumns = `business_date, order_id, refund_id, original_order_id, acquirer, merchant_id, store_id, terminal_id, channel,
channel_txn_id, ref_no, type, txn_time, currency, pos_amount, settled_amount, difference, fee, net_amount, amount_due, amount_arrived,
amount_owed, amount_excess, pos_status, settle_status, outcome, cause, sub_cause, confidence, certainty, incident_id, evidence,
counter_evidence, recommended_action, contact, due_date, days_overdue, settle_date, payout_id, payout_status, match_rule,
needs_follow_up, case_id, case_status, assignee, source_file, source_line, settle_source_file, settle_source_line`

func TestColumns(t *testing.T) {
	t.Parallel()
	var names []string
	chinese := map[string]string{}
	for _, c := range columns {
		names = append(names, c.name)
		if c.zh == "" || c.zh == c.name {
			t.Errorf("column %s has no Chinese header", c.name)
		}
		if other, taken := chinese[c.zh]; taken {
			t.Errorf("columns %s and %s are both %s", other, c.name, c.zh)
		}
		chinese[c.zh] = c.name
	}
	want := strings.Split(strings.Join(strings.Fields(contractColumns), " "), ", ")
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("columns (-contract +export):\n%s", diff)
	}
}

// What is no text is not guarded, so nothing but a number, a date or a word of the contract may ever stand there: they are exactly
// these.
func TestKinds(t *testing.T) {
	t.Parallel()
	of := map[kind][]string{}
	for _, c := range columns {
		of[c.kind] = append(of[c.kind], c.name)
	}
	delete(of, kindText)
	want := map[kind][]string{
		kindNumber: {"pos_amount", "settled_amount", "difference", "fee", "net_amount", "amount_due", "amount_arrived", "amount_owed",
			"amount_excess", "confidence", "days_overdue", "source_line", "settle_source_line"},
		kindWord: {"business_date", "type", "txn_time", "pos_status", "settle_status", "outcome", "cause", "sub_cause", "certainty", "due_date",
			"settle_date", "payout_status", "match_rule", "needs_follow_up", "case_status"},
	}
	if diff := cmp.Diff(want, of); diff != "" {
		t.Errorf("columns that are no text (-want +got):\n%s", diff)
	}
	for en, zh := range words {
		for _, word := range []string{en, zh} {
			if got := string(quote([]byte(word), 0)); got != word {
				t.Errorf("%s would have to be written as %s", word, got)
			}
		}
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":              "",
		"A1":            "A1",
		"=1+2":          "'=1+2",
		"+8613800":      "'+8613800",
		"-1":            "'-1",
		"@SUM(A1)":      "'@SUM(A1)",
		"\t=1":          "'\t=1",
		"\r=1":          "'\r=1",
		"＝1":            "'＝1",
		"＋1":            "'＋1",
		"－1":            "'－1",
		"＠x":            "'＠x",
		"a=1":           "a=1",            // only the beginning counts
		"1-2":           "1-2",            //
		" =1":           " =1",            // a blank before it is text to every spreadsheet
		"'=1":           "'=1",            // as recorded
		"\n=1":          "\n=1",           //
		"−1":            "−1",             // U+2212 is no operator
		"0012":          "0012",           // in CSV nothing is added to identifiers
		"4.2E+27":       "4.2E+27",        //
		"支付=1":          "支付=1",           //
		"=":             "'=",             //
		"\xef\xbc":      "\xef\xbc",       // half a full-width character
		"=\"x\",\r\n-2": "'=\"x\",\r\n-2", // the rest is the CSV writer's affair
	} {
		got := s
		if guarded([]byte(s)) {
			got = "'" + s
		}
		if got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
}

func TestMoney(t *testing.T) {
	t.Parallel()
	if got := string(addMoney(nil, nil)); got != "" {
		t.Errorf("no amount is %q, want nothing: it is not zero", got)
	}
	for s, want := range map[string]string{
		"0": "0.00", "-0": "0.00", "0.07": "0.07", "-0.5": "-0.50", "10": "10.00", "1234.5": "1234.50",
		"9999999999999999.99": "9999999999999999.99", "-9999999999999999.99": "-9999999999999999.99",
	} {
		if got := string(addMoney(nil, amount(s))); got != want {
			t.Errorf("%s is %q, want %q", s, got, want)
		}
	}
}

// What is written as it stands is what a library would write.
func TestCells(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // the same texts every time
	alphabet := []string{"a", "0", " ", ",", "\"", "\r", "\n", "\t", "\\", ".", "'", "=", "-", "<", "&", "\x7f", "\x01", "\u00a0", "\u2028", "支", "＝", "＋", "\xff", "\xef"}
	for range 20_000 {
		var text string
		for range random.IntN(6) + 1 {
			text += alphabet[random.IntN(len(alphabet))]
		}
		want := text
		for _, prefix := range []string{"=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"} {
			if strings.HasPrefix(text, prefix) {
				want = "'" + text
			}
		}
		var b strings.Builder
		out := csv.NewWriter(&b)
		out.UseCRLF = true
		if err := out.Write([]string{"x", want}); err != nil {
			t.Fatal(err)
		}
		out.Flush()
		if got := string(quote([]byte("x,"+text), 2)) + "\r\n"; got != b.String() {
			t.Errorf("%q as CSV is %q, want %q", text, got, b.String())
		}
		told, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := appendJSON(nil, []byte(text)); err != nil || string(got) != string(told) {
			t.Errorf("%q as JSON is %s, %v, want %s", text, got, err, told)
		}
	}
	// An only cell of an only column would be quoted, too, were it empty or a backslash and a point.
	if got := string(quote([]byte(`\.`), 0)); got != `"\."` {
		t.Errorf(`\. is %s`, got)
	}
}

// The difference is known only where both amounts are.
func TestDifference(t *testing.T) {
	t.Parallel()
	column := columns[slices.IndexFunc(columns, func(c column) bool { return c.name == "difference" })]
	absent := func(s string) amount {
		if s == "" {
			return nil
		}
		return amount(s)
	}
	for _, tt := range []struct{ pos, settled, want string }{
		{"10.00", "10.00", "0.00"}, {"10.00", "9.90", "-0.10"}, {"-10.00", "-9.90", "0.10"}, {"10.00", "", ""}, {"", "10.00", ""}, {"", "", ""},
		{"0.10", "0.30", "0.20"}, // not 0.19999999999999998
	} {
		if got := string(column.add(nil, &View{}, &row{posAmount: absent(tt.pos), settledAmount: absent(tt.settled)})); got != tt.want {
			t.Errorf("POS %q, settled %q: difference %q, want %q", tt.pos, tt.settled, got, tt.want)
		}
	}
}

// Days overdue count calendar days from the due date to the as-of's local date, from the file deadline on.
func TestDaysOverdue(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	due := day{time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), true}
	for _, tt := range []struct {
		asOf  string
		due   day
		owed  string
		want  int
		which string
	}{
		{"2026-11-03T09:59:59+08:00", due, "1.00", 0, "before the deadline it is not due"},
		{"2026-11-03T10:00:00+08:00", due, "1.00", 0, "due today"},
		{"2026-11-03T23:59:59+08:00", due, "1.00", 0, "still the same day"},
		{"2026-11-04T00:00:00+08:00", due, "1.00", 1, "the local day counts"},
		{"2026-11-03T16:00:00Z", due, "1.00", 1, "the same instant, told elsewhere"},
		{"2026-12-03T12:00:00+08:00", due, "1.00", 30, "a month"},
		{"2026-12-03T12:00:00+08:00", due, "-1.00", 30, "a refund that was not taken"},
		{"2026-12-03T12:00:00+08:00", due, "0.00", 0, "money that has arrived is not overdue"},
		{"2026-12-03T12:00:00+08:00", day{}, "1.00", 0, "no due date"},
	} {
		asOf, err := time.Parse(time.RFC3339, tt.asOf)
		if err != nil {
			t.Fatal(err)
		}
		v := View{AsOf: asOf, Zone: zone, Acquirers: recon.Acquirers{}}
		if got := v.daysOverdue(&row{dueDate: tt.due, owed: amount(tt.owed)}); got != tt.want {
			t.Errorf("%s: %d days, want %d", tt.which, got, tt.want)
		}
	}
}

// Every value that the contract knows has a Chinese word; one that it does not know stays as it is.
func TestWords(t *testing.T) {
	t.Parallel()
	var values []string
	for _, list := range [][]string{
		texts(recon.Outcomes), texts(recon.Causes), texts(recon.SubCauses), texts(recon.POSStatuses), texts(recon.SettleStatuses),
		texts(recon.PayoutStatuses), {string(recon.TypeSale), string(recon.TypeRefund)},
		{"order_id", "channel_txn", "reference", "ambiguous", "none"}, {"high", "medium", "low"}, {"true", "false"}, {"WECHAT", "ALIPAY", "UNIONPAY"},
		{"open", "resolved", "closed"},
	} {
		values = append(values, list...)
	}
	zh, en := View{Lang: Chinese}, View{Lang: English}
	for _, value := range values {
		if word := zh.word(value); strings.IndexFunc(word, func(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }) < 0 {
			t.Errorf("%s is %q in Chinese", value, word)
		}
		if word := en.word(value); word != value {
			t.Errorf("%s is %q in English", value, word)
		}
	}
	if got := zh.word("MEITUAN"); got != "MEITUAN" {
		t.Errorf("a channel of a merchant's own is %q", got)
	}
}

// A closed case and the sub-cause closed share a word in English; in Chinese they must not.
func TestClosedCase(t *testing.T) {
	t.Parallel()
	zh := View{Lang: Chinese}
	value := func(name string, r *row) string {
		return string(columns[slices.IndexFunc(columns, func(c column) bool { return c.name == name })].add(nil, &zh, r))
	}
	sub, status := value("sub_cause", &row{subCause: []byte("closed")}), value("case_status", &row{caseStatus: []byte("closed")})
	if sub != "关闭/撤销" || status == sub {
		t.Errorf("sub-cause closed is %s, a closed case %s", sub, status)
	}
}

func TestSentences(t *testing.T) {
	t.Parallel()
	list := []classify.Evidence{{EN: "one", ZH: "一", Source: "a.csv:1"}, {EN: "two", ZH: "二"}}
	for lang, want := range map[Lang]string{English: "one [a.csv:1] | two", Chinese: "一 [a.csv:1] | 二"} {
		v := View{Lang: lang}
		if got := string(v.addSentences(nil, list)); got != want {
			t.Errorf("%s: %q, want %q", lang, got, want)
		}
		if got := string(v.addSentences(nil, nil)); got != "" {
			t.Errorf("%s: no evidence is %q", lang, got)
		}
	}
}

// Totals print every amount with two places.
func TestTotalJSON(t *testing.T) {
	t.Parallel()
	total := Total{Currency: "CNY", Outcome: recon.Unsettled, Cause: recon.Delay, SubCause: "file_late", Rows: 2, FollowUp: 1,
		Money: Money{Due: yuan("30"), Owed: yuan("30"), Excess: yuan("-0.5")}}
	got, err := json.Marshal(total)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"currency":"CNY","outcome":"unsettled","cause":"delay","sub_cause":"file_late","rows":2,"needs_follow_up":1,` +
		`"amount_due":"30.00","amount_arrived":"0.00","amount_owed":"30.00","amount_excess":"-0.50"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	sum := total.Add(Money{Due: yuan("0.01")})
	if sum.Due.StringFixed(2) != "30.01" || sum.Owed.StringFixed(2) != "30.00" {
		t.Errorf("sum %+v", sum)
	}
}

func yuan(s string) recon.Amount { return recon.Amount{Decimal: decimal.RequireFromString(s)} }
