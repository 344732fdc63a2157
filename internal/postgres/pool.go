package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	pgxdecimal "github.com/jackc/pgx-shopspring-decimal"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
)

// minServerVersion is PostgreSQL 14: client_connection_check_interval and multirange-free SQL of ours need no newer.
const minServerVersion = 140000

// readBytes is how much of what the server has sent is taken at once. pgx takes 8 kB, and would read fifty thousand times for a million
// exported rows.
const readBytes = 128 << 10

// Open connects to the database at databaseURL and checks that it is new enough. The caller closes the pool.
func Open(ctx context.Context, databaseURL string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", redact(err, databaseURL))
	}
	config.MaxConns = 8 // two loaders with a partition maker each, one run with its lock, and room for the console
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = "posrecon"
	// A killed posrecon must not leave a statement running that holds its lock.
	params["client_connection_check_interval"] = "1s"
	// What the database URL says of the next three stands: its author knows the server.
	for name, value := range map[string]string{
		"jit":      "off", // compiling costs more than it saves on statements that run once
		"work_mem": "128MB",
		// A night's rows are in memory when they are looked up, and the rest is on no spinning disk: the default of 4 would have
		// two thousand orders found by reading a million.
		"random_page_cost": "1.1",
	} {
		if _, given := params[name]; !given {
			params[name] = value
		}
	}
	params["timezone"] = "UTC"
	// Only Citus knows these. What a transaction sets for itself holds on every node; and two loaders may write a table that is on
	// all nodes side by side: their rows are others', and a row is locked as anywhere.
	params["citus.propagate_set_commands"] = "local"
	params["citus.all_modifications_commutative"] = "on"
	config.ConnConfig.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, readBytes), w)
	}
	config.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		pgxdecimal.Register(conn.TypeMap())
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", redact(err, databaseURL))
	}
	var version int
	var encoding, name string
	if err := pool.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), current_database()`).
		Scan(&version, &encoding, &name); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to the database: %w", redact(err, databaseURL))
	}
	if version < minServerVersion {
		pool.Close()
		return nil, fmt.Errorf("the database server is PostgreSQL %d.%d; posrecon needs 14 or newer", version/10000, version%10000)
	}
	// Any other encoding cannot hold every name, or, as SQL_ASCII, does not know what it holds.
	if encoding != "UTF8" {
		pool.Close()
		return nil, fmt.Errorf("the database %s is encoded in %s; posrecon needs UTF8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", name, encoding)
	}
	return pool, nil
}

// errRollback asks Transact to roll back without an error.
var errRollback = errors.New("roll back")

// Transact runs do in one transaction. Its work is kept only if do returns keep true and no error.
func Transact(ctx context.Context, pool *pgxpool.Pool, do func(tx pgx.Tx) (keep bool, err error)) error {
	return transact(ctx, pool, pgx.TxOptions{}, do)
}

// TransactAgain is Transact for a do that may be called again, up to three times, where the transaction was ended so that another
// could go on.
func TransactAgain(ctx context.Context, pool *pgxpool.Pool, do func(tx pgx.Tx) (keep bool, err error)) error {
	return again(func() error { return transact(ctx, pool, pgx.TxOptions{}, do) })
}

// TransactSnapshot is TransactAgain on one snapshot of the database: whatever others commit meanwhile, every statement of do
// sees the same facts. do may also be called again where another transaction changed a row that it changes too.
func TransactSnapshot(ctx context.Context, pool *pgxpool.Pool, do func(tx pgx.Tx) (keep bool, err error)) error {
	return again(func() error { return transact(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, do) })
}

// SQLSTATEs of a transaction that must be tried again. Two that write the same row on several nodes, as a program and what is left
// of one that was killed, can wait for one another.
const (
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
)

func again(do func() error) error {
	for try := 1; ; try++ {
		err := do()
		var pg *pgconn.PgError
		if try == 3 || !errors.As(err, &pg) || pg.Code != serializationFailure && pg.Code != deadlockDetected {
			return err
		}
	}
}

func transact(ctx context.Context, pool *pgxpool.Pool, options pgx.TxOptions, do func(tx pgx.Tx) (bool, error)) error {
	err := pgx.BeginTxFunc(ctx, pool, options, func(tx pgx.Tx) error {
		keep, err := do(tx)
		if err == nil && !keep {
			return errRollback
		}
		return err
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}

// ErrLocked says that another run holds the lock; cmd maps it to exit status 4.
var ErrLocked = errors.New("another run holds the lock")

// runLock is the advisory lock of a run: one per database, whatever the number of hosts. The number is the bytes of
// "posrecon".
const runLock int64 = 0x706f737265636f6e

// Lock takes the lock of a run, waiting up to wait for it, and returns what releases it. The lock belongs to a
// connection: it is released also when the program dies.
func Lock(ctx context.Context, pool *pgxpool.Pool, wait time.Duration) (release func(), err error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("take the lock of a run: %w", err)
	}
	var locked bool
	if wait <= 0 {
		err = conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, runLock).Scan(&locked)
	} else {
		waitCtx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		_, err = conn.Exec(waitCtx, `SELECT pg_advisory_lock($1)`, runLock)
		if locked = err == nil; err != nil && waitCtx.Err() != nil && ctx.Err() == nil {
			err = nil
		}
	}
	if err != nil {
		conn.Release()
		return nil, fmt.Errorf("take the lock of a run: %w", err)
	}
	if !locked {
		conn.Release()
		return nil, ErrLocked
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		// Unlocking tells when the lock is free; closing alone would leave it for the moment until the server notices.
		if _, err := conn.Exec(ctx, `SELECT pg_advisory_unlock($1)`, runLock); err != nil {
			_ = conn.Hijack().Close(ctx)
			return
		}
		conn.Release()
	}, nil
}
