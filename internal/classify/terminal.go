package classify

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

type terminalKey struct{ acquirer, terminal string }

// fault is a stretch of orders of one terminal that never reached a channel.
type fault struct {
	from, to    time.Time
	orders      int
	total       int
	channels    int
	first       [16]byte
	probability float64
}

// A terminal without a network loses nearly all of its payments while it lasts, on every channel.
const (
	terminalGap   = 4 * time.Hour // between two orders of one fault
	terminalLeast = 2
	terminalLoss  = 0.85
	terminalPrior = -7.0 // log-odds of a fault in a stretch that was looked for
)

// faultRatio is how much better a terminal without a network explains a mark than a quiet day.
func (m *mark) faultRatio() float64 {
	return 1 - terminalLoss + terminalLoss*m.unheard/max(m.quiet, quietFloor)
}

// findTerminals finds the stretches of a terminal's payments of which nearly all never reached a channel. The marks are those
// that are unheard; the terminal's other payments are read, for a terminal that was heard in between had a network.
func findTerminals(ctx context.Context, tx pgx.Tx, marks []mark) (map[terminalKey][]fault, error) {
	by := map[terminalKey][]mark{}
	for _, m := range marks {
		if m.faultRatio() >= outageLeast && m.terminal != "" {
			k := terminalKey{m.series.acquirer, m.terminal}
			by[k] = append(by[k], m)
		}
	}
	var acquirers, terminals []string
	var from, to time.Time
	for k, list := range by {
		if len(list) < terminalLeast {
			delete(by, k)
			continue
		}
		acquirers, terminals = append(acquirers, k.acquirer), append(terminals, k.terminal)
		for _, m := range list {
			if from.IsZero() || m.at.Before(from) {
				from = m.at
			}
			if m.at.After(to) {
				to = m.at
			}
		}
	}
	if len(by) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT v.acquirer, v.terminal_id, v.txn_time
		  FROM verdict AS v
		  JOIN unnest($1::text[], $2::text[]) AS t (acquirer, terminal_id) USING (acquirer, terminal_id)
		 WHERE v.business_date BETWEEN $3::date - 1 AND $4::date + 1
		   AND v.has_order
		   AND v.txn_time BETWEEN $3 AND $4
		   AND v.pos_status = 'SUCCESS'
		   AND v.outcome IN ('matched', 'pending')
		 UNION ALL
		-- An order without a verdict is a plain match.
		SELECT p.acquirer, p.terminal_id, p.txn_time
		  FROM pos_row AS p
		  JOIN unnest($1::text[], $2::text[]) AS t (acquirer, terminal_id) USING (acquirer, terminal_id)
		  JOIN file AS f ON f.file_id = p.file_id AND f.counts
		 WHERE p.business_date BETWEEN $3::date - 1 AND $4::date + 1
		   AND p.txn_time BETWEEN $3 AND $4
		   AND p.status = 'SUCCESS'
		   AND p.type <> 'VOID'
		   AND NOT EXISTS (SELECT FROM verdict AS v WHERE v.order_key = p.order_key)`, acquirers, terminals, from, to)
	if err != nil {
		return nil, err
	}
	heard := map[terminalKey][]time.Time{}
	var (
		k  terminalKey
		at time.Time
	)
	if _, err := pgx.ForEachRow(rows, []any{&k.acquirer, &k.terminal, &at}, func() error {
		heard[k] = append(heard[k], at)
		return nil
	}); err != nil {
		return nil, err
	}
	found := map[terminalKey][]fault{}
	for k, list := range by {
		slices.SortFunc(list, compareMarks)
		slices.SortFunc(heard[k], time.Time.Compare)
		if faults := faultsOf(list, heard[k]); len(faults) > 0 {
			found[k] = faults
		}
	}
	return found, nil
}

// faultsOf searches a terminal's unheard payments for stretches that a fault explains better than chance.
func faultsOf(list []mark, heard []time.Time) []fault {
	var found []fault
	down := math.Log(1 - terminalLoss)
	var current fault
	channels := map[string]bool{}
	score, best := 0.0, fault{}
	bestScore := 0.0
	flush := func() {
		// Two on one channel may as well be that channel's doing.
		if best.orders >= terminalLeast && (best.channels >= 2 || best.orders > terminalLeast) {
			if best.probability = logistic(bestScore + terminalPrior); best.probability > 0.5 {
				found = append(found, best)
			}
		}
		current, best, score, bestScore = fault{}, fault{}, 0, 0
		clear(channels)
	}
	i := 0
	for n := range list {
		m := &list[n]
		if current.orders > 0 {
			for i < len(heard) && heard[i].Before(m.at) {
				score += down
				current.total++
				i++
			}
			if score <= 0 || m.at.Sub(current.to) > terminalGap {
				flush()
			}
		}
		for i < len(heard) && heard[i].Before(m.at) {
			i++
		}
		if current.orders == 0 {
			current.from, current.first = m.at, m.key
		}
		score += math.Log(m.faultRatio())
		current.to = m.at
		current.orders++
		current.total++
		channels[m.series.channel] = true
		current.channels = len(channels)
		if score > bestScore {
			best, bestScore = current, score
		}
	}
	flush()
	return found
}

// faultAt returns the fault that an order of a terminal at an instant is part of.
func faultAt(faults map[terminalKey][]fault, k terminalKey, at time.Time) (*fault, bool) {
	for i := range faults[k] {
		f := &faults[k][i]
		if !at.Before(f.from) && !at.After(f.to) {
			return f, true
		}
	}
	return nil, false
}
