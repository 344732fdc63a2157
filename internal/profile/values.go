package profile

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// clean drops what stands around a value: blanks of all kinds, and what programs put there so that a spreadsheet leaves
// an id alone: a back-tick (WeChat), an apostrophe, ="…", brackets around a number (IPS).
func clean(s string) string {
	s = trim(s)
	if s == "" {
		return s
	}
	switch c := s[0]; {
	case c == '`' || c == '\'':
		return trim(s[1:])
	case c == '=' && len(s) >= 3 && s[1] == '"' && s[len(s)-1] == '"':
		return trim(s[2 : len(s)-1])
	case c == '[' && s[len(s)-1] == ']' && allDigits(s[1:len(s)-1]):
		return s[1 : len(s)-1]
	}
	return s
}

func trim(s string) string {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	// Wide and no-break blanks and byte order marks begin and end with bytes of their own.
	if len(s) > 0 && (s[0] == 0xe3 || s[0] == 0xc2 || s[0] == 0xef || s[len(s)-1] == 0x80 || s[len(s)-1] == 0xa0 || s[len(s)-1] == 0xbf) {
		return strings.Trim(s, " \t\r\n\u3000\u00a0\ufeff")
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// narrow turns full-width forms into plain ones: an input method types １２：３０.
func narrow(s string) string {
	if ascii(s) {
		return s
	}
	return width.Narrow.String(s)
}

// normalName is how column names are compared: plain forms, no blanks, lower case; 帐 is written for 账 in old files.
func normalName(s string) string {
	return nameForms.Replace(strings.ToLower(narrow(clean(s))))
}

var nameForms = strings.NewReplacer(" ", "", "\t", "", "\u3000", "", "\u00a0", "", "帐", "账", "\ufeff", "")

const (
	ruleAmount    = "not an amount such as 1234.50"
	ruleFen       = "not a whole number of fen"
	ruleThousands = "the thousands commas do not stand where they should"
	ruleDecimals  = "more than two decimals"
	ruleScience   = "a spreadsheet made this a number in scientific notation; export it as text"
)

// amount reads an amount as its source writes it and returns it as plain yuan without a sign. letter tells that C or D
// (credit, debit) or a blank stands before the digits.
func amount(s string, fen, letter bool) (plain string, negative bool, rule string) {
	if !fen && !letter {
		if plain, negative, ok := plainYuan(s); ok {
			return plain, negative, ""
		}
	}
	if fen && allDigits(s) && len(s) <= 18 {
		return yuanOfFen(s), false, ""
	}
	s = narrow(s)
	if letter && len(s) > 0 && (s[0] == 'C' || s[0] == 'D') {
		negative = s[0] == 'D'
		s = trim(s[1:])
	}
	for _, mark := range []string{"¥", "￥", "CNY", "RMB"} {
		s = trim(strings.TrimPrefix(s, mark))
	}
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = negative != (s[0] == '-')
		s = trim(s[1:])
		for _, mark := range []string{"¥", "￥"} {
			s = trim(strings.TrimPrefix(s, mark))
		}
	}
	if fen {
		if !allDigits(s) || len(s) > 18 {
			return "", negative, ruleFen
		}
		return yuanOfFen(s), negative, ""
	}
	whole, fraction, point := strings.Cut(s, ".")
	if strings.IndexByte(whole, ',') >= 0 {
		digits := make([]byte, 0, len(s))
		for i := range len(whole) {
			// From the right every fourth place is a comma, and no other.
			if comma := (len(whole)-i)%4 == 0; comma != (whole[i] == ',') || comma && i == 0 {
				return "", negative, ruleThousands
			}
			if whole[i] != ',' {
				digits = append(digits, whole[i])
			}
		}
		whole = string(digits)
	}
	if whole == "" && fraction != "" {
		whole = "0" // .50
	}
	if !allDigits(whole) || point && !allDigits(fraction) {
		if strings.ContainsAny(s, "eE") && allDigits(strings.NewReplacer("E", "", "e", "", "+", "", "-", "", ".", "").Replace(s)) {
			return "", negative, ruleScience
		}
		return "", negative, ruleAmount
	}
	for len(fraction) > 2 && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1] // WeChat pads fees to five decimals
	}
	if len(fraction) > 2 {
		return "", negative, ruleDecimals
	}
	if fraction == "" {
		return whole, negative, ""
	}
	return whole + "." + fraction, negative, ""
}

// yuanOfFen puts the point into a number of fen.
func yuanOfFen(s string) string {
	for len(s) > 3 && s[0] == '0' {
		s = s[1:]
	}
	switch len(s) {
	case 1:
		return "0.0" + s
	case 2:
		return "0." + s
	}
	return s[:len(s)-2] + "." + s[len(s)-2:]
}

// plainYuan reads an amount that is written plainly, with a minus at most and with no more decimals than two and zeros: what
// most cells are.
func plainYuan(s string) (plain string, negative, ok bool) {
	if negative = len(s) > 0 && s[0] == '-'; negative {
		s = s[1:]
	}
	i := 0
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == 0 || i == len(s) {
		return s, negative, i > 0
	}
	if s[i] != '.' || i+1 == len(s) {
		return "", false, false
	}
	for j := i + 1; j < len(s); j++ {
		if !isDigit(s[j]) || j > i+2 && s[j] != '0' {
			return "", false, false
		}
	}
	return s[:min(i+3, len(s))], negative, true
}

const (
	ruleMoment = "not a date, or date and time, that begins with the year"
	ruleSerial = "an Excel serial number, not a date; format the column as date or text and save again"
	ruleClock  = "not a time of day"
	ruleLayout = "does not fit the layout "
)

