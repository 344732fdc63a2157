package classify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

var zero decimal.Decimal

// Rules are the inputs of an explanation that are not facts.
type Rules struct {
	AsOf      time.Time
	Zone      *time.Location
	Acquirers recon.Acquirers
}

// Evidence is one sentence for or against a cause, in both languages, with where it comes from.
type Evidence struct {
	Family string `json:"family"`
	EN     string `json:"en"`
	ZH     string `json:"zh"`
	Source string `json:"source"`
}

// Explanation is what a verdict is explained by.
type Explanation struct {
	SubCause   recon.SubCause // "" for outcomes that carry no cause
	Confidence float64        // 0 … 1, of the cause
	Incident   *incident
	Evidence   []Evidence
	Counter    []Evidence
	Action     string
	FollowUp   bool
}

// incident is one fault that explains many orders.
type incident struct {
	id, kind, scope string
	from, to        time.Time
}

// batchRows is how many subjects are explained between two trips to the database.
const batchRows = 5000

// Explain writes the explanation of every flagged verdict, and the incidents that explain several, within tx. It must
// follow match.Decide in the same transaction: it reads that one's temporary tables.
func Explain(ctx context.Context, tx pgx.Tx, rules Rules) error {
	c := &cohorts{}
	e := explainer{rules: rules, cohorts: c, incidents: map[string]*incident{}, members: map[string]int64{}}
	if err := c.findFiles(ctx, tx); err != nil {
		return fmt.Errorf("read the file register: %w", err)
	}
	if err := c.findBatches(ctx, tx); err != nil {
		return fmt.Errorf("count batches: %w", err)
	}
	if err := c.findTails(ctx, tx); err != nil {
		return fmt.Errorf("find frozen merchants: %w", err)
	}
	var marks []mark
	if err := eachSubject(ctx, tx, func(batch []subject) error {
		for i := range batch {
			s := &batch[i]
			if suspicious(s) && !e.fileMissing(s) && !e.frozen(s) {
				marks = append(marks, mark{key: s.Key, at: *s.TxnTime, series: seriesKey{s.Acquirer, s.Channel}, merchant: s.MerchantID,
					terminal: s.TerminalID, unheard: s.ChannelTxns && !s.HasChannelTxn && s.POSStatus != string(recon.POSSuccess)})
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read what is flagged: %w", err)
	}
	c.findTerminals(marks)
	if err := c.findOutages(ctx, tx, marks); err != nil {
		return fmt.Errorf("find outages: %w", err)
	}
	if err := e.readNames(ctx, tx); err != nil {
		return fmt.Errorf("read candidates: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM explanation`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM incident`); err != nil {
		return err
	}
	if err := eachSubject(ctx, tx, func(batch []subject) error {
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"explanation"},
			[]string{"order_key", "episode", "cause", "sub_cause", "confidence", "certainty", "incident_id", "evidence",
				"counter_evidence", "action", "needs_follow_up"},
			pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) { return e.values(&batch[i]) }))
		return err
	}); err != nil {
		return fmt.Errorf("store explanations: %w", err)
	}
	return e.storeIncidents(ctx, tx)
}

