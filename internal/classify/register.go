package classify

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// fileKey is the settlement file, or files, of an acquirer and a date.
type fileKey struct {
	acquirer string
	date     recon.Date
}

// register is what is known of settlement files: which dates have lines, and which files are bills of a day.
type register struct {
	files map[fileKey]int64       // rows by settle date
	bills map[fileKey]bool        // bills of a day: all rows are of their own date, as the wallets' are
	dates map[string][]recon.Date // by acquirer, the dates that files are of, in order
	sent  map[fileKey]int         // files of the date: some acquirers send several
}

// readRegister reads the files that count. A date has lines if a file is of it or holds rows that settle on it.
func readRegister(ctx context.Context, tx pgx.Tx) (*register, error) {
	r := &register{files: map[fileKey]int64{}, bills: map[fileKey]bool{}, dates: map[string][]recon.Date{}, sent: map[fileKey]int{}}
	var (
		acquirer string
		date     time.Time
		rows     int64
		ofDay    bool
		sent     int
	)
	found, err := tx.Query(ctx, `
		WITH counting AS (
		    SELECT *
		      FROM file
		     WHERE kind = 'settlement'
		       AND state = 'loaded'
		       AND replaced_by IS NULL
		), line AS (
		    SELECT acquirer, settle_date, settle_file_id AS file_id, sign * orders AS rows
		      FROM plain_match
		     UNION ALL
		    SELECT acquirer, settle_date, settle_file_id, 1
		      FROM verdict
		     WHERE settle_file_id IS NOT NULL
		), other_dates AS (
		    SELECT l.acquirer,
		           l.settle_date,
		           sum(l.rows)::bigint AS rows
		      FROM counting AS f
		      JOIN line AS l USING (file_id)
		     WHERE f.rows_other_date > 0
		       AND l.settle_date <> f.file_date
		     GROUP BY l.acquirer, l.settle_date
		)
		SELECT acquirer,
		       file_date,
		       sum(rows_read)::bigint,
		       count(*),
		       -- A canonical line without a time is dated by its settle date, which says nothing.
		       -- With a cut-off before midnight the day's last sales are of the next.
		       bool_and(first_date >= file_date AND last_date <= file_date + 1 AND format NOT IN ('', 'canonical')) IS TRUE
		  FROM counting
		 GROUP BY acquirer, file_date
		 UNION ALL
		SELECT acquirer, settle_date, rows, 0, false
		  FROM other_dates`)
	if err != nil {
		return nil, err
	}
	if _, err := pgx.ForEachRow(found, []any{&acquirer, &date, &rows, &sent, &ofDay}, func() error {
		k := fileKey{acquirer, recon.DateFromUTC(date)}
		if r.sent[k] == 0 && sent > 0 {
			r.dates[acquirer] = append(r.dates[acquirer], k.date)
		}
		r.files[k] += rows
		r.sent[k] += sent
		if ofDay {
			r.bills[k] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, dates := range r.dates {
		slices.SortFunc(dates, func(a, b recon.Date) int { return a.DaysSince(b) })
	}
	return r, nil
}

// later counts the acquirer's files' dates after one: the chances that a late order has had to come.
func (r *register) later(acquirer string, date recon.Date) int {
	dates := r.dates[acquirer]
	i, found := slices.BinarySearchFunc(dates, date, func(a, b recon.Date) int { return a.DaysSince(b) })
	if found {
		i++
	}
	return len(dates) - i
}

// of returns the date of the settlement file that should hold an order and whether it has come: the file of the day on which
// the order settles, else a wallet's bill of the order's own day.
func (r *register) of(acquirer string, expected, business recon.Date) (recon.Date, bool) {
	if k := (fileKey{acquirer, expected}); r.files[k] > 0 || r.sent[k] > 0 { // one without rows says that nothing settles
		return expected, true
	}
	if r.bills[fileKey{acquirer, business}] {
		return business, true
	}
	return expected, false
}

// normDays is how far back an acquirer's habit of sending files is looked for.
const normDays = 35

// fewer reports whether fewer files are there of a date than the acquirer usually sends: one that settles same-day orders
// apart sends two, and one of them is still to come. A corrected file takes the place of the one it replaces.
func (r *register) fewer(k fileKey) bool {
	var usual []int
	for _, d := range r.dates[k.acquirer] {
		if n := r.sent[fileKey{k.acquirer, d}]; n > 0 && !d.Equal(k.date) && k.date.DaysSince(d) <= normDays {
			usual = append(usual, n)
		}
	}
	if len(usual) == 0 {
		return false
	}
	slices.Sort(usual)
	return r.sent[k] < usual[len(usual)/2]
}
