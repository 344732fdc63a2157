package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
)

// Sentence is one piece of evidence as it was stored, in both languages.
type Sentence struct {
	EN       string `json:"en"`
	ZH       string `json:"zh"`
	Source   string `json:"source"`
	Decibans int    `json:"db"`
}

// Case is a case with what the last run said of its order.
type Case struct {
	ID         string       `json:"case_id"`
	Status     string       `json:"status"`
	Assignee   string       `json:"assignee"`
	Acquirer   string       `json:"acquirer"`
	MerchantID string       `json:"merchant_id"`
	OrderID    string       `json:"order_id"`
	Outcome    string       `json:"outcome"`
	Cause      string       `json:"cause,omitempty"`
	SubCause   string       `json:"sub_cause,omitempty"`
	Owed       recon.Amount `json:"amount_owed"`
	Excess     recon.Amount `json:"amount_excess"`
	Currency   string       `json:"currency"`
	Opened     time.Time    `json:"opened"`
	DueDate    *time.Time   `json:"due_date,omitempty"`
	Confidence string       `json:"confidence,omitempty"`
	Action     string       `json:"action,omitempty"` // a key of classify's next steps
	Incident   string       `json:"incident_id,omitempty"`
	Evidence   []Sentence   `json:"evidence,omitempty"`
	Counter    []Sentence   `json:"counter_evidence,omitempty"`
	History    []Event      `json:"history,omitempty"`

	// What the cause was derived from, and by which weights: classify does the arithmetic again.
	Features string `json:"features,omitempty"`
	Rates    string `json:"rates,omitempty"`
	Weights  string `json:"-"` // the text of the file
}

const casesSQL = `
	SELECT k.case_id, k.status, k.assignee,
	       COALESCE(v.acquirer, r.acquirer, ''), COALESCE(v.merchant_id, r.merchant_id, ''), COALESCE(r.order_id, ''),
	       COALESCE(v.outcome, ''), COALESCE(x.cause, ''), COALESCE(x.sub_cause, ''),
	       COALESCE(v.amount_owed, 0), COALESCE(v.amount_excess, 0), COALESCE(v.currency, ''),
	       COALESCE(x.evidence, '[]'), COALESCE(x.counter_evidence, '[]'),
	       v.due_date, COALESCE(x.confidence::text, ''), COALESCE(x.action, ''), COALESCE(x.incident_id, ''),
	       COALESCE(x.features, ''), COALESCE(x.rates, ''), COALESCE(w.text, '')
	  FROM cases AS k
	  LEFT JOIN explanation AS x USING (order_key, episode)
	  LEFT JOIN weights AS w ON w.version = x.weights
	  -- The first row that tells of it; of an archived order it is in the archive.
	  LEFT JOIN LATERAL (SELECT acquirer, merchant_id, order_id FROM pos_row AS r WHERE r.order_key = k.order_key AND r.type <> 'VOID'
	                      UNION ALL
	                     SELECT acquirer, merchant_id, order_id FROM settlement_row AS r WHERE r.order_key = k.order_key
	                      UNION ALL
	                     SELECT acquirer, merchant_id, order_id FROM archive.pos_row AS r WHERE r.order_key = k.order_key AND r.type <> 'VOID'
	                      UNION ALL
	                     SELECT acquirer, merchant_id, order_id FROM archive.settlement_row AS r WHERE r.order_key = k.order_key
	                      LIMIT 1) AS r ON true
	  LEFT JOIN ` + decided + ` AS v ON true`

func scanCase(row pgx.CollectableRow) (Case, error) {
	var c Case
	var evidence, counter []byte
	err := row.Scan(&c.ID, &c.Status, &c.Assignee, &c.Acquirer, &c.MerchantID, &c.OrderID, &c.Outcome, &c.Cause, &c.SubCause,
		&c.Owed, &c.Excess, &c.Currency, &evidence, &counter, &c.DueDate, &c.Confidence, &c.Action, &c.Incident, &c.Features, &c.Rates, &c.Weights)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(evidence, &c.Evidence); err != nil {
		return c, err
	}
	return c, json.Unmarshal(counter, &c.Counter)
}

// List returns the cases of a status, or all, those with the most money at stake first.
func List(ctx context.Context, pool *pgxpool.Pool, status string) ([]Case, error) {
	rows, err := pool.Query(ctx, casesSQL+`
	 WHERE $1 IN (k.status, 'all')
	 ORDER BY abs(COALESCE(v.amount_owed, 0)) + abs(COALESCE(v.amount_excess, 0)) DESC, k.case_id`, status)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanCase)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	ids := make([]string, len(list))
	for i := range list {
		ids[i] = list[i].ID
	}
	opened := map[string]time.Time{}
	var (
		id string
		at time.Time
	)
	if rows, err = pool.Query(ctx, `SELECT case_id, at FROM case_event WHERE seq = 1 AND case_id = ANY ($1)`, ids); err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&id, &at}, func() error { opened[id] = at; return nil }); err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	for i := range list {
		list[i].Opened = opened[list[i].ID]
		list[i].Evidence, list[i].Counter, list[i].Features, list[i].Rates, list[i].Weights = nil, nil, "", "", ""
	}
	return list, nil
}

// Get returns one case with its evidence and history.
func Get(ctx context.Context, pool *pgxpool.Pool, id string) (Case, error) {
	history, err := History(ctx, pool, id)
	if err != nil {
		return Case{}, err
	}
	rows, err := pool.Query(ctx, casesSQL+` WHERE k.case_id = $1`, id)
	if err != nil {
		return Case{}, fmt.Errorf("case %s: %w", id, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanCase)
	if err != nil {
		return Case{}, fmt.Errorf("case %s: %w", id, err)
	}
	c.History, c.Opened = history, history[0].At
	return c, nil
}
