package private

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// socketPort is part of the socket's file name only; no TCP port is opened.
	socketPort = 5432
	// socketPathLimit is below what a socket address holds: 108 bytes on Linux, 104 on macOS, with a closing zero.
	socketPathLimit = 100
	// shortRoot and shortPrefix name the socket's folder where the data directory's own path is too long.
	shortRoot   = "/tmp"
	shortPrefix = "posrecon-socket-"
)

// socket is the folder of the server's Unix socket. Only the server's user (and root) may enter it, and that is all the
// access control there is.
type socket struct{ dir string }

// openSocket makes an empty folder for the socket: dataDir/socket, or a short one where that path would not do, because it
// is long or because a URL cannot carry it: a comma there separates two hosts, and golang-migrate writes a blank in a way
// that pgx does not read.
func openSocket(dataDir string, as account) (socket, error) {
	s := socket{dir: filepath.Join(dataDir, "socket")}
	err := os.RemoveAll(s.dir) // a server that was killed leaves its socket
	if err == nil {
		if len(s.file()) > socketPathLimit || strings.ContainsAny(s.dir, ", ") {
			s.dir, err = os.MkdirTemp(shortRoot, shortPrefix)
		} else {
			err = os.Mkdir(s.dir, 0o700)
		}
	}
	if err == nil {
		err = as.own(s.dir)
	}
	if err != nil {
		return socket{}, fmt.Errorf("make the folder for the private database's socket: %w", err)
	}
	return s, nil
}

func (s socket) file() string {
	return filepath.Join(s.dir, ".s.PGSQL."+strconv.Itoa(socketPort))
}

// url returns the address of one database. It says everything, so that no PG… variable of the environment has a say.
func (s socket) url(database string) string {
	q := url.Values{"host": {s.dir}, "port": {strconv.Itoa(socketPort)}, "sslmode": {"disable"}}
	u := url.URL{Scheme: "postgres", User: url.User(databaseName), Path: "/" + database, RawQuery: q.Encode()}
	return u.String()
}

// setting is the folder as the server wants it: a list of quoted paths.
func (s socket) setting() string { return `"` + strings.ReplaceAll(s.dir, `"`, `""`) + `"` }

// remove deletes the folder, after the server has ended.
func (s socket) remove() { _ = os.RemoveAll(s.dir) }

// removeShortSocket deletes the short folder of a server that was killed, which the data directory's own files no longer
// lead to; postmaster.pid names it.
func removeShortSocket(dir string) {
	if filepath.Dir(dir) == shortRoot && strings.HasPrefix(filepath.Base(dir), shortPrefix) {
		_ = os.RemoveAll(dir)
	}
}
