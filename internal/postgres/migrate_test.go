package postgres_test

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
	"github.com/posrecon/posrecon/migrations"
)

var migrationName = regexp.MustCompile(`^([0-9]{6})_([a-z]+(?:_[a-z]+)+)\.(up|down)\.sql$`)

// Migrations are numbered without a gap, each with one way up and one way down that are one transaction each.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	entries, err := fs.ReadDir(migrations.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	ways := map[int]map[string]string{} // number → direction → what
	for _, entry := range entries {
		m := migrationName.FindStringSubmatch(entry.Name())
		if m == nil {
			t.Errorf("%s is not NNNNNN_verb_what.up.sql or .down.sql", entry.Name())
			continue
		}
		number, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if ways[number] == nil {
			ways[number] = map[string]string{}
		}
		if _, twice := ways[number][m[3]]; twice {
			t.Errorf("number %d has two ways %s", number, m[3])
		}
		ways[number][m[3]] = m[2]
		text, err := fs.ReadFile(migrations.FS, entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		// A migration that breaks off half-way must leave nothing.
		if strings.Count(string(text), "BEGIN;") != 1 || !strings.HasSuffix(strings.TrimSpace(string(text)), "COMMIT;") {
			t.Errorf("%s is not one transaction", entry.Name())
		}
		// Its statements are sent one by one, cut at each semicolon.
		for line := range strings.Lines(string(text)) {
			if _, comment, found := strings.Cut(line, "--"); found && strings.Contains(comment, ";") {
				t.Errorf("%s has a semicolon in a comment: %s", entry.Name(), line)
			}
		}
		if strings.Contains(string(text), "$$") {
			t.Errorf("%s has a function, whose semicolons would cut it", entry.Name())
		}
	}
	for number := 1; number <= len(ways); number++ {
		up, down := ways[number]["up"], ways[number]["down"]
		if up == "" || up != down {
			t.Errorf("number %d goes up as %q and down as %q", number, up, down)
		}
	}
}

// schema describes everything that migrations make, one line each.
func schema(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(), `
		WITH ours AS (
		    SELECT oid, concat(NULLIF(relnamespace::regnamespace::text || '.', 'public.'), relname) AS relname, relkind
		      FROM pg_class
		     WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'archive'))
		       AND relname NOT LIKE 'schema_migrations%'
		)
		SELECT format('%s %s: column %s %s%s%s %s', relkind, relname, attname, format_type(atttypid, atttypmod),
		              CASE WHEN attnotnull THEN ' not null' END, attidentity, pg_get_expr(adbin, adrelid))
		  FROM ours JOIN pg_attribute ON attrelid = ours.oid AND attnum > 0 AND NOT attisdropped
		  LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
		 UNION ALL
		SELECT format('%s: constraint %s %s', relname, conname, pg_get_constraintdef(c.oid)) FROM ours JOIN pg_constraint AS c ON conrelid = ours.oid
		 UNION ALL
		SELECT pg_get_indexdef(indexrelid) FROM ours JOIN pg_index ON indrelid = ours.oid
		 UNION ALL
		SELECT format('%s: partitioned by %s', relname, pg_get_partkeydef(oid)) FROM ours WHERE relkind = 'p'
		 UNION ALL
		SELECT format('view %s: %s', relname, pg_get_viewdef(oid)) FROM ours WHERE relkind = 'v'
		 UNION ALL
		SELECT format('function %s', oid::regprocedure) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		 UNION ALL
		SELECT format('type %s', typname) FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
		 ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Every migration goes up and comes down again, one by one, and leaves the schema as it was before; then all go up once
// more to the same schema.
func TestMigrationsOneByOne(t *testing.T) {
	t.Parallel()
	url := testdb.NewEmpty(t)
	src, err := iofs.New(migrations.FS, ".")
	if err != nil {
		t.Fatal(err)
	}
	m, err := migrate.NewWithSourceInstance("iofs", src, strings.Replace(url, "postgres://", "pgx5://", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	version := func() uint {
		t.Helper()
		version, dirty, err := m.Version()
		if err != nil && !errors.Is(err, migrate.ErrNilVersion) || dirty {
			t.Fatalf("version %d, dirty %v: %v", version, dirty, err)
		}
		return version
	}
	step := func(n int) {
		t.Helper()
		if err := m.Steps(n); err != nil {
			t.Fatalf("%+d from version %d: %v", n, version(), err)
		}
	}

	entries, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	newest := len(entries)
	states := [][]string{schema(t, conn)} // by version
	if len(states[0]) > 0 || version() != 0 {
		t.Fatalf("the empty database is at version %d and has %v", version(), states[0])
	}
	for number := 1; number <= newest; number++ {
		step(1)
		if version() != uint(number) {
			t.Fatalf("the version is %d, want %d", version(), number)
		}
		states = append(states, schema(t, conn))
		if slices.Equal(states[number], states[number-1]) {
			t.Errorf("migration %d changes nothing", number)
		}
	}
	for number := newest; number >= 1; number-- {
		step(-1)
		if version() != uint(number-1) {
			t.Fatalf("the version is %d, want %d", version(), number-1)
		}
		if diff := cmp.Diff(states[number-1], schema(t, conn)); diff != "" {
			t.Errorf("down from %d leaves another schema than was before it (-before +after):\n%s", number, diff)
		}
		// And up and down once more from here: what a migration does must not depend on what stood behind it.
		step(1)
		if diff := cmp.Diff(states[number], schema(t, conn)); diff != "" {
			t.Errorf("up to %d again gives another schema (-first +again):\n%s", number, diff)
		}
		step(-1)
	}
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(states[newest], schema(t, conn)); diff != "" {
		t.Errorf("all at once give another schema (-one by one +at once):\n%s", diff)
	}
	// Up at the newest and down at nothing are done, not errors.
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Errorf("up at the newest: %v", err)
	}
	for range 2 {
		if err := postgres.MigrateDown(t.Context(), url, 0); err != nil {
			t.Errorf("down to nothing: %v", err)
		}
	}
	if left := schema(t, conn); len(left) > 0 || version() != 0 {
		t.Errorf("version %d, left: %v", version(), left)
	}
}

// Migrations come down also with data and partitions in them.
func TestMigrateDownWithData(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	pool, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	fill(t, pool)
	for version, _, err := postgres.MigrateVersion(t.Context(), url); version > 0; version, _, err = postgres.MigrateVersion(t.Context(), url) {
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.MigrateDown(t.Context(), url, 1); err != nil {
			t.Fatalf("down from %d: %v", version, err)
		}
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if left := schema(t, conn); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
