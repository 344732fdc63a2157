// Package testdb gives each test a PostgreSQL database of its own: real, migrated, and gone afterwards. It is for tests
// only, and holds no fixtures: what is in a database is the test's business.
//
// The server is the one that POSRECON_TEST_DATABASE_URL names; else one that the machine's own server programs run,
// shared by every package of a go test; else a container. A package that uses it says
//
//	func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }
//
// so that the last one out stops the server. Without that, or when a test is killed, the server idles until the next run
// uses and stops it.
package testdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	// urlEnv names a server to use instead of one of our own: a user there must be allowed to create databases.
	urlEnv = "POSRECON_TEST_DATABASE_URL"
	// openLimit bounds the wait for a server; pulling an image takes longest.
	openLimit = 5 * time.Minute
	// workLimit bounds what is done for one test; cloning takes some 40 ms on an idle machine.
	workLimit = time.Minute
)

// New returns the URL of a new database with the newest schema. It is dropped when the test has passed, and kept, with its
// URL in the test's log, when it has failed.
func New(t testing.TB) string {
	t.Helper()
	s := current(t)
	template, err := s.template()
	if err != nil {
		t.Fatal(err)
	}
	return s.create(t, template)
}

// NewEmpty is New without a schema.
func NewEmpty(t testing.TB) string {
	t.Helper()
	return current(t).create(t, "template1")
}

// Server returns a URL with which a test may manage the whole server: roles, and databases that it drops itself.
func Server(t testing.TB) string {
	t.Helper()
	return current(t).adminURL
}

// Main runs a package's tests and returns their exit status. The last package to end stops the server, unless the
// database of a failed test is still there to be looked at.
func Main(m *testing.M) int {
	code := m.Run()
	opened.Lock()
	defer opened.Unlock()
	if opened.server == nil {
		return code
	}
	if err := opened.server.leave(); err != nil {
		// There is no test left to report to.
		fmt.Fprintln(os.Stderr, "testdb:", err)
		return max(code, 1)
	}
	return code
}

// opened is this process's server, or why there is none: every test that asks is told the same.
var opened struct {
	sync.Mutex
	server *server
	err    error
}

func current(t testing.TB) *server {
	t.Helper()
	opened.Lock()
	defer opened.Unlock()
	if opened.server == nil && opened.err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), openLimit)
		defer cancel()
		opened.server, opened.err = open(ctx, os.Getenv(urlEnv), sharedDir(), local, container)
	}
	if opened.err != nil {
		t.Fatal(opened.err)
	}
	return opened.server
}

// sharedDir is where all of a user's test processes meet.
func sharedDir() string {
	return filepath.Join(os.TempDir(), "posrecon-test-"+strconv.Itoa(os.Getuid()))
}
