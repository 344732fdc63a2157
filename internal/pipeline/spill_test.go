//go:build !citus

// Over nodes what one brings to another goes through temporary files, however little it is.

package pipeline_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// A run tells how much of its work went through temporary files, and that none did where memory was enough.
func TestSpillIsTold(t *testing.T) {
	t.Parallel()
	var rows strings.Builder
	rows.WriteString(posHead)
	for i := range 5000 {
		fmt.Fprintf(&rows, "A%05d,lakala,M%04d,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n", i, i)
	}
	for _, tc := range []struct {
		memory string
		spills bool
	}{
		{"64kB", true}, // the least that PostgreSQL takes
		{"64MB", false},
	} {
		pool, err := postgres.Open(t.Context(), testdb.New(t)+"&work_mem="+tc.memory)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		inbox := t.TempDir()
		if err := os.WriteFile(filepath.Join(inbox, "pos.csv"), []byte(rows.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		b := &bench{pool, shanghai(t)}
		report := b.run(t, &world{acquirers: recon.Acquirers{"lakala": recon.DefaultAcquirer("lakala")}}, inbox, time.Date(2026, 11, 11, 12, 0, 0, 0, b.zone))
		if spills := report.Spilled > 0; spills != tc.spills {
			t.Errorf("with work_mem %s it tells of %d bytes in temporary files", tc.memory, report.Spilled)
		}
	}
}
