package recon

import (
	"fmt"
	"strconv"
)

// Cycle is a settlement cycle: T+n counts working days, D+n calendar days. The zero Cycle is none.
type Cycle struct {
	Working bool // T+n
	Days    int
	set     bool
}

// MaxCycleDays bounds n in T+n and D+n: the acquiring rules cap settlement at 30 natural days, and a year is beyond
// any contract, so a larger number is a typing error.
const MaxCycleDays = 366

// LateFiles is the longest lateness of a line that is told apart, in settlement files of its acquirer after the one that should have
// held it: two working weeks. One that comes later is a rarity.
const LateFiles = 10

// TPlus returns T+n.
func TPlus(n int) Cycle { return Cycle{Working: true, Days: n, set: true} }

// DPlus returns D+n.
func DPlus(n int) Cycle { return Cycle{Days: n, set: true} }

// ParseCycle reads T+0, T+1, D+0, D+1, T+n or D+n, n at most MaxCycleDays.
func ParseCycle(s string) (Cycle, error) {
	if len(s) >= 3 && (s[0] == 'T' || s[0] == 'D') && s[1] == '+' && s[2] != '+' && s[2] != '-' {
		if n, err := strconv.Atoi(s[2:]); err == nil && n <= MaxCycleDays {
			return Cycle{Working: s[0] == 'T', Days: n, set: true}, nil
		}
	}
	return Cycle{}, fmt.Errorf("settle cycle %q is not T+n or D+n with n from 0 to %d", s, MaxCycleDays)
}

// IsZero reports whether no cycle was given.
func (c Cycle) IsZero() bool { return !c.set }

// String prints T+n or D+n, or "" for none.
func (c Cycle) String() string {
	switch {
	case !c.set:
		return ""
	case c.Working:
		return "T+" + strconv.Itoa(c.Days)
	default:
		return "D+" + strconv.Itoa(c.Days)
	}
}
