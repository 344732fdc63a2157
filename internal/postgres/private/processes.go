package private

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// process is a PostgreSQL process on our cluster.
type process struct {
	pid  int
	role role
}

type role int

const (
	ours     role = iota // a postmaster that launch started
	session              // a child of a postmaster: a session or a background worker
	stranger             // a postgres that somebody else started on our cluster
)

func (p process) isSession() bool  { return p.role == session }
func (p process) isStranger() bool { return p.role == stranger }

// serverProcesses lists the PostgreSQL processes of the cluster. A pid alone proves nothing, because pids are used again:
// a process counts only if it is a postgres that was told this folder, or that works in it.
func serverProcesses(ctx context.Context, clusterDir string) []process {
	if _, err := os.Stat("/proc/self/cmdline"); err == nil {
		return procProcesses(clusterDir)
	}
	return psProcesses(ctx, clusterDir)
}

// procProcesses reads /proc, passing over what we may not read: what another user started is not ours.
func procProcesses(clusterDir string) []process {
	home, err := os.Stat(clusterDir)
	if err != nil {
		return nil
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // fails on a malformed pattern only
	var found []process
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil { // gone
			continue
		}
		worksHere := func() bool { return worksIn(dir, home) }
		if len(cmdline) == 0 {
			// A zombie, or one that is about to end: the arguments go first, then the shared memory, which keeps the next
			// server from starting, and the folder last.
			if worksHere() {
				found = append(found, process{pid: pid, role: session})
			}
			continue
		}
		args := strings.Split(strings.TrimRight(string(cmdline), "\x00"), "\x00")
		if r, ok := roleOf(args, clusterDir, worksHere); ok {
			found = append(found, process{pid: pid, role: r})
		}
	}
	return found
}

func worksIn(procDir string, home fs.FileInfo) bool {
	cwd, err := os.Stat(filepath.Join(procDir, "cwd"))
	return err == nil && os.SameFile(cwd, home)
}

// roleOf judges a process by its arguments: a postmaster keeps those that it was started with, its children have a title
// ("postgres: checkpointer") instead. All of them work in the cluster's folder.
func roleOf(args []string, clusterDir string, worksHere func() bool) (role, bool) {
	switch {
	case strings.HasPrefix(args[0], "postgres:"):
		return session, worksHere()
	case filepath.Base(args[0]) != "postgres":
		return 0, false
	case len(args) > 3 && slices.Equal(args[1:4], launchArgs(clusterDir)):
		return ours, true
	}
	return stranger, worksHere()
}

// launchArgs begin the command line of every server that launch starts, and tell it from others.
func launchArgs(clusterDir string) []string { return []string{"-D", clusterDir, "-c"} }

// psProcesses is for systems without /proc. It sees our own postmasters only: any other process on the cluster makes the
// next server fail to start, with PostgreSQL's own message, until it has ended.
func psProcesses(ctx context.Context, clusterDir string) []process {
	out, err := exec.CommandContext(ctx, "ps", "-axww", "-o", "pid=,command=").Output()
	if err != nil {
		return nil
	}
	return parsePs(string(out), clusterDir)
}

func parsePs(out, clusterDir string) []process {
	var found []process
	mark := " " + strings.Join(launchArgs(clusterDir), " ") + " "
	for line := range strings.Lines(out) {
		pidText, command, _ := strings.Cut(strings.TrimSpace(line), " ")
		program, _, ok := strings.Cut(command, mark) // a program's path may hold blanks
		pid, err := strconv.Atoi(pidText)
		if ok && err == nil && filepath.Base(program) == "postgres" {
			found = append(found, process{pid: pid, role: ours})
		}
	}
	return found
}
