package classify

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// habit is how often the logs of an acquirer's tills lack, of payments that went well, what a lost one lacks too. Where one in
// ten callbacks is never recorded, a missing one says little.
type habit struct{ silent, lacks float64 }

// habitDays are the business dates that habits are read from: enough orders to know a share, few enough to cost nothing.
const habitDays = 2

// habitOrders is how many orders the shipped weights are worth against what is seen.
const habitOrders = 100

// readHabits reads the habits of the logs of the last business dates, by acquirer.
func readHabits(ctx context.Context, tx pgx.Tx, asOf recon.Date, w *Weights) (map[string]habit, error) {
	seen, err := readSales(ctx, tx, asOf.AddDays(-habitDays), asOf.AddDays(-1))
	if err != nil {
		return nil, err
	}
	silent := w.values["callback"]["silent"][systemDelay]
	lacks := w.values["channel_txn"]["lacks"][systemDelay]
	habits := map[string]habit{}
	for acquirer, n := range seen {
		habits[acquirer] = habit{
			silent: roughly((float64(n.told-n.heard) + silent*habitOrders) / (float64(n.told) + habitOrders)),
			lacks:  roughly((float64(n.numbered-n.numberOf) + lacks*habitOrders) / (float64(n.numbered) + habitOrders)),
		}
	}
	return habits, nil
}

// sales are those of an acquirer that went well: in logs that give callbacks, with one, in logs that give channels' ids, and with one.
type sales struct{ told, heard, numbered, numberOf int64 }

// readSales counts the sales of some business dates, by acquirer. Loading has counted them by log; of a log of which it has not, or a
// part is archived, the rows are counted. Which files have rows of these dates is known, so that their month is not read for two days.
func readSales(ctx context.Context, tx pgx.Tx, first, last recon.Date) (map[string]sales, error) {
	const (
		logs = `f.kind = 'pos_log'
		   AND f.state = 'loaded'
		   AND f.first_date <= $2
		   AND f.last_date >= $1`
		counted = `f.habits IS NOT NULL AND f.rows_archived = 0`
	)
	seen := map[string]sales{}
	count := func(sql string, args ...any) error {
		rows, err := tx.Query(ctx, sql, append([]any{first.UTC(), last.UTC()}, args...)...)
		if err != nil {
			return err
		}
		var (
			acquirer               string
			callbacks, channelTxns bool // whether the log gives any
			all, heard, numberOf   int64
		)
		_, err = pgx.ForEachRow(rows, []any{&acquirer, &callbacks, &channelTxns, &all, &heard, &numberOf}, func() error {
			s := seen[acquirer]
			if callbacks {
				s.told += all
			}
			if channelTxns {
				s.numbered += all
			}
			s.heard, s.numberOf = s.heard+heard, s.numberOf+numberOf
			seen[acquirer] = s
			return nil
		})
		return err
	}
	if err := count(`
		SELECT h.acquirer, f.has_callbacks, f.has_channel_txns, h.sales, h.heard, h.numbered
		  FROM file AS f
		 CROSS JOIN LATERAL jsonb_to_recordset(f.habits) AS h (acquirer text, date date, sales bigint, heard bigint, numbered bigint)
		 WHERE ` + logs + `
		   AND ` + counted + `
		   AND h.date BETWEEN $1 AND $2`); err != nil {
		return nil, err
	}
	found, err := tx.Query(ctx, `SELECT file_id FROM file AS f WHERE `+logs+` AND NOT (`+counted+`) ORDER BY file_id`, first.UTC(), last.UTC())
	if err != nil {
		return nil, err
	}
	files, err := pgx.CollectRows(found, pgx.RowTo[int32])
	if err != nil || len(files) == 0 {
		return seen, err
	}
	return seen, count(`
		SELECT p.acquirer, f.has_callbacks, f.has_channel_txns, count(*), count(p.callback_time), count(p.channel_txn_id)
		  FROM pos_row AS p
		  JOIN file AS f USING (file_id)
		 WHERE p.file_id = ANY ($3)
		   AND p.business_date BETWEEN $1 AND $2
		   AND p.status = 'SUCCESS'
		   AND p.type = 'SALE'
		 GROUP BY p.acquirer, f.has_callbacks, f.has_channel_txns`, files)
}

// roughly rounds a share, or what it leaves of one where that is less, to the nearest of … 0.01, 0.02, 0.05, 0.1 … by its logarithm: two
// days' logs tell no more of a habit, and what is explained by it stays as it is while it hardly changes.
func roughly(share float64) float64 {
	switch {
	case share <= 0 || share >= 1:
		return share
	case share > 0.5:
		return asStored(1 - roughly(1-share))
	}
	power := math.Pow(10, math.Floor(math.Log10(share)))
	nearest := power
	for _, digit := range []float64{2, 5, 10} {
		if x := digit * power; math.Abs(math.Log(share/x)) < math.Abs(math.Log(share/nearest)) {
			nearest = x
		}
	}
	return asStored(nearest)
}

// taken are the sub-causes whose payment went well: their logs look as the acquirer's ordinary ones do.
var taken = func() [subs]bool {
	var t [subs]bool
	for _, sub := range []recon.SubCause{recon.FileLate, recon.SystemDelay, recon.PayoutLate, recon.AccountFrozen, recon.AccountAbnormal, recon.InsufficientBalance} {
		t[indexOf(sub)] = true
	}
	return t
}()

// ofHabit reports whether a feature is weighed by habits.
func ofHabit(f feature) bool { return f.family == "callback" || f.family == "channel_txn" }

// apply puts a habit in place of what the weights say of payments that went well.
func (h habit) apply(f feature, p *perSub) *perSub {
	var share float64
	switch f {
	case feature{"callback", "silent"}:
		share = h.silent
	case feature{"callback", "heard"}:
		share = 1 - h.silent
	case feature{"channel_txn", "lacks"}:
		share = h.lacks
	case feature{"channel_txn", "has"}:
		share = 1 - h.lacks
	default:
		return p
	}
	out := *p
	for j := range out {
		if taken[j] {
			out[j] = share
		}
	}
	return &out
}
