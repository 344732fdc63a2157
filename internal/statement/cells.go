package statement

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// fault is the first rule that a line breaks.
type fault struct {
	field string // "" for the line as a whole
	value string
	rule  string // "" for no fault
}

// cells is one record, split. Its methods read a column by the rule for its type; the first fault is kept, so that a
// row can be read in one expression and its fault looked up afterwards.
type cells struct {
	at    *[columnCount]int    // where a column stands, -1 for nowhere
	given *[columnCount]string // the values themselves, where a profile has worked them out
	zone  *time.Location
	text  string // the cells' text; every value of the row is a part of it
	spans []span // the first cells, as many as the header has
	ascii bool
	// controls is set where the record may hold a control character: its values need a look.
	controls bool
	bad      fault

	amountFen, feeFen int64 // of the row, for the totals

	days [32]day // that were read before, by their number in the month

	scratch []byte
}

// span is where a cell stands in the text.
type span struct{ from, to int }

// split cuts a sound record into cells. It keeps the first limit of them, returns how many there are and whether one
// beyond the limit holds anything but blanks.
func (c *cells) split(rec record, limit int) (n int, extra bool) {
	c.spans = c.spans[:0]
	c.bad = fault{}
	c.amountFen, c.feeFen = 0, 0
	c.inspect(rec.raw)
	if rec.quoted {
		return c.splitQuoted(rec.raw, limit)
	}
	c.text = string(rec.raw)
	from := 0
	cell := func(to int) {
		if n++; n <= limit {
			c.spans = append(c.spans, span{from, to})
		} else if !extra {
			extra = trim(c.text[from:to]) != ""
		}
		from = to + 1
	}
	// Eight bytes at a time: most cells are shorter than what a search for each would cost.
	const ones, lows = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	i := 0
	for ; i+8 <= len(rec.raw); i += 8 {
		w := binary.LittleEndian.Uint64(rec.raw[i:]) ^ ','*ones // a byte of it is zero where there is a comma
		for commas := ^((w&lows + lows) | w | lows); commas != 0; commas &= commas - 1 {
			cell(i + bits.TrailingZeros64(commas)/8)
		}
	}
	for ; i < len(rec.raw); i++ {
		if rec.raw[i] == ',' {
			cell(i)
		}
	}
	cell(len(rec.raw))
	return n, extra
}

// splitQuoted is split for a record with quotes, whose placement the scanner has checked.
func (c *cells) splitQuoted(raw []byte, limit int) (n int, extra bool) {
	text := c.scratch[:0]
	for i := 0; i <= len(raw); {
		from := len(text)
		cell := i
		for cell < len(raw) && isBlank(raw[cell]) {
			cell++
		}
		if cell < len(raw) && raw[cell] == '"' {
			i = cell + 1
			for i < len(raw) {
				if raw[i] == '"' {
					if i++; i >= len(raw) || raw[i] != '"' {
						break
					}
				}
				text = append(text, raw[i])
				i++
			}
			for i < len(raw) && raw[i] != ',' {
				i++
			}
		} else {
			for i < len(raw) && raw[i] != ',' {
				text = append(text, raw[i])
				i++
			}
		}
		i++
		if n++; n <= limit {
			c.spans = append(c.spans, span{from, len(text)})
		} else if !extra {
			extra = trim(string(text[from:])) != ""
		}
	}
	c.scratch = text
	c.text = string(text)
	return n, extra
}

// inspect looks once at all bytes, so that the values of an ordinary record need no look at their characters. Eight at a time,
// since every byte of a file comes by.
func (c *cells) inspect(raw []byte) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	c.ascii, c.controls = true, false
	rest := raw
	for ; len(rest) >= 8; rest = rest[8:] {
		w := binary.LittleEndian.Uint64(rest)
		del := w ^ 0x7f*ones // a byte of it is zero where one of w is 0x7f
		switch {
		case w&highs != 0:
			c.inspectBytes(rest[:8])
		case ((w-' '*ones)&^w|(del-ones)&^del)&highs != 0: // some byte is less than a blank, or zero in del
			c.controls = true
		}
	}
	c.inspectBytes(rest)
	if !c.ascii && bytes.IndexByte(raw, 0xc2) >= 0 {
		c.controls = true // U+0080 to U+009F begin so, and a few other characters
	}
}

