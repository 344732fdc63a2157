package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockPoll is how often a waiting process asks again for a lock.
const lockPoll = 20 * time.Millisecond

// lockFile opens path and takes the lock how (LOCK_SH or LOCK_EX) on it, which lasts until the file is closed.
func lockFile(ctx context.Context, path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a lock of the tests' server: %w", err)
	}
	for {
		err := flock(f, how|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			select {
			case <-ctx.Done():
				err = fmt.Errorf("%w (does another test process hang?)", context.Cause(ctx))
			case <-time.After(lockPoll):
				continue
			}
		}
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
