package classify

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

type seriesKey struct{ acquirer, channel string }

// batchKey is what an acquirer settles together: a channel's orders of a business date that are due on a day. Without a
// channel and a due date it is all of the acquirer's business date.
type batchKey struct {
	acquirer, channel string
	business, due     recon.Date
}

// count is how many orders are due, and how many of them have no line.
type count struct{ due, missing int64 }

func (c count) less(o count) count { return count{c.due - o.due, c.missing - o.missing} }

func (c count) rate() float64 {
	if c.due <= 0 {
		return 0
	}
	return float64(c.missing) / float64(c.due)
}

// batch counts a batch, and its merchants that have orders without a line.
type batch struct {
	count
	of    map[string]count
	worst [2]string // the two merchants with most orders missing: a frozen one must not make a batch look late
}

// without returns a batch's count without a merchant, and without the worst of the others.
func (b *batch) without(merchant string) count {
	c := b.count.less(b.of[merchant])
	worst := b.worst[0]
	if worst == merchant {
		worst = b.worst[1]
	}
	if worst != "" {
		c = c.less(b.of[worst])
	}
	return c
}

// others returns a batch's count without a merchant.
func (b *batch) others(merchant string) count { return b.count.less(b.of[merchant]) }

// alone reports whether nobody but a merchant has due orders in a batch.
func (all batches) alone(k batchKey, merchant string) bool {
	b := all[k]
	return b != nil && b.others(merchant).due <= 0
}

// What a day without incidents looks like: lines missing come in bunches (practice §4.4), so that their number is
// over-dispersed. A late batch is one of which most lines are missing.
const (
	quietMissing    = 0.004
	quietDispersion = 0.02
	lateBatchPrior  = 2e-3 // of batches
	lateBatchRate   = 0.25 // from which on a batch can be called late
)

// lateProbability is how surely a count is that of a late batch and not of a quiet day.
func lateProbability(c count) float64 {
	if c.missing < 3 || c.rate() < lateBatchRate {
		return 0
	}
	k, n := float64(c.missing), float64(c.due)
	a := quietMissing * (1/quietDispersion - 1)
	b := (1 - quietMissing) * (1/quietDispersion - 1)
	odds := math.Log(lateBatchPrior) + betaBinomial(k, n, 2, 0.5) - betaBinomial(k, n, a, b)
	return logistic(odds)
}

