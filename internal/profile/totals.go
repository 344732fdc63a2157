package profile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/shopspring/decimal"
)

// tally is a control total: what the file states and what its rows come to.
type tally struct {
	label    string
	pattern  *regexp.Regexp // of the line that states it; nil for a column of the summary
	column   int            // that is added up, -1 for a count
	when     condition
	fen      bool
	required bool
	path     string // of the JSON member that states it
	pages    bool

	stated string
	count  int64
	micro  int64 // millionths of a yuan
	high   decimal.Decimal
	unread bool  // a row's value could not be read
	maybe  int64 // rows of which it is not known whether they count
}

func (b *Binding) bindTotals() error {
	for _, t := range b.profile.Totals {
		y := tally{label: t.Label, column: -1, fen: t.Unit == "fen", required: t.Require, path: t.Path, pages: t.Pages}
		if t.Pattern != "" {
			re, err := regexp.Compile(t.Pattern)
			if err != nil {
				return err
			}
			y.pattern = re
		}
		if t.Of != "count" {
			if y.column = b.find(t.Of); y.column < 0 {
				continue // a variant without the column: nothing to compare
			}
		}
		var err error
		if y.when, err = b.condition(t.When); err != nil {
			continue
		}
		if y.pattern == nil && y.path == "" {
			if b.labels == nil {
				b.labels = map[string][]int{}
			}
			name := strings.TrimRight(normalName(y.label), ":")
			b.labels[name] = append(b.labels[name], len(b.tallies))
		}
		b.tallies = append(b.tallies, y)
	}
	return nil
}

// Continue takes over what another binding of the profile, to a header further up, has counted.
func (b *Binding) Continue(before *Binding) {
	for i := range b.tallies {
		for _, t := range before.tallies {
			if b.tallies[i].label == t.label {
				b.tallies[i].stated, b.tallies[i].count, b.tallies[i].micro = t.stated, t.count, t.micro
				b.tallies[i].high, b.tallies[i].unread, b.tallies[i].maybe = t.high, t.unread, t.maybe
			}
		}
	}
}

// count adds the row in hand to the totals.
func (b *Binding) count() {
	for i := range b.tallies {
		t := &b.tallies[i]
		if !t.when.holds(b) {
			continue
		}
		t.count++
		if t.column < 0 {
			continue
		}
		micro, ok := microYuan(b.cell(t.column), t.fen)
		if !ok {
			t.unread = true
			continue
		}
		t.micro += micro
		if t.micro > 1<<61 || t.micro < -(1<<61) {
			t.high, t.micro = t.high.Add(decimal.New(t.micro, -6)), 0
		}
	}
}

// Uncounted notes a row whose cells could not be told apart: it counts, and no amount of it is known.
func (b *Binding) Uncounted() {
	for i := range b.tallies {
		t := &b.tallies[i]
		t.unread = true
		switch {
		case len(t.when) > 0:
			t.maybe++
		case t.column < 0:
			t.count++
		}
	}
}

// microYuan reads an amount as millionths of a yuan. Empty is zero.
func microYuan(s string, fen bool) (int64, bool) {
	if s == "" {
		return 0, true
	}
	if v, ok := plainMicroYuan(s, fen); ok {
		return v, true
	}
	if v, ok := plainMicroYuan(strings.ReplaceAll(strings.TrimPrefix(narrow(s), "+"), ",", ""), fen); ok {
		return v, true
	}
	// What a row's amount may look like, a total's must as well: one ¥ in a column would switch its total off.
	plain, negative, rule := amount(s, fen, false)
	if rule != "" {
		if plain, negative, rule = amount(s, fen, true); rule != "" {
			return 0, false
		}
	}
	v, ok := plainMicroYuan(plain, false)
	if negative {
		v = -v
	}
	return v, ok
}

// plainMicroYuan is microYuan for digits, a point and a minus.
func plainMicroYuan(s string, fen bool) (int64, bool) {
	negative := s != "" && s[0] == '-'
	if negative {
		s = s[1:]
	}
	var v int64
	scale, point := 6, false
	if fen {
		scale = 4
	}
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) && (!point || scale > 0):
			if v > 1e17 {
				return 0, false
			}
			v = v*10 + int64(c-'0')
			if point {
				scale--
			}
		case isDigit(c) && c == '0':
		case c == '.' && !point:
			point = true
		default:
			return 0, false
		}
	}
	for ; scale > 0; scale-- {
		if v > 9e17/10 {
			return 0, false
		}
		v *= 10
	}
	if negative {
		v = -v
	}
	return v, len(s) > 0
}

// statedNumber reads the number that a file states, as 1,234.50, ¥20.00, 20.0, 6 笔 or -30.00元. It is of the size of an amount: a power
// of ten of any size would take all of memory to compare.
func statedNumber(s string) (decimal.Decimal, error) {
	s = strings.ReplaceAll(narrow(s), ",", "")
	for _, mark := range []string{"¥", "￥", "CNY", "RMB"} {
		s = trim(strings.TrimPrefix(s, mark))
	}
	for _, unit := range []string{"元", "笔", "条"} {
		s = trim(strings.TrimSuffix(s, unit))
	}
	if len(s) > 38 || strings.Trim(s, "+-.0123456789") != "" {
		return decimal.Decimal{}, errors.New("no number")
	}
	return decimal.NewFromString(s)
}

// States reports whether a line that was cut into cells states control totals: by a pattern, or in the cell beside a label.
func (b *Binding) States(line string, cells []string) bool {
	stated := b.states(line)
	return b.beside(cells) || stated
}

