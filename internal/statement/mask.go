package statement

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
)

// MaskPersonal hides the middle of numbers that name a person or a card, and e-mail addresses, with one * for each byte hidden:
//
//	citizen id   18 characters, the last a digit or X, with a valid check character: the first 3 and last 4 are kept
//	card number  13 to 19 digits that pass the Luhn check: the first 6 and last 4 are kept
//	mobile       11 digits of the mainland's numbering plan, 13… to 19…: the first 3 and last 4 are kept
//	e-mail       of what stands before the @ the first character is kept
//
// Only whole runs of digits count, so the 28-digit order numbers of the wallets are not touched; nor is anything
// within a longer number. About one in ten numbers of 13 to 19 digits that is no card passes the Luhn check by chance:
// that is why typed fields, where order ids stand, are never masked. The result is as long as s, and masking it again
// changes nothing.
func MaskPersonal(s string) string {
	s = maskMail(s)
	var masked []byte // nil until something is hidden
	for i := 0; i < len(s); {
		if !isDigit(s[i]) {
			i++
			continue
		}
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		run := s[start:i]
		head, tail, end := 0, 4, i
		switch {
		case len(run) == 18 && isCitizenID(run):
			head = 3
		case len(run) == 17 && endsInX(s[i:]) && isCitizenID(s[start:i+1]):
			head, end = 3, i+1
		case len(run) >= 13 && len(run) <= 19 && passesLuhn(run):
			head = 6
		case len(run) == 11 && run[0] == '1' && run[1] >= '3':
			head = 3
		default:
			continue
		}
		if masked == nil {
			masked = []byte(s)
		}
		for j := start + head; j < end-tail; j++ {
			masked[j] = '*'
		}
	}
	if masked == nil {
		return s
	}
	return string(masked)
}

// endsInX reports whether rest begins with the X of a citizen id and no further letter or digit.
func endsInX(rest string) bool {
	if rest == "" || rest[0] != 'X' && rest[0] != 'x' {
		return false
	}
	if len(rest) == 1 {
		return true
	}
	c := rest[1] | 0x20
	return !isDigit(rest[1]) && (c < 'a' || c > 'z')
}

// isCitizenID checks 17 digits and a check character by ISO 7064 MOD 11-2, as GB 11643 has it.
func isCitizenID(id string) bool {
	sum := 0
	for i := range 17 {
		sum = (sum + int(id[i]-'0')) * 2 % 11
	}
	check := (12 - sum) % 11
	if check == 10 {
		return strings.EqualFold(id[17:], "X")
	}
	return id[17] == byte('0'+check)
}

