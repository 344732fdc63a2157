package calendar

import (
	"fmt"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// ParseClock reads a time of day HH:MM from 00:00 to 24:00, as the time since midnight. 24:00 as a cut-off means none.
func ParseClock(s string) (time.Duration, error) {
	if len(s) == 5 && s[2] == ':' && digit(s[0]) && digit(s[1]) && digit(s[3]) && digit(s[4]) {
		hours := int(s[0]-'0')*10 + int(s[1]-'0')
		minutes := int(s[3]-'0')*10 + int(s[4]-'0')
		if clock := hours*60 + minutes; minutes < 60 && clock <= 24*60 {
			return time.Duration(clock) * time.Minute, nil
		}
	}
	return 0, fmt.Errorf("time of day %q is not HH:MM from 00:00 to 24:00", s)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// BusinessDate returns the business date of an instant: its local date in zone, or the next day if the local time is
// at or after the cut-off. A cut-off of 24 hours means none.
func BusinessDate(t time.Time, cutoff time.Duration, zone *time.Location) recon.Date {
	local := t.In(zone)
	hour, minute, second := local.Clock()
	clock := time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second +
		time.Duration(local.Nanosecond())
	date := recon.DateOf(t, zone)
	if clock >= cutoff {
		return date.AddDays(1)
	}
	return date
}

// Due returns the day by whose file deadline an order of a business date must be in the acquirer's file:
//
//	D+n, n ≥ 1   n calendar days after the business date
//	T+n, n ≥ 1   the n-th working day after the business date
//	D+0          settles on the business date and is reported the next morning: the next calendar day
//	T+0          settles on the business date if that is a working day, else on the next working day, and is reported
//	             the next morning: the calendar day after that, working or not
//
// It is MissingYearError where a day of a year that is not loaded must be counted; D cycles count none. A T+0 order of
// a loaded 31 December needs no day of the next year. The zero Cycle and the zero Date are errors: a default belongs to
// the acquirer's profile, not here.
func (c *Calendar) Due(business recon.Date, cycle recon.Cycle) (recon.Date, error) {
	switch {
	case business.IsZero():
		return recon.Date{}, fmt.Errorf("due date: no business date")
	case cycle.IsZero():
		return recon.Date{}, fmt.Errorf("due date: no settle cycle")
	case cycle.Days < 0 || cycle.Days > recon.MaxCycleDays:
		return recon.Date{}, fmt.Errorf("due date: settle cycle %s is not within 0 to %d days", cycle, recon.MaxCycleDays)
	case !cycle.Working:
		return business.AddDays(max(cycle.Days, 1)), nil
	case cycle.Days == 0:
		settles, err := c.workingDay(business, 1)
		if err != nil {
			return recon.Date{}, err
		}
		return settles.AddDays(1), nil
	default:
		return c.workingDay(business.AddDays(1), cycle.Days)
	}
}

// workingDay returns the n-th working day from first on, first included. It ends, because a year ends and the loaded
// years do.
func (c *Calendar) workingDay(first recon.Date, n int) (recon.Date, error) {
	for d := first; ; d = d.AddDays(1) {
		working, err := c.IsWorkingDay(d)
		if err != nil {
			return recon.Date{}, err
		}
		if working {
			n--
		}
		if n == 0 {
			return d, nil
		}
	}
}
