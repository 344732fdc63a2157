package ingest_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// inbox is a folder of files and a database to load them into.
type inbox struct {
	dir  string
	pool *pgxpool.Pool
	opt  ingest.Options
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &inbox{t.TempDir(), pool, ingest.Options{Zone: zone}}
}

// path is where a file of the inbox lies.
func (in *inbox) path(name string) string { return filepath.Join(in.dir, filepath.FromSlash(name)) }

// write puts a file into the inbox.
func (in *inbox) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(in.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in.path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load loads the inbox and returns what became of each file, by its name within it.
func (in *inbox) load(t *testing.T) map[string]ingest.File {
	t.Helper()
	report, err := ingest.Paths(t.Context(), in.pool, []string{in.dir}, in.opt)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]ingest.File{}
	for _, f := range report.Files {
		name, err := filepath.Rel(in.dir, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(name)] = f
	}
	in.nothingLost(t)
	return files
}

// nothingLost holds that every line that was read is a row or a rejected line, and that neither is of a file that is
// not loaded.
func (in *inbox) nothingLost(t *testing.T) {
	t.Helper()
	if wrong := in.query(t, `
		SELECT format('%s is %s: %s lines read, %s loaded and %s rejected by the register, %s rows and %s rejected lines stored',
		              f.name, f.state, f.rows_read, f.rows_loaded, f.rows_rejected, n.rows, n.lines)
		  FROM file AS f
		  CROSS JOIN LATERAL (SELECT (SELECT count(*) FROM pos_row AS r WHERE r.file_id = f.file_id)
		                           + (SELECT count(*) FROM settlement_row AS r WHERE r.file_id = f.file_id)
		                           + (SELECT count(*) FROM payout_row AS r WHERE r.file_id = f.file_id)
		                           + (SELECT count(*) FROM bank_row AS r WHERE r.file_id = f.file_id) AS rows,
		                             (SELECT count(*) FROM rejected_line AS r WHERE r.file_id = f.file_id) AS lines) AS n
		 WHERE (f.rows_read, f.rows_loaded, f.rows_rejected) <> (n.rows + n.lines, n.rows, n.lines)
		    OR f.state <> 'loaded' AND n.rows + n.lines > 0`); len(wrong) > 0 {
		t.Errorf("lines are lost:\n%s", strings.Join(wrong, "\n"))
	}
}

// query returns the rows of a statement that selects one text.
func (in *inbox) query(t *testing.T, sql string, args ...any) []string {
	t.Helper()
	rows, err := in.pool.Query(context.Background(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return list
}

// rejected returns the rejected lines of a file: number, field, value and rule.
func (in *inbox) rejected(t *testing.T, name string) []string {
	t.Helper()
	rows, err := in.pool.Query(context.Background(), `
		SELECT line, field, value, rule FROM rejected_line JOIN file USING (file_id) WHERE name = $1 ORDER BY line`, name)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var line int64
		var field, value, rule string
		err := row.Scan(&line, &field, &value, &rule)
		return fmt.Sprintf("%d %s %q: %s", line, field, value, rule), err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
