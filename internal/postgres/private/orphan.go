package private

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// orphanPoll is how often we look whether an orphaned server is gone: one pass over the process table takes a few
// milliseconds.
const orphanPoll = 50 * time.Millisecond

// tidyAfterCrash clears what a killed posrecon or a killed server left behind in the cluster: a server that still runs,
// and files that would stop the next one. The caller holds the lock, so whatever runs there belongs to nobody.
func tidyAfterCrash(ctx context.Context, clusterDir string, log *slog.Logger) error {
	pidFile := filepath.Join(clusterDir, "postmaster.pid")
	left := readPidFile(pidFile) // before an orphan removes it
	if err := stopOrphans(ctx, clusterDir, log); err != nil {
		return err
	}
	if left.dataDir == clusterDir { // else it is the copy of a cluster whose own server may be alive
		removeShortSocket(left.socketDir)
	}
	// PostgreSQL clears a stale postmaster.pid itself, unless it is garbled or its pid now belongs to another process; and
	// we have just seen that no server is left here.
	left = readPidFile(pidFile)
	if left.exists && (left.pid <= 0 || syscall.Kill(left.pid, 0) == nil) {
		log.Debug("removing a stale postmaster.pid", "path", pidFile, "pid", left.pid)
		if err := os.Remove(pidFile); err != nil {
			return fmt.Errorf("remove the file of a server that was killed: %w", err)
		}
	}
	return nil
}

// pidFile is what we read in postmaster.pid.
type pidFile struct {
	exists    bool
	pid       int // 0 where garbled
	dataDir   string
	socketDir string
}

func readPidFile(path string) pidFile {
	text, err := os.ReadFile(path)
	if err != nil {
		return pidFile{}
	}
	p := pidFile{exists: true}
	lines := strings.Split(string(text), "\n") // pid, data directory, start time, port, socket directory…
	p.pid, _ = strconv.Atoi(strings.TrimSpace(lines[0]))
	if len(lines) > 4 {
		p.dataDir, p.socketDir = lines[1], lines[4]
	}
	return p
}

// stopOrphans ends the server that runs on the cluster: asked at first, then told, then killed. Its sessions go the same
// way, for one that outlives its server keeps the next one from starting. A server that somebody else started there is
// left alone, and is an error.
func stopOrphans(ctx context.Context, clusterDir string, log *slog.Logger) error {
	for _, step := range []struct {
		signal syscall.Signal
		limit  time.Duration
	}{
		{syscall.SIGINT, fastLimit},
		{syscall.SIGQUIT, quitLimit},
		{syscall.SIGKILL, quitLimit},
	} {
		procs := serverProcesses(ctx, clusterDir)
		if i := slices.IndexFunc(procs, process.isStranger); i >= 0 {
			return fmt.Errorf("process %d, which posrecon did not start, is a server on %s: stop it first", procs[i].pid, clusterDir)
		}
		if step.signal == syscall.SIGINT { // a session takes that for "cancel the statement"
			procs = slices.DeleteFunc(procs, process.isSession)
		}
		if len(procs) == 0 {
			continue
		}
		log.Warn("stopping a server that a killed posrecon left running", "pid", procs[0].pid, "signal", step.signal.String())
		for _, p := range procs {
			_ = syscall.Kill(p.pid, step.signal)
		}
		awaitNone(ctx, clusterDir, step.limit)
		if ctx.Err() != nil {
			return fmt.Errorf("stop the server that a killed posrecon left running: %w", context.Cause(ctx))
		}
	}
	procs := serverProcesses(ctx, clusterDir)
	if ctx.Err() != nil { // then the list may be short
		return fmt.Errorf("look for a server that a killed posrecon left running: %w", context.Cause(ctx))
	}
	if len(procs) > 0 {
		return fmt.Errorf("a server that a killed posrecon left running on %s does not end: end process %d by hand",
			clusterDir, procs[0].pid)
	}
	return nil
}

// awaitNone waits until the cluster has no processes left, at most until limit or the end of ctx.
func awaitNone(ctx context.Context, clusterDir string, limit time.Duration) {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) && ctx.Err() == nil && len(serverProcesses(ctx, clusterDir)) > 0 {
		time.Sleep(orphanPoll)
	}
}