// passesLuhn checks a card number by ISO/IEC 7812.
func passesLuhn(number string) bool {
	sum := 0
	for i := range len(number) {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// maskAccount keeps the last four characters of an account number: that is how statements name accounts to people.
func maskAccount(s string) string {
	if len(s) <= 4 || strings.HasPrefix(s, "***") {
		return s
	}
	cut := len(s) - 4
	for cut < len(s) && !utf8.RuneStart(s[cut]) {
		cut++
	}
	return "***" + s[cut:]
}

// maskMail hides the local parts of e-mail addresses but for their first characters.
func maskMail(s string) string {
	var masked []byte
	for at := 0; at < len(s); at++ {
		next := strings.IndexByte(s[at:], '@')
		if next < 0 {
			break
		}
		at += next
		start, end := at, at+1
		for start > 0 && inMail(s[start-1]) {
			start--
		}
		for end < len(s) && inMail(s[end]) {
			end++
		}
		if at-start < 2 || !strings.Contains(s[at:end], ".") {
			continue
		}
		if masked == nil {
			masked = []byte(s)
		}
		for i := start + 1; i < at; i++ {
			masked[i] = '*'
		}
	}
	if masked == nil {
		return s
	}
	return string(masked)
}

// inMail reports whether a byte may stand in an e-mail address, beside the @.
func inMail(c byte) bool {
	return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("._%+-", c) >= 0
}

var (
	// businessWords occur in the names of companies, which are kept: an acquirer is known by its name.
	businessWords = []string{"公司", "支付", "银行", "银联", "商行", "商店", "商户", "中心", "集团", "企业", "机构", "备付金", "合作社", "协会", "基金", "证券", "清算"}
	// businessSigns do so, too, but are characters of people's names as well: they count in names that are longer than a
	// person's.
	businessSigns = []string{"店", "厂", "部", "局", "院", "所", "社", "会"}
	// latinBusiness are words of companies' names, and of banks' own bookings, in English and pinyin.
	latinBusiness = map[string]bool{"co": true, "ltd": true, "limited": true, "inc": true, "llc": true, "corp": true, "corporation": true,
		"company": true, "gmbh": true, "plc": true, "bank": true, "payment": true, "payments": true, "pay": true, "group": true,
		"trading": true, "technology": true, "services": true, "fund": true, "settlement": true, "clearing": true, "account": true, "interest": true, "fee": true, "fees": true, "charges": true,
		"gongsi": true, "yinhang": true, "zhifu": true, "beifujin": true, "qingsuan": true}
)

// longestPerson is how many Chinese characters a person's name has at most, compound surnames included.
const longestPerson = 4

// ofBusiness reports whether a name is a business's: it has a word that only those have, is one by which an acquirer pays, or
// is longer than a person's and has a sign of a business.
func ofBusiness(s string) bool {
	in := func(word string) bool { return strings.Contains(s, word) }
	if slices.ContainsFunc(businessWords, in) {
		return true
	}
	lower := strings.ToLower(s)
	if slices.ContainsFunc(payers(), func(name string) bool { return strings.Contains(lower, name) }) {
		return true
	}
	switch han := chinese(s); {
	case han > longestPerson:
		return slices.ContainsFunc(businessSigns, in)
	case han > 0:
		return false
	}
	return slices.ContainsFunc(strings.FieldsFunc(lower, func(r rune) bool { return r < 'a' || r > 'z' }), func(w string) bool { return latinBusiness[w] })
}

// payers are the names by which acquirers pay, in small letters.
var payers = sync.OnceValue(func() []string {
	var names []string
	for _, list := range recon.BankNames {
		for _, name := range list {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return names
})

// chinese counts the Chinese characters of a text.
func chinese(s string) int {
	n := 0
	for _, r := range s {
		if unicode.Is(unicode.Han, r) {
			n++
		}
	}
	return n
}

// maskName keeps the names of businesses, the first character of any other, which may be a customer's who pays by transfer,
// and the last digits of a number. What has neither letters nor a number says nothing of anybody.
func maskName(s string) string {
	letters, numerals := 0, 0
	for _, r := range s {
		switch {
		case unicode.IsLetter(r):
			letters++
		case unicode.IsDigit(r):
			numerals++
		}
	}
	_, width := utf8.DecodeRuneInString(s)
	switch {
	case letters == 0 && numerals >= 8:
		return maskAccount(s)
	case letters == 0, width == len(s), ofBusiness(s):
		return s
	}
	return s[:width] + "**"
}

// hidePeople takes the names of people out of what is kept of a rejected row. Where the row was cut into cells, those that
// a profile calls personal are gone already, and of an account statement the other side's name and the account are known.
// Where it was not, any part of the line may be a name, and what looks like one is masked.
func (r *Reader) hidePeople(rej *Reject, cut bool) {
	bank := r.head.kind == recon.KindBank
	if chinese(rej.Value) > 0 && strings.Contains(rej.Rule, "amount") || strings.Contains(rej.Value, "@") {
		// A separator too many has moved the cells: a name stands where an amount should.
		cut = false
		rej.Value = maskName(rej.Value)
	}
	switch {
	case cut && bank:
		r.hide(rej, colCounterparty, maskName)
		r.hide(rej, colAccount, maskAccount)
	case !cut && (bank || r.by != nil && len(r.by.profile.Personal) > 0):
		for _, part := range strings.FieldsFunc(rej.Raw, func(c rune) bool { return strings.ContainsRune(",;|\t`\"", c) }) {
			name := strings.TrimSpace(part)
			if looksLikePerson(name) {
				rej.Raw = strings.ReplaceAll(rej.Raw, part, strings.Replace(part, name, maskName(name), 1))
			}
		}
	}
	if bank {
		rej.Raw = accountNumber.ReplaceAllStringFunc(rej.Raw, maskAccount)
	}
	rej.Raw, rej.Value = shortened(rej.Raw, maxRaw), shortened(rej.Value, maxValue)
}

// accountNumber is what may be one in a line of a statement; merchants' numbers have fifteen digits, and may stay.
var accountNumber = regexp.MustCompile(`[0-9]{16,}`)

// hide masks the value of a column.
func (r *Reader) hide(rej *Reject, col column, mask func(string) string) {
	value := strings.TrimSpace(printable(MaskPersonal(r.cells.peek(col))))
	if masked := mask(value); masked != value {
		rej.Raw = strings.ReplaceAll(rej.Raw, value, masked)
		rej.Value = strings.ReplaceAll(rej.Value, value, masked)
	}
}

// looksLikePerson is true of a few Chinese characters and of several words in Latin letters, whatever numbers follow.
func looksLikePerson(s string) bool {
	if n := chinese(s); n > 0 {
		return n > 1 && n <= longestPerson
	}
	words := 0
	for _, w := range strings.Fields(s) {
		if strings.Trim(strings.ToLower(w), "abcdefghijklmnopqrstuvwxyz.'-") == "" {
			words++
		}
	}
	return words > 1
}
