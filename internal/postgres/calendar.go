package postgres

import (
	"bytes"
	"context"
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
	text.WriteString("date,kind,name,notice\n")
	var (
		day                time.Time
		kind, name, notice string
		found              bool
	)
	if _, err := pgx.ForEachRow(rows, []any{&day, &kind, &name, &notice}, func() error {
		found = true
		_, err := fmt.Fprintf(&text, "%s,%s,%s,%s\n", day.Format(time.DateOnly), kind, name, notice)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	if !found {
		return shipped, nil
	}
	loaded, err := calendar.Parse(&text)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	return shipped.Merge(loaded), nil
}

// LoadCalendar stores the years of c in the database; a year that is there already is replaced whole.
func LoadCalendar(ctx context.Context, pool *pgxpool.Pool, c *calendar.Calendar) error {
	days := c.Days()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		for _, year := range c.Years() {
			if _, err := tx.Exec(ctx, `DELETE FROM calendar_day WHERE extract(year FROM day) = $1`, year); err != nil {
				return err
			}
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
