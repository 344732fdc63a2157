package classify

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// merchantKey is a merchant of an acquirer, or one channel of it; an acquirer can freeze either.
type merchantKey struct{ acquirer, merchant, channel string }

// tail is a merchant's unbroken run of due orders without money since its last one that was settled.
type tail struct {
	since   time.Time
	until   time.Time
	orders  int
	first   [16]byte
	odds    float64 // that the merchant is frozen
	settled int64   // orders of its peers that settled meanwhile
}

// What a freeze is held against (practice §4.5): how rare one is, the least rate of missing lines that a quiet day is
// trusted with, and how much missing lines of one merchant and batch come together.
const (
	frozenPrior      = 5e-4 // of merchants at any time
	missingFloor     = 0.003
	missingTogether  = 0.08
	oddsCeiling      = 1e6
	frozenExceptions = 0.01 // of a frozen merchant's orders, that settle all the same
)

// tails finds merchants, and single channels of merchants, whose orders all go without money since some moment while their
// peers' settle. Each order of the run multiplies the odds by how rare a missing line is among its batch's other merchants,
// so that a late batch, a late file or an outage makes nobody look frozen.
type tails map[merchantKey]*tail

// background returns how likely an order's line was missing without a freeze: by its batch, its file and its channel's
// outages. ok is false where nothing can be told, which counts for nothing.
type background func(o *tailOrder) (rate float64, settled int64, ok bool)

// tailOrder is an order of a run. It is small, for on a bad night there are many.
type tailOrder struct {
	key   [16]byte
	at    time.Time
	batch batchKey
	who   string // the merchant
	whole bool   // nothing of the whole merchant settled since, not only of its channel
	line  bool   // it has a line that is not SETTLED
}

// readTails reads the unbroken runs, by merchant and time.
func readTails(ctx context.Context, tx pgx.Tx) ([]tailOrder, error) {
	rows, err := tx.Query(ctx, `
		WITH suspect AS (
		    SELECT DISTINCT acquirer, merchant_id
		      FROM verdict
		     WHERE outcome = 'unsettled'
		       AND settle_key IS NULL
		       AND pos_status = 'SUCCESS'
		), told AS (
		    SELECT v.*, v.settle_status = 'SETTLED' AS arrived
		      FROM verdict AS v
		      JOIN suspect AS s ON s.acquirer = v.acquirer AND s.merchant_id = v.merchant_id
		     WHERE v.has_order
		       AND v.pos_status = 'SUCCESS'
		       AND v.outcome <> 'pending'
		       AND v.due_date IS NOT NULL
		), last AS (
		    SELECT acquirer,
		           merchant_id,
		           channel,
		           max(txn_time) FILTER (WHERE arrived) AS of_channel,
		           max(max(txn_time) FILTER (WHERE arrived)) OVER (PARTITION BY acquirer, merchant_id) AS of_merchant
		      FROM told
		     GROUP BY acquirer, merchant_id, channel
		)
		SELECT t.acquirer, t.merchant_id, t.channel, t.business_date, t.due_date, t.txn_time, t.order_key,
		       l.of_merchant IS NULL OR t.txn_time > l.of_merchant,
		       t.settle_key IS NOT NULL
		  FROM told AS t
		  JOIN last AS l ON l.acquirer = t.acquirer AND l.merchant_id = t.merchant_id AND l.channel = t.channel
		 WHERE NOT COALESCE(t.arrived, false)
		   AND (l.of_channel IS NULL OR t.txn_time > l.of_channel)
		 ORDER BY t.acquirer, t.merchant_id, t.txn_time, t.order_key`)
	if err != nil {
		return nil, err
	}
	var (
		list          []tailOrder
		o             tailOrder
		business, due time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&o.batch.acquirer, &o.who, &o.batch.channel, &business, &due, &o.at, &o.key, &o.whole, &o.line}, func() error {
		o.batch.business, o.batch.due = recon.DateFromUTC(business), recon.DateFromUTC(due)
		list = append(list, o)
		return nil
	})
	return list, err
}

// findTails weighs the runs.
func findTails(list []tailOrder, rate background) tails {
	found := tails{}
	together := map[merchantKey]map[recon.Date]float64{}
	for i := range list {
		o := &list[i]
		keys := []merchantKey{{o.batch.acquirer, o.who, o.batch.channel}}
		if o.whole {
			keys = append(keys, merchantKey{o.batch.acquirer, o.who, ""})
		}
		p, settled, ok := rate(o)
		if !ok && !o.line {
			continue // without peers, or without the file, it says nothing
		}
		for _, m := range keys {
			t := found[m]
			if t == nil {
				t = &tail{since: o.at, first: o.key, odds: frozenPrior}
				found[m], together[m] = t, map[recon.Date]float64{}
			}
			t.until = o.at
			t.orders++
			if o.line {
				continue // a line that says HELD speaks for itself
			}
			// The n-th missing order of one merchant and day is less of a surprise than the first.
			n := together[m][o.batch.business]
			if n == 0 {
				t.settled += settled
			}
			together[m][o.batch.business]++
			a := max(p, missingFloor) * (1/missingTogether - 1)
			chance := (a + n) / (1/missingTogether - 1 + n)
			t.odds = min(t.odds*(1-frozenExceptions)/chance, oddsCeiling)
		}
	}
	return found
}

// of returns the run that an order is part of: its merchant's, or its channel's there, whichever is surer.
func (all tails) of(acquirer, merchant, channel string, at time.Time) (*tail, bool) {
	var best *tail
	for _, c := range []string{"", channel} {
		t := all[merchantKey{acquirer, merchant, c}]
		if t != nil && !at.Before(t.since) && (best == nil || t.odds > best.odds) {
			best = t
		}
	}
	return best, best != nil
}

func (t *tail) probability() float64 { return t.odds / (1 + t.odds) }
