package classify

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// cohorts is what is known of groups of orders, found once per run.
type cohorts struct {
	files     map[fileKey]settlementFile
	bills     map[fileKey]settlementFile // bills of a day: all rows are of their own date, as the wallets' are
	sends     map[string]bool            // acquirers that have ever sent a settlement file
	batches   map[batchKey]batch
	tails     map[merchantKey]tail
	outages   map[seriesKey][]window
	terminals map[terminalKey][]fault
}

type fileKey struct {
	acquirer string
	date     recon.Date
}

// settlementFile is what the register says of an acquirer's settlement files of one date.
type settlementFile struct {
	rows     int64
	complete bool // control totals tie: what is not in it was not cut off
}

// batchKey is what an acquirer settles together.
type batchKey struct {
	acquirer, channel string
	business, due     recon.Date
}

// batch counts the due orders of a batch that no line, or a line, was found for.
type batch struct {
	due, missing, merchants int64
}

func (b batch) rate() float64 {
	if b.due == 0 {
		return 0
	}
	return float64(b.missing) / float64(b.due)
}

// merchantKey is a merchant of an acquirer, or one channel of it; an acquirer can freeze either.
type merchantKey struct{ acquirer, merchant, channel string }

// tail is a merchant's unbroken run of due orders without money since its last one that was settled.
type tail struct {
	since   time.Time
	until   time.Time
	orders  int
	first   [16]byte
	odds    float64 // posterior odds that the merchant is frozen
	settled int64   // orders of its peers that settled meanwhile
}

type seriesKey struct{ acquirer, channel string }

// window is an outage: a stretch of time in which far more payments of a channel came to nothing than before and after.
type window struct {
	from, to   time.Time // of its first and last failing order
	bad, total int64
	outside    float64 // the rate elsewhere in the series
	merchants  int
	first      [16]byte
	score      float64
}

type terminalKey struct{ acquirer, terminal string }

// fault is a stretch of orders of one terminal, over several channels, that never reached a channel.
type fault struct {
	from, to time.Time
	orders   int
	channels int
	first    [16]byte
}

// mark is what the outage and terminal searches need of a subject; a few dozen bytes, so that a million open orders fit.
type mark struct {
	key      [16]byte
	at       time.Time
	series   seriesKey
	merchant string
	terminal string
	unheard  bool // no channel transaction id, though the log gives them
}

// suspicious reports whether a subject may be part of an outage: no line, and not explained by a business code, by one
// that blocks the merchant, by a callback that did arrive, or by the POS's own closing.
func suspicious(s *subject) bool {
	if s.TxnTime == nil || s.Type != string(recon.TypeSale) {
		return false
	}
	class := s.code().class
	if s.outcome() == recon.StatusMismatch {
		return class == codeSystem // the channel took it and could not say so
	}
	if !s.lineMissing() {
		return false
	}
	switch recon.POSStatus(s.POSStatus) {
	case recon.POSFailed:
		return class == codeSystem || class == codeNetwork
	case recon.POSUnknown, recon.POSPending:
		return class != codeBusiness && class != codeWaiting && class != codeBlocked
	case recon.POSSuccess:
		return !(s.Callbacks && s.HasCallback)
	}
	return false
}

