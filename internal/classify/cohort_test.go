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

// failure is a mark at a minute; its key is its number.
func failure(n, minute int, merchant string) mark {
	m := mark{at: noon.Add(time.Duration(minute) * time.Minute), series: series, merchant: merchant}
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

// found is a window as a test writes it: minutes, failures of how many payments, merchants.
type found struct{ From, To, Bad, Total, Merchants int }

func scan(list []mark, good map[int]int64) []found {
	var windows []found
	for _, w := range scanSeries(list, totals(list, good)) {
		windows = append(windows, found{int(w.from.Sub(noon).Minutes()), int(w.to.Sub(noon).Minutes()), int(w.bad), int(w.total), w.merchants})
	}
	return windows
}

func TestScanSeries(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		list []mark
		good map[int]int64
		want []found
	}{
		"nothing": {nil, steady(9, 0, 60), nil},
		"four failures in a row, of three merchants": {failures(3, 0, 1, 2, 3), nil, []found{{0, 3, 4, 4, 3}}},
		"all in one minute":                          {failures(3, 5, 5, 5, 5), nil, []found{{5, 5, 4, 4, 3}}},
		"three failures prove nothing":               {failures(3, 0, 1, 2), nil, nil},
		"four failures of two merchants are theirs":  {failures(2, 0, 1, 2, 3), nil, nil},
		"many failures of one merchant are its own":  {failures(1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9), nil, nil},
		"four failures among many that went well":    {failures(4, 0, 10, 20, 30), steady(2, 0, 30), nil},
		"two in five fail: an outage": {failures(5, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7), steady(3, 0, 7),
			[]found{{0, 7, 16, 40, 5}}},
		"one in fifty fails: an evening like any other": {failures(5, 0, 10, 20, 30, 40, 50), steady(5, 0, 50), nil},
		"what went well before and after is not in it": {failures(3, 30, 31, 32, 33, 34), map[int]int64{0: 50, 29: 50, 35: 50, 60: 50},
			[]found{{30, 34, 5, 5, 3}}},
		"45 minutes apart belong together": {failures(4, 0, 1, 46, 47), nil, []found{{0, 47, 4, 4, 4}}},
		"46 minutes apart do not":          {failures(4, 0, 1, 47, 48), nil, nil},
		"two outages an hour apart": {failures(4, 0, 1, 2, 3, 63, 64, 65, 66), nil,
			[]found{{0, 3, 4, 4, 4}, {63, 66, 4, 4, 4}}},
		"two outages with an hour's trade between them, and stray failures that join the group": {
			failures(4, 0, 1, 2, 3, 30, 60, 61, 62, 63), steady(3, 4, 59), []found{{0, 3, 4, 4, 4}, {60, 63, 4, 4, 4}}},
		"a stronger one after a weaker one": {failures(4, 0, 1, 2, 3, 30, 31, 32, 33, 34, 35), steady(5, 4, 29),
			[]found{{0, 3, 4, 4, 4}, {30, 35, 6, 6, 4}}},
		"a stray failure far from it is not in it": {failures(4, 0, 40, 41, 42, 43), steady(2, 1, 39), []found{{40, 43, 4, 4, 4}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, scan(tt.list, tt.good)); diff != "" {
				t.Errorf("outages (-want +got):\n%s", diff)
			}
		})
	}
}

// The rate elsewhere is that of the series without the outage, and the first order names the incident.
func TestScanSeriesOutside(t *testing.T) {
	t.Parallel()
	list := append(failures(4, 0, 1, 2, 3), failure(100, 300, "M9"), failure(101, 400, "M9"))
	windows := scanSeries(list, totals(list, steady(1, 200, 297))) // 98 that went well, and two that did not
	if len(windows) != 1 {
		t.Fatalf("%d outages, want one", len(windows))
	}
	if w := windows[0]; w.outside != 0.02 || w.first != list[0].key {
		t.Errorf("outside it %v fail, want 0.02; its first order is %v, want %v", w.outside, w.first, list[0].key)
	}
	alone := scanSeries(failures(4, 0, 1, 2, 3), totals(failures(4, 0, 1, 2, 3), nil))
	if len(alone) != 1 || alone[0].outside != 0 {
		t.Errorf("where there is nothing outside: %+v", alone)
	}
}

