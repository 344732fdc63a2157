package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/posrecon/posrecon/internal/recon"
)

// Sample is what can be seen of a file that no format reads: what looks like its header, the first rows, and what stands
// around them.
type Sample struct {
	Encoding  string
	Separator string // "" where the cells are not parted by one
	Line      int    // of the header
	Header    []string
	Rows      [][]string // at most ten
	Before    []string   // lines before the header
	After     []string   // the last lines, where they are no rows

	JSON bool   // the names and values are those of objects
	Path string // in JSON: where the objects are

	Record string // of a file without cells: its first line
}

// blank stands in a draft where its reader, who knows the file, has to write: it is part of the document, and no column is
// named so, so that a draft that was not completed is refused.
const blank = "TODO"

// Draft guesses a profile for a file that no format reads: from the format that it comes nearest to, else by the names that
// the formats that ship use and by what the cells look like. The result is a document to be checked by somebody who knows
// the file. What is a guess has a question mark; what cannot be guessed is left blank, and never given a value that would be
// loaded without a word.
func Draft(name string, s Sample) string {
	for i, column := range s.Header {
		s.Header[i] = clean(column)
	}
	d := &draft{Sample: s, used: map[int]bool{}, values: make([][]string, len(s.Header))}
	for i := range s.Header {
		for _, row := range s.Rows {
			if i < len(row) {
				if v := clean(row[i]); v != "" && !slices.Contains(d.values[i], v) {
					d.values[i] = append(d.values[i], v)
				}
			}
		}
	}
	d.fen = slices.ContainsFunc(s.Before, func(line string) bool { return fenPreface.MatchString(narrow(line)) })
	var b strings.Builder
	b.WriteString(`# A draft from the beginning of a file. Check each line, those with a question mark first, and write something for each
# ` + blank + `. Then put it where profiles: of the configuration points, and see with 'posrecon ingest --explain FILE' how the
# file is read.
`)
	fmt.Fprintf(&b, "name: %s\ntitle: %s\n", slug(name, s), quoted(name))
	if s.Record != "" {
		d.writeFixed(&b)
		return b.String()
	}
	if near, lacks := Nearest(s.Header, s.JSON); near != nil {
		if text, err := d.nearTo(name, near, lacks); err == nil {
			b.WriteString(text)
			return b.String()
		}
	}
	d.write(&b, name)
	return b.String()
}

type draft struct {
	Sample
	kind   recon.Kind
	used   map[int]bool
	values [][]string // of each column, each once
	fen    bool       // the lines before the rows say that amounts are in fen
}

// write drafts a profile by names and values.
func (d *draft) write(b *strings.Builder, name string) {
	d.kind = d.guessKind()
	columns := kindColumns[d.kind]
	fmt.Fprintf(b, "kind: %s   # ? or another of pos_log, settlement, payout, bank_statement\n", d.kind)
	if d.kind != recon.KindPOSLog {
		b.WriteString("acquirer: " + d.acquirer(name) + "\n")
	}
	if d.JSON {
		b.WriteString("file: {layout: json")
		if d.Path != "" {
			b.WriteString(", rows: " + quoted(d.Path))
		}
		b.WriteString("}\n")
	}
	var fields, captures strings.Builder
	for i, field := range slices.Concat(columns.required, columns.optional) {
		if rule, note := d.field(field, i < len(columns.required), &captures); rule != "" {
			if note != "" {
				note = "   # " + note
			}
			first, rest, _ := strings.Cut(rule, "\n")
			fmt.Fprintf(&fields, "%s%s\n%s", strings.TrimRight("  "+field+": "+first, " "), note, rest)
		}
	}
	b.WriteString("match:\n  columns: [" + strings.Join(d.typical(), ", ") + "]\n")
	if captures.Len() > 0 {
		b.WriteString("captures:\n" + captures.String())
	}
	d.writeOutside(b)
	b.WriteString("fields:\n" + fields.String())
	if names := d.personal(); len(names) > 0 {
		b.WriteString("personal: [" + strings.Join(names, ", ") + "]   # nothing of these is kept\n")
	}
	var unused []string
	for i, name := range d.Header {
		if !d.used[i] && name != "" && !personal(name, d.values[i]) {
			unused = append(unused, quoted(name))
		}
	}
	if len(unused) > 0 {
		fmt.Fprintf(b, "# Columns that nothing is read from: %s\n# Those that name a person or a card belong under personal: [ ].\n", strings.Join(unused, ", "))
	}
}

