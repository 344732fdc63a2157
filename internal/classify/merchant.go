package classify

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// merchantKey is a merchant of an acquirer, or one channel of it; an acquirer can freeze either.
type merchantKey struct{ acquirer, merchant, channel string }

// tail is a merchant's run of due orders without money.
type tail struct {
	since      time.Time
	orders     int
	first      [16]byte
	exceptions int     // orders of its time that settled all the same
	odds       float64 // that the merchant is frozen
	settled    int64   // orders of its peers that settled meanwhile
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

// tails are the runs of merchants, and of single channels of merchants, that have gone without money since some moment while
// their peers' settle. Each missing order of the run multiplies the odds by how rare a missing line is among its batch's other
// merchants, so that a late batch, a late file or an outage makes nobody look frozen; each that settled all the same divides
// them by how rare that is of a frozen one. The run begins where the odds are best.
type tails map[merchantKey]*tail

// background returns how likely an order's line was missing without a freeze: by its batch, its file and its channel's
// outages. ok is false where nothing can be told, which counts for nothing.
type background func(o *tailOrder) (rate float64, settled int64, ok bool)

// tailOrder is an order without a SETTLED line. It is small, for on a bad night there are many.
type tailOrder struct {
	key   [16]byte
	at    time.Time
	batch *batchKey
	who   string // the merchant
	// How many due orders of the merchant, and of its channel there, that were sold later have settled.
	later, laterOfChannel int32
	line                  bool // it has a line that is not SETTLED
	explained             bool // for good, by something that it shares with orders of other merchants
}

// missingSQL selects, as missing, the orders without a SETTLED line of merchants that have one without any line, and as waiting
// since when and on which dates each such merchant has some.
const missingSQL = `
		WITH suspect AS (
		    SELECT DISTINCT acquirer, merchant_id
		      FROM verdict
		     WHERE outcome = 'unsettled'
		       AND settle_key IS NULL
		       AND pos_status = 'SUCCESS'
		), told AS (
		    SELECT v.acquirer,
		           v.merchant_id,
		           v.channel,
		           v.business_date,
		           v.due_date,
		           v.txn_time,
		           v.order_key,
		           v.settle_key IS NOT NULL AS line,
		           COALESCE(v.settle_status = 'SETTLED', false) AS arrived,
		           ` + asleep + ` AS asleep
		      FROM verdict AS v
		      JOIN suspect AS s ON s.acquirer = v.acquirer AND s.merchant_id = v.merchant_id
		      LEFT JOIN sibling AS b ON (b.order_key, b.episode) = (v.order_key, v.episode)
		     WHERE v.business_date > $1
		       AND v.has_order
		       AND v.pos_status = 'SUCCESS'
		       AND v.outcome <> 'pending'
		       AND v.due_date IS NOT NULL
		       AND b.order_key IS NULL
		), missing AS (
		    SELECT *
		      FROM told
		     WHERE NOT arrived
		), waiting AS (
		    SELECT acquirer, merchant_id, min(business_date) AS since, array_agg(DISTINCT business_date) AS days
		      FROM missing
		     GROUP BY acquirer, merchant_id
		)`

// readTails reads the orders without a SETTLED line of merchants that have one without any, by merchant and time: those about
// which something is told, and those that a line withholds.
func readTails(ctx context.Context, tx pgx.Tx, since recon.Date, told func(*tailOrder) bool) ([]tailOrder, error) {
	rows, err := tx.Query(ctx, missingSQL+`
		SELECT m.acquirer, m.merchant_id, m.channel, m.business_date, m.due_date, m.txn_time, m.order_key, m.line, x.order_key IS NOT NULL
		  FROM missing AS m
		  LEFT JOIN explanation AS x
		    ON m.asleep
		   AND x.order_key = m.order_key
		   AND x.episode = 0
		   AND x.incident_id IS NOT NULL
		   AND x.sub_cause <> 'account_frozen'
		 ORDER BY m.acquirer, m.merchant_id, m.txn_time, m.order_key`, since.UTC())
	if err != nil {
		return nil, err
	}
	var (
		list          []tailOrder
		o             tailOrder
		k             batchKey
		business, due time.Time
		merchant      string
		keys          = interned[batchKey]{}
		names         = interned[string]{}
	)
	if _, err = pgx.ForEachRow(rows, []any{&k.acquirer, &merchant, &k.channel, &business, &due, &o.at, &o.key, &o.line, &o.explained}, func() error {
		k.business, k.due = recon.DateFromUTC(business), recon.DateFromUTC(due)
		o.batch, o.who = keys.of(k), *names.of(merchant)
		list = append(list, o)
		return nil
	}); err != nil {
		return nil, err
	}
	if err := countLater(ctx, tx, since, list); err != nil {
		return nil, err
	}
	kept := list[:0]
	for i := range list {
		if told(&list[i]) || list[i].line {
			kept = append(kept, list[i])
		}
	}
	return kept, nil
}

// countLater counts for every missing order, which are by merchant and time, the orders of its merchant that were sold later
// and have settled. When those were sold matters only on dates that miss some; of others their number is enough.
func countLater(ctx context.Context, tx pgx.Tx, since recon.Date, list []tailOrder) error {
	// The planner takes hundreds of merchants for two, and would go through the ledger for each of them.
	if _, err := tx.Exec(ctx, `SET LOCAL enable_nestloop = off`); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, missingSQL+`, settled AS (
		    SELECT m.acquirer,
		           m.merchant_id,
		           m.channel,
		           m.business_date,
		           m.sign * m.orders AS orders,
		           CASE WHEN m.business_date = ANY (w.days) THEN m.sold END AS sold
		      FROM plain_match AS m
		      JOIN waiting AS w ON w.acquirer = m.acquirer AND w.merchant_id = m.merchant_id
		     WHERE m.business_date >= w.since
		       AND m.business_date > $1 -- follows from it, and is known before
		       AND m.due_date IS NOT NULL
		     UNION ALL
		    SELECT t.acquirer,
		           t.merchant_id,
		           t.channel,
		           t.business_date,
		           1,
		           ARRAY[floor(date_part('epoch', t.txn_time) - 86400 * (t.business_date - DATE '1970-01-01'))::integer]
		      FROM told AS t
		     WHERE t.arrived
		)
		SELECT acquirer, merchant_id, channel, business_date, orders, sold
		  FROM settled
		 ORDER BY acquirer, merchant_id`, since.UTC())
	if err != nil {
		return err
	}
	var (
		acquirer, merchant, channel string
		business                    time.Time
		orders                      int32
		sold                        []int32
		of                          *laterCounts
		rest                        = list
	)
	_, err = pgx.ForEachRow(rows, []any{&acquirer, &merchant, &channel, &business, &orders, &sold}, func() error {
		if of == nil || of.acquirer != acquirer || of.merchant != merchant {
			of.finish()
			of, rest = laterOf(rest, acquirer, merchant)
		}
		of.add(channel, recon.DateFromUTC(business), orders, sold)
		return nil
	})
	of.finish()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `SET LOCAL enable_nestloop TO DEFAULT`)
	return err
}

