package classify

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/recon"
)

// noon is minute 0 of the marks below.
var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

var series = seriesKey{"lakala", "WECHAT"}

// failure is a mark at a minute, of an order without a result; its key is its number.
func failure(n, minute int, merchant string) mark {
	m := mark{at: noon.Add(time.Duration(minute) * time.Minute), series: series, merchant: merchant, out: 0.2, quiet: 1e-5}
	binary.BigEndian.PutUint32(m.key[:], uint32(n))
	return m
}

// failures are marks at minutes, of as many merchants as there are, in turn.
func failures(merchants int, minutes ...int) []mark {
	var list []mark
	for n, minute := range minutes {
		list = append(list, failure(n, minute, fmt.Sprintf("M%d", n%merchants)))
	}
	return list
}

// totals counts payments per minute: the marks' own and good ones in between.
func totals(list []mark, good map[int]int64) map[int64]int64 {
	all := map[int64]int64{}
	for _, m := range list {
		all[m.at.Unix()/60]++
	}
	for minute, n := range good {
		all[noon.Unix()/60+int64(minute)] += n
	}
	return all
}

// steady is n good payments in each of the minutes.
func steady(n int64, from, to int) map[int]int64 {
	good := map[int]int64{}
	for minute := from; minute <= to; minute++ {
		good[minute] = n
	}
	return good
}

// stretch is a window as a test writes it: minutes, failures of how many payments, merchants.
type stretch struct{ From, To, Bad, Total, Merchants int }

func scan(list []mark, good map[int]int64) []stretch {
	var windows []stretch
	for _, w := range scanScope(series, list, totals(list, good)) {
		if w.probability <= outageStated {
			continue
		}
		windows = append(windows, stretch{int(w.from.Sub(noon).Minutes()), int(w.to.Sub(noon).Minutes()), int(w.bad), int(w.total), w.merchants})
	}
	return windows
}

func TestScanScope(t *testing.T) {
	t.Parallel()
	day := steady(5, -600, -60) // a day's good trade, hours before
	with := func(more map[int]int64) map[int]int64 {
		all := map[int]int64{}
		for m, n := range day {
			all[m] = n
		}
		for m, n := range more {
			all[m] += n
		}
		return all
	}
	for name, tt := range map[string]struct {
		list []mark
		good map[int]int64
		want []stretch
	}{
		"nothing": {nil, day, nil},
		"four failures in a row, of three merchants":  {failures(3, 0, 1, 2, 3), day, []stretch{{0, 3, 4, 4, 3}}},
		"three failures prove nothing":                {failures(3, 0, 1, 2), day, nil},
		"four failures of two merchants are theirs":   {failures(2, 0, 1, 2, 3), day, nil},
		"many failures of one merchant are its own":   {failures(1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), day, nil},
		"four failures among many that went well":     {failures(4, 0, 10, 20, 30), with(steady(5, 0, 30)), nil},
		"one in fifty fails: an evening like another": {failures(5, 0, 10, 20, 30, 40, 50), with(steady(5, 0, 50)), nil},
		"two in five fail: an outage": {failures(5, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), with(steady(3, 0, 7)),
			[]stretch{{0, 7, 16, 40, 5}}},
		"what went well before and after is not in it": {failures(3, 30, 31, 32, 33, 34), with(map[int]int64{0: 50, 29: 50, 35: 50, 60: 50}),
			[]stretch{{30, 34, 5, 5, 3}}},
		"two outages an hour apart": {failures(4, 0, 1, 2, 3, 63, 64, 65, 66), day, []stretch{{0, 3, 4, 4, 4}, {63, 66, 4, 4, 4}}},
		"two outages with an hour's trade between them": {failures(4, 0, 1, 2, 3, 40, 41, 42, 43), with(steady(5, 4, 39)),
			[]stretch{{0, 3, 4, 4, 4}, {40, 43, 4, 4, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, scan(tt.list, tt.good)); diff != "" {
				t.Errorf("outages (-want +got):\n%s", diff)
			}
		})
	}
}

