package postgres

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/calendar"
)

// Calendar returns shipped with the years that were loaded into the database instead of its own.
func Calendar(ctx context.Context, pool *pgxpool.Pool, shipped *calendar.Calendar) (*calendar.Calendar, error) {
	rows, err := pool.Query(ctx, `SELECT day, kind, name, notice FROM calendar_day ORDER BY day`)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	var text bytes.Buffer
	out := csv.NewWriter(&text)
	if err := out.Write([]string{"date", "kind", "name", "notice"}); err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	var (
		day                time.Time
		kind, name, notice string
		found              bool
	)
	if _, err := pgx.ForEachRow(rows, []any{&day, &kind, &name, &notice}, func() error {
		found = true
		return out.Write([]string{day.Format(time.DateOnly), kind, name, notice})
	}); err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	if !found {
		return shipped, nil
	}
	out.Flush()
	loaded, err := calendar.Parse(&text)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	return shipped.Merge(loaded), nil
}

// LoadCalendar stores the days of c in the database. A year that is there already is replaced whole; a notice may also
// list days of the December before, and these are replaced one by one.
func LoadCalendar(ctx context.Context, pool *pgxpool.Pool, c *calendar.Calendar) error {
	days := c.Days()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, year := range c.Years() {
			if _, err := tx.Exec(ctx, `DELETE FROM calendar_day WHERE extract(year FROM day) = $1`, year); err != nil {
				return err
			}
		}
		listed := make([]time.Time, len(days))
		for i := range days {
			listed[i] = days[i].Date.UTC()
		}
		if _, err := tx.Exec(ctx, `DELETE FROM calendar_day WHERE day = ANY ($1)`, listed); err != nil {
			return err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"calendar_day"}, []string{"day", "kind", "name", "notice"},
			pgx.CopyFromSlice(len(days), func(i int) ([]any, error) {
				return []any{days[i].Date.UTC(), string(days[i].Kind), days[i].Name, days[i].Notice}, nil
			}))
		return err
	})
	if err != nil {
		return fmt.Errorf("store the calendar: %w", err)
	}
	return nil
}