func (c *cells) inspectBytes(raw []byte) {
	for _, b := range raw {
		if b >= utf8.RuneSelf {
			c.ascii = false
		}
		if b < ' ' || b == 0x7f {
			c.controls = true
		}
	}
}

// damage says why a text cannot be trusted, "" if it can.
func damage(s string) string {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return "holds a NUL byte; the file is damaged"
	case !utf8.ValidString(s):
		return "is not UTF-8; the file may be GBK, or damaged"
	case strings.Contains(s, "\ufffd"):
		return "holds a character that an earlier conversion could not read (U+FFFD)"
	}
	return ""
}

// damaged returns the first damaged cell as a fault; a damaged column that is otherwise ignored tells of the others.
// names are the header's.
func (c *cells) damaged(names []string) fault {
	if c.ascii && !c.controls || damage(c.text) == "" {
		return fault{}
	}
	for i, s := range c.spans {
		value := c.text[s.from:s.to]
		if rule := damage(value); rule != "" {
			return fault{names[i], value, rule}
		}
	}
	return fault{rule: damage(c.text)}
}

// value returns the trimmed value of a column, "" where the file has no such column.
func (c *cells) value(col column) string {
	if c.given != nil {
		return c.given[col]
	}
	i := c.at[col]
	if i < 0 {
		return ""
	}
	s := c.spans[i]
	return trim(c.text[s.from:s.to])
}

// fail keeps the first fault.
func (c *cells) fail(col column, value, rule string) {
	if c.bad.rule == "" {
		c.bad = fault{col.String(), value, rule}
	}
}

// identifier reads an id, code or name that is compared as it is.
func (c *cells) identifier(col column) string {
	s := c.value(col)
	switch {
	case s == "":
	case len(s) > maxIdentifier:
		c.fail(col, s, ruleIdentifierTooLong)
	case c.controls && hasControl(s):
		c.fail(col, s, ruleControl)
	case isSpreadsheetNumber(s):
		c.fail(col, s, ruleSpreadsheetID)
	}
	return s
}

// required reads an identifier that may not be empty.
func (c *cells) required(col column) string {
	s := c.identifier(col)
	if s == "" {
		c.fail(col, s, ruleRequired)
	}
	return s
}

// message reads a free text; personal data in it is masked.
func (c *cells) message(col column) string {
	s := c.value(col)
	switch {
	case len(s) > maxText:
		c.fail(col, s, ruleTextTooLong)
	case c.controls && hasControlInText(s):
		c.fail(col, s, ruleControl)
	}
	return MaskPersonal(s)
}

// amount reads the required, unsigned amount.
func (c *cells) amount(col column) decimal.Decimal {
	s := c.value(col)
	if s == "" {
		c.fail(col, s, ruleRequired)
		return decimal.Decimal{}
	}
	fen, ok := parseFen(s)
	if !ok {
		c.fail(col, s, amountRule(s))
	}
	c.amountFen = fen
	return yuan(fen)
}

// signedAmount reads the required amount of a payout, which may be negative.
func (c *cells) signedAmount(col column) decimal.Decimal {
	s := c.value(col)
	if s == "" {
		c.fail(col, s, ruleRequired)
		return decimal.Decimal{}
	}
	unsigned, negative := strings.CutPrefix(s, "-")
	fen, ok := parseFen(unsigned)
	if !ok {
		rule := amountRule(unsigned)
		if rule == ruleAmountSign {
			rule = ruleAmountPayoutSign
		}
		c.fail(col, s, rule)
	}
	if negative {
		fen = -fen
	}
	c.amountFen = fen
	return yuan(fen)
}

// optionalAmount reads an unsigned amount that may be absent; absent is zero fen.
func (c *cells) optionalAmount(col column) (d decimal.NullDecimal, fen int64) {
	s := c.value(col)
	if s == "" {
		return decimal.NullDecimal{}, 0
	}
	fen, ok := parseFen(s)
	if !ok {
		c.fail(col, s, amountRule(s))
	}
	return decimal.NewNullDecimal(yuan(fen)), fen
}