// moment reads a date, or a date and a time, that begins with the year, and returns it as 2006-01-02 or
// 2006-01-02 15:04:05. Whether there is such a day is for the reader of canonical values to say. The common form comes
// back as it is.
func moment(s string) (date, clock string, rule string) {
	if len(s) >= 19 && s[4] == '-' && s[7] == '-' && (s[10] == ' ' || s[10] == 'T') && s[13] == ':' && s[16] == ':' && isDigit(s[18]) {
		return s[:10], s[11:], ""
	}
	s = narrow(s)
	if strings.ContainsAny(s, "年月日") {
		s = strings.NewReplacer("年", "-", "月", "-", "日", " ").Replace(s)
		s = trim(s)
	}
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	switch {
	case n == 14 && n == len(s):
		return isoDate(s[:8]), s[8:10] + ":" + s[10:12] + ":" + s[12:], ""
	case n == 8:
		date, s = isoDate(s[:8]), trim(strings.TrimPrefix(s[8:], "T"))
	case n == 5 && (n == len(s) || s[n] == '.'):
		return "", "", ruleSerial
	case n == 4 && n < len(s) && (s[n] == '-' || s[n] == '/' || s[n] == '.'):
		sep := s[n]
		month, rest, ok := number(s[n+1:], 2)
		if !ok || rest == "" || rest[0] != sep {
			return "", "", ruleMoment
		}
		day, rest, ok := number(rest[1:], 2)
		if !ok {
			return "", "", ruleMoment
		}
		date = s[:4] + "-" + month + "-" + day
		if rest != "" && rest[0] != ' ' && rest[0] != 'T' {
			return "", "", ruleMoment
		}
		s = trim(strings.TrimPrefix(trim(rest), "T"))
	default:
		return "", "", ruleMoment
	}
	if s == "" {
		return date, "", ""
	}
	clock, ok := timeOfDay(s)
	if !ok {
		return "", "", ruleClock
	}
	return date, clock, ""
}

func isoDate(s string) string { return s[:4] + "-" + s[4:6] + "-" + s[6:8] }

// number reads one to limit digits and returns them with leading zeros.
func number(s string, limit int) (n, rest string, ok bool) {
	i := 0
	for i < len(s) && i < limit && isDigit(s[i]) {
		i++
	}
	if i == 0 {
		return "", s, false
	}
	return strings.Repeat("0", limit-i) + s[:i], s[i:], true
}

// timeOfDay reads 9:15, 09:15:30, 09:15:30.25, 09:15:30+08:00 and 091530. A time without colons that has five digits lost
// a zero to a spreadsheet: unlike an id it is still the same number.
func timeOfDay(s string) (string, bool) {
	if allDigits(s) {
		switch len(s) {
		case 5:
			s = "0" + s
		case 6:
		default:
			return "", false
		}
		return s[:2] + ":" + s[2:4] + ":" + s[4:], true
	}
	hour, rest, ok := number(s, 2)
	if !ok || rest == "" || rest[0] != ':' {
		return "", false
	}
	minute, rest, ok := number(rest[1:], 2)
	if !ok {
		return "", false
	}
	if rest == "" {
		return hour + ":" + minute + ":00", true
	}
	if rest[0] != ':' {
		return "", false
	}
	second, rest, ok := number(rest[1:], 2)
	if !ok || rest != "" && rest[0] != '.' && rest[0] != '+' && rest[0] != '-' && rest[0] != 'Z' {
		return "", false
	}
	if strings.Trim(rest, ".0") == "" {
		rest = "" // 03:33:36.0
	}
	return hour + ":" + minute + ":" + second + rest, true
}

// goLayout turns dd/MM/yyyy HH:mm:ss into Go's layout.
func goLayout(layout string) (string, error) {
	out := strings.NewReplacer("yyyy", "2006", "yy", "06", "MMM", "Jan", "MM", "01", "dd", "02", "HH", "15", "mm", "04", "ss", "05",
		"M", "1", "d", "2", "H", "15").Replace(layout)
	for _, r := range out {
		if r >= utf8.RuneSelf && !strings.ContainsRune("年月日时分秒", r) {
			return "", fmt.Errorf("layout %q: use yyyy MM dd HH mm ss", layout)
		}
	}
	if _, err := time.Parse(out, time.Date(2006, 1, 2, 15, 4, 5, 0, time.UTC).Format(out)); err != nil || !strings.Contains(out, "06") {
		return "", fmt.Errorf("layout %q: use yyyy MM dd HH mm ss", layout)
	}
	return out, nil
}

// byLayout reads a date or time by a layout of Go's.
func byLayout(s, layout string) (date, clock, rule string) {
	t, err := time.Parse(layout, narrow(s))
	if err != nil {
		return "", "", ruleLayout
	}
	if strings.Contains(layout, "15") {
		clock = t.Format(time.TimeOnly)
	}
	return t.Format(time.DateOnly), clock, ""
}

// subtract takes the size of an amount off a plain one. More off than there is leaves a refusal: no fee exceeds its sale.
func subtract(plain, off string, fen bool) (string, string) {
	if off == "" {
		return plain, ""
	}
	o, _, rule := amount(off, fen, true)
	if rule != "" {
		return "", rule
	}
	a, _ := microYuan(plain, false)
	b, _ := microYuan(o, false)
	if b > a {
		return "", "more than what it is taken off"
	}
	c := (a - b) / 10_000
	buf := strconv.AppendInt(make([]byte, 0, 24), c/100, 10)
	return string(append(buf, '.', byte('0'+c%100/10), byte('0'+c%10))), ""
}
