package testdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/posrecon/posrecon/internal/postgres/private"
)

// local is a private server of the machine's own programs.
var local = source{name: "server programs", attach: attachLocal}

// haltWait is how long a start or stop waits for a process that is just letting go of the data directory.
const haltWait = 10 * time.Second

func localOptions(dir string) private.Options {
	return private.Options{
		DataDir:    filepath.Join(dir, "data"),
		Wait:       haltWait,
		NoDownload: true, // a test must not depend on a download
		Settings: map[string]string{
			// Nothing here outlives a power cut, and nothing needs to: see attachLocal.
			"fsync":              "off",
			"full_page_writes":   "off",
			"synchronous_commit": "off",
			// Each parallel test of each package has a pool.
			"max_connections": "200",
			"shared_buffers":  "128MB",
			"max_wal_size":    "1GB",
		},
	}
}

// attachLocal uses the server that another process left running in dir, or starts one and leaves it to all.
func attachLocal(ctx context.Context, dir string) (string, func(context.Context) error, error) {
	o := localOptions(dir)
	stop := func(ctx context.Context) error { return private.Halt(ctx, o) }
	urlFile := filepath.Join(dir, "url")
	if url, err := os.ReadFile(urlFile); err == nil {
		up, err := running(ctx, string(url))
		if up || err != nil {
			return string(url), stop, err
		}
	}
	s, err := startLocal(ctx, o)
	if err != nil {
		return "", nil, err
	}
	if err := os.WriteFile(urlFile, []byte(s.URL()), 0o600); err != nil {
		return "", nil, errors.Join(fmt.Errorf("tell others of the tests' server: %w", err), s.Stop(ctx))
	}
	s.Leave()
	return s.URL(), stop, nil
}

// running tells whether a server listens at url. One that does but is busy is waited for: others are using it.
func running(ctx context.Context, url string) (bool, error) {
	for {
		err := ping(ctx, url)
		if err == nil {
			return true, nil
		}
		if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("the tests' server does not answer (%w): %w", context.Cause(ctx), err)
		case <-time.After(readyPoll):
		}
	}
}

// startLocal starts a server on the data of earlier runs, or on none where that data is of no use any more.
func startLocal(ctx context.Context, o private.Options) (*private.Server, error) {
	if err := discardCrashed(ctx, o); err != nil {
		return nil, err
	}
	s, err := private.Start(ctx, o)
	if errors.Is(err, private.ErrNoPrograms) && os.RemoveAll(o.DataDir) == nil {
		s, err = private.Start(ctx, o) // the data may have been of a version that was uninstalled
	}
	if errors.Is(err, private.ErrNoPrograms) {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	return s, err
}

// discardCrashed removes the data of a server that did not end in good order: without fsync it cannot be trusted.
func discardCrashed(ctx context.Context, o private.Options) error {
	crashed, _ := filepath.Glob(filepath.Join(o.DataDir, "postgres-*", "postmaster.pid")) // fails on a malformed pattern only
	if len(crashed) == 0 {
		return nil
	}
	if err := private.Halt(ctx, o); err != nil {
		return err
	}
	if err := os.RemoveAll(o.DataDir); err != nil {
		return fmt.Errorf("remove the data of a test server that was killed: %w", err)
	}
	return nil
}
