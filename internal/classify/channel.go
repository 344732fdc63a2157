package classify

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// mark is an order that an outage would explain better than a quiet day does; a few dozen bytes, so that a million open orders
// fit.
type mark struct {
	key      [16]byte
	at       time.Time
	series   seriesKey
	merchant string
	terminal string
	out      float64 // how probable what its rows say is in an outage
	quiet    float64 // and on a quiet day, by rates and evidence together
	unheard  float64 // and where its terminal had no network; 0 where it was heard
}

// window is an outage: a stretch of time in which far more payments of a scope come to nothing than before and after.
type window struct {
	scope       seriesKey // without an acquirer: of all; without a channel: all of the acquirer's
	from, to    time.Time // of its first and last failing order
	bad, total  int64
	inside      float64 // the share of payments that failed
	outside     float64 // the share elsewhere in the scope
	merchants   int
	first       [16]byte
	score       float64 // nats, after what bunching takes off
	probability float64
}

// Weights of the outage scan. In an outage a share of the payments fails; which one is not known, so that several are tried:
// a weak outage and a strong one. A failure weighs up by how much better the outage explains what its rows say, a payment
// that went well weighs down.
const (
	outageMarks     = 4                // failures that can be an outage
	outageMerchants = 3                // of so many merchants: less is theirs
	outageGap       = 45 * time.Minute // between two failures of one outage
	outagePrior     = -13.0            // log-odds of an outage in a stretch that was looked for
	outageFloor     = 0.10             // share of failing payments below which nobody would speak of an outage
	outageExcess    = 4.0              // and how many times the share outside
	quietFloor      = 0.002            // no failure is rarer than this on a quiet day
	suspected       = 0.01             // from which probability on a window says something of its orders
	outageStated    = 0.5              // and from which on it is an incident
	outageLeast     = 2.0              // from which ratio on an order is a mark
)

var outageShares = []float64{0.15, 0.3, 0.6, 0.9}

// isMark reports whether a strong outage would explain an order at least twice as well as a quiet day.
func (m *mark) isMark() bool { return m.ratio(0.6, quietFloor) >= outageLeast }

// ratio is how much better an outage of a share explains a mark than a quiet day whose failures are at least so frequent.
func (m *mark) ratio(share, floor float64) float64 {
	return 1 - share + share*m.out/max(m.quiet, floor)
}

// findOutages scans every scope of marks, minute by minute: each acquirer's channels, the channels across acquirers, and the
// acquirers across channels. Of windows that explain the same failures the strongest stays.
func findOutages(ctx context.Context, tx pgx.Tx, marks []mark) ([]window, error) {
	scopes := map[seriesKey][]mark{}
	for _, m := range marks {
		for _, scope := range []seriesKey{m.series, {"", m.series.channel}, {m.series.acquirer, ""}} {
			scopes[scope] = append(scopes[scope], m)
		}
	}
	candidates := map[seriesKey]bool{}
	days := map[recon.Date]bool{}
	for scope, list := range scopes {
		slices.SortFunc(list, compareMarks)
		for _, g := range groupsOf(list) {
			merchants := map[string]bool{}
			for _, m := range g {
				merchants[m.merchant] = true
			}
			if len(g) < outageMarks || len(merchants) < outageMerchants {
				continue
			}
			candidates[scope] = true
			for _, m := range g {
				// A business date begins the evening before, and lies a day beside that of UTC in some zones.
				for _, shift := range []time.Duration{-24 * time.Hour, 0, 24 * time.Hour} {
					days[recon.DateOf(m.at.Add(shift), time.UTC)] = true
				}
			}
		}
	}
	if len(candidates) == 0 {
		return nil, nil
	}
	totals, err := minuteTotals(ctx, tx, days)
	if err != nil {
		return nil, err
	}
	var found []window
	for scope := range candidates {
		found = append(found, scanScope(scope, scopes[scope], totals.of(scope))...)
	}
	slices.SortFunc(found, func(a, b window) int {
		return cmp.Or(cmp.Compare(b.score*b.scope.narrow(), a.score*a.scope.narrow()), cmp.Compare(b.scope.narrow(), a.scope.narrow()), cmp.Compare(a.scope.acquirer, b.scope.acquirer), cmp.Compare(a.scope.channel, b.scope.channel), a.from.Compare(b.from))
	})
	// The strongest first; what it explains is taken from the others.
	var kept []window
	for _, w := range found {
		overlaps := slices.ContainsFunc(kept, func(k window) bool {
			return !w.to.Before(k.from) && !k.to.Before(w.from) && w.scope.meets(k.scope)
		})
		if !overlaps {
			kept = append(kept, w)
		}
	}
	return kept, nil
}

