package profile

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
)

// Draft guesses a profile for a table that no format reads: by the names that the formats that ship use, then by what the
// cells look like. The result is a document to be checked by somebody who knows the file; what is a guess says so.
func Draft(name string, header []string, rows [][]string) string {
	d := draft{header: header, rows: rows, used: map[int]bool{}}
	for i, name := range header {
		d.header[i] = clean(name)
	}
	kind := d.kind()
	columns := kindColumns[kind]
	var b strings.Builder
	fmt.Fprintf(&b, `# A draft from the columns and first rows of a file. Check each line, those with a question mark first. Then put it where
# profiles: of the configuration points, and see with 'posrecon ingest --explain FILE' how the file is read.
name: %s
title: %s
kind: %s
`, slug(name), quoted(name), kind)
	if kind != recon.KindPOSLog {
		b.WriteString("acquirer: " + blank + "                 # ? whose files these are: lakala, chinaums, …\n")
	}
	b.WriteString("match:\n  columns: [" + strings.Join(d.typical(), ", ") + "]\nfields:\n")
	for i, field := range slices.Concat(columns.required, columns.optional) {
		at, sure := d.column(field)
		if at < 0 {
			if i < len(columns.required) {
				fmt.Fprintf(&b, "  %-16s # ? no column looks like it\n", d.fallback(field))
			}
			continue
		}
		d.used[at] = true
		value := quoted(d.header[at])
		if extra := d.extra(field, at); extra != "" {
			value = "{column: " + value + extra + "}"
		}
		mark := ""
		if !sure {
			mark = "? "
		}
		fmt.Fprintf(&b, "  %s: %s   # %s%s\n", field, value, mark, d.example(at))
	}
	var unused []string
	for i, name := range d.header {
		if !d.used[i] && name != "" {
			unused = append(unused, quoted(name))
		}
	}
	if len(unused) > 0 {
		fmt.Fprintf(&b, "# Columns that nothing is read from: %s\n# Those that name a person or a card belong under personal: [ ].\n", strings.Join(unused, ", "))
	}
	return b.String()
}

// blank stands in a draft where its reader, who knows the file, has to write: it is part of the document, and no column is
// named so, so that a draft that was not completed is refused.
const blank = "TODO"

type draft struct {
	header []string
	rows   [][]string
	used   map[int]bool
}

// known returns, for a kind, the fields that the shipped formats read from a column of a name.
func known(kind recon.Kind) map[string]string {
	out := map[string]string{}
	for _, p := range Builtin() {
		if p.Kind != string(kind) {
			continue
		}
		columns := kindColumns[kind]
		for _, field := range slices.Concat(columns.required, columns.optional) {
			f, ok := p.Fields[field]
			if !ok {
				continue
			}
			for _, name := range slices.Concat([]string(f.Column), f.Join) {
				if _, ok := out[normalName(name)]; !ok {
					out[normalName(name)] = field
				}
			}
		}
	}
	for _, field := range slices.Concat(kindColumns[kind].required, kindColumns[kind].optional) {
		out[normalName(field)] = field
	}
	return out
}

// kind guesses the kind of which most columns are known.
func (d *draft) kind() recon.Kind {
	best, most := recon.KindSettlement, 0
	for _, kind := range []recon.Kind{recon.KindSettlement, recon.KindBank, recon.KindPayout, recon.KindPOSLog} {
		names := known(kind)
		n := 0
		for _, name := range d.header {
			if names[normalName(name)] != "" {
				n++
			}
		}
		if n > most {
			best, most = kind, n
		}
	}
	return best
}

// words are what names of columns contain, where no format has the very name.
var words = []struct{ field, pattern string }{
	{"order_id", `商户订单|商户单|商户流水|订单号|订单编号|out_?trade|order_?(id|no)`},
	{"merchant_id", `商户号|商户编号|商编|merchant|mch`},
	{"channel_txn_id", `微信订单|支付宝交易号|渠道.*(单|流水)号|transaction_?id`},
	{"ref_no", `参考号|检索`},
	{"trace_no", `流水号|凭证号|trace`},
	{"terminal_id", `终端`},
	{"amount", `交易金额|订单金额|金额|amount`},
	{"fee", `手续费|服务费|fee`},
	{"net_amount", `结算金额|清算金额|净额|实收|net`},
	{"settle_date", `结算日|清算日|到账日|settle.*date`},
	{"payout_date", `出款日|划款日|打款日|payout.*date`},
	{"payout_id", `打款单|出款单|划款单|payout`},
	{"book_date", `记账日|入账日|交易日期`},
	{"counterparty", `对方户名|对方名称|对手`},
	{"memo", `摘要|附言|用途|memo`},
	{"txn_time", `交易时间|支付时间|完成时间|time`},
	{"status", `状态|status`},
	{"type", `交易类型|业务类型|type`},
	{"channel", `支付方式|支付类型|渠道|channel`},
	{"reason", `原因|备注`},
	{"batch_no", `批次`},
	{"currency", `币种|货币`},
}

