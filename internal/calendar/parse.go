package calendar

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
)

// maxFileBytes bounds a file of days. A century at 40 listed days a year and 130 bytes a row is 520 kB; a larger file
// is no calendar.
const maxFileBytes = 1 << 20

// The years a file may list; a date outside is a typing error.
const (
	firstYear = 2000
	lastYear  = 2099
)

var header = []string{"date", "kind", "name", "notice"}

// ParseError is the first fault of a file of days.
type ParseError struct {
	Line  int
	Field string // "" for the line as a whole
	Value string
	Rule  string
}

func (e *ParseError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("calendar line %d: %s", e.Line, e.Rule)
	}
	return fmt.Sprintf("calendar line %d: %s %q: %s", e.Line, e.Field, e.Value, e.Rule)
}

// Parse reads a file of days: UTF-8 CSV (a byte order mark is allowed), the header date,kind,name,notice and at least
// one row. It is strict, because a wrong calendar moves every due date: the first fault is a *ParseError and nothing
// is returned.
func Parse(r io.Reader) (*Calendar, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read calendar: %w", err)
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	switch {
	case len(data) > maxFileBytes:
		return nil, &ParseError{Line: 1, Rule: fmt.Sprintf("the file is larger than %d bytes", maxFileBytes)}
	case !utf8.ValidString(text):
		return nil, &ParseError{Line: 1, Rule: "the file is not UTF-8"}
	}

	rows := csv.NewReader(strings.NewReader(text))
	rows.FieldsPerRecord = len(header)
	names, err := rows.Read()
	if err == io.EOF {
		return nil, &ParseError{Line: 1, Rule: "the file is empty"}
	}
	if err != nil {
		return nil, csvError(err)
	}
	for i, name := range names {
		if name != header[i] {
			return nil, &ParseError{1, "header", name, "the header is not " + strings.Join(header, ",")}
		}
	}

	c := &Calendar{years: make(map[int]*year)}
	for {
		cells, err := rows.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := rows.FieldPos(0)
		if err := c.add(line, cells); err != nil {
			return nil, err
		}
	}
	if len(c.years) == 0 {
		return nil, &ParseError{Line: 1, Rule: "the file lists no day"}
	}
	return c, nil
}

// add checks one row and enters it.
func (c *Calendar) add(line int, cells []string) error {
	date, err := recon.ParseDate(cells[0])
	if err != nil {
		return &ParseError{line, "date", cells[0], "not YYYY-MM-DD, or no such day"}
	}
	if date.Year() < firstYear || date.Year() > lastYear {
		return &ParseError{line, "date", cells[0], fmt.Sprintf("the year is not from %d to %d", firstYear, lastYear)}
	}
	kind := Kind(cells[1])
	if kind != Off && kind != Working {
		return &ParseError{line, "kind", cells[1], "not off or working"}
	}
	for i, field := range header[2:] {
		// Who announced a day off, and as what, is what a person checks a due date against.
		if strings.TrimSpace(cells[i+2]) == "" {
			return &ParseError{line, field, cells[i+2], "required and empty"}
		}
	}

	y := c.years[date.Year()]
	if y == nil {
		y = &year{days: make(map[int]Day)}
		c.years[date.Year()] = y
	}
	t := date.UTC()
	if _, twice := y.days[t.YearDay()]; twice {
		return &ParseError{line, "date", cells[0], "listed twice"}
	}
	y.days[t.YearDay()] = Day{Date: date, Kind: kind, Name: cells[2], Notice: cells[3]}
	y.loaded = y.loaded || t.Month() != time.December
	return nil
}

// csvError turns a syntax error into a ParseError.
func csvError(err error) error {
	var syntax *csv.ParseError
	if errors.As(err, &syntax) {
		return &ParseError{Line: syntax.StartLine, Rule: syntax.Err.Error()}
	}
	return fmt.Errorf("read calendar: %w", err)
}
