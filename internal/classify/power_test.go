package classify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// night draws a night of a channel: fourteen hours of payments, of which one in a hundred has no result. The share of an hour
// varies with an intra-hour correlation of 0.02 (practice §4.4): as the square of a normal variate does.
func night(r *rand.Rand, perHour int, outage func(minute int) float64) (marks []mark, totals map[int64]int64) {
	totals = map[int64]int64{}
	start := noon.Truncate(24 * time.Hour).Add(8 * time.Hour)
	for hour := range 14 {
		z := r.NormFloat64()
		bad := min(0.01*z*z, 0.5)
		for range perHour {
			minute := hour*60 + r.IntN(60)
			at := start.Add(time.Duration(minute)*time.Minute + time.Duration(r.IntN(60))*time.Second)
			totals[at.Unix()/60]++
			m := failure(len(marks), 0, fmt.Sprint("M", r.IntN(40)))
			switch {
			case r.Float64() < outage(minute):
				m.at, m.quiet = at, 2e-4
				marks = append(marks, m)
			case r.Float64() < bad:
				m.at, m.quiet = at, 2e-4
				marks = append(marks, m)
			}
		}
	}
	return marks, totals
}

func quietNight(int) float64 { return 0 }

// On quiet nights whose failures come in bunches there is at most one false outage in thirty, at few and at many payments.
func TestQuietNights(t *testing.T) {
	t.Parallel()
	const nights = 30
	for _, perHour := range []int{10, 100, 1000} {
		r := rand.New(rand.NewPCG(1, uint64(perHour)))
		found := 0
		for range nights * 9 { // nine series: three acquirers of three channels
			marks, totals := night(r, perHour, quietNight)
			slices.SortFunc(marks, compareMarks)
			for _, w := range scanScope(series, marks, totals) {
				if w.probability > outageStated {
					found++
				}
			}
		}
		t.Logf("%d payments an hour: %d false outages in %d nights of nine series", perHour, found, nights)
		if found > 1 {
			t.Errorf("%d payments an hour: %d false outages in %d nights", perHour, found, nights)
		}
	}
}

// An outage of ten minutes that loses 60 % is found in nineteen of twenty nights, once forty payments fall into it.
func TestShortOutageIsFound(t *testing.T) {
	t.Parallel()
	for _, perHour := range []int{260, 1000} {
		r := rand.New(rand.NewPCG(2, uint64(perHour)))
		found, nights := 0, 200
		for range nights {
			from := 60 + r.IntN(700)
			marks, totals := night(r, perHour, func(minute int) float64 {
				if minute >= from && minute < from+10 {
					return 0.6
				}
				return 0
			})
			slices.SortFunc(marks, compareMarks)
			start := noon.Truncate(24 * time.Hour).Add(8 * time.Hour).Add(time.Duration(from) * time.Minute)
			for _, w := range scanScope(series, marks, totals) {
				if w.probability > outageStated && w.from.Before(start.Add(5*time.Minute)) && w.to.After(start.Add(5*time.Minute)) {
					found++
					break
				}
			}
		}
		t.Logf("%d payments an hour: found in %d of %d nights", perHour, found, nights)
		if found*20 < nights*19 {
			t.Errorf("%d payments an hour: found in %d of %d nights", perHour, found, nights)
		}
	}
}
