package pipeline_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

// An order that waits for its line is not decided again on every night: only what happens to it makes it anything else.
func TestWaiting(t *testing.T) {
	t.Parallel()
	const (
		orders = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id,settle_cycle,type,original_order_id\n"
		row    = ",lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00,"
		lines  = "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,channel_txn_id\n"
	)
	for _, tc := range []struct {
		name, why string
		first     string // rows of the order on the day it was sold, after its id
		pos, line string // what comes on the next morning, before the deadline: whole rows, for ORDER read the order's id
		morning   string // what it is then
		noon      string // what it is once the deadline has passed, with nothing new
	}{
		{name: "settles", why: "one row on each side is a plain match",
			line: "ORDER,M1,10.00,0.04,2026-11-10,SETTLED,\n", morning: "matched 10.00", noon: "matched 10.00"},
		{name: "nothing comes", why: "it is due at the deadline, though nothing tells of it",
			morning: "pending 0.00", noon: "unsettled 0.00"},
		{name: "not due for long", why: "its own cycle counts", first: row + ",T+5,,\n",
			morning: "pending 0.00", noon: "pending 0.00"},
		{name: "settles twice", why: "two lines in one file make a duplicate, not two plain matches",
			line:    "ORDER,M1,10.00,0.04,2026-11-10,SETTLED,W1\nORDER,M1,10.00,0.04,2026-11-10,SETTLED,W2\n",
			morning: "duplicate 20.00", noon: "duplicate 20.00"},
		{name: "settles short", why: "an unequal amount is no plain match",
			line: "ORDER,M1,9.00,0.04,2026-11-10,SETTLED,\n", morning: "amount_mismatch 9.00", noon: "amount_mismatch 9.00"},
		{name: "is held", why: "a line that is not SETTLED is no plain match",
			line: "ORDER,M1,10.00,0.04,2026-11-10,HELD,\n", morning: "unsettled 0.00", noon: "unsettled 0.00"},
		{name: "is not known to have succeeded", why: "only SUCCESS matches plainly", first: ",lakala,M1,wechat,10.00,UNKNOWN,2026-11-09T12:00:00+08:00,,,,\n",
			line: "ORDER,M1,10.00,0.04,2026-11-10,SETTLED,\n", morning: "status_mismatch 10.00", noon: "status_mismatch 10.00"},
		{name: "is voided", why: "a further row of its key is decided with the first",
			pos: "VORDER,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T13:00:00+08:00,,,VOID,ORDER\n", morning: "unsettled 0.00", noon: "unsettled 0.00"},
		{name: "is voided and settles", why: "its line meets the fresh row first",
			pos:     "VORDER,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T13:00:00+08:00,,,VOID,ORDER\n",
			line:    "ORDER,M1,10.00,0.04,2026-11-10,SETTLED,\n",
			morning: "status_mismatch 10.00", noon: "status_mismatch 10.00"},
		{name: "settles under another id", why: "a line that is alone finds it by the channel's transaction", first: row + "4200,,,\n",
			line: "OTHER-ORDER,M1,10.00,0.04,2026-11-10,SETTLED,4200\n", morning: "matched 10.00", noon: "matched 10.00"},
		{name: "came twice", why: "two rows of one day do not wait as one", first: row + "A1,,,\nORDER" + row + "A2,,,\n",
			morning: "duplicate 0.00", noon: "duplicate 0.00"},
		{name: "came twice and settles", why: "of several rows no plain match is made", first: row + ",,,\nORDER" + row + ",,,\n",
			line: "ORDER,M1,10.00,0.04,2026-11-10,SETTLED,\n", morning: "matched 10.00", noon: "matched 10.00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newClerk(t)
			id := func(text string) string { return strings.ReplaceAll(text, "ORDER", "A") }
			first := tc.first
			if first == "" {
				first = row + ",,,\n"
			}
			// Others that wait beside it, so that it is one of many.
			many := orders + "A" + id(first)
			for _, other := range []string{"B", "C", "D", "E"} {
				many += other + ",lakala,M1,wechat,7.00,SUCCESS,2026-11-09T12:00:00+08:00,,T+9,,\n"
			}
			c.write("pos-1.csv", many)
			c.night("2026-11-09 23:50")
			c.holds("2026-11-09 23:50", "sold")

			var fresh []string
			if tc.pos != "" {
				fresh = append(fresh, "pos-2.csv", orders+id(tc.pos))
			}
			if tc.line != "" {
				fresh = append(fresh, "settlement-2.csv", lines+id(tc.line))
			}
			c.write(fresh...)
			wants := func(when, want string) {
				t.Helper()
				if told := c.b.dump(t, `
					SELECT d.outcome || ' ' || d.received
					  FROM decided AS d
					  JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (d.order_key, d.pos_file_id, d.pos_line)
					 WHERE p.order_id = 'A'`); !slices.Equal(told, []string{want}) {
					t.Errorf("%s: it is %q, want %q: %s", when, told, want, tc.why)
				}
				c.holds("2026-11-10 "+when, when)
			}
			c.night("2026-11-10 09:00")
			wants("09:00", tc.morning)
			c.night("2026-11-10 12:00")
			wants("12:00", tc.noon)
		})
	}
}

// What only waits costs a night nothing.
func TestWaitingIsLeftAlone(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", posHead+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n"+
		"B,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n")
	c.night("2026-11-09 23:00")
	for _, tc := range []struct {
		asOf    string
		opt     pipeline.Options
		decided int64
		why     string
	}{
		{asOf: "2026-11-09 23:30", decided: 0, why: "nothing has happened to either"},
		{asOf: "2026-11-09 23:40", opt: pipeline.Options{From: recon.DateOf(c.at("2026-11-09 12:00"), c.b.zone)}, decided: 2, why: "a range is decided whole"},
		{asOf: "2026-11-10 12:00", decided: 2, why: "both are due"},
	} {
		opt := tc.opt
		opt.Kind, opt.Inbox, opt.AsOf, opt.To = "run", []string{c.inbox}, c.at(tc.asOf), tc.opt.From
		if report := c.run(opt); report.Decided != tc.decided {
			t.Errorf("%s: %d decided, want %d: %s", tc.asOf, report.Decided, tc.decided, tc.why)
		}
	}
}
