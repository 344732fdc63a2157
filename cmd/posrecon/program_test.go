package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
)

// result is what a call of the program gave.
type result struct {
	status         int
	stdout, stderr string
	peak           int64 // bytes of memory
}

// program prepares a call of posrecon as a process of its own: the test binary under that name, which TestMain provides.
func program(t *testing.T, databaseURL string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "posrecon", args...)
	cmd.Env = append(os.Environ(), "POSRECON_DATABASE_URL="+databaseURL, "POSRECON_DATA_DIR="+filepath.Join(t.TempDir(), "none"))
	return cmd
}

// start begins a call and returns what waits for its end.
func start(t *testing.T, cmd *exec.Cmd) (wait func() result) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() result {
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String(), usage.Maxrss << 10}
	}
}

// run makes a call and returns what it gave.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	return start(t, cmd)()
}

// writeFile writes a file of an inbox and returns its path.
func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const onePOSRow = "order_id,acquirer,merchant_id,channel,amount,status,txn_time\nA1,lakala,M1,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\n"

// Every command's help tells its exit statuses.
func TestHelp(t *testing.T) {
	t.Parallel()
	var walk func(path []string, c *cobra.Command)
	walk = func(path []string, c *cobra.Command) {
		t.Run("posrecon "+strings.Join(path, " "), func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if status := realMain(append(path, "--help"), strings.NewReader(""), &stdout, &stderr); status != 0 || stderr.Len() > 0 {
				t.Errorf("exit status %d, stderr %q", status, stderr.String())
			}
			if want := strings.TrimSpace(exitStatus); strings.Count(stdout.String(), want) != 1 {
				t.Errorf("its help does not tell the exit statuses once:\n%s", stdout.String())
			}
			if !c.HasParent() {
				return
			}
			if !strings.Contains(stdout.String(), "Usage:\n  posrecon "+strings.Join(path, " ")) {
				t.Errorf("its help does not say how to call it:\n%s", stdout.String())
			}
		})
		for _, sub := range c.Commands() {
			if sub.Name() != "help" {
				walk(append(path[:len(path):len(path)], sub.Name()), sub)
			}
		}
	}
	walk(nil, newRoot(&app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, getenv: os.Getenv}))
}

// A signal ends a run with exit status 130 and leaves nothing of what was not finished.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]os.Signal{"SIGINT": os.Interrupt, "SIGTERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := testdb.New(t)
			pool, err := postgres.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			// The decision cannot begin to write verdicts before this transaction ends.
			tx, err := pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback(context.WithoutCancel(t.Context()))
			if _, err := tx.Exec(t.Context(), `LOCK TABLE verdict IN ACCESS EXCLUSIVE MODE`); err != nil {
				t.Fatal(err)
			}

			inbox := t.TempDir()
			writeFile(t, filepath.Join(inbox, "pos.csv"), onePOSRow)
			cmd := program(t, url, "run", "--inbox", inbox, "--as-of", "2026-11-03T12:00:00+08:00")
			wait := start(t, cmd)
			for waiting := false; !waiting; {
				if err := pool.QueryRow(t.Context(), `
					SELECT EXISTS (SELECT
					                 FROM pg_locks
					                WHERE relation = 'verdict'::regclass
					                  -- Databases that are clones of one template have the same numbers for their tables.
					                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
					                  AND NOT granted)`).Scan(&waiting); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			got := wait()
			if got.status != exitInterrupted {
				t.Errorf("exit status %d, want %d", got.status, exitInterrupted)
			}
			if want := "posrecon: interrupted; what was not finished is rolled back, the next run goes on\n"; got.stderr != want || got.stdout != "" {
				t.Errorf("stdout %q, stderr %q, want %q on stderr alone", got.stdout, got.stderr, want)
			}
			if err := tx.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The file was one transaction and is whole; the decision is absent. The next run goes on.
			var rows, verdicts, runs int
			if err := pool.QueryRow(t.Context(), `
				SELECT (SELECT count(*) FROM pos_row), (SELECT count(*) FROM decided), (SELECT count(*) FROM run)`).Scan(&rows, &verdicts, &runs); err != nil {
				t.Fatal(err)
			}
			if rows != 1 || verdicts != 0 || runs != 0 {
				t.Errorf("%d rows, %d verdicts, %d runs are stored, want 1, 0, 0", rows, verdicts, runs)
			}
			if again := run(t, program(t, url, "run", "--inbox", inbox, "--as-of", "2026-11-03T12:00:00+08:00")); again.status != exitDone {
				t.Errorf("the next run: exit status %d: %s", again.status, again.stderr)
			}
		})
	}
}

