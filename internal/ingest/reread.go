package ingest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// reread reads the rejected lines of a loaded file again, after its profile has changed: what is readable now becomes
// facts, what still is not keeps its reason or gets a new one. The rows that were accepted stay as they are. A profile that
// makes another kind of file of it, or another acquirer's, changes nothing: its facts would contradict those that are there.
func (l *loader) reread(ctx context.Context, c candidate, fileID int32, report *File) error {
	readable := false
	err := postgres.Transact(ctx, l.pool, func(tx pgx.Tx) (bool, error) {
		report.Rows, report.Rejected = 0, 0
		entry := register{candidate: c, fileID: fileID}
		if err := tx.QueryRow(ctx, `
			SELECT acquirer, rows_read, rows_loaded, rows_rejected
			  FROM file
			 WHERE file_id = $1
			   FOR UPDATE`, fileID).Scan(&entry.acquirer, &entry.rowsRead, &entry.rowsLoaded, &entry.rowsRejected); err != nil {
			return false, err
		}
		rows, err := tx.Query(ctx, `DELETE FROM rejected_line WHERE file_id = $1 RETURNING line`, fileID)
		if err != nil {
			return false, err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return false, err
		}
		rejected := make(map[int64]bool, len(lines))
		for _, line := range lines {
			rejected[line] = true
		}
		if readable, err = l.rereadLines(ctx, tx, &entry, report.Kind, rejected); err != nil || !readable {
			return false, err
		}
		report.Rows, report.Rejected = int64(len(lines))-entry.rowsRejected, entry.rowsRejected
		_, err = tx.Exec(ctx, `
			UPDATE file
			   SET rows_loaded = rows_read - $2,
			       rows_rejected = $2,
			       first_date = least(first_date, $3),
			       last_date = greatest(last_date, $4),
			       dates = CASE WHEN dates IS NOT NULL AND $7::date[] IS NOT NULL THEN dates || $7 END,
			       habits = NULL, -- the rows are counted
			       format_version = $5,
			       decided = decided AND $6,
			       told = told AND $6
			 WHERE file_id = $1`, fileID, entry.rowsRejected, day(entry.firstDate), day(entry.lastDate), c.version, report.Rows == 0,
			entry.allDates())
		return true, err
	})
	if err == nil && !readable {
		// It is not read in vain every night.
		_, err = l.pool.Exec(ctx, `UPDATE file SET format_version = $2 WHERE file_id = $1`, fileID, c.version)
	}
	return err
}

// rereadLines parses the file and keeps what has become of the lines. It is not ok where the file is no longer the same
// kind, or cannot be read.
func (l *loader) rereadLines(ctx context.Context, tx pgx.Tx, entry *register, kind recon.Kind, rejected map[int64]bool) (bool, error) {
	f, err := entry.open()
	if err != nil {
		return false, err
	}
	defer f.Close()
	source, err := entry.readAgain(f, func(int64) {})
	if err != nil {
		return false, err
	}
	reader, err := statement.Open(source, l.opt.statement(entry.name))
	var unreadable *statement.FileError
	if errors.As(err, &unreadable) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer reader.Close()
	if owner := strings.ToLower(reader.Meta().Acquirer); reader.Kind() != kind || owner != "" && owner != entry.acquirer {
		return false, nil
	}
	entry.rowsRejected = 0
	asked := slices.Collect(maps.Keys(rejected))
	var none *held
	switch err := l.copyRows(ctx, tx, entry, kind, &chosen{reader, rejected}); {
	case errors.As(err, &unreadable), errors.As(err, &none):
		return false, nil
	case err != nil:
		return false, err
	}
	if same, err := source.unchanged(); err != nil || !same {
		return false, err
	}
	// What they say is no run's word yet.
	if _, err := tx.Exec(ctx, `
		INSERT INTO reread_line (file_id, line)
		SELECT file_id, line FROM pos_row WHERE file_id = $1 AND line = ANY ($2)
		 UNION ALL
		SELECT file_id, line FROM settlement_row WHERE file_id = $1 AND line = ANY ($2)`, entry.fileID, asked); err != nil {
		return false, err
	}
	// A line that the profile passes over now, a title or a total, is no row and was never one.
	if len(rejected) > 0 {
		if _, err := tx.Exec(ctx, `UPDATE file SET rows_read = rows_read - $2, rows_rejected = rows_rejected - $2 WHERE file_id = $1`,
			entry.fileID, len(rejected)); err != nil {
			return false, err
		}
	}
	return true, nil
}

// chosen yields only the records of the lines that are asked for, and forgets these.
type chosen struct {
	records
	lines map[int64]bool
}

func (c *chosen) Next() (statement.Record, error) {
	for {
		rec, err := c.records.Next()
		if err != nil {
			return rec, err
		}
		if line := int64(rec.Line); c.lines[line] {
			delete(c.lines, line)
			return rec, nil
		}
	}
}
