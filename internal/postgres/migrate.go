package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strconv"
	"strings"

	"github.com/golang-migrate/migrate/v4"
	_ "github.com/golang-migrate/migrate/v4/database/pgx/v5" // registers the pgx5:// scheme
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"github.com/posrecon/posrecon/migrations"
)

// MigrateUp brings the schema of the database at databaseURL (postgres://…) to the newest version. Where its tables are
// distributed, what is new is as well.
func MigrateUp(ctx context.Context, databaseURL string) error {
	changed := false
	err := withMigrate(ctx, databaseURL, func(m *migrate.Migrate) error {
		err := m.Up()
		changed = err == nil
		return err
	})
	if err != nil || !changed {
		return err
	}
	return distributeNew(ctx, databaseURL)
}

// MigrateDown takes the schema back by steps versions, or to nothing where steps is 0. Facts in it are lost.
func MigrateDown(ctx context.Context, databaseURL string, steps int) error {
	return withMigrate(ctx, databaseURL, func(m *migrate.Migrate) error {
		if steps == 0 {
			return m.Down()
		}
		return m.Steps(-steps)
	})
}

// MigrateVersion returns the schema's version, 0 for an empty database, and whether a migration broke off half-way.
func MigrateVersion(ctx context.Context, databaseURL string) (version uint, dirty bool, err error) {
	err = withMigrate(ctx, databaseURL, func(m *migrate.Migrate) error {
		var err error
		version, dirty, err = m.Version()
		if errors.Is(err, migrate.ErrNilVersion) {
			return nil
		}
		return err
	})
	return version, dirty, err
}

func withMigrate(ctx context.Context, databaseURL string, do func(*migrate.Migrate) error) error {
	target, err := migrateURL(databaseURL)
	if err != nil {
		return err
	}
	src, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	m, err := migrate.NewWithSourceInstance("iofs", src, target)
	if err != nil {
		return fmt.Errorf("open the database to migrate it: %w", redact(err, databaseURL))
	}
	defer m.Close()
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true })
	defer stop()
	if err := do(m); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate the schema: %w", redact(err, databaseURL))
	}
	return nil
}

// migrateURL turns a postgres:// URL into the pgx5:// one that golang-migrate knows its driver by. Each statement of a migration is
// sent by itself: what Citus passes on of one to its nodes is the whole text that came.
func migrateURL(databaseURL string) (string, error) {
	_, rest, ok := strings.Cut(databaseURL, "://")
	if !ok {
		return "", fmt.Errorf("database URL must begin with postgres://")
	}
	separator := "?"
	if strings.Contains(rest, "?") {
		separator = "&"
	}
	return "pgx5://" + rest + separator + "x-multi-statement=true", nil
}

// redact takes the password of databaseURL out of an error's text.
func redact(err error, databaseURL string) error {
	u, perr := url.Parse(databaseURL)
	if perr != nil {
		// The error quotes what cannot be parsed: all that may be a password goes.
		_, rest, _ := strings.Cut(databaseURL, "://")
		if at := strings.LastIndex(rest, "@"); at > 0 {
			return errors.New(strings.ReplaceAll(err.Error(), rest[:at], "xxxxx"))
		}
		return err
	}
	if u.User == nil {
		return err
	}
	pw, ok := u.User.Password()
	if !ok || pw == "" || !strings.Contains(err.Error(), pw) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), pw, "xxxxx"))
}

// CheckVersion is an error unless the schema is at the version that this program brings, whole.
func CheckVersion(ctx context.Context, databaseURL string) error {
	version, dirty, err := MigrateVersion(ctx, databaseURL)
	if err != nil {
		return err
	}
	newest := uint(0)
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return fmt.Errorf("migration %s has no number", name)
		}
		newest = max(newest, uint(n))
	}
	switch {
	case dirty:
		return fmt.Errorf("the schema is at version %d, whose migration broke off half-way", version)
	case version != newest:
		return fmt.Errorf("the schema is at version %d, this program's is %d", version, newest)
	}
	return nil
}
