package match

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

func day(n int) recon.Date { return recon.NewDate(2026, time.March, n) }

// payout is expected money of Lakala: id, merchant, day of March, amount.
func payout(id, merchant string, on int, amount string) *expected {
	return &expected{acquirer: "lakala", payoutID: id, merchant: merchant, currency: "CNY", date: day(on), amount: decimal.RequireFromString(amount)}
}

// takenBack is a payout of which its acquirer says itself that it came back.
func takenBack(e *expected) *expected { e.reversed = true; return e }

// of puts a line onto another account than most are of.
func of(account string, l *bankLine) *bankLine { l.account = account; return l }

// line is a line of the statement: day of March, amount, words. The 1st of March 2026 is a Sunday.
func line(on int, amount, counterparty, memo string) *bankLine {
	return &bankLine{source: fmt.Sprintf("b:%d", on), date: day(on), amount: decimal.RequireFromString(amount), currency: "CNY", counterparty: counterparty, memo: memo}
}

func newBank() *bank {
	return &bank{names: map[string][]string{"lakala": {"拉卡拉"}}, calendar: calendar.Default(), covered: map[accountKey][]span{}}
}

func TestTieBank(t *testing.T) {
	const lakala = "拉卡拉支付股份有限公司"
	for _, test := range []struct {
		why        string
		expected   []*expected
		lines      []*bankLine
		want       string
		statements [][2]int
	}{
		{"one payout, one credit", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(6, "10.00", lakala, "代付")}, "credited[0]", nil},
		{"a credit of somebody else is none", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(5, "1.00", "x", ""), line(9, "10.00", "某某公司", "货款")}, "missing", nil},
		{"another amount is none", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(5, "1.00", "x", ""), line(9, "10.01", lakala, "")}, "missing", nil},
		{"another currency is none", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(5, "1.00", "x", ""), {date: day(9), amount: decimal.RequireFromString("10.00"), currency: "HKD", counterparty: lakala}, line(9, "1.00", "x", "")}, "missing", nil},
		{"what is not due on the account yet is not missing", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(5, "1.00", "x", ""), line(6, "1.00", "x", "")}, "", nil},
		{"a weekend is waited for: Friday's payout may come on Tuesday", []*expected{payout("P000001", "M1", 6, "10.00")}, []*bankLine{line(6, "1.00", "x", ""), line(9, "1.00", "x", "")}, "", nil},
		{"after it the payout is missing", []*expected{payout("P000001", "M1", 6, "10.00")}, []*bankLine{line(6, "1.00", "x", ""), line(10, "1.00", "x", "")}, "missing", nil},
		{"from before the first statement nothing is missing", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(6, "1.00", "x", ""), line(20, "1.00", "x", "")}, "", nil},
		{"where a statement lacks between two nothing is missing", []*expected{payout("P000001", "M1", 11, "10.00")},
			[]*bankLine{line(5, "1.00", "x", ""), line(20, "1.00", "x", "")}, "", [][2]int{{5, 10}, {13, 20}}},
		{"a quiet day between two is none that lacks", []*expected{payout("P000001", "M1", 11, "10.00")},
			[]*bankLine{line(5, "1.00", "x", ""), line(20, "1.00", "x", "")}, "missing", [][2]int{{5, 10}, {12, 20}}},
		{"an account that this merchant's money does not go to tells nothing", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 9, "20.00")},
			[]*bankLine{of("A", line(5, "10.00", lakala, "")), of("B", line(5, "1.00", "x", "")), of("B", line(20, "1.00", "x", ""))}, "credited[0] ", nil},
		{"its own account does", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 9, "20.00")},
			[]*bankLine{of("A", line(5, "10.00", lakala, "")), of("B", line(5, "1.00", "x", "")), of("A", line(20, "1.00", "x", ""))}, "credited[0] missing", nil},
		{"before the payout nothing was paid", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(4, "10.00", lakala, ""), line(5, "1.00", "x", ""), line(9, "1.00", "x", "")}, "missing", nil},
		{"two payouts of one amount, told apart by their numbers", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "P000002"), line(6, "10.00", lakala, "P000001")}, "credited[1] credited[0]", nil},
		{"the surer pair leaves the other to the rest", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(6, "10.00", lakala, "P000001")}, "credited[1] credited[0]", nil},
		{"two payouts of one amount in as many credits all came", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 6, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, "")}, "credited[0] credited[1]", nil},
		{"two payouts in one credit: which of them came is shown", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "")}, "ambiguous[0] ambiguous[0]", nil},
		{"one payout in two credits: which of them it is is shown", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, "")}, "ambiguous[0 1]", nil},
		{"a credit that names the merchant is one of two payouts, the other comes by name", []*expected{payout("P000001", "822290", 5, "10.00"), payout("P000002", "822290", 6, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "822290"), line(7, "10.00", lakala, "")}, "credited[0] credited[1]", nil},
		{"a weekend in one credit", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "5.00")},
			[]*bankLine{line(9, "35.00", lakala, "")}, "credited[0] credited[0] credited[0]", nil},
		{"a lump of two out of three", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "5.00")},
			[]*bankLine{line(6, "1.00", "x", ""), line(9, "25.00", lakala, ""), line(12, "1.00", "x", "")}, "missing credited[1] credited[1]", nil},
		{"a lump from which a negative payout was taken", []*expected{payout("P000001", "M1", 6, "100.00"), payout("P000002", "M1", 7, "-30.00"), payout("P000003", "M1", 8, "50.00")},
			[]*bankLine{line(9, "120.00", lakala, "")}, "credited[0] credited[0] credited[0]", nil},
		{"a negative payout that is taken from the account", []*expected{payout("P000001", "M1", 6, "-30.00")},
			[]*bankLine{line(9, "-30.00", lakala, "")}, "credited[0]", nil},
		{"one that is taken later is not missing", []*expected{payout("P000001", "M1", 6, "-30.00")},
			[]*bankLine{line(6, "1.00", "x", ""), line(20, "1.00", "x", "")}, "", nil},
		{"a return is no negative payout", []*expected{payout("P000001", "M1", 5, "30.00"), payout("P000002", "M1", 6, "-30.00")},
			[]*bankLine{line(6, "30.00", lakala, ""), line(9, "-30.00", lakala, "退汇")}, "returned[0 1] ", nil},
		{"a lump that two sums come to is shown", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "30.00"), payout("P000004", "M1", 8, "40.00")},
			[]*bankLine{line(9, "50.00", lakala, "")}, "ambiguous[0] ambiguous[0] ambiguous[0] ambiguous[0]", nil},
		{"a payout in two credits", []*expected{payout("P000001", "M1", 5, "30.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(6, "20.00", lakala, ""), line(6, "7.00", lakala, "")}, "credited[0 1]", nil},
		{"a credit that came back", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(6, "-10.00", lakala, "退汇 账户状态异常退回")}, "returned[0 1]", nil},
		{"money that goes out to somebody else is no return", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", "供应商", "货款")}, "credited[0]", nil},
		{"a refund to a customer is none", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", "某某贸易有限公司", "退款给客户")}, "credited[0]", nil},
		{"nor is a return of goods", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", "ACME LTD", "RETURN OF GOODS")}, "credited[0]", nil},
		{"the word alone may be about anything: it is shown", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", "某某贸易有限公司", "冲正")}, "ambiguous[0 1]", nil},
		{"without a word the acquirer may have been paid: it is shown", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", lakala, "代付")}, "ambiguous[0 1]", nil},
		{"so is what goes back to the name that it came from", []*expected{payout("P000001", "822290", 5, "10.00")},
			[]*bankLine{line(6, "10.00", "待清算款项", "822290"), line(7, "-10.00", "待清算款项", "")}, "ambiguous[0 1]", nil},
		{"back to that name with a word of why it came back", []*expected{payout("P000001", "822290", 5, "10.00")},
			[]*bankLine{line(6, "10.00", "待清算款项", "822290"), line(7, "-10.00", "待清算款项", "户名不符退回")}, "returned[0 1]", nil},
		{"the payout's number needs no word", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "P000001"), line(7, "-10.00", "", "P000001")}, "returned[0 1]", nil},
		{"out of another account nothing came back", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), of("B", line(7, "-10.00", lakala, "退汇"))}, "credited[0]", nil},
		{"a return long after is another's", []*expected{payout("P000001", "M1", 1, "10.00")},
			[]*bankLine{line(2, "10.00", lakala, ""), line(28, "-10.00", lakala, "退汇")}, "credited[0]", nil},
		{"one of two payouts of one amount came back: the line is shown with both", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, ""), line(8, "-10.00", lakala, "退汇")}, "ambiguous[0 2] ambiguous[1 2]", nil},
		{"both came back", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, ""), line(8, "-10.00", lakala, "退汇"), line(9, "-10.00", lakala, "退汇")}, "returned[0 2] returned[1 3]", nil},
		{"one came back before the other had come", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 9, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "-10.00", lakala, "退汇"), line(9, "10.00", lakala, "")}, "returned[0 1] credited[2]", nil},
		{"the acquirer itself says which", []*expected{payout("P000001", "M1", 6, "10.00"), takenBack(payout("P000002", "M1", 7, "10.00"))},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, ""), line(8, "-10.00", lakala, "退汇")}, "credited[0] returned[1 2]", nil},
		{"the line says which day's", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, ""), line(8, "-10.00", lakala, "20260306 退汇")}, "returned[0 2] credited[1]", nil},
		{"which credit it was is open, and one was taken back", []*expected{payout("P000001", "M1", 6, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(7, "10.00", lakala, ""), line(8, "-10.00", lakala, "退汇")}, "ambiguous[0 1 2]", nil},
	} {
		b := newBank()
		b.expected, b.lines = test.expected, test.lines
		for _, s := range test.statements {
			b.cover(accountKey{"", "CNY"}, span{day(s[0]), day(s[1])})
		}
		if test.statements == nil { // one of each account
			first := map[accountKey]recon.Date{}
			for _, l := range test.lines {
				k := accountKey{l.account, l.currency}
				if first[k].IsZero() {
					first[k] = l.date
				}
				b.covered[k] = []span{{first[k], l.date}}
			}
		}
		b.tie()
		var got []string
		for _, e := range b.expected {
			text := string(e.state)
			if len(e.lines) > 0 {
				text += fmt.Sprint(e.lines)
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.why, diff)
		}
	}
}

