package match

import (
	"cmp"
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// BankState is what the account statements say of a payout.
type BankState string

// A payout is credited, alone or in a lump; was credited and taken back; is missing though a statement covers the days in
// which it should have come; or could be several things, which are shown and not chosen from.
const (
	BankCredited  BankState = "credited"
	BankReturned  BankState = "returned"
	BankMissing   BankState = "missing"
	BankAmbiguous BankState = "ambiguous"
)

// BankTie is a payout, or the net of a merchant's settled lines of one day where the acquirer reports no payouts, and what
// the bank knows of it.
type BankTie struct {
	Acquirer   string       `json:"acquirer"`
	PayoutID   string       `json:"payout_id,omitempty"` // "" for the net of a day
	MerchantID string       `json:"merchant_id"`
	Date       string       `json:"date"` // the payout's, or the settle date
	Currency   string       `json:"currency"`
	Amount     recon.Amount `json:"amount"`
	State      BankState    `json:"state"`
	Lines      []string     `json:"lines,omitempty"` // file:line of the statement's lines, all candidates where it is ambiguous
	Reason     string       `json:"reason,omitempty"`
}

// Days in which a payout arrives, and in which a bank returns one: WeChat Pay names seven working days for a return, which
// with a week-long holiday between are eighteen.
const (
	creditDays = 10
	returnDays = 18
	// arrivesWithin is how many working days beyond a payout's day a statement must reach before the payout is called
	// missing: a credit comes on the day or the next working one.
	arrivesWithin = 2
	// maxLump bounds how many payouts make a lump, or lumps a payout, that is searched for: two weeks of days.
	maxLump = 14
	// maxAlike bounds the lines of one amount among which a payout is searched for. Within the days of a credit a merchant
	// has a dozen of them at most; beyond it nobody could tell them apart, and time and evidence grow with the square.
	maxAlike = 50
)

// returnWords occur in the memo of a returned payout. A refund to a customer (退款) is none, and an English "return" is in
// too many other things.
var returnWords = []string{"退汇", "退票", "退回", "冲正", "冲销", "tui hui", "tuihui", "revers"}

// Strengths by which a line names expected money: see bank.strength.
const (
	namesAcquirer = 2
	namesMerchant = 4
	namesPayout   = 6
)

// expected is money that should come to the account.
type expected struct {
	acquirer, payoutID, merchant, currency string
	date                                   recon.Date
	amount                                 decimal.Decimal
	reversed                               bool // its acquirer says itself that it came back

	state   BankState
	lines   []int
	reason  string
	claimed bool
}

// bankLine is a line of a statement.
type bankLine struct {
	source       string
	account      string // the bank where the statement names no account
	date         recon.Date
	amount       decimal.Decimal
	currency     string
	counterparty string
	memo         string
	text         string // both, as they are searched
	told         bool   // it names an acquirer, or has a number in it that may be a payout's or merchant's
	claimed      bool
}

// bank ties what should come to the account with what came.
type bank struct {
	names    map[string][]string // acquirer → names by which it pays
	expected []*expected
	lines    []*bankLine
	covered  map[accountKey][]span // what the statements of each account cover, in the order of dates, apart from each other
	calendar *calendar.Calendar
	byAmount map[string][]int           // lines by currency and amount
	due      map[recon.Date][]*expected // what is expected by its date
}

// accountKey is an account in one currency.
type accountKey struct{ account, currency string }

// span is the days from the first to the last line of statements that follow each other.
type span struct{ from, to recon.Date }

// strength says how surely a line speaks of the expected money: 0 not at all, more for the payout's number than for the
// merchant's, and for that than for the acquirer's name; the day in the memo counts on top.
func (b *bank) strength(e *expected, l *bankLine) int {
	if e.currency != l.currency {
		return 0
	}
	n := 0
	switch {
	case len(e.payoutID) >= 6 && strings.Contains(l.text, strings.ToLower(e.payoutID)):
		n = namesPayout
	case len(e.merchant) >= 6 && strings.Contains(l.text, strings.ToLower(e.merchant)):
		n = namesMerchant
	case slices.ContainsFunc(b.names[e.acquirer], func(name string) bool { return strings.Contains(l.text, name) }):
		n = namesAcquirer
	default:
		return 0
	}
	if strings.Contains(l.text, e.date.UTC().Format("20060102")) {
		n++
	}
	return n
}

func (l *bankLine) speaksOfReturn() bool {
	return slices.ContainsFunc(returnWords, func(w string) bool { return strings.Contains(l.text, w) })
}

func within(d, from recon.Date, days int) bool {
	return !d.Before(from) && !d.After(from.AddDays(days))
}

// tie finds the credits, in the order of how sure they are: one payout in one credit, several payouts in one credit, one
// payout in several credits; then what was returned, and what is missing.
func (b *bank) tie() {
	b.byAmount, b.due = map[string][]int{}, map[recon.Date][]*expected{}
	for id, names := range b.names {
		lower := make([]string, len(names))
		for i, name := range names {
			lower[i] = strings.ToLower(name)
		}
		b.names[id] = lower
	}
	for i, l := range b.lines {
		l.text = strings.ToLower(l.counterparty + " " + l.memo)
		l.told = b.tells(l.text)
		key := amountKey(l.currency, l.amount)
		b.byAmount[key] = append(b.byAmount[key], i)
	}
	for _, e := range b.expected {
		b.due[e.date] = append(b.due[e.date], e)
	}
	b.tieOneToOne()
	b.tieLumps()
	b.tieParts()
	b.findReturns()
	b.findMissing()
}

// tells reports whether a line may speak of a payout at all: most lines of an account do not, and are not looked at for each
// payout.
func (b *bank) tells(text string) bool {
	run := 0
	for i := range len(text) {
		if run++; text[i] < '0' || text[i] > '9' {
			run = 0
		}
		if run >= 6 {
			return true
		}
	}
	for _, names := range b.names {
		if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(text, name) }) {
			return true
		}
	}
	return false
}

