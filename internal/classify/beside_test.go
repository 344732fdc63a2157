package classify

import (
	"testing"
)

// Subjects that are worked on side by side come back in their order, each once.
func TestBeside(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, leastBeside, leastBeside + 1, 3*leastBeside - 1, batchRows} {
		batch := make([]subject, n)
		for i := range batch {
			batch[i].SettledLines = int32(i)
		}
		got := beside(batch, func(s *subject) int32 {
			s.Episode++
			return s.SettledLines
		})
		if len(got) != n {
			t.Fatalf("%d of %d", len(got), n)
		}
		for i := range batch {
			if got[i] != int32(i) || batch[i].Episode != 1 {
				t.Errorf("of %d, the one at %d is %d, done %d times", n, i, got[i], batch[i].Episode)
			}
		}
	}
}
