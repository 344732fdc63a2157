package profile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every format that ships can be read, says where its layout is known from, and is found under its own name.
func TestBuiltin(t *testing.T) {
	for _, p := range Builtin() {
		if p.Title == "" || len(p.Source) == 0 || p.Status == Own {
			t.Errorf("%s: title, source and status are for people", p.Name)
		}
		if p.Status == Inferred && !strings.Contains(strings.ToLower(p.Note), "check") && p.Name != "allinpay-check-26" {
			t.Errorf("%s is inferred: its note tells to check it", p.Name)
		}
		if text, err := Document(p.Name); err != nil || !strings.HasPrefix(string(text), "name: "+p.Name+"\n") {
			t.Errorf("%s: its document is not found under its name: %v", p.Name, err)
		}
	}
}

// The schema and the strict decoder know the same keys.
func TestSchema(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any
		}
		Defs map[string]struct {
			AnyOf []struct {
				Properties map[string]any
			} `json:"anyOf"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	tags := func(v any) []string {
		var out []string
		for i := range reflect.TypeOf(v).NumField() {
			if tag := reflect.TypeOf(v).Field(i).Tag.Get("yaml"); tag != "" && tag != ",inline" {
				out = append(out, tag)
			}
		}
		slices.Sort(out)
		return out
	}
	keys := func(m map[string]any) []string {
		var out []string
		for k := range m {
			out = append(out, k)
		}
		slices.Sort(out)
		return out
	}
	top := map[string]any{}
	for k := range schema.Properties {
		top[k] = nil
	}
	for _, test := range []struct {
		name string
		want []string
		got  []string
	}{
		{"profile", tags(Profile{}), keys(top)},
		{"file", tags(File{}), keys(schema.Properties["file"].Properties)},
		{"match", tags(Match{}), keys(schema.Properties["match"].Properties)},
		{"field", tags(Field{}), keys(schema.Defs["field"].AnyOf[2].Properties)},
		{"field, for the decoder", tags(Field{}), func() []string { k := slices.Clone(fieldKeys); slices.Sort(k); return k }()},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-decoder +schema):\n%s", test.name, diff)
		}
	}
	var columns []string
	for _, kind := range kindColumns {
		columns = slices.Concat(columns, kind.required, kind.optional)
	}
	slices.Sort(columns)
	if diff := cmp.Diff(slices.Compact(columns), keys(schema.Properties["fields"].Properties)); diff != "" {
		t.Errorf("fields (-contract +schema):\n%s", diff)
	}
}

const good = `name: mine
kind: payout
acquirer: lakala
match: {columns: [单号, 商户]}
fields:
  payout_id: 单号
  merchant_id: 商户
  payout_date: 日期
  amount: {column: 金额, unit: fen}
  status: {column: 状态, map: {成功: PAID}, default: PROCESSING}
`

// A mistake in a profile is found when it is read, and named.
func TestMistakes(t *testing.T) {
	if _, err := Parse("p", []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ why, old, new, want string }{
		{"a misspelt key", "acquirer:", "aquirer:", "aquirer"},
		{"a misspelt key of a field", "unit:", "units:", `unknown key "units"`},
		{"no name", "name: mine", "name: ''", "name"},
		{"a name with blanks", "name: mine", "name: my profile", "lower-case"},
		{"a kind that is none", "kind: payout", "kind: payouts", `kind "payouts"`},
		{"a required column is not said", "  payout_id: 单号\n", "", "a payout needs payout_id"},
		{"a column of another kind", "  payout_id: 单号\n", "  payout_id: 单号\n  order_id: 单号\n", "a payout has no order_id"},
		{"a unit that is none", "unit: fen", "unit: cents", "unit \"cents\""},
		{"two sources of one value", "{column: 金额, unit: fen}", "{column: 金额, value: '1'}", "one of column, join"},
		{"a pattern without a group", "payout_id: 单号", "payout_id: {column: 单号, pattern: '^a'}", "needs one group"},
		{"a pattern that is none", "payout_id: 单号", "payout_id: {column: 单号, pattern: '(a'}", "missing closing )"},
		{"nothing to know the file by", "match: {columns: [单号, 商户]}", "match: {}", "say what the file is recognised by"},
		{"a capture that is not there", "merchant_id: 商户", "merchant_id: {capture: m}", `nothing is captured as "m"`},
		{"a layout that is none", "payout_date: 日期", "payout_date: {column: 日期, layout: 'day'}", "layout"},
		{"a word that is none of the contract's, in a map", "成功: PAID", "成功: PAYED", `fields.status: map: 成功: "PAYED" is not one of`},
		{"the same as a default", "default: PROCESSING", "default: PENDING", `default "PENDING" is not one of`},
		{"a blank of a draft", "acquirer: lakala", "acquirer: TODO", "line 3: TODO is still to be replaced"},
		{"blanks of a draft, in a map and in a list", "成功: PAID}, default: PROCESSING}", "成功: TODO}}\npersonal: [TODO]", "line 10, 11: TODO"},
		{"a list where one value should be", "acquirer: lakala", "acquirer: [lakala]", "line 3: a list stands where one value should"},
		{"one value where a list should be", "match: {columns: [单号, 商户]}", "match: {columns: 单号}", `line 4: "单号" stands where a list, as in [a, b] should`},
		{"a tab", "  payout_id", "\tpayout_id", "line 6: not YAML"},
		{"a colon in a name", "payout_id: 单号", "payout_id: 单: 号", "single quotes"},
		{"what --explain tells of a file, above the profile", "name: mine", "bill.csv\n  line 1: no header\nname: mine", "not YAML"},
		{"a sentence", good, "no profile", `line 1: "no profile" stands where keys with values`},
		{"nothing at all", good, "", "the file is empty"},
		{"a zone that is none", "acquirer: lakala", "acquirer: lakala\ntime_zone: Mars/North", "time_zone"},
	} {
		if !strings.Contains(good, test.old) {
			t.Fatalf("%s: %q is not in the profile", test.why, test.old)
		}
		_, err := Parse("p", []byte(strings.Replace(good, test.old, test.new, 1)))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", good)
	write("notes.txt", "not a profile")
	if list, err := Load([]string{dir}); err != nil || len(list) != 1 || list[0].Builtin() || list[0].Status != Own {
		t.Errorf("%v, %v", list, err)
	}
	write("b.yml", good)
	if _, err := Load([]string{dir}); err == nil || !strings.Contains(err.Error(), "both named mine") {
		t.Errorf("two of one name: %v", err)
	}
	write("c.yaml", "name: [")
	write("d.yaml", strings.Replace(good, "lakala", "TODO", 1))
	if _, err := Load([]string{dir}); err == nil || !strings.Contains(err.Error(), "c.yaml: line 2: not YAML") || !strings.Contains(err.Error(), "d.yaml: line 3: TODO") {
		t.Errorf("all that is wrong: %v", err)
	}
	if _, err := Load([]string{filepath.Join(dir, "none")}); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestAmount(t *testing.T) {
	for _, test := range []struct {
		why, in     string
		fen, letter bool
		want        string
		negative    bool
		rule        string
	}{
		{"plain", "35.80", false, false, "35.80", false, ""},
		{"a whole yuan", "35", false, false, "35", false, ""},
		{"an explicit plus (ABC)", "+10000.00", false, false, "10000.00", false, ""},
		{"a refund of Alipay", "-30.00", false, false, "30.00", true, ""},
		{"thousands (CMB)", "-1,000.00", false, false, "1000.00", true, ""},
		{"thousands in the wrong place are a broken number", "1,00.00", false, false, "", false, ruleThousands},
		{"a yen sign", "¥1,234.50", false, false, "1234.50", false, ""},
		{"full-width digits", "１２３．４５", false, false, "123.45", false, ""},
		{"WeChat pads fees", "0.21000", false, false, "0.21", false, ""},
		{"but a third decimal is none of ours", "0.215", false, false, "", false, ruleDecimals},
		{"no leading zero", ".50", false, false, "0.50", false, ""},
		{"fen", "3580", true, false, "35.80", false, ""},
		{"one fen", "1", true, false, "0.01", false, ""},
		{"fen with leading zeros (UnionPay)", "000000250000", true, false, "2500.00", false, ""},
		{"no fen", "0", true, false, "0.00", false, ""},
		{"yuan where fen should be", "35.80", true, false, "", false, ruleFen},
		{"a credit (UnionPay)", "C000000003566", true, true, "35.66", false, ""},
		{"a debit", "D000000000996", true, true, "9.96", true, ""},
		{"not a number", "NaN", false, false, "", false, ruleAmount},
		{"scientific", "1.2E+3", false, false, "", false, ruleScience},
		{"nothing but a sign", "-", false, false, "", true, ruleAmount},
	} {
		got, negative, rule := amount(test.in, test.fen, test.letter)
		if got != test.want || rule != test.rule || rule == "" && negative != test.negative {
			t.Errorf("%s: %q is %q, %v, %q", test.why, test.in, got, negative, rule)
		}
	}
}

func TestMoment(t *testing.T) {
	for _, test := range []struct{ why, in, date, clock, rule string }{
		{"as most have it", "2026-03-05 09:15:30", "2026-03-05", "09:15:30", ""},
		{"a date", "2026-03-05", "2026-03-05", "", ""},
		{"a spreadsheet's", "2026/3/5 9:15", "2026-03-05", "09:15:00", ""},
		{"in Chinese", "2026年3月5日 09:15:30", "2026-03-05", "09:15:30", ""},
		{"without separators", "20260305091530", "2026-03-05", "09:15:30", ""},
		{"date and time joined", "20260305 091530", "2026-03-05", "09:15:30", ""},
		{"a time that lost its zero", "20260305 91530", "2026-03-05", "09:15:30", ""},
		{"full-width colons (WxJava's fixture)", "2014-11-10 16：33：45", "2014-11-10", "16:33:45", ""},
		{"a fraction of zero (Leshua)", "2026-03-06 03:33:36.0", "2026-03-06", "03:33:36.0", ""},
		{"a dot for a separator", "2026.3.5", "2026-03-05", "", ""},
		{"an Excel serial", "46086.5", "", "", ruleSerial},
		{"day first", "05/03/2026", "", "", ruleMoment},
		{"mixed separators", "2026-03/05", "", "", ruleMoment},
		{"half a time", "20260305 915", "", "", ruleClock},
	} {
		date, clock, rule := moment(test.in)
		if date != test.date || clock != test.clock || rule != test.rule {
			t.Errorf("%s: %q is %q %q %q", test.why, test.in, date, clock, rule)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"`4200":         "4200", // WeChat
		"2017\t":        "2017", // Alipay
		"'00123":        "00123",
		`="120102"`:     "120102",
		"[1234]":        "1234",
		"[商户]":          "[商户]",
		"　中文　":          "中文",
		"10:00     \t ": "10:00",
		"":              "",
	} {
		if got := clean(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// FuzzParse: whatever stands in a profile, it is read or refused; one that is read binds or says why not.
func FuzzParse(f *testing.F) {
	for _, p := range Builtin() {
		text, err := Document(p.Name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("fuzz", text)
		if err != nil {
			return
		}
		header := p.Names()
		b, err := p.Bind(header, nil)
		if err != nil {
			return
		}
		out := make([]string, len(b.Columns()))
		for _, cells := range [][]string{header, {"", "-1.00", "2026-03-05"}, nil} {
			b.Translate(cells, out)
		}
		b.Untied()
	})
}
