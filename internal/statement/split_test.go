package statement

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Records are cut eight bytes at a time where there is a comma and nowhere else, wherever that lies among the eight and whatever bytes
// are beside it: those that differ from a comma in their highest bit, or by one, and characters that hold them.
func TestSplit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	bytes := []byte{',', ',', ',' | 0x80, ',' - 1, ',' + 1, 0, 0x7f, 0x80, 0xff, 'a'}
	c := cells{}
	for range 50_000 {
		raw := make([]byte, random.IntN(40))
		for i := range raw {
			raw[i] = bytes[random.IntN(len(bytes))]
		}
		limit := 1 + random.IntN(12)
		want := strings.Split(string(raw), ",")
		n, extra := c.split(record{raw: raw}, limit)
		var got []string
		for _, s := range c.spans {
			got = append(got, c.text[s.from:s.to])
		}
		more := false
		for _, cell := range want[min(limit, len(want)):] {
			more = more || trim(cell) != ""
		}
		if diff := cmp.Diff(want[:min(limit, len(want))], got); diff != "" || n != len(want) || extra != more {
			t.Fatalf("%q is cut into %d cells, %t (-want +got):\n%s", raw, n, extra, diff)
		}
	}
}