// A year of a large merchant group is tied in seconds: every payout in a credit of its own, with other lines between.
func TestTieBankLarge(t *testing.T) {
	b := newBank()
	for d := range 365 {
		date := recon.NewDate(2026, time.January, 1).AddDays(d)
		for m := range 200 {
			amount := decimal.New(int64(100_000+(d*7919+m*104729)%900_000), -2)
			b.expected = append(b.expected, &expected{acquirer: "lakala", payoutID: fmt.Sprintf("P%04d%04d", d, m), merchant: fmt.Sprintf("8222900%08d", m),
				currency: "CNY", date: date, amount: amount})
			b.lines = append(b.lines, &bankLine{date: date.AddDays(1), amount: amount, currency: "CNY", counterparty: "拉卡拉支付股份有限公司", memo: fmt.Sprintf("8222900%08d", m)},
				&bankLine{date: date, amount: decimal.New(int64(d*200+m), -2), currency: "CNY", counterparty: "某某公司", memo: "货款"})
		}
		b.cover(accountKey{"", "CNY"}, span{date, date.AddDays(5)})
	}
	// As many again whose account's statement is not there.
	for i := range len(b.expected) {
		other := *b.expected[i]
		other.acquirer, other.payoutID, other.merchant = "shengpay", "S"+other.payoutID, "M1"
		b.expected = append(b.expected, &other)
	}
	began := time.Now()
	b.tie()
	took := time.Since(began)
	credited := 0
	for _, e := range b.expected {
		if e.state == BankCredited {
			credited++
		}
	}
	if credited < len(b.expected)/2*99/100 || took > 20*time.Second {
		t.Errorf("%d of %d credited in %v", credited, len(b.expected), took)
	}
	t.Logf("%d payouts, %d lines, %d credited, in %v", len(b.expected), len(b.lines), credited, took)
}

