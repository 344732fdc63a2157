package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

// An order that should have a line and has none rests: what happens to it decides it again, and nothing else does.
func TestResting(t *testing.T) {
	t.Parallel()
	const (
		orders = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id,type,original_order_id\n"
		lines  = "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,channel_txn_id,txn_time\n"
		sold   = "A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00,4200,,\n"
	)
	for _, tc := range []struct {
		name, why string
		first     string // rows of the order, and of others, beside sold where it is empty
		settled   string // lines that came in time
		pos, line string // what comes a day after it was due
		decided   int64  // how many orders that decides
		want      []string
	}{
		{name: "nothing comes", why: "its verdict stays as it is", want: []string{"A unsettled 0.00 2026-11-10"}},
		{name: "it settles late", why: "what agrees on each side is a plain match", line: "A,M1,10.00,0.04,2026-11-11,SETTLED,,\n",
			decided: 1, want: []string{"A matched 10.00 2026-11-10"}},
		{name: "it settles short", why: "its line decides it", line: "A,M1,9.00,0.04,2026-11-11,SETTLED,,\n",
			decided: 1, want: []string{"A amount_mismatch 9.00 2026-11-10"}},
		{name: "it is rejected", why: "a line without money says something of it", line: "A,M1,10.00,,2026-11-11,REJECTED,,\n",
			decided: 1, want: []string{"A unsettled 0.00 2026-11-10"}},
		{name: "it is voided", why: "a further row of its key tells of it", pos: "VA,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T13:00:00+08:00,,VOID,A\n",
			decided: 1, want: []string{"A unsettled 0.00 2026-11-10"}},
		{name: "it settles under another id", why: "a line that is alone finds it by the channel's transaction", line: "Z,M1,10.00,0.04,2026-11-11,SETTLED,4200,\n",
			decided: 1, want: []string{"A matched 10.00 2026-11-10"}},
		{name: "it failed and settles", why: "what nobody expected rests as well", first: strings.Replace(sold, "SUCCESS", "FAILED", 1),
			line: "A,M1,10.00,0.04,2026-11-11,SETTLED,,\n", decided: 1, want: []string{"A status_mismatch 10.00 2026-11-10"}},
		{name: "its id comes again", why: "a line that may be its must not take that of another order of its id from this one",
			first:   "A,lakala,M1,wechat,10.00,SUCCESS,2026-03-09T12:00:00+08:00,4200,,\nA,lakala,M1,wechat,20.00,SUCCESS,2026-11-09T12:00:00+08:00,,,\n",
			settled: "A,M1,20.00,0.04,2026-11-10,SETTLED,,2026-11-09T12:00:00+08:00\n", line: "Z,M1,10.00,0.04,2026-11-11,SETTLED,4200,\n",
			decided: 2, want: []string{"A matched 10.00 2026-03-10", "A matched 20.00 2026-11-10"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t)
			if tc.first == "" {
				tc.first = sold
			}
			c.write("pos-1.csv", orders+tc.first)
			if tc.settled != "" {
				c.write("settlement-1.csv", lines+tc.settled)
			}
			c.night("2026-11-10 12:00")
			before := c.explanations()
			if tc.pos != "" {
				c.write("pos-2.csv", orders+tc.pos)
			}
			if tc.line != "" {
				c.write("settlement-2.csv", lines+tc.line)
			}
			report := c.night("2026-11-11 12:00")
			if report.Decided != tc.decided {
				t.Errorf("%d decided, want %d: %s", report.Decided, tc.decided, tc.why)
			}
			c.wants(tc.why, tc.want...)
			c.holds("2026-11-11 12:00", "a day later")
			if tc.decided == 0 {
				c.explains(before)
			}
			c.night("2026-11-12 12:00")
			c.wants("with nothing new", tc.want...)
			c.holds("2026-11-12 12:00", "two days later")
		})
	}
}

// An order at rest that two rows of two dates tell of is explained once, though another order has its id.
func TestRestingOfTwoDates(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", posHead+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-03-09T12:00:00+08:00\n"+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-03-10T12:00:00+08:00\n"+
		"A,lakala,M1,wechat,20.00,SUCCESS,2026-11-09T12:00:00+08:00\n",
		"settlement-1.csv", "# acquirer: lakala\norder_id,merchant_id,amount,settle_date,status,txn_time\n"+
			"A,M1,20.00,2026-11-10,SETTLED,2026-11-09T12:00:00+08:00\n")
	c.night("2026-11-10 12:00")
	want := c.explanations()
	c.night("2026-11-11 12:00")
	c.holds("2026-11-11 12:00", "a day later")
	c.explains(want)
}

// explanations are all of them, with what they rest on.
func (c *clerk) explanations() string {
	return strings.Join(c.b.dump(c.t, `
		SELECT concat_ws(' ', cause, sub_cause, confidence, features, evidence)
		  FROM explanation
		 ORDER BY order_key, episode`), "\n")
}

// explains holds that everything is explained as it was.
func (c *clerk) explains(want string) {
	c.t.Helper()
	if got := c.explanations(); got != want {
		c.t.Errorf("explained as\n%s\nand then as\n%s", want, got)
	}
}

// A file deadline that moves makes what rested pending, and due again later.
func TestDeadlineMoves(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", posHead+"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n")
	c.night("2026-11-10 11:00")
	c.wants("after the deadline", "A unsettled 0.00 2026-11-10")
	moved := recon.DefaultAcquirer("lakala")
	moved.Deadline = 18 * time.Hour
	c.job.Config.Acquirers["lakala"] = moved
	c.night("2026-11-10 12:00")
	c.wants("before the new deadline", "A pending 0.00 2026-11-10")
	c.holds("2026-11-10 12:00", "before the new deadline")
	c.night("2026-11-10 19:00")
	c.wants("after the new deadline", "A unsettled 0.00 2026-11-10")
}

// What rests costs a night no decision, whatever is asked for beside it decides it.
func TestRestingIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", posHead+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n"+
		"B,lakala,M1,wechat,10.00,FAILED,2026-11-09T12:00:00+08:00\n"+
		"B,lakala,M1,wechat,10.00,PENDING,2026-11-09T12:00:00+08:00\n")
	c.night("2026-11-10 12:00")
	want := c.explanations()
	if report := c.night("2026-11-10 12:30"); report.Decided != 0 {
		t.Errorf("%d decided though nothing has happened", report.Decided)
	}
	c.explains(want)
	opt := pipeline.Options{Kind: "run", Inbox: []string{c.inbox}, AsOf: c.at("2026-11-10 13:00"), From: recon.DateOf(c.at("2026-11-09 12:00"), c.b.zone)}
	opt.To = opt.From
	if report := c.run(opt); report.Decided != 2 {
		t.Errorf("%d decided of a range of two", report.Decided)
	}
}
