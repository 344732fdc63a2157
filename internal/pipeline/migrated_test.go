//go:build !citus

// What is spread over nodes goes back only as far as it has been spread since (TestLaterMigrations).

package pipeline_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/postgres"
)

// States of payouts that a migration could not know are found by the next run: here of one that no line had named.
func TestPayoutsAfterMigrating(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	url := c.b.pool.Config().ConnString()
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
	c.b.pool.Reset() // what connections have prepared is of tables that are gone
	c.write("line.csv", payoutLine+"A,M1,10.00,2026-11-10,SETTLED,P1\n")
	c.night("2026-11-12 12:00")
	if diff := cmp.Diff([]string{"A unsettled 0.00 2026-11-10"}, c.told()); diff != "" {
		t.Errorf("decided (-want +got):\n%s", diff)
	}
	c.holds("2026-11-12 12:00", "after migrating")
}
