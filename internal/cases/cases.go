// Package cases keeps what people follow up: it opens a case when an order comes to need follow-up, closes it when a
// later fact settles the order, and keeps the history. It reads verdicts and explanations and changes neither.
//
//	         verdict needs follow-up            a person resolves
//	(none) ─────────────────────────► open ─────────────────────► resolved
//	                                   ▲ │ verdict needs none        │ │
//	                                   │ ▼                           │ │
//	         needs it again            closed ◄──────────────────────┘ │ verdict needs none
//	                                   ▲                               │
//	                                 open ◄────────────────────────────┘ a new fact, or a person reopens
package cases

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/recon"
)

// facts is a digest of what is known of a verdict's order and payout. A case that a person resolved reopens only when
// it changes; that the same fact arrives in a further file changes nothing.
const facts = `md5(concat_ws('|', v.outcome, v.pos_status, v.pos_amount, v.settle_status, v.settle_date, v.settled_lines,
                       v.settled_amount, v.received, v.payout_fact, v.settle_key, v.duplicate_pos, v.currency))`

// caseID is derived from the order's key; the episode is told only where a key recurs.
const caseID = `'C-' || left(replace(v.order_key::text, '-', ''), 16) || CASE WHEN v.episode > 0 THEN '-' || v.episode ELSE '' END`

// decided is the verdict of case k, be it a plain match. Asked of one key at a time it is found by the indexes; joined, every
// plain match there ever was would be read.
const decided = `LATERAL (SELECT *
			                           FROM verdict_money AS d
			                          WHERE (d.order_key, d.episode) = (k.order_key, k.episode)
			                         OFFSET 0)`

// archived is the condition that the order of case k is in the archive: no run decides it any more, so its case rests as it is.
const archived = `(EXISTS (SELECT FROM archive.pos_row AS a WHERE a.order_key = k.order_key)
			                OR EXISTS (SELECT FROM archive.settlement_row AS a WHERE a.order_key = k.order_key))`

// Changes counts what a run did to the cases.
type Changes struct {
	Opened   int64 `json:"opened"`
	Reopened int64 `json:"reopened"`
	Closed   int64 `json:"closed"`
	Open     int64 `json:"open"` // after the run
}

