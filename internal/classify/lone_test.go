package classify

import (
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Without peers only the order of a merchant's orders in time tells a freeze from a late batch.
func TestLoneRuns(t *testing.T) {
	t.Parallel()
	const frozen, late, silent = "frozen", "late", ""
	for name, tt := range map[string]struct {
		// By day, oldest first: s is an order that settled, x one without a line, in the order of their sale.
		days  []string
		peers bool
		want  string // what the last order looks like
	}{
		"cut by a moment":                   {[]string{"sssss", "sssxxx"}, false, frozen},
		"cut, and silent for days":          {[]string{"sssxxx", "xxxx", "xxxx"}, false, frozen},
		"every other one":                   {[]string{"sssss", "sxsxxsxxx"}, false, late},
		"a whole day":                       {[]string{"sssss", "xxxxx"}, false, late},
		"three whole days":                  {[]string{"xxxxx", "xxxxx", "xxxxx"}, false, frozen},
		"two stragglers at the day's end":   {[]string{"sssss", "ssssxx"}, false, silent},
		"three stragglers of a scattered 9": {[]string{"sssxssssssssssssxxx"}, false, silent},
		"others are due, who are asked":     {[]string{"sssss", "sssxxx"}, true, silent},
		"something settled since":           {[]string{"xxxxx", "ssssxs"}, false, silent},
	} {
		t.Run(name, func(t *testing.T) {
			b, lone := batches{}, loneRuns{}
			later := int32(0)
			for _, d := range tt.days {
				for _, c := range d {
					if c == 's' {
						later++
					}
				}
			}
			var last time.Time
			for i, d := range tt.days {
				k := batchKey{"lakala", "WECHAT", today.AddDays(i), today.AddDays(i + 1)}
				var own count
				for _, c := range d {
					own.due++
					if c == 'x' {
						own.missing++
					}
				}
				all := own
				if tt.peers {
					all.due += 5
				}
				day := &batch{count: all, of: map[string]count{"M1": own}}
				b[k], b[batchKey{acquirer: "lakala", business: k.business}] = day, day
				for n, c := range d {
					if c == 's' {
						later--
						continue
					}
					last = noon.AddDate(0, 0, i).Add(time.Duration(n) * time.Minute)
					lone.add(&tailOrder{at: last, batch: &k, who: "M1", later: later}, b)
				}
			}
			got := silent
			if r, ok := lone.of("lakala", "M1", last); ok {
				if got = frozen; func() bool { l, f := r.likely(); return l > f }() {
					got = late
				}
			}
			if got != tt.want {
				t.Errorf("%v: %q, want %q", tt.days, got, tt.want)
			}
		})
	}
}

// What began among no peers goes on among them only if nothing settled in between.
func TestLoneRunLeadsTo(t *testing.T) {
	t.Parallel()
	r := &loneRun{since: noon, later: 1}
	for name, tt := range map[string]struct {
		run  *loneRun
		tail *tail
		want bool
	}{
		"goes on":                 {r, &tail{since: noon.Add(time.Hour), exceptions: 1}, true},
		"something settled since": {r, &tail{since: noon.Add(time.Hour)}, false},
		"begins after its peers":  {r, &tail{since: noon.Add(-time.Hour), exceptions: 1}, false},
		"no run among peers":      {r, nil, false},
		"no run without them":     {nil, &tail{since: noon, exceptions: 1}, false},
	} {
		if got := tt.run.leadsTo(tt.tail); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// A file without rows has come: that nothing settles is what it says.
func TestEmptyFileHasCome(t *testing.T) {
	t.Parallel()
	r := &register{files: map[fileKey]int64{}, bills: map[fileKey]bool{}, dates: map[string][]recon.Date{}, sent: map[fileKey]int{{"lakala", today}: 1}}
	if _, ok := r.of("lakala", today, today.AddDays(-1)); !ok {
		t.Error("an empty file counts as one that has not come")
	}
	if _, ok := r.of("lakala", today.AddDays(1), today); ok {
		t.Error("a file that nobody sent counts as come")
	}
}
