package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

// sleeper is a clerk whose days are put to sleep however little is sold on them.
func sleeper(t *testing.T) *clerk {
	c := newClerk(t)
	c.job.SleepFrom = 1
	return c
}

// sells writes the files of a day of November 2026, of orders of five merchants that were sold the day before.
func (c *clerk) sells(day int) {
	c.t.Helper()
	pos, lines := posHead, lineHead
	for m := 1; m <= 5; m++ {
		pos += fmt.Sprintf("O%d-%d,lakala,M%d,wechat,10.00,SUCCESS,2026-11-%02dT18:00:00+08:00\n", day, m, m, day-1)
		lines += fmt.Sprintf("O%d-%d,M%d,10.00,0.06,2026-11-%02d,SETTLED\n", day, m, m, day)
	}
	c.write(fmt.Sprintf("pos-%d.csv", day), pos, fmt.Sprintf("settlement-%d.csv", day), lines)
}

// nightly is a night with the files of its day.
func (c *clerk) nightly(day int) {
	c.t.Helper()
	c.sells(day)
	c.night(noon(day))
}

func noon(day int) string { return fmt.Sprintf("2026-11-%02d 12:00", day) }

// evidence is what flagged orders are explained by, and from which rates, in their order.
func (c *clerk) evidence() []string {
	return c.b.dump(c.t, `
		SELECT concat_ws(' ', o.order_id, x.sub_cause, x.incident_id, x.rates, x.evidence)
		  FROM explanation AS x
		  JOIN pos_row AS o USING (order_key)
		 ORDER BY o.order_id, o.file_id`)
}

const finalOrders = posHead +
	"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-02T12:00:00+08:00\n" +
	"B,lakala,M2,wechat,20.00,FAILED,2026-11-02T12:00:00+08:00\n" +
	"C,lakala,M3,wechat,30.00,UNKNOWN,2026-11-02T12:00:00+08:00\n" +
	"D,lakala,M4,wechat,40.00,SUCCESS,2026-11-06T12:00:00+08:00\n"

// What explains an order without a line tells of every file that comes after the one which should have held it, until more have come
// than a late line waits for. From then on it stays, until something happens on its day.
func TestFinalExplanations(t *testing.T) {
	t.Parallel()
	c := sleeper(t)
	c.write("pos-0.csv", finalOrders)
	var last []string
	for day := 3; day <= 17; day++ {
		c.nightly(day)
		c.holds(noon(day), noon(day))
		now := c.evidence()
		// A was due on the third. The eleventh file after that is of the fourteenth, a Saturday, on which nothing is due; each day after
		// it tells a little more of how often lines are late.
		if changed := last == nil || now[0] != last[0]; changed != (day < 14) {
			t.Errorf("on the %dth A is explained by\n%s", day, now[0])
		}
		last = now
	}
	for _, tc := range []struct {
		why     string
		day     int
		opt     pipeline.Options
		happens func()
		changes bool
	}{
		{"nothing happens", 18, pipeline.Options{Kind: "run"}, func() {}, false},
		{"a line without an order comes, of the day after", 19, pipeline.Options{Kind: "run"}, func() {
			c.write("late.csv", "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,txn_time\nX,M7,5.00,0.01,2026-11-19,SETTLED,2026-11-03T10:00:00+08:00\n")
		}, true},
		{"the next night has nothing of it", 20, pipeline.Options{Kind: "run"}, func() {}, false},
		{"its day is asked for", 24, pipeline.Options{Kind: "run", From: recon.NewDate(2026, 11, 2), To: recon.NewDate(2026, 11, 2)}, func() {}, true},
		{"everything is made anew", 25, pipeline.Options{Kind: "reconcile"}, func() {}, true},
		{"what it goes by is other than it was", 26, pipeline.Options{Kind: "run"}, func() {
			other := recon.DefaultAcquirer("lakala")
			other.Tolerance = decimal.RequireFromString("0.01")
			c.job.Config.Acquirers["lakala"] = other
		}, true},
		{"it goes by that", 27, pipeline.Options{Kind: "run"}, func() {}, false},
	} {
		c.sells(tc.day)
		tc.happens()
		tc.opt.Inbox, tc.opt.AsOf = []string{c.inbox}, c.at(noon(tc.day))
		c.run(tc.opt)
		now := c.evidence()
		if tc.changes != (now[0] != last[0]) {
			t.Errorf("%s: A is explained by\n%s\nand was by\n%s", tc.why, now[0], last[0])
		}
		c.holds(noon(tc.day), tc.why)
		last = now
	}
}

