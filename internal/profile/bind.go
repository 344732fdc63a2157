package profile

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Problem is the first rule that a row breaks, in the source's own terms.
type Problem struct {
	Field  string // canonical column
	Column string // the source's, "" where there is none
	Value  string
	Rule   string // "" for no problem
}

// Binding is a profile bound to one file's columns. It is not safe for use by several goroutines at once.
type Binding struct {
	profile *Profile
	names   []string // as the file writes them
	at      map[string]int
	fields  []field
	rows    condition
	skip    condition
	tallies []tally
	labels  map[string][]int // tallies that are found by their labels, by number
	hidden  []bool           // columns that are never kept

	// The fields that say the direction of the money, -1 for none.
	amountAt, typeAt int

	cleaned []string // of the row in hand
	done    []bool
	joined  []byte
}

// field computes one canonical column.
type field struct {
	name   string
	typ    valueType
	rule   rule
	cases  []boundCase
	signed bool // keeps its sign: payouts and bank lines
	column int  // the one column whose text this is as it stands, -1 if there is more to it
}

type boundCase struct {
	when condition
	rule rule
}

// rule is a Field with its columns found.
type rule struct {
	columns  []int
	join     []int
	constant string
	text     []part
	fallback string
	pattern  *regexp.Regexp
	values   map[string]string
	find     []boundFind
	seen     map[string]string // results of find
	matched  map[string]string // results of pattern
	blanks   []string
	digits   int
	fen      bool
	letter   bool
	signOf   int
	debit    condition
	less     []int
	red      bool
	minus    int // -1 for none
	replace  *regexp.Regexp
	with     string
	layout   string
	clear    bool
	day      bool
	days     int

	lastIn, lastOut string // of a date: a file has few
}

type boundFind struct {
	pattern *regexp.Regexp
	value   string
}

type part struct {
	text   string
	column int // -1 for the text
}

type valueType int

const (
	typeText valueType = iota
	typeAmount
	typeDate
	typeTime
)

var valueTypes = map[string]valueType{
	"amount": typeAmount, "fee": typeAmount, "net_amount": typeAmount, "balance": typeAmount,
	"settle_date": typeDate, "payout_date": typeDate, "book_date": typeDate,
	"txn_time": typeTime, "callback_time": typeTime, "bank_credit_time": typeTime, "book_time": typeTime,
}

// condition is a Condition with its columns found.
type condition []clause

type clause struct {
	column   int
	values   []string
	patterns []*regexp.Regexp
	seen     map[string]bool // what the patterns say of values
}

// matches reports whether one of the patterns fits.
func (c *clause) matches(s string) bool {
	if len(c.patterns) == 0 {
		return false
	}
	if ok, known := c.seen[s]; known {
		return ok
	}
	ok := slices.ContainsFunc(c.patterns, func(re *regexp.Regexp) bool { return re.MatchString(s) })
	if len(c.seen) < maxSeen {
		c.seen[strings.Clone(s)] = ok
	}
	return ok
}

