package recon

import (
	"fmt"
	"time"
)

// Date is a calendar day without a zone: a business date, a due date, a settle date. The zero Date is no day at all.
type Date struct {
	t time.Time // midnight UTC of that day; the zero time for no day
}

// NewDate returns the given day; it is normalised as time.Date does.
func NewDate(year int, month time.Month, day int) Date {
	return Date{time.Date(year, month, day, 0, 0, 0, 0, time.UTC)}
}

// DateOf returns the local day of t in zone.
func DateOf(t time.Time, zone *time.Location) Date {
	y, m, d := t.In(zone).Date()
	return NewDate(y, m, d)
}

// DateFromUTC returns the day of a midnight-UTC time as the database driver hands over a date.
func DateFromUTC(t time.Time) Date {
	y, m, d := t.Date()
	return NewDate(y, m, d)
}

// ParseDate reads YYYY-MM-DD; any other form, and a day that does not exist, is an error.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return Date{}, fmt.Errorf("date %q is not YYYY-MM-DD, or no such day", s)
	}
	return Date{t}, nil
}

// String prints YYYY-MM-DD, or "" for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.t.Format(time.DateOnly)
}

// IsZero reports whether d is no day.
func (d Date) IsZero() bool { return d.t.IsZero() }

// Year returns the year of d.
func (d Date) Year() int { return d.t.Year() }

// Weekday returns the day of the week of d.
func (d Date) Weekday() time.Weekday { return d.t.Weekday() }

// AddDays returns the day n days after d.
func (d Date) AddDays(n int) Date { return Date{d.t.AddDate(0, 0, n)} }

// Before reports whether d is earlier than e.
func (d Date) Before(e Date) bool { return d.t.Before(e.t) }

// After reports whether d is later than e.
func (d Date) After(e Date) bool { return d.t.After(e.t) }

// Equal reports whether both are the same day.
func (d Date) Equal(e Date) bool { return d.t.Equal(e.t) }

// DaysSince returns the number of calendar days from e to d.
func (d Date) DaysSince(e Date) int { return int(d.t.Sub(e.t) / (24 * time.Hour)) }

// UTC returns midnight UTC of d, the form the database driver takes a date in.
func (d Date) UTC() time.Time { return d.t }

// At returns the instant of the clock time "after midnight" on d in zone.
// 24:00 is midnight of the next day. China has had no daylight saving time since 1991, so a day has 24 hours.
func (d Date) At(clock time.Duration, zone *time.Location) time.Time {
	y, m, day := d.t.Date()
	return time.Date(y, m, day, 0, 0, 0, 0, zone).Add(clock)
}