func amountKey(currency string, amount decimal.Decimal) string {
	return currency + amount.StringFixed(2)
}

// pair is expected money and a line that may be about it.
type pair struct{ e, l, strength int }

// closest keeps the strongest of one side's pairs, whole strengths at a time and at most maxAlike: what is cut off could not
// be told apart.
func closest(pairs []pair) (kept []pair, cut bool) {
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(b.strength, a.strength), cmp.Compare(a.l, b.l)) })
	keep := 0
	for i := range pairs {
		if i >= maxAlike {
			return pairs[:keep], true
		}
		if i+1 == len(pairs) || pairs[i+1].strength != pairs[i].strength {
			keep = i + 1
		}
	}
	return pairs[:keep], false
}

// pairUp chooses from pairs, from the surest down. Money and lines that only have each other belong together. So do several of
// each that nothing tells apart, where they are as many: all of it came, and the order of dates is as good as any other. With
// surplus there may be more lines than money. What is left over is open, in the order of money and line.
func (b *bank) pairUp(pairs []pair, surplus bool) (sure, open []pair) {
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.strength, a.strength), cmp.Compare(a.e, b.e), cmp.Compare(a.l, b.l))
	})
	takenE, takenL := map[int]bool{}, map[int]bool{}
	for to := 0; to < len(pairs); {
		for level := pairs[to].strength; to < len(pairs) && pairs[to].strength == level; to++ {
		}
		free := slices.DeleteFunc(slices.Clone(pairs[:to]), func(p pair) bool { return takenE[p.e] || takenL[p.l] })
		for _, group := range connected(free) {
			for _, p := range b.inOrder(group, surplus) {
				takenE[p.e], takenL[p.l] = true, true
				sure = append(sure, p)
			}
		}
	}
	open = slices.DeleteFunc(slices.Clone(pairs), func(p pair) bool { return takenE[p.e] || takenL[p.l] })
	byMoney := func(a, b pair) int { return cmp.Or(cmp.Compare(a.e, b.e), cmp.Compare(a.l, b.l)) }
	slices.SortFunc(sure, byMoney)
	slices.SortFunc(open, byMoney)
	return sure, open
}