// The files of a night may come in one run or in several, in any order: an old day that one of them stirs is told the same.
func TestFinalWithinANight(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"stirs.csv": lineHead + "B,M2,20.00,0.06,2026-11-18,SETTLED\n",
		"other.csv": lineHead + "O,M7,5.00,0.01,2026-11-18,SETTLED\n",
	}
	var want []string
	for _, runs := range [][][]string{{{"stirs.csv", "other.csv"}}, {{"stirs.csv"}, {"other.csv"}}, {{"other.csv"}, {"stirs.csv"}}} {
		c := sleeper(t)
		c.write("pos-0.csv", finalOrders)
		for day := 3; day <= 17; day++ {
			c.nightly(day)
		}
		before := c.evidence()
		for i, names := range runs {
			for _, name := range names {
				c.write(name, files[name])
			}
			if i == len(runs)-1 {
				c.sells(18)
			}
			c.night(noon(18))
		}
		c.holds(noon(18), "at the end of the night")
		c.nightly(19)
		got := c.evidence()
		if got[0] == before[0] {
			t.Errorf("stirred in %q, A is still explained by\n%s", runs, got[0])
		}
		if want == nil {
			want = got
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("in %q (-in one run +so):\n%s", runs, diff)
		}
	}
}

// An incident stays open, with all its orders, while those that it explains are; and ends with them.
func TestFinalIncident(t *testing.T) {
	t.Parallel()
	c := sleeper(t)
	// A merchant of whom nothing settles any more, while its peers' orders do.
	var pos, lines, late strings.Builder
	pos.WriteString(posHead)
	lines.WriteString(lineHead)
	late.WriteString(lineHead)
	for i := range 60 {
		merchant := fmt.Sprintf("M%d", i%6)
		fmt.Fprintf(&pos, "F%d,lakala,%s,wechat,10.00,SUCCESS,2026-11-02T12:%02d:00+08:00\n", i, merchant, i)
		line := fmt.Sprintf("F%d,%s,10.00,0.06,2026-11-%s,SETTLED\n", i, merchant, "%s")
		if i%6 == 0 {
			fmt.Fprintf(&late, line, "24")
		} else {
			fmt.Fprintf(&lines, line, "03")
		}
	}
	c.write("pos-frozen.csv", pos.String(), "settlement-frozen.csv", lines.String())
	incidents := func() []string {
		return c.b.dump(t, `
			SELECT concat_ws(' ', kind, orders, merchants, amounts, status, summary_en)
			  FROM incident
			 WHERE as_of = (SELECT max(as_of) FROM run)
			 ORDER BY incident_id`)
	}
	var before []string
	for day := 3; day <= 20; day++ {
		c.nightly(day)
		c.holds(noon(day), noon(day))
		now := incidents()
		if len(now) != 1 || !strings.HasPrefix(now[0], "frozen-account 10 1 ") {
			t.Fatalf("on the %dth: %q", day, now)
		}
		if before != nil && !slices.Equal(before, now) {
			t.Errorf("on the %dth %q, and before %q", day, now, before)
		}
		before = now
	}
	if n := c.b.dump(t, `SELECT count(*)::text FROM final_day WHERE as_of < '2026-11-20'`); n[0] == "0" {
		t.Error("no day is final")
	}
	c.write("settlement-late.csv", late.String())
	c.nightly(24)
	if now := incidents(); len(now) != 0 {
		t.Errorf("when all have settled: %q", now)
	}
}

// causes counts orders whose ids are like a pattern by their business date, cause and incident.
func (c *clerk) causes(like string) []string {
	return c.b.dump(c.t, `
		SELECT concat_ws(' ', o.business_date, x.sub_cause, x.incident_id IS NOT NULL, count(*))
		  FROM explanation AS x
		  JOIN pos_row AS o USING (order_key)
		 WHERE o.order_id LIKE '`+like+`'
		 GROUP BY o.business_date, x.sub_cause, x.incident_id
		 ORDER BY 1`)
}

