package match

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// BankState is what the account statements say of a payout.
type BankState string

// A payout is credited, alone or in a lump; was credited and taken back; is missing though the statements reach beyond the
// days in which it should have come; or could be several things, which are shown and not chosen from.
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
	// settledAfter is how far beyond a payout's day the statements must reach before it is called missing: the next working
	// day after a weekend.
	settledAfter = 3
	// maxLump bounds how many payouts make a lump, or lumps a payout, that is searched for: two weeks of days.
	maxLump = 14
)

// returnWords occur in the memo of a returned payout.
var returnWords = []string{"退汇", "退票", "退回", "冲正", "冲销", "退款", "tui hui", "tuihui", "return", "revers"}

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
	account      string
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
	last     recon.Date                 // up to which the statements reach
	byAmount map[string][]int           // lines by currency and amount
	due      map[recon.Date][]*expected // what is expected by its date
}

// strength says how surely a line speaks of the expected money: 0 not at all, more for the payout's number than for the
// merchant's, and for that than for the acquirer's name; the day in the memo counts on top.
func (b *bank) strength(e *expected, l *bankLine) int {
	if e.currency != l.currency {
		return 0
	}
	n := 0
	switch {
	case len(e.payoutID) >= 6 && strings.Contains(l.text, strings.ToLower(e.payoutID)):
		n = 6
	case len(e.merchant) >= 6 && strings.Contains(l.text, strings.ToLower(e.merchant)):
		n = 4
	case slices.ContainsFunc(b.names[e.acquirer], func(name string) bool { return strings.Contains(l.text, name) }):
		n = 2
	default:
		return 0
	}
	if strings.Contains(l.text, e.date.UTC().Format("20060102")) {
		n++
	}
	return n
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
	for _, e := range b.expected {
		if e.state == "" && !e.reversed && e.amount.IsPositive() && !b.last.Before(e.date.AddDays(settledAfter)) {
			e.state = BankMissing
		}
	}
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

// tieOneToOne ties by equal amounts. Pairs are taken from the surest down; of one strength only those of which both sides
// have no other.
func (b *bank) tieOneToOne() {
	type pair struct{ e, l, strength int }
	var pairs []pair
	for i, e := range b.expected {
		if !e.amount.IsPositive() {
			continue
		}
		for _, j := range b.byAmount[amountKey(e.currency, e.amount)] {
			if l := b.lines[j]; within(l.date, e.date, creditDays) {
				if n := b.strength(e, l); n > 0 {
					pairs = append(pairs, pair{i, j, n})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.strength, a.strength), cmp.Compare(a.e, b.e), cmp.Compare(a.l, b.l))
	})
	for from := 0; from < len(pairs); {
		to := from
		ofE, ofL := map[int]int{}, map[int]int{}
		for ; to < len(pairs) && pairs[to].strength == pairs[from].strength; to++ {
			if p := pairs[to]; !b.expected[p.e].claimed && !b.lines[p.l].claimed {
				ofE[p.e]++
				ofL[p.l]++
			}
		}
		for _, p := range pairs[from:to] {
			e, l := b.expected[p.e], b.lines[p.l]
			switch {
			case e.claimed || l.claimed:
			case ofE[p.e] == 1 && ofL[p.l] == 1:
				e.claimed, l.claimed = true, true
				e.state, e.lines = BankCredited, []int{p.l}
			}
		}
		from = to
	}
	for _, p := range pairs {
		if e := b.expected[p.e]; !e.claimed && !b.lines[p.l].claimed {
			e.state = BankAmbiguous
			e.lines = append(e.lines, p.l)
			e.reason = "several payouts and credits of one amount"
		}
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
	if len(amounts) > maxLump {
		for i := range amounts {
			total := decimal.Zero
			for j := i; j < len(amounts) && j < i+maxLump; j++ {
				if total = total.Add(amounts[j]); j > i && total.Equal(sum) {
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
	for mask := 1; mask < 1<<len(amounts); mask++ {
		if mask&(mask-1) == 0 {
			continue // a single one
		}
		total := decimal.Zero
		var set []int
		for i := range amounts {
			if mask&(1<<i) != 0 {
				total = total.Add(amounts[i])
				set = append(set, i)
			}
		}
		if total.Equal(sum) {
			if found = append(found, set); len(found) == 2 {
				return found
			}
		}
	}
	return found
}

// findReturns finds credits that the bank took back: the same amount out of the same account within the days of a return,
// by the words of a return or to the same name.
func (b *bank) findReturns() {
	for _, e := range b.expected {
		if e.state != BankCredited || len(e.lines) != 1 {
			continue
		}
		credit := b.lines[e.lines[0]]
		if !credit.amount.Equal(e.amount) {
			continue // a part of a lump: which one came back cannot be told
		}
		var back []int
		for _, j := range b.byAmount[amountKey(credit.currency, credit.amount.Neg())] {
			l := b.lines[j]
			if l.claimed || l.account != credit.account || !within(l.date, credit.date, returnDays) {
				continue
			}
			if slices.ContainsFunc(returnWords, func(w string) bool { return strings.Contains(l.text, w) }) {
				back = append(back, j)
			}
		}
		if len(back) == 0 {
			continue
		}
		l := b.lines[back[0]]
		l.claimed = true
		e.state, e.lines, e.reason = BankReturned, append(e.lines, back[0]), strings.TrimSpace(l.memo)
	}
}

// readBank reads the lines of all statements, smallest date first. Several statements may hold one line: an account's lines
// that agree in day, amount, balance and words are one.
func readBank(ctx context.Context, tx pgx.Tx) (lines []*bankLine, last recon.Date, err error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (b.book_date, b.account, b.amount, b.currency, b.balance, b.counterparty, b.memo, b.bank_ref, nth)
		       f.name || ':' || b.line, b.account, b.book_date, b.amount, b.currency, COALESCE(b.counterparty, ''), COALESCE(b.memo, '')
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
		return nil, recon.Date{}, err
	}
	var l bankLine
	var date time.Time
	_, err = pgx.ForEachRow(rows, []any{&l.source, &l.account, &date, &l.amount, &l.currency, &l.counterparty, &l.memo}, func() error {
		line := l
		line.date = recon.DateFromUTC(date)
		if line.date.After(last) {
			last = line.date
		}
		lines = append(lines, &line)
		return nil
	})
	return lines, last, err
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
	lines, last, err := readBank(ctx, d.tx)
	if err != nil || len(lines) == 0 {
		return err
	}
	b := &bank{names: d.rules.bankNames(), lines: lines, last: last}
	if b.expected, err = reportedPayouts(ctx, d.tx); err != nil {
		return err
	}
	b.tie()
	for _, e := range b.expected {
		if e.state != BankReturned {
			continue
		}
		if _, err := d.tx.Exec(ctx, `
			UPDATE payout_state
			   SET status = 'RETURNED',
			       reason = $3,
			       fact = concat_ws(' ', last_id, 'RETURNED', $4::text)
			 WHERE acquirer = $1
			   AND last_id = $2`, e.acquirer, e.payoutID, e.reason, lines[e.lines[1]].source); err != nil {
			return err
		}
		if d.all {
			continue
		}
		if _, err := d.tx.Exec(ctx, `
			INSERT INTO dirty
			SELECT DISTINCT r.order_key
			  FROM payout_state AS y
			  JOIN settlement_row AS r ON r.acquirer = y.acquirer AND r.payout_id = y.payout_id
			 WHERE y.acquirer = $1
			   AND y.last_id = $2
			   AND NOT EXISTS (SELECT FROM dirty WHERE dirty.order_key = r.order_key)`, e.acquirer, e.payoutID); err != nil {
			return err
		}
	}
	return nil
}

// reportedPayouts returns the payouts that their acquirers call PAID, in the order of date and id.
func reportedPayouts(ctx context.Context, tx pgx.Tx) ([]*expected, error) {
	return readExpected(ctx, tx, `
		SELECT acquirer, payout_id, merchant_id, currency, payout_date, amount, false
		  FROM payout_state
		 WHERE status = 'PAID'
		   AND payout_id = last_id
		   AND amount > 0
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

// BankTies returns what the account statements say of the payouts, and of the days' nets of acquirers that report none: all
// that is not simply credited, in the order of date, acquirer and payout, and how many are. It reads the temporary table
// payout_state, so it must follow Decide.
func BankTies(ctx context.Context, tx pgx.Tx, rules Rules) (open []BankTie, credited int, err error) {
	open = []BankTie{}
	lines, last, err := readBank(ctx, tx)
	if err != nil || len(lines) == 0 {
		return open, 0, err
	}
	b := &bank{names: rules.bankNames(), lines: lines, last: last}
	if b.expected, err = readExpected(ctx, tx, `
		SELECT acquirer, payout_id, merchant_id, currency, payout_date, amount, status = 'RETURNED'
		  FROM payout_state
		 WHERE status IN ('PAID', 'RETURNED')
		   AND payout_id = last_id
		   AND amount > 0
		 ORDER BY payout_date, acquirer, payout_id`); err != nil {
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
		       AND NOT EXISTS (SELECT FROM settlement_merged AS m WHERE m.order_key = r.order_key)
		     UNION ALL
		    SELECT s.acquirer, r.merchant_id, s.currency, r.settle_date, s.type, COALESCE(s.net_amount, s.amount - COALESCE(s.fee, 0))
		      FROM standing_line AS s
		      JOIN settlement_row AS r ON (r.file_id, r.line, r.order_key) = (s.file_id, s.line, s.order_key)
		     WHERE s.status = 'SETTLED'
		       AND s.payout_id IS NULL
		       AND r.settle_date >= $1
		)
		SELECT acquirer, '', merchant_id, currency, settle_date, sum(CASE type WHEN 'REFUND' THEN -net ELSE net END), false
		  FROM line
		 -- What an acquirer that reports payouts owes is in them.
		 WHERE acquirer NOT IN (SELECT acquirer FROM payout_state)
		 GROUP BY acquirer, merchant_id, currency, settle_date
		HAVING sum(CASE type WHEN 'REFUND' THEN -net ELSE net END) > 0
		 ORDER BY settle_date, acquirer, merchant_id, currency`, lines[0].date.AddDays(-creditDays).UTC())
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
