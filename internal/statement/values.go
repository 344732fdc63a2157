package statement

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/shopspring/decimal"
)

// The rules that a value may break, as a clerk reads them.
const (
	ruleRequired          = "required and empty"
	ruleIdentifierTooLong = "an identifier has at most 128 bytes"
	ruleTextTooLong       = "a text has at most 1024 bytes"
	ruleControl           = "holds a control character"
	ruleSpreadsheetID     = "a spreadsheet made this identifier a number and its last digits are lost; export it as text"
	ruleCycle             = "not T+n or D+n with n from 0 to 366"
	ruleCurrency          = "not a currency code of three letters"

	ruleDateForm   = "not a date of the form 2026-11-02"
	ruleTimeForm   = "not a time of the form 2026-11-02 12:01:00 or 2026-11-02T12:01:00+08:00"
	ruleNoSuchDay  = "no such day"
	ruleNoSuchTime = "no such time of day"
	// A year outside is an Excel serial, a zero date or a typing error, and no sale of ours.
	ruleYear = "the year is not from 2000 to 2099"

	ruleAmountForm       = "not a plain amount in yuan such as 1234.50"
	ruleAmountDecimals   = "more than two decimals"
	ruleAmountThousands  = "thousands separators are not allowed"
	ruleAmountSign       = "a sign is not allowed: the type says the direction"
	ruleAmountPayoutSign = "the only sign allowed is one minus"
	ruleAmountTooLarge   = "more than 16 digits before the point"
)

// trim drops the blanks around a value: ASCII spaces, tabs and line breaks, no-break and full-width spaces.
func trim(s string) string {
	for len(s) > 0 {
		if c := s[0]; c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			s = s[1:]
		} else if c < utf8.RuneSelf {
			break
		} else if rest, ok := strings.CutPrefix(s, "\u3000"); ok {
			s = rest
		} else if rest, ok := strings.CutPrefix(s, "\u00a0"); ok {
			s = rest
		} else {
			break
		}
	}
	for len(s) > 0 {
		if c := s[len(s)-1]; c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			s = s[:len(s)-1]
		} else if c < utf8.RuneSelf {
			break
		} else if rest, ok := strings.CutSuffix(s, "\u3000"); ok {
			s = rest
		} else if rest, ok := strings.CutSuffix(s, "\u00a0"); ok {
			s = rest
		} else {
			break
		}
	}
	return s
}

// hasControl reports whether s holds a control character, line breaks and tabs included.
func hasControl(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) >= 0
}

// hasControlInText reports whether s holds a control character other than the line breaks and tabs of a text.
func hasControlInText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t'
	}) >= 0
}

// isSpreadsheetNumber reports whether s looks like 4.20000E+27: a spreadsheet shows a long run of digits so, and two
// different orders become one.
func isSpreadsheetNumber(s string) bool {
	if !isDigit(s[0]) {
		return false
	}
	i := 1
	if i < len(s) && s[i] == '.' {
		for i++; i < len(s) && isDigit(s[i]); i++ {
		}
	}
	if i+2 >= len(s) || s[i] != 'E' && s[i] != 'e' || s[i+1] != '+' {
		return false
	}
	for i += 2; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits returns the number that s consists of; not ok if s is empty or holds anything but digits. Of a long s only ok
// means anything.
func digits(s string) (n int, ok bool) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, len(s) > 0
}

// parseFen reads a plain decimal with at most 16 digits before and two after the point, as fen: 18 digits fit an
// int64. The sign is the caller's affair.
func parseFen(s string) (fen int64, ok bool) {
	whole := 0
	for whole < len(s) && isDigit(s[whole]) {
		fen = fen*10 + int64(s[whole]-'0')
		if whole++; whole > 16 {
			return 0, false
		}
	}
	if whole == 0 {
		return 0, false
	}
	switch rest := s[whole:]; {
	case rest == "":
		return fen * 100, true
	case len(rest) == 2 && rest[0] == '.' && isDigit(rest[1]):
		return fen*100 + int64(rest[1]-'0')*10, true
	case len(rest) == 3 && rest[0] == '.' && isDigit(rest[1]) && isDigit(rest[2]):
		return fen*100 + int64(rest[1]-'0')*10 + int64(rest[2]-'0'), true
	}
	return 0, false
}