// narrow makes a narrow scope win over a wide one that explains little more: the smallest scope that explains the failures is
// the one that failed (practice §4.4, Adtributor).
func (s seriesKey) narrow() float64 {
	if s.acquirer == "" || s.channel == "" {
		return 0.75
	}
	return 1
}

// meets reports whether two scopes have orders in common.
func (s seriesKey) meets(o seriesKey) bool {
	return (s.acquirer == o.acquirer || s.acquirer == "" || o.acquirer == "") && (s.channel == o.channel || s.channel == "" || o.channel == "")
}

func compareMarks(a, b mark) int {
	return cmp.Or(a.at.Compare(b.at), slices.Compare(a.key[:], b.key[:]))
}

// groupsOf cuts sorted marks where nothing failed for long.
func groupsOf(list []mark) [][]mark {
	var groups [][]mark
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].at.Sub(list[end-1].at) <= outageGap {
			end++
		}
		groups = append(groups, list[start:end])
		start = end
	}
	return groups
}

// minutes counts the payments of every acquirer's channels per minute.
type minutes map[seriesKey]map[int64]int64

// minuteTotals counts payments on the business dates. Orders that are pending count as gone well: nothing is known against
// them.
func minuteTotals(ctx context.Context, tx pgx.Tx, days map[recon.Date]bool) (minutes, error) {
	var list []time.Time
	for d := range days {
		list = append(list, d.UTC())
	}
	totals := minutes{}
	var (
		k        seriesKey
		business time.Time
		orders   int64
		sold     []int32
	)
	add := func(minute, n int64) {
		if totals[k] == nil {
			totals[k] = map[int64]int64{}
		}
		totals[k][minute] += n
	}
	rows, err := tx.Query(ctx, `
		SELECT acquirer, channel, business_date, sign, sold
		  FROM plain_match
		 WHERE business_date = ANY ($1)
		   AND type = 'SALE'`, list)
	if err != nil {
		return nil, err
	}
	// Of every order ever sold on a day with failures, so that nothing may be looked up for each of them: a day's minutes lie side
	// by side first. A business date lies within a day of its own in UTC, whatever the zone.
	const before, within = 24 * 60, 3 * 24 * 60
	type seriesDay struct {
		series seriesKey
		begin  int64 // in minutes
	}
	byDay := map[seriesDay]*[within]int64{}
	if _, err := pgx.ForEachRow(rows, []any{&k.acquirer, &k.channel, &business, &orders, &sold}, func() error {
		d := seriesDay{k, business.Unix() / 60}
		counts := byDay[d]
		if counts == nil {
			counts = new([within]int64)
			byDay[d] = counts
		}
		for _, s := range sold {
			if at := floorMinute(int64(s)) + before; at >= 0 && at < within {
				counts[at] += orders
			} else {
				add(d.begin+at-before, orders)
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for d, counts := range byDay {
		k = d.series
		for at, n := range counts {
			if n != 0 {
				add(d.begin+int64(at)-before, n)
			}
		}
	}
	var minute int64
	rows, err = tx.Query(ctx, `
		SELECT acquirer, channel, floor(date_part('epoch', txn_time) / 60)::bigint AS minute, count(*)
		  FROM verdict
		 WHERE business_date = ANY ($1)
		   AND has_order
		   AND type = 'SALE'
		 GROUP BY acquirer, channel, minute`, list)
	if err != nil {
		return nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&k.acquirer, &k.channel, &minute, &orders}, func() error {
		add(minute, orders)
		return nil
	})
	return totals, err
}

// floorMinute returns the minute that a second is in, both counted from 1970.
func floorMinute(second int64) int64 {
	if second < 0 {
		return (second - 59) / 60
	}
	return second / 60
}

// of adds up what a scope covers.
func (t minutes) of(scope seriesKey) map[int64]int64 {
	if scope.acquirer != "" && scope.channel != "" {
		return t[scope]
	}
	sum := map[int64]int64{}
	for k, counts := range t {
		if k.meets(scope) {
			for minute, n := range counts {
				sum[minute] += n
			}
		}
	}
	return sum
}

// scanScope extracts the outages of a scope, the strongest stretch of each group of failures that are close in time.
func scanScope(scope seriesKey, list []mark, totals map[int64]int64) []window {
	known := list[:0:0]
	for _, m := range list { // of days whose payments were counted
		if totals[m.at.Unix()/60] > 0 {
			known = append(known, m)
		}
	}
	var total int64
	for _, n := range totals {
		total += n
	}
	// First with the floor that always holds; then with what the scope's failures outside the windows come to.
	floor := quietFloor
	var windows []window
	for range 2 {
		windows = nil
		for _, group := range groupsOf(known) {
			windows = append(windows, searchGroup(scope, group, totals, floor)...)
		}
		bad, in := int64(len(known)), int64(0)
		for _, w := range windows {
			bad -= w.bad
			in += w.total
		}
		floor = max(quietFloor, 0.3*float64(bad)/float64(max(total-in, 1)))
	}
	together := bunching(known, totals, windows)
	var found []window
	for _, w := range windows {
		var bad int64
		for _, m := range known {
			if m.at.Before(w.from) || m.at.After(w.to) {
				bad++
			}
		}
		w.outside = float64(bad) / float64(max(total-w.total, 1))
		w.inside = float64(w.bad) / float64(w.total)
		w.score /= 1 + float64(w.total-1)*together
		w.probability = logistic(w.score + outagePrior)
		if w.inside >= max(outageFloor, outageExcess*w.outside) && w.probability > suspected {
			found = append(found, w)
		}
	}
	return found
}

// bunching is the correlation of failures within a half hour: they come in bunches on quiet days, too (practice §4.4). Of n
// payments together it makes the number of failures vary 1 + (n-1)ρ times as much as chance alone does, and what a window
// scores is worth that much less. Windows are left out of what it is measured on.
func bunching(list []mark, totals map[int64]int64, windows []window) float64 {
	const half = 30
	type bin struct{ bad, all float64 }
	bins := map[int64]*bin{}
	inWindow := func(minute int64) bool {
		return slices.ContainsFunc(windows, func(w window) bool { return minute >= w.from.Unix()/60 && minute <= w.to.Unix()/60 })
	}
	at := func(minute int64) *bin {
		b := bins[minute/half]
		if b == nil {
			b = &bin{}
			bins[minute/half] = b
		}
		return b
	}
	var bad, all float64
	for minute, n := range totals {
		if !inWindow(minute) {
			at(minute).all += float64(n)
			all += float64(n)
		}
	}
	for _, m := range list {
		if minute := m.at.Unix() / 60; !inWindow(minute) {
			at(minute).bad++
			bad++
		}
	}
	if bad == 0 || all == 0 {
		return usualBunching
	}
	rate := min(bad/all, 0.5)
	sum, n := 0.0, 0.0
	for _, half := range slices.Sorted(maps.Keys(bins)) { // in order, for sums of floats depend on it
		b := bins[half]
		if expected := b.all * rate; expected > 0 {
			d := b.bad - expected
			sum += d * d / (expected * (1 - rate))
			n++
		}
	}
	measured := usualBunching
	if mean := all / max(n, 1); mean > 2 && n > 1 {
		measured = (sum/n - 1) / (mean - 1)
	}
	return max(0, (usualBunching*usualBins+measured*n)/(usualBins+n))
}

// What is believed of a series before much is seen of it: practice's figure, as sure as so many half hours make it.
const (
	usualBunching = 0.025
	usualBins     = 100.0
)

// searchGroup finds the stretches of a group of failures that an outage explains best; then what is left on both sides of
// one is searched again.
func searchGroup(scope seriesKey, group []mark, totals map[int64]int64, floor float64) []window {
	if len(group) < outageMarks {
		return nil
	}
	var best *window
	for _, share := range outageShares {
		if w := bestStretch(group, totals, share, floor); w != nil && (best == nil || w.score > best.score) {
			best = w
		}
	}
	if best == nil {
		return nil
	}
	best.scope = scope
	var before, after []mark
	for _, m := range group {
		switch {
		case m.at.Before(best.from):
			before = append(before, m)
		case m.at.After(best.to):
			after = append(after, m)
		}
	}
	found := searchGroup(scope, before, totals, floor)
	if best.bad >= outageMarks && best.merchants >= outageMerchants {
		found = append(found, *best)
	}
	return append(found, searchGroup(scope, after, totals, floor)...)
}

// bestStretch is the stretch of minutes that scores highest for an outage of a share (Kadane over minutes). What one
// merchant alone adds is not counted twice: the merchant with most failures weighs no more than all others together.
func bestStretch(group []mark, totals map[int64]int64, share, floor float64) *window {
	type minute struct {
		up  float64
		bad int64
	}
	failed := map[int64]*minute{}
	for i := range group {
		m := &group[i]
		at := failed[m.at.Unix()/60]
		if at == nil {
			at = &minute{}
			failed[m.at.Unix()/60] = at
		}
		at.up += math.Log(m.ratio(share, floor))
		at.bad++
	}
	first, last := group[0].at.Unix()/60, group[len(group)-1].at.Unix()/60
	well := math.Log(1 - share)
	var score, sum float64
	var from, to, start int64 = -1, -1, first
	for t := first; t <= last; t++ {
		bad := int64(0)
		if f := failed[t]; f != nil {
			sum += f.up
			bad = f.bad
		}
		sum += float64(max(totals[t]-bad, 0)) * well
		if sum > score {
			score, from, to = sum, start, t
		}
		if sum <= 0 {
			sum, start = 0, t+1
		}
	}
	if from < 0 {
		return nil
	}
	w := &window{score: score}
	merchants := map[string]float64{}
	all := 0.0
	for i := range group {
		m := &group[i]
		if t := m.at.Unix() / 60; t < from || t > to {
			continue
		}
		if w.bad == 0 {
			w.from, w.first = m.at, m.key
		}
		w.to = m.at
		w.bad++
		up := math.Log(m.ratio(share, floor))
		merchants[m.merchant] += up
		all += up
	}
	for t := from; t <= to; t++ {
		bad := int64(0)
		if f := failed[t]; f != nil {
			bad = f.bad
		}
		w.total += max(totals[t], bad)
	}
	w.merchants = len(merchants)
	most := 0.0
	for _, up := range merchants {
		most = max(most, up)
	}
	w.score -= max(0, most-(all-most))
	if w.score <= 0 || w.bad == 0 {
		return nil
	}
	return w
}

// outageAt returns the outage that an order of a series at an instant is part of.
func outageAt(windows []window, series seriesKey, at time.Time) (*window, bool) {
	for i := range windows {
		w := &windows[i]
		if w.scope.meets(series) && !at.Before(w.from.Truncate(time.Minute)) && at.Before(w.to.Truncate(time.Minute).Add(time.Minute)) {
			return w, true
		}
	}
	return nil, false
}
