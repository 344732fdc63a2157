package calendar

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Kind is what a listed day is.
type Kind string

// The two kinds of days that a file lists.
const (
	Off     Kind = "off"
	Working Kind = "working"
)

// Day is one row of a file of days.
type Day struct {
	Date   recon.Date
	Kind   Kind
	Name   string // the holiday, e.g. 春节
	Notice string // where it is announced
}

// Calendar knows the working days of the years it has loaded. It never changes once made and may be shared.
type Calendar struct {
	years map[int]*year
}

// year is the listed days of one year. The loaded flag tells a year's own rows from rows that the next year's notice
// put into its December.
type year struct {
	loaded bool
	days   map[int]Day // by day of the year
}

//go:embed cn-days.csv
var embedded []byte

var parseEmbedded = sync.OnceValue(func() *Calendar {
	c, err := Parse(bytes.NewReader(embedded))
	if err != nil {
		// The file is part of the program and a test reads it: this is a broken build, not bad input.
		panic(fmt.Sprintf("embedded cn-days.csv: %v", err))
	}
	return c
})

// Default returns the calendar of the embedded file.
func Default() *Calendar { return parseEmbedded() }

// MissingYearError says that an answer needs a day of a year that is not loaded.
type MissingYearError struct {
	Year int
}

func (e MissingYearError) Error() string {
	return fmt.Sprintf("the working days of %d are not loaded", e.Year)
}

// Merge returns a calendar of both files. A year that the later one loads replaces the earlier one's whole, so a
// corrected file needs no marks for days it takes back. Of a year that the later file only touches in December,
// because the next year's notice reaches back, the days are added to what is known.
func (c *Calendar) Merge(later *Calendar) *Calendar {
	merged := &Calendar{years: make(map[int]*year, len(c.years)+len(later.years))}
	for n, y := range c.years {
		merged.years[n] = y
	}
	for n, y := range later.years {
		old, known := c.years[n]
		if y.loaded || !known {
			merged.years[n] = y
			continue
		}
		both := &year{loaded: old.loaded, days: make(map[int]Day, len(old.days)+len(y.days))}
		for i, d := range old.days {
			both.days[i] = d
		}
		for i, d := range y.days {
			both.days[i] = d
		}
		merged.years[n] = both
	}
	return merged
}

// Loaded reports whether the working days of a year are known: whether a file lists at least one of its days outside
// December. December alone does not count, because the next year's notice may reach back into it; a year's own notice
// always has the first of January.
func (c *Calendar) Loaded(year int) bool {
	y := c.years[year]
	return y != nil && y.loaded
}

// Years returns the loaded years in ascending order.
func (c *Calendar) Years() []int {
	var years []int
	for n, y := range c.years {
		if y.loaded {
			years = append(years, n)
		}
	}
	slices.Sort(years)
	return years
}

// Days returns every listed day in ascending order, those of a year that is not loaded included.
func (c *Calendar) Days() []Day {
	var days []Day
	for _, y := range c.years {
		for _, d := range y.days {
			days = append(days, d)
		}
	}
	slices.SortFunc(days, func(a, b Day) int { return a.Date.UTC().Compare(b.Date.UTC()) })
	return days
}

// IsWorkingDay reports whether d is a working day; MissingYearError if its year is not loaded.
func (c *Calendar) IsWorkingDay(d recon.Date) (bool, error) {
	y := c.years[d.Year()]
	if y == nil || !y.loaded {
		return false, MissingYearError{Year: d.Year()}
	}
	if listed, ok := y.days[d.UTC().YearDay()]; ok {
		return listed.Kind == Working, nil
	}
	weekday := d.Weekday()
	return weekday != time.Saturday && weekday != time.Sunday, nil
}
