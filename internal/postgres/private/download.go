package private

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	// programsPrefix begins the name of the folder of downloaded programs: pgsql-17.5.0.
	programsPrefix = "pgsql-"
	// downloadPattern matches the folders of unfinished downloads.
	downloadPattern = "download-*"
	// mirrorEnv names a mirror of Maven Central, for networks that cannot reach it.
	mirrorEnv = "POSRECON_PG_MIRROR"
	// newClusterMajor is downloaded for a new cluster: the version that the tests' official image has as well.
	newClusterMajor = 17
)

// downloadable lists what embedded-postgres can fetch, by major version.
var downloadable = map[int]embeddedpostgres.PostgresVersion{
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// download fetches the server programs of that major version, newClusterMajor where it is 0, into dataDir, where later
// starts find them. They appear there whole or not at all.
func download(ctx context.Context, dataDir string, major int, log *slog.Logger) (binaries, error) {
	if major == 0 {
		major = newClusterMajor
	}
	if ctx.Err() != nil {
		return binaries{}, context.Cause(ctx)
	}
	want, ok := downloadable[major]
	if !ok {
		return binaries{}, fmt.Errorf("PostgreSQL %d is not offered for download", major)
	}
	staging, err := os.MkdirTemp(dataDir, downloadPattern)
	if err != nil {
		return binaries{}, fmt.Errorf("make a folder to download PostgreSQL into: %w", err)
	}
	defer os.RemoveAll(staging)
	log.Info("downloading PostgreSQL, once", "version", string(want), "into", dataDir)
	unpacked := filepath.Join(staging, "pgsql")
	if err := fetch(ctx, staging, unpacked, major, want); err != nil {
		return binaries{}, fmt.Errorf("download PostgreSQL %s (a mirror of Maven Central can be named in %s): %w",
			want, mirrorEnv, err)
	}
	if err := openToServer(unpacked); err != nil {
		return binaries{}, fmt.Errorf("unpack PostgreSQL %s: %w", want, err)
	}
	final := filepath.Join(dataDir, programsPrefix+string(want))
	if err := os.Rename(unpacked, final); err != nil {
		return binaries{}, fmt.Errorf("keep the downloaded PostgreSQL %s: %w", want, err)
	}
	bin, err := inspect(ctx, filepath.Join(final, "bin"))
	if err != nil {
		return binaries{}, fmt.Errorf("run the downloaded PostgreSQL %s: %w", want, err)
	}
	return bin, nil
}

// fetch has embedded-postgres download and unpack into the folder unpacked. The library does so only on the way to
// starting a server, which it cannot do as root; so it is given a data directory that holds PG_VERSION and nothing else:
// it then skips initdb, and pg_ctl turns the folder down. Success is therefore judged by what was unpacked. The library
// takes no context: a cancelled fetch ends by itself, in a folder that the next start removes. It also leaves one small log
// in the temporary directory.
func fetch(ctx context.Context, staging, unpacked string, major int, want embeddedpostgres.PostgresVersion) error {
	decoy := filepath.Join(staging, "decoy")
	if err := os.Mkdir(decoy, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(decoy, "PG_VERSION"), []byte(strconv.Itoa(major)+"\n"), 0o600); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().
		Version(want).
		Port(port). // only because the library insists on a free one
		CachePath(filepath.Join(staging, "cache")).
		RuntimePath(filepath.Join(staging, "runtime")).
		BinariesPath(unpacked).
		DataPath(decoy).
		Logger(io.Discard)
	if mirror := os.Getenv(mirrorEnv); mirror != "" {
		config = config.BinaryRepositoryURL(mirror)
	}
	done := make(chan error, 1)
	go func() { done <- startDecoy(config) }()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-done:
		if _, statErr := os.Stat(filepath.Join(unpacked, "bin", "postgres")); statErr != nil {
			return errors.Join(err, statErr)
		}
		return nil
	}
}

// startDecoy runs the library's Start, which must fail after unpacking, and turns its panics on file errors into errors.
func startDecoy(config embeddedpostgres.Config) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("unpack: %v", r)
		}
	}()
	pg := embeddedpostgres.NewDatabase(config)
	if err := pg.Start(); err != nil {
		return err
	}
	return pg.Stop()
}

func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return uint32(l.Addr().(*net.TCPAddr).Port), nil
}

// openToServer lets every user read and run what was unpacked under dir, whatever our umask is: as root, another user
// runs the server.
func openToServer(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() || info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}
