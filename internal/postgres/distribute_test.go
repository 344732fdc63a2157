package postgres_test

import (
	"testing"

	"github.com/posrecon/posrecon/internal/postgres"
)

// A migration that makes a table has to say where it lies on a distributed server, before anybody has one.
func TestEveryTableHasAPlace(t *testing.T) {
	t.Parallel()
	pool := open(t)
	unplaced, err := postgres.Unplaced(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if len(unplaced) > 0 {
		t.Errorf("nobody says where %v lie", unplaced)
	}
	if _, err := pool.Exec(t.Context(), `CREATE TABLE archive.new_table ()`); err != nil {
		t.Fatal(err)
	}
	if unplaced, err = postgres.Unplaced(t.Context(), pool); err != nil || len(unplaced) != 1 || unplaced[0] != "archive.new_table" {
		t.Errorf("of a new table it says %v, %v", unplaced, err)
	}
}
