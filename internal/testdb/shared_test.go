package testdb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/postgres/private"
)

// helperEnv makes the test binary use a server in the folder it names until it is killed.
const helperEnv = "POSRECON_TESTDB_TEST_HOLD"

// holdForEver is what the helper process does: it joins the server, makes a database, and waits to be killed.
func holdForEver(dir string) int {
	s, err := open(context.Background(), "", dir, local)
	if err == nil {
		err = s.exec(`CREATE DATABASE ` + quote(helperDatabase()))
	}
	fmt.Println(err)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 1
}

func helperDatabase() string { return fmt.Sprintf("%s%d_helper", testPrefix, os.Getpid()) }

// folder returns a place for a shared server of this test's own, which is stopped in the end.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "posrecon-testdb-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(private.Halt(context.Background(), localOptions(dir)), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func mustOpen(t *testing.T, dir string) *server {
	t.Helper()
	s, err := open(t.Context(), "", dir, local)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustLeave(t *testing.T, s *server) {
	t.Helper()
	if err := s.leave(); err != nil {
		t.Fatal(err)
	}
}

const started = `SELECT pg_postmaster_start_time()::text`

func TestLastOneStopsTheServer(t *testing.T) {
	t.Parallel()
	dir := folder(t)

	// Several at once start one server between them.
	servers := make([]*server, 3)
	var wg sync.WaitGroup
	for i := range servers {
		wg.Go(func() {
			s, err := open(context.Background(), "", dir, local)
			if err != nil {
				t.Error(err)
			}
			servers[i] = s
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	since := query(t, servers[0].adminURL, started)
	for _, s := range servers {
		if got := query(t, s.adminURL, started); got != since {
			t.Errorf("two servers, of %s and %s", since, got)
		}
	}
	if _, err := servers[0].template(); err != nil {
		t.Fatal(err)
	}

	mustLeave(t, servers[0])
	mustLeave(t, servers[1])
	if err := ping(t.Context(), servers[2].adminURL); err != nil {
		t.Errorf("stopped under a user's feet: %v", err)
	}
	mustLeave(t, servers[2])
	if err := ping(t.Context(), servers[2].adminURL); err == nil {
		t.Error("nobody stopped the server")
	}

	// The next run finds the template ready.
	again := mustOpen(t, dir)
	defer mustLeave(t, again)
	const templates = `SELECT count(*)::text FROM pg_database WHERE datistemplate AND datname LIKE 'posrecon_template%'`
	if got := query(t, again.adminURL, templates); got != "1" {
		t.Errorf("%s templates after a restart", got)
	}
}

// A test process that is killed leaves its server and its database; neither is in the way of the next run, nor does the
// next run need them.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	_, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "<nil>\n" {
		t.Fatalf("the helper says %q, err %v", line, err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	s := mustOpen(t, dir)
	if got, err := s.databases(t.Context()); err != nil || len(got) != 0 { // its name says 1970
		t.Errorf("the killed test's databases are %v, err %v", got, err)
	}

	// Without fsync, what a killed server wrote cannot be trusted.
	killServer(t, dir)
	s2 := mustOpen(t, dir)
	if _, err := s2.template(); err != nil {
		t.Errorf("after the server was killed: %v", err)
	}
	mustLeave(t, s)
	mustLeave(t, s2)
}

func killServer(t *testing.T, dir string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "data", "postgres-*", "postmaster.pid"))
	if err != nil || len(found) != 1 {
		t.Fatalf("pid files %v, err %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d does not end", pid)
		}
	}
}

// failed is a test that has failed.
type failed struct {
	testing.TB
	cleanups []func()
	logged   string
}

func (f *failed) Helper()                         {}
func (f *failed) Failed() bool                    { return true }
func (f *failed) Cleanup(c func())                { f.cleanups = append(f.cleanups, c) }
func (f *failed) Logf(format string, args ...any) { f.logged += fmt.Sprintf(format, args...) }

func TestFailedTestKeepsItsDatabase(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := mustOpen(t, dir)
	f := &failed{TB: t}
	url := s.create(f, "template1")
	for _, c := range f.cleanups {
		c()
	}
	if !strings.Contains(f.logged, url) {
		t.Errorf("the test's log says %q", f.logged)
	}
	mustLeave(t, s)
	query(t, url, started) // by the URL that the log gave

	next := mustOpen(t, dir)
	query(t, url, started) // it is not an hour old
	if err := next.exec(`DROP DATABASE ` + quote(databaseOf(t, url))); err != nil {
		t.Error(err)
	}
	mustLeave(t, next)
}
