package classify

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// lateness is how late settlement lines come that come late, learned per acquirer and channel from the database's own
// history, with a stated prior until there is enough of it. Lateness is counted in the acquirer's own files after the one
// that should have held the line, so that holidays count as they should.
//
// Recent days are cut off: of what was due yesterday nobody has yet seen a line that is three files late. So the law is
// estimated by the hazard in reverse time (Lawless; practice §4.3): of the lines that came at most d files late, those that
// came exactly d files late, over the days on which d files have followed.
type lateness struct {
	laws  map[seriesKey]*law
	prior law
}

// maxLate is the longest lateness that is told apart.
const maxLate = recon.LateFiles

// The prior: of the lines that are late at all, half come with the next file, and each further file finds half of the rest
// (practice §4.3), as sure as two hundred late lines make it.
const (
	priorLate   = 200
	priorRatio  = 0.45
	priorOrders = 20_000 // orders that the shipped rate of stragglers is worth
)

// law is the distribution of lateness of a series.
type law struct {
	survives [maxLate + 2]float64 // the share of late lines that come later than d files late
	rate     float64              // orders whose line comes late, of all
}

// surviving returns the share of late lines that have not come when so many files have followed.
func (l *law) surviving(files int) float64 { return l.survives[min(max(files, 0), maxLate+1)] }

// lateDays bounds the history that the law is learned from: a quarter, which is long enough for thousands of late lines and
// short enough that a change of habits is followed.
const lateDays = 90

// readLateness reads how late lines came. Days on which much of a batch was late are left out: that is an incident and not a
// habit.
func readLateness(ctx context.Context, tx pgx.Tx, asOf recon.Date, r *register, w *Weights) (*lateness, error) {
	rows, err := tx.Query(ctx, `
		WITH settled AS (
		    SELECT acquirer,
		           channel,
		           business_date,
		           due_date,
		           settle_date,
		           sign * orders AS orders
		      FROM plain_match
		     WHERE business_date > $1
		       AND due_date IS NOT NULL
		     UNION ALL
		    SELECT acquirer,
		           channel,
		           business_date,
		           due_date,
		           settle_date,
		           1
		      FROM verdict
		     WHERE business_date > $1
		       AND has_order
		       AND settle_status = 'SETTLED'
		       AND pos_status = 'SUCCESS'
		       AND due_date IS NOT NULL
		), counted AS (
		    SELECT acquirer,
		           channel,
		           due_date,
		           settle_date,
		           sum(orders)::bigint AS orders,
		           sum(sum(orders)) OVER (PARTITION BY acquirer, channel, due_date)::bigint AS of_day
		      FROM settled
		     GROUP BY acquirer, channel, due_date, settle_date
		)
		SELECT acquirer, channel, due_date, settle_date, orders, of_day
		  FROM counted
		 WHERE settle_date >= due_date
		   AND orders > 0`, asOf.AddDays(-lateDays).UTC())
	if err != nil {
		return nil, err
	}
	type cell struct{ late, all float64 }
	type triangle struct {
		at     [maxLate + 1]float64 // late by d files
		upTo   [maxLate + 1]float64 // late by at most d, on days that d files have followed
		exact  [maxLate + 1]float64 // late by exactly d, on those days
		orders float64
		late   float64
	}
	series := map[seriesKey]*triangle{}
	type late struct {
		d      int
		after  int
		orders float64
	}
	byDay := map[batchKey][]late{}
	days := map[batchKey]cell{}
	var (
		acquirer, channel string
		due, settle       time.Time
		orders            int64
		ofDay             int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&acquirer, &channel, &due, &settle, &orders, &ofDay}, func() error {
		k := batchKey{acquirer: acquirer, channel: channel, due: recon.DateFromUTC(due)}
		c := days[k]
		c.all = float64(ofDay)
		if settle.After(due) {
			d := r.later(acquirer, k.due) - r.later(acquirer, recon.DateFromUTC(settle))
			if d >= 1 {
				byDay[k] = append(byDay[k], late{min(d, maxLate), r.later(acquirer, k.due), float64(orders)})
				c.late += float64(orders)
			}
		}
		days[k] = c
		return nil
	}); err != nil {
		return nil, err
	}
	for k, c := range days {
		t := series[seriesKey{k.acquirer, k.channel}]
		if t == nil {
			t = &triangle{}
			series[seriesKey{k.acquirer, k.channel}] = t
		}
		if c.late > 3 && c.late > 0.05*c.all {
			continue
		}
		t.orders += c.all
		for _, l := range byDay[k] {
			t.late += l.orders
			for d := l.d; d <= maxLate && d <= l.after; d++ {
				t.upTo[d] += l.orders
				if d == l.d {
					t.exact[d] += l.orders
				}
			}
		}
	}
	out := &lateness{laws: map[seriesKey]*law{}}
	out.prior = lawOf([maxLate + 1]float64{}, [maxLate + 1]float64{}, 0, 0, w.rate[systemDelay])
	for k, t := range series {
		l := lawOf(t.exact, t.upTo, t.late, t.orders, w.rate[systemDelay])
		out.laws[k] = &l
	}
	return out, nil
}

// lawOf joins what was counted with the prior.
func lawOf(exact, upTo [maxLate + 1]float64, late, orders, rate float64) law {
	var l law
	// P(D ≤ d | D ≤ maxLate) is the product of the reverse hazards' complements above d.
	cumulative := 1.0
	var within [maxLate + 2]float64
	prior := func(d int) float64 { return (1 - priorRatio) * math.Pow(priorRatio, float64(d-1)) }
	for d := maxLate; d >= 1; d-- {
		within[d] = cumulative
		upToPrior := 0.0
		for i := 1; i <= d; i++ {
			upToPrior += prior(i)
		}
		g := (exact[d] + priorLate*prior(d)) / (upTo[d] + priorLate*upToPrior)
		cumulative *= 1 - g
	}
	tail := 0.002 // of late lines that come later still
	for d := 0; d <= maxLate; d++ {
		in := within[d]
		if d == 0 {
			in = 0
		}
		l.survives[d] = max(1-(1-tail)*in, tail)
	}
	l.survives[maxLate+1] = tail
	l.rate = (late + rate*priorOrders) / (orders + priorOrders)
	return l
}

// of returns the law of a series.
func (l *lateness) of(acquirer, channel string) *law {
	if found := l.laws[seriesKey{acquirer, channel}]; found != nil {
		return found
	}
	return &l.prior
}
