//go:build !citus

package postgres_test

import (
	"errors"
	"testing"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
)

// A server without the extension says what it lacks, and its database stays as it is.
func TestNotDistributable(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	if err := postgres.Distribute(t.Context(), url); !errors.Is(err, postgres.ErrNotDistributable) {
		t.Errorf("error %v", err)
	}
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if is, err := postgres.Distributed(t.Context(), pool); is || err != nil {
		t.Errorf("distributed %t, error %v", is, err)
	}
}