// guessKind guesses the kind of which most columns are known. A list of payouts says so, and has no orders.
func (d *draft) guessKind() recon.Kind {
	payouts, orders := 0, 0
	for _, name := range d.Header {
		switch n := normalName(name); {
		case matches(`商户订单|订单号|交易流水|交易金额|out_?trade|order`, n):
			orders++
		case matches(`打款|出款|划款|payout`, n):
			payouts++
		}
	}
	if payouts >= 2 && orders == 0 {
		return recon.KindPayout
	}
	best, most := recon.KindSettlement, 0
	for _, kind := range []recon.Kind{recon.KindSettlement, recon.KindBank, recon.KindPayout, recon.KindPOSLog} {
		names := known(kind)
		n := 0
		for _, name := range d.Header {
			if names[normalName(name)] != "" {
				n++
			}
		}
		if kind == recon.KindPayout && orders > payouts {
			continue // payouts have no orders
		}
		if n > most {
			best, most = kind, n
		}
	}
	return best
}

// acquirer guesses whose file it is by what it or its name says.
func (d *draft) acquirer(name string) string {
	text := name + "\n" + strings.Join(d.Before, "\n")
	for _, a := range []struct{ word, id string }{{"拉卡拉", "lakala"}, {"银联商务", "chinaums"}, {"盛付通", "shengpay"}, {"乐刷", "leshua"}, {"利楚", "lichu"},
		{"扫呗", "lichu"}, {"通联", "allinpay"}, {"易宝", "yeepay"}, {"汇付", "huifu"}, {"富友", "fuiou"}} {
		if strings.Contains(text, a.word) {
			return a.id + "   # ? the file says " + a.word
		}
	}
	return blank + "   # ? whose files these are: lakala, chinaums, …"
}

// rank says how well a column's name fits a field: 0 is best, -1 does not. sure is the very name that a format has.
func (d *draft) rank(field string, at int, names map[string]string) (rank int, sure bool) {
	n := normalName(d.Header[at])
	other := names[n] != "" && names[n] != field && field != "status" && field != "type"
	if n == "" || d.used[at] || other && field != "settle_date" || notFor[field] != nil && notFor[field].MatchString(n) {
		return -1, false
	}
	bank := field == "counterparty" || field == "account" || field == "memo"
	if !bank && personal(d.Header[at], d.values[at]) || !d.plausible(field, at) {
		return -1, false
	}
	sure = names[n] == field
	for i, pattern := range nameWords[field] {
		if matches(pattern, n) {
			return i, sure
		}
	}
	if sure {
		return len(nameWords[field]), true
	}
	return -1, false
}

// plausible reports whether the values of a column may be a field's.
func (d *draft) plausible(field string, at int) bool {
	values := d.values[at]
	switch {
	case field == "type":
		return types(values)
	case field == "status":
		return !types(values)
	case valueTypes[field] == typeAmount:
		return !slices.ContainsFunc(values, func(v string) bool { _, _, rule := amount(v, false, false); return rule != "" && rule != ruleDecimals })
	case valueTypes[field] == typeDate:
		return !slices.ContainsFunc(values, func(v string) bool { return !dateLike(v) })
	}
	return true
}

var otherDate = regexp.MustCompile(`^\d{1,2}[/.-]\d{1,2}[/.-](\d{4})`)

// dateLike reports whether a value is a date, with or without a time.
func dateLike(v string) bool {
	_, _, rule := moment(v)
	return rule == "" || rule == ruleSerial || otherDate.MatchString(v)
}