// Whatever the marks: outages are in order and apart, each has its floor of failures and merchants, tells the failures
// within it and no others, and never more failures than payments.
func TestScanSeriesLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var list []mark
		for n, minute := range rapid.SliceOfN(rapid.IntRange(0, 200), 0, 60).Draw(t, "minutes") {
			list = append(list, failure(n, minute, fmt.Sprintf("M%d", rapid.IntRange(0, 6).Draw(t, "merchant"))))
		}
		slices.SortStableFunc(list, func(a, b mark) int { return a.at.Compare(b.at) })
		good := map[int]int64{}
		for range rapid.IntRange(0, 100).Draw(t, "good minutes") {
			good[rapid.IntRange(-10, 210).Draw(t, "minute")] += int64(rapid.IntRange(1, 5).Draw(t, "good"))
		}
		all := totals(list, good)
		if rapid.Bool().Draw(t, "totals lag behind") {
			all = map[int64]int64{} // a mark that the totals do not have yet
		}
		windows := scanSeries(list, all)
		for i, w := range windows {
			if i > 0 && !windows[i-1].to.Before(w.from) {
				t.Errorf("outages %d and %d overlap or are out of order", i-1, i)
			}
			if w.bad < outageMinBad || w.merchants < outageMerchants || w.bad > w.total || w.score < outageScore {
				t.Errorf("outage %d: %+v", i, w)
			}
			if w.outside < 0 || w.outside > 1 || math.IsNaN(w.outside) {
				t.Errorf("outage %d: outside it %v fail", i, w.outside)
			}
			var bad int64
			merchants := map[string]bool{}
			for _, m := range list {
				if !m.at.Before(w.from) && !m.at.After(w.to) {
					bad++
					merchants[m.merchant] = true
				}
			}
			if bad != w.bad || len(merchants) != w.merchants {
				t.Errorf("outage %d tells %d failures of %d merchants, there are %d of %d", i, w.bad, w.merchants, bad, len(merchants))
			}
		}
	})
}

// An order is part of an outage by its minute.
func TestOutageOf(t *testing.T) {
	t.Parallel()
	c := cohorts{outages: map[seriesKey][]window{series: {{from: noon.Add(30 * time.Second), to: noon.Add(3 * time.Minute)}}}}
	for at, want := range map[time.Duration]bool{
		-time.Second: false, 0: true, 30 * time.Second: true, 3*time.Minute + 59*time.Second: true, 4 * time.Minute: false,
	} {
		if _, got := c.outage(series, noon.Add(at)); got != want {
			t.Errorf("at %s: %v, want %v", at, got, want)
		}
	}
	if _, got := c.outage(seriesKey{"lakala", "ALIPAY"}, noon); got {
		t.Error("an order of another channel is part of it")
	}
}

