package classify

import "testing"

func TestRoughly(t *testing.T) {
	for _, tc := range []struct {
		share, want float64
		why         string
	}{
		{0, 0, "nothing stays nothing"},
		{1, 1, "and all stays all"},
		{0.0041475, 0.005, "by its logarithm it is nearer to five than to two"},
		{0.00506662, 0.005, "so that the next night says the same"},
		{0.0031, 0.002, "and this is nearer to two"},
		{0.08, 0.1, "the next power is a neighbour too"},
		{5.04869e-07, 5e-07, "however small"},
		{0.45, 0.5, "up to a half"},
		{0.93, 0.95, "beyond it what is left is rounded, which must not become nothing"},
		{0.99991, 0.9999, "however little that is"},
	} {
		if got := roughly(tc.share); got != tc.want {
			t.Errorf("roughly(%v) = %v, want %v: %s", tc.share, got, tc.want, tc.why)
		}
	}
}
