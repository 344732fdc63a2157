package private

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperEnv); dir != "" {
		os.Exit(holdForEver(dir))
	}
	code := m.Run()
	if seedDir != "" {
		_ = os.RemoveAll(seedDir)
	}
	os.Exit(code)
}

// dataDir returns an empty folder that the server's user can reach, which t.TempDir is not when root runs the test.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "posrecon-private-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

var seedDir string

// seed makes one cluster for all tests that begin with one; initdb takes most of a test's time.
var seed = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("/tmp", "posrecon-private-")
	if err != nil {
		return err
	}
	seedDir = dir
	if err := os.Chmod(dir, 0o711); err != nil {
		return err
	}
	s, err := Start(context.Background(), options(dir))
	if err != nil {
		return err
	}
	return s.Stop(context.Background())
})

// seeded returns a data directory with a cluster in it: a new one, or that of path.
func seeded(t *testing.T, path ...string) string {
	t.Helper()
	dir := filepath.Join(append([]string{dataDir(t)}, path...)...)
	if err := errors.Join(seed(), makeDir(dir)); err != nil {
		t.Fatal(err)
	}
	c, err := existingCluster(seedDir)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-Rp", c.dir, dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the seed: %v: %s", err, out)
	}
	return dir
}

// options are for throw-away clusters; nothing is downloaded.
func options(dir string) Options {
	return Options{DataDir: dir, NoDownload: true, Settings: map[string]string{"shared_buffers": "16MB"}}
}

// childHolds is how long a child that a test beside this one is just starting may have the lock of the last server: until it is a program
// of its own. A lock that was not given back is held longer.
const childHolds = 10 * time.Second

