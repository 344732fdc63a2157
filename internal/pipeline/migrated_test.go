//go:build !citus

// What is spread over nodes goes back only as far as it has been spread since (TestLaterMigrations).

package pipeline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

// States of payouts that a migration could not know are found by the next run: here of one that no line had named.
func TestPayoutsAfterMigrating(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	b := &bench{pool, shanghai(t)}
	c := &clerk{t, b, b.job(&world{acquirers: recon.Acquirers{"lakala": recon.DefaultAcquirer("lakala")}}), t.TempDir()}
	c.write("pos.csv", posHead+payoutSale, "p.csv", payoutHead+"P1,M1,2026-11-10,10.00,FAILED,\n")
	c.night("2026-11-12 12:00")
	version, _, err := postgres.MigrateVersion(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.MigrateDown(t.Context(), url, int(version)-18); err != nil {
		t.Fatal(err)
	}
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	pool.Reset() // what connections have prepared is of tables that are gone
	c.write("line.csv", payoutLine+"A,M1,10.00,2026-11-10,SETTLED,P1\n")
	c.night("2026-11-12 12:00")
	if diff := cmp.Diff([]string{"A unsettled 0.00 2026-11-10"}, c.told()); diff != "" {
		t.Errorf("decided (-want +got):\n%s", diff)
	}
	c.holds("2026-11-12 12:00", "after migrating")
}
