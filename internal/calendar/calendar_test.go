package calendar

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/recon"
)

func date(t testing.TB, s string) recon.Date {
	t.Helper()
	d, err := recon.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func shanghai(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestDefault(t *testing.T) {
	t.Parallel()
	c := Default()
	if diff := cmp.Diff([]int{2020, 2021, 2022, 2023, 2024, 2025, 2026}, c.Years()); diff != "" {
		t.Errorf("Years (-want +got):\n%s", diff)
	}
	if c.Loaded(2019) || !c.Loaded(2026) || c.Loaded(2027) {
		t.Error("Loaded is wrong at the edges")
	}
	days := c.Days()
	if len(days) != 255 {
		t.Errorf("%d days, want the 255 rows of the file", len(days))
	}
	if !slices.IsSortedFunc(days, func(a, b Day) int { return a.Date.UTC().Compare(b.Date.UTC()) }) {
		t.Error("Days is not in order")
	}
	for _, d := range days {
		if !strings.Contains(d.Notice, "gov.cn/") {
			t.Errorf("%s: the notice %q is not cited", d.Date, d.Notice)
		}
	}
}

func TestIsWorkingDay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		date string
		want bool
		why  string
	}{
		{"2026-02-13", true, "an ordinary Friday"},
		{"2026-02-14", true, "a Saturday, make-up working day before the Spring Festival"},
		{"2026-02-15", false, "first day of the festival, a Sunday"},
		{"2026-02-23", false, "last day of the festival, a Monday"},
		{"2026-02-24", true, "first working day after it"},
		{"2026-02-28", true, "a Saturday, make-up working day after it"},
		{"2026-03-07", false, "an ordinary Saturday, not listed"},
		{"2020-02-03", true, "a Monday listed as working: the festival that a second notice prolonged ends here"},
		{"2022-12-31", false, "a day off by 2023's notice, and a Saturday anyway"},
	} {
		if got, err := Default().IsWorkingDay(date(t, tt.date)); err != nil || got != tt.want {
			t.Errorf("%s: %v, %v; want %v: %s", tt.date, got, err, tt.want, tt.why)
		}
	}
	var missing MissingYearError
	if _, err := Default().IsWorkingDay(date(t, "2027-01-04")); !errors.As(err, &missing) || missing.Year != 2027 {
		t.Errorf("a day of 2027: %v, want MissingYearError of 2027", err)
	} else if got := err.Error(); got != "the working days of 2027 are not loaded" {
		t.Errorf("message %q", got)
	}
}

func TestBusinessDate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		instant string
		cutoff  string
		want    string
		why     string
	}{
		{"2026-02-13T22:59:59+08:00", "23:00", "2026-02-13", "the last second before the cut-off"},
		{"2026-02-13T22:59:59.999999999+08:00", "23:00", "2026-02-13", "the last nanosecond before the cut-off"},
		{"2026-02-13T23:00:00+08:00", "23:00", "2026-02-14", "at the cut-off is after it"},
		{"2026-02-13T23:59:59+08:00", "24:00", "2026-02-13", "24:00 means no cut-off"},
		{"2026-02-14T00:00:00+08:00", "24:00", "2026-02-14", "midnight belongs to the new day"},
		{"2026-02-13T15:30:00Z", "23:00", "2026-02-14", "23:30 in Shanghai: local time counts"},
		{"2026-12-31T23:00:00+08:00", "23:00", "2027-01-01", "over the year's end"},
	} {
		instant, err := time.Parse(time.RFC3339Nano, tt.instant)
		if err != nil {
			t.Fatal(err)
		}
		cutoff, err := ParseClock(tt.cutoff)
		if err != nil {
			t.Fatal(err)
		}
		if got := BusinessDate(instant, cutoff, shanghai(t)); got.String() != tt.want {
			t.Errorf("%s, cut-off %s: %s, want %s: %s", tt.instant, tt.cutoff, got, tt.want, tt.why)
		}
	}
}

func TestParseClock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text string
		want time.Duration
		why  string
	}{
		{"00:00", 0, "midnight"},
		{"10:00", 10 * time.Hour, "the default file deadline"},
		{"23:00", 23 * time.Hour, "the default cut-off"},
		{"24:00", 24 * time.Hour, "no cut-off"},
		{"24:01", -1, "beyond the day"},
		{"23:60", -1, "no such minute"},
		{"9:30", -1, "one digit is a typing error"},
		{"23:00:00", -1, "no seconds"},
		{"-1:00", -1, "no sign"},
		{"", -1, "nothing"},
	} {
		got, err := ParseClock(tt.text)
		if tt.want < 0 {
			if err == nil {
				t.Errorf("%q: %v, want an error: %s", tt.text, got, tt.why)
			}
		} else if err != nil || got != tt.want {
			t.Errorf("%q: %v, %v; want %v: %s", tt.text, got, err, tt.want, tt.why)
		}
	}
}

func TestDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		business string
		cycle    string
		want     string // "" for MissingYearError of 2027
		why      string
	}{
		{"2026-02-13", "T+1", "2026-02-14", "the Saturday is a make-up working day"},
		{"2026-02-14", "T+1", "2026-02-24", "the Spring Festival lies between"},
		{"2026-02-13", "T+2", "2026-02-24", "14th, then the first day after the festival"},
		{"2026-02-15", "T+1", "2026-02-24", "a business date that is a day off counts from itself"},
		{"2026-03-06", "T+1", "2026-03-09", "over a weekend"},
		{"2026-03-06", "D+1", "2026-03-07", "D counts calendar days, a Saturday included"},
		{"2026-03-06", "D+3", "2026-03-09", "D+3"},
		{"2026-03-06", "D+0", "2026-03-07", "settles on the date, is reported the next morning"},
		{"2026-03-06", "T+0", "2026-03-07", "a working day: the next calendar day, though a Saturday"},
		{"2026-03-07", "T+0", "2026-03-10", "a Saturday: settles on Monday, is reported on Tuesday"},
		{"2026-02-14", "T+0", "2026-02-15", "a make-up working day settles on itself"},
		{"2026-02-15", "T+0", "2026-02-25", "in the festival: settles on the 24th"},
		{"2026-12-31", "T+0", "2027-01-01", "a loaded working day: no day of 2027 is counted"},
		{"2026-12-31", "D+1", "2027-01-01", "D counts no working days"},
		{"2027-06-01", "D+5", "2027-06-06", "D needs no calendar at all"},
		{"2026-12-30", "T+1", "2026-12-31", "the last loaded day"},
		{"2026-12-31", "T+1", "", "must look at 2027-01-01"},
		{"2026-12-30", "T+2", "", "the first day is loaded, the second is not"},
		{"2027-01-01", "T+0", "", "must know whether the date itself is a working day"},
		{"2026-01-05", "T+366", "", "runs past the loaded years"},
	} {
		cycle, err := recon.ParseCycle(tt.cycle)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Default().Due(date(t, tt.business), cycle)
		var missing MissingYearError
		switch {
		case tt.want == "" && (!errors.As(err, &missing) || missing.Year != 2027):
			t.Errorf("%s %s: %s, %v; want MissingYearError of 2027: %s", tt.business, tt.cycle, got, err, tt.why)
		case tt.want != "" && (err != nil || got.String() != tt.want):
			t.Errorf("%s %s: %s, %v; want %s: %s", tt.business, tt.cycle, got, err, tt.want, tt.why)
		}
	}
	for _, cycle := range []recon.Cycle{{}, recon.TPlus(-1), recon.DPlus(recon.MaxCycleDays + 1)} {
		if got, err := Default().Due(date(t, "2026-03-06"), cycle); err == nil {
			t.Errorf("cycle %v: %s, want an error", cycle, got)
		}
	}
	if got, err := Default().Due(recon.Date{}, recon.DPlus(1)); err == nil {
		t.Errorf("no business date: %s, want an error", got)
	}
}

