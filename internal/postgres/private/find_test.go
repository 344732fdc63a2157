package private

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]version{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": {15, 18},
		"postgres (PostgreSQL) 19beta2":                          {19, 0},
		"postgres (PostgreSQL) 20devel":                          {20, 0},
		"postgres (PostgreSQL) 9.6.24":                           {9, 6},
	} {
		if got, err := parseVersion(text); err != nil || got != want {
			t.Errorf("%q is %v, err %v; want %v", text, got, err, want)
		}
	}
	if got, err := parseVersion("bash: postgres: not found"); err == nil {
		t.Errorf("no version is %v", got)
	}
}

// fakePrograms makes a folder with programs that only know their version.
func fakePrograms(t *testing.T, root, name, version string) string {
	t.Helper()
	dir := filepath.Join(root, name, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"postgres", "initdb"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", program, version)
		if err := os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	fakePrograms(t, root, "9.6", "9.6.24")
	fakePrograms(t, root, "14", "14.9")
	fakePrograms(t, root, "16.2", "16.2")
	fakePrograms(t, root, "16.10", "16.10") // newer than 16.2, though not in the alphabet
	if err := os.Remove(filepath.Join(fakePrograms(t, root, "18", "18.1"), "initdb")); err != nil {
		t.Fatal(err)
	}
	first := fakePrograms(t, root, "x/15", "15.1")
	all := globs(filepath.Join(root, "*", "bin"))
	for _, test := range []struct {
		name   string
		places []source
		major  int
		want   string // "" for none
	}{
		{"highest of a source, whole ones only", []source{all}, 0, "16.10"},
		{"first source before a higher version", []source{{dirs: fixed(first)}, all}, 0, "15.1"},
		{"the cluster's version from wherever", []source{{dirs: fixed(first)}, all}, 14, "14.9"},
		{"too old", []source{{dirs: fixed(filepath.Join(root, "9.6", "bin"))}}, 0, ""},
		{"not here", []source{all}, 17, ""},
		{"no such folder", []source{{dirs: fixed("/nowhere")}}, 0, ""},
	} {
		got, _, ok := find(t.Context(), test.places, test.major)
		if ok != (test.want != "") || ok && got.version.String() != test.want {
			t.Errorf("%s: %v, %t; want %q", test.name, got.version, ok, test.want)
		}
	}
}

// nowhere are the sources of a machine without PostgreSQL.
func nowhere(string) []source {
	return []source{{name: "PATH", dirs: fixed()}, globs("/nowhere/*/bin")}
}

func TestNoPrograms(t *testing.T) {
	t.Parallel()
	_, err := start(t.Context(), options(dataDir(t)), nowhere)
	if !errors.Is(err, ErrNoPrograms) {
		t.Fatalf("error %v", err)
	}
	wantParts(t, err, "PATH; /nowhere/*/bin", "switched off", "apt-get install postgresql", "--database-url")
}

// A cluster whose programs are gone is kept, and the error names the version that it needs.
func TestProgramsOfClusterMissing(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	c := writeVersion(t, dir, "postgres-14", "14\n")
	others := func(string) []source {
		return []source{{dirs: fixed(fakePrograms(t, dir, "elsewhere", "16.3"))}}
	}
	_, err := start(t.Context(), options(dir), others)
	if !errors.Is(err, ErrNoPrograms) {
		t.Fatalf("error %v", err)
	}
	wantParts(t, err, "version 14", c, "found 16.3 in", "apt-get install postgresql-14", "move that folder away")
	entries, err := os.ReadDir(c)
	if err != nil || len(entries) != 1 {
		t.Errorf("the cluster was touched: %v, err %v", entries, err)
	}
}

func TestBadVersionFile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"garbage\n", "", "-3\n"} {
		dir := dataDir(t)
		c := writeVersion(t, dir, "postgres-15", text)
		_, err := Start(t.Context(), options(dir))
		if err == nil {
			t.Fatalf("PG_VERSION %q was taken", text)
		}
		wantParts(t, err, c, fmt.Sprintf("PG_VERSION says %q", strings.TrimSpace(text)), "backup")
	}
	dir := dataDir(t)
	if err := os.Mkdir(filepath.Join(dir, "postgres-15"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), options(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a cluster without PG_VERSION: %v", err)
	}
}