func TestFindTerminals(t *testing.T) {
	t.Parallel()
	at := func(n, minute int, channel, terminal string, unheard bool) mark {
		m := failure(n, minute, "M1")
		m.series.channel, m.terminal, m.unheard = channel, terminal, unheard
		return m
	}
	var c cohorts
	c.findTerminals([]mark{
		// T1 has two faults, four hours apart; they come in any order.
		at(3, 240, "WECHAT", "T1", true), at(1, 0, "WECHAT", "T1", true), at(2, 10, "ALIPAY", "T1", true), at(4, 245, "WECHAT", "T1", true),
		at(5, 0, "WECHAT", "T2", true),                                   // one is no fault
		at(6, 0, "WECHAT", "T3", true), at(7, 181, "WECHAT", "T3", true), // too far apart
		at(8, 0, "WECHAT", "T4", false), at(9, 1, "WECHAT", "T4", false), // these reached their channel
		at(10, 0, "WECHAT", "", true), at(11, 1, "WECHAT", "", true), // of no terminal
		at(12, 0, "WECHAT", "T5", true), at(13, 180, "WECHAT", "T5", true), // just near enough
	})
	type told struct{ From, To, Orders, Channels int }
	got := map[string][]told{}
	for k, list := range c.terminals {
		for _, f := range list {
			got[k.terminal] = append(got[k.terminal], told{int(f.from.Sub(noon).Minutes()), int(f.to.Sub(noon).Minutes()), f.orders, f.channels})
		}
	}
	want := map[string][]told{"T1": {{0, 10, 2, 2}, {240, 245, 2, 1}}, "T5": {{0, 180, 2, 1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	for minute, part := range map[int]bool{-1: false, 0: true, 5: true, 10: true, 11: false, 240: true} {
		if _, ok := c.terminalFault(terminalKey{"lakala", "T1"}, noon.Add(time.Duration(minute)*time.Minute)); ok != part {
			t.Errorf("minute %d: part of a fault %v, want %v", minute, ok, part)
		}
	}
}

// What may be part of an outage, and what has an answer of its own.
func TestSuspicious(t *testing.T) {
	t.Parallel()
	at := noon
	sale := subject{Outcome: "unsettled", Type: "SALE", TxnTime: &at, POSStatus: "UNKNOWN"}
	for name, tt := range map[string]struct {
		change func(s *subject)
		want   bool
	}{
		"unknown":                        {func(*subject) {}, true},
		"pending":                        {func(s *subject) { s.POSStatus = "PENDING" }, true},
		"waiting for the payer":          {func(s *subject) { s.POSStatus, s.ResponseCode = "PENDING", "USERPAYING" }, false},
		"unknown, but the payer's fault": {func(s *subject) { s.ResponseCode = "51" }, false},
		"unknown, the merchant blocked":  {func(s *subject) { s.ResponseCode = "ACQ.SELLER_BEEN_BLOCKED" }, false},
		"left under way by the acquirer": {func(s *subject) { s.POSStatus, s.ResponseCode = "PENDING", "DEAL" }, true}, // repeats the status
		"failed by the system":           {func(s *subject) { s.POSStatus, s.ResponseCode = "FAILED", "96" }, true},
		"failed on the network":          {func(s *subject) { s.POSStatus, s.ResponseCode = "FAILED", "NETERR" }, true},
		"failed by the payer":            {func(s *subject) { s.POSStatus, s.ResponseCode = "FAILED", "51" }, false},
		"failed without a code":          {func(s *subject) { s.POSStatus = "FAILED" }, false},
		"closed":                         {func(s *subject) { s.POSStatus = "CLOSED" }, false},
		"reversed":                       {func(s *subject) { s.POSStatus = "REVERSED" }, false},
		"success without a callback":     {func(s *subject) { s.POSStatus, s.Callbacks = "SUCCESS", true }, true},
		"success with one":               {func(s *subject) { s.POSStatus, s.Callbacks, s.HasCallback = "SUCCESS", true, true }, false},
		"there is a line":                {func(s *subject) { s.SettleStatus = "HELD" }, false},
		"settled after a system error":   {func(s *subject) { s.Outcome, s.SettleStatus, s.ResponseCode = "status_mismatch", "SETTLED", "96" }, true},
		"settled after another failure":  {func(s *subject) { s.Outcome, s.SettleStatus, s.ResponseCode = "status_mismatch", "SETTLED", "51" }, false},
		"a refund":                       {func(s *subject) { s.Type = "REFUND" }, false},
		"without a time":                 {func(s *subject) { s.TxnTime = nil }, false},
	} {
		s := sale
		tt.change(&s)
		if got := suspicious(&s); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A batch's rate without the merchant in question; nothing is learnt from a batch without peers or without a file.
func TestMissingAmongPeers(t *testing.T) {
	t.Parallel()
	day := recon.NewDate(2026, 11, 2)
	b := batchKey{"lakala", "WECHAT", day, day.AddDays(1)}
	file := map[fileKey]settlementFile{{"lakala", day.AddDays(1)}: {rows: 9}}
	for name, tt := range map[string]struct {
		files   map[fileKey]settlementFile
		batch   batch
		n       int64
		want    float64
		settled int64
	}{
		"all peers settled":          {file, batch{due: 1009, missing: 9, merchants: 1}, 9, peerRateFloor, 1000},
		"half of the peers are late": {file, batch{due: 104, missing: 54, merchants: 9}, 4, 50.5 / 101, 50},
		"a few peers, all settled":   {file, batch{due: 12, missing: 2, merchants: 1}, 2, 0.5 / 11, 10},
		"no peers":                   {file, batch{due: 3, missing: 3, merchants: 1}, 3, 1, 0},
		"the file has not come":      {nil, batch{due: 104, missing: 4, merchants: 1}, 4, 1, 0},
		"the file is empty":          {map[fileKey]settlementFile{{"lakala", day.AddDays(1)}: {}}, batch{due: 104, missing: 4}, 4, 1, 0},
	} {
		c := cohorts{files: tt.files, batches: map[batchKey]batch{b: tt.batch}}
		var settled int64
		if got := c.missingAmongPeers(b, tt.n, &settled); math.Abs(got-tt.want) > 1e-12 || settled != tt.settled {
			t.Errorf("%s: rate %v with %d peers' orders settled, want %v and %d", name, got, settled, tt.want, tt.settled)
		}
	}
	if rate := (batch{}).rate(); rate != 0 {
		t.Errorf("the rate of an empty batch is %v", rate)
	}
}

// Incidents have ids that say their kind and derive from nothing but kind, scope and first order.
func TestIncidentID(t *testing.T) {
	t.Parallel()
	first, second := failure(1, 0, "M1").key, failure(2, 0, "M1").key
	id := incidentID("outage", "acquirer=lakala channel=WECHAT", first)
	if id[:2] != "O-" || len(id) != 14 || id != incidentID("outage", "acquirer=lakala channel=WECHAT", first) {
		t.Errorf("id %s", id)
	}
	for _, other := range []string{
		incidentID("outage", "acquirer=lakala channel=WECHAT", second), incidentID("outage", "acquirer=lakala channel=ALIPAY", first),
		incidentID("other", "acquirer=lakala channel=WECHAT", first),
	} {
		if other == id {
			t.Errorf("another incident has the id %s as well", id)
		}
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

// The certainty that a row states is that of the confidence that it states.
func TestStatedCertainty(t *testing.T) {
	t.Parallel()
	at, due := noon, time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	day := recon.NewDate(2026, 11, 2)
	for odds := 1.0; odds < 40; odds += 0.01 {
		e := explainer{
			rules: Rules{AsOf: noon.AddDate(0, 0, 2), Zone: time.UTC, Acquirers: recon.Acquirers{}},
			cohorts: &cohorts{
				files:   map[fileKey]settlementFile{{"lakala", day.AddDays(1)}: {rows: 9, complete: true}},
				batches: map[batchKey]batch{},
				tails:   map[merchantKey]tail{{"lakala", "M1", ""}: {since: at, until: at, orders: 3, odds: odds}},
			},
			incidents: map[string]*incident{}, members: map[string]int64{},
		}
		values, err := e.values(&subject{
			Outcome: "unsettled", Type: "SALE", Acquirer: "lakala", MerchantID: "M1", Channel: "WECHAT", POSStatus: "SUCCESS",
			BusinessDate: day.UTC(), DueDate: &due, TxnTime: &at, HasOrder: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		confidence, certainty := fmt.Sprint(values[4]), fmt.Sprint(values[5])
		var stated float64
		if _, err := fmt.Sscan(confidence, &stated); err != nil {
			t.Fatalf("confidence %q: %v", confidence, err)
		}
		if want := Certainty(stated); certainty != want {
			t.Fatalf("at odds %.2f it states %s and %s, which is %s", odds, confidence, certainty, want)
		}
	}
}