// column finds a field's column by its name, or else by what its cells look like, which is never sure.
func (d *draft) column(field string) (at int, sure bool) {
	names := known(d.kind)
	at, best := -1, 100
	for i := range d.Header {
		if rank, known := d.rank(field, i, names); rank >= 0 && rank < best {
			at, best, sure = i, rank, known
		}
	}
	if at >= 0 {
		return at, sure
	}
	shapes := map[string]func(at int) bool{
		"channel_txn_id": func(at int) bool { return d.all(at, regexp.MustCompile(`^(4200\d{24}|20\d{6}22\d{18})$`).MatchString) },
		"txn_time": func(at int) bool {
			return d.all(at, func(v string) bool { _, clock, rule := moment(v); return rule == "" && clock != "" })
		},
		"type":   func(at int) bool { return types(d.values[at]) },
		"status": func(at int) bool { return statuses(d.values[at]) && !types(d.values[at]) },
	}
	if fits := shapes[field]; fits != nil {
		for i, name := range d.Header {
			if name != "" && !d.used[i] && !personal(name, d.values[i]) && fits(i) {
				return i, false
			}
		}
	}
	return -1, false
}

// all reports whether a column has values and all of them fit.
func (d *draft) all(at int, fits func(string) bool) bool {
	return len(d.values[at]) > 0 && !slices.ContainsFunc(d.values[at], func(v string) bool { return !fits(v) })
}

// field drafts a field's rule, "" for an optional one that nothing looks like. A rule of several lines has its note on the
// first.
func (d *draft) field(field string, required bool, captures *strings.Builder) (rule, note string) {
	at, sure := d.column(field)
	if at < 0 {
		return d.without(field, required, captures)
	}
	note = d.example(at)
	doubt := func(why string) { sure, note = false, why+"; "+note }
	value := quoted(d.Header[at])
	switch {
	case valueTypes[field] == typeAmount:
		extra := ""
		if d.fen || fenName.MatchString(normalName(d.Header[at])) {
			extra = ", unit: fen"
		} else if d.all(at, allDigits) {
			doubt("whole numbers, read as yuan; say {column: " + value + ", unit: fen} if they are fen" + d.fenHint(at))
		}
		if field == "fee" || field == "net_amount" {
			if why := d.untied(); why != "" {
				doubt(why)
			}
		}
		if extra != "" {
			rule = "{column: " + value + extra + "}"
		}
	case field == "settle_date":
		if rank, _ := d.rank(field, at, known(d.kind)); rank > 0 {
			doubt("a trade's own day; no column names the one it was settled on")
			defer func() { d.used[at] = false }() // it may be part of the trade's time
		}
	case field == "txn_time":
		if joined := d.joined(at); joined != "" {
			d.used[at] = true
			return joined, "? " + note
		}
	case field == "status", field == "type":
		d.used[at] = true
		return d.words(field, at)
	case field == "channel":
		d.used[at] = true
		var pairs []string
		for _, v := range d.values[at] {
			if to := channelWord(v); to != blank && len(pairs) < 20 {
				pairs = append(pairs, quoted(v)+": "+to)
			}
		}
		return "{column: " + value + ", map: {" + strings.Join(pairs, ", ") + "}, default: OTHER}", "? " + note
	case field == "currency" && d.all(at, regexp.MustCompile(`^(人民币元?|CNY|RMB)$`).MatchString):
		rule = "{column: " + value + ", map: {人民币: CNY, 人民币元: CNY, RMB: CNY, CNY: CNY}}"
	}
	if t := valueTypes[field]; (t == typeDate || t == typeTime) && d.all(at, otherDate.MatchString) {
		rule = "{column: " + value + ", layout: dd/MM/yyyy}"
		doubt("or MM/dd/yyyy, and HH:mm:ss behind it where there is a time")
	}
	d.used[at] = true
	if rule == "" {
		rule = value
	}
	if !sure {
		note = "? " + note
	}
	return rule, note
}

var (
	prefaceMerchant = regexp.MustCompile(`(商户编号|商户号|商户代码|商编|(?i:merchant[ _]?(?:no|id)))([\s,;|\t"]*[:：]?[\s,;|\t"]*)([0-9A-Za-z]{4,32})`)
	prefaceDate     = regexp.MustCompile(`(清算日期|结算日期|到账日期|出款日期|对账日期|账单日期|清算日|结算日)([\s,;|\t"]*[:：]?[\s,;|\t"]*)(20\d\d[-/年]?\d{1,2}[-/月]?\d{1,2})`)
)

