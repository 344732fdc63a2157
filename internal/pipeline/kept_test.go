package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whether what is flagged stays in memory until it is explained, or no longer fits after one batch or more, the explanations are the same.
func TestKeptInMemory(t *testing.T) {
	t.Parallel()
	const orders = 2_500 // two batches and a half
	var pos strings.Builder
	pos.WriteString(posHead)
	for i := range orders {
		fmt.Fprintf(&pos, "A%d,lakala,M%d,wechat,%d.00,SUCCESS,2026-11-09T12:%02d:%02d+08:00\n", i, i%50, 1+i%90, i/60%60, i%60)
	}
	explained := func(keep int) []string {
		c := newClerk(t)
		c.job.KeepBytes = keep
		c.write("pos.csv", pos.String(), "line.csv", lineHead+"A0,M0,1.00,0.01,2026-11-10,SETTLED\n")
		c.night("2026-11-12 12:00")
		c.holds("2026-11-12 12:00", fmt.Sprint("with ", keep, " bytes"))
		return c.b.dump(t, `
			SELECT concat_ws(' ', order_key, sub_cause, confidence, incident_id, evidence, counter_evidence, action, digest)
			  FROM explanation
			 ORDER BY order_key`)
	}
	want := explained(0)
	if len(want) != orders-1 {
		t.Fatalf("%d of %d are explained", len(want), orders-1)
	}
	for _, keep := range []int{1, 1_500_000} {
		if diff := cmp.Diff(want, explained(keep)); diff != "" {
			t.Errorf("with %d bytes (-want +got):\n%s", keep, diff)
		}
	}
}