// steady writes orders of many merchants that were sold through a day of November 2026 and settled on the next.
func (c *clerk) steady(name string, day, merchants int) {
	c.t.Helper()
	pos, lines := posHead, lineHead
	for hour := 10; hour < 22; hour++ {
		for m := range merchants {
			pos += fmt.Sprintf("%s%d-%d,lakala,M%d,wechat,10.00,SUCCESS,2026-11-%02dT%02d:%02d:00+08:00\n", name, hour, m, m, day, hour, m)
			lines += fmt.Sprintf("%s%d-%d,M%d,10.00,0.06,2026-11-%02d,SETTLED\n", name, hour, m, m, day+1)
		}
	}
	c.write("pos-"+name+".csv", pos, "settlement-"+name+".csv", lines)
}

// An outage goes across the cut-off: the part of it whose day is final first explains the other still.
func TestFinalOutage(t *testing.T) {
	t.Parallel()
	c := sleeper(t)
	c.steady("G2", 2, 6)
	c.steady("G3", 3, 6)
	pos := posHead
	for i := range 20 {
		pos += fmt.Sprintf("F%d,lakala,M%d,wechat,10.00,UNKNOWN,2026-11-02T22:%02d:00+08:00\n", i, i%6, 40+i)
	}
	for i := range 3 { // of the next business date
		pos += fmt.Sprintf("F3%d,lakala,M%d,wechat,10.00,UNKNOWN,2026-11-02T23:%02d:00+08:00\n", i, i, i)
	}
	c.write("pos-outage.csv", pos)
	want := []string{"2026-11-02 channel_outage t 20", "2026-11-03 channel_outage t 3"}
	for day := 3; day <= 19; day++ {
		c.nightly(day)
		if diff := gocmp.Diff(want, c.causes("F%")); day > 3 && diff != "" {
			t.Errorf("on the %dth (-want +is):\n%s", day, diff)
		}
		c.holds(noon(day), noon(day))
	}
	c.run(pipeline.Options{Kind: "reconcile", AsOf: c.at(noon(19))})
	if diff := gocmp.Diff(want, c.causes("F%")); diff != "" {
		t.Errorf("made anew (-want +is):\n%s", diff)
	}
}

// losesInOutage writes a day with an outage in which merchant M29 has three successes without a line, and what is sold later.
func (c *clerk) losesInOutage(later string) {
	c.t.Helper()
	c.steady("G2", 2, 30)
	pos := posHead
	for i := range 40 {
		pos += fmt.Sprintf("F%d,lakala,M%d,wechat,10.00,UNKNOWN,2026-11-02T22:%02d:00+08:00\n", i, i%20, 10+i)
	}
	for i := range 3 {
		pos += fmt.Sprintf("Z%d,lakala,M29,wechat,10.00,SUCCESS,2026-11-02T22:%02d:30+08:00\n", i, 15+i*5)
	}
	c.write("pos-outage.csv", pos+later)
}

// What an old outage explains for good says nothing of a freeze of its merchants.
func TestFinalOutageIsNoFreeze(t *testing.T) {
	t.Parallel()
	c := sleeper(t)
	// The merchant sells once more, two weeks later.
	c.losesInOutage("Z16,lakala,M29,wechat,10.00,SUCCESS,2026-11-16T12:00:00+08:00\n")
	for day := 3; day <= 20; day++ {
		c.nightly(day)
	}
	c.holds(noon(20), "at the end")
	want := []string{"2026-11-02 channel_outage t 3", "2026-11-16 false_success f 1"}
	if diff := gocmp.Diff(want, c.causes("Z%")); diff != "" {
		t.Errorf("(-want +is):\n%s", diff)
	}
}