// Where failures come in bunches all day, a bunch is no outage: what bunching takes off grows with it.
func TestBunching(t *testing.T) {
	t.Parallel()
	var even, bunched []mark
	for n := range 60 {
		even = append(even, failure(n, n*10, fmt.Sprint("M", n%9)))
		bunched = append(bunched, failure(n, n/6*60+n%6, fmt.Sprint("M", n%9)))
	}
	good := steady(10, 0, 600)
	a, b := bunching(even, totals(even, good), nil), bunching(bunched, totals(bunched, good), nil)
	if a >= usualBunching || b <= a {
		t.Errorf("even failures come together by %.4f, bunched ones by %.4f", a, b)
	}
	if got := scan(bunched, good); len(got) > 0 {
		t.Errorf("a bunch among bunches is an outage: %+v", got)
	}
}

// Whatever the marks: outages are in order and apart, each has its floor of failures and merchants, and tells the failures
// within it and no others.
func TestScanScopeLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []mark
		for n, minute := range rapid.SliceOfN(rapid.IntRange(0, 200), 0, 60).Draw(t, "minutes") {
			list = append(list, failure(n, minute, fmt.Sprintf("M%d", rapid.IntRange(0, 6).Draw(t, "merchant"))))
		}
		slices.SortFunc(list, compareMarks)
		good := map[int]int64{}
		for range rapid.IntRange(0, 100).Draw(t, "good minutes") {
			good[rapid.IntRange(-10, 210).Draw(t, "minute")] += int64(rapid.IntRange(1, 5).Draw(t, "good"))
		}
		windows := scanScope(series, list, totals(list, good))
		for i, w := range windows {
			if i > 0 && !windows[i-1].to.Before(w.from) {
				t.Errorf("outages %d and %d overlap or are out of order", i-1, i)
			}
			if w.bad < outageMarks || w.merchants < outageMerchants || w.bad > w.total || w.probability <= suspected {
				t.Errorf("outage %d: %+v", i, w)
			}
			var bad int64
			for _, m := range list {
				if !m.at.Before(w.from) && !m.at.After(w.to) {
					bad++
				}
			}
			if bad != w.bad {
				t.Errorf("outage %d tells %d failures, there are %d", i, w.bad, bad)
			}
		}
	})
}