// Bind finds the profile's columns in a header. captured are the values that were found outside the rows. A column that
// the file lacks is an error only where nothing else gives a required value.
func (p *Profile) Bind(header []string, captured map[string]string) (*Binding, error) {
	b := &Binding{profile: p, at: map[string]int{}, amountAt: -1, typeAt: -1, cleaned: make([]string, len(header)), done: make([]bool, len(header))}
	for i, name := range header {
		name = clean(name)
		b.names = append(b.names, name)
		if _, twice := b.at[normalName(name)]; !twice {
			b.at[normalName(name)] = i // of two columns of one name the first counts
		}
	}
	b.hidden = make([]bool, len(header))
	for _, name := range p.Personal {
		if i := b.find(name); i >= 0 {
			b.hidden[i] = true
		}
	}
	var err error
	if b.rows, err = b.condition(p.Rows); err != nil {
		return nil, fmt.Errorf("profile %s: rows: %w", p.Name, err)
	}
	if b.skip, err = b.condition(p.Skip); err != nil {
		b.skip = nil // without the column there is nothing to tell such rows by
	}
	if p.Kind == "none" {
		return b, nil
	}
	columns := kindColumns[recon.Kind(p.Kind)]
	for i, name := range slices.Concat(columns.required, columns.optional) {
		spec, ok := p.Fields[name]
		if !ok {
			continue
		}
		f := field{name: name, typ: valueTypes[name], signed: p.Kind == string(recon.KindPayout) || p.Kind == string(recon.KindBank)}
		found := false
		if f.rule, found, err = b.rule(spec, captured); err != nil {
			return nil, fmt.Errorf("profile %s: %s: %w", p.Name, name, err)
		}
		for _, c := range spec.Cases {
			when, err := b.condition(c.When)
			if err != nil {
				continue // the column that would tell is not there: the case never holds
			}
			r, ok, err := b.rule(c.Field, captured)
			if err != nil {
				return nil, fmt.Errorf("profile %s: %s: %w", p.Name, name, err)
			}
			found = found || ok
			f.cases = append(f.cases, boundCase{when, r})
		}
		if !found {
			if i < len(columns.required) {
				return nil, fmt.Errorf("profile %s: no column for %s: %s", p.Name, name, strings.Join(spec.wanted(), " or "))
			}
			continue
		}
		f.column = f.plainColumn()
		switch name {
		case "amount":
			b.amountAt = len(b.fields)
		case "type":
			b.typeAt = len(b.fields)
		}
		b.fields = append(b.fields, f)
	}
	return b, b.bindTotals()
}

// plainColumn returns the column of a field that is a text and is taken as it stands, -1 for any other. The type is looked at.
func (f *field) plainColumn() int {
	r := &f.rule
	if f.typ != typeText || f.name == "type" || len(f.cases) > 0 || len(r.columns) != 1 || len(r.blanks) > 0 || r.constant != "" || r.fallback != "" ||
		r.pattern != nil || r.replace != nil || r.values != nil || r.find != nil || r.digits > 0 {
		return -1
	}
	return r.columns[0]
}

// wanted names the columns that a field could come from.
func (f Field) wanted() []string {
	names := slices.Concat([]string(f.Column), f.Join)
	if f.Capture != "" {
		names = append(names, "captured "+f.Capture)
	}
	return names
}

func (b *Binding) find(name string) int {
	if i, ok := b.at[normalName(name)]; ok {
		return i
	}
	return -1
}

func (b *Binding) condition(c Condition) (condition, error) {
	var out condition
	columns := make([]string, 0, len(c))
	for name := range c {
		columns = append(columns, name)
	}
	slices.Sort(columns)
	for _, name := range columns {
		i := b.find(name)
		if i < 0 {
			return nil, fmt.Errorf("no column %s", name)
		}
		cl := clause{column: i, seen: map[string]bool{}}
		for _, v := range c[name] {
			if len(v) > 1 && v[0] == '/' && v[len(v)-1] == '/' {
				re, err := regexp.Compile(v[1 : len(v)-1])
				if err != nil {
					return nil, err
				}
				cl.patterns = append(cl.patterns, re)
				continue
			}
			cl.values = append(cl.values, v)
		}
		out = append(out, cl)
	}
	return out, nil
}