// What happens near a final day, of whatever kind, explains its orders as if nothing had been final.
func TestFinalIsStirred(t *testing.T) {
	t.Parallel()
	const dated = "order_id,merchant_id,amount,fee,settle_date,status,txn_time\n"
	const other = "a settlement line with this order id names merchant M9"
	for _, tc := range []struct {
		name, why     string
		order         string
		before, after string   // what it is explained by
		first, then   []string // files of the first night, and of the last, the twenty-fourth
		without       int      // a day whose settlement file is not there
	}{
		{"a new order with its line", "a plain match of the day changes how its batch fared", "A", "5 of 6 orders", "6 of 7 orders", nil, []string{
			"pos-new.csv", posHead + "N,lakala,M5,wechat,77.00,SUCCESS,2026-11-02T12:30:00+08:00\n",
			"settlement-new.csv", lineHead + "N,M5,77.00,0.06,2026-11-24,SETTLED\n"}, 0},
		{"the file that was missing", "its line is of another business date", "A", "has not arrived", "no line in lakala's settlement file", nil, []string{
			"settlement-3.csv", "# acquirer: lakala\n# settle_date: 2026-11-03\n" + dated + "X,M5,7.00,0.06,2026-11-03,SETTLED,2026-10-20T12:00:00+08:00\n"}, 3},
		{"the file of a weekend", "it should have held what was sold three days before", "D", "has not arrived", "no line in lakala's settlement file", nil, []string{
			"settlement-9.csv", "# acquirer: lakala\n# settle_date: 2026-11-09\n" + dated + "X,M5,7.00,0.06,2026-11-09,SETTLED,2026-10-20T12:00:00+08:00\n"}, 9},
		{"a late line without its order's id", "a match of the day by more than the key does as well", "A", "no line in lakala's settlement file", "6 of 7 orders", []string{
			"pos-reference.csv", "order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id\nR,lakala,M5,wechat,55.00,SUCCESS,2026-11-02T12:30:00+08:00,CT1234\n"}, []string{
			"settlement-late.csv", "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,channel_txn_id\nZZ,M5,55.00,0.06,2026-11-24,SETTLED,CT1234\n"}, 0},
		{"a line of another merchant comes", "it has the order's id and amount", "A", "5 of 6 orders", other, nil, []string{
			"settlement-wrong.csv", "# acquirer: lakala\n" + dated + "A,M9,10.00,0.06,2026-11-24,SETTLED,2026-11-23T12:00:00+08:00\n"}, 0},
		{"a line of another merchant goes", "a file without it takes its file's place", "A", other, "5 of 6 orders", []string{
			"settlement-wrong.csv", "# acquirer: lakala\n# settle_date: 2026-11-06\n" + dated + "A,M9,10.00,0.06,2026-11-06,SETTLED,2026-11-05T12:00:00+08:00\n"}, []string{
			"settlement-right.csv", "# acquirer: lakala\n# settle_date: 2026-11-06\n# replaces: settlement-wrong.csv\n" + dated + "T,M9,11.00,0.06,2026-11-06,SETTLED,2026-11-05T12:00:00+08:00\n"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := sleeper(t)
			c.write("pos-0.csv", finalOrders)
			c.write(tc.first...)
			for day := 3; day <= 23; day++ {
				if day != tc.without {
					c.sells(day)
				}
				c.night(noon(day))
			}
			of := func() string {
				list := c.evidence()
				return list[slices.IndexFunc(list, func(e string) bool { return strings.HasPrefix(e, tc.order+" ") })]
			}
			if e := of(); !strings.Contains(e, tc.before) {
				t.Errorf("before: %s", e)
			}
			c.write(tc.then...)
			c.sells(24)
			c.night(noon(24))
			c.holds(noon(24), tc.why)
			after := of()
			if !strings.Contains(after, tc.after) {
				t.Errorf("%s: %s", tc.why, after)
			}
			c.run(pipeline.Options{Kind: "reconcile", AsOf: c.at(noon(24))})
			if diff := gocmp.Diff(of(), after); diff != "" {
				t.Errorf("%s (-made anew +explained):\n%s", tc.why, diff)
			}
		})
	}
}

