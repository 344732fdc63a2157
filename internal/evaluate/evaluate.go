// Package evaluate measures how right the explanations are: it runs labelled worlds of package simulate through the whole
// pipeline, night by night, and compares what is stated with what is true. It decides nothing itself, and it is the only
// package that knows both the truth and the verdicts.
//
// Worlds come in families. A fitted family may be looked at while the rules are made; on a held-out one nothing was fitted, and
// it says what to expect of worlds that nobody here has seen. Beside every figure stand those of two baselines on the same orders:
// the cause that is most frequent, and a cascade of plain rules that looks at one order alone.
package evaluate

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/simulate"
)

// key names an order as truth.csv does.
type key struct{ order, merchant, typ, refund string }

// stated is what a run says of an order.
type stated struct {
	outcome, cause, sub, incident string
	confidence                    float64
	cited                         string // the families of the evidence that it cites, blank-separated
	plain                         string // the sub-cause that plain rules state
}

// truth is what is true of it.
type truth struct {
	outcome, cause, sub, incident string
	owed                          float64 // yuan, for weighing mistakes and nothing else
}

// Scratch makes a database beside the one of databaseURL, with the schema in it, and returns a pool on it and what drops it. An
// evaluation fills and empties its database many times, so that it never works on anybody's.
func Scratch(ctx context.Context, databaseURL string) (*pgxpool.Pool, func(context.Context) error, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return nil, nil, errors.New("evaluate: the database URL cannot be read")
	}
	name := fmt.Sprintf("posrecon_evaluation_%d", os.Getpid())
	admin := func(ctx context.Context, statement string) error {
		conn, err := pgx.Connect(ctx, databaseURL)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, statement+" "+pgx.Identifier{name}.Sanitize())
		return err
	}
	if err := admin(ctx, "CREATE DATABASE"); err != nil {
		return nil, nil, fmt.Errorf("evaluate: a database of its own: %w", err)
	}
	u.Path = "/" + name
	drop := func(ctx context.Context) error { return admin(ctx, "DROP DATABASE IF EXISTS") }
	if err := postgres.MigrateUp(ctx, u.String()); err != nil {
		return nil, nil, errors.Join(err, drop(ctx))
	}
	pool, err := postgres.Open(ctx, u.String())
	if err != nil {
		return nil, nil, errors.Join(err, drop(ctx))
	}
	return pool, func(ctx context.Context) error { pool.Close(); return drop(ctx) }, nil
}

// Family runs so many worlds of a family from a seed on, one after the other, and returns what they come to. dir is a folder
// for their files, which are removed again.
func Family(ctx context.Context, job *pipeline.Job, dir string, f simulate.Family, first uint64, worlds int) (*Score, error) {
	total := &Score{}
	for seed := first; seed < first+uint64(worlds); seed++ {
		if err := Clear(ctx, job.Pool); err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", f.Name, err)
		}
		world := filepath.Join(dir, fmt.Sprint(seed))
		var s Score
		err := World(ctx, job, world, f.World(seed), &s)
		if err = errors.Join(err, os.RemoveAll(world)); err != nil {
			return nil, fmt.Errorf("evaluate %s, world %d: %w", f.Name, seed, err)
		}
		total.Add(&s)
	}
	return total, nil
}