// Of many amounts the search stays bounded, and finds runs of neighbours.
func TestSubsets(t *testing.T) {
	var many []decimal.Decimal
	for i := range 1000 {
		many = append(many, decimal.NewFromInt(int64(1000+i)))
	}
	began := time.Now()
	got := subsets(many, decimal.NewFromInt(1500+1501+1502))
	if len(got) != 1 || !slices.Equal(got[0], []int{500, 501, 502}) {
		t.Errorf("%v", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// Many payouts and credits of one amount are bounded in time and in what is shown of them.
func TestTieBankAlike(t *testing.T) {
	b := newBank()
	for i := range 2000 {
		b.expected = append(b.expected, payout(fmt.Sprintf("P%06d", i), "M1", 5, "10.00"))
		b.lines = append(b.lines, line(6, "10.00", "拉卡拉", ""), line(7, "-10.00", "拉卡拉", "退汇"))
	}
	b.expected = append(b.expected, payout("Q000001", "M1", 5, "10.00"))
	b.lines = append(b.lines, line(6, "10.00", "拉卡拉", "Q000001"))
	b.tie()
	for i, e := range b.expected[:2000] {
		if e.state != BankAmbiguous || len(e.lines) > maxAlike || e.reason == "" {
			t.Fatalf("payout %d is %s of %d lines: %s", i, e.state, len(e.lines), e.reason)
		}
	}
	if e := b.expected[2000]; e.lines[0] != 4000 {
		t.Errorf("the one that its line names is %s of %v", e.state, e.lines)
	}
}