// memoryLimit is design 3's for the program, whatever an input's size.
const memoryLimit = 256 << 20

// A line of 100 MB is one rejected line; the lines beside it load, and memory stays bounded.
func TestHundredMegabyteLine(t *testing.T) {
	t.Parallel()
	inbox := t.TempDir()
	f, err := os.Create(filepath.Join(inbox, "pos.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 100_000_000
	chunk := bytes.Repeat([]byte("x"), 1_000_000)
	if _, err := f.WriteString(onePOSRow + "A2,lakala,M1,WECHAT,10.00,SUCCESS,"); err != nil {
		t.Fatal(err)
	}
	for range size / len(chunk) {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteString("\nA3,lakala,M1,WECHAT,30.00,SUCCESS,2026-11-02 12:00:00\n"); err != nil {
		t.Fatal(err)
	}

	url := testdb.New(t)
	got := run(t, program(t, url, "ingest", inbox))
	if want := "Files    1 loaded, 2 rows, 1 lines rejected\n         " + f.Name() + ": 1 of 3 lines rejected, see 'posrecon check'\n"; got.stdout != want || got.status != exitAttention {
		t.Errorf("exit status %d, stdout (-want +got):\n%s%s", got.status, cmp.Diff(want, got.stdout), got.stderr)
	}
	if got.peak > memoryLimit {
		t.Errorf("it took %d MiB of memory, want at most %d", got.peak>>20, memoryLimit>>20)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	type line struct {
		Line              int64
		Field, Rule, Head string
		Length            int
	}
	rows, err := conn.Query(t.Context(), `SELECT line, field, rule, left(raw, 40), length(raw) FROM rejected_line`)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowToStructByPos[line])
	if err != nil {
		t.Fatal(err)
	}
	want := []line{{3, "", "the line is longer than 1 MiB", "A2,lakala,M1,WECHAT,10.00,SUCCESS,xxxxxx", 200}}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("rejected lines (-want +got):\n%s", diff)
	}
}

// The same files give the same bytes whatever language the database sorts text by.
func TestSortedByTheDatabase(t *testing.T) {
	t.Parallel()
	inbox := t.TempDir()
	header, rows := strings.SplitAfter(onePOSRow, "\n")[0], ""
	// In a language b comes before C and the hyphen counts for little; by bytes it is otherwise.
	for _, id := range []string{"b1", "C1", "a-2", "a1", "A1", "a_1", "ä", "支付", "a 1", "10", "9"} {
		rows += id + ",lakala,M" + id + ",WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\n"
	}
	writeFile(t, filepath.Join(inbox, "pos.csv"), header+rows)
	writeFile(t, filepath.Join(inbox, "B", "copy.csv"), header+rows+rows)
	writeFile(t, filepath.Join(inbox, "a", "Copy.csv"), header+rows+rows) // two names for the same bytes
	writeFile(t, filepath.Join(inbox, "lakala", "settlement.csv"),
		"order_id,merchant_id,amount,settle_date,status\nc9,Mx,1.00,2026-11-03,SETTLED\nC8,Mx,1.00,2026-11-03,SETTLED\n")

	exported := func(t *testing.T, url string) []string {
		t.Helper()
		if got := run(t, program(t, url, "run", "--inbox", inbox, "--as-of", "2026-11-04T12:00:00+08:00")); got.status != exitDone {
			t.Fatalf("exit status %d: %s%s", got.status, got.stdout, got.stderr)
		}
		got := run(t, program(t, url, "export", "--scope", "all"))
		if got.status != exitDone {
			t.Fatalf("exit status %d: %s", got.status, got.stderr)
		}
		return strings.Split(got.stdout, "\r\n")
	}
	byBytes := databaseSortedBy(t, "LC_COLLATE 'C' LC_CTYPE 'C'")
	byLanguage := databaseSortedBy(t, "LOCALE_PROVIDER icu ICU_LOCALE 'en-US'")
	if diff := cmp.Diff(exported(t, byBytes), exported(t, byLanguage)); diff != "" {
		t.Errorf("sorted by bytes (-), by language (+):\n%s", diff)
	}
}

// databaseSortedBy returns a new empty database with a collation of its own.
func databaseSortedBy(t *testing.T, options string) string {
	t.Helper()
	admin, err := pgx.Connect(t.Context(), testdb.Server(t))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context()))
	empty, err := pgx.ParseConfig(testdb.NewEmpty(t)) // its name is ours, and it is dropped after the test
	if err != nil {
		t.Fatal(err)
	}
	name := pgx.Identifier{empty.Database}.Sanitize()
	for _, sql := range []string{
		`DROP DATABASE ` + name + ` WITH (FORCE)`,
		`CREATE DATABASE ` + name + ` TEMPLATE template0 ENCODING 'UTF8' ` + options,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return empty.ConnString()
}

// Two programs that load the same inbox at the same time load every file once between them.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	url, inbox := testdb.New(t), t.TempDir()
	header, row, _ := strings.Cut(onePOSRow, "\n")
	const files, rows = 12, 500
	for n := range files {
		text := fmt.Sprintf("# exported_at: 2026-11-%02d 23:00:00\n%s\n", n+1, header)
		for m := range rows {
			text += strings.Replace(row, "A1", fmt.Sprintf("A%d-%d", n, m), 1)
		}
		writeFile(t, filepath.Join(inbox, fmt.Sprintf("pos-%d.csv", n)), text)
	}
	one, other := start(t, program(t, url, "ingest", "--json", inbox)), start(t, program(t, url, "ingest", "--json", inbox))
	var loaded int
	for _, got := range []result{one(), other()} {
		var report struct {
			Rows int `json:"rows_loaded"`
		}
		if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.status != exitDone {
			t.Errorf("exit status %d, %v: %s%s", got.status, err, got.stdout, got.stderr)
		}
		loaded += report.Rows
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var stored int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pos_row`).Scan(&stored); err != nil {
		t.Fatal(err)
	}
	if loaded != files*rows || stored != files*rows {
		t.Errorf("they tell of %d rows, %d are stored, want %d", loaded, stored, files*rows)
	}
}

// The private server: nothing is configured, a demo and a night of one's own run on it, and it is gone afterwards.
func TestPrivateServer(t *testing.T) {
	t.Parallel()
	// Its user, who is not root, must reach it; t.TempDir is closed to others.
	dir, err := os.MkdirTemp("", "posrecon-cli-")
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
	inbox := t.TempDir()
	writeFile(t, filepath.Join(inbox, "pos.csv"), onePOSRow)
	data := filepath.Join(dir, "data")
	call := func(args ...string) result {
		t.Helper()
		cmd := program(t, "", append(args, "--data-dir", data)...)
		got := run(t, cmd)
		if got.status != exitDone {
			t.Fatalf("posrecon %s: exit status %d:\n%s%s", strings.Join(args, " "), got.status, got.stdout, got.stderr)
		}
		return got
	}
	call("demo")
	demo := call("demo") // as often as one likes
	for _, night := range []string{"01", "02", "03", "04"} {
		if !strings.Contains(demo.stdout, "── night "+night+" ──\n") {
			t.Errorf("the demo does not tell of night %s:\n%s", night, demo.stdout)
		}
	}
	if flagged, err := filepath.Glob(filepath.Join(data, "demo", "out", "posrecon_flagged_*.csv")); err != nil || len(flagged) != 4 {
		t.Errorf("the demo wrote %v, want four exports (%v)", flagged, err)
	}
	if got := call("run", "--inbox", inbox, "--as-of", "2026-11-03T12:00:00+08:00"); !strings.Contains(got.stdout, "Decided  1 orders and lines\n") {
		t.Errorf("a run beside the demo:\n%s", got.stdout)
	}
	if got := call("check"); !strings.Contains(got.stdout, " 0 rows break one\n") {
		t.Errorf("check:\n%s", got.stdout)
	}
	// What it started it stopped.
	for _, pid := range []string{filepath.Join(data, "postgres-*", "postmaster.pid"), filepath.Join(data, "demo", "postgres-*", "postmaster.pid")} {
		if left, err := filepath.Glob(pid); err != nil || len(left) > 0 {
			t.Errorf("a server was left running: %v (%v)", left, err)
		}
	}
}

// serve logs as it is told, runs until it is told to stop, and that is no failure.
func TestServeStops(t *testing.T) {
	t.Parallel()
	url := testdb.New(t)
	inbox := t.TempDir()
	file := writeFile(t, filepath.Join(t.TempDir(), "posrecon.yml"), "inbox: "+inbox+"\nschedule: [\"0 0 1 1 *\"]\n")
	cmd := program(t, url, "serve", "--config", file, "--log-format", "json")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Its first word says that it is up.
	var first struct{ Level, Msg string }
	words := json.NewDecoder(stderr)
	if err := words.Decode(&first); err != nil || first.Level != "INFO" || first.Msg != "waiting for the schedule" {
		t.Errorf("its first word is %+v (%v)", first, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(io.MultiReader(words.Buffered(), stderr))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("serve, told to stop: %v\n%s", err, rest)
	}
}
