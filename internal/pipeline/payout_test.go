package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

const (
	payoutHead = "# acquirer: lakala\n# payout_date: 2026-11-10\npayout_id,merchant_id,payout_date,amount,status,replaces_payout_id\n"
	payoutLine = "# acquirer: lakala\norder_id,merchant_id,amount,settle_date,status,payout_id\n"
	payoutSale = "A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n"
)

// payouts is every payout whose state is stored.
func (c *clerk) payouts() []string {
	c.t.Helper()
	return c.b.dump(c.t, `SELECT concat_ws(' ', payout_id, last_id, status) FROM payout_state ORDER BY payout_id`)
}

// Of the payouts that a night's files say nothing of, nothing changes; of all others everything that belongs to them may.
func TestPayoutsOfANight(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		nights [][]string // name, text, name, text
		want   []string
	}{
		{"a correction omits a payout, which is not reported any more", [][]string{
			{"p.csv", payoutHead + "P1,M1,2026-11-10,10.00,FAILED,\nP2,M1,2026-11-10,5.00,PAID,\n"},
			{"q.csv", "# replaces: p.csv\n" + payoutHead + "P2,M1,2026-11-10,5.00,PAID,\n"},
		}, []string{"P2 P2 PAID"}},
		{"what is re-issued follows the last, though the middle comes last", [][]string{
			{"p.csv", payoutHead + "P1,M1,2026-11-10,10.00,FAILED,\nP9,M1,2026-11-10,1.00,PAID,\n"},
			{"r.csv", payoutHead + "P3,M1,2026-11-12,10.00,PAID,P2\n"},
			{"q.csv", payoutHead + "P2,M1,2026-11-11,10.00,FAILED,P1\n"},
		}, []string{"P1 P3 PAID", "P2 P3 PAID", "P3 P3 PAID", "P9 P9 PAID"}},
		{"the middle of a chain is taken back", [][]string{
			{"p.csv", payoutHead + "P1,M1,2026-11-10,10.00,FAILED,\n", "r.csv", payoutHead + "P3,M1,2026-11-12,10.00,PAID,P2\n"},
			{"q.csv", payoutHead + "P2,M1,2026-11-11,10.00,FAILED,P1\n"},
			{"s.csv", "# replaces: q.csv\n" + payoutHead + "P9,M1,2026-11-11,1.00,PAID,\n"},
		}, []string{"P1 P1 FAILED", "P2 P3 PAID", "P3 P3 PAID", "P9 P9 PAID"}},
		{"a further version of the last is that of all", [][]string{
			{"p.csv", payoutHead + "P1,M1,2026-11-10,10.00,FAILED,\nP2,M1,2026-11-11,10.00,PROCESSING,P1\n"},
			{"q.csv", strings.Replace(payoutHead, "11-10", "11-12", 1) + "P2,M1,2026-11-12,10.00,PAID,P1\n"},
		}, []string{"P1 P2 PAID", "P2 P2 PAID"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t)
			c.write("pos.csv", posHead+payoutSale, "line.csv", payoutLine+"A,M1,10.00,2026-11-10,SETTLED,P1\n")
			for _, files := range test.nights {
				c.write(files...)
				c.night("2026-11-12 12:00")
			}
			if diff := cmp.Diff(test.want, c.payouts()); diff != "" {
				t.Errorf("payouts (-want +got):\n%s", diff)
			}
			c.holds("2026-11-12 12:00", test.name)
			// What the nights have made of it is what everything at once makes.
			told := c.told()
			c.run(pipeline.Options{Kind: "reconcile", AsOf: c.at("2026-11-12 12:00"), From: recon.NewDate(2026, 11, 1), To: recon.NewDate(2026, 11, 30)})
			if diff := cmp.Diff(told, c.told()); diff != "" {
				t.Errorf("decided anew (-before +after):\n%s", diff)
			}
		})
	}
}