// without drafts a field that no column looks like: from the lines before the rows, or left blank.
func (d *draft) without(field string, required bool, captures *strings.Builder) (rule, note string) {
	capture := func(name string, re *regexp.Regexp, value string) string {
		for _, line := range d.Before {
			if m := re.FindStringSubmatch(line); m != nil {
				fmt.Fprintf(captures, "  - {name: %s, pattern: '%s[\\s,;|\"]*[:：]?[\\s,;|\"]*(%s)'}\n", name, m[1], value)
				return "{capture: " + name + "}"
			}
		}
		return ""
	}
	switch field {
	case "merchant_id":
		if rule := capture("merchant", prefaceMerchant, "[0-9A-Za-z]+"); rule != "" {
			return rule, "? of a line before the rows"
		}
	case "settle_date", "payout_date":
		if rule := capture("day", prefaceDate, `20\d\d[-/年]?\d{1,2}[-/月]?\d{1,2}`); rule != "" {
			return rule, "? of a line before the rows"
		}
	case "type":
		if at := d.columnOf("amount"); at >= 0 && slices.ContainsFunc(d.values[at], func(v string) bool { _, minus, _ := amount(v, false, false); return minus }) {
			return "{sign_of: " + quoted(d.Header[at]) + "}", "? there are negative amounts, and no column says what a row is"
		}
	case "status":
		if d.kind == recon.KindSettlement && required {
			return "{value: SETTLED}", "? no column says how a row stands: is each of them settled?"
		}
	case "channel":
		if required {
			return "{value: OTHER}", "? no column looks like it"
		}
	}
	if required {
		return blank, "? no column looks like it"
	}
	return "", ""
}