// rule binds a field. found is false where none of its columns is there and nothing else gives a value.
func (b *Binding) rule(f Field, captured map[string]string) (r rule, found bool, err error) {
	r = rule{constant: cmp.Or(f.Value, captured[f.Capture]), fallback: f.Default, values: f.Map, blanks: f.Blanks, digits: f.Digits,
		fen: f.Unit == "fen", letter: f.Letter, signOf: -1, minus: -1, red: f.Red, clear: f.Clear, day: f.Day, days: f.Days}
	found = r.constant != "" || r.fallback != ""
	for _, name := range f.Column {
		if i := b.find(name); i >= 0 {
			r.columns, found = append(r.columns, i), true
		}
	}
	for _, name := range f.Join {
		i := b.find(name)
		if i < 0 {
			r.join = nil
			break
		}
		r.join, found = append(r.join, i), true
	}
	for _, name := range f.Less {
		if i := b.find(name); i >= 0 {
			r.less = append(r.less, i)
		}
	}
	if f.Minus != "" {
		r.minus = b.find(f.Minus)
	}
	if f.Replace != nil {
		if r.replace, err = regexp.Compile(f.Replace.Pattern); err != nil {
			return r, false, err
		}
		r.with = f.Replace.With
	}
	if f.SignOf != "" {
		if r.signOf = b.find(f.SignOf); r.signOf >= 0 {
			found = true
		}
	}
	for text := f.Text; text != ""; {
		before, rest, open := strings.Cut(text, "{")
		if before != "" {
			r.text = append(r.text, part{before, -1})
		}
		if !open {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return r, false, fmt.Errorf("text %q: a brace is not closed", f.Text)
		}
		i := b.find(name)
		if i < 0 {
			return r, false, fmt.Errorf("no column %s", name)
		}
		r.text, found, text = append(r.text, part{"", i}), true, after
	}
	if captured[f.Capture] != "" { // what the file says of itself as a whole outranks its rows
		r.columns, r.join, r.text = nil, nil, nil
	}
	if f.Pattern != "" {
		if r.pattern, err = regexp.Compile(f.Pattern); err != nil {
			return r, false, err
		}
	}
	for _, find := range f.Find {
		re, err := regexp.Compile(find.Pattern)
		if err != nil {
			return r, false, err
		}
		r.find = append(r.find, boundFind{re, find.Value})
	}
	if len(f.Debit) > 0 {
		if r.debit, err = b.condition(f.Debit); err != nil {
			return r, false, err
		}
	}
	if f.Layout != "" {
		if r.layout, err = goLayout(f.Layout); err != nil {
			return r, false, err
		}
	}
	return r, found, nil
}

// Columns returns the canonical columns that the file gives, in the order in which Translate fills them.
func (b *Binding) Columns() []string {
	names := make([]string, len(b.fields))
	for i, f := range b.fields {
		names[i] = f.name
	}
	return names
}

// Header returns the file's column names.
func (b *Binding) Header() []string { return b.names }

