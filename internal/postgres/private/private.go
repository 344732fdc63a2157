// Package private runs a PostgreSQL server that belongs to posrecon alone: it finds the server programs, keeps one
// cluster under the data directory, and starts, recovers and stops it. It knows nothing of the schema, and it never
// touches a server that it did not start.
//
// The data directory holds posrecon.lock, postgres-<major> (the cluster), postgres.log, socket while a server runs, and
// pgsql-<version> where server programs had to be downloaded.
package private

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// databaseName is the database that Start creates, and the name of its owner.
const databaseName = "posrecon"

// Options say where the private server lives and how Start may behave. Only DataDir is required.
type Options struct {
	// DataDir holds the cluster (postgres-<major>), the lock, the log and the socket. Start creates it.
	DataDir string
	// Wait is how long to wait for another program that holds DataDir; 0 gives up at once with ErrInUse.
	Wait time.Duration
	// Log receives progress; nil discards it.
	Log *slog.Logger
	// Settings are further server settings; they win over those that the package chooses.
	Settings map[string]string
	// NoDownload forbids fetching server programs where the machine has none.
	NoDownload bool
}

// Server is a running private server and the lock on its data directory.
type Server struct {
	url  string
	log  *slog.Logger
	lock *dirLock
	sock socket
	pm   *postmaster

	once sync.Once
	err  error
}

// Start returns the private server of o.DataDir, running and with its database in place, once nobody else holds that
// folder. It makes the cluster on first use, and cleans up first after a posrecon or a server that was killed. ctx
// bounds the start only: when it ends early, what was started is stopped again.
func Start(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o, machineSources)
}

// start is Start with the places that server programs are sought in.
func start(ctx context.Context, o Options, places func(dataDir string) []source) (*Server, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	dir, err := prepareDir(o.DataDir)
	if err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, dir, o.Wait)
	if err != nil {
		return nil, err
	}
	s, err := startLocked(ctx, o, dir, places(dir))
	if err != nil {
		lock.release()
		return nil, err
	}
	s.lock = lock
	return s, nil
}

// startLocked does the work of start while the lock on dir is held.
func startLocked(ctx context.Context, o Options, dir string, places []source) (*Server, error) {
	removeLeftovers(dir, o.Log)
	c, err := existingCluster(dir)
	if err != nil {
		return nil, err
	}
	bin, err := programs(ctx, o, dir, c, places)
	if err != nil {
		return nil, err
	}
	run := runner{bin: bin, home: dir}
	if run.as, err = serverAccount(c); err != nil {
		return nil, err
	}
	if err := run.probe(ctx); err != nil {
		return nil, err
	}
	if c == nil {
		o.Log.Info("creating the private database", "folder", dir, "version", bin.version.String())
		if c, err = initCluster(ctx, run); err != nil {
			return nil, err
		}
	}
	if err := run.as.ownTree(c.dir); err != nil {
		return nil, err
	}
	if err := tidyAfterCrash(ctx, c.dir, o.Log); err != nil {
		return nil, err
	}
	return startServer(ctx, o, run, c)
}

// startServer launches the postmaster of c and waits until it takes work; it leaves nothing running on error.
func startServer(ctx context.Context, o Options, run runner, c *cluster) (_ *Server, err error) {
	sock, err := openSocket(run.home, run.as)
	if err != nil {
		return nil, err
	}
	pm, err := launch(run, c, sock, settings(run.compression(ctx, c), o.Settings))
	if err != nil {
		sock.remove()
		return nil, err
	}
	if err := pm.awaitReady(ctx, sock.url("postgres"), o.Log); err != nil {
		_ = pm.stop(context.WithoutCancel(ctx), o.Log) // the first error is the one to tell
		sock.remove()
		return nil, err
	}
	o.Log.Debug("the private database runs", "folder", c.dir, "pid", pm.cmd.Process.Pid)
	return &Server{url: sock.url(databaseName), log: o.Log, sock: sock, pm: pm}, nil
}

// URL returns the postgres:// URL of the database, for pgx, golang-migrate and psql alike. It holds no secret: who may
// connect is decided by the permissions of the socket's folder.
func (s *Server) URL() string { return s.url }

// Done is closed when the server process has ended, by Stop or by accident; after an accident, Stop and start anew.
func (s *Server) Done() <-chan struct{} { return s.pm.done }

// Stop shuts the server down and gives the data directory free; further calls return the first one's result. ctx
// bounds the orderly shutdown, after which the server is stopped hard, which loses no committed data either. A ctx that
// has already ended still grants a few seconds, so that an interrupted program stops cleanly.
func (s *Server) Stop(ctx context.Context) error {
	s.once.Do(func() {
		s.err = s.pm.stop(ctx, s.log)
		s.sock.remove()
		s.lock.release()
	})
	return s.err
}

// Leave gives the data directory free but lets the server run on, for whoever has its URL. Halt stops it later, and
// so does the next Start, before it starts a server of its own.
func (s *Server) Leave() {
	s.once.Do(s.lock.release)
}

// Halt stops the server that an earlier program left running in o.DataDir, if there is one. It returns ErrInUse while
// another program holds the folder for longer than o.Wait.
func Halt(ctx context.Context, o Options) error {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	dir, err := prepareDir(o.DataDir)
	if err != nil {
		return err
	}
	lock, err := acquire(ctx, dir, o.Wait)
	if err != nil {
		return err
	}
	defer lock.release()
	c, err := existingCluster(dir)
	if err != nil || c == nil {
		return err
	}
	return tidyAfterCrash(ctx, c.dir, o.Log)
}

// prepareDir creates the data directory where needed and returns its real path: absolute and free of symbolic links, so
// that a running server can be recognised by it.
func prepareDir(dir string) (string, error) {
	if dir == "" {
		return "", errors.New("the private database needs a folder: set --data-dir or POSRECON_DATA_DIR")
	}
	if err := makeDir(dir); err != nil {
		return "", fmt.Errorf("create the data directory (choose another one with --data-dir): %w", err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the data directory %s: %w", dir, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return "", fmt.Errorf("find the data directory %s: %w", dir, err)
	}
	return real, nil
}

// makeDir creates dir and its parents. A new dir is closed to others but, as root, lets the server's user pass through;
// the mode is set by hand because a strict umask would take that away.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		return checkDir(dir)
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	return nil
}

// removeLeftovers deletes what an interrupted start left unfinished in dir. A remainder that resists does no harm, for
// nothing is ever looked up under these names.
func removeLeftovers(dir string, log *slog.Logger) {
	for _, pattern := range []string{newClusterPattern, downloadPattern} {
		found, _ := filepath.Glob(filepath.Join(globEscape(dir), pattern))
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				log.Warn("cannot remove the remainder of an interrupted start", "path", path, "err", err)
			}
		}
	}
}