// World writes the world of opt below dir, runs its nights on the database of job, which must hold nothing, and adds what
// it finds to score.
func World(ctx context.Context, job *pipeline.Job, dir string, opt simulate.Options, score *Score) error {
	if _, err := simulate.Write(ctx, dir, opt); err != nil {
		return err
	}
	nights, err := filepath.Glob(filepath.Join(dir, "[0-9]*"))
	if err != nil {
		return err
	}
	before := map[key]stated{}
	for n, night := range nights {
		text, err := os.ReadFile(filepath.Join(night, "as_of"))
		if err != nil {
			return err
		}
		asOf, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
		if err != nil {
			return err
		}
		if _, err := job.Run(ctx, pipeline.Options{Kind: "run", Inbox: []string{filepath.Join(night, "inbox")}, AsOf: asOf}); err != nil {
			return fmt.Errorf("night %d: %w", n+1, err)
		}
		what, err := readTruth(filepath.Join(night, "truth.csv"))
		if err != nil {
			return err
		}
		faults, err := readFaults(filepath.Join(night, "incidents.csv"), job.Config.Zone)
		if err != nil {
			return err
		}
		got, err := readStated(ctx, job.Pool)
		if err != nil {
			return err
		}
		spans, err := readSpans(ctx, job.Pool, asOf)
		if err != nil {
			return err
		}
		score.night(what, got, before, opt.Withhold)
		score.incidents(what, got, faults, spans)
		before = got
	}
	return nil
}

