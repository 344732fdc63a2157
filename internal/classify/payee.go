package classify

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// payoutDay is what an acquirer pays on a day.
type payoutDay struct {
	acquirer string
	date     recon.Date
}

// payoutCounts are the merchants that are paid on a day, and those of them whose payout is in each state.
type payoutCounts struct {
	merchants int64
	in        map[recon.PayoutStatus]int64
}

// What many payees share is not one payee's account: a bank, or an acquirer, that pays late.
const (
	sharedMerchants = 4
	sharedShare     = 0.06
)

// readPayouts counts the payouts of the days on which one is not paid. It reads match's table of payout states.
func readPayouts(ctx context.Context, tx pgx.Tx) (map[payoutDay]*payoutCounts, error) {
	rows, err := tx.Query(ctx, `
		WITH disturbed AS (
		    SELECT DISTINCT acquirer, payout_date
		      FROM payout_state
		     WHERE status <> 'PAID'
		)
		SELECT acquirer, payout_date, COALESCE(status, ''), count(DISTINCT merchant_id)
		  FROM payout_state
		  JOIN disturbed USING (acquirer, payout_date)
		 GROUP BY GROUPING SETS ((acquirer, payout_date, status), (acquirer, payout_date))`)
	if err != nil {
		return nil, err
	}
	days := map[payoutDay]*payoutCounts{}
	var (
		k      payoutDay
		date   time.Time
		status recon.PayoutStatus
		n      int64
	)
	_, err = pgx.ForEachRow(rows, []any{&k.acquirer, &date, &status, &n}, func() error {
		k.date = recon.DateFromUTC(date)
		if days[k] == nil {
			days[k] = &payoutCounts{in: map[recon.PayoutStatus]int64{}}
		}
		if status == "" {
			days[k].merchants = n
		} else {
			days[k].in[status] = n
		}
		return nil
	})
	return days, err
}

// shared returns how many merchants have a payout in a state on a day, and whether they are many at once.
func (c *payoutCounts) shared(status string) (n, of int64, ok bool) {
	if c == nil {
		return 0, 0, false
	}
	n = c.in[recon.PayoutStatus(status)]
	return n, c.merchants, n >= sharedMerchants && float64(n) >= sharedShare*float64(c.merchants)
}