// amountRule says why parseFen refused s.
func amountRule(s string) string {
	body := strings.TrimLeft(s, "+-")
	whole, fraction, point := strings.Cut(body, ".")
	_, wholeOK := digits(whole)
	_, fractionOK := digits(fraction)
	switch {
	case wholeOK && len(whole) > 16:
		return ruleAmountTooLarge
	case !wholeOK && plausibleThousands(whole) && (!point || fractionOK):
		return ruleAmountThousands
	case wholeOK && point && fractionOK && len(fraction) > 2:
		return ruleAmountDecimals
	case len(body) < len(s) && wholeOK && (!point || fractionOK):
		return ruleAmountSign
	}
	return ruleAmountForm
}

// plausibleThousands reports whether s is digits and commas, ASCII or full-width.
func plausibleThousands(s string) bool {
	plain := strings.NewReplacer(",", "", "，", "").Replace(s)
	_, ok := digits(plain)
	return ok && plain != s
}

// yuan returns an amount of fen as yuan; every amount has scale two.
func yuan(fen int64) decimal.Decimal { return decimal.New(fen, -2) }

// parseReadable reads an amount for the purpose of tying totals: any plain decimal with up to six decimals, though the
// row that holds it is rejected.
func parseReadable(s string) (decimal.Decimal, bool) {
	whole, fraction, point := strings.Cut(s, ".")
	if _, ok := digits(whole); !ok || len(whole) > 16 {
		return decimal.Decimal{}, false
	}
	if _, ok := digits(fraction); point && (!ok || len(fraction) > 6) {
		return decimal.Decimal{}, false
	}
	d, err := decimal.NewFromString(s)
	return d, err == nil
}

// parseDate reads YYYY-MM-DD; the rule is "" if it is a day of our years.
func parseDate(s string) (recon.Date, string) {
	if len(s) != len(time.DateOnly) || s[4] != '-' || s[7] != '-' {
		return recon.Date{}, ruleDateForm
	}
	year, ok1 := digits(s[:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:])
	switch {
	case !ok1 || !ok2 || !ok3:
		return recon.Date{}, ruleDateForm
	case year < 2000 || year > 2099:
		return recon.Date{}, ruleYear
	case month < 1 || month > 12 || day < 1 || day > daysIn(year, month):
		return recon.Date{}, ruleNoSuchDay
	}
	return recon.NewDate(year, time.Month(month), day), ""
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// parseTime reads an ISO date and time, with a blank or a T between, an optional fraction of which microseconds are
// kept (PostgreSQL keeps no more), and an optional offset. Without an offset it is local time in zone, and a time that
// a change of clocks skipped does not exist. The result is in zone.
func parseTime(s string, zone *time.Location) (time.Time, string) {
	const shortest = len(time.DateTime)
	if len(s) < shortest || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return time.Time{}, ruleTimeForm
	}
	hour, ok1 := digits(s[11:13])
	minute, ok2 := digits(s[14:16])
	second, ok3 := digits(s[17:19])
	if !ok1 || !ok2 || !ok3 {
		return time.Time{}, ruleTimeForm
	}
	date, rule := parseDate(s[:10])
	if rule == ruleDateForm {
		rule = ruleTimeForm
	}
	if rule != "" {
		return time.Time{}, rule
	}
	if hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, ruleNoSuchTime
	}
	micros, rest, ok := cutFraction(s[shortest:])
	if !ok {
		return time.Time{}, ruleTimeForm
	}
	year, month, day := date.UTC().Date()
	if rest == "" {
		t := time.Date(year, month, day, hour, minute, second, micros*1000, zone)
		if h, m, _ := t.Clock(); h != hour || m != minute {
			return time.Time{}, ruleNoSuchTime
		}
		return t, ""
	}
	offset, ok := parseOffset(rest)
	if !ok {
		return time.Time{}, ruleTimeForm
	}
	return time.Date(year, month, day, hour, minute, second, micros*1000, time.UTC).Add(-offset).In(zone), ""
}

// cutFraction reads an optional fraction of a second, one to nine digits, as whole microseconds.
func cutFraction(s string) (micros int, rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return 0, s, true
	}
	n := 1
	for n < len(s) && isDigit(s[n]) {
		if n <= 6 {
			micros = micros*10 + int(s[n]-'0')
		}
		n++
	}
	if n == 1 || n > 10 {
		return 0, "", false
	}
	for i := n; i <= 6; i++ {
		micros *= 10
	}
	return micros, s[n:], true
}

// parseOffset reads Z, +08:00 or -05:30.
func parseOffset(s string) (time.Duration, bool) {
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':' {
		return 0, false
	}
	hours, ok1 := digits(s[1:3])
	minutes, ok2 := digits(s[4:])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}