// connected cuts pairs into groups that share neither money nor lines, in the order of their first pairs.
func connected(pairs []pair) [][]pair {
	ofE, ofL := map[int][]int{}, map[int][]int{}
	for i, p := range pairs {
		ofE[p.e] = append(ofE[p.e], i)
		ofL[p.l] = append(ofL[p.l], i)
	}
	var groups [][]pair
	seen := make([]bool, len(pairs))
	for i := range pairs {
		if seen[i] {
			continue
		}
		var group []pair
		seen[i] = true
		for next := []int{i}; len(next) > 0; {
			p := pairs[next[0]]
			group, next = append(group, p), next[1:]
			for _, j := range slices.Concat(ofE[p.e], ofL[p.l]) {
				if !seen[j] {
					seen[j] = true
					next = append(next, j)
				}
			}
			ofE[p.e], ofL[p.l] = nil, nil // each is looked through once
		}
		groups = append(groups, group)
	}
	return groups
}

// inOrder pairs a group in the order of dates; nothing where not all of its money gets a line, or lines are left over that may
// not be.
func (b *bank) inOrder(group []pair, surplus bool) []pair {
	strength := map[[2]int]int{}
	var es, ls []int
	for _, p := range group {
		strength[[2]int{p.e, p.l}] = p.strength
		es, ls = append(es, p.e), append(ls, p.l)
	}
	slices.SortFunc(es, func(i, j int) int {
		return cmp.Or(b.expected[i].date.UTC().Compare(b.expected[j].date.UTC()), cmp.Compare(i, j))
	})
	slices.SortFunc(ls, func(i, j int) int {
		return cmp.Or(b.lines[i].date.UTC().Compare(b.lines[j].date.UTC()), cmp.Compare(i, j))
	})
	es, ls = slices.Compact(es), slices.Compact(ls)
	if len(es) > len(ls) || len(es) < len(ls) && !surplus {
		return nil
	}
	var out []pair
	for _, e := range es {
		i := slices.IndexFunc(ls, func(l int) bool { return strength[[2]int{e, l}] > 0 })
		if i < 0 || i > 0 && !surplus {
			return nil
		}
		out = append(out, pair{e, ls[i], strength[[2]int{e, ls[i]}]})
		ls = slices.Delete(ls, i, i+1)
	}
	return out
}

// tieOneToOne ties by equal amounts. A negative payout is taken from the account.
func (b *bank) tieOneToOne() {
	var pairs []pair
	for i, e := range b.expected {
		var of []pair
		for _, j := range b.byAmount[amountKey(e.currency, e.amount)] {
			if l := b.lines[j]; within(l.date, e.date, creditDays) && (e.amount.IsPositive() || !l.speaksOfReturn()) {
				if n := b.strength(e, l); n > 0 {
					of = append(of, pair{i, j, n})
				}
			}
		}
		kept, cut := closest(of)
		if cut {
			e.state, e.reason = BankAmbiguous, fmt.Sprintf("more than %d lines of one amount", maxAlike)
		}
		pairs = append(pairs, kept...)
	}
	sure, open := b.pairUp(pairs, false)
	for _, p := range sure {
		e, l := b.expected[p.e], b.lines[p.l]
		e.claimed, l.claimed = true, true
		e.state, e.lines, e.reason = BankCredited, []int{p.l}, ""
	}
	for _, p := range open {
		e := b.expected[p.e]
		e.state, e.reason = BankAmbiguous, "several payouts and credits of one amount"
		e.lines = append(e.lines, p.l)
	}
}