// column finds a field's column: by a name that a format has, or else by a word in a name or what its cells look like,
// which is not sure.
func (d *draft) column(field string) (at int, sure bool) {
	names := known(d.kind())
	for i, name := range d.header {
		if !d.used[i] && names[normalName(name)] == field {
			return i, true
		}
	}
	for _, w := range words {
		if w.field != field {
			continue
		}
		re := regexp.MustCompile(w.pattern)
		for i, name := range d.header {
			if n := normalName(name); !d.used[i] && names[n] == "" && re.MatchString(n) {
				return i, false
			}
		}
	}
	shapes := map[string]*regexp.Regexp{
		"channel_txn_id": regexp.MustCompile(`^(4200\d{24}|20\d{6}22\d{18})$`),
		"txn_time":       regexp.MustCompile(`^20\d\d[-/年]?\d{1,2}[-/月]?\d{1,2}日?[ T]?\d{1,2}:?\d\d`),
	}
	if shape := shapes[field]; shape != nil {
		for i := range d.header {
			if !d.used[i] && d.all(i, shape) {
				return i, false
			}
		}
	}
	return -1, false
}

// all reports whether all filled cells of a column fit.
func (d *draft) all(at int, shape *regexp.Regexp) bool {
	n := 0
	for _, row := range d.rows {
		if at < len(row) && clean(row[at]) != "" {
			if !shape.MatchString(clean(row[at])) {
				return false
			}
			n++
		}
	}
	return n > 0
}

// extra is what else a field's rule needs.
func (d *draft) extra(field string, at int) string {
	whole := regexp.MustCompile(`^-?\d{3,}$`)
	switch {
	case valueTypes[field] == typeAmount && (strings.Contains(d.header[at], "分") || d.all(at, whole)):
		return ", unit: fen"
	case field == "status" || field == "type" || field == "channel":
		var values []string
		for _, row := range d.rows {
			if at < len(row) && clean(row[at]) != "" && !slices.Contains(values, clean(row[at])) {
				values = append(values, clean(row[at]))
			}
		}
		var pairs []string
		for _, v := range values {
			pairs = append(pairs, quoted(v)+": "+guess(field, v))
		}
		return ", map: {" + strings.Join(pairs, ", ") + "}"
	}
	return ""
}

// guess is the canonical value that a source's word seems to mean.
func guess(field, value string) string {
	table := map[string][]Find{
		"status":  {{"已结算|成功|SUCCESS|完成|已划款|已到账", "SETTLED"}, {"冻结|止付|HELD", "HELD"}, {"失败|拒|FAIL", "REJECTED"}, {"退票|退回", "RETURNED"}, {".", "PENDING"}},
		"type":    {{"退|撤|REFUND", "REFUND"}, {".", "SALE"}},
		"channel": {{"微信|WECHAT|(?i)wx", "WECHAT"}, {"支付宝|(?i)alipay", "ALIPAY"}, {"银联|云闪付|(?i)union", "UNIONPAY"}, {"卡", "CARD"}, {".", "OTHER"}},
	}
	for _, f := range table[field] {
		if regexp.MustCompile(f.Pattern).MatchString(value) {
			return f.Value
		}
	}
	return blank
}

func (d *draft) fallback(field string) string {
	switch field {
	case "status":
		return "status: {value: SETTLED}"
	case "channel":
		return "channel: {value: OTHER}"
	}
	return field + ": " + blank
}

// example shows a column's first value; of a long number the middle is left out, it may be a card's.
func (d *draft) example(at int) string {
	for _, row := range d.rows {
		if at < len(row) {
			if s := clean(row[at]); s != "" {
				if allDigits(s) && len(s) >= 11 && len(s) <= 19 {
					s = s[:4] + "…" + s[len(s)-2:]
				}
				if utf8.RuneCountInString(s) > 40 {
					s = string([]rune(s)[:40]) + "…"
				}
				return "such as " + strings.ReplaceAll(s, "\n", " ")
			}
		}
	}
	return "empty in the first rows"
}

// typical are some columns to recognise the file by: up to six that are filled.
func (d *draft) typical() []string {
	var out []string
	for _, name := range d.header {
		if name != "" && len(out) < 6 {
			out = append(out, quoted(name))
		}
	}
	return out
}

var plainYAML = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}（）()/_. -]*$`)

func quoted(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, s)
	if plainYAML.MatchString(s) && !strings.HasSuffix(s, " ") && !allDigits(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func slug(name string) string {
	name = strings.ToLower(name)
	name = regexp.MustCompile(`\.[a-z]+$`).ReplaceAllString(name, "")
	name = strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(name, "-"), "-")
	if name == "" {
		return "my-format"
	}
	return "my-" + name[:min(len(name), 50)]
}