// currency reads a currency code; CNY where the row gives none.
func (c *cells) currency() string {
	const yuan = "CNY"
	s := c.value(colCurrency)
	if s == "" || s == yuan {
		return yuan
	}
	code := strings.ToUpper(s)
	for i := range len(code) {
		if code[i] < 'A' || code[i] > 'Z' {
			c.fail(colCurrency, s, ruleCurrency)
			return code
		}
	}
	if len(code) != 3 {
		c.fail(colCurrency, s, ruleCurrency)
	}
	return code
}

// cycle reads a settle cycle; none where the row gives none.
func (c *cells) cycle() recon.Cycle {
	s := c.value(colSettleCycle)
	if s == "" {
		return recon.Cycle{}
	}
	cycle, err := recon.ParseCycle(strings.ToUpper(s))
	if err != nil {
		c.fail(colSettleCycle, s, ruleCycle)
	}
	return cycle
}

// time reads a time that may be absent.
func (c *cells) time(col column) time.Time {
	s := c.value(col)
	if s == "" {
		return time.Time{}
	}
	t, rule := c.timeOf(s)
	if rule != "" {
		c.fail(col, s, rule)
	}
	return t
}

// requiredTime reads a time that may not be empty.
func (c *cells) requiredTime(col column) time.Time {
	t := c.time(col)
	if t.IsZero() {
		c.fail(col, "", ruleRequired)
	}
	return t
}

// date reads a required date; where the row gives none, the file's counts.
func (c *cells) date(col column, ofFile recon.Date) recon.Date {
	s := c.value(col)
	if s == "" {
		if ofFile.IsZero() {
			c.fail(col, s, ruleRequired)
		}
		return ofFile
	}
	d, rule := c.dateOf(s)
	if rule != "" {
		c.fail(col, s, rule)
	}
	return d
}

// day is a day that occurred: a file has few days and many times.
type day struct {
	text  string // 2006-01-02
	date  recon.Date
	start time.Time // its midnight, zero where its clocks change or that was not yet asked
}

// dayOf returns the day that s begins with, and the rule that it breaks.
func (c *cells) dayOf(s string) (*day, string) {
	s = s[:len(time.DateOnly)]
	n, _ := digits(s[8:])
	d := &c.days[n&31]
	if d.text == s {
		return d, ""
	}
	date, rule := parseDate(s)
	if rule == "" {
		*d = day{text: strings.Clone(s), date: date}
	}
	return d, rule
}

// dateOf is parseDate, remembering.
func (c *cells) dateOf(s string) (recon.Date, string) {
	if len(s) != len(time.DateOnly) {
		return parseDate(s)
	}
	d, rule := c.dayOf(s)
	if rule != "" {
		return recon.Date{}, rule
	}
	return d.date, ""
}

// timeOf is parseTime, remembering: on a day whose clocks do not change a time is its midnight and what has passed since.
func (c *cells) timeOf(s string) (time.Time, string) {
	if len(s) != len(time.DateTime) || s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return parseTime(s, c.zone)
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	second, ok3 := digits(s[17:])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return parseTime(s, c.zone)
	}
	d, rule := c.dayOf(s)
	if rule != "" {
		return parseTime(s, c.zone)
	}
	if d.start.IsZero() {
		year, month, number := d.date.UTC().Date()
		start := time.Date(year, month, number, 0, 0, 0, 0, c.zone)
		end := time.Date(year, month, number, 23, 59, 59, 0, c.zone)
		if end.Sub(start) != 24*time.Hour-time.Second || start.Day() != number {
			return parseTime(s, c.zone)
		}
		d.start = start
	}
	return d.start.Add(time.Duration(hour*3600+minute*60+second) * time.Second), ""
}

// choice reads one of the allowed values, in any case. Where the row gives none it is the fallback; without a fallback
// that is a fault.
func choice[T ~string](c *cells, col column, allowed []T, fallback T) T {
	s := c.value(col)
	if s == "" {
		if fallback == "" {
			c.fail(col, s, ruleRequired)
		}
		return fallback
	}
	for _, v := range allowed {
		if s == string(v) {
			return v
		}
	}
	upper := strings.ToUpper(s)
	names := make([]string, len(allowed))
	for i, v := range allowed {
		if upper == string(v) {
			return v
		}
		names[i] = string(v)
	}
	c.fail(col, s, "not one of "+strings.Join(names, ", "))
	return ""
}