// beside looks for the labels of totals among cells: their values stand behind a colon, or in the next cell that is filled.
func (b *Binding) beside(cells []string) bool {
	known := false
	if len(b.labels) == 0 {
		return false
	}
	for i, cell := range cells {
		label, value, _ := strings.Cut(narrow(clean(cell)), ":")
		tallies := b.labels[normalName(label)]
		if len(tallies) == 0 {
			continue
		}
		for j := i + 1; j < len(cells) && clean(value) == ""; j++ {
			value = cells[j]
		}
		if _, err := statedNumber(clean(value)); err != nil {
			continue
		}
		for _, k := range tallies {
			b.tallies[k].stated, known = clean(value), true
		}
	}
	return known
}

// Labels returns the labels by which totals are found among cells.
func (p *Profile) Labels() []string {
	var out []string
	for _, t := range p.Totals {
		if t.Pattern == "" && t.Path == "" {
			out = append(out, t.Label)
		}
	}
	return out
}

// states looks for control totals in a line.
func (b *Binding) states(line string) bool {
	known := false
	for i := range b.tallies {
		t := &b.tallies[i]
		if t.pattern == nil {
			continue
		}
		if m := t.pattern.FindStringSubmatch(line); m != nil {
			t.stated, known = clean(m[1]), true
		}
	}
	return known
}

// Ignored reports whether a line is none of the rows.
func (p *Profile) Ignored(line string) bool {
	for _, re := range p.ignore {
		if re.MatchString(line) {
			return true
		}
	}
	return false
}

// Member takes a JSON document's member that stands beside its rows.
func (b *Binding) Member(path, value string) {
	for i := range b.tallies {
		if t := &b.tallies[i]; t.path != "" && t.path == path {
			t.stated = clean(value)
		}
	}
}

// Remark says of control totals over several pages that this file has fewer rows; "" if it does not.
func (b *Binding) Remark() string {
	for i := range b.tallies {
		t := &b.tallies[i]
		if stated, err := statedNumber(t.stated); err == nil && t.pages && t.column < 0 && decimal.NewFromInt(t.count).LessThan(stated) {
			return fmt.Sprintf("%s says %s, this file has %d: the other pages are files of their own, or missing", t.label, stated, t.count)
		}
	}
	return ""
}

// Summary reports whether a row of cells is the header line of a summary block: its first cell is the label of a total
// without a pattern.
func (b *Binding) Summary(cells []string) bool {
	if len(cells) == 0 {
		return false
	}
	first := normalName(cells[0])
	for i := range b.tallies {
		if t := &b.tallies[i]; t.pattern == nil && t.path == "" && normalName(t.label) == first {
			return true
		}
	}
	return false
}

// SummaryValues takes the row below a summary's header line.
func (b *Binding) SummaryValues(header, values []string) {
	for i := range b.tallies {
		t := &b.tallies[i]
		for j, name := range header {
			if t.pattern == nil && t.path == "" && normalName(name) == normalName(t.label) && j < len(values) {
				t.stated = clean(values[j])
			}
		}
	}
}

// Stated reports whether the file states any control total.
func (b *Binding) Stated() bool {
	for i := range b.tallies {
		if b.tallies[i].stated != "" {
			return true
		}
	}
	return false
}

// Control is a control total that a file states, and what its rows come to.
type Control struct {
	Label  string `json:"label"`
	Stated string `json:"stated"`
	Rows   string `json:"rows"`
	Ties   bool   `json:"ties"`
}

// Controls returns the control totals that the file states.
func (b *Binding) Controls() []Control {
	var out []Control
	for i := range b.tallies {
		t := &b.tallies[i]
		if t.stated == "" {
			continue
		}
		c := Control{Label: t.label, Stated: t.stated, Rows: fmt.Sprint(t.count)}
		seen := decimal.NewFromInt(t.count)
		if t.column >= 0 {
			seen = t.high.Add(decimal.New(t.micro, -6))
			c.Rows = seen.String()
		}
		if stated, err := statedNumber(t.stated); err == nil {
			if t.fen && t.column >= 0 {
				stated = stated.Shift(-2)
			}
			c.Ties = !(t.unread && t.column >= 0) && stated.Equal(seen)
		}
		out = append(out, c)
	}
	return out
}

// Untied says which control total does not tie with the rows, or is missing though the format always has it; "" if all
// is well. A row whose amount cannot be read explains a difference in amounts, if the counts tie.
func (b *Binding) Untied() string {
	for i := range b.tallies {
		t := &b.tallies[i]
		if t.stated == "" {
			if t.required {
				return fmt.Sprintf("%s is missing at its end: it has been cut short", t.label)
			}
			continue
		}
		stated, err := statedNumber(t.stated)
		if err != nil {
			return fmt.Sprintf("%s is %q, which is no number", t.label, t.stated)
		}
		if t.fen && t.column >= 0 {
			stated = stated.Shift(-2)
		}
		seen := decimal.NewFromInt(t.count)
		if t.column >= 0 {
			if t.unread {
				continue
			}
			seen = t.high.Add(decimal.New(t.micro, -6))
		}
		if t.column < 0 && stated.GreaterThan(seen) && !stated.GreaterThan(seen.Add(decimal.NewFromInt(t.maybe))) {
			continue // the rest are among the rows whose cells could not be told apart
		}
		if !stated.Equal(seen) && !(t.pages && seen.LessThan(stated)) {
			return fmt.Sprintf("%s says %s, the rows come to %s", t.label, stated, seen)
		}
	}
	return ""
}
