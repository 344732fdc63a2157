package statement

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// awkward draws texts of what the lanes could take for one another: separators, back-ticks, bytes around a blank, DEL, high
// bytes, and enough of them that words and the rest behind the last word both occur.
func awkward(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
		",", "\t", "|", "`", ",`", "a", "0", " ", "\x1f", "!", "~", "\x7f", "\x00", "\x80", "\xff", "\xac", "中", "，", "é", "\u0085", "\ufffd", "\xef", "longer text",
	}), 0, 40).Draw(t, "parts"), "")
}

// Cutting by words is cutting by the separator.
func TestCutByWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := awkward(t)
		sep := rapid.SampledFrom(separators).Draw(t, "separator")
		want := strings.Split(line, string(sep))
		if got, n := cutPlain(nil, line, sep, 1000); n != len(want) || cmp.Diff(want, got) != "" {
			t.Fatalf("%q cut by %q: %d cells %q, want %q", line, sep, n, got, want)
		}
		if got, n := cutPlain(nil, line, sep, 2); n != len(want) || cmp.Diff(want[:min(2, n)], got) != "" {
			t.Fatalf("%q cut by %q: the first of %d cells are %q, want %q", line, sep, n, got, want)
		}
		want = strings.Split(line, string(sep)+"`")
		if got, n := cutTicked(nil, "`"+line, sep, 1000); n != len(want) || cmp.Diff(want, got) != "" {
			t.Fatalf("`%q cut by %q and a back-tick: %d cells %q, want %q", line, sep, n, got, want)
		}
	})
}

// A text that is said to be legible holds nothing that damage or hasControl would find in a part of it.
func TestLegible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := awkward(t)
		sep := rapid.SampledFrom(separators).Draw(t, "separator")
		control := strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != rune(sep) })
		sound := !control && damage(s) == ""
		switch got := legible(s, sep); {
		case got && !sound:
			t.Fatalf("%q is said to be legible", s)
		case !got && sound && !strings.ContainsRune(s, 'é') && !strings.Contains(s, "\u00a0") && !strings.Contains(s, "\xc2"):
			t.Fatalf("%q is said not to be legible", s)
		}
	})
}

// Days that are remembered read as days that are not, and in a zone whose clocks change, too.
func TestDaysRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"Asia/Shanghai", "America/New_York", "America/Santiago"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		c := &cells{zone: zone}
		for _, s := range rapid.SliceOfN(rapid.SampledFrom([]string{
			"2026-03-05 00:00:00", "2026-03-05 23:59:59", "2026-04-05 12:00:00", "2026-03-08 02:30:00", "2026-03-08 03:30:00",
			"2026-09-06 00:30:00", "2026-11-01 01:30:00", "2026-02-30 10:00:00", "2026-03-05 24:00:00", "2026-03-05T10:00:00+08:00",
			"2026-03-0x 10:00:00", "1999-03-05 10:00:00",
		}), 1, 12).Draw(t, "times") {
			want, wantRule := parseTime(s, c.zone)
			if got, rule := c.timeOf(s); rule != wantRule || !got.Equal(want) || got.Location() != want.Location() {
				t.Fatalf("%s: %v %q, want %v %q", s, got, rule, want, wantRule)
			}
			wantDate, wantRule := parseDate(s[:10])
			if got, rule := c.dateOf(s[:10]); rule != wantRule || !got.Equal(wantDate) {
				t.Fatalf("%s: %v %q, want %v %q", s[:10], got, rule, wantDate, wantRule)
			}
		}
	})
}
