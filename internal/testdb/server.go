package testdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// errAbsent is returned by a source that this machine does not have; the next one is tried.
var errAbsent = errors.New("not on this machine")

// source is one way to have a server that several processes share. attach starts it, or finds it running; the caller
// sees to it that one process does so at a time. stop ends it, whoever started it.
type source struct {
	name   string
	attach func(ctx context.Context, dir string) (adminURL string, stop func(context.Context) error, err error)
}

// server is a running server, and this process's share in it.
type server struct {
	adminURL string
	workers  []string               // of a distributed server, their URLs as adminURL is the coordinator's
	template func() (string, error) // the migrated template, made on first use

	dir   string                      // "" for a server that is not ours
	users *os.File                    // locked shared for as long as we use the server
	stop  func(context.Context) error // ends the server
}

// open joins or starts a server: the one of externalURL, else the first source that this machine has. Processes meet in
// dir, by two locks: start.lock is held while one decides to start or stop the server, users.lock is shared by all that
// use it. The kernel drops both with their process, so one that is killed stops nobody.
func open(ctx context.Context, externalURL, dir string, sources ...source) (*server, error) {
	if externalURL != "" {
		if err := ping(ctx, externalURL); err != nil {
			return nil, fmt.Errorf("connect to the server of %s: %w", urlEnv, err)
		}
		s := newServer(externalURL)
		if distributed {
			if err := s.findWorkers(ctx); err != nil {
				return nil, err
			}
		}
		return s, nil
	}
	if distributed {
		return nil, fmt.Errorf("a distributed server for the tests is to be named by %s", urlEnv)
	}
	if err := makeSharedDir(dir); err != nil {
		return nil, fmt.Errorf("make the tests' shared folder: %w", err)
	}
	start, err := lockFile(ctx, filepath.Join(dir, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer start.Close()
	alone, err := unused(dir)
	if err != nil {
		return nil, err
	}
	users, err := lockFile(ctx, filepath.Join(dir, "users.lock"), syscall.LOCK_SH)
	if err != nil {
		return nil, err
	}
	s, err := attach(ctx, dir, sources)
	if err == nil && alone {
		err = s.prune(ctx)
	}
	if err != nil {
		users.Close()
		return nil, err
	}
	s.users = users
	return s, nil
}

// attach asks the sources in turn. Where none is to be had, the error says why of each.
func attach(ctx context.Context, dir string, sources []source) (*server, error) {
	var errs []error
	for _, src := range sources {
		url, stop, err := src.attach(ctx, dir)
		if err == nil {
			s := newServer(url)
			s.dir, s.stop = dir, stop
			return s, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", src.name, err))
		if !errors.Is(err, errAbsent) {
			break // it is there and broken: that must be seen, not passed over
		}
	}
	return nil, fmt.Errorf("no PostgreSQL server for the tests (set %s to one): %w", urlEnv, errors.Join(errs...))
}

func newServer(adminURL string) *server {
	s := &server{adminURL: adminURL}
	s.template = sync.OnceValues(s.makeTemplate)
	return s
}

// leave ends this process's use of the server, and the server itself where nobody else uses it and nothing is kept.
func (s *server) leave() error {
	if s.dir == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	start, err := lockFile(ctx, filepath.Join(s.dir, "start.lock"), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer start.Close()
	if err := s.users.Close(); err != nil {
		return fmt.Errorf("leave the tests' server: %w", err)
	}
	alone, err := unused(s.dir)
	if err != nil || !alone {
		return err
	}
	kept, err := s.databases(ctx)
	if err == nil && len(kept) > 0 {
		return nil
	}
	if err := s.stop(ctx); err != nil {
		return fmt.Errorf("stop the tests' server: %w", err)
	}
	return nil
}

// unused tells whether no process uses the server of dir. It is asked under start.lock, so the answer stays true.
func unused(dir string) (bool, error) {
	f, err := os.OpenFile(filepath.Join(dir, "users.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, fmt.Errorf("look who uses the tests' server: %w", err)
	}
	defer f.Close()
	err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look who uses the tests' server: %w", err)
	}
	return true, nil
}

// makeSharedDir creates dir where needed. Its name can be guessed and its parent is everybody's, so a folder that
// somebody else made there is not used.
func makeSharedDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return os.Chmod(dir, 0o711) // as root, another user runs the server and must pass
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if !info.IsDir() || int(owner) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is not a folder that only you can write in: remove it", dir)
	}
	return nil
}