// Sources says which columns a canonical column is read from, for people.
func (b *Binding) Sources(i int) []string {
	f := b.fields[i]
	var out []string
	add := func(r rule) {
		for _, c := range slices.Concat(r.columns, r.join, r.less) {
			out = append(out, b.names[c])
		}
		for _, p := range r.text {
			if p.column >= 0 {
				out = append(out, b.names[p.column])
			}
		}
		if r.signOf >= 0 {
			out = append(out, b.names[r.signOf])
		}
		if len(r.columns)+len(r.join)+len(r.text) == 0 && r.constant != "" {
			out = append(out, "'"+r.constant+"'")
		}
	}
	add(f.rule)
	for _, c := range f.cases {
		add(c.rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// begin takes the cells of the next row; missing ones are empty.
func (b *Binding) begin(cells []string) {
	clear(b.done)
	for i := range b.cleaned {
		if i < len(cells) {
			b.cleaned[i] = cells[i]
		} else {
			b.cleaned[i] = ""
		}
	}
}

// cell returns a cleaned cell, "" for a blank one.
func (b *Binding) cell(i int) string {
	if !b.done[i] {
		b.done[i] = true
		s := clean(b.cleaned[i])
		for _, blank := range b.profile.Blanks {
			if s == blank {
				s = ""
				break
			}
		}
		b.cleaned[i] = s
	}
	return b.cleaned[i]
}

func (c condition) holds(b *Binding) bool {
	for i := range c {
		cl := &c[i]
		s := b.cell(cl.column)
		if !slices.Contains(cl.values, s) && !cl.matches(s) {
			return false
		}
	}
	return true
}

// Translate computes the canonical values of a row of cells, one for each of Columns. load is false for a row that is
// none of the profile's: it counts towards the control totals and is left alone. On a problem the values are as far as
// they could be read.
func (b *Binding) Translate(cells []string, out []string) (load bool, bad Problem) {
	b.begin(cells)
	b.count()
	if !b.rows.holds(b) || len(b.skip) > 0 && b.skip.holds(b) {
		return false, Problem{}
	}
	typ, negative := "", ""
	for i := range b.fields {
		f := &b.fields[i]
		if f.column >= 0 {
			out[i] = b.cell(f.column)
			continue
		}
		r := &f.rule
		for j := range f.cases {
			if f.cases[j].when.holds(b) {
				r = &f.cases[j].rule
				break
			}
		}
		value, source, minus, rule := b.value(f, r)
		if rule != "" && bad.Rule == "" {
			bad = Problem{Field: f.name, Value: value, Rule: rule}
			if source >= 0 {
				bad.Column = b.names[source]
			}
			value = ""
		}
		switch {
		case minus && f.typ == typeAmount && f.signed:
			value = "-" + value
		case minus && i == b.amountAt:
			negative = value
		case i == b.typeAt:
			typ = value
		}
		out[i] = value
	}
	if negative != "" && (typ == "" || typ == "SALE") && bad.Rule == "" {
		bad = Problem{Field: "amount", Value: "-" + negative, Rule: "a sale with a negative amount: is it a refund?"}
		for i := range b.fields {
			if b.fields[i].name == "amount" {
				bad.Column = strings.Join(b.Sources(i), " or ")
			}
		}
	}
	return true, bad
}

// value reads one field by a rule. source is the column at fault, -1 for none.
func (b *Binding) value(f *field, r *rule) (value string, source int, minus bool, rule string) {
	source = -1
	switch {
	case len(r.columns) > 0:
		for _, c := range r.columns {
			source = c
			if value = b.cell(c); value != "" && !slices.Contains(r.blanks, value) {
				break
			}
			value = ""
		}
	case len(r.join) > 0:
		source, b.joined = r.join[0], b.joined[:0]
		for i, c := range r.join {
			s := b.cell(c)
			if s == "" && i == 0 {
				break
			}
			if i > 0 && s != "" {
				b.joined = append(b.joined, ' ')
			}
			b.joined = append(b.joined, s...)
		}
		value = string(b.joined)
	case len(r.text) > 0:
		b.joined = b.joined[:0]
		for _, p := range r.text {
			if p.column >= 0 {
				source = p.column
				b.joined = append(b.joined, b.cell(p.column)...)
			} else {
				b.joined = append(b.joined, p.text...)
			}
		}
		value = trim(string(b.joined))
	case r.signOf >= 0:
		source = r.signOf
		if _, negative, rule := amount(b.cell(r.signOf), false, false); rule != "" {
			return b.cell(r.signOf), source, false, rule
		} else if negative {
			return "REFUND", source, false, ""
		}
		return "SALE", source, false, ""
	}
	if value == "" {
		value = r.constant
	}
	raw := value
	if value != "" && r.pattern != nil {
		value = r.captured(value)
	}
	if value != "" && r.replace != nil {
		value = r.replace.ReplaceAllString(value, r.with)
	}
	if value != "" && (r.values != nil || r.find != nil) {
		to, ok := r.values[value]
		if !ok {
			to, ok = r.found(value)
		}
		switch {
		case ok:
			value = to
		case r.fallback != "":
			value = r.fallback
		default:
			return raw, source, false, "a value that the profile " + b.profile.Name + " does not know"
		}
	}
	if value == "" {
		value = r.fallback
	}
	switch f.typ {
	case typeAmount:
		return b.amount(r, value, source)
	case typeDate, typeTime:
		value, rule = b.moment(f, r, value)
		if rule != "" {
			return raw, source, false, rule
		}
		return value, source, false, ""
	}
	if r.digits > 0 && value != "" && len(value) < r.digits && allDigits(value) {
		return value, source, false, fmt.Sprintf("%d of its %d digits are there: a spreadsheet took the leading zeros; export it as text", len(value), r.digits)
	}
	return value, source, false, ""
}

// maxSeen bounds how many values a rule remembers the result for: words of a few dozen kinds come again in every row.
const maxSeen = 1000

// captured returns what the pattern captures in a value, "" where it does not fit.
func (r *rule) captured(value string) string {
	if to, ok := r.matched[value]; ok {
		return to
	}
	to := ""
	if m := r.pattern.FindStringSubmatch(value); m != nil {
		to = m[1]
	}
	if len(r.matched) < maxSeen {
		if r.matched == nil {
			r.matched = map[string]string{}
		}
		value = strings.Clone(value)
		r.matched[value] = strings.Clone(to)
	}
	return to
}

// found looks for the first pattern that fits.
func (r *rule) found(value string) (string, bool) {
	if to, ok := r.seen[value]; ok {
		return to, true
	}
	for _, find := range r.find {
		if find.pattern.MatchString(value) {
			if len(r.seen) < maxSeen {
				if r.seen == nil {
					r.seen = map[string]string{}
				}
				r.seen[strings.Clone(value)] = find.value
			}
			return find.value, true
		}
	}
	return "", false
}

// amount reads an amount, or two of which one column is money in and the other money out.
func (b *Binding) amount(r *rule, value string, source int) (string, int, bool, string) {
	outgoing := false
	if len(r.less) > 0 && isZero(value) {
		for _, c := range r.less {
			if s := b.cell(c); !isZero(s) {
				value, source, outgoing = s, c, true
				break
			}
		}
	}
	if value == "" {
		return "", source, false, ""
	}
	plain, negative, rule := amount(value, r.fen, r.letter)
	if rule != "" {
		return value, source, false, rule
	}
	if outgoing {
		// Whether or not the column of money that goes out has a sign of its own, unless one in it takes an entry back.
		negative = !(negative && r.red)
	}
	if len(r.debit) > 0 && r.debit.holds(b) {
		negative = !negative
	}
	if r.minus >= 0 {
		if plain, rule = subtract(plain, b.cell(r.minus), r.fen); rule != "" {
			return b.cell(r.minus), r.minus, false, rule
		}
	}
	return plain, source, negative && !isZero(plain), ""
}

func isZero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' && s[i] != '.' {
			return false
		}
	}
	return true
}