// laterCounts counts what settled after each missing order of one merchant. adds[c][i] is how many orders of channel c, or of
// all under "", settled that were sold after the first i+1 missing orders and not after the next.
type laterCounts struct {
	acquirer, merchant string
	missing            []tailOrder
	adds               map[string][]int32
}

// laterOf begins the counts of a merchant, whose missing orders the list has somewhere; it returns what follows them.
func laterOf(list []tailOrder, acquirer, merchant string) (*laterCounts, []tailOrder) {
	l := &laterCounts{acquirer: acquirer, merchant: merchant, adds: map[string][]int32{}}
	compare := func(o *tailOrder) int {
		return cmp.Or(strings.Compare(o.batch.acquirer, acquirer), strings.Compare(o.who, merchant))
	}
	start := 0
	for start < len(list) && compare(&list[start]) < 0 {
		start++
	}
	end := start
	for end < len(list) && compare(&list[end]) == 0 {
		end++
	}
	l.missing = list[start:end]
	return l, list[end:]
}

// add counts orders of a channel and date that settled. Where it is not told when they were sold, none is missing on their date.
func (l *laterCounts) add(channel string, business recon.Date, orders int32, sold []int32) {
	if len(sold) == 0 {
		l.addAfter(channel, orders, sort.Search(len(l.missing), func(i int) bool { return !l.missing[i].batch.business.Before(business) }))
		return
	}
	begin := business.UTC().Unix()
	sign := int32(1)
	if orders < 0 {
		sign = -1
	}
	for _, s := range sold {
		at := begin + int64(s)
		l.addAfter(channel, sign, sort.Search(len(l.missing), func(i int) bool { return l.missing[i].at.Unix() >= at }))
	}
}