// Clear empties a database for the next world.
func Clear(ctx context.Context, pool *pgxpool.Pool) error {
	rows, err := pool.Query(ctx, `
		SELECT quote_ident(relname)
		  FROM pg_class
		 WHERE relnamespace = 'public'::regnamespace
		   AND relkind IN ('r', 'p')
		   AND NOT relispartition
		   AND relname NOT IN ('schema_migrations', 'calendar_day')`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	_, err = pool.Exec(ctx, "TRUNCATE "+strings.Join(tables, ", ")+" RESTART IDENTITY")
	return err
}

// eachRow reads a CSV file of a world, whose columns are known by name.
func eachRow(path string, do func(value func(column string) string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	header, err := r.Read()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for {
		row, err := r.Read()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = do(func(column string) string { return row[slices.Index(header, column)] })
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
}

func readTruth(path string) (map[key]truth, error) {
	rows := map[key]truth{}
	return rows, eachRow(path, func(value func(string) string) error {
		owed, err := decimal.NewFromString(value("amount_owed"))
		if err != nil {
			return err
		}
		rows[key{value("order_id"), value("merchant_id"), value("type"), value("refund_id")}] = truth{
			outcome: value("outcome"), cause: value("cause"), sub: value("sub_cause"), incident: value("incident"), owed: owed.Abs().InexactFloat64(),
		}
		return nil
	})
}

// span is a stretch of time.
type span struct{ from, to time.Time }

// overlap is the share of the time that two spans cover in which both do; spans that are shorter than a minute count as one.
func (s span) overlap(o span) float64 {
	until := func(s span) time.Time {
		if end := s.from.Add(time.Minute); s.to.Before(end) {
			return end
		}
		return s.to
	}
	from, to := s.from, until(s)
	if o.from.After(from) {
		from = o.from
	}
	if until(o).Before(to) {
		to = until(o)
	}
	both := max(to.Sub(from), 0)
	return both.Seconds() / (until(s).Sub(s.from) + until(o).Sub(o.from) - both).Seconds()
}

// readFaults reads when the orders of each fault were sold.
func readFaults(path string, zone *time.Location) (map[string]span, error) {
	faults := map[string]span{}
	return faults, eachRow(path, func(value func(string) string) error {
		from, err := time.ParseInLocation(time.DateTime, value("first"), zone)
		if err != nil {
			return err
		}
		to, err := time.ParseInLocation(time.DateTime, value("last"), zone)
		if err != nil {
			return err
		}
		s, ok := faults[value("incident")]
		if !ok || from.Before(s.from) {
			s.from = from
		}
		if to.After(s.to) {
			s.to = to
		}
		faults[value("incident")] = s
		return nil
	})
}

// readSpans reads the incidents that a run states.
func readSpans(ctx context.Context, pool *pgxpool.Pool, asOf time.Time) (map[string]span, error) {
	rows, err := pool.Query(ctx, `
		SELECT incident_id, started_at, ended_at
		  FROM incident
		 WHERE as_of = $1`, asOf)
	if err != nil {
		return nil, err
	}
	spans := map[string]span{}
	var (
		id string
		s  span
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &s.from, &s.to}, func() error {
		spans[id] = s
		return nil
	})
	return spans, err
}

// readStated reads what the last run says of every order, and beside it what plain rules say that look at one order alone,
// in the order in which a careful person would write them down: payout, line, code, status, absence.
func readStated(ctx context.Context, pool *pgxpool.Pool) (map[key]stated, error) {
	rows, err := pool.Query(ctx, `
		SELECT COALESCE(p.order_id, s.order_id),
		       v.merchant_id,
		       v.type,
		       COALESCE(p.refund_id, s.refund_id, ''),
		       v.outcome,
		       COALESCE(x.cause, ''),
		       COALESCE(x.sub_cause, ''),
		       COALESCE(x.confidence, 0)::float8,
		       COALESCE(x.incident_id, ''),
		       COALESCE((SELECT string_agg(e ->> 'family', ' ') FROM jsonb_array_elements(x.evidence::jsonb) AS e WHERE (e ->> 'db')::int > 0), ''),
		       CASE
		           WHEN x.cause IS NULL THEN ''
		           WHEN v.outcome = 'amount_mismatch' THEN 'operator_error'
		           WHEN v.outcome = 'status_mismatch' THEN 'callback_lost'
		           WHEN v.payout_status = 'PROCESSING' THEN 'payout_late'
		           WHEN y.reason_code = 'E9001' THEN 'payout_late'
		           WHEN 'R1102' IN (y.reason_code, s.reason_code) THEN 'insufficient_balance'
		           WHEN v.payout_status = 'HELD' OR v.settle_status = 'HELD' THEN 'account_frozen'
		           WHEN v.payout_status IN ('FAILED', 'RETURNED') OR v.settle_status IN ('REJECTED', 'RETURNED') THEN 'account_abnormal'
		           WHEN v.settle_status = 'PENDING' THEN 'system_delay'
		           WHEN p.response_code IN ('51', 'NOTENOUGH', 'ACQ.BUYER_BALANCE_NOT_ENOUGH') THEN 'payer_funds'
		           WHEN p.response_code IN ('54', '55', '61', '62') THEN 'declined'
		           WHEN p.response_code IN ('13', 'AUTHCODEEXPIRE', 'AUTH_CODE_INVALID') THEN 'operator_error'
		           WHEN p.response_code = 'NETERR' THEN 'network'
		           WHEN p.response_code IN ('68', '91', '96', '98', 'SYSTEMERROR', 'BANKERROR', 'ACQ.SYSTEM_ERROR') THEN 'channel_outage'
		           WHEN v.pos_status <> 'SUCCESS' THEN 'closed'
		           WHEN NOT EXISTS (SELECT FROM file AS f WHERE f.kind = 'settlement' AND f.state = 'loaded' AND f.acquirer = v.acquirer AND f.file_date = v.due_date) THEN 'file_late'
		           ELSE 'system_delay'
		       END
		  FROM decided AS v
		  LEFT JOIN explanation AS x ON (x.order_key, x.episode) = (v.order_key, v.episode)
		  LEFT JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (v.order_key, v.pos_file_id, v.pos_line)
		  LEFT JOIN settlement_row AS s
		    ON (s.order_key, s.file_id, s.line) = (COALESCE(v.settle_key, v.order_key), v.settle_file_id, v.settle_line)
		  LEFT JOIN LATERAL (
		      SELECT reason_code
		        FROM payout_row
		       WHERE payout_row.acquirer = v.acquirer
		         AND payout_row.payout_id = s.payout_id
		       ORDER BY payout_date DESC, file_id DESC, line DESC
		       LIMIT 1) AS y ON true`)
	if err != nil {
		return nil, err
	}
	list := map[key]stated{}
	var (
		k key
		s stated
	)
	_, err = pgx.ForEachRow(rows, []any{&k.order, &k.merchant, &k.typ, &k.refund, &s.outcome, &s.cause, &s.sub, &s.confidence, &s.incident, &s.cited, &s.plain}, func() error {
		list[k] = s
		return nil
	})
	return list, err
}
