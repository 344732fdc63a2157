package private

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ErrInUse is what Start and Halt return, wrapped, while another program holds the data directory.
var ErrInUse = errors.New("the private database is in use by another posrecon")

// lockPoll is how often a waiting Start looks whether the lock is free: often enough that nobody notices.
const lockPoll = 50 * time.Millisecond

// dirLock is the exclusive hold on a data directory. The kernel drops it with the process, however that ends.
type dirLock struct{ file *os.File }

// acquire takes the lock on dir, waiting up to wait for its holder. Go opens files close-on-exec, so the server that
// is started later does not inherit the lock and a killed posrecon does not leave it behind.
func acquire(ctx context.Context, dir string, wait time.Duration) (*dirLock, error) {
	path := filepath.Join(dir, "posrecon.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory (is it yours? else choose one with --data-dir): %w", err)
	}
	if err := flockWithin(ctx, f, wait); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, inUse(dir, f)
		}
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	// The pid is only for the message that others print; the lock itself is the flock.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt(fmt.Appendln(nil, os.Getpid()), 0)
	}
	return &dirLock{file: f}, nil
}

// flockWithin returns EWOULDBLOCK where the lock is still taken after wait.
func flockWithin(ctx context.Context, f *os.File, wait time.Duration) error {
	deadline := time.Now().Add(wait)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lockPoll):
		}
	}
}

func inUse(dir string, f *os.File) error {
	holder := "another process"
	if pid, err := io.ReadAll(io.NewSectionReader(f, 0, 32)); err == nil && len(pid) > 0 {
		holder = "process " + strings.TrimSpace(string(pid))
	}
	return fmt.Errorf("%w: %s is held by %s; wait for it (--wait), or give this one a --data-dir of its own",
		ErrInUse, dir, holder)
}

// release lets the next program in. The file stays: removing it would let two programs lock two files of one name.
func (l *dirLock) release() { _ = l.file.Close() }
