package private

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mirror serves an archive such as Maven Central's, with stand-ins that only know their version: testdata/programs.txz
// holds bin/{postgres,initdb,pg_ctl} as shell scripts, closed to other users.
func mirror(t *testing.T) *httptest.Server {
	t.Helper()
	programs, err := os.ReadFile("testdata/programs.txz")
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	z := zip.NewWriter(&jar)
	w, err := z.Create("postgres.txz")
	if err == nil {
		_, err = w.Write(programs)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(jar.Bytes())
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.Contains(r.URL.Path, "/17."):
			http.NotFound(w, r)
		case strings.HasSuffix(r.URL.Path, ".sha256"):
			_, _ = w.Write([]byte(hex.EncodeToString(sum[:])))
		default:
			_, _ = w.Write(jar.Bytes())
		}
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestDownload(t *testing.T) {
	t.Setenv(mirrorEnv, mirror(t).URL)
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves a log there
	dir := dataDir(t)
	o := Options{DataDir: dir, Log: slog.New(slog.DiscardHandler)}
	bin, err := programs(t.Context(), o, dir, nil, nowhere(dir))
	if err != nil {
		t.Fatal(err)
	}
	if want := (binaries{filepath.Join(dir, "pgsql-17.5.0", "bin"), version{17, 5}}); bin != want {
		t.Errorf("downloaded %v, want %v", bin, want)
	}
	info, err := os.Stat(bin.path("initdb"))
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the server's user cannot run it: %v, err %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, downloadPattern)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	all := machineSources(dir)
	again, _, ok := find(t.Context(), all[len(all)-1:], newClusterMajor)
	if !ok || again != bin {
		t.Errorf("the next start finds %v, want %v", again, bin)
	}
}

func TestDownloadFails(t *testing.T) {
	srv := mirror(t)
	t.Setenv(mirrorEnv, srv.URL)
	t.Setenv("TMPDIR", t.TempDir()) // the library leaves a log there
	dir := dataDir(t)
	o := Options{DataDir: dir, Log: slog.New(slog.DiscardHandler)}

	_, err := programs(t.Context(), o, dir, &cluster{dir: dir, major: 16}, nowhere(dir))
	wantParts(t, err, "no version found matching 16", mirrorEnv, "apt-get install postgresql-16")
	_, err = programs(t.Context(), o, dir, &cluster{dir: dir, major: 99}, nowhere(dir))
	wantParts(t, err, "PostgreSQL 99 is not offered for download")

	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = programs(cancelled, o, dir, nil, nowhere(dir)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled download: %v", err)
	}

	srv.Close()
	_, err = programs(t.Context(), o, dir, nil, nowhere(dir))
	if !errors.Is(err, ErrNoPrograms) {
		t.Errorf("error %v", err)
	}
	wantParts(t, err, "unable to connect", mirrorEnv, "apt-get install postgresql", "--database-url")

	t.Setenv(binEnv, "/nowhere")
	_, err = Start(t.Context(), Options{DataDir: dir})
	wantParts(t, err, "looked in "+binEnv+"=/nowhere", "nothing else is looked at")
}