// addAfter counts orders that were sold after the first n missing ones.
func (l *laterCounts) addAfter(channel string, orders int32, n int) {
	if n == 0 {
		return
	}
	for _, c := range [...]string{"", channel} {
		if l.adds[c] == nil {
			l.adds[c] = make([]int32, len(l.missing))
		}
		l.adds[c][n-1] += orders
	}
}

// finish hands the counts to the missing orders.
func (l *laterCounts) finish() {
	if l == nil {
		return
	}
	for channel, adds := range l.adds {
		sum := int32(0)
		for i := len(adds) - 1; i >= 0; i-- {
			sum += adds[i]
			switch o := &l.missing[i]; channel {
			case "":
				o.later = sum
			case o.batch.channel:
				o.laterOfChannel = sum
			}
		}
	}
}

// interned keeps one copy of each value that comes again in many orders.
type interned[T comparable] map[T]*T

func (n interned[T]) of(v T) *T {
	if p := n[v]; p != nil {
		return p
	}
	n[v] = &v
	return &v
}

// findTails weighs the runs. The list is by merchant and time.
func findTails(list []tailOrder, rate background) tails {
	found := tails{}
	for start := 0; start < len(list); {
		end := start
		for end < len(list) && list[end].who == list[start].who && list[end].batch.acquirer == list[start].batch.acquirer {
			end++
		}
		of := list[start:end]
		start = end
		channels := map[string][]*tailOrder{}
		for i := range of {
			channels[""] = append(channels[""], &of[i])
			channels[of[i].batch.channel] = append(channels[of[i].batch.channel], &of[i])
		}
		for channel, orders := range channels {
			if t := bestRun(orders, channel != "", rate); t != nil {
				found[merchantKey{of[0].batch.acquirer, of[0].who, channel}] = t
			}
		}
	}
	return found
}

// bestRun is the run of a merchant's last orders that a freeze explains best.
func bestRun(orders []*tailOrder, ofChannel bool, rate background) *tail {
	later := func(o *tailOrder) int32 {
		if ofChannel {
			return o.laterOfChannel
		}
		return o.later
	}
	// From the last order back: what each adds, and what settled between it and the next one takes away.
	var best *tail
	current := tail{}
	score, bestScore := math.Log(frozenPrior), math.Inf(-1)
	together := map[recon.Date]float64{}
	passed := int32(0)
	for i := len(orders) - 1; i >= 0; i-- {
		o := orders[i]
		p, settled, ok := rate(o)
		score -= float64(later(o)-passed) * math.Log((1-quietMissing)/frozenExceptions)
		passed = later(o)
		current.orders++
		current.since, current.first = o.at, o.key
		// A line that says HELD speaks for itself.
		if ok && !o.line {
			// The n-th missing order of one merchant and day is less of a surprise than the first.
			n := together[o.batch.business]
			if n == 0 {
				current.settled += settled
			}
			together[o.batch.business]++
			a := max(p, missingFloor) * (1/missingTogether - 1)
			score += math.Log((1 - frozenExceptions) * (1/missingTogether - 1 + n) / (a + n))
		}
		if score >= bestScore {
			bestScore = score
			c := current
			c.exceptions = int(passed)
			c.odds = math.Exp(min(score, math.Log(oddsCeiling)))
			best = &c
		}
	}
	return best
}

// of returns the run that an order is part of: its merchant's, or its channel's there, whichever is surer, and that channel.
func (all tails) of(acquirer, merchant, channel string, at time.Time) (t *tail, ofChannel string, ok bool) {
	var best *tail
	for _, c := range []string{"", channel} {
		t := all[merchantKey{acquirer, merchant, c}]
		if t != nil && !at.Before(t.since) && (best == nil || t.odds > best.odds) {
			best, ofChannel = t, c
		}
	}
	return best, ofChannel, best != nil
}

// none says how many of a run's orders settled all the same.
func (t *tail) none() string {
	if t.exceptions == 0 {
		return "none"
	}
	return fmt.Sprintf("only %d", t.exceptions)
}

func (t *tail) probability() float64 { return t.odds / (1 + t.odds) }
