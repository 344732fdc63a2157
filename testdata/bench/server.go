package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// settings are what an administrator would give a server of this size; all rivals have the same.
var settings = []string{
	"listen_addresses=", "shared_buffers=1GB", "work_mem=64MB", "maintenance_work_mem=256MB", "max_wal_size=4GB",
	"checkpoint_timeout=15min", "jit=off",
}

// server is a PostgreSQL that lives as long as the benchmark.
type server struct {
	dir     string
	process *exec.Cmd
	ended   chan struct{}
}

// programs finds the folder of PostgreSQL's server programs.
func programs() (string, error) {
	var dirs []string
	if dir := os.Getenv("POSRECON_PG_BIN"); dir != "" {
		dirs = append(dirs, dir)
	}
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	version := func(dir string) int { n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir))); return n }
	slices.SortFunc(debian, func(a, b string) int { return version(b) - version(a) })
	for _, dir := range append(dirs, debian...) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no initdb: install PostgreSQL's server programs, or name their folder in POSRECON_PG_BIN")
}

// unprivileged makes a command run as somebody whom PostgreSQL accepts, in a session of its own: an interrupt at the terminal
// is ours to handle, and the server goes last.
func unprivileged(cmd *exec.Cmd, owns string) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	cmd.Dir = owns
	return os.Chown(owns, uid, gid)
}

func startServer(ctx context.Context, dir string) (*server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
	if err := unprivileged(initdb, dir); err != nil {
		return nil, err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	s := &server{dir: dir, ended: make(chan struct{})}
	args := []string{"-D", data, "-k", dir}
	for _, set := range settings {
		args = append(args, "-c", set)
	}
	s.process = exec.Command(filepath.Join(bin, "postgres"), args...)
	if err := unprivileged(s.process, dir); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	go func() { _ = s.process.Wait(); close(s.ended) }()
	for s.sql(ctx, "postgres", "SELECT 1") != nil {
		select {
		case <-ctx.Done():
			s.stop()
			return nil, ctx.Err()
		case <-s.ended:
			said, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("the server ended:\n%s", said)
		case <-time.After(100 * time.Millisecond):
		}
	}
	// By lz4 where the server was built with it, as posrecon's own is told to.
	method, err := s.ask(ctx, "postgres", "SELECT CASE WHEN 'lz4' = ANY (enumvals) THEN 'lz4' ELSE 'on' END FROM pg_settings WHERE name = 'wal_compression'")
	if err == nil {
		err = s.sql(ctx, "postgres", "ALTER SYSTEM SET wal_compression = '"+method+"'", "SELECT pg_reload_conf()")
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// stop ends the server at once: nothing of it is kept.
func (s *server) stop() {
	_ = s.process.Process.Signal(syscall.SIGQUIT)
	<-s.ended
}

func (s *server) psql(ctx context.Context, database string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "psql", append([]string{"-qXAt", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-U", "postgres", "-d", database}, args...)...)
}

func (s *server) sql(ctx context.Context, database string, statements ...string) error {
	_, err := s.ask(ctx, database, statements...)
	return err
}

// ask returns what the statements print.
func (s *server) ask(ctx context.Context, database string, statements ...string) (string, error) {
	var args []string
	for _, statement := range statements {
		args = append(args, "-c", statement)
	}
	var said strings.Builder
	cmd := s.psql(ctx, database, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w\n%s", err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// fresh makes a database anew. What the program before has left is dropped and written out first, so that neither a checkpoint nor
// autovacuum works on it while the next one is timed.
func (s *server) fresh(ctx context.Context, name, template string) error {
	create := "CREATE DATABASE " + name + " TEMPLATE " + template
	if template != "template0" {
		if version, err := s.ask(ctx, "postgres", "SHOW server_version_num"); err != nil {
			return err
		} else if version >= "150000" { // before, there was no other way
			create += " STRATEGY file_copy"
		}
	}
	return s.sql(ctx, "postgres", "SET client_min_messages = warning", "DROP DATABASE IF EXISTS rival", "DROP DATABASE IF EXISTS ours", create, "CHECKPOINT")
}

func (s *server) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + s.dir
}
