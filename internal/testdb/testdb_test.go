package testdb

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(holdForEver(dir))
	}
	os.Exit(Main(m))
}

// query runs one statement that returns one text.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func databaseOf(t *testing.T, databaseURL string) string {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u.Path, "/")
}

func TestNew(t *testing.T) {
	t.Parallel()
	var names []string
	t.Run("two databases", func(t *testing.T) {
		a, b := New(t), New(t)
		names = append(names, databaseOf(t, a), databaseOf(t, b))
		if a == b {
			t.Errorf("the same database twice: %s", a)
		}
		if v, dirty, err := postgres.MigrateVersion(t.Context(), a); err != nil || dirty || v == 0 {
			t.Errorf("schema %d, dirty %t, err %v", v, dirty, err)
		}
		if got := query(t, a, `SELECT current_database()`); got != names[0] {
			t.Errorf("connected to %s, want %s", got, names[0])
		}
	})
	for _, name := range names {
		if got := query(t, Server(t), `SELECT count(*)::text FROM pg_database WHERE datname = '`+name+`'`); got != "0" {
			t.Errorf("left behind: %s", name)
		}
	}
}

func TestNewEmpty(t *testing.T) {
	t.Parallel()
	if v, _, err := postgres.MigrateVersion(t.Context(), NewEmpty(t)); err != nil || v != 0 {
		t.Errorf("an empty database has schema %d, err %v", v, err)
	}
}

func TestExternalServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "never")
	s, err := open(t.Context(), Server(t), dir)
	if err != nil {
		t.Fatal(err)
	}
	query(t, s.create(t, "template1"), `SELECT 'here'`)
	mustLeave(t, s)
	if err := ping(t.Context(), s.adminURL); err != nil {
		t.Errorf("a server that is not ours was stopped: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the shared folder was made for nothing: %v", err)
	}

	_, err = open(t.Context(), "postgres://nobody@127.0.0.1:1/none", dir)
	if err == nil || !strings.Contains(err.Error(), urlEnv) {
		t.Errorf("error %v; want %s in it", err, urlEnv)
	}
}

// The reasons of all sources are told, and one that is there but broken is not passed over.
func TestNoServer(t *testing.T) {
	t.Parallel()
	fails := func(name string, err error) source {
		return source{name: name, attach: func(context.Context, string) (string, func(context.Context) error, error) {
			return "", nil, err
		}}
	}
	absent := errors.Join(errAbsent, errors.New("because of A"))
	broken := errors.New("because of B")

	dir := filepath.Join(t.TempDir(), "shared")
	_, err := open(t.Context(), "", dir, fails("a", absent), fails("b", broken), fails("c", nil))
	for _, part := range []string{"a: ", "because of A", "b: because of B", urlEnv} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v; want %q in it", err, part)
		}
	}
	if free, err := unused(dir); err != nil || !free {
		t.Errorf("a failed open still counts as a user: %t, err %v", free, err)
	}
}

func TestSharedFolderOfSomebodyElse(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	link := filepath.Join(parent, "link")
	if err := os.Symlink(parent, link); err != nil {
		t.Fatal(err)
	}
	wide := filepath.Join(parent, "wide")
	if err := errors.Join(os.Mkdir(wide, 0o700), os.Chmod(wide, 0o777)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{link, wide} {
		if err := makeSharedDir(dir); err == nil {
			t.Errorf("%s was taken", dir)
		}
	}
}

func TestOldTest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	for name, want := range map[string]bool{
		"posrecon_test_1800000000_abc": false,
		"posrecon_test_1799996400_abc": false, // an hour
		"posrecon_test_1799996399_abc": true,
		"posrecon_test_abc":            false, // not made by this package
	} {
		if got := oldTest(name, now); got != want {
			t.Errorf("%s is old: %t", name, got)
		}
	}
}

func TestHashFiles(t *testing.T) {
	t.Parallel()
	hash := func(files fstest.MapFS) string {
		t.Helper()
		h, err := hashFiles(files)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	one := hash(fstest.MapFS{"a.sql": {Data: []byte("1")}, "b.sql": {Data: []byte("2")}})
	for _, other := range []fstest.MapFS{
		{"a.sql": {Data: []byte("1")}},
		{"a.sql": {Data: []byte("1")}, "c.sql": {Data: []byte("2")}},
		{"a.sql": {Data: []byte("2")}, "b.sql": {Data: []byte("1")}},
	} {
		if hash(other) == one {
			t.Errorf("%v has the hash of other files", other)
		}
	}
	if again := hash(fstest.MapFS{"b.sql": {Data: []byte("2")}, "a.sql": {Data: []byte("1")}}); again != one {
		t.Errorf("the same files have hashes %s and %s", one, again)
	}
}

// BenchmarkNew measures one clone and its removal.
func BenchmarkNew(b *testing.B) {
	s := current(b)
	template, err := s.template()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		name := databaseName(time.Now())
		if err := errors.Join(s.clone(name, template), s.drop(name)); err != nil {
			b.Fatal(err)
		}
	}
}