// What orders of a day share with others that are explained for good is found as long as anything is explained by it.
func TestFinalShares(t *testing.T) {
	t.Parallel()
	unknown := func(name, acquirer, merchant string, n, from, step int) string {
		rows := ""
		for i := range n {
			rows += fmt.Sprintf("%s%d,%s,%s%d,wechat,10.00,UNKNOWN,2026-11-02T21:%02d:30+08:00\n", name, i, acquirer, merchant, i%6, from+i*step)
		}
		return rows
	}
	for _, tc := range []struct {
		name, why string
		steady    bool
		first     int // night
		files     func(day int) []string
		explained string // orders whose explanations are compared
	}{
		{"settled in an outage", "what settled though the POS does not know it is no order at rest", true, 3, func(day int) []string {
			if day > 3 {
				return nil
			}
			return []string{"pos-outage.csv", posHead + unknown("F", "lakala", "M", 20, 20, 1) + unknown("S", "lakala", "M", 3, 22, 1),
				"settlement-outage.csv", lineHead + "S0,M0,10.00,0.06,2026-11-03,SETTLED\nS1,M1,10.00,0.06,2026-11-03,SETTLED\nS2,M2,10.00,0.06,2026-11-03,SETTLED\n"}
		}, "S%"},
		{"an acquirer of a file a week", "its days are not final yet, and share the outage of another's that are", true, 3, func(day int) []string {
			files := []string{}
			if day == 3 {
				files = append(files, "pos-outage.csv", posHead+unknown("F", "lakala", "M", 6, 20, 1)+unknown("S", "chinaums", "N", 3, 21, 2))
			}
			if day%7 == 3 {
				files = append(files, fmt.Sprintf("settlement-weekly-%d.csv", day), fmt.Sprintf("# acquirer: chinaums\norder_id,merchant_id,amount,fee,settle_date,status\nU%d,N1,10.00,0.06,2026-11-%02d,SETTLED\n", day, day))
			}
			return files
		}, "S%"},
		{"a freeze after a file that never came", "what the file explains begins no freeze", false, 4, func(day int) []string {
			if day > 4 {
				return nil
			}
			pos := posHead
			for m := range 8 {
				for i := range 3 {
					pos += fmt.Sprintf("L%d-%d,lakala,M%d,wechat,10.00,SUCCESS,2026-11-02T12:%02d:00+08:00\n", m, i, 20+m, m*3+i)
				}
			}
			for d := 16; d <= 18; d++ {
				for i := range 3 {
					pos += fmt.Sprintf("Z%d-%d,lakala,M20,wechat,10.00,SUCCESS,2026-11-%02dT12:%02d:00+08:00\n", d, i, d, i)
				}
			}
			return []string{"pos-freeze.csv", pos}
		}, "Z%"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := sleeper(t)
			if tc.steady {
				c.steady("G2", 2, 6)
				c.steady("G3", 3, 6)
			}
			for day := tc.first; day <= 20; day++ {
				c.write(tc.files(day)...)
				c.nightly(day)
			}
			c.holds(noon(20), tc.why)
			if asleep := c.b.dump(t, `SELECT count(*)::text FROM final_day WHERE asleep`); tc.name != "an acquirer of a file a week" && asleep[0] == "0" {
				t.Error("no day is asleep")
			}
			of := func() []string {
				return c.b.dump(t, `
					SELECT concat_ws(' ', o.order_id, x.sub_cause, x.incident_id, x.confidence, x.evidence)
					  FROM explanation AS x
					  JOIN pos_row AS o USING (order_key)
					 WHERE o.order_id LIKE '`+tc.explained+`'
					 ORDER BY o.order_id`)
			}
			told := of()
			if len(told) < 3 {
				t.Fatalf("%d are explained", len(told))
			}
			c.run(pipeline.Options{Kind: "reconcile", AsOf: c.at(noon(20))})
			if diff := gocmp.Diff(of(), told); diff != "" {
				t.Errorf("%s (-made anew +explained):\n%s", tc.why, diff)
			}
		})
	}
}

// A due date that was counted by a cycle which was corrected keeps a day awake in the run, and is forgotten by who counts all of them anew.
func TestFinalOfACorrectedCycle(t *testing.T) {
	t.Parallel()
	c := sleeper(t)
	later := ""
	for i := range 3 {
		later += fmt.Sprintf("Y%d,lakala,M29,wechat,10.00,SUCCESS,2026-11-%02dT12:00:00+08:00\n", i, 16+i)
	}
	c.losesInOutage(later)
	const cycles = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,settle_cycle\nW,lakala,M1,wechat,10.00,SUCCESS,2026-11-02T12:34:00+08:00,"
	c.write("pos-cycle-1.csv", cycles+"T+30\n")
	c.nightly(3)
	c.write("pos-cycle-2.csv", "# replaces: pos-cycle-1.csv\n"+cycles+"T+1\n")
	for day := 4; day <= 19; day++ {
		c.nightly(day)
		if day > 16 {
			c.holds(noon(day), noon(day))
		}
	}
}