// betaBinomial is the log-probability of a given set of k of n, whose rate is drawn from a beta distribution.
func betaBinomial(k, n, a, b float64) float64 {
	return logBeta(k+a, n-k+b) - logBeta(a, b)
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

func logistic(odds float64) float64 { return 1 / (1 + math.Exp(-odds)) }

// batches are the batches that have an order without a line.
type batches map[batchKey]*batch

// readBatches counts, for every batch with an order that is due and has no line, its orders and those without one. Orders
// that the POS itself did not complete say nothing of a batch.
func readBatches(ctx context.Context, tx pgx.Tx, since recon.Date) (batches, error) {
	rows, err := tx.Query(ctx, `
		WITH late AS (
		    SELECT DISTINCT acquirer, business_date
		      FROM verdict
		     WHERE business_date > $1
		       AND outcome = 'unsettled'
		       AND settle_key IS NULL
		       AND pos_status = 'SUCCESS'
		), told AS (
		    SELECT m.acquirer,
		           m.channel,
		           m.business_date,
		           m.due_date,
		           m.merchant_id,
		           m.sign * m.orders AS due,
		           0 AS missing
		      FROM plain_match AS m
		      JOIN late AS l ON l.acquirer = m.acquirer AND l.business_date = m.business_date
		     WHERE m.due_date IS NOT NULL
		     UNION ALL
		    SELECT v.acquirer,
		           v.channel,
		           v.business_date,
		           v.due_date,
		           v.merchant_id,
		           1,
		           CASE WHEN v.settle_key IS NULL THEN 1 ELSE 0 END
		      FROM verdict AS v
		      JOIN late AS l ON l.acquirer = v.acquirer AND l.business_date = v.business_date
		      LEFT JOIN sibling AS b ON (b.order_key, b.episode) = (v.order_key, v.episode)
		     WHERE v.has_order
		       AND v.pos_status = 'SUCCESS'
		       AND v.outcome <> 'pending'
		       AND v.due_date IS NOT NULL
		       -- Its money is at another merchant id: that says nothing of the batch.
		       AND b.order_key IS NULL
		), by_merchant AS (
		    SELECT acquirer,
		           channel,
		           business_date,
		           due_date,
		           merchant_id,
		           sum(due) AS due,
		           sum(missing) AS missing
		      FROM told
		     GROUP BY acquirer, channel, business_date, due_date, merchant_id
		    HAVING sum(due) > 0
		)
		-- Merchants without a missing order are told together: there are many, and nothing is asked of one of them.
		SELECT acquirer,
		       channel,
		       business_date,
		       due_date,
		       CASE WHEN missing > 0 THEN merchant_id ELSE '' END AS merchant,
		       sum(due)::bigint,
		       sum(missing)::bigint
		  FROM by_merchant
		 GROUP BY acquirer, channel, business_date, due_date, merchant`, since.UTC())
	if err != nil {
		return nil, err
	}
	all := batches{}
	var (
		k             batchKey
		c             count
		merchant      string
		business, due time.Time
	)
	if _, err := pgx.ForEachRow(rows, []any{&k.acquirer, &k.channel, &business, &due, &merchant, &c.due, &c.missing}, func() error {
		k.business, k.due = recon.DateFromUTC(business), recon.DateFromUTC(due)
		for _, at := range []batchKey{k, {acquirer: k.acquirer, business: k.business}} {
			b := all[at]
			if b == nil {
				b = &batch{of: map[string]count{}}
				all[at] = b
			}
			b.due, b.missing = b.due+c.due, b.missing+c.missing
			if merchant != "" {
				m := b.of[merchant]
				b.of[merchant] = count{m.due + c.due, m.missing + c.missing}
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	for _, b := range all {
		for m, c := range b.of {
			switch first, second := b.of[b.worst[0]].missing, b.of[b.worst[1]].missing; {
			case b.worst[0] == "" || c.missing > first || c.missing == first && m < b.worst[0]:
				b.worst[0], b.worst[1] = m, b.worst[0]
			case b.worst[1] == "" || c.missing > second || c.missing == second && m < b.worst[1]:
				b.worst[1] = m
			}
		}
	}
	return all, nil
}

// lateBatch is a late batch as one of its merchants sees it.
type lateBatch struct {
	key         batchKey
	probability float64
	rate        float64 // of missing lines among the others
	count       count   // of all its merchants
	merchants   int     // with orders missing
}

// lateFor returns the late batch that an order of a merchant is in: its channel's, or the acquirer's whole business date.
func (all batches) lateFor(k batchKey, merchant string) lateBatch {
	var best lateBatch
	for _, at := range []batchKey{k, {acquirer: k.acquirer, business: k.business}} {
		b := all[at]
		if b == nil {
			continue
		}
		c := b.without(merchant)
		if p := lateProbability(c); p > best.probability {
			best = lateBatch{at, p, c.rate(), b.count, len(b.of)}
		}
	}
	return best
}

// missingElsewhere is the rate of missing lines in a batch without a merchant, and how many of the others' orders settled.
// A batch without others says nothing.
func (all batches) missingElsewhere(k batchKey, merchant string) (rate float64, settled int64, ok bool) {
	b := all[k]
	if b == nil {
		return 0, 0, false
	}
	c := b.others(merchant)
	if c.due <= 0 {
		return 0, 0, false
	}
	robust := b.without(merchant)
	if robust.due <= 0 {
		robust = c // the one other merchant is all there is
	}
	return (float64(robust.missing) + 0.5*quietMissing) / (float64(max(robust.due, 0)) + 0.5), c.due - c.missing, true
}
