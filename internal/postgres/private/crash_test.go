package private

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// helperEnv makes the test binary start a server in the folder it names and hold it until it is killed.
const helperEnv = "POSRECON_PRIVATE_TEST_HOLD"

// holdForEver is what the helper process does. It prints the server's URL, or why there is none.
func holdForEver(dir string) int {
	s, err := Start(context.Background(), options(dir))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.URL())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test closes it
	if err := s.Stop(context.Background()); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// helper runs the test binary as a holder of dir, as user cred where that is set, and returns once its server runs.
func helper(t *testing.T, dir string, cred *syscall.Credential) (_ *exec.Cmd, stdin io.Closer, url string) {
	t.Helper()
	cmd := exec.Command(reachableBinary(t))
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), helperEnv+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if url = strings.TrimSpace(line); err != nil || !strings.HasPrefix(url, "postgres://") {
		t.Fatalf("the helper says %q, err %v", line, err)
	}
	return cmd, in, url
}

// reachableBinary copies the test binary to where every user may run it.
func reachableBinary(t *testing.T) string {
	t.Helper()
	src, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	dst := filepath.Join(dataDir(t), "helper")
	if err := os.WriteFile(dst, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return dst
}

// crash kills the server as the kernel would.
func crash(t *testing.T, s *Server) {
	t.Helper()
	if err := s.pm.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.pm.done
}

func TestServerKilled(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	s := mustStart(t, options(dir))
	do(t, s.URL(), keep)
	// A session in the middle of its work does not notice that its server is gone.
	busy, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close(context.Background())
	go busy.Exec(context.Background(), `SELECT count(*) FROM generate_series(1, 1e12)`)
	c, err := existingCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the long query runs", func() bool {
		return query(t, s.URL(), `SELECT count(*)::text FROM pg_stat_activity
			WHERE query LIKE '%1e12%' AND pid <> pg_backend_pid()`) == "1"
	})

	crash(t, s)
	if len(serverProcesses(t.Context(), c.dir)) == 0 {
		t.Error("the long query ended with its server; this test wants one that does not")
	}
	mustStop(t, s) // only gives the folder free
	s = mustStart(t, options(dir))
	if got := query(t, s.URL(), readKept); got != "here" {
		t.Errorf("after a crash: %q", got)
	}
}

func TestHolderKilled(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	cmd, _, url := helper(t, dir, nil)
	do(t, url, keep)

	_, err := Start(t.Context(), options(dir))
	if want := fmt.Sprint("process ", cmd.Process.Pid); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("while the helper holds it: %v; want %q in it", err, want)
	}

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := query(t, url, readKept); got != "here" { // the orphan still serves
		t.Errorf("from the orphan: %q", got)
	}
	s := mustStart(t, options(dir))
	if got := query(t, s.URL(), readKept); got != "here" {
		t.Errorf("after the orphan: %q", got)
	}
}

func TestLeaveAndHalt(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	s := mustStart(t, options(dir))
	s.Leave()
	if got := query(t, s.URL(), `SELECT 'up'`); got != "up" {
		t.Errorf("after Leave: %q", got)
	}
	for range 2 { // the second finds nothing to do
		if err := Halt(t.Context(), options(dir)); err != nil {
			t.Fatal(err)
		}
	}
	<-s.pm.done
	if s.pm.err != nil {
		t.Errorf("Halt did not stop the server in good order: %v", s.pm.err)
	}
}

// A start that is interrupted in initdb, or killed there, leaves nothing that the next one takes for a cluster.
func TestHalfMadeCluster(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if found, _ := filepath.Glob(filepath.Join(dir, newClusterPattern, "base")); len(found) > 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := Start(ctx, options(dir)); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted start: %v", err)
	}
	half := filepath.Join(dir, "new-postgres-123")
	if err := os.MkdirAll(filepath.Join(half, "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	mustStart(t, options(dir))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, clusterRE.ReplaceAllString(e.Name(), "postgres-N"))
	}
	if diff := cmp.Diff([]string{"posrecon.lock", "postgres-N", "postgres.log", "socket"}, got); diff != "" {
		t.Errorf("data directory (-want +got):\n%s", diff)
	}
}

func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	c, err := existingCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	as, err := serverAccount(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":                    "",
		"garbled":                  "x\ny\n",
		"a pid that is used again": fmt.Sprint(os.Getpid(), "\n", c.dir, "\n0\n5432\n\n\n"),
	} {
		pidFile := filepath.Join(c.dir, "postmaster.pid")
		if err := errors.Join(os.WriteFile(pidFile, []byte(text), 0o600), as.own(pidFile)); err != nil {
			t.Fatal(err)
		}
		o := options(dir)
		o.Wait = childHolds
		s, err := Start(t.Context(), o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		mustStop(t, s)
	}
}

// A server that somebody started by hand on our cluster is not ours to stop.
func TestStranger(t *testing.T) {
	t.Parallel()
	dir := seeded(t)
	c, err := existingCluster(dir)
	if err != nil {
		t.Fatal(err)
	}
	bin, _, _ := find(t.Context(), machineSources(dir), c.major)
	as, err := serverAccount(c)
	if err != nil {
		t.Fatal(err)
	}
	byHand := runner{bin: bin, as: as, home: dir}.command("postgres",
		"-c", "unix_socket_directories=.", "-c", "listen_addresses=", "-D", c.dir)
	if err := byHand.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = byHand.Process.Signal(syscall.SIGINT)
		if err := byHand.Wait(); err != nil {
			t.Errorf("the server that was started by hand: %v", err)
		}
	}()
	eventually(t, "the server by hand holds the cluster", func() bool {
		return readPidFile(filepath.Join(c.dir, "postmaster.pid")).pid == byHand.Process.Pid
	})
	_, err = Start(t.Context(), options(dir))
	wantParts(t, err, fmt.Sprintf("process %d, which posrecon did not start", byHand.Process.Pid))
}

// An ordinary user runs the server as themselves; root later runs it as that user and leaves the folder theirs.
func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		mustStart(t, options(dataDir(t)))
		return
	}
	dir := dataDir(t)
	as, err := accountOf(65534, 65534)
	if err != nil {
		t.Fatal(err)
	}
	if err := as.own(dir); err != nil {
		t.Fatal(err)
	}
	cmd, in, url := helper(t, dir, as.cred)
	do(t, url, keep)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}

	s := mustStart(t, options(dir))
	if got := query(t, s.URL(), readKept); got != "here" {
		t.Errorf("as root after an ordinary user: %q", got)
	}
	mustStop(t, s)
	cmd, in, _ = helper(t, dir, as.cred)
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("as an ordinary user after root: %v", err)
	}
}

func TestTidyWithoutServer(t *testing.T) {
	t.Parallel()
	if err := tidyAfterCrash(t.Context(), t.TempDir(), slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
}
