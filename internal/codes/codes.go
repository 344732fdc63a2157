// Package codes holds what the codes of acquirers, wallets and banks mean: response codes of payments, reason codes of
// payouts and holds, and the words of reasons that come without a code. They are reviewed tables, in tables/, each row with
// its source; each leads to exactly one sub-cause of the contract. How strongly a code counts against other evidence is
// for classify to decide.
package codes

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"strings"
	"sync"

	"golang.org/x/text/unicode/norm"

	"github.com/posrecon/posrecon/internal/recon"
)

// Class is what a response code says of a payment.
type Class string

// Approved: it succeeded. Business: it failed for a reason of the payer's or the till's. System: it is not known to have
// failed, the payer may have been charged, or the request never was one. Network: it did not get that far. Waiting: the
// payer has not confirmed, or the result is not known yet. Blocked: the merchant's account stops it. Other: it is not about
// a payment, or says no more than the payment's status.
const (
	Approved Class = "approved"
	Business Class = "business"
	System   Class = "system"
	Network  Class = "network"
	Waiting  Class = "waiting"
	Blocked  Class = "blocked"
	Other    Class = "other"
)

// Strength is how surely a code means its sub-cause: strong, one meaning; medium, the usual one of several; weak, hardly
// more than a hint.
type Strength string

// The strengths.
const (
	Strong Strength = "strong"
	Medium Strength = "medium"
	Weak   Strength = "weak"
)

// Response is a response code of a payment.
type Response struct {
	Family   string // whose code it is
	Code     string // in upper case
	Class    Class
	SubCause recon.SubCause // "" where it is evidence of nothing
	Strength Strength
	EN, ZH   string
	Source   string
	Note     string
}

// Payout is a reason code of a payout or of a held settlement line.
type Payout struct {
	Family   string
	Code     string
	SubCause recon.SubCause // "" where it is evidence of nothing
	Strength Strength
	EN, ZH   string
	Source   string
	Note     string
}

// Words are a part of a reason's text that tells what it is.
type Words struct {
	SubCause recon.SubCause
	Words    string // as Fold writes them
	Source   string
}

//go:embed tables/responses.csv
var responsesCSV []byte

//go:embed tables/payouts.csv
var payoutsCSV []byte

//go:embed tables/words.csv
var wordsCSV []byte

// records reads a table behind its header. The tables are the program's own; one that cannot be read is a mistake in it.
func records(table []byte) [][]string {
	r := csv.NewReader(bytes.NewReader(table))
	all, err := r.ReadAll()
	if err != nil {
		panic(err)
	}
	return all[1:]
}

// Responses returns all response codes in the order of the table.
var Responses = sync.OnceValue(func() []Response {
	var list []Response
	for _, f := range records(responsesCSV) {
		list = append(list, Response{f[0], f[1], Class(f[2]), recon.SubCause(f[3]), Strength(f[4]), f[5], f[6], f[7], f[8]})
	}
	return list
})

// Payouts returns all reason codes in the order of the table.
var Payouts = sync.OnceValue(func() []Payout {
	var list []Payout
	for _, f := range records(payoutsCSV) {
		list = append(list, Payout{f[0], f[1], recon.SubCause(f[2]), Strength(f[3]), f[4], f[5], f[6], f[7]})
	}
	return list
})

// AllWords returns the words of reasons in the order in which they are looked for: the first that occurs decides. The
// payee's side comes before the bank's, since texts like 账户冻结，次日处理 name the cause first.
var AllWords = sync.OnceValue(func() []Words {
	var list []Words
	for _, f := range records(wordsCSV) {
		list = append(list, Words{recon.SubCause(f[0]), Fold(f[1]), f[2]})
	}
	return list
})

var responseByCode = sync.OnceValue(func() map[string][]Response {
	m := make(map[string][]Response, len(Responses()))
	for _, r := range Responses() {
		m[r.Code] = append(m[r.Code], r)
	}
	return m
})

var payoutByCode = sync.OnceValue(func() map[string][]Payout {
	m := make(map[string][]Payout, len(Payouts()))
	for _, p := range Payouts() {
		m[p.Code] = append(m[p.Code], p)
	}
	return m
})

// family returns whose codes an acquirer or a channel speaks, as the tables name it.
func family(scope string) string {
	if strings.EqualFold(scope, "UNIONPAY") {
		return "field39"
	}
	return strings.ToLower(scope)
}

// ofScope returns the meaning in the family of the first scope that has one, else in the first of the table: acquirers pass
// the codes of wallets and banks on, so a code means what its only owner says wherever it occurs.
func ofScope[T any](meanings []T, familyOf func(T) string, scopes []string) (T, bool) {
	for _, scope := range scopes {
		for _, m := range meanings {
			if familyOf(m) == family(scope) {
				return m, true
			}
		}
	}
	if len(meanings) == 0 {
		var none T
		return none, false
	}
	return meanings[0], true
}

// FindResponse returns the meaning of a response code, in any case. Where several families have it, the scopes tell which is
// meant: the acquirer, then the channel.
func FindResponse(code string, scopes ...string) (Response, bool) {
	return ofScope(responseByCode()[strings.ToUpper(code)], func(r Response) string { return r.Family }, scopes)
}

// FindPayout returns the meaning of a reason code, in any case, as FindResponse does.
func FindPayout(code string, scopes ...string) (Payout, bool) {
	return ofScope(payoutByCode()[strings.ToUpper(code)], func(p Payout) string { return p.Family }, scopes)
}

// FindWords returns what the first words that occur in a text mean.
func FindWords(text string) (recon.SubCause, bool) {
	if text = Fold(text); text == "" {
		return "", false
	}
	for _, w := range AllWords() {
		if strings.Contains(text, w.Words) {
			return w.SubCause, true
		}
	}
	return "", false
}

// Fold writes a text as it is compared: plain forms of full-width characters, upper case, 账 for its variant 帐.
func Fold(text string) string {
	return strings.ReplaceAll(strings.ToUpper(norm.NFKC.String(text)), "帐", "账")
}