// words drafts the map of a field whose values are words. What a format that ships does not say is a guess; what is unclear
// is left blank.
func (d *draft) words(field string, at int) (rule, note string) {
	type pair struct {
		from, to string
		guess    bool
	}
	var pairs []pair
	for _, v := range d.values[at] {
		to := typeWord(d.kind, v)
		if field == "status" {
			to = statusWord(d.kind, v)
		}
		guess := to == blank || !shipped(d.kind, field, v, to)
		pairs = append(pairs, pair{v, to, guess})
	}
	if len(pairs) == 0 {
		pairs = append(pairs, pair{blank, blank, true})
	}
	note = "the words of the first rows; add those that may come besides"
	if !slices.ContainsFunc(pairs, func(p pair) bool { return p.guess }) {
		var out []string
		for _, p := range pairs {
			out = append(out, quoted(p.from)+": "+p.to)
		}
		return "{column: " + quoted(d.Header[at]) + ", map: {" + strings.Join(out, ", ") + "}}", "? " + note
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n    column: %s\n    map:\n", quoted(d.Header[at]))
	for i, p := range pairs {
		if i == 20 {
			break // no words, but values of all kinds
		}
		mark := ""
		if p.guess {
			mark = "   # ?"
		}
		fmt.Fprintf(&b, "      %s: %s%s\n", quoted(p.from), p.to, mark)
	}
	return b.String(), "? " + note
}

// columnOf finds a field's column though it is in use.
func (d *draft) columnOf(field string) int {
	used := d.used
	d.used = map[int]bool{}
	at, _ := d.column(field)
	d.used = used
	return at
}

// fenHint says what speaks for fen: fees of whole numbers are whole yuan nowhere.
func (d *draft) fenHint(at int) string {
	if fee := d.columnOf("fee"); fee >= 0 && fee != at && d.all(fee, allDigits) {
		return ", as whole fees suggest"
	}
	return ""
}

// untied says that the amounts of the first rows, less their fees, are not their net amounts; "" if they are, or nothing is
// known of it.
func (d *draft) untied() string {
	a, f, n := d.columnOf("amount"), d.columnOf("fee"), d.columnOf("net_amount")
	if a < 0 || f < 0 || n < 0 || a == n || a == f || f == n {
		return ""
	}
	for _, row := range d.Rows {
		if max(a, f, n) >= len(row) {
			continue
		}
		x, ok1 := microYuan(clean(row[a]), false)
		y, ok2 := microYuan(clean(row[f]), false)
		z, ok3 := microYuan(clean(row[n]), false)
		if ok1 && ok2 && ok3 && clean(row[n]) != "" && x-y != z && x+y != z {
			return d.Header[a] + " less " + d.Header[f] + " is not " + d.Header[n] + " in the first rows"
		}
	}
	return ""
}

var bareClock = regexp.MustCompile(`^(\d{5,6}|\d{1,2}:\d{2}(:\d{2})?)$`)

// joined drafts a time whose date and clock stand in two columns, of which at is one; "" where they do not.
func (d *draft) joined(at int) string {
	isClock := func(i int) bool {
		return d.all(i, bareClock.MatchString) && matches(`时间|时刻|time|clock`, normalName(d.Header[i]))
	}
	isDay := func(i int) bool {
		return d.all(i, func(v string) bool { _, clock, rule := moment(v); return rule == "" && clock == "" })
	}
	day, clock := -1, -1
	for i := range d.Header {
		n := normalName(d.Header[i])
		switch {
		case isClock(i) && (clock < 0 || i == at):
			clock = i
		case isDay(i) && !matches(`清算|结算|到账|入账|settle`, n) && (day < 0 || i == at || matches(`交易|支付|trade|txn`, n)):
			day = i
		}
	}
	if day < 0 || clock < 0 || at != day && at != clock {
		return ""
	}
	d.used[day], d.used[clock] = true, true
	return "{join: [" + quoted(d.Header[day]) + ", " + quoted(d.Header[clock]) + "]}"
}

// matches reports whether a name fits one of the patterns of this package.
func matches(pattern, name string) bool {
	re, ok := compiled.Load(pattern)
	if !ok {
		re, _ = compiled.LoadOrStore(pattern, regexp.MustCompile(pattern))
	}
	return re.(*regexp.Regexp).MatchString(name)
}

var compiled sync.Map

// example shows a column's first value; of a long number the middle is left out, it may be a card's.
func (d *draft) example(at int) string {
	if len(d.values[at]) == 0 {
		return "empty in the first rows"
	}
	if personal(d.Header[at], d.values[at]) {
		return "it names people"
	}
	s := d.values[at][0]
	if allDigits(s) && len(s) >= 11 && len(s) <= 19 {
		s = s[:4] + "…" + s[len(s)-2:]
	}
	if utf8.RuneCountInString(s) > 40 {
		s = string([]rune(s)[:40]) + "…"
	}
	return "such as " + strings.Join(strings.Fields(s), " ")
}

// typical are some columns to recognise the file by: up to six that are named, those that something is read from first. One
// that names people may be left out of a file that is sent on.
func (d *draft) typical() []string {
	var out []string
	for _, used := range []bool{true, false} {
		for i, name := range d.Header {
			if name != "" && d.used[i] == used && len(out) < 6 && !personal(name, d.values[i]) {
				out = append(out, quoted(name))
			}
		}
	}
	return out
}

// personal lists the columns that seem to name people.
func (d *draft) personal() []string {
	var out []string
	for i, name := range d.Header {
		if name != "" && personal(name, d.values[i]) {
			out = append(out, quoted(name))
		}
	}
	return out
}

var (
	labelled   = regexp.MustCompile(`([\p{Han}A-Za-z]*(?:合计|总计|小计|总额|总笔数|笔数|总金额|金额|手续费|记录数)[\p{Han}]*)\s*[:：]\s*([¥￥]?-?[\d,]+(?:\.\d+)?)`)
	plainTotal = regexp.MustCompile(`^[¥￥]?-?[\d,]+(\.\d+)?(元|笔|条)?$`)
)

// writeOutside drafts what the lines around the rows are: control totals, and lines that are nothing. Those before the rows
// need no word unless they state totals.
func (d *draft) writeOutside(b *strings.Builder) {
	var totals, ignore []string
	for _, line := range d.Before {
		totals = append(totals, d.totalsIn(line)...)
	}
	for _, line := range d.After {
		if found := d.totalsIn(line); len(found) > 0 {
			totals = append(totals, found...)
			continue
		}
		cells := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(",\t|;\"'` ", r) })
		if len(cells) == 0 || notIgnored.MatchString(cells[0]) {
			continue
		}
		word, _, _ := strings.Cut(cells[0], "：")
		word, _, _ = strings.Cut(word, ":")
		if r := []rune(word); len(r) > 6 {
			word = string(r[:6])
		}
		ignore = append(ignore, `'^[\s"]*`+strings.ReplaceAll(regexp.QuoteMeta(word), "'", "''")+`'`)
	}
	slices.Sort(ignore)
	if ignore = slices.Compact(ignore); len(ignore) > 0 {
		b.WriteString("ignore: [" + strings.Join(ignore[:min(len(ignore), 10)], ", ") + "]   # ? lines that are no rows\n")
	}
	if len(totals) > 0 {
		b.WriteString("totals:   # ? what the file states of itself must come to the same as its rows\n")
		for _, t := range totals[:min(len(totals), 10)] {
			b.WriteString("  - " + t + "\n")
		}
	}
}