// tieLumps finds credits that are the sum of several payouts, as weekends and holidays make them.
func (b *bank) tieLumps() {
	for j, l := range b.lines {
		if l.claimed || !l.told || !l.amount.IsPositive() {
			continue
		}
		var candidates []*expected
		for d := creditDays; d >= 0; d-- {
			for _, e := range b.due[l.date.AddDays(-d)] {
				if e.state == "" && b.strength(e, l) > 0 {
					candidates = append(candidates, e)
				}
			}
		}
		amounts := make([]decimal.Decimal, len(candidates))
		for i, e := range candidates {
			amounts[i] = e.amount
		}
		sets := subsets(amounts, l.amount)
		switch {
		case len(sets) == 1:
			l.claimed = true
			for _, i := range sets[0] {
				candidates[i].claimed, candidates[i].state, candidates[i].lines = true, BankCredited, []int{j}
			}
		case len(sets) > 1:
			for _, set := range sets {
				for _, i := range set {
					e := candidates[i]
					e.state, e.reason = BankAmbiguous, "several sums of payouts come to one credit"
					if !slices.Contains(e.lines, j) {
						e.lines = append(e.lines, j)
					}
				}
			}
		}
	}
}

// tieParts finds payouts that came in several credits.
func (b *bank) tieParts() {
	free := map[recon.Date][]int{}
	for j, l := range b.lines {
		if l.told && !l.claimed && l.amount.IsPositive() {
			free[l.date] = append(free[l.date], j)
		}
	}
	for _, e := range b.expected {
		if e.state != "" || !e.amount.IsPositive() {
			continue
		}
		var candidates []int
		var amounts []decimal.Decimal
		for d := range creditDays + 1 {
			for _, j := range free[e.date.AddDays(d)] {
				if l := b.lines[j]; !l.claimed && l.amount.LessThan(e.amount) && b.strength(e, l) > 0 {
					candidates = append(candidates, j)
					amounts = append(amounts, l.amount)
				}
			}
		}
		sets := subsets(amounts, e.amount)
		for _, set := range sets {
			for _, i := range set {
				if !slices.Contains(e.lines, candidates[i]) {
					e.lines = append(e.lines, candidates[i])
				}
			}
		}
		switch {
		case len(sets) == 1:
			e.claimed, e.state = true, BankCredited
			for _, j := range e.lines {
				b.lines[j].claimed = true
			}
		case len(sets) > 1:
			e.state, e.reason = BankAmbiguous, "several sums of credits come to one payout"
		}
	}
}

// subsets returns the sets of two and more amounts that come to sum, at most two of them: more than one is ambiguous. Of
// more than maxLump amounts only runs of neighbours are looked at, since lumps are of days that follow each other.
func subsets(amounts []decimal.Decimal, sum decimal.Decimal) [][]int {
	var found [][]int
	fen := make([]int64, len(amounts)) // sums wrap, which would take amounts of 10^16 yuan to be mistaken for each other
	for i, a := range amounts {
		fen[i] = a.Shift(2).IntPart()
	}
	want := sum.Shift(2).IntPart()
	if len(amounts) > maxLump {
		for i := range fen {
			total := int64(0)
			for j := i; j < len(fen) && j < i+maxLump; j++ {
				if total += fen[j]; j > i && total == want {
					set := []int{}
					for k := i; k <= j; k++ {
						set = append(set, k)
					}
					if found = append(found, set); len(found) == 2 {
						return found
					}
				}
			}
		}
		return found
	}
	totals := make([]int64, 1<<len(fen)) // by the set of amounts as bits: that of all but its lowest, and that
	for mask := 1; mask < len(totals); mask++ {
		rest := mask & (mask - 1)
		totals[mask] = totals[rest] + fen[bits.TrailingZeros(uint(mask))]
		if rest == 0 || totals[mask] != want {
			continue
		}
		var set []int
		for i := range fen {
			if mask&(1<<i) != 0 {
				set = append(set, i)
			}
		}
		if found = append(found, set); len(found) == 2 {
			return found
		}
	}
	return found
}

