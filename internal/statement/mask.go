package statement

import (
	"strings"
	"unicode/utf8"
)

// MaskPersonal hides the middle of numbers that name a person or a card, with one * for each digit hidden:
//
//	citizen id   18 characters, the last a digit or X, with a valid check character: the first 3 and last 4 are kept
//	card number  13 to 19 digits that pass the Luhn check: the first 6 and last 4 are kept
//	mobile       11 digits of the mainland's numbering plan, 13… to 19…: the first 3 and last 4 are kept
//
// Only whole runs of digits count, so the 28-digit order numbers of the wallets are not touched; nor is anything
// within a longer number. About one in ten numbers of 13 to 19 digits that is no card passes the Luhn check by chance:
// that is why typed fields, where order ids stand, are never masked. The result is as long as s, and masking it again
// changes nothing.
func MaskPersonal(s string) string {
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

// businessWords occur in the names of companies, which are kept: an acquirer is known by its name.
var businessWords = []string{"公司", "支付", "银行", "商行", "商店", "中心", "集团", "企业", "机构", "备付金", "合作社", "协会", "基金", "证券", "店", "厂", "部", "局", "院", "所"}

// maskName keeps the names of businesses and the first character of any other: a customer who pays by transfer.
func maskName(s string) string {
	for _, word := range businessWords {
		if strings.Contains(s, word) {
			return s
		}
	}
	first, width := utf8.DecodeRuneInString(s)
	if first < utf8.RuneSelf || width == len(s) {
		return s // Latin names of banks' own bookings, and single characters
	}
	return s[:width] + "**"
}