// totalsIn drafts the control totals that a line states.
func (d *draft) totalsIn(line string) []string {
	var out []string
	for _, m := range labelled.FindAllStringSubmatch(line, -1) {
		if of := d.totalOf(m[1], m[2]); of != "" {
			out = append(out, fmt.Sprintf(`{label: %s, pattern: '%s\s*[:：]\s*([¥￥]?-?[\d,.]+)', of: %s}`, quoted(m[1]), m[1], of))
		}
	}
	if len(out) > 0 || d.Separator == "" && d.Encoding != "xlsx" {
		return out
	}
	sep := d.Separator
	if sep == "" {
		sep = "\t"
	}
	cells := splitQuoted(line, sep[0])
	label, labelAt, numbers := "", 0, 0
	for i, cell := range cells {
		cell = strings.TrimRight(clean(cell), "：:")
		switch {
		case plainTotal.MatchString(cell) && label != "":
			of := d.totalOf(label, cell)
			if len(cells) >= len(d.Header) && i < len(d.Header) && labelAt == 0 && numbers+1 < len(cells) {
				if under := d.under(i); under != "" {
					of = under // the line has the table's columns
				} else if allDigits(cell) {
					of = "count"
				}
			} else if numbers == 0 && allDigits(cell) && labelAt == 0 && i+1 < len(cells) && plainTotal.MatchString(clean(cells[i+1])) {
				of = "count" // 合计, 4, 1380.36
			}
			if numbers++; of == "" {
				continue
			}
			if numbers == 1 {
				out = append(out, fmt.Sprintf("{label: %s, of: %s}", quoted(label), of))
			} else {
				s := regexp.QuoteMeta(sep)
				out = append(out, fmt.Sprintf(`{label: %s, pattern: '^\s*%s(?:[^%s]*%s){%d}"?([^%s"]+)', of: %s}`,
					quoted(label+" "+fmt.Sprint(numbers)), strings.ReplaceAll(regexp.QuoteMeta(label), "'", "''"), s, s, i-labelAt, s, of))
			}
		case totalName.MatchString(cell) && !plainTotal.MatchString(cell):
			label, labelAt, numbers = cell, i, 0
		}
	}
	return out
}

// splitQuoted cuts a line into cells and takes the quotes off.
func splitQuoted(line string, sep byte) []string {
	var out []string
	var cell strings.Builder
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			out = append(out, cell.String())
			cell.Reset()
		default:
			cell.WriteByte(c)
		}
	}
	return append(out, cell.String())
}

// under returns the column of amounts that a cell of the table's width stands under.
func (d *draft) under(at int) string {
	for _, field := range []string{"amount", "fee", "net_amount"} {
		if d.columnOf(field) == at {
			return quoted(d.Header[at])
		}
	}
	return ""
}

