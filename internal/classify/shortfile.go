package classify

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// missingOrder is an order that the POS calls a success, that is due and that has no line: what a short file, a late batch, a
// frozen merchant and lost payments have in common. It takes a hundred bytes.
type missingOrder struct {
	key      [16]byte
	at       time.Time
	file     *fileKey // that should hold it, and has come
	batch    *batchKey
	merchant string
}

// shortFile is a settlement file that has come without the sales from some moment on.
type shortFile struct {
	probability float64
	byClock     bool          // from a time of day on, on each of its business days; else from an instant on
	clock       time.Duration // of the first order that is not in it
	instant     time.Time
	missing     int
	first       [16]byte
	merchants   int
}

// leavesOut reports whether an order at an instant is among those that the file left out.
func (f *shortFile) leavesOut(at time.Time, zone *time.Location) bool {
	if f.byClock {
		return clockOf(at, zone) >= f.clock
	}
	return !at.Before(f.instant)
}

func clockOf(at time.Time, zone *time.Location) time.Duration {
	h, m, s := at.In(zone).Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
}

// What a short file must show: the orders of several merchants, and more of them than stragglers come to.
const (
	shortMerchants = 3
	shortMissing   = 4
	shortRate      = 0.8   // behind the cut
	shortShare     = 0.005 // of the file; fewer are stragglers
	shortPrior     = 1e-3  // of files
	shortGone      = 0.97  // of the orders behind the cut, some of which settled by another way
	shortGoneOf    = 30.0  // as sure of it as so many orders make one
	fewerPrior     = 0.5   // of files on a date that has fewer files than the acquirer sends for one
)

// findShortFiles looks, in every file that orders of several merchants are missing from, for a cut behind which nearly all
// are missing and before which hardly any are. A batch that is late as a whole is missing on both sides of any cut, and its
// other batches are there; so the cut must explain the file better than late batches do.
func findShortFiles(ctx context.Context, tx pgx.Tx, r *register, missing []missingOrder, zone *time.Location) (map[fileKey]*shortFile, error) {
	by := map[fileKey][]missingOrder{}
	for _, m := range missing {
		by[*m.file] = append(by[*m.file], m)
	}
	found := map[fileKey]*shortFile{}
	for k, list := range by {
		all := list
		list, merchants := ordinary(list)
		if len(list) < shortMissing || merchants < shortMerchants || float64(len(list)) < shortShare*float64(r.files[k]) {
			continue
		}
		settled, err := settledIn(ctx, tx, k)
		if err != nil {
			return nil, err
		}
		prior := shortPrior
		if r.fewer(k) {
			prior = fewerPrior
		}
		if f := cutOf(list, settled, prior, zone); f != nil {
			f.count(all, zone)
			found[k] = f
		}
	}
	return found, nil
}

// count tells how many orders and merchants a file left out, the frozen ones among them: nobody can tell them apart.
func (f *shortFile) count(missing []missingOrder, zone *time.Location) {
	merchants := map[string]bool{}
	f.missing = 0
	for _, m := range missing {
		if f.leavesOut(m.at, zone) {
			f.missing++
			merchants[m.merchant] = true
		}
	}
	f.merchants = len(merchants)
}

// ordinary leaves out the two merchants with most orders missing, who may be frozen: a file that is short is short for the
// others, too. It returns how many merchants are left.
func ordinary(list []missingOrder) ([]missingOrder, int) {
	missing := map[string]int{}
	for _, m := range list {
		missing[m.merchant]++
	}
	names := slices.SortedFunc(maps.Keys(missing), func(a, b string) int {
		return cmp.Or(cmp.Compare(missing[b], missing[a]), cmp.Compare(a, b))
	})
	worst := names[:min(2, len(names))]
	var rest []missingOrder
	for _, m := range list {
		if !slices.Contains(worst, m.merchant) {
			rest = append(rest, m)
		}
	}
	return rest, len(names) - len(worst)
}

// settledIn reads when the orders of a file's lines were sold, with the batch of each.
func settledIn(ctx context.Context, tx pgx.Tx, k fileKey) ([]missingOrder, error) {
	// A line settles within a fortnight of its business date, long holidays included.
	rows, err := tx.Query(ctx, `
		SELECT to_timestamp((business_date - DATE '1970-01-01') * 86400.0 + s) AS txn_time, channel, business_date, merchant_id, sign
		  FROM plain_match
		 CROSS JOIN unnest(sold) AS s
		 WHERE acquirer = $1
		   AND settle_date = $2
		   AND business_date BETWEEN $3 AND $2
		 UNION ALL
		SELECT txn_time, channel, business_date, merchant_id, 1
		  FROM verdict
		 WHERE acquirer = $1
		   AND settle_date = $2
		   AND business_date BETWEEN $3 AND $2
		   AND has_order
		   AND pos_status = 'SUCCESS'`, k.acquirer, k.date.UTC(), k.date.AddDays(-14).UTC())
	if err != nil {
		return nil, err
	}
	var list []missingOrder
	var (
		m        missingOrder
		business time.Time
		merchant string
		b        = batchKey{acquirer: k.acquirer}
		sign     int16
		gone     = map[missingOrder]int{} // plain matches that were taken back
		keys     = interned[batchKey]{}
		names    = interned[string]{}
	)
	_, err = pgx.ForEachRow(rows, []any{&m.at, &b.channel, &business, &merchant, &sign}, func() error {
		b.business = recon.DateFromUTC(business)
		m.batch, m.merchant = keys.of(b), *names.of(merchant)
		if sign < 0 {
			gone[m]++
		} else {
			list = append(list, m)
		}
		return nil
	})
	if len(gone) > 0 {
		list = slices.DeleteFunc(list, func(m missingOrder) bool {
			n := gone[m]
			if n > 0 {
				gone[m] = n - 1
			}
			return n > 0
		})
	}
	return list, err
}