// findFiles reads what the register says of settlement files. A date counts by the rows' settle dates too, since a
// file may carry several.
func (c *cohorts) findFiles(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		SELECT acquirer, file_date, sum(rows_read)::bigint, bool_and(has_totals),
		       -- A canonical line without a time is dated by its settle date, which says nothing.
		       -- With a cut-off before midnight the day's last sales are of the next.
		       bool_and(first_date >= file_date AND last_date <= file_date + 1 AND format NOT IN ('', 'canonical')) IS TRUE
		  FROM file
		 WHERE kind = 'settlement'
		   AND state = 'loaded'
		   AND replaced_by IS NULL
		 GROUP BY acquirer, file_date`)
	if err != nil {
		return err
	}
	c.files, c.bills, c.sends = map[fileKey]settlementFile{}, map[fileKey]settlementFile{}, map[string]bool{}
	var (
		ofDay    bool
		acquirer string
		date     time.Time
		f        settlementFile
	)
	_, err = pgx.ForEachRow(rows, []any{&acquirer, &date, &f.rows, &f.complete, &ofDay}, func() error {
		c.files[fileKey{acquirer, recon.DateFromUTC(date)}] = f
		if ofDay {
			c.bills[fileKey{acquirer, recon.DateFromUTC(date)}] = f
		}
		c.sends[acquirer] = true
		return nil
	})
	return err
}

// findBatches counts, for every batch with an order that is due and has no line, how many of its orders have none.
// Orders that the POS itself did not complete say nothing of a batch.
func (c *cohorts) findBatches(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		WITH late AS (
		    SELECT DISTINCT acquirer, business_date
		      FROM verdict
		     WHERE outcome = 'unsettled'
		       AND settle_key IS NULL
		       AND pos_status = 'SUCCESS'
		)
		SELECT v.acquirer,
		       v.channel,
		       v.business_date,
		       v.due_date,
		       count(*),
		       count(*) FILTER (WHERE v.settle_key IS NULL),
		       count(DISTINCT v.merchant_id) FILTER (WHERE v.settle_key IS NULL)
		  FROM verdict AS v
		  JOIN late AS l ON l.acquirer = v.acquirer AND l.business_date = v.business_date
		 WHERE v.has_order
		   AND v.pos_status = 'SUCCESS'
		   AND v.outcome <> 'pending'
		   AND v.due_date IS NOT NULL
		 GROUP BY v.acquirer, v.channel, v.business_date, v.due_date`)
	if err != nil {
		return err
	}
	c.batches = map[batchKey]batch{}
	var (
		k             batchKey
		b             batch
		business, due time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&k.acquirer, &k.channel, &business, &due, &b.due, &b.missing, &b.merchants}, func() error {
		k.business, k.due = recon.DateFromUTC(business), recon.DateFromUTC(due)
		c.batches[k] = b
		return nil
	})
	return err
}

// Prior odds of a freeze per merchant and run, and the floor under a peer's rate of missing lines: stragglers come in
// bunches, so a rate measured as 0.1 % is not to be trusted as one (practice: over-dispersion).
const (
	frozenPrior   = 1e-3
	peerRateFloor = 0.01
)