// findReturns finds credits that the bank took back: the same amount out of the same account within the days of a return.
// Surely so is a line that names the payout by its number, or that has the words of a return and names the merchant, the
// acquirer or whom the credit came from. Any of these alone may be something else, and is shown: money that goes to the
// acquirer, a reversal of what somebody else paid. Of several payouts of one amount that came back in part the one is
// returned of which the line says more, or of which the acquirer itself says so; else the line is shown for all of them.
func (b *bank) findReturns() {
	var sure, unsure []pair
	for i, e := range b.expected {
		if e.state != BankCredited && e.state != BankAmbiguous || !e.amount.IsPositive() {
			continue
		}
		var surely, perhaps []pair
		for _, j := range b.byAmount[amountKey(e.currency, e.amount.Neg())] {
			l := b.lines[j]
			credit := b.creditOf(e, l)
			if l.claimed || credit == nil {
				continue
			}
			strength := b.strength(e, l)
			if strength == 0 && l.counterparty != "" && l.counterparty == credit.counterparty {
				strength = 1
			}
			word := l.speaksOfReturn()
			p := pair{i, j, 2 * strength}
			if e.reversed {
				p.strength++
			}
			switch {
			case e.state == BankCredited && (strength >= namesPayout || strength > 0 && word):
				surely = append(surely, p)
			case strength > 0 || word:
				perhaps = append(perhaps, p)
			}
		}
		surely, cut := closest(surely)
		if cut {
			e.state, e.reason = BankAmbiguous, fmt.Sprintf("more than %d lines may be its return", maxAlike)
		}
		perhaps, _ = closest(perhaps)
		sure, unsure = append(sure, surely...), append(unsure, perhaps...)
	}
	back, open := b.pairUp(sure, true)
	for _, p := range back {
		e, l := b.expected[p.e], b.lines[p.l]
		l.claimed = true
		e.state, e.lines, e.reason = BankReturned, append(e.lines, p.l), strings.TrimSpace(l.memo)
	}
	for _, p := range open {
		b.maybeReturned(p, "one of several payouts of this amount came back")
	}
	for _, p := range unsure {
		if e := b.expected[p.e]; e.state != BankReturned && !b.lines[p.l].claimed {
			b.maybeReturned(p, "the same amount went out again, and nothing says for sure that it is the return")
		}
	}
}

// creditOf returns the credit of e that a line of the same amount, out of the account, may take back; nil for none. Of a
// payout that was credited in a lump or in parts nobody can tell.
func (b *bank) creditOf(e *expected, l *bankLine) *bankLine {
	for _, j := range e.lines {
		credit := b.lines[j]
		if credit.amount.Equal(e.amount) && credit.account == l.account && within(l.date, credit.date, returnDays) {
			return credit
		}
	}
	return nil
}

// maybeReturned shows a line that may be the return of money.
func (b *bank) maybeReturned(p pair, reason string) {
	e := b.expected[p.e]
	e.state = BankAmbiguous
	if !strings.Contains(e.reason, reason) {
		e.reason = strings.TrimPrefix(e.reason+"; "+reason, "; ")
	}
	if !slices.Contains(e.lines, p.l) {
		e.lines = append(e.lines, p.l)
	}
}