// moment reads a date or time as canonical text.
func (b *Binding) moment(f *field, r *rule, value string) (text, rule string) {
	if value == "" {
		return "", ""
	}
	if f.typ == typeDate && value == r.lastIn {
		return r.lastOut, ""
	}
	var date, clock string
	if r.layout != "" {
		date, clock, rule = byLayout(value, r.layout)
	} else {
		date, clock, rule = moment(value)
	}
	if rule != "" {
		return "", rule
	}
	if (r.clear || r.day) && clock != "" {
		at, err := time.Parse(time.DateTime, date+" "+clock[:min(len(clock), 8)])
		if err != nil {
			return "", ruleMoment
		}
		late := time.Duration(at.Hour())*time.Hour+time.Duration(at.Minute())*time.Minute >= b.profile.cutOff
		switch {
		case late && r.clear:
			date = at.AddDate(0, 0, -1).Format(time.DateOnly)
		case late && r.day:
			date = at.AddDate(0, 0, 1).Format(time.DateOnly)
		}
	}
	if r.days > 0 {
		if at, err := time.Parse(time.DateOnly, date); err == nil {
			date = at.AddDate(0, 0, r.days).Format(time.DateOnly)
		}
	}
	if f.typ == typeDate {
		r.lastIn, r.lastOut = value, date
		return date, ""
	}
	if clock == "" {
		if f.name == "txn_time" && b.profile.Kind == string(recon.KindPOSLog) {
			return "", "a date without a time of day"
		}
		return "", "" // nothing is made of it: midnight would be a time like any other
	}
	if len(value) == len(date)+1+len(clock) && value[:len(date)] == date && value[len(date)+1:] == clock {
		return value, "" // as it stands there
	}
	return date + " " + clock, ""
}

// Hidden reports whether a column, or one of several parted by slashes as they are shown to people, names a person.
func (b *Binding) Hidden(names string) bool {
	for _, name := range strings.Split(names, " / ") {
		if i := b.find(name); i >= 0 && b.hidden[i] {
			return true
		}
	}
	return false
}

// Keep returns the cells of a row as they may be kept: without those that name a person.
func (b *Binding) Keep(cells []string) []string {
	out := make([]string, len(cells))
	for i, s := range cells {
		if i < len(b.hidden) && b.hidden[i] && clean(s) != "" {
			s = "***"
		}
		out[i] = s
	}
	return out
}