// findTails finds merchants, and single channels of merchants, whose orders all go without money since some moment
// while their peers' settle. Each order of the run multiplies the odds by how rare a missing line is among its batch's
// other merchants, so that a late batch or a late file makes nobody look frozen.
func (c *cohorts) findTails(ctx context.Context, tx pgx.Tx) error {
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
		       l.of_merchant IS NULL OR t.txn_time > l.of_merchant
		  FROM told AS t
		  JOIN last AS l ON l.acquirer = t.acquirer AND l.merchant_id = t.merchant_id AND l.channel = t.channel
		 WHERE NOT COALESCE(t.arrived, false)
		   AND (l.of_channel IS NULL OR t.txn_time > l.of_channel)
		 ORDER BY t.acquirer, t.merchant_id, t.txn_time, t.order_key`)
	if err != nil {
		return err
	}
	tails := map[merchantKey]*tail{}
	own := map[merchantKey]map[batchKey]int64{}
	var (
		acquirer, merchant, channel string
		business, due, at           time.Time
		key                         [16]byte
		wholeMerchant               bool
	)
	if _, err = pgx.ForEachRow(rows, []any{&acquirer, &merchant, &channel, &business, &due, &at, &key, &wholeMerchant}, func() error {
		b := batchKey{acquirer, channel, recon.DateFromUTC(business), recon.DateFromUTC(due)}
		keys := []merchantKey{{acquirer, merchant, channel}}
		if wholeMerchant {
			keys = append(keys, merchantKey{acquirer, merchant, ""})
		}
		for _, m := range keys {
			t := tails[m]
			if t == nil {
				t = &tail{since: at, first: key}
				tails[m], own[m] = t, map[batchKey]int64{}
			}
			t.until = at
			t.orders++
			own[m][b]++
		}
		return nil
	}); err != nil {
		return err
	}
	c.tails = map[merchantKey]tail{}
	for m, t := range tails {
		t.odds = frozenPrior
		for b, n := range own[m] {
			t.odds *= math.Pow(1/c.missingAmongPeers(b, n, &t.settled), float64(n))
		}
		c.tails[m] = *t
	}
	return nil
}

// missingAmongPeers is the rate of missing lines in a batch without a merchant's own n missing orders. A batch without
// peers says nothing, nor does one whose file has not come; settled counts the peers' orders that settled.
func (c *cohorts) missingAmongPeers(b batchKey, n int64, settled *int64) float64 {
	if f, ok := c.files[fileKey{b.acquirer, b.due}]; !ok || f.rows == 0 {
		return 1
	}
	peers := c.batches[b]
	peers.due, peers.missing = peers.due-n, peers.missing-n
	if peers.due <= 0 {
		return 1
	}
	*settled += peers.due - peers.missing
	return max((float64(peers.missing)+0.5)/(float64(peers.due)+1), peerRateFloor)
}

// Weights of the outage scan, in nats. Inside an outage two payments in five fail, outside one in fifty: what a weak
// outage looks like at its edges and what a bad evening looks like. The score to reach is that of four failures in a
// row; with three merchants it keeps one merchant's trouble and one night's chance out.
const (
	outageInside     = 0.40
	outageOutside    = 0.02
	outageScore      = 4 * 2.9957 // 4 × ln(0.40/0.02)
	outageMerchants  = 3
	outageMinBad     = 4
	outageQuietGap   = 45 * time.Minute // between two failures of one outage
	terminalGap      = 3 * time.Hour
	terminalMinOrder = 2
)

// findOutages scans every series of marks, minute by minute, for the stretches that score highest: failures weigh up,
// payments that went well in between weigh down.
func (c *cohorts) findOutages(ctx context.Context, tx pgx.Tx, marks []mark) error {
	bySeries := map[seriesKey][]mark{}
	for _, m := range marks {
		bySeries[m.series] = append(bySeries[m.series], m)
	}
	c.outages = map[seriesKey][]window{}
	for series, list := range bySeries {
		if len(list) < outageMinBad {
			continue
		}
		slices.SortFunc(list, func(a, b mark) int {
			if n := a.at.Compare(b.at); n != 0 {
				return n
			}
			return slices.Compare(a.key[:], b.key[:])
		})
		totals, err := minuteTotals(ctx, tx, series, list)
		if err != nil {
			return err
		}
		c.outages[series] = scanSeries(list, totals)
	}
	return nil
}

// minuteTotals counts the series' payments per minute on the business dates that marks fall on, and beside them.
// Orders that are pending count as gone well: nothing is known against them.
func minuteTotals(ctx context.Context, tx pgx.Tx, series seriesKey, list []mark) (map[int64]int64, error) {
	var days []time.Time
	seen := map[recon.Date]bool{}
	for _, m := range list {
		for _, shift := range []time.Duration{0, 24 * time.Hour} { // a business date begins the evening before
			d := recon.DateOf(m.at.Add(shift), time.UTC)
			if !seen[d] {
				seen[d] = true
				days = append(days, d.UTC())
			}
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT extract(epoch FROM date_trunc('minute', txn_time))::bigint / 60, count(*)
		  FROM verdict
		 WHERE business_date = ANY ($1)
		   AND acquirer = $2
		   AND channel = $3
		   AND has_order
		   AND type = 'SALE'
		 GROUP BY 1`, days, series.acquirer, series.channel)
	if err != nil {
		return nil, err
	}
	totals := map[int64]int64{}
	var minute, n int64
	_, err = pgx.ForEachRow(rows, []any{&minute, &n}, func() error {
		totals[minute] = n
		return nil
	})
	return totals, err
}

// scanSeries extracts the outages of a series, the strongest stretch of each group of failures that are close in time.
func scanSeries(list []mark, totals map[int64]int64) []window {
	up, down := math.Log(outageInside/outageOutside), math.Log((1-outageInside)/(1-outageOutside))
	var found []window
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].at.Sub(list[end-1].at) <= outageQuietGap {
			end++
		}
		group := list[start:end]
		start = end
		if len(group) < outageMinBad {
			continue
		}
		// The best-scoring stretch (Kadane over minutes); then what is left on both sides is searched again.
		found = append(found, searchGroup(group, totals, up, down)...)
	}
	var total, bad int64
	for _, n := range totals {
		total += n
	}
	bad = int64(len(list))
	for i := range found {
		w := &found[i]
		if rest := total - w.total; rest > 0 {
			w.outside = max(0, float64(bad-w.bad)/float64(rest))
		}
	}
	return found
}

