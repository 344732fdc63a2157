package export

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
)

// small is what is in small tables, and costs less to look up here than to join with millions of rows.
type small struct {
	distributed bool
	files       []string // names by ids
	notCounting []int32  // files of whose rows none counts in the verdicts: replaced ones, and what no run has decided
	merchants   merchants
	// Of plain matches only:
	reread  bool // some lines of files that count do not yet
	due     map[dueOf]day
	payouts map[payout][]byte      // status; nil where the rows say it
	cases   map[orderKey]caseCells // nil where the rows say it
}

// merchants are the merchants of a selection's rows, and maybe others, in the order of an export: by acquirer and number.
type merchants struct{ acquirer, id []string }

// dueOf is what a due date is counted for; the cycle is "" for the acquirer's own.
type dueOf struct {
	acquirer string
	days     int64 // of the business date since postgresEpoch
	cycle    string
}

// payout names a payout, whose id is its acquirer's.
type payout struct{ acquirer, id string }

// orderKey is order_key as the server sends it.
type orderKey [16]byte

// caseCells are what a row says of its case.
type caseCells struct{ id, status, assignee []byte }

// maxSmall is how many payouts or cases are looked up here: some 20 MB of either. What is more is joined.
const maxSmall = 100_000

// lookAhead reads what the rows of a selection need, got by a way.
func lookAhead(ctx context.Context, tx pgx.Tx, sel Selection, way, most int) (*small, error) {
	known := &small{notCounting: []int32{}} // nil would be NULL, which nothing differs from
	var err error
	if known.distributed, err = postgres.Distributed(ctx, tx); err != nil {
		return nil, err
	}
	if err := known.readFiles(ctx, tx); err != nil {
		return nil, err
	}
	if err := known.readMerchants(ctx, tx, sel); err != nil || !sel.wantsPlain() {
		return known, err
	}
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM reread_line)`).Scan(&known.reread); err != nil {
		return nil, err
	}
	if err := known.readDue(ctx, tx, sel); err != nil || way == lookUp || way == unbound {
		return known, err
	}
	if err := known.readPayouts(ctx, tx, sel, most); err != nil {
		return nil, err
	}
	return known, known.readCases(ctx, tx, most)
}

// readFiles reads the names of all files, and which do not count.
func (s *small) readFiles(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT file_id, name, rows_loaded > 0 AND NOT counts FROM file ORDER BY file_id`)
	if err != nil {
		return err
	}
	var (
		id   int32
		name string
		not  bool
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &not}, func() error {
		s.files = slices.Grow(s.files, int(id)+1-len(s.files))[:id+1]
		s.files[id] = name
		if not {
			s.notCounting = append(s.notCounting, id)
		}
		return nil
	})
	return err
}

// fileName returns the name of a file by its id as the server sends it, "" where there is none.
func (s *small) fileName(id []byte) string {
	if n, err := strconv.Atoi(string(id)); err == nil && n < len(s.files) {
		return s.files[n]
	}
	return ""
}

// readMerchants reads the merchants that rows of these dates have: what they are sorted by, so that none may be missing.
func (s *small) readMerchants(ctx context.Context, tx pgx.Tx, sel Selection) error {
	where, args := sel.days().where()
	of := `SELECT acquirer, merchant_id FROM verdict AS v WHERE ` + where
	if sel.wantsPlain() {
		of += `
		 UNION ALL
		SELECT acquirer, merchant_id FROM plain_match AS v WHERE ` + where
	}
	rows, err := tx.Query(ctx, `SELECT DISTINCT acquirer, merchant_id FROM (`+of+`) AS m ORDER BY acquirer, merchant_id`, args...)
	if err != nil {
		return err
	}
	var acquirer, id string
	_, err = pgx.ForEachRow(rows, []any{&acquirer, &id}, func() error {
		s.merchants.acquirer, s.merchants.id = append(s.merchants.acquirer, acquirer), append(s.merchants.id, id)
		return nil
	})
	return err
}

// readDue reads the due dates of these business dates. Where a calendar year is missing there is none.
func (s *small) readDue(ctx context.Context, tx pgx.Tx, sel Selection) error {
	where, args := sel.days().where()
	rows, err := tx.Query(ctx, `SELECT acquirer, business_date, cycle, due_date FROM due_day AS v WHERE due_date IS NOT NULL AND `+where, args...)
	if err != nil {
		return err
	}
	s.due = map[dueOf]day{}
	var (
		of       dueOf
		business time.Time
		due      time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&of.acquirer, &business, &of.cycle, &due}, func() error {
		of.days = (business.Unix() - postgresEpoch) / secondsOfDay
		s.due[of] = day{due, true}
		return nil
	})
	return err
}

// readPayouts reads the reported payouts of plain matches, if they are not too many.
func (s *small) readPayouts(ctx context.Context, tx pgx.Tx, sel Selection, most int) error {
	where, args := sel.days().where()
	rows, err := tx.Query(ctx, `
		SELECT y.acquirer, y.payout_id, y.status
		  FROM payout_state AS y
		  JOIN (SELECT DISTINCT acquirer, payout_id FROM plain_match AS v WHERE `+where+`) AS m USING (acquirer, payout_id)
		 LIMIT `+strconv.Itoa(most+1), args...)
	if err != nil {
		return err
	}
	payouts := map[payout][]byte{}
	var (
		p      payout
		status string
	)
	if _, err = pgx.ForEachRow(rows, []any{&p.acquirer, &p.id, &status}, func() error {
		payouts[p] = []byte(status)
		return nil
	}); err == nil && len(payouts) <= most {
		s.payouts = payouts
	}
	return err
}

// readCases reads the cases of plain matches, whose line came late, if they are not too many; with those of archived orders, which
// have no verdict either.
func (s *small) readCases(ctx context.Context, tx pgx.Tx, most int) error {
	rows, err := tx.Query(ctx, `
		SELECT k.order_key, k.case_id, k.status, k.assignee
		  FROM cases AS k
		 WHERE k.episode = 0
		   AND NOT EXISTS (SELECT FROM verdict AS v WHERE v.order_key = k.order_key)
		 LIMIT `+strconv.Itoa(most+1))
	if err != nil {
		return err
	}
	cases := map[orderKey]caseCells{}
	var (
		key                  orderKey
		id, status, assignee string
	)
	if _, err = pgx.ForEachRow(rows, []any{&key, &id, &status, &assignee}, func() error {
		cases[key] = caseCells{[]byte(id), []byte(status), []byte(assignee)}
		return nil
	}); err == nil && len(cases) <= most {
		s.cases = cases
	}
	return err
}