func mustStart(t *testing.T, o Options) *Server {
	t.Helper()
	o.Wait = max(o.Wait, childHolds)
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func mustStop(t *testing.T, s *Server) {
	t.Helper()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
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

func do(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

const (
	keep     = `CREATE TABLE kept AS SELECT 'here' AS v`
	readKept = `SELECT v FROM kept`
)

// eventually polls until ok, and fails after a while.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func TestStartStopRestart(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	s := mustStart(t, options(dir))
	do(t, s.URL(), keep)

	got := map[string]string{}
	for _, name := range []string{
		"server_encoding", "fsync", "synchronous_commit", "full_page_writes", "jit", "max_connections", "work_mem",
		"max_wal_size", "checkpoint_timeout", "listen_addresses", "shared_buffers", "data_checksums", "TimeZone",
	} {
		got[name] = query(t, s.URL(), `SELECT current_setting('`+name+`')`)
	}
	want := map[string]string{
		"server_encoding": "UTF8", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "jit": "off",
		"max_connections": "50", "work_mem": "64MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min",
		"listen_addresses": "", "shared_buffers": "16MB", "data_checksums": "on", "TimeZone": "UTC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	// Where the server can, it compresses its log by the method that costs least.
	if query(t, s.URL(), `SELECT (COALESCE('lz4' = ANY (enumvals), false) = (setting = 'lz4'))::text FROM pg_settings WHERE name = 'wal_compression'`) != "true" {
		t.Error("it does not compress its log by lz4, though it could, or is said to though it cannot")
	}

	mustStop(t, s)
	mustStop(t, s) // a second one changes nothing
	if _, err := os.Stat(filepath.Join(dir, "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's folder is left behind: %v", err)
	}
	s = mustStart(t, options(dir))
	if got := query(t, s.URL(), readKept); got != "here" {
		t.Errorf("after a restart: %q", got)
	}

	// An interrupted program hands over a context that has ended; the server still stops in good order.
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ended); err != nil {
		t.Error(err)
	}
	<-s.Done()
	if s.pm.err != nil {
		t.Errorf("the server did not stop in good order: %v", s.pm.err)
	}
}

// The URL must do for golang-migrate as it does for pgx.
func TestURLMigrates(t *testing.T) {
	t.Parallel()
	s := mustStart(t, options(seeded(t)))
	if err := postgres.MigrateUp(t.Context(), s.URL()); err != nil {
		t.Fatal(err)
	}
	if v, dirty, err := postgres.MigrateVersion(t.Context(), s.URL()); err != nil || dirty || v == 0 {
		t.Errorf("version %d, dirty %t, err %v", v, dirty, err)
	}
}

// A path that is too long for a socket, or that a URL would read as two hosts, moves the socket and nothing else.
func TestAwkwardFolder(t *testing.T) {
	t.Parallel()
	dir := seeded(t, strings.Repeat("long,", 12), `with blank & "quote" ü 100%`)
	s := mustStart(t, options(dir))
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	short := u.Query().Get("host")
	if !strings.HasPrefix(short, shortRoot+"/"+shortPrefix) {
		t.Errorf("socket in %s", short)
	}
	if err := postgres.MigrateUp(t.Context(), s.URL()); err != nil {
		t.Error(err)
	}
	do(t, s.URL(), keep)

	// After a crash nothing but postmaster.pid leads to the short folder.
	crash(t, s)
	s.lock.release()
	s2 := mustStart(t, options(dir))
	if _, err := os.Stat(short); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the crashed server's socket folder is left behind: %v", err)
	}
	if got := query(t, s2.URL(), readKept); got != "here" {
		t.Errorf("after a crash: %q", got)
	}
}

// What a URL can carry stays in the data directory.
func TestOddFolder(t *testing.T) {
	t.Parallel()
	dir := seeded(t, `"b"+&%41ü[*]`)
	s := mustStart(t, options(dir))
	if err := postgres.MigrateUp(t.Context(), s.URL()); err != nil {
		t.Error(err)
	}
	if want := filepath.Join(dir, "socket"); s.sock.dir != want {
		t.Errorf("socket in %s, want %s", s.sock.dir, want)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	s := mustStart(t, options(dir))

	_, err := Start(t.Context(), options(dir))
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("second start: %v", err)
	}
	for _, part := range []string{dir, fmt.Sprint("process ", os.Getpid())} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q lacks %q", err, part)
		}
	}

	o := options(dir)
	o.Wait = 100 * time.Millisecond
	begin := time.Now()
	if _, err = Start(t.Context(), o); !errors.Is(err, ErrInUse) || time.Since(begin) < o.Wait {
		t.Errorf("second start gave up after %s: %v", time.Since(begin), err)
	}

	o.Wait = time.Minute
	started := make(chan error, 1)
	go func() {
		s2, err := Start(context.Background(), o)
		if err == nil {
			err = s2.Stop(context.Background())
		}
		started <- err
	}()
	mustStop(t, s)
	if err := <-started; err != nil {
		t.Errorf("waiting start: %v", err)
	}
}

func TestWaitIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	lock, err := acquire(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	o := options(dir)
	o.Wait = time.Minute
	if _, err := Start(ctx, o); !errors.Is(err, enough) {
		t.Errorf("interrupted wait: %v", err)
	}
}

// An interrupt while the server starts must leave nothing running and nothing locked.
func TestStartIsInterrupted(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil { // the cluster is in place, so the server is next
			if _, err := os.Stat(filepath.Join(dir, "postgres.log")); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := Start(ctx, options(dir)); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted start: %v", err)
	}
	c, err := existingCluster(dir)
	if err != nil || c == nil {
		t.Fatalf("cluster %v, err %v", c, err)
	}
	if procs := serverProcesses(t.Context(), c.dir); len(procs) > 0 {
		t.Errorf("left running: %v", procs)
	}
	mustStart(t, options(dir))
}

// Ctrl-C on the terminal signals its foreground process group, which the server must not be in.
func TestOwnProcessGroup(t *testing.T) {
	t.Parallel()
	s := mustStart(t, options(seeded(t)))
	pid := s.pm.cmd.Process.Pid
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid != pid {
		t.Errorf("the server %d is in process group %d, err %v", pid, pgid, err)
	}
}

func TestLogIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "postgres.log")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		size, want int64
	}{{logLimit, logLimit}, {logLimit + 1, 0}} {
		if err := os.Truncate(path, test.size); err != nil {
			t.Fatal(err)
		}
		f, from, err := openLog(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if from != test.want {
			t.Errorf("a log of %d bytes goes on at %d, want %d", test.size, from, test.want)
		}
	}
}