func searchGroup(group []mark, totals map[int64]int64, up, down float64) []window {
	if len(group) < outageMinBad {
		return nil
	}
	badAt := map[int64]int64{}
	for _, m := range group {
		badAt[m.at.Unix()/60]++
	}
	first, last := group[0].at.Unix()/60, group[len(group)-1].at.Unix()/60
	var best, sum float64
	var bestFrom, bestTo, from int64 = -1, -1, first
	for minute := first; minute <= last; minute++ {
		bad := badAt[minute]
		good := max(totals[minute]-bad, 0)
		sum += float64(bad)*up + float64(good)*down
		if sum > best {
			best, bestFrom, bestTo = sum, from, minute
		}
		if sum <= 0 {
			sum, from = 0, minute+1
		}
	}
	if best < outageScore {
		return nil
	}
	w := window{score: best}
	merchants := map[string]bool{}
	var before, after []mark
	for _, m := range group {
		switch minute := m.at.Unix() / 60; {
		case minute < bestFrom:
			before = append(before, m)
		case minute > bestTo:
			after = append(after, m)
		default:
			if w.bad == 0 {
				w.from, w.first = m.at, m.key
			}
			w.to = m.at
			w.bad++
			merchants[m.merchant] = true
		}
	}
	for minute := bestFrom; minute <= bestTo; minute++ {
		w.total += max(totals[minute], badAt[minute])
	}
	w.merchants = len(merchants)
	var found []window
	found = append(found, searchGroup(before, totals, up, down)...)
	if w.bad >= outageMinBad && w.merchants >= outageMerchants {
		found = append(found, w)
	}
	return append(found, searchGroup(after, totals, up, down)...)
}

// findTerminals finds terminals of which several payments in a row never reached a channel.
func (c *cohorts) findTerminals(marks []mark) {
	byTerminal := map[terminalKey][]mark{}
	for _, m := range marks {
		if m.unheard && m.terminal != "" {
			k := terminalKey{m.series.acquirer, m.terminal}
			byTerminal[k] = append(byTerminal[k], m)
		}
	}
	c.terminals = map[terminalKey][]fault{}
	for k, list := range byTerminal {
		slices.SortFunc(list, func(a, b mark) int {
			if n := a.at.Compare(b.at); n != 0 {
				return n
			}
			return slices.Compare(a.key[:], b.key[:])
		})
		for start := 0; start < len(list); {
			end := start + 1
			channels := map[string]bool{list[start].series.channel: true}
			for end < len(list) && list[end].at.Sub(list[end-1].at) <= terminalGap {
				channels[list[end].series.channel] = true
				end++
			}
			if end-start >= terminalMinOrder {
				c.terminals[k] = append(c.terminals[k], fault{
					from: list[start].at, to: list[end-1].at, orders: end - start, channels: len(channels), first: list[start].key,
				})
			}
			start = end
		}
	}
}

// outage returns the outage that an order of a series at an instant is part of.
func (c *cohorts) outage(series seriesKey, at time.Time) (window, bool) {
	for _, w := range c.outages[series] {
		if !at.Before(w.from.Truncate(time.Minute)) && at.Before(w.to.Truncate(time.Minute).Add(time.Minute)) {
			return w, true
		}
	}
	return window{}, false
}

// terminalFault returns the fault that an order of a terminal at an instant is part of.
func (c *cohorts) terminalFault(k terminalKey, at time.Time) (fault, bool) {
	for _, f := range c.terminals[k] {
		if !at.Before(f.from) && !at.After(f.to) {
			return f, true
		}
	}
	return fault{}, false
}

// incidentID derives an incident's id from its kind, its scope and its first order, never from a sequence or a clock.
func incidentID(kind, scope string, first [16]byte) string {
	key := recon.NewOrderKey(kind, scope, "", hex.EncodeToString(first[:]), "", zero)
	return fmt.Sprintf("%s-%s", strings.ToUpper(kind[:1]), hex.EncodeToString(key[:6]))
}