// groups counts the orders of a file by business day and channel, and of each day under no channel all of them.
type groups map[recon.Date]map[string]*count

func (g groups) add(b batchKey, missing bool) {
	day := g[b.business]
	if day == nil {
		day = map[string]*count{}
		g[b.business] = day
	}
	for _, channel := range []string{"", b.channel} {
		if day[channel] == nil {
			day[channel] = &count{}
		}
		day[channel].due++
		if missing {
			day[channel].missing++
		}
	}
}

// explained is the log-probability of a day's orders by quiet and late batches: its channels each for itself, or all of it.
func (g groups) explained(day recon.Date) float64 {
	sum, whole := 0.0, 0.0
	for channel, c := range g[day] {
		k, n := float64(c.missing), float64(c.due)
		best := k*math.Log(quietMissing) + (n-k)*math.Log(1-quietMissing)
		if c.rate() >= lateBatchRate {
			best = max(best, betaBinomial(k, n, 2, 0.5)+math.Log(lateBatchPrior))
		}
		if channel == "" {
			whole = best
		} else {
			sum += best
		}
	}
	return max(sum, whole)
}

// cutOf finds the best cut through a file's orders; nil where late batches alone explain them as well. Before the cut there may
// be late batches, too.
func cutOf(missing, settled []missingOrder, prior float64, zone *time.Location) *shortFile {
	type place struct {
		clock   time.Duration
		m       *missingOrder
		missing bool
	}
	// The business days of the file: lines of older days are stragglers that came at last, and no part of its day.
	days := map[recon.Date]bool{}
	var list []place
	for i := range missing {
		days[missing[i].batch.business] = true
		list = append(list, place{clockOf(missing[i].at, zone), &missing[i], true})
	}
	for i := range settled {
		if days[settled[i].batch.business] {
			list = append(list, place{clockOf(settled[i].at, zone), &settled[i], false})
		}
	}
	all := groups{}
	for _, p := range list {
		all.add(*p.m.batch, p.missing)
	}
	byBatches := 0.0
	for day := range days {
		byBatches += all.explained(day)
	}
	var best *shortFile
	bestScore := byBatches
	for _, byClock := range []bool{true, false} {
		slices.SortFunc(list, func(a, b place) int {
			if byClock && a.clock != b.clock {
				return cmp.Compare(a.clock, b.clock)
			}
			return cmp.Or(a.m.at.Compare(b.m.at), slices.Compare(a.m.key[:], b.m.key[:]))
		})
		gone, there := len(missing), len(list)-len(missing) // behind the cut
		before, explained := groups{}, map[recon.Date]float64{}
		sum := 0.0
		for _, p := range list {
			if p.missing && gone >= shortMissing {
				// Of the cut's place nothing is known beforehand.
				score := sum + math.Log(prior) - math.Log(float64(len(list))) + betaBinomial(float64(gone), float64(gone+there), shortGoneOf, 1)
				if score > bestScore && float64(gone) >= shortRate*float64(gone+there) {
					bestScore = score
					best = &shortFile{byClock: byClock, clock: p.clock, instant: p.m.at, missing: gone, first: p.m.key}
				}
			}
			if p.missing {
				gone--
			} else {
				there--
			}
			day := p.m.batch.business
			before.add(*p.m.batch, p.missing)
			sum -= explained[day]
			explained[day] = before.explained(day)
			sum += explained[day]
		}
	}
	if best != nil {
		best.probability = logistic(bestScore - byBatches)
	}
	return best
}

// readMissing reads the orders that the POS calls a success, that are due, that have no line, and whose file has come.
func (e *explainer) readMissing(ctx context.Context, tx pgx.Tx) ([]missingOrder, error) {
	rows, err := tx.Query(ctx, `
		SELECT v.order_key, v.txn_time, v.acquirer, v.channel, v.merchant_id, v.business_date, v.due_date,
		       COALESCE(pm.settle_cycle, p.settle_cycle, '')
		  FROM verdict AS v
		  JOIN pos_now AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
		  LEFT JOIN pos_merged AS pm ON (pm.order_key, pm.episode) = (v.order_key, v.episode)
		 WHERE v.outcome = 'unsettled'
		   AND v.settle_key IS NULL
		   AND v.pos_status = 'SUCCESS'
		   AND v.due_date IS NOT NULL
		   AND NOT EXISTS (SELECT FROM sibling AS b WHERE (b.order_key, b.episode) = (v.order_key, v.episode))
		 ORDER BY v.order_key, v.episode`)
	if err != nil {
		return nil, err
	}
	var (
		list          []missingOrder
		m             missingOrder
		s             subject
		business, due time.Time
		merchant      string
		b             batchKey
		keys          = interned[batchKey]{}
		files         = interned[fileKey]{}
		names         = interned[string]{}
	)
	_, err = pgx.ForEachRow(rows, []any{&m.key, &m.at, &s.Acquirer, &b.channel, &merchant, &business, &due, &s.Cycle}, func() error {
		s.DueDate = &due
		b.acquirer, b.business, b.due = s.Acquirer, recon.DateFromUTC(business), recon.DateFromUTC(due)
		date, ok := e.register.of(s.Acquirer, s.expectedSettleDate(e.cycle(&s)), b.business)
		if ok {
			m.file, m.batch, m.merchant = files.of(fileKey{s.Acquirer, date}), keys.of(b), *names.of(merchant)
			list = append(list, m)
		}
		return nil
	})
	return list, err
}
