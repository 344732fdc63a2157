package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// slackBytes is how much of a table may always be empty, and slackTimes how many times what its rows take may be: to write a table anew
// costs little where a fifth of it is rows.
const (
	slackBytes = 8 << 20
	slackTimes = 4
)

// Compact writes tables anew that are nearly empty files: what was open over a long holiday leaves its space behind when its lines come,
// which vacuuming frees and does not give back, and each statement that looks through all that is open would read it for good. What a
// large table holds is estimated from a sample. A table that others are reading for more than a second is left for another night. Where
// tables are spread over nodes nothing is done.
func Compact(ctx context.Context, pool *pgxpool.Pool, tables ...string) error {
	if distributed, err := Distributed(ctx, pool); err != nil || distributed {
		return err
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	for _, table := range tables {
		if err := compact(ctx, conn, table); err != nil {
			return fmt.Errorf("compact %s: %w", table, err)
		}
	}
	return nil
}

func compact(ctx context.Context, conn *pgxpool.Conn, table string) error {
	var large, slack bool
	if err := conn.QueryRow(ctx, `SELECT pg_relation_size($1::regclass) > $2`, table, slackBytes).Scan(&large); err != nil || !large {
		return err
	}
	for _, sql := range []string{
		`SET lock_timeout = '1s'`,
		`SET default_statistics_target = 10`, // three thousand rows show it
		`ANALYZE ` + table,
	} {
		if err := unlessLocked(conn.Exec(ctx, sql)); err != nil {
			return giveUp(ctx, conn, err)
		}
	}
	// A row has a header of 24 bytes and a pointer of 4 beside its columns.
	if err := conn.QueryRow(ctx, `
		WITH held AS (
		    SELECT COALESCE(sum(avg_width * (1 - null_frac)), 0) + 28 AS row_bytes
		      FROM pg_stats
		     WHERE schemaname = current_schema()
		       AND tablename = $1
		)
		SELECT reltuples >= 0
		   AND pg_relation_size(oid) > $2 + $3 * (reltuples * row_bytes)
		  FROM pg_class
		 CROSS JOIN held
		 WHERE oid = $1::regclass`, table, slackBytes, 1+slackTimes).Scan(&slack); err != nil {
		return giveUp(ctx, conn, err)
	}
	if slack {
		if err := unlessLocked(conn.Exec(ctx, `VACUUM (FULL) `+table)); err != nil {
			return giveUp(ctx, conn, err)
		}
	}
	for _, name := range []string{"lock_timeout", "default_statistics_target"} {
		if _, err := conn.Exec(ctx, `RESET `+name); err != nil {
			return giveUp(ctx, conn, err)
		}
	}
	return nil
}

// unlessLocked is the error of a statement, but for that others hold a lock that it waited for.
func unlessLocked(_ pgconn.CommandTag, err error) error {
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && (pgErr.Code == "55P03" || pgErr.Code == "40P01") {
		return nil // lock_not_available, deadlock_detected
	}
	return err
}

// giveUp ends the session of a connection, and with it what was set there.
func giveUp(ctx context.Context, conn *pgxpool.Conn, err error) error {
	return errors.Join(err, conn.Hijack().Close(context.WithoutCancel(ctx)))
}
