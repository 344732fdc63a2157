package testdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/migrations"
)

const (
	testPrefix     = "posrecon_test_"
	templatePrefix = "posrecon_template_"
	// templateLock keeps two processes from making the same template; the number is arbitrary.
	templateLock = 5_812_339_144_012
	// keepFor is how long the database of a failed test is safe from the next run.
	keepFor = time.Hour
	// keepTemplates is how many schemas stay ready, for working on several branches.
	keepTemplates = 8
)

// create makes a database from the template and has the test drop it.
func (s *server) create(t testing.TB, template string) string {
	t.Helper()
	name := databaseName(time.Now())
	if err := s.clone(name, template); err != nil {
		t.Fatalf("make a database for the test: %v", err)
	}
	databaseURL := s.url(name)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the database of this failed test is kept for %s: psql '%s'", keepFor, databaseURL)
			return
		}
		if err := s.drop(name); err != nil {
			t.Errorf("drop the database of the test: %v", err)
		}
	})
	return databaseURL
}

// databaseName returns a new name. It says when, for prune; the random part makes it the only one.
func databaseName(now time.Time) string {
	return testPrefix + strconv.FormatInt(now.Unix(), 10) + "_" + strings.ToLower(rand.Text()[:10])
}

// clone copies the template's files. PostgreSQL 15 would rather log every page of them, which takes twice as long for a
// small database; PostgreSQL 14 knows no other way and not the word.
func (s *server) clone(name, template string) error {
	ctx, cancel := context.WithTimeout(context.Background(), workLimit)
	defer cancel()
	for _, node := range s.nodes() {
		if err := s.with(ctx, node, func(conn *pgx.Conn) error {
			sql := `CREATE DATABASE ` + quote(name) + ` TEMPLATE ` + quote(template)
			if !strings.HasPrefix(conn.PgConn().ParameterStatus("server_version"), "14.") {
				sql += ` STRATEGY file_copy`
			}
			_, err := conn.Exec(ctx, sql)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) drop(name string) error {
	err := s.exec(`DROP DATABASE IF EXISTS ` + quote(name) + ` WITH (FORCE)`)
	for try := 0; try < 20 && err != nil && distributed; try++ { // the processes of Citus come back after they were ended
		err = s.exec(`DROP DATABASE IF EXISTS ` + quote(name) + ` WITH (FORCE)`)
	}
	return err
}

// makeTemplate returns the name of a migrated database to clone, and makes it if no process has done so before.
func (s *server) makeTemplate() (_ string, err error) {
	hash, err := hashFiles(migrations.FS)
	if err != nil {
		return "", fmt.Errorf("read the migrations: %w", err)
	}
	name := templatePrefix + hash
	if distributed {
		name += "_distributed"
	}
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	err = s.with(ctx, s.adminURL, func(conn *pgx.Conn) error {
		// The lock goes with the connection.
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, templateLock); err != nil {
			return err
		}
		var whole bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`,
			name).Scan(&whole)
		if err != nil || whole {
			return err
		}
		return s.migrateTemplate(ctx, name)
	})
	if err != nil {
		return "", fmt.Errorf("make the template of the tests' databases: %w", err)
	}
	return name, nil
}

// migrateTemplate makes the template anew. The mark IS_TEMPLATE comes last and says that it is whole; without connections
// nothing can change it, or be in the way of a clone.
func (s *server) migrateTemplate(ctx context.Context, name string) error {
	if err := s.everywhere(ctx,
		`DROP DATABASE IF EXISTS `+quote(name)+` WITH (FORCE)`, // half-made by a test that was killed
		`CREATE DATABASE `+quote(name),
	); err != nil {
		return err
	}
	if err := postgres.MigrateUp(ctx, s.url(name)); err != nil {
		return err
	}
	if distributed {
		if err := s.distribute(ctx, name); err != nil {
			return fmt.Errorf("distribute it: %w", err)
		}
	}
	return s.everywhere(ctx,
		`ALTER DATABASE `+quote(name)+` WITH ALLOW_CONNECTIONS false`,
		// A process of Citus for each of its databases would be in the way of a clone as a connection is.
		`SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '`+name+`'`,
		`ALTER DATABASE `+quote(name)+` WITH IS_TEMPLATE true`)
}

// everywhere runs statements on the server, and before that on its workers.
func (s *server) everywhere(ctx context.Context, statements ...string) error {
	for _, node := range s.nodes() {
		if err := s.with(ctx, node, func(conn *pgx.Conn) error {
			for _, sql := range statements {
				if _, err := conn.Exec(ctx, sql); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// hashFiles names a set of files by their names and contents.
func hashFiles(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%q %q\n", path, text)
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// prune drops what earlier runs left: databases that were kept long enough, and templates that nobody has asked for
// lately. The caller sees to it that nobody uses the server.
func (s *server) prune(ctx context.Context) error {
	names, err := s.databases(ctx)
	if err != nil {
		return err
	}
	var drop []string
	for _, name := range names {
		if oldTest(name, time.Now()) {
			drop = append(drop, name)
		}
	}
	return s.with(ctx, s.adminURL, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, `
			SELECT datname
			FROM pg_database
			WHERE starts_with(datname, $1) AND datistemplate
			ORDER BY oid DESC
			OFFSET $2`, templatePrefix, keepTemplates)
		templates, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return fmt.Errorf("list old templates: %w", err)
		}
		for _, name := range templates {
			if _, err := conn.Exec(ctx, `ALTER DATABASE `+quote(name)+` WITH IS_TEMPLATE false`); err != nil {
				return fmt.Errorf("drop an old template: %w", err)
			}
		}
		for _, name := range append(drop, templates...) {
			if _, err := conn.Exec(ctx, `DROP DATABASE `+quote(name)+` WITH (FORCE)`); err != nil {
				return fmt.Errorf("drop a database that an earlier run left: %w", err)
			}
		}
		return nil
	})
}

// oldTest tells whether a test's database has been kept long enough.
func oldTest(name string, now time.Time) bool {
	stamp, _, _ := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
	made, err := strconv.ParseInt(stamp, 10, 64)
	return err == nil && now.Sub(time.Unix(made, 0)) > keepFor
}

// databases lists the databases of tests.
func (s *server) databases(ctx context.Context) (names []string, err error) {
	err = s.with(ctx, s.adminURL, func(conn *pgx.Conn) error {
		rows, _ := conn.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname`, testPrefix)
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the tests' databases: %w", err)
	}
	return names, nil
}

func (s *server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), workLimit)
	defer cancel()
	return s.everywhere(ctx, sql)
}

// with runs do on a connection of its own: a pool's goroutines would show up in a test that looks for leaks.
func (s *server) with(ctx context.Context, databaseURL string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(conn)
}

// url is the address of one of the server's databases.
func (s *server) url(database string) string { return databaseAt(s.adminURL, database) }

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// ping tells whether a server takes connections.
func ping(ctx context.Context, adminURL string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
