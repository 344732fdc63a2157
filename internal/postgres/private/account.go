package private

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// account is the user that runs the server programs: ourselves, or another one where we are root, because PostgreSQL
// refuses to run as root.
type account struct {
	name string
	cred *syscall.Credential // nil: ourselves
}

// serverAccount returns the account for cluster c, nil for one that is still to be made. Where we are root it is the
// owner of the cluster, so that a data directory made by an ordinary user stays theirs.
func serverAccount(c *cluster) (account, error) {
	var uid, gid uint32
	if c != nil {
		info, err := os.Stat(c.dir)
		if err != nil {
			return account{}, fmt.Errorf("look at the private database: %w", err)
		}
		st := info.Sys().(*syscall.Stat_t)
		uid, gid = st.Uid, st.Gid
	}
	euid := os.Geteuid()
	switch {
	case euid == 0 && uid != 0:
		return accountOf(uid, gid)
	case euid == 0:
		return unprivileged()
	case c != nil && int(uid) != euid:
		return account{}, fmt.Errorf("%s belongs to user id %d and this program runs as %d: run it as that user or as root, or "+
			"choose another --data-dir", c.dir, uid, euid)
	}
	return account{name: strconv.Itoa(euid)}, nil
}

// unprivileged returns the account that root runs the server as: the one made for PostgreSQL, else nobody.
func unprivileged() (account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err == nil && u.Uid != "0" {
			return accountFrom(u)
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as: " +
		"create one (useradd --system postgres), or name a server with --database-url")
}

// accountOf returns the account with that uid. In a container it may have no name, which a running server does not need.
func accountOf(uid, gid uint32) (account, error) {
	id := strconv.Itoa(int(uid))
	u, err := user.LookupId(id)
	if err != nil {
		return account{name: id, cred: &syscall.Credential{Uid: uid, Gid: gid}}, nil
	}
	return accountFrom(u)
}

func accountFrom(u *user.User) (account, error) {
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return account{}, fmt.Errorf("read the ids of user %s: %w", u.Username, err)
	}
	return account{name: u.Username, cred: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: groupsOf(u)}}, nil
}

// groupsOf returns what further groups can be found: packaged servers may read their certificates by one.
func groupsOf(u *user.User) []uint32 {
	ids, err := u.GroupIds()
	if err != nil {
		return nil
	}
	var groups []uint32
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil {
			groups = append(groups, uint32(g))
		}
	}
	return groups
}

// own hands path to the account.
func (a account) own(path string) error {
	if a.cred == nil {
		return nil
	}
	return os.Lchown(path, int(a.cred.Uid), int(a.cred.Gid))
}

// ownTree hands over a whole folder whose top is not the account's yet: a backup that root has copied back.
func (a account) ownTree(dir string) error {
	if a.cred == nil {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && info.Sys().(*syscall.Stat_t).Uid != a.cred.Uid {
		// The top goes last, so that an interrupted pass is begun again.
		err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			return a.own(path)
		})
		err = errors.Join(err, a.own(dir))
	}
	if err != nil {
		return fmt.Errorf("give the private database to user %s: %w", a.name, err)
	}
	return nil
}

// runner runs server programs as an account, with home, the data directory, as working directory.
type runner struct {
	bin  binaries
	as   account
	home string
}

// command prepares a server program. It gets a process group of its own, so that Ctrl-C on the terminal reaches posrecon
// alone, which then stops the server in good order.
func (r runner) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(r.bin.path(program), args...)
	cmd.Dir = r.home
	cmd.Env = serverEnv(os.Environ())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: r.as.cred}
	return cmd
}

// run runs a server program to its end and returns what it printed; when ctx ends, it kills the program and its children.
func (r runner) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := r.command(program, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	err := cmd.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return out.String(), err
}

// serverEnv drops what would change the server behind our back (PGDATA, PGPORT, PGOPTIONS…) or its language. LC_ALL must
// be set for macOS, where the server will not start on a locale that loads threads.
func serverEnv(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "LC_") || strings.HasPrefix(kv, "LANG")
	})
	return append(env, "LC_ALL=C")
}

// probe makes sure that the account can enter the data directory and run the programs, and says what is in the way.
func (r runner) probe(ctx context.Context) error {
	_, err := r.run(ctx, "postgres", "--version")
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrPermission) || r.as.cred == nil {
		return fmt.Errorf("run %s as user %s: %w", r.bin.path("postgres"), r.as.name, err)
	}
	for _, path := range []string{r.home, r.bin.path("postgres")} {
		if shut := r.as.firstShut(path); shut != "" {
			return fmt.Errorf("PostgreSQL does not run as root but as user %s, who may not pass %s on the way to %s: allow it "+
				"(chmod o+x %s), or choose another --data-dir (/var/lib/posrecon)", r.as.name, shut, path, shut)
		}
	}
	return fmt.Errorf("run PostgreSQL in %s as user %s (choose another --data-dir): %w", r.home, r.as.name, err)
}

// compression returns how the server of a cluster can compress the full pages that it logs after a checkpoint: lz4 where it was
// built with that (PostgreSQL 15 and newer, most packages), which takes far less processor time than its own method.
func (r runner) compression(ctx context.Context, c *cluster) string {
	const name, best = "wal_compression", "lz4"
	if _, err := r.run(ctx, "postgres", "-D", c.dir, "-C", name, "-c", name+"="+best); err != nil {
		return "on"
	}
	return best
}

// firstShut returns the first part of an absolute path, from the root down, that the account may not enter or run by its
// permission bits, "" if there is none.
func (a account) firstShut(path string) string {
	var parts []string
	for p := path; ; p = filepath.Dir(p) {
		parts = append(parts, p)
		if p == filepath.Dir(p) {
			break
		}
	}
	for _, p := range slices.Backward(parts) {
		info, err := os.Stat(p)
		if err != nil || !a.mayEnter(info) {
			return p
		}
	}
	return ""
}

func (a account) mayEnter(info fs.FileInfo) bool {
	st := info.Sys().(*syscall.Stat_t)
	switch {
	case st.Uid == a.cred.Uid:
		return info.Mode()&0o100 != 0
	case st.Gid == a.cred.Gid || slices.Contains(a.cred.Groups, st.Gid):
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}