// totalOf guesses what a total with a label is of.
func (d *draft) totalOf(label, value string) string {
	field := "amount"
	switch {
	case matches(`笔数|条数|记录数|count`, label):
		return "count"
	case matches(`手续费|服务费|费用`, label):
		field = "fee"
	case matches(`结算|清算|净|实收|入账|到账`, label):
		field = "net_amount"
	}
	at := d.columnOf(field)
	if at < 0 {
		return ""
	}
	unit := ""
	if d.fen || fenName.MatchString(normalName(d.Header[at])) {
		unit = ", unit: fen"
	}
	return quoted(d.Header[at]) + unit
}

// writeFixed drafts a profile of a file without separators: its first record under a ruler, cut where all is blank.
func (d *draft) writeFixed(b *strings.Builder) {
	record := d.Record
	if r := []rune(record); len(r) > 2000 {
		record = string(r[:2000])
	}
	encoded, err := simplifiedchinese.GB18030.NewEncoder().String(record)
	if err != nil {
		encoded = record
	}
	masked := regexp.MustCompile(`\d{11,}`).ReplaceAllStringFunc(record, func(s string) string {
		return s[:4] + strings.Repeat("*", len(s)-6) + s[len(s)-2:]
	})
	b.WriteString("kind: " + blank + "   # pos_log, settlement, payout or bank_statement\nacquirer: " + blank + "   # whose files these are: lakala, chinaums, …\n")
	b.WriteString("# The first record. Widths are bytes of GB18030, in which a Chinese character has two; the middle of long numbers is left out.\n" +
		"# It may name somebody: take it out before this is passed on.\n")
	var tens, ones strings.Builder
	for i := 1; i <= len(encoded); i++ {
		if i%10 == 0 {
			fmt.Fprintf(&tens, "%10d", i)
		}
		ones.WriteByte(byte('0' + i%10))
	}
	fmt.Fprintf(b, "# %s\n# %s\n# %s\n", tens.String(), ones.String(), strings.Map(printableOnly, masked))
	var columns, widths []string
	for from, i := 0, 1; i <= len(encoded); i++ {
		if i == len(encoded) || encoded[i-1] == ' ' && encoded[i] != ' ' {
			columns, widths = append(columns, fmt.Sprintf("c%d", len(columns)+1)), append(widths, fmt.Sprint(i-from))
			from = i
		}
	}
	fmt.Fprintf(b, "file:\n  layout: fixed\n  columns: [%s]   # ? cut where blanks end; give them names\n  widths: [%s]\n  gap: 0     # bytes between two columns\n  short: true # records may lack columns at their end\n",
		strings.Join(columns, ", "), strings.Join(widths, ", "))
	b.WriteString("match:\n  cells: {" + columns[0] + ": " + blank + "}   # patterns that cells of the first record fit, as '^\\d{8}$'\nfields:\n")
	for _, field := range kindColumns[recon.KindSettlement].required {
		fmt.Fprintf(b, "  %s: %s\n", field, blank)
	}
}

func printableOnly(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

var plainYAML = regexp.MustCompile(`^[\p{L}\p{N}][\p{L}\p{N}（）()/_. -]*$`)

// yamlWords are plain words that YAML takes for something else than text.
var yamlWords = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n|[0-9.]+(e[0-9]+)?|0x[0-9a-f]+|[0-9]{4}-[0-9]{2}-[0-9]{2}.*)$`)

func quoted(s string) string {
	s = strings.Map(printableOnly, s)
	if plainYAML.MatchString(s) && !strings.HasSuffix(s, " ") && !yamlWords.MatchString(s) && !strings.Contains(s, " #") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// slug names a draft after its file, without what changes from day to day; where nothing is left, by its columns.
func slug(name string, s Sample) string {
	name = strings.ToLower(name)
	name = regexp.MustCompile(`\.[a-z]+$`).ReplaceAllString(name, "")
	name = strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(name, "-"), "-")
	if name == "" {
		sum := sha256.Sum256([]byte(strings.Join(s.Header, "\x00") + s.Record[:min(len(s.Record), 20)]))
		name = hex.EncodeToString(sum[:3])
	}
	return "my-" + strings.Trim(name[:min(len(name), 50)], "-")
}
