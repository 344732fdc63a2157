package match

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// fresh are files whose rows no run has decided and which count, with the business dates that bound their rows.
type fresh struct {
	pos, lines           []int32
	posDates, linesDates [2]recon.Date
}

// readFresh reads which files are fresh; where all is decided, every file that counts.
func (d *decision) readFresh(ctx context.Context) error {
	rows, err := d.tx.Query(ctx, `
		SELECT file_id, kind = 'pos_log', first_date, last_date
		  FROM file
		 WHERE state = 'loaded'
		   AND replaced_by IS NULL
		   AND kind IN ('pos_log', 'settlement')
		   AND first_date IS NOT NULL
		   AND (NOT decided OR $1)
		 ORDER BY file_id`, d.all)
	if err != nil {
		return err
	}
	var (
		id          int32
		pos         bool
		first, last time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &pos, &first, &last}, func() error {
		files, dates := &d.fresh.lines, &d.fresh.linesDates
		if pos {
			files, dates = &d.fresh.pos, &d.fresh.posDates
		}
		*files = append(*files, id)
		if from := recon.DateFromUTC(first); dates[0].IsZero() || from.Before(dates[0]) {
			dates[0] = from
		}
		if to := recon.DateFromUTC(last); to.After(dates[1]) {
			dates[1] = to
		}
		return nil
	})
	return err
}

// where returns the condition that a row of alias is of a fresh file, in constants: they let the planner read only the
// partitions that hold such rows, and hash a long list of files.
func where(alias string, files []int32, dates [2]recon.Date) string {
	if len(files) == 0 {
		return alias + ".business_date < '-infinity'" // no partition's; a bare false Citus takes in no outer join
	}
	return fmt.Sprintf("%[1]s.file_id = ANY (%[2]s) AND %[1]s.business_date BETWEEN '%[3]s' AND '%[4]s'",
		alias, integers(files), dates[0], dates[1])
}

func (f *fresh) posRow(alias string) string { return where(alias, f.pos, f.posDates) }
func (f *fresh) line(alias string) string   { return where(alias, f.lines, f.linesDates) }

// integers returns ids as an SQL array constant.
func integers(ids []int32) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = strconv.Itoa(int(id))
	}
	return "'{" + strings.Join(texts, ",") + "}'::integer[]"
}