// findMissing finds what should have come by now and did not: a statement covers the days from the payout's own to so many
// working days later. It must be one of the account to which the merchant's money goes, as other credits tell, else the
// acquirer's; where nothing came yet any account will do. In a year whose working days are not loaded nothing is missing.
func (b *bank) findMissing() {
	type payee struct{ acquirer, merchant, currency string }
	type credit struct {
		date    recon.Date
		account string
	}
	paid := map[payee][]credit{}
	for _, e := range b.expected {
		if (e.state == BankCredited || e.state == BankReturned) && e.amount.IsPositive() {
			c := credit{e.date, b.lines[e.lines[0]].account}
			for _, merchant := range []string{e.merchant, ""} {
				k := payee{e.acquirer, merchant, e.currency}
				paid[k] = append(paid[k], c)
			}
		}
	}
	for _, list := range paid {
		slices.SortStableFunc(list, func(a, b credit) int { return a.date.UTC().Compare(b.date.UTC()) })
	}
	for _, e := range b.expected {
		if e.state != "" || e.reversed || !e.amount.IsPositive() {
			continue
		}
		until, err := b.calendar.Due(e.date, recon.TPlus(arrivesWithin))
		if err != nil {
			continue
		}
		list := paid[payee{e.acquirer, e.merchant, e.currency}]
		if len(list) == 0 {
			list = paid[payee{e.acquirer, "", e.currency}]
		}
		covered := false
		if len(list) > 0 {
			// An account may have been changed: the one that was credited last until then.
			i, _ := slices.BinarySearchFunc(list, e.date.AddDays(1), func(c credit, d recon.Date) int { return c.date.UTC().Compare(d.UTC()) })
			covered = b.covers(accountKey{list[max(i-1, 0)].account, e.currency}, e.date, until)
		} else {
			for k := range b.covered {
				covered = covered || k.currency == e.currency && b.covers(k, e.date, until)
			}
		}
		if covered {
			e.state = BankMissing
		}
	}
}

// covers reports whether statements of an account tell of all days from one to another.
func (b *bank) covers(k accountKey, from, to recon.Date) bool {
	spans := b.covered[k]
	// The last that begins by then: spans are apart from each other.
	i, _ := slices.BinarySearchFunc(spans, from.AddDays(1), func(s span, d recon.Date) int { return s.from.UTC().Compare(d.UTC()) })
	return i > 0 && !spans[i-1].to.Before(to)
}

// cover notes what a statement covers; statements of an account are noted in the order of their first days. Two follow each
// other where at most one working day lies between: on a quiet day an account has no line.
func (b *bank) cover(k accountKey, s span) {
	spans := b.covered[k]
	if n := len(spans); n > 0 && b.follows(spans[n-1].to, s.from) {
		if s.to.After(spans[n-1].to) {
			spans[n-1].to = s.to
		}
		return
	}
	b.covered[k] = append(spans, s)
}

func (b *bank) follows(end, from recon.Date) bool {
	quiet := 0
	for d := end.AddDays(1); d.Before(from); d = d.AddDays(1) {
		working, err := b.calendar.IsWorkingDay(d)
		if err != nil {
			return false
		}
		if working {
			quiet++
		}
		if quiet > 1 {
			return false
		}
	}
	return true
}

