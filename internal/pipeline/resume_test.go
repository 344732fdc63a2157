package pipeline_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// interruptions is how often each of the tests below breaks a run off.
const interruptions = 20

// resumption is the second night of the casebook, to be broken off and done again: it corrects a file, pays out again,
// settles late, and opens, changes and closes cases.
type resumption struct {
	b      *bench
	w      *world
	asOf   [2]time.Time
	inbox  [2]string
	out    string
	want   []string
	whole  time.Duration // of the undisturbed second night
	points int64         // statements that it sends
}

func newResumption(t *testing.T) *resumption {
	t.Helper()
	r := &resumption{b: newBench(t), w: &world{acquirers: recon.Acquirers{}}, out: t.TempDir()}
	for i, night := range []string{"01", "02"} {
		r.inbox[i] = filepath.Join("testdata", "casebook", night, "inbox")
		text, err := os.ReadFile(filepath.Join("testdata", "casebook", night, "as_of"))
		if err != nil {
			t.Fatal(err)
		}
		if r.asOf[i], err = time.Parse("2006-01-02T15:04:05Z07:00\n", string(text)); err != nil {
			t.Fatal(err)
		}
	}
	r.firstNight(t)
	counter := &interrupter{}
	pool := r.traced(t, counter)
	start := time.Now()
	if err := r.secondNight(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	r.whole, r.points = time.Since(start), counter.seen.Load()
	pool.Close()
	r.want = r.result(t)
	return r
}

// firstNight empties the database and runs the first night.
func (r *resumption) firstNight(t *testing.T) {
	t.Helper()
	r.b.clear(t)
	r.b.run(t, r.w, r.inbox[0], r.asOf[0])
}

// secondNight runs the second night on pool, waiting for the lock of a run that was killed a moment ago: the server
// notices within a second that its client is gone.
func (r *resumption) secondNight(ctx context.Context, pool *pgxpool.Pool) error {
	job := r.b.job(r.w)
	job.Pool = pool
	_, err := job.Run(ctx, pipeline.Options{Kind: "run", Inbox: []string{r.inbox[1]}, Out: r.out, AsOf: r.asOf[1], Wait: time.Minute})
	return err
}

// result is what people see after the second night: every byte that was exported, and the cases with their history.
func (r *resumption) result(t *testing.T) []string {
	t.Helper()
	flagged, err := os.ReadFile(filepath.Join(r.out, "posrecon_flagged_2026-11-05.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.out, "posrecon_flagged_2026-11-05.csv")); err != nil {
		t.Fatal(err)
	}
	list := append(lines(r.b.export(t, r.w, r.asOf[1])), lines(flagged)...)
	list = append(list, r.b.dump(t, `SELECT c::text FROM cases AS c ORDER BY case_id`)...)
	list = append(list, r.b.dump(t, `SELECT e::text FROM case_event AS e ORDER BY case_id, seq`)...)
	list = append(list, r.b.dump(t, `SELECT concat_ws(' ', sha256, name, state, rows_loaded, rows_rejected, decided) FROM file ORDER BY sha256`)...)
	return append(list, r.b.dump(t, `SELECT concat_ws(' ', as_of, kind) FROM run ORDER BY run_id`)...)
}

// resume does the second night again, now undisturbed, and holds that nothing tells of the interruption. A run that was
// broken off after all was stored is repeated by this: then there are two records of it.
func (r *resumption) resume(t *testing.T, how string) {
	t.Helper()
	if err := r.secondNight(t.Context(), r.b.pool); err != nil {
		t.Fatalf("%s, then again: %v", how, err)
	}
	got := r.result(t)
	// Counted only now: the server may still have been committing for a process that is dead, and whose lock is gone.
	for range len(r.b.dump(t, `SELECT as_of::text FROM run`)) - 2 {
		got = got[:len(got)-1]
	}
	if diff := gocmp.Diff(r.want, got); diff != "" {
		t.Errorf("undisturbed (-), %s and done again (+):\n%s", how, diff)
	}
	leftovers, err := filepath.Glob(filepath.Join(r.out, "*"))
	if err != nil || len(leftovers) > 0 {
		t.Errorf("%s: in the folder of exports is left %v (%v)", how, leftovers, err)
	}
}

// traced opens a pool whose statements i sees.
func (r *resumption) traced(t *testing.T, i *interrupter) *pgxpool.Pool {
	t.Helper()
	pool, err := openTraced(t.Context(), r.b.pool.Config(), i)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func openTraced(ctx context.Context, config *pgxpool.Config, i *interrupter) (*pgxpool.Pool, error) {
	config.ConnConfig.Tracer = i
	return pgxpool.NewWithConfig(ctx, config)
}

// interrupter counts the statements of a run, and calls stop as the one numbered at begins.
type interrupter struct {
	seen atomic.Int64
	at   int64
	stop func()
}

func (i *interrupter) step() {
	if n := i.seen.Add(1); n == i.at {
		i.stop()
	}
}

func (i *interrupter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	i.step()
	return ctx
}

func (i *interrupter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (i *interrupter) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	i.step()
	return ctx
}

func (i *interrupter) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// TestCancelled holds that a run that is interrupted anywhere and done again ends as if nothing had been. Half of the
// interruptions come between two statements, the others at a moment of the clock.
func TestCancelled(t *testing.T) {
	t.Parallel()
	r := newResumption(t)
	for n := range interruptions {
		r.firstNight(t)
		ctx, cancel := context.WithCancelCause(t.Context())
		interrupted := errors.New("interrupted")
		i := &interrupter{stop: func() { cancel(interrupted) }}
		how := ""
		if n%2 == 0 {
			i.at = 1 + rand.Int64N(r.points)
			how = fmt.Sprintf("cancelled at statement %d of %d", i.at, r.points)
		} else {
			after := rand.N(r.whole)
			how = fmt.Sprintf("cancelled after %s of %s", after, r.whole)
			time.AfterFunc(after, i.stop) // harmless once the run has ended
		}
		pool := r.traced(t, i)
		err := r.secondNight(ctx, pool)
		pool.Close()
		cancel(nil)
		if err == nil {
			how += ", too late"
			if err := os.Remove(filepath.Join(r.out, "posrecon_flagged_2026-11-05.csv")); err != nil {
				t.Fatal(err)
			}
		}
		r.resume(t, how)
	}
}

// The environment by which TestKilled tells its child what to do.
const (
	childURL = "POSRECON_TEST_CHILD_URL"
	childOut = "POSRECON_TEST_CHILD_OUT"
	childAt  = "POSRECON_TEST_CHILD_AT"
)

// TestKilled holds the same of a process that is killed outright, which runs no deferred call and closes no file.
func TestKilled(t *testing.T) {
	t.Parallel()
	if os.Getenv(childURL) != "" {
		beKilled(t)
		return
	}
	r := newResumption(t)
	for n := range interruptions {
		r.firstNight(t)
		at, after := int64(0), time.Duration(0)
		how := ""
		if n%2 == 0 {
			at = 1 + rand.Int64N(r.points)
			how = fmt.Sprintf("killed at statement %d of %d", at, r.points)
		} else {
			after = rand.N(r.whole)
			how = fmt.Sprintf("killed after %s of %s", after, r.whole)
		}
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), childURL+"="+r.b.pool.Config().ConnString(), childOut+"="+r.out,
			childAt+"="+strconv.FormatInt(at, 10))
		child.Stderr = os.Stderr
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		told := bufio.NewReader(stdout)
		if line, err := told.ReadString('\n'); err != nil || line != "running\n" {
			t.Fatalf("%s: the child said %q, %v", how, line, err)
		}
		if at == 0 {
			time.AfterFunc(after, func() { _ = child.Process.Kill() }) // fails where it has ended
		}
		rest, _ := told.ReadString('\n') // nothing, from a child that is killed
		if err := child.Wait(); err == nil {
			how += ", too late"
		} else if rest != "" && rest != "done\n" {
			t.Fatalf("%s: the child said %q, %v", how, rest, err)
		}
		// What a killed process was writing stays behind, hidden beside its place.
		leftovers, err := filepath.Glob(filepath.Join(r.out, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range leftovers {
			if name := filepath.Base(path); name != "posrecon_flagged_2026-11-05.csv" && !strings.HasPrefix(name, ".posrecon-") {
				t.Errorf("%s: %s is no whole export", how, path)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		r.resume(t, how)
	}
}

// beKilled is the child: it runs the second night and dies at the statement that it was told, or when it is killed.
func beKilled(t *testing.T) {
	at, err := strconv.ParseInt(os.Getenv(childAt), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), os.Getenv(childURL))
	if err != nil {
		t.Fatal(err)
	}
	i := &interrupter{at: at, stop: func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // cannot fail
		select {}
	}}
	traced, err := openTraced(t.Context(), pool.Config(), i)
	if err != nil {
		t.Fatal(err)
	}
	pool.Close()
	r := &resumption{b: &bench{traced, shanghai(t)}, w: &world{acquirers: recon.Acquirers{}}, out: os.Getenv(childOut)}
	r.inbox[1] = filepath.Join("testdata", "casebook", "02", "inbox")
	r.asOf[1] = time.Date(2026, 11, 5, 12, 0, 0, 0, r.b.zone)
	fmt.Println("running")
	if err := r.secondNight(t.Context(), traced); err != nil {
		t.Fatal(err)
	}
	fmt.Println("done")
}

// TestMeanwhile holds that a file which somebody loads while a run decides is not lost: the run or the next one decides
// it. Loading needs no lock, so it may come at any statement of a run.
func TestMeanwhile(t *testing.T) {
	t.Parallel()
	r := newResumption(t)
	files, err := filepath.Glob(filepath.Join(r.inbox[1], "lakala", "*.csv"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", r.inbox[1], err)
	}
	late := append(files, filepath.Join(r.inbox[1], "pos-20261104.csv"))
	want := without(parseExport(t, r.b.export(t, r.w, r.asOf[1])), caseColumns...)
	for n := range interruptions {
		r.firstNight(t)
		file := late[n%len(late)]
		var others []string
		for _, f := range late {
			if f != file {
				others = append(others, f)
			}
		}
		loaded := make(chan error, 1)
		i := &interrupter{at: 1 + rand.Int64N(r.points), stop: func() {
			go func() {
				_, err := r.b.job(r.w).Ingest(t.Context(), pipeline.Options{Inbox: []string{file}})
				loaded <- err
			}()
		}}
		how := fmt.Sprintf("%s loaded at statement %d of %d", filepath.Base(file), i.at, r.points)
		pool := r.traced(t, i)
		job := r.b.job(r.w)
		job.Pool = pool
		if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: others, AsOf: r.asOf[1]}); err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		pool.Close()
		if i.seen.Load() < i.at {
			i.stop() // the run without the file sends fewer statements
		}
		if err := <-loaded; err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		r.b.run(t, r.w, r.inbox[1], r.asOf[1])
		got := without(parseExport(t, r.b.export(t, r.w, r.asOf[1])), caseColumns...)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("at once (-), %s and run again (+):\n%s", how, diff)
		}
	}
}
