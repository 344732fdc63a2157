package private

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPrograms is what Start returns, wrapped, where the machine has no PostgreSQL server programs and none could be
// downloaded.
var ErrNoPrograms = errors.New("no PostgreSQL server programs")

// oldestMajor is the oldest PostgreSQL that posrecon's SQL and settings are written for.
const oldestMajor = 14

// version is a PostgreSQL version: 15.18.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func compareVersions(a, b version) int {
	return cmp.Or(cmp.Compare(a.major, b.major), cmp.Compare(a.minor, b.minor))
}

// binaries is a folder with postgres and initdb of one version.
type binaries struct {
	dir     string
	version version
}

func (b binaries) path(program string) string { return filepath.Join(b.dir, program) }

// source is one place to look for server programs. Its folders are tried as equals: the highest version wins.
type source struct {
	name string
	dirs func(ctx context.Context) []string
}

// binEnv names one folder with server programs; where it is set, nothing else is looked at.
const binEnv = "POSRECON_PG_BIN"

// machineSources lists where server programs are found on Linux and macOS, the most deliberate choice first.
func machineSources(dataDir string) []source {
	if dir := os.Getenv(binEnv); dir != "" {
		return []source{{name: binEnv + "=" + dir, dirs: fixed(dir)}}
	}
	return []source{
		{name: "PATH", dirs: onPath},
		{name: "pg_config --bindir", dirs: pgConfig},
		globs("/usr/lib/postgresql/*/bin"),     // Debian, Ubuntu
		globs("/usr/pgsql-*/bin"),              // the PostgreSQL project's packages for Red Hat and relatives
		globs("/usr/libexec/postgresql*"),      // Alpine
		globs("/usr/lib/postgresql[0-9]*/bin"), // SUSE
		globs("/usr/local/pgsql/bin"),          // built from source
		globs("/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin"),
		globs(filepath.Join(globEscape(dataDir), programsPrefix+"*", "bin")), // downloaded earlier
	}
}

func fixed(dirs ...string) func(context.Context) []string {
	return func(context.Context) []string { return dirs }
}

func globs(patterns ...string) source {
	return source{name: strings.Join(patterns, ", "), dirs: func(context.Context) []string {
		var dirs []string
		for _, p := range patterns {
			found, _ := filepath.Glob(p) // fails on a malformed pattern only
			dirs = append(dirs, found...)
		}
		return dirs
	}}
}

func globEscape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func onPath(context.Context) []string {
	p, err := exec.LookPath("postgres")
	if err != nil {
		return nil
	}
	return []string{filepath.Dir(p)}
}

func pgConfig(ctx context.Context) []string {
	out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output()
	if err != nil {
		return nil
	}
	return []string{strings.TrimSpace(string(out))}
}

// programs returns the server programs for cluster c, or for a new one where c is nil. What the machine lacks is
// downloaded, unless that is forbidden.
func programs(ctx context.Context, o Options, dataDir string, c *cluster, places []source) (binaries, error) {
	major := 0
	if c != nil {
		major = c.major
	}
	bin, others, ok := find(ctx, places, major)
	if ok {
		return bin, nil
	}
	fetchErr := errors.New("downloading them is switched off")
	if os.Getenv(binEnv) != "" {
		fetchErr = errors.New("where " + binEnv + " is set, nothing else is looked at")
	} else if !o.NoDownload {
		if bin, fetchErr = download(ctx, dataDir, major, o.Log); fetchErr == nil {
			return bin, nil
		}
	}
	if c != nil {
		return binaries{}, missingMajor(c, others, fetchErr)
	}
	return binaries{}, missingPrograms(places, others, fetchErr)
}

// find returns the first source's best programs of that major version, any from oldestMajor on where it is 0. others
// lists what it passed over.
func find(ctx context.Context, places []source, major int) (_ binaries, others []binaries, ok bool) {
	for _, place := range places {
		var fit []binaries
		for _, dir := range place.dirs(ctx) {
			b, err := inspect(ctx, dir)
			switch {
			case err != nil:
			case major == 0 && b.version.major >= oldestMajor, b.version.major == major:
				fit = append(fit, b)
			default:
				others = append(others, b)
			}
		}
		if len(fit) > 0 {
			return slices.MaxFunc(fit, func(a, b binaries) int { return compareVersions(a.version, b.version) }), others, true
		}
	}
	return binaries{}, others, false
}

// inspect returns the programs of dir, or an error where it lacks one. A client-only installation has no initdb.
func inspect(ctx context.Context, dir string) (binaries, error) {
	b := binaries{dir: dir}
	if _, err := exec.LookPath(b.path("initdb")); err != nil {
		return b, err
	}
	out, err := exec.CommandContext(ctx, b.path("postgres"), "--version").Output()
	if err != nil {
		return b, err
	}
	b.version, err = parseVersion(string(out))
	return b, err
}

var versionRE = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// parseVersion reads what postgres --version prints: "postgres (PostgreSQL) 15.18 (Debian …)", or 19beta1, 19devel.
func parseVersion(text string) (version, error) {
	m := versionRE.FindStringSubmatch(text)
	if m == nil {
		return version{}, fmt.Errorf("no PostgreSQL version in %q", strings.TrimSpace(text))
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return version{}, fmt.Errorf("read the PostgreSQL version %q: %w", m[1], err)
	}
	minor, _ := strconv.Atoi(m[2]) // a beta has none
	return version{major: major, minor: minor}, nil
}

func missingPrograms(places []source, others []binaries, fetchErr error) error {
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.name
	}
	return fmt.Errorf("%w from version %d on: looked in %s%s; %w; install them (Debian: apt-get install postgresql), "+
		"or name a server with --database-url",
		ErrNoPrograms, oldestMajor, strings.Join(names, "; "), passedOver(others), fetchErr)
}

func missingMajor(c *cluster, others []binaries, fetchErr error) error {
	return fmt.Errorf("%w of version %d, which wrote %s%s; %w; install them (Debian: apt-get install postgresql-%d), or "+
		"move that folder away to begin with an empty database",
		ErrNoPrograms, c.major, c.dir, passedOver(others), fetchErr, c.major)
}

// passedOver names the programs that were found and do not fit.
func passedOver(others []binaries) string {
	if len(others) == 0 {
		return ""
	}
	var b strings.Builder
	for i, o := range others {
		b.WriteString([]string{" (found ", ", "}[min(i, 1)])
		fmt.Fprintf(&b, "%s in %s", o.version, o.dir)
	}
	return b.String() + ")"
}
