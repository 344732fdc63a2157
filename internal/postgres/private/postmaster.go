package private

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// logLimit is the size at which the server's log is set aside when the next server starts: a few months of a healthy one.
	logLimit = 10 << 20
	// readyPoll is how often a start looks whether the server takes work; it usually does after 100 ms.
	readyPoll = 20 * time.Millisecond
	// readyLimit bounds a start. Only a recovery after a crash takes long: at most max_wal_size of log is replayed, which
	// a slow disk does in a few minutes.
	readyLimit = 15 * time.Minute
	// readyPatience is when a start that is still going on is mentioned.
	readyPatience = 3 * time.Second
	// pingLimit bounds one attempt to connect.
	pingLimit = 5 * time.Second

	// fastLimit bounds the orderly shutdown, which writes at most shared_buffers to disk.
	fastLimit = time.Minute
	// fastGrace is what an orderly shutdown gets even where the caller's context has already ended.
	fastGrace = 5 * time.Second
	// quitLimit bounds the immediate shutdown, which writes nothing.
	quitLimit = 5 * time.Second
)

// postmaster is the server process that we started.
type postmaster struct {
	cmd     *exec.Cmd
	logPath string
	logFrom int64         // where in the log this server's part begins
	done    chan struct{} // closed when the process has ended
	err     error         // how it ended; read after done
}

// launch starts the server on cluster c. It returns at once; awaitReady waits for it to take work.
func launch(run runner, c *cluster, sock socket, settings map[string]string) (*postmaster, error) {
	logFile, from, err := openLog(run.home)
	if err != nil {
		return nil, fmt.Errorf("open the private database's log: %w", err)
	}
	defer logFile.Close() // the server has its own copy
	settings = maps.Clone(settings)
	settings["unix_socket_directories"] = sock.setting()
	settings["port"] = fmt.Sprint(socketPort)
	cmd := run.command("postgres", append([]string{"-D", c.dir}, arguments(settings)...)...) // begins with launchArgs
	cmd.Stdout, cmd.Stderr = logFile, logFile
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the private database: %w", err)
	}
	p := &postmaster{cmd: cmd, logPath: logFile.Name(), logFrom: from, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// openLog opens the log for appending and returns its length. A long one is set aside, in the place of the one before.
func openLog(dataDir string) (*os.File, int64, error) {
	path := filepath.Join(dataDir, "postgres.log")
	info, err := os.Stat(path)
	if err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	from, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, from, nil
}

// awaitReady waits until the server takes work, and creates the database where it is missing. adminURL is the server's
// postgres database.
func (p *postmaster) awaitReady(ctx context.Context, adminURL string, log *slog.Logger) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("it was not ready after %s", readyLimit))
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	patience := time.NewTimer(readyPatience)
	defer patience.Stop()
	var lastErr error
	for {
		select {
		case <-p.done:
			return fmt.Errorf("the private database ended while it started (%v); its log %s says: %s",
				p.err, p.logPath, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("start the private database (see %s; last attempt to connect: %v): %w",
				p.logPath, lastErr, context.Cause(ctx))
		case <-patience.C:
			log.Info("waiting for the private database, which repairs itself after a crash", "log", p.logPath)
		case <-tick.C:
			conn, err := connect(ctx, adminURL)
			if err == nil {
				return createDatabase(ctx, conn)
			}
			if lastErr = err; refused(err) {
				return fmt.Errorf("open the private database (is it a cluster that posrecon made? see %s): %w", p.logPath, err)
			}
		}
	}
}

func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	return pgx.Connect(ctx, url)
}

// refused tells whether the server itself turned a connection down for good, rather than being on its way up.
func refused(err error) bool {
	const cannotConnectNow = "57P03"
	var answer *pgconn.PgError
	return errors.As(err, &answer) && answer.Code != cannotConnectNow
}

// createDatabase makes sure that the database exists, on every start: the first one may have been killed before it did.
func createDatabase(ctx context.Context, conn *pgx.Conn) error {
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, databaseName).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{databaseName}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("create the database %s: %w", databaseName, err)
	}
	return nil
}

// logTail returns the last lines that this server wrote.
func (p *postmaster) logTail() string {
	f, err := os.Open(p.logPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	const enough = 16 << 10
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	from := max(p.logFrom, info.Size()-enough)
	text, err := io.ReadAll(io.NewSectionReader(f, from, enough))
	if err != nil {
		return err.Error()
	}
	return lastLines(string(text), 6)
}

// stop ends the server: in good order while ctx lasts (and at least fastGrace), then hard.
func (p *postmaster) stop(ctx context.Context, log *slog.Logger) error {
	select {
	case <-p.done:
		log.Warn("the private database had already ended; the next start repairs it", "end", fmt.Sprint(p.err), "log", p.logPath)
		return nil
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fast shutdown: ends sessions, writes a checkpoint
	if p.endsWithin(ctx, fastGrace, fastLimit) {
		return nil
	}
	log.Warn("the private database is slow to stop; stopping it hard", "log", p.logPath)
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown: the next start replays the log
	if p.endsWithin(context.Background(), quitLimit, quitLimit) {
		return nil
	}
	// Nothing is lost: the next start recovers, and ends what is left of this server first.
	_ = p.cmd.Process.Kill()
	if p.endsWithin(context.Background(), quitLimit, quitLimit) {
		return nil
	}
	return errors.New("the private database does not end, not even killed (is its disk hanging?); see " + p.logPath)
}

// endsWithin waits for the end of the process: until limit, or until ctx ends, but not less than grace.
func (p *postmaster) endsWithin(ctx context.Context, grace, limit time.Duration) bool {
	begin := time.Now()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	select {
	case <-p.done:
		return true
	case <-deadline.C:
		return false
	case <-ctx.Done():
	}
	deadline.Reset(max(0, grace-time.Since(begin)))
	select {
	case <-p.done:
		return true
	case <-deadline.C:
		return false
	}
}
