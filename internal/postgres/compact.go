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
// which vacuuming frees and does not give back, and each statement that looks through all that is open would read it for good. It takes
// the tables' own statistics for what they hold. A table that others are reading for more than a second is left for another night. Where
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
		var slack bool
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
			 WHERE oid = to_regclass($1)`, table, slackBytes, 1+slackTimes).Scan(&slack); err != nil {
			return fmt.Errorf("compact %s: %w", table, err)
		}
		if !slack {
			continue
		}
		if _, err := conn.Exec(ctx, `SET lock_timeout = '1s'`); err != nil {
			return fmt.Errorf("compact %s: %w", table, err)
		}
		_, err := conn.Exec(ctx, `VACUUM (FULL) `+table)
		if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == "55P03" { // lock_not_available
			err = nil
		}
		if _, rerr := conn.Exec(ctx, `RESET lock_timeout`); rerr != nil { // with its session goes what it has set
			return errors.Join(err, rerr, conn.Hijack().Close(context.WithoutCancel(ctx)))
		}
		if err != nil {
			return fmt.Errorf("compact %s: %w", table, err)
		}
	}
	return nil
}
