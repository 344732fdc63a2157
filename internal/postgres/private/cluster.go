package private

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// newClusterPattern matches the folders of unfinished clusters.
const newClusterPattern = "new-postgres-*"

// cluster is the folder that holds the data, and the major version of the PostgreSQL that wrote it.
type cluster struct {
	dir   string
	major int
}

var clusterRE = regexp.MustCompile(`^postgres-(\d+)$`)

// existingCluster returns the cluster of dataDir, nil where there is none yet. Where somebody upgraded by hand and kept
// the old one, it is the newest. A folder that does not say its version is an error: it is never made anew, because it
// may be all that is left of the data.
func existingCluster(dataDir string) (*cluster, error) {
	entries, err := os.ReadDir(dataDir)
	if err != nil {
		return nil, fmt.Errorf("look for the private database: %w", err)
	}
	name, newest := "", -1
	for _, e := range entries {
		m := clusterRE.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		if n, err := strconv.Atoi(m[1]); err == nil && n > newest {
			name, newest = e.Name(), n
		}
	}
	if newest < 0 {
		return nil, nil
	}
	dir := filepath.Join(dataDir, name)
	// The folder may be a link to another disk; a running server is recognised by its real place.
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	major, err := readVersion(dir)
	if err != nil {
		return nil, fmt.Errorf("%s is no whole PostgreSQL database: bring it back from a backup, or move it away to begin "+
			"with an empty one: %w", dir, err)
	}
	return &cluster{dir: dir, major: major}, nil
}

func readVersion(dir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || major <= 0 {
		return 0, fmt.Errorf("PG_VERSION says %q", strings.TrimSpace(string(text)))
	}
	return major, nil
}

// initCluster makes the cluster beside its final place and renames it when it is whole, so that a start that was killed
// leaves no half of one.
func initCluster(ctx context.Context, run runner) (*cluster, error) {
	c := &cluster{dir: filepath.Join(run.home, fmt.Sprintf("postgres-%d", run.bin.version.major)), major: run.bin.version.major}
	temp, err := os.MkdirTemp(run.home, newClusterPattern)
	if err != nil {
		return nil, fmt.Errorf("make a folder for the private database: %w", err)
	}
	defer os.RemoveAll(temp)
	if err := run.as.own(temp); err != nil {
		return nil, fmt.Errorf("give the private database to user %s: %w", run.as.name, err)
	}
	if err := initdb(ctx, run, temp); err != nil {
		return nil, err
	}
	if err := os.Rename(temp, c.dir); err != nil {
		return nil, fmt.Errorf("put the private database in place: %w", err)
	}
	return c, nil
}

// initdb fills the empty folder dir. It prefers the C.UTF-8 locale, which orders by code point and knows the letters of
// every script, and takes C on systems without it.
func initdb(ctx context.Context, run runner, dir string) error {
	var errs []error
	for _, locale := range []string{"C.UTF-8", "C"} {
		out, err := run.run(ctx, "initdb",
			"--pgdata="+dir,
			"--username="+databaseName,
			"--encoding=UTF8",
			"--locale="+locale,
			"--auth-local=trust", // the socket's folder decides who gets in
			"--auth-host=reject", // there is no TCP; were it switched on by hand, it would stay shut
			"--data-checksums",   // a rotten disk is an error, never a wrong amount
		)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("create the private database: %w", err)
		}
		errs = append(errs, fmt.Errorf("initdb --locale=%s: %w: %s", locale, err, lastLines(out, 5)))
	}
	return fmt.Errorf("create the private database (is the disk full, or %s a network folder?): %w",
		run.home, errors.Join(errs...))
}

// lastLines returns the last n non-empty lines of text as one line, for an error message.
func lastLines(text string, n int) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
