package classify

import "testing"

// Keys are hashes: below half of the largest lie half of all orders.
func TestHabitKeys(t *testing.T) {
	t.Parallel()
	const rest = "ffffffffffffffff"
	for rows, want := range map[int64]string{
		0:         "ffffffffffffffff" + rest,
		100_000:   "ffffffffffffffff" + rest, // all, as long as they are few
		100_001:   "7fffffffffffffff" + rest,
		1_000_000: "0fffffffffffffff" + rest,
	} {
		if got := habitKeys(rows); got != want {
			t.Errorf("habits of %d rows are read from the orders up to %s, not %s", rows, got, want)
		}
	}
}