// Update brings the cases in line with the verdicts and explanations of the run that tx is part of. asOf is the
// instant that the history records.
func Update(ctx context.Context, tx pgx.Tx, asOf time.Time) (Changes, error) {
	var c Changes
	steps := []struct {
		name  string
		count *int64
		sql   string
	}{
		// A case closes by itself when its order needs no follow-up any more, or is gone from what stands.
		{"close cases", &c.Closed, `
			WITH settled AS (
			    SELECT k.case_id, v.outcome, v.settle_date, v.due_date, v.settle_file_id, v.settle_line, v.payout_status
			      FROM cases AS k
			      LEFT JOIN explanation AS x ON (x.order_key, x.episode) = (k.order_key, k.episode)
			      LEFT JOIN ` + decided + ` AS v ON true
			     WHERE k.status <> 'closed'
			       AND NOT COALESCE(x.needs_follow_up, false)
			       AND (v.order_key IS NOT NULL OR NOT ` + archived + `)
			), closed AS (
			    UPDATE cases AS k
			       SET status = 'closed', resolved_facts = ''
			      FROM settled AS s
			     WHERE k.case_id = s.case_id
			    RETURNING k.case_id
			)
			INSERT INTO case_event (case_id, seq, at, kind, actor, outcome, cause, sub_cause, note)
			SELECT s.case_id,
			       (SELECT max(seq) + 1 FROM case_event AS e WHERE e.case_id = s.case_id),
			       $1, 'closed', 'posrecon', COALESCE(s.outcome, ''), '', '',
			       concat_ws(', ',
			           CASE WHEN s.outcome IS NULL THEN 'no standing row tells of it any more' END,
			           'settled on ' || s.settle_date || ' by ' || f.name || ':' || s.settle_line,
			           'payout ' || s.payout_status,
			           CASE WHEN s.settle_date > s.due_date THEN (s.settle_date - s.due_date) || ' days late' END)
			  FROM settled AS s
			  JOIN closed USING (case_id)
			  LEFT JOIN file AS f ON f.file_id = s.settle_file_id`},
		{"reopen cases", &c.Reopened, `
			WITH wanted AS (
			    SELECT k.case_id, v.outcome, x.cause, x.sub_cause, k.status AS before
			      FROM cases AS k
			      JOIN verdict AS v ON (v.order_key, v.episode) = (k.order_key, k.episode)
			      JOIN explanation AS x ON (x.order_key, x.episode) = (k.order_key, k.episode)
			     WHERE x.needs_follow_up
			       AND (k.status = 'closed' OR k.status = 'resolved' AND k.resolved_facts <> ` + facts + `)
			), opened AS (
			    UPDATE cases AS k
			       SET status = 'open', resolved_facts = ''
			      FROM wanted AS w
			     WHERE k.case_id = w.case_id
			    RETURNING k.case_id
			)
			INSERT INTO case_event (case_id, seq, at, kind, actor, outcome, cause, sub_cause, note)
			SELECT w.case_id,
			       (SELECT max(seq) + 1 FROM case_event AS e WHERE e.case_id = w.case_id),
			       $1, 'reopened', 'posrecon', w.outcome, COALESCE(w.cause, ''), COALESCE(w.sub_cause, ''),
			       'was ' || w.before || '; a new fact about its order or payout'
			  FROM wanted AS w
			  JOIN opened USING (case_id)`},
		{"note changed causes", new(int64), `
			WITH says AS MATERIALIZED (
			    SELECT k.case_id, v.outcome, COALESCE(x.cause, '') AS cause, COALESCE(x.sub_cause, '') AS sub_cause
			      FROM cases AS k
			      JOIN verdict AS v ON (v.order_key, v.episode) = (k.order_key, k.episode)
			      JOIN explanation AS x ON (x.order_key, x.episode) = (k.order_key, k.episode)
			     WHERE k.status = 'open'
			)
			INSERT INTO case_event (case_id, seq, at, kind, actor, outcome, cause, sub_cause, note)
			SELECT s.case_id,
			       (SELECT max(seq) + 1 FROM case_event AS e WHERE e.case_id = s.case_id), -- of the few that have changed
			       $1, 'changed', 'posrecon', s.outcome, s.cause, s.sub_cause, ''
			  FROM says AS s
			  JOIN LATERAL (SELECT l.outcome, l.cause, l.sub_cause
			                  FROM case_event AS l
			                 WHERE l.case_id = s.case_id
			                   AND l.actor = 'posrecon'
			                 ORDER BY l.seq DESC
			                 LIMIT 1) AS said ON true
			 WHERE (said.outcome, said.cause, said.sub_cause) <> (s.outcome, s.cause, s.sub_cause)`},
		{"open cases", &c.Opened, `
			WITH wanted AS MATERIALIZED (
			    SELECT ` + caseID + ` AS case_id, v.order_key, v.episode, v.outcome, COALESCE(x.cause, '') AS cause, COALESCE(x.sub_cause, '') AS sub_cause
			      FROM explanation AS x
			      JOIN verdict AS v USING (order_key, episode)
			     WHERE x.needs_follow_up
			       AND NOT EXISTS (SELECT FROM cases AS k WHERE (k.order_key, k.episode) = (v.order_key, v.episode))
			), opened AS (
			    INSERT INTO cases (case_id, order_key, episode, status)
			    SELECT case_id, order_key, episode, 'open'
			      FROM wanted
			)
			INSERT INTO case_event (case_id, seq, at, kind, actor, outcome, cause, sub_cause, note)
			SELECT case_id, 1, $1, 'opened', 'posrecon', outcome, cause, sub_cause, ''
			  FROM wanted`},
	}
	for _, s := range steps {
		tag, err := tx.Exec(ctx, s.sql, asOf)
		if err != nil {
			return Changes{}, fmt.Errorf("%s: %w", s.name, err)
		}
		*s.count = tag.RowsAffected()
	}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM cases WHERE status = 'open'`).Scan(&c.Open); err != nil {
		return Changes{}, fmt.Errorf("count cases: %w", err)
	}
	return c, nil
}

// ErrNotFound says that there is no case of that id.
var ErrNotFound = errors.New("no such case")

// Event is one entry of a case's history.
type Event struct {
	Seq      int       `json:"seq"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Actor    string    `json:"actor"`
	Outcome  string    `json:"outcome,omitempty"`
	Cause    string    `json:"cause,omitempty"`
	SubCause string    `json:"sub_cause,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// History returns a case's events, oldest first.
func History(ctx context.Context, pool *pgxpool.Pool, id string) ([]Event, error) {
	rows, err := pool.Query(ctx, `
		SELECT seq, at, kind, actor, outcome, cause, sub_cause, note
		  FROM case_event
		 WHERE case_id = $1
		 ORDER BY seq`, id)
	if err != nil {
		return nil, fmt.Errorf("history of case %s: %w", id, err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Event])
	if err != nil {
		return nil, fmt.Errorf("history of case %s: %w", id, err)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("case %s: %w", id, ErrNotFound)
	}
	return events, nil
}

// Act is what a person does to a case.
type Act struct {
	Kind     string // assigned, commented, resolved or reopened
	Actor    string
	Assignee string // with assigned
	Note     string
	Actual   recon.SubCause // with resolved: what the cause turned out to be, "" where nobody knows
	At       time.Time
}

// MaxNote bounds a note: a page of text; more belongs into a document that the note names.
const MaxNote = 4000

// Do applies a person's act to the case and adds it to the history.
func Do(ctx context.Context, pool *pgxpool.Pool, id string, act Act) error {
	if len(act.Note) > MaxNote || len(act.Actor) > 200 || len(act.Assignee) > 200 {
		return fmt.Errorf("case %s: a note has at most %d bytes, a name 200", id, MaxNote)
	}
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var status string
		// Its row is ours until the end. Citus locks by no other statement what it looks for in every shard.
		err := tx.QueryRow(ctx, `UPDATE cases SET assignee = assignee WHERE case_id = $1 RETURNING status`, id).Scan(&status)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNotFound
		}
		if err != nil {
			return err
		}
		note := act.Note
		switch act.Kind {
		case "assigned":
			if note == "" {
				note = "to " + act.Assignee
			}
			_, err = tx.Exec(ctx, `UPDATE cases SET assignee = $2 WHERE case_id = $1`, id, act.Assignee)
		case "commented":
		case "resolved":
			if status == "resolved" {
				return fmt.Errorf("it is resolved already")
			}
			if status == "closed" {
				return fmt.Errorf("it closed by itself: the order is settled")
			}
			if act.Actual != "" {
				if err := label(ctx, tx, id, act); err != nil {
					return err
				}
				note = strings.TrimPrefix(note+"; the cause was "+string(act.Actual), "; ")
			}
			known := "none"
			err = tx.QueryRow(ctx, `SELECT `+facts+` FROM cases AS k JOIN verdict AS v USING (order_key, episode) WHERE k.case_id = $1`, id).Scan(&known)
			if err == nil || errors.Is(err, pgx.ErrNoRows) {
				_, err = tx.Exec(ctx, `UPDATE cases SET status = 'resolved', resolved_facts = $2 WHERE case_id = $1`, id, known)
			}
		case "reopened":
			if status == "open" {
				return fmt.Errorf("it is open already")
			}
			_, err = tx.Exec(ctx, `UPDATE cases SET status = 'open', resolved_facts = '' WHERE case_id = $1`, id)
		default:
			return fmt.Errorf("%q is nothing that can be done to a case", act.Kind)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO case_event (case_id, seq, at, kind, actor, outcome, cause, sub_cause, note)
			SELECT $1, max(seq) + 1, $2, $3, $4, '', '', '', $5
			  FROM case_event
			 WHERE case_id = $1`, id, act.At, act.Kind, act.Actor, note)
		return err
	})
	if err != nil {
		return fmt.Errorf("case %s: %w", id, err)
	}
	return nil
}
