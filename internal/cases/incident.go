package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
)

// Incident is one fault that explains many orders, as the last run that knew of it left it.
type Incident struct {
	ID          string                  `json:"incident_id"`
	Status      string                  `json:"status"` // open, recovering or closed
	Kind        string                  `json:"kind"`
	Scope       string                  `json:"scope"`
	From        time.Time               `json:"started_at"`
	To          time.Time               `json:"ended_at"`
	Orders      int64                   `json:"orders"`
	Peak        int64                   `json:"peak_orders"`
	Merchants   int64                   `json:"merchants"`
	Amounts     map[string]recon.Amount `json:"amounts"` // at stake, by currency
	Probability string                  `json:"probability"`
	RateInside  *string                 `json:"rate_inside,omitempty"` // of payments that failed
	RateOutside *string                 `json:"rate_outside,omitempty"`
	SummaryEN   string                  `json:"summary_en"`
	SummaryZH   string                  `json:"summary_zh"`
	Nights      []IncidentNight         `json:"nights,omitempty"`
	Members     []Member                `json:"members,omitempty"`
}

// IncidentNight is what a run made of an incident.
type IncidentNight struct {
	AsOf   time.Time `json:"as_of"`
	Orders int64     `json:"orders"`
}

// Member is an order of an incident.
type Member struct {
	OrderID    string       `json:"order_id"`
	MerchantID string       `json:"merchant_id"`
	TerminalID string       `json:"terminal_id"`
	At         *time.Time   `json:"txn_time"`
	Amount     recon.Amount `json:"amount"`
	Currency   string       `json:"currency"`
	Outcome    string       `json:"outcome"`
	SubCause   string       `json:"sub_cause"`
	Confidence string       `json:"confidence"`
}

// AtStake is the money at stake in words, a currency after the other.
func (n *Incident) AtStake() string {
	var parts []string
	for _, c := range slices.Sorted(maps.Keys(n.Amounts)) {
		parts = append(parts, n.Amounts[c].StringFixed(2)+" "+c)
	}
	return strings.Join(parts, ", ")
}

// An incident without a row at the last run's as-of is closed.
const incidentsSQL = `
	WITH last AS (
	    SELECT DISTINCT ON (incident_id) *
	      FROM incident
	     ORDER BY incident_id, as_of DESC
	), told AS (
	    SELECT l.*,
	           CASE WHEN as_of = (SELECT as_of FROM run ORDER BY run_id DESC LIMIT 1) THEN status ELSE 'closed' END AS stands
	      FROM last AS l
	)
	SELECT incident_id, stands, kind, scope, started_at, ended_at, orders, peak_orders, merchants, amounts, probability::text,
	       rate_inside::text, rate_outside::text, summary_en, summary_zh
	  FROM told`

func scanIncident(row pgx.CollectableRow) (Incident, error) {
	var n Incident
	var amounts []byte
	err := row.Scan(&n.ID, &n.Status, &n.Kind, &n.Scope, &n.From, &n.To, &n.Orders, &n.Peak, &n.Merchants, &amounts, &n.Probability,
		&n.RateInside, &n.RateOutside, &n.SummaryEN, &n.SummaryZH)
	if err != nil {
		return n, err
	}
	return n, json.Unmarshal(amounts, &n.Amounts)
}

// Incidents returns the incidents that are live, closed, or all, those with most orders first.
func Incidents(ctx context.Context, pool *pgxpool.Pool, status string) ([]Incident, error) {
	rows, err := pool.Query(ctx, incidentsSQL+`
	 WHERE $1 = 'all'
	    OR $1 = 'closed' AND stands = 'closed'
	    OR $1 = 'live' AND stands <> 'closed'
	 ORDER BY orders DESC, incident_id`, status)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	return list, nil
}

// maxMembers is how many orders of an incident are listed: what a person can look through; an export has all.
const maxMembers = 1000

// GetIncident returns one incident with its nights and the first of its orders.
func GetIncident(ctx context.Context, pool *pgxpool.Pool, id string) (Incident, error) {
	wrap := func(err error) (Incident, error) { return Incident{}, fmt.Errorf("incident %s: %w", id, err) }
	rows, err := pool.Query(ctx, incidentsSQL+`
	 WHERE incident_id = $1`, id)
	if err != nil {
		return wrap(err)
	}
	found, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return wrap(err)
	}
	if len(found) == 0 {
		return wrap(ErrNotFound)
	}
	n := found[0]
	rows, err = pool.Query(ctx, `
		SELECT as_of, orders
		  FROM incident
		 WHERE incident_id = $1
		 ORDER BY as_of`, id)
	if err != nil {
		return wrap(err)
	}
	if n.Nights, err = pgx.CollectRows(rows, pgx.RowToStructByPos[IncidentNight]); err != nil {
		return wrap(err)
	}
	rows, err = pool.Query(ctx, `
		SELECT COALESCE(p.order_id, ''), v.merchant_id, COALESCE(v.terminal_id, ''), v.txn_time, abs(COALESCE(v.pos_amount, 0)), v.currency,
		       v.outcome, x.sub_cause, x.confidence::text
		  FROM explanation AS x
		  JOIN verdict AS v USING (order_key, episode)
		  LEFT JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
		 WHERE x.incident_id = $1
		 ORDER BY v.txn_time, v.order_key, v.episode
		 LIMIT $2`, id, maxMembers)
	if err != nil {
		return wrap(err)
	}
	if n.Members, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Member]); err != nil {
		return wrap(err)
	}
	return n, nil
}