// An order is part of an outage by its minute and by its scope.
func TestOutageAt(t *testing.T) {
	t.Parallel()
	windows := []window{{scope: series, from: noon.Add(30 * time.Second), to: noon.Add(3 * time.Minute)},
		{scope: seriesKey{"", "ALIPAY"}, from: noon, to: noon}, {scope: seriesKey{"shengpay", ""}, from: noon, to: noon}}
	for at, want := range map[time.Duration]bool{
		-time.Second: false, 0: true, 30 * time.Second: true, 3*time.Minute + 59*time.Second: true, 4 * time.Minute: false,
	} {
		if _, got := outageAt(windows, series, noon.Add(at)); got != want {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
	}
	for of, want := range map[seriesKey]bool{{"lakala", "ALIPAY"}: true, {"lakala", "UNIONPAY"}: false, {"shengpay", "UNIONPAY"}: true, {"chinaums", "WECHAT"}: false} {
		if _, got := outageAt(windows, of, noon); got != want {
			t.Errorf("%v: %v, want %v", of, got, want)
		}
	}
}

// A terminal without a network is not heard of on any channel; one that was heard in between had one.
func TestFaultsOf(t *testing.T) {
	t.Parallel()
	at := func(n, minute int, channel string) mark {
		m := failure(n, minute, "M1")
		m.series.channel, m.terminal, m.unheard, m.quiet = channel, "T1", 0.4, 1e-4
		return m
	}
	heard := func(minutes ...int) (list []time.Time) {
		for _, m := range minutes {
			list = append(list, noon.Add(time.Duration(m)*time.Minute))
		}
		return list
	}
	type told struct{ From, To, Orders, Channels int }
	for name, tt := range map[string]struct {
		list  []mark
		heard []time.Time
		want  []told
	}{
		"two on two channels":         {[]mark{at(1, 0, "WECHAT"), at(2, 10, "ALIPAY")}, nil, []told{{0, 10, 2, 2}}},
		"two on one channel":          {[]mark{at(1, 0, "WECHAT"), at(2, 10, "WECHAT")}, nil, nil},
		"three on one channel":        {[]mark{at(1, 0, "WECHAT"), at(2, 10, "WECHAT"), at(3, 20, "WECHAT")}, nil, []told{{0, 20, 3, 1}}},
		"too far apart":               {[]mark{at(1, 0, "WECHAT"), at(2, 241, "ALIPAY")}, nil, nil},
		"heard all the time between":  {[]mark{at(1, 0, "WECHAT"), at(2, 10, "ALIPAY")}, heard(1, 2, 3, 4, 5, 6), nil},
		"heard before and after":      {[]mark{at(1, 0, "WECHAT"), at(2, 10, "ALIPAY")}, heard(-5, -1, 11, 12), []told{{0, 10, 2, 2}}},
		"one payment slipped through": {[]mark{at(1, 0, "WECHAT"), at(2, 5, "ALIPAY"), at(3, 10, "WECHAT"), at(4, 15, "ALIPAY")}, heard(7), []told{{0, 15, 4, 2}}},
	} {
		var got []told
		for _, f := range faultsOf(tt.list, tt.heard) {
			got = append(got, told{int(f.from.Sub(noon).Minutes()), int(f.to.Sub(noon).Minutes()), f.orders, f.channels})
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A batch is late when most of its lines are missing at many merchants; a few stragglers are none, however few the orders.
func TestLateProbability(t *testing.T) {
	t.Parallel()
	for c, late := range map[count]bool{
		{300, 300}: true, {300, 200}: true, {12, 12}: true, {5, 5}: true, {300, 3}: false, {300, 40}: false, {3, 1}: false, {0, 0}: false, {2, 2}: false,
	} {
		if p := lateProbability(c); (p > 0.5) != late || p < 0 || p > 1 {
			t.Errorf("%+v: %.3f", c, p)
		}
	}
}

// A merchant is looked at without its own orders, and without the worst of the others: one frozen giant makes no batch late.
func TestBatchWithout(t *testing.T) {
	t.Parallel()
	b := batch{count: count{100, 42}, of: map[string]count{"giant": {40, 40}, "small": {3, 2}}, worst: [2]string{"giant", "small"}}
	for merchant, want := range map[string]count{"giant": {57, 0}, "small": {57, 0}, "another": {60, 2}} {
		if got := b.without(merchant); got != want {
			t.Errorf("without %s: %+v, want %+v", merchant, got, want)
		}
	}
}

// day is the business date of the runs and files below.
var today = recon.NewDate(2026, 11, 2)

// The longer a merchant's run while its peers settle, the surer is a freeze; a run of a late batch proves nothing, and neither
// does one day's bad luck of two orders.
func TestFindTails(t *testing.T) {
	t.Parallel()
	run := func(n, perDay int) (list []tailOrder) {
		for i := range n {
			o := tailOrder{at: noon.Add(time.Duration(i) * time.Hour), who: "M1",
				batch: &batchKey{"lakala", "WECHAT", today.AddDays(i / perDay), today.AddDays(i/perDay + 1)}}
			o.key[0] = byte(i)
			list = append(list, o)
		}
		return list
	}
	// settledAfter lets an order settle after the first n of a run.
	settledAfter := func(list []tailOrder, n int) []tailOrder {
		for i := range n {
			list[i].later, list[i].laterOfChannel = 1, 1
		}
		return list
	}
	quiet := func(*tailOrder) (float64, int64, bool) { return 0.002, 50, true }
	for name, tt := range map[string]struct {
		list   []tailOrder
		rate   background
		from   float64
		to     float64
		orders int
	}{
		"one":                          {run(1, 5), quiet, 0, 0.3, 1},
		"two of a day":                 {run(2, 5), quiet, 0.1, 0.9, 2},
		"two of two days":              {run(2, 1), quiet, 0.9, 1, 2},
		"five of a day":                {run(5, 5), quiet, 0.97, 1, 5},
		"twelve of three days":         {run(12, 4), quiet, 0.999, 1, 12},
		"a hundred of a late batch":    {run(100, 100), func(*tailOrder) (float64, int64, bool) { return 0.97, 50, true }, 0, 0.01, 100},
		"one of twelve settled later":  {settledAfter(run(12, 4), 6), quiet, 0.99, 1, 12},
		"two, and one settled later":   {settledAfter(run(2, 1), 2), quiet, 0, 0.4, 2},
		"no peers, or no file":         {run(9, 9), func(*tailOrder) (float64, int64, bool) { return 0, 0, false }, 0, 0.01, 9},
		"where one in five is missing": {run(3, 3), func(*tailOrder) (float64, int64, bool) { return 0.2, 50, true }, 0, 0.2, 3},
	} {
		got := findTails(tt.list, tt.rate)
		one, _, ok := got.of("lakala", "M1", "WECHAT", noon.Add(time.Hour*200))
		if !ok {
			if tt.orders > 0 {
				t.Errorf("%s: no run", name)
			}
			continue
		}
		if p := one.probability(); p < tt.from || p > tt.to || tt.from > 0 && one.orders != tt.orders || math.IsInf(one.odds, 0) {
			t.Errorf("%s: %d orders, %.4f, want %d and %.2f to %.2f", name, one.orders, p, tt.orders, tt.from, tt.to)
		}
	}
}

// A short file is missing everything behind a moment; what late batches explain as well is no short file.
func TestCutOf(t *testing.T) {
	t.Parallel()
	order := func(n int, channel string, days, minutes int) missingOrder {
		m := missingOrder{at: noon.AddDate(0, 0, days).Add(time.Duration(minutes) * time.Minute), merchant: fmt.Sprint("M", n%5),
			batch: &batchKey{"lakala", channel, today.AddDays(days), today.AddDays(3)}}
		binary.BigEndian.PutUint32(m.key[:], uint32(n))
		return m
	}
	// files sells an order of each channel every ten minutes of some days, and leaves out those that gone says.
	files := func(days int, gone func(m missingOrder) bool) (missing []missingOrder, settled sold) {
		settled = sold{}
		n := 0
		for d := range days {
			for minute := 0; minute < 600; minute += 10 {
				for _, channel := range []string{"WECHAT", "ALIPAY"} {
					m := order(n, channel, d, minute)
					n++
					if gone(m) {
						missing = append(missing, m)
					} else {
						b := batchKey{acquirer: m.batch.acquirer, channel: channel, business: m.batch.business}
						settled[b] = append(settled[b], int32(m.at.Unix()-since2000))
					}
				}
			}
		}
		return missing, settled
	}
	evening := clockOf(noon.Add(8*time.Hour), time.UTC)
	for name, tt := range map[string]struct {
		days  int
		gone  func(m missingOrder) bool
		prior float64
		short bool
	}{
		"the evening of one day":        {1, func(m missingOrder) bool { return clockOf(m.at, time.UTC) >= evening }, shortPrior, true},
		"the evenings of three days":    {3, func(m missingOrder) bool { return clockOf(m.at, time.UTC) >= evening }, shortPrior, true},
		"cut off in the last evening":   {3, func(m missingOrder) bool { return !m.at.Before(noon.AddDate(0, 0, 2).Add(5 * time.Hour)) }, shortPrior, true},
		"one channel is late":           {1, func(m missingOrder) bool { return m.batch.channel == "ALIPAY" }, shortPrior, false},
		"a day of three is late":        {3, func(m missingOrder) bool { return m.batch.business.Equal(today.AddDays(2)) }, shortPrior, false},
		"all of it, as of a late batch": {1, func(missingOrder) bool { return true }, shortPrior, false},
		"all of it, where a file lacks": {1, func(missingOrder) bool { return true }, fewerPrior, true},
		"a channel late, evenings gone": {2, func(m missingOrder) bool { return m.batch.channel == "ALIPAY" || clockOf(m.at, time.UTC) >= evening }, shortPrior, true},
		"stragglers all over the day":   {1, func(m missingOrder) bool { return m.key[3]%17 == 0 }, shortPrior, false},
	} {
		missing, settled := files(tt.days, tt.gone)
		f := cutOf(missing, settled, tt.prior, time.UTC)
		if (f != nil && f.probability > 0.5) != tt.short {
			t.Errorf("%s: %+v", name, f)
		}
		if f != nil && tt.short {
			for _, m := range missing {
				if m.batch.channel == "WECHAT" && !f.leavesOut(m.at, time.UTC) {
					t.Errorf("%s: %s is missing, and not behind the cut", name, m.at)
				}
			}
		}
	}
}

// The law of lateness is the prior until there is history, follows it then, and never says that a line cannot come any more.
func TestLateness(t *testing.T) {
	t.Parallel()
	var none, exact, upTo [maxLate + 1]float64
	prior := lawOf(none, none, 0, 0, 0.0015)
	if prior.surviving(0) != 1 || math.Abs(prior.surviving(1)-0.45) > 0.01 || prior.surviving(3) > 0.1 || prior.surviving(99) <= 0 || math.Abs(prior.rate-0.0015) > 1e-9 {
		t.Errorf("prior %+v", prior)
	}
	// An acquirer whose late lines come five files late, four thousand of a million orders.
	for d := 5; d <= maxLate; d++ {
		upTo[d] = 4000
	}
	exact[5] = 4000
	slow := lawOf(exact, upTo, 4000, 1_000_000, 0.0015)
	if slow.surviving(3) < 0.9 || slow.surviving(5) > 0.1 || math.Abs(slow.rate-0.004) > 0.0002 {
		t.Errorf("slow %+v", slow)
	}
	rapid.Check(t, func(t *rapid.T) {
		var exact, upTo [maxLate + 1]float64
		sum := 0.0
		for d := 1; d <= maxLate; d++ {
			exact[d] = float64(rapid.IntRange(0, 500).Draw(t, "exact"))
			sum += exact[d]
			upTo[d] = sum
		}
		l := lawOf(exact, upTo, sum, sum*100, 0.0015)
		for d := range maxLate + 1 {
			if l.surviving(d+1) > l.surviving(d)+1e-9 || l.surviving(d) <= 0 || l.surviving(d) > 1 {
				t.Fatalf("after %d files %v are still to come, after %d %v", d, l.surviving(d), d+1, l.surviving(d+1))
			}
		}
	})
}

// An incident keeps its name as evidence grows; another one later, or elsewhere, is another one.
func TestIncidentContinues(t *testing.T) {
	t.Parallel()
	at := func(kind string, hours int) *incident {
		n := newIncident(kind, incident{acquirer: "lakala", merchant: "M1"})
		n.begin(noon.Add(time.Duration(hours)*time.Hour), [16]byte{byte(hours + 100)})
		return n
	}
	first := at(kindFrozen, 0)
	id := incidentID(first.kind, first.scope, first.first)
	earlier := func() []*known {
		return []*known{{id: id, kind: kindFrozen, scope: first.scope, from: noon, to: noon.Add(48 * time.Hour), peak: 9}}
	}
	for name, tt := range map[string]struct {
		n    *incident
		same bool
	}{
		"the same first order":             {at(kindFrozen, 0), true},
		"an earlier one came late":         {at(kindFrozen, -5), true},
		"the first ones settled after all": {at(kindFrozen, 30), true},
		"a week later":                     {at(kindFrozen, 48+7*24), false},
		"of another kind":                  {at(kindPayoutLate, 0), false},
		"an outage hours later":            {at(kindOutage, 51), false},
	} {
		e := explainer{earlier: earlier(), named: map[string]bool{}}
		got := e.idOf(tt.n, &subject{})
		if (got == id) != tt.same {
			t.Errorf("%s: %s, the earlier is %s", name, got, id)
		}
		if tt.same && tt.n.peak != 9 {
			t.Errorf("%s: its most orders are forgotten", name)
		}
	}
	// Two that would have one name have two.
	e := explainer{earlier: earlier(), named: map[string]bool{}}
	if a, b := e.idOf(at(kindFrozen, 0), &subject{}), e.idOf(at(kindFrozen, 0), &subject{}); a == b {
		t.Errorf("two incidents have the id %s", a)
	}
	if id[:2] != "F-" || len(id) != 14 {
		t.Errorf("id %s", id)
	}
}

// The settlement file that should hold an order is of its due date, or, where it settles on the date itself and is due
// the next morning, of the day before.
func TestExpectedSettleDate(t *testing.T) {
	t.Parallel()
	due := time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC)
	s := subject{DueDate: &due}
	for cycle, want := range map[recon.Cycle]string{
		recon.TPlus(1): "2026-11-04", recon.DPlus(1): "2026-11-04", recon.TPlus(3): "2026-11-04", recon.TPlus(0): "2026-11-03", recon.DPlus(0): "2026-11-03",
	} {
		if got := s.expectedSettleDate(cycle); got.String() != want {
			t.Errorf("%s: %s, want %s", cycle, got, want)
		}
	}
	if got := (&subject{}).expectedSettleDate(recon.TPlus(1)); !got.IsZero() {
		t.Errorf("without a due date: %s", got)
	}
}