// TestCutoffToDue is the way an order goes: instant, business date, due date.
func TestCutoffToDue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		clock, want, why string
	}{
		{"22:59:59", "2026-02-14", "belongs to Friday the 13th, and Saturday the 14th is a make-up working day"},
		{"23:00:00", "2026-02-24", "belongs to the 14th, and the Spring Festival follows"},
	} {
		sold, err := time.ParseInLocation(time.DateTime, "2026-02-13 "+tt.clock, shanghai(t))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Default().Due(BusinessDate(sold, 23*time.Hour, shanghai(t)), recon.TPlus(1))
		if err != nil || got.String() != tt.want {
			t.Errorf("sold at %s: due %s, %v; want %s: %s", tt.clock, got, err, tt.want, tt.why)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	const head = "date,kind,name,notice\n"
	for _, tt := range []struct {
		text string
		want string // a part of the error, "" for none
		why  string
	}{
		{head + "2027-01-01,off,元旦,https://www.gov.cn/x\n", "", "one row is a year"},
		{"\ufeff" + strings.ReplaceAll(head+"2027-01-01,off,元旦,n\n", "\n", "\r\n"), "", "as a spreadsheet saves it"},
		{"", "line 1: the file is empty", "nothing"},
		{head, "lists no day", "a header alone is a truncated file"},
		{"date,kind,notice,name\n2027-01-01,off,n,元旦\n", `header "notice"`, "columns in another order"},
		{head + "2027-1-1,off,元旦,n\n", `line 2: date "2027-1-1": not YYYY-MM-DD`, "a spreadsheet's date"},
		{head + "2027-02-29,off,x,n\n", "no such day", "not a leap year"},
		{head + "1999-01-01,off,x,n\n", "the year is not from 2000", "too early"},
		{head + "2100-01-01,off,x,n\n", "the year is not from 2000 to 2099", "too late"},
		{head + "2027-01-01,Off,x,n\n", `line 2: kind "Off": not off or working`, "another spelling"},
		{head + "2027-01-01,off,,n\n", `line 2: name "": required`, "no name"},
		{head + "2027-01-01,off,x, \n", `line 2: notice " ": required`, "nobody announced it"},
		{head + "2027-01-01,off,x,n\n2027-01-01,working,x,n\n", `line 3: date "2027-01-01": listed twice`, "which?"},
		{head + "2027-01-01,off,x\n", "line 2: wrong number of fields", "a short line"},
		{head + "2027-01-01,off,\"x,n\n", "line 2: extraneous or missing", "an open quote"},
		{head + "2027-01-01,off,\xd4\xaa\xb5\xa9,n\n", "not UTF-8", "GBK"},
		{head + strings.Repeat("#", maxFileBytes), "larger than", "too large"},
	} {
		_, err := Parse(strings.NewReader(tt.text))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.why, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want it to say %q", tt.why, err, tt.want)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	parse := func(rows string) *Calendar {
		c, err := Parse(strings.NewReader("date,kind,name,notice\n" + rows))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	working := func(c *Calendar, day string) bool {
		ok, err := c.IsWorkingDay(date(t, day))
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}

	further := Default().Merge(parse("2027-01-01,off,元旦,n\n2027-01-02,working,元旦,n\n"))
	if !further.Loaded(2027) || !further.Loaded(2026) || Default().Loaded(2027) {
		t.Error("a further year is not added, or the calendar it was added to changed")
	}
	if got, err := further.Due(date(t, "2026-12-31"), recon.TPlus(1)); err != nil || got.String() != "2027-01-02" {
		t.Errorf("T+1 of 2026-12-31: %s, %v; want the make-up working day 2027-01-02", got, err)
	}

	corrected := Default().Merge(parse("2026-01-01,off,元旦,n\n"))
	if working(corrected, "2026-02-14") {
		t.Error("the later file of 2026 does not replace the year whole: a make-up day of the earlier one is left")
	}
	if !working(corrected, "2025-01-26") {
		t.Error("replacing 2026 touched 2025")
	}

	// 2027's notice may reach back into December 2026: that must not wipe what is known of 2026.
	reachesBack := Default().Merge(parse("2026-12-31,off,元旦,n\n2027-01-01,off,元旦,n\n"))
	if working(reachesBack, "2026-12-31") || !working(reachesBack, "2026-02-14") {
		t.Error("the December day is not added to the year that is known")
	}
	// And it must not make a year look known of which nothing else is.
	if alone := parse("2027-12-31,off,元旦,n\n2028-01-01,off,元旦,n\n"); alone.Loaded(2027) || !alone.Loaded(2028) {
		t.Errorf("loaded years %v, want 2028 alone", alone.Years())
	}
}

// drawDate draws a day that leaves room for long cycles within the embedded years.
func drawDate(t *rapid.T) recon.Date {
	return recon.NewDate(2020, 1, 1).AddDays(rapid.IntRange(0, 5*365).Draw(t, "day"))
}

func TestDueLaws(t *testing.T) {
	t.Parallel()
	c := Default()
	due := func(t *rapid.T, d recon.Date, cycle recon.Cycle) recon.Date {
		got, err := c.Due(d, cycle)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	rapid.Check(t, func(t *rapid.T) {
		d := drawDate(t)
		n := rapid.IntRange(1, 200).Draw(t, "n")
		tn := due(t, d, recon.TPlus(n))

		if working, err := c.IsWorkingDay(tn); err != nil || !working {
			t.Fatalf("T+%d of %s is %s, no working day", n, d, tn)
		}
		count := 0
		for day := d.AddDays(1); !day.After(tn); day = day.AddDays(1) {
			if working, _ := c.IsWorkingDay(day); working {
				count++
			}
		}
		if count != n {
			t.Fatalf("%d working days from %s to %s, want %d", count, d, tn, n)
		}
		if next := due(t, d, recon.TPlus(n+1)); !next.After(tn) || !next.Equal(due(t, tn, recon.TPlus(1))) {
			t.Fatalf("T+%d is %s, not one working day after T+%d %s", n+1, next, n, tn)
		}
		if dn := due(t, d, recon.DPlus(n)); dn.After(tn) || dn.DaysSince(d) != n {
			t.Fatalf("D+%d is %s, T+%d is %s", n, dn, n, tn)
		}
		if later := due(t, d.AddDays(1), recon.TPlus(n)); later.Before(tn) {
			t.Fatalf("a later sale is due earlier: %s before %s", later, tn)
		}
		if t0 := due(t, d, recon.TPlus(0)); t0.Before(due(t, d, recon.DPlus(0))) {
			t.Fatalf("T+0 %s before D+0", t0)
		}
	})
}

func TestBusinessDateLaws(t *testing.T) {
	t.Parallel()
	zone := shanghai(t)
	rapid.Check(t, func(t *rapid.T) {
		instant := time.Unix(rapid.Int64Range(946684800, 4102444799).Draw(t, "unix"), 0)
		minutes := rapid.IntRange(0, 24*60).Draw(t, "cut-off")
		cutoff := time.Duration(minutes) * time.Minute
		got := BusinessDate(instant, cutoff, zone)
		// The business day d lasts from the cut-off of the day before to the cut-off of d.
		if instant.Before(got.AddDays(-1).At(cutoff, zone)) || !instant.Before(got.At(cutoff, zone)) {
			t.Fatalf("%s, cut-off %v: %s", instant.In(zone), cutoff, got)
		}
	})
}