// eachSubject hands over all subjects, a batch at a time. A cursor keeps memory bounded however much is open.
func eachSubject(ctx context.Context, tx pgx.Tx, do func([]subject) error) error {
	// All rows are read, so the plan must be the one that is fastest to the end, not to the first.
	if _, err := tx.Exec(ctx, `SET LOCAL cursor_tuple_fraction = 1`); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DECLARE subject NO SCROLL CURSOR FOR `+subjectsSQL); err != nil {
		return err
	}
	for {
		rows, err := tx.Query(ctx, fmt.Sprintf(`FETCH %d FROM subject`, batchRows))
		if err != nil {
			return err
		}
		batch, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (subject, error) {
			var s subject
			err := row.Scan(s.scan()...)
			return s, err
		})
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := do(batch); err != nil {
				return err
			}
		}
		if len(batch) < batchRows {
			_, err := tx.Exec(ctx, `CLOSE subject`)
			return err
		}
	}
}

// explainer explains one subject after the other.
type explainer struct {
	rules     Rules
	cohorts   *cohorts
	names     map[nameKey][]Evidence // candidates and siblings of verdicts that have some
	incidents map[string]*incident
	members   map[string]int64
}

type nameKey struct {
	key     [16]byte
	episode int16
}

// values returns the row of table explanation for s.
func (e *explainer) values(s *subject) ([]any, error) {
	x := e.explain(s)
	evidence, err := json.Marshal(orEmpty(x.Evidence))
	if err != nil {
		return nil, err
	}
	counter, err := json.Marshal(orEmpty(x.Counter))
	if err != nil {
		return nil, err
	}
	var cause, sub, confidence, certainty, incidentID any
	if x.SubCause != "" {
		cause, sub = string(x.SubCause.Cause()), string(x.SubCause)
		confidence = decimal.NewFromFloat(x.Confidence).Round(2)
		certainty = Certainty(x.Confidence)
	}
	if x.Incident != nil {
		incidentID = x.Incident.id
		e.incidents[x.Incident.id] = x.Incident
		e.members[x.Incident.id]++
	}
	return []any{s.Key, s.Episode, cause, sub, confidence, certainty, incidentID, evidence, counter, x.Action, x.FollowUp}, nil
}

func orEmpty(list []Evidence) []Evidence {
	if list == nil {
		return []Evidence{}
	}
	return list
}

// Certainty is the band that a person reads instead of a number: high from 0.85, low under 0.65.
func Certainty(confidence float64) string {
	switch {
	case confidence >= 0.85:
		return "high"
	case confidence >= 0.65:
		return "medium"
	default:
		return "low"
	}
}

// storeIncidents writes the incidents that this run's explanations belong to.
func (e *explainer) storeIncidents(ctx context.Context, tx pgx.Tx) error {
	ids := sortedKeys(e.incidents)
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"incident"},
		[]string{"incident_id", "kind", "scope", "started_at", "ended_at", "orders"},
		pgx.CopyFromSlice(len(ids), func(i int) ([]any, error) {
			n := e.incidents[ids[i]]
			return []any{n.id, n.kind, n.scope, n.from, n.to, e.members[n.id]}, nil
		}))
	if err != nil {
		return fmt.Errorf("store incidents: %w", err)
	}
	return nil
}

// readNames reads, for verdicts that have candidates or a sibling at another merchant, whom they name.
func (e *explainer) readNames(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		WITH named AS (
		    SELECT order_key, episode, settle_key, settle_episode, 'candidate' AS kind FROM candidate
		     UNION ALL
		    SELECT order_key, episode, settle_key, settle_episode, 'sibling' FROM sibling
		)
		SELECT n.kind, n.order_key, n.episode, n.settle_key, n.settle_episode,
		       o.order_id, o.merchant_id, fo.name || ':' || o.line,
		       l.order_id, l.merchant_id, fl.name || ':' || l.line
		  FROM named AS n
		  JOIN lone_order AS o ON (o.order_key, o.episode) = (n.order_key, n.episode)
		  JOIN lone_line AS l ON (l.order_key, l.episode) = (n.settle_key, n.settle_episode)
		  JOIN file AS fo ON fo.file_id = o.file_id
		  JOIN file AS fl ON fl.file_id = l.file_id
		 ORDER BY n.kind, n.order_key, n.episode, n.settle_key, n.settle_episode`)
	if err != nil {
		return err
	}
	e.names = map[nameKey][]Evidence{}
	add := func(k nameKey, ev Evidence) {
		// Ten names are a list that a person can check; the rest adds nothing.
		if len(e.names[k]) < 10 {
			e.names[k] = append(e.names[k], ev)
		}
	}
	var (
		kind                                             string
		o, l                                             nameKey
		oID, oMerchant, oSource, lID, lMerchant, lSource string
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &o.key, &o.episode, &l.key, &l.episode, &oID, &oMerchant, &oSource, &lID, &lMerchant, &lSource}, func() error {
		if kind == "candidate" {
			add(o, Evidence{"match", "settlement line " + lID + " may belong to it, but is not the only candidate",
				"结算明细 " + lID + " 可能属于本单，但不是唯一候选", lSource})
			add(l, Evidence{"match", "order " + oID + " may belong to it, but is not the only candidate",
				"订单 " + oID + " 可能对应本明细，但不是唯一候选", oSource})
			return nil
		}
		add(o, Evidence{"match", fmt.Sprintf("a settlement line with this order id names merchant %s, not %s", lMerchant, oMerchant),
			fmt.Sprintf("同一订单号的结算明细记在商户 %s，而非 %s", lMerchant, oMerchant), lSource})
		add(l, Evidence{"match", fmt.Sprintf("an order with this id belongs to merchant %s, not %s", oMerchant, lMerchant),
			fmt.Sprintf("同一订单号的订单属于商户 %s，而非 %s", oMerchant, lMerchant), oSource})
		return nil
	})
	if err != nil {
		return err
	}
	return e.readReplaced(ctx, tx, add)
}

// readReplaced reads what replaced settlement files said of flagged verdicts: that a correction took a line away is the
// first thing to know of it.
func (e *explainer) readReplaced(ctx context.Context, tx pgx.Tx, add func(nameKey, Evidence)) error {
	rows, err := tx.Query(ctx, `
		SELECT v.order_key, v.episode, r.status || ' ' || r.amount || ' ' || r.currency, f.name || ':' || r.line, g.name
		  FROM file AS f
		  JOIN file AS g ON g.file_id = f.replaced_by
		  JOIN settlement_row AS r ON r.file_id = f.file_id AND r.business_date BETWEEN f.first_date AND f.last_date
		  JOIN verdict AS v ON v.order_key = r.order_key
		 WHERE f.kind = 'settlement'
		   AND v.outcome NOT IN ('matched', 'pending')
		 ORDER BY v.order_key, v.episode, f.file_date, f.sha256, r.line`)
	if err != nil {
		return err
	}
	var (
		k                nameKey
		said, source, by string
	)
	_, err = pgx.ForEachRow(rows, []any{&k.key, &k.episode, &said, &source, &by}, func() error {
		add(k, Evidence{"file", "a file that " + by + " replaced had it as " + said, "被 " + by + " 替换的文件中记为 " + said, source})
		return nil
	})
	return err
}