// writeVersion makes a cluster of which nothing but its version is there.
func writeVersion(t *testing.T, dataDir, name, text string) string {
	t.Helper()
	dir := filepath.Join(dataDir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func wantParts(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v\nlacks %q", err, part)
		}
	}
}

func TestNewestCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, v := range []string{"9", "16", "15"} {
		writeVersion(t, dir, "postgres-"+v, v+"\n")
	}
	writeVersion(t, dir, "postgres-17.bak", "17\n")
	c, err := existingCluster(dir)
	if err != nil || c.major != 16 {
		t.Errorf("cluster %v, err %v; want version 16", c, err)
	}
}

// Root's own folders are closed to the user that runs the server.
func TestShutFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // an ordinary user runs the server as themselves
	}
	shut := filepath.Join(dataDir(t), "shut")
	if err := os.Mkdir(shut, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), options(filepath.Join(shut, "data")))
	wantParts(t, err, "may not pass "+shut+" ", "chmod o+x "+shut, "--data-dir")
}

func TestForeignFolder(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Options{})
	wantParts(t, err, "--data-dir")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), options(file))
	wantParts(t, err, file+" is not a folder", "--data-dir")
}

func TestServerEnv(t *testing.T) {
	t.Parallel()
	got := serverEnv([]string{"HOME=/root", "PGDATA=/x", "PGPORT=1", "LC_MESSAGES=zh_CN", "LANG=zh_CN.UTF-8", "LANGUAGE=zh", "PATH=/bin"})
	if diff := cmp.Diff([]string{"HOME=/root", "PATH=/bin", "LC_ALL=C"}, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestRoleOf(t *testing.T) {
	t.Parallel()
	const dir = "/data/postgres-15"
	here, elsewhere := func() bool { return true }, func() bool { return false }
	type verdict struct {
		Role role
		OK   bool
	}
	for _, test := range []struct {
		args  string
		works func() bool
		want  verdict
	}{
		{"/usr/bin/postgres|-D|/data/postgres-15|-c|jit=off", elsewhere, verdict{ours, true}}, // not yet changed folder
		{"/usr/bin/postgres|-D|/data/postgres-15|-p|1", here, verdict{stranger, true}},
		{"/usr/bin/postgres|-D|/data/postgres-155|-c|jit=off", elsewhere, verdict{stranger, false}},
		{"postgres: checkpointer ", here, verdict{session, true}},
		{"postgres: checkpointer ", elsewhere, verdict{session, false}},
		{"/usr/bin/vim|-D|/data/postgres-15|-c", here, verdict{}},
	} {
		r, ok := roleOf(strings.Split(test.args, "|"), dir, test.works)
		if diff := cmp.Diff(test.want, verdict{r, ok}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.args, diff)
		}
	}
}

func TestParsePs(t *testing.T) {
	t.Parallel()
	const out = `    1 /sbin/launchd
  812 /Users/a/Library/Application Support/posrecon/pgsql-17.5.0/bin/postgres -D /Users/a/x/postgres-17 -c fsync=on
  813 /opt/homebrew/opt/postgresql@17/bin/postgres -D /Users/a/x/postgres-17.bak -c fsync=on
  814 postgres: checkpointer
  815 grep -D /Users/a/x/postgres-17 -c 1
`
	got := parsePs(out, "/Users/a/x/postgres-17")
	want := []process{{pid: 812, role: ours}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(process{})); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	got := arguments(map[string]string{"work_mem": "64MB", "jit": "off"})
	if diff := cmp.Diff([]string{"-c", "jit=off", "-c", "work_mem=64MB"}, got); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if m := memory(); m < 64<<20 {
		t.Errorf("this machine has %d bytes of memory", m)
	}
}