// readBank reads the lines of all statements, smallest date first. Several statements may hold one line: an account's lines
// that agree in day, amount, balance and words are one.
func readBank(ctx context.Context, tx pgx.Tx, rules Rules) (*bank, error) {
	b := &bank{names: rules.bankNames(), calendar: rules.Calendar, covered: map[accountKey][]span{}}
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (b.book_date, b.account, b.amount, b.currency, b.balance, b.counterparty, b.memo, b.bank_ref, nth)
		       f.name || ':' || b.line,
		       CASE b.account WHEN '' THEN b.bank ELSE b.account END,
		       b.book_date, b.amount, b.currency, COALESCE(b.counterparty, ''), COALESCE(b.memo, '')
		  FROM (SELECT *,
		               -- A line that a statement has twice is two: the second of one file is the second of the other.
		               row_number() OVER (PARTITION BY file_id, book_date, account, amount, currency, balance, counterparty, memo, bank_ref
		                                  ORDER BY line) AS nth
		          FROM bank_row) AS b
		  JOIN file AS f USING (file_id)
		 WHERE f.state = 'loaded'
		   AND f.replaced_by IS NULL
		 ORDER BY b.book_date, b.account, b.amount, b.currency, b.balance, b.counterparty, b.memo, b.bank_ref, nth, f.file_date, f.sha256, b.line`)
	if err != nil {
		return nil, err
	}
	var l bankLine
	var date, last time.Time
	if _, err = pgx.ForEachRow(rows, []any{&l.source, &l.account, &date, &l.amount, &l.currency, &l.counterparty, &l.memo}, func() error {
		line := l
		line.date = recon.DateFromUTC(date)
		b.lines = append(b.lines, &line)
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `
		SELECT CASE b.account WHEN '' THEN b.bank ELSE b.account END AS account,
		       b.currency,
		       min(b.book_date) AS first_day,
		       max(b.book_date) AS last_day
		  FROM bank_row AS b
		  JOIN file AS f USING (file_id)
		 WHERE f.state = 'loaded'
		   AND f.replaced_by IS NULL
		 GROUP BY 1, b.currency, b.file_id
		 ORDER BY account, b.currency, first_day, last_day, b.file_id`)
	if err != nil {
		return nil, err
	}
	var k accountKey
	_, err = pgx.ForEachRow(rows, []any{&k.account, &k.currency, &date, &last}, func() error {
		b.cover(k, span{recon.DateFromUTC(date), recon.DateFromUTC(last)})
		return nil
	})
	return b, err
}

// bankNames returns the names by which the acquirers pay, the configured ones beside those that are known.
func (r Rules) bankNames() map[string][]string {
	names := map[string][]string{}
	for id, list := range recon.BankNames {
		names[id] = list
	}
	for id, acq := range r.Acquirers {
		names[id] = slices.Concat(names[id], acq.BankNames)
	}
	return names
}

// tieBank ties the reported payouts with the account statements. A payout that the bank took back counts as RETURNED from
// then on, whatever its acquirer still says, and the orders it paid are decided again.
func (d *decision) tieBank(ctx context.Context) error {
	b, err := readBank(ctx, d.tx, d.rules)
	if err != nil || len(b.lines) == 0 {
		return err
	}
	if b.expected, err = reportedPayouts(ctx, d.tx, "payout_now"); err != nil {
		return err
	}
	b.tie()
	for _, e := range b.expected {
		if e.state != BankReturned || e.reversed {
			continue
		}
		if _, err := d.tx.Exec(ctx, `
			UPDATE payout_now
			   SET status = 'RETURNED',
			       reason = $3,
			       fact = concat_ws(' ', last_id, 'RETURNED', $4::text)
			 WHERE acquirer = $1
			   AND last_id = $2`, e.acquirer, e.payoutID, e.reason, b.lines[e.lines[1]].source); err != nil {
			return err
		}
	}
	return nil
}

// reportedPayouts returns the payouts of a table of payout states that their acquirers call PAID, or RETURNED after that, in
// the order of date and id.
func reportedPayouts(ctx context.Context, tx pgx.Tx, table string) ([]*expected, error) {
	return readExpected(ctx, tx, `
		SELECT acquirer, payout_id, merchant_id, currency, payout_date, amount, status = 'RETURNED'
		  FROM `+table+`
		 WHERE status IN ('PAID', 'RETURNED')
		   AND payout_id = last_id
		   AND amount <> 0
		 ORDER BY payout_date, acquirer, payout_id`)
}

func readExpected(ctx context.Context, tx pgx.Tx, sql string, args ...any) (list []*expected, err error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	var e expected
	var date time.Time
	_, err = pgx.ForEachRow(rows, []any{&e.acquirer, &e.payoutID, &e.merchant, &e.currency, &date, &e.amount, &e.reversed}, func() error {
		one := e
		one.date = recon.DateFromUTC(date)
		list = append(list, &one)
		return nil
	})
	return list, err
}

// wholeSince is the last settle date of which lines are archived: of that day and of those before it, sums over the live
// lines are not what was settled.
const wholeSince = `(SELECT COALESCE(max(last_settle_date), '-infinity') FROM archive.month)`

// BankTies returns what the account statements say of the payouts, and of the days' nets of acquirers that report none: all
// that is not simply credited, in the order of date, acquirer and payout, and how many are. It reads payout_state,
// so it must follow Decide.
func BankTies(ctx context.Context, tx pgx.Tx, rules Rules) (open []BankTie, credited int, err error) {
	open = []BankTie{}
	b, err := readBank(ctx, tx, rules)
	if err != nil || len(b.lines) == 0 {
		return open, 0, err
	}
	if b.expected, err = reportedPayouts(ctx, tx, "payout_state"); err != nil {
		return nil, 0, fmt.Errorf("tie payouts with the bank: %w", err)
	}
	nets, err := readExpected(ctx, tx, `
		WITH line AS (
		    SELECT r.acquirer, r.merchant_id, r.currency, r.settle_date, r.type, COALESCE(r.net_amount, r.amount - COALESCE(r.fee, 0)) AS net
		      FROM settlement_row AS r
		      JOIN file AS f ON f.file_id = r.file_id AND f.state = 'loaded' AND f.replaced_by IS NULL
		     WHERE r.status = 'SETTLED'
		       AND r.payout_id IS NULL
		       AND r.settle_date >= $1
		       AND r.settle_date > `+wholeSince+`
		       AND NOT EXISTS (SELECT FROM settlement_merged AS m WHERE m.order_key = r.order_key)
		     UNION ALL
		    SELECT s.acquirer, r.merchant_id, s.currency, r.settle_date, s.type, COALESCE(s.net_amount, s.amount - COALESCE(s.fee, 0))
		      FROM standing_line AS s
		      JOIN settlement_row AS r ON (r.file_id, r.line, r.order_key) = (s.file_id, s.line, s.order_key)
		     WHERE s.status = 'SETTLED'
		       AND s.payout_id IS NULL
		       AND r.settle_date >= $1
		       AND r.settle_date > `+wholeSince+`
		)
		SELECT acquirer, '', merchant_id, currency, settle_date, sum(CASE type WHEN 'REFUND' THEN -net ELSE net END), false
		  FROM line
		 -- What an acquirer that reports payouts owes is in them.
		 WHERE acquirer NOT IN (SELECT acquirer FROM payout_state)
		 GROUP BY acquirer, merchant_id, currency, settle_date
		HAVING sum(CASE type WHEN 'REFUND' THEN -net ELSE net END) <> 0
		 ORDER BY settle_date, acquirer, merchant_id, currency`, b.lines[0].date.AddDays(-creditDays).UTC())
	if err != nil {
		return nil, 0, fmt.Errorf("tie settled days with the bank: %w", err)
	}
	b.expected = append(b.expected, nets...)
	b.tie()
	for _, e := range b.expected {
		switch e.state {
		case BankCredited:
			credited++
			continue
		case "":
			continue
		}
		t := BankTie{Acquirer: e.acquirer, PayoutID: e.payoutID, MerchantID: e.merchant, Date: e.date.String(), Currency: e.currency,
			Amount: recon.Amount{Decimal: e.amount}, State: e.state, Reason: e.reason}
		for _, j := range e.lines {
			t.Lines = append(t.Lines, b.lines[j].source)
		}
		open = append(open, t)
	}
	slices.SortFunc(open, func(a, b BankTie) int {
		return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.Acquirer, b.Acquirer), cmp.Compare(a.PayoutID, b.PayoutID),
			cmp.Compare(a.MerchantID, b.MerchantID), cmp.Compare(a.Currency, b.Currency))
	})
	return open, credited, nil
}
