package classify

import (
	"cmp"
	"context"
	"maps"
	"math"
	"slices"
	"sort"
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

// sold is when orders of a batch that settled were sold, in whole seconds since 2000, in order. A file may have millions, so
// that each takes four bytes and no more.
type sold map[batchKey][]int32

// since2000 is the second from which those of sold are counted; an int32 lasts from there until 2068.
var since2000 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// settledIn reads when the orders of a file's lines were sold.
func settledIn(ctx context.Context, tx pgx.Tx, k fileKey) (sold, error) {
	var (
		all, gone = sold{}, sold{}
		b         = batchKey{acquirer: k.acquirer}
		business  time.Time
		sign      int16
		seconds   []int32 // after the business date began in UTC
	)
	take := func() error {
		b.business = recon.DateFromUTC(business)
		to := all
		if sign < 0 {
			to = gone // plain matches that were taken back
		}
		begin := int32(business.Unix() - since2000)
		for _, s := range seconds {
			to[b] = append(to[b], begin+s)
		}
		return nil
	}
	// A line settles within a fortnight of its business date, long holidays included.
	for _, sql := range []string{`
		SELECT channel, business_date, sign, sold
		  FROM plain_match
		 WHERE acquirer = $1
		   AND settle_date = $2
		   AND business_date BETWEEN $3 AND $2`, `
		SELECT channel, business_date, 1::smallint,
		       array_agg(floor(date_part('epoch', txn_time) - 86400 * (business_date - DATE '1970-01-01'))::integer)
		  FROM verdict
		 WHERE acquirer = $1
		   AND settle_date = $2
		   AND business_date BETWEEN $3 AND $2
		   AND has_order
		   AND pos_status = 'SUCCESS'
		 GROUP BY channel, business_date`,
	} {
		rows, err := tx.Query(ctx, sql, k.acquirer, k.date.UTC(), k.date.AddDays(-14).UTC())
		if err != nil {
			return nil, err
		}
		if _, err := pgx.ForEachRow(rows, []any{&b.channel, &business, &sign, &seconds}, take); err != nil {
			return nil, err
		}
	}
	for k := range all {
		slices.Sort(all[k])
		all[k] = without(all[k], gone[k])
	}
	return all, nil
}

// without takes each of gone once out of list, which is in order.
func without(list, gone []int32) []int32 {
	slices.Sort(gone)
	kept := list[:0]
	for _, s := range list {
		if len(gone) > 0 && gone[0] == s {
			gone = gone[1:]
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// groups counts the orders of a file by business day and channel, and of each day under no channel all of them.
type groups map[recon.Date]map[string]*count

func (g groups) add(b batchKey, n int, missing bool) {
	day := g[b.business]
	if day == nil {
		day = map[string]*count{}
		g[b.business] = day
	}
	for _, channel := range []string{"", b.channel} {
		if day[channel] == nil {
			day[channel] = &count{}
		}
		day[channel].due += int64(n)
		if missing {
			day[channel].missing += int64(n)
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
func cutOf(missing []missingOrder, settled sold, prior float64, zone *time.Location) *shortFile {
	// The business days of the file: lines of older days are stragglers that came at last, and no part of its day.
	days := map[recon.Date]bool{}
	all := groups{}
	for i := range missing {
		days[missing[i].batch.business] = true
		all.add(*missing[i].batch, 1, true)
	}
	var batches []batchKey
	total := 0
	for b, list := range settled {
		if days[b.business] && len(list) > 0 {
			batches = append(batches, b)
			total += len(list)
			all.add(b, len(list), false)
		}
	}
	// Sums of fractions depend on their order.
	inOrder := slices.SortedFunc(maps.Keys(days), func(a, b recon.Date) int { return a.UTC().Compare(b.UTC()) })
	byBatches := 0.0
	for _, day := range inOrder {
		byBatches += all.explained(day)
	}
	var best *shortFile
	bestScore := byBatches
	for _, byClock := range []bool{true, false} {
		list := slices.Clone(missing)
		slices.SortFunc(list, func(a, b missingOrder) int {
			if byClock {
				if x, y := clockOf(a.at, zone), clockOf(b.at, zone); x != y {
					return cmp.Compare(x, y)
				}
			}
			return cmp.Or(a.at.Compare(b.at), slices.Compare(a.key[:], b.key[:]))
		})
		sweeps := make([]sweep, len(batches))
		for i, b := range batches {
			sweeps[i] = newSweep(b, settled[b], byClock, zone)
		}
		gone, there := len(list), total // behind the cut
		before := groups{}
		for _, m := range list {
			place := int32(m.at.Unix() - since2000)
			if byClock {
				place = int32(clockOf(m.at, zone) / time.Second)
			}
			for i := range sweeps {
				if n := sweeps[i].upTo(place); n > 0 {
					there -= n
					before.add(sweeps[i].batch, n, false)
				}
			}
			if gone >= shortMissing && float64(gone) >= shortRate*float64(gone+there) {
				// Of the cut's place nothing is known beforehand.
				score := math.Log(prior) - math.Log(float64(len(list)+total)) + betaBinomial(float64(gone), float64(gone+there), shortGoneOf, 1)
				for _, day := range inOrder {
					score += before.explained(day)
				}
				if score > bestScore {
					bestScore = score
					best = &shortFile{byClock: byClock, clock: clockOf(m.at, zone), instant: m.at, missing: gone, first: m.key}
				}
			}
			gone--
			before.add(*m.batch, 1, true)
		}
	}
	if best != nil {
		best.probability = logistic(bestScore - byBatches)
	}
	return best
}

// sweep goes through the settled orders of a batch in the order of the cut's places.
type sweep struct {
	batch  batchKey
	places []int32
}

// newSweep puts the settled orders of a batch in order: by their time of day, or as they are.
func newSweep(b batchKey, settled []int32, byClock bool, zone *time.Location) sweep {
	if !byClock {
		return sweep{b, settled}
	}
	clocks := make([]int32, len(settled))
	for i, s := range settled {
		clocks[i] = int32(clockOf(time.Unix(since2000+int64(s), 0), zone) / time.Second)
	}
	slices.Sort(clocks)
	return sweep{b, clocks}
}

// upTo passes the orders up to a place and returns how many there were.
func (s *sweep) upTo(place int32) int {
	n := sort.Search(len(s.places), func(i int) bool { return s.places[i] > place })
	s.places = s.places[n:]
	return n
}

// readMissing reads the orders that the POS calls a success, that are due, that have no line, and whose file has come.
func (e *explainer) readMissing(ctx context.Context, tx pgx.Tx) ([]missingOrder, error) {
	rows, err := tx.Query(ctx, `
		SELECT v.order_key, v.txn_time, v.acquirer, v.channel, v.merchant_id, v.business_date, v.due_date,
		       COALESCE(pm.settle_cycle, p.settle_cycle, '')
		  FROM verdict AS v
		  JOIN pos_now AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
		  LEFT JOIN pos_said AS pm ON (pm.order_key, pm.episode) = (v.order_key, v.episode)
		  LEFT JOIN sibling AS b ON (b.order_key, b.episode) = (v.order_key, v.episode)
		 WHERE v.outcome = 'unsettled'
		   AND v.settle_key IS NULL
		   AND v.pos_status = 'SUCCESS'
		   AND v.due_date IS NOT NULL
		   AND b.order_key IS NULL
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
