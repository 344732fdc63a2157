package match

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

func day(n int) recon.Date { return recon.NewDate(2026, time.March, n) }

// payout is expected money of Lakala: id, merchant, day of March, amount.
func payout(id, merchant string, on int, amount string) *expected {
	return &expected{acquirer: "lakala", payoutID: id, merchant: merchant, currency: "CNY", date: day(on), amount: decimal.RequireFromString(amount)}
}

// line is a line of the statement: day of March, amount, words.
func line(on int, amount, counterparty, memo string) *bankLine {
	return &bankLine{source: fmt.Sprintf("b:%d", on), date: day(on), amount: decimal.RequireFromString(amount), currency: "CNY", counterparty: counterparty, memo: memo}
}

func TestTieBank(t *testing.T) {
	const lakala = "拉卡拉支付股份有限公司"
	for _, test := range []struct {
		why      string
		expected []*expected
		lines    []*bankLine
		want     string
	}{
		{"one payout, one credit", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(6, "10.00", lakala, "代付")}, "credited[0]"},
		{"a credit of somebody else is none", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(9, "10.00", "某某公司", "货款")}, "missing"},
		{"another amount is none", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(9, "10.01", lakala, "")}, "missing"},
		{"another currency is none", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{{date: day(9), amount: decimal.RequireFromString("10.00"), currency: "HKD", counterparty: lakala}}, "missing"},
		{"what is not due on the account yet is not missing", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(6, "1.00", "x", "")}, ""},
		{"before the payout nothing was paid", []*expected{payout("P000001", "M1", 5, "10.00")}, []*bankLine{line(4, "10.00", lakala, ""), line(9, "1.00", "x", "")}, "missing"},
		{"two payouts of one amount, told apart by their numbers", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "P000002"), line(6, "10.00", lakala, "P000001")}, "credited[1] credited[0]"},
		{"the surer pair leaves the other to the rest", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(6, "10.00", lakala, "P000001")}, "credited[1] credited[0]"},
		{"two payouts of one amount that nothing tells apart are shown", []*expected{payout("P000001", "M1", 5, "10.00"), payout("P000002", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(6, "10.00", lakala, "")}, "ambiguous[0 1] ambiguous[0 1]"},
		{"a weekend in one credit", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "5.00")},
			[]*bankLine{line(9, "35.00", lakala, "")}, "credited[0] credited[0] credited[0]"},
		{"a lump of two out of three", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "5.00")},
			[]*bankLine{line(9, "25.00", lakala, ""), line(12, "1.00", "x", "")}, "missing credited[0] credited[0]"},
		{"a lump that two sums come to is shown", []*expected{payout("P000001", "M1", 6, "10.00"), payout("P000002", "M1", 7, "20.00"), payout("P000003", "M1", 8, "30.00"), payout("P000004", "M1", 8, "40.00")},
			[]*bankLine{line(9, "50.00", lakala, "")}, "ambiguous[0] ambiguous[0] ambiguous[0] ambiguous[0]"},
		{"a payout in two credits", []*expected{payout("P000001", "M1", 5, "30.00")},
			[]*bankLine{line(6, "10.00", lakala, ""), line(6, "20.00", lakala, ""), line(6, "7.00", lakala, "")}, "credited[0 1]"},
		{"a credit that came back", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(6, "-10.00", lakala, "退汇 账户状态异常退回")}, "returned[0 1]账户"},
		{"money that goes out to somebody else is no return", []*expected{payout("P000001", "M1", 5, "10.00")},
			[]*bankLine{line(6, "10.00", lakala, "代付"), line(7, "-10.00", "供应商", "货款")}, "credited[0]"},
		{"a return long after is another's", []*expected{payout("P000001", "M1", 1, "10.00")},
			[]*bankLine{line(2, "10.00", lakala, ""), line(28, "-10.00", lakala, "退汇")}, "credited[0]"},
	} {
		b := &bank{names: map[string][]string{"lakala": {"拉卡拉"}}, expected: test.expected, lines: test.lines}
		for _, l := range test.lines {
			if l.date.After(b.last) {
				b.last = l.date
			}
		}
		b.tie()
		var got []string
		for _, e := range b.expected {
			text := string(e.state)
			if len(e.lines) > 0 {
				text += fmt.Sprint(e.lines)
			}
			if e.state == BankReturned {
				text += e.reason[strings.Index(e.reason, "账户"):][:len("账户")]
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
	b := &bank{names: map[string][]string{"lakala": {"拉卡拉"}}}
	for d := range 365 {
		date := recon.NewDate(2026, time.January, 1).AddDays(d)
		for m := range 200 {
			amount := decimal.New(int64(100_000+(d*7919+m*104729)%900_000), -2)
			b.expected = append(b.expected, &expected{acquirer: "lakala", payoutID: fmt.Sprintf("P%04d%04d", d, m), merchant: fmt.Sprintf("8222900%08d", m),
				currency: "CNY", date: date, amount: amount})
			b.lines = append(b.lines, &bankLine{date: date.AddDays(1), amount: amount, currency: "CNY", counterparty: "拉卡拉支付股份有限公司", memo: fmt.Sprintf("8222900%08d", m)},
				&bankLine{date: date, amount: decimal.New(int64(d*200+m), -2), currency: "CNY", counterparty: "某某公司", memo: "货款"})
		}
		b.last = date.AddDays(5)
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
