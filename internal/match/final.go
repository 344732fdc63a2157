package match

import (
	"context"
	"strconv"

	"github.com/posrecon/posrecon/internal/recon"
)

// Most of what was ever open stays open: payments that failed, and lines that never came. What explains an order at rest is final once
// more than recon.LateFiles files of its acquirer have come after its due date, so that its age says nothing more, and it has been
// explained in a night since then. It is explained again where something happens near its day: a file has rows of its business date
// or the day before or after, for an outage goes across midnight; or of the date that it was due on, as the file has that should
// have held it.
//
// Beside a day that is explained, final ones are read for what orders of both share; all others are asleep, and cost a night nothing.
//
// A night is an as-of instant, in however many runs its files come: of what one of them explains again, final_day has the night, and so do
// the later ones.

// Final says which explanations are final.
type Final int

// Explanations are final by what has come, or none is, or those are that were in the last run.
const (
	FinalNow Final = iota
	FinalNone
	FinalAsStored
)

// asleep is the condition that verdict v is of a day whose orders at rest are explained for good, and that nothing is explained
// beside: nobody asks for its rows.
const asleep = `(v.acquirer, v.business_date, v.due_date) IN (SELECT acquirer, business_date, due_date FROM final WHERE asleep)`

const (
	// longGone is after how many days without a settlement file an acquirer is one that sends none any more: its last days, after
	// which not enough files have come, keep no others awake. So it is with one that never sent any; what it shares with others is
	// told as far as these are awake.
	longGone = 35

	// sleepFrom is from how many rows of POS logs in a month on days are put to sleep. What is usual is known from the days that are
	// awake, for which fewer would be too few; and there is no time to be won.
	sleepFrom = 100_000
)

// chooseFinal finds the acquirers' business dates, by due dates, of which orders at rest are explained for good, in final; and keeps in
// final_day since which night they could be.
func (d *decision) chooseFinal(ctx context.Context, scope Scope) error {
	night := `'` + d.rules.AsOf.UTC().Format("2006-01-02 15:04:05.999999") + `+00'::timestamptz`
	if scope.Final != FinalAsStored {
		if err := d.keepFinal(ctx, scope, night); err != nil {
			return err
		}
		if err := d.putToSleep(ctx, night); err != nil {
			return err
		}
	}
	return d.run(ctx,
		`CREATE TEMP TABLE final ON COMMIT DROP AS
		 SELECT acquirer, business_date, due_date, asleep
		   FROM final_day
		  WHERE as_of < `+night,
		`ANALYZE final`,
	)
}

// putToSleep finds the final days beside which nothing is explained. What is not final is explained with what is beside it, whoever's
// that is.
func (d *decision) putToSleep(ctx context.Context, night string) error {
	from := d.rules.SleepFrom
	if from == 0 {
		from = sleepFrom
	}
	today := `'` + recon.DateOf(d.rules.AsOf, d.rules.Zone).String() + `'::date`
	return d.run(ctx,
		`CREATE TEMP TABLE sent_day ON COMMIT DROP AS
		 SELECT u.acquirer, u.business_date, u.due_date
		   FROM due_day AS u
		   JOIN (SELECT acquirer
		           FROM file
		          WHERE kind = 'settlement'
		            AND state = 'loaded'
		            AND replaced_by IS NULL
		          GROUP BY acquirer
		         HAVING max(file_date) >= `+today+` - `+strconv.Itoa(longGone)+`) AS sending USING (acquirer)`,
		// A month without the last days, of which more files may come within the night.
		`CREATE TEMP TABLE busy ON COMMIT DROP AS
		 SELECT COALESCE(sum(rows_loaded), 0) >= `+strconv.FormatInt(from, 10)+` AS yes
		   FROM file
		  WHERE kind = 'pos_log'
		    AND state = 'loaded'
		    AND replaced_by IS NULL
		    AND last_date BETWEEN `+today+` - `+strconv.Itoa(longGone)+` AND `+today+` - 4`,
		`UPDATE final_day AS f
		    SET asleep = n.asleep
		   FROM (SELECT acquirer,
		                business_date,
		                due_date,
		                as_of < `+night+`
		                AND (SELECT yes FROM busy)
		                AND business_date NOT IN (SELECT u.business_date + n
		                                            FROM sent_day AS u
		                                           CROSS JOIN generate_series(-1, 1) AS n
		                                           WHERE NOT EXISTS (SELECT
		                                                               FROM final_day AS g
		                                                              WHERE g.as_of < `+night+`
		                                                                AND (g.acquirer, g.business_date, g.due_date) = (u.acquirer, u.business_date, u.due_date))) AS asleep
		           FROM final_day) AS n
		  WHERE (n.acquirer, n.business_date, n.due_date) = (f.acquirer, f.business_date, f.due_date)
		    AND n.asleep <> f.asleep`,
		`DROP TABLE sent_day`,
		`DROP TABLE busy`,
	)
}

// keepFinal brings final_day up to date. What it takes from the files and rows of one run, the runs of the same night add up to what one
// run of all of them would take; but for a pair, a sibling or the state of a payout that a later run of the night undoes.
func (d *decision) keepFinal(ctx context.Context, scope Scope, night string) error {
	stirred := []string{
		// Files that others replace, too: what they said is taken back.
		`SELECT d
		   FROM file
		  CROSS JOIN LATERAL unnest(COALESCE(dates, ARRAY(SELECT first_date + n FROM generate_series(0, greatest(last_date, file_date) - first_date) AS n))) AS d
		  WHERE kind IN ('pos_log', 'settlement')
		    AND state = 'loaded'
		    AND NOT decided`,
		`SELECT p.business_date
		   FROM pos_now AS p
		  WHERE p.order_key IN (SELECT r.order_key FROM pos_now AS r JOIN file AS f USING (file_id) WHERE NOT f.decided)
		     OR p.order_key IN (SELECT r.order_key FROM line_now AS r JOIN file AS f USING (file_id) WHERE NOT f.decided)
		     OR EXISTS (SELECT FROM file WHERE NOT decided AND replaced_by IS NOT NULL)`,
		`SELECT business_date FROM arrived`,
		// Found by more than its key.
		`SELECT v.business_date
		   FROM verdict AS v
		   JOIN file AS f ON f.file_id = v.settle_file_id
		  WHERE v.settle_key <> v.order_key
		    AND NOT f.decided`,
		// Its payout is another or in another state.
		`SELECT v.business_date FROM payout_changed AS c JOIN verdict AS v ON v.acquirer = c.acquirer AND v.payout_id = c.payout_id`,
		// Whose line names another merchant, and whose did.
		`SELECT v.business_date FROM verdict AS v JOIN sibling USING (order_key, episode)`,
		`SELECT v.business_date FROM verdict AS v JOIN explanation AS x USING (order_key, episode) WHERE x.action = 'check_merchant'`,
	}
	switch {
	case scope.Final == FinalNone || d.all:
		stirred = []string{`SELECT business_date FROM saturated`}
	case !scope.From.IsZero():
		stirred = append(stirred, `SELECT '`+scope.From.String()+`'::date + n FROM generate_series(0, '`+scope.To.String()+`'::date - '`+scope.From.String()+`'::date) AS n`)
	}
	if err := d.run(ctx,
		`CREATE TEMP TABLE saturated ON COMMIT DROP AS
		 WITH sent AS (
		     SELECT DISTINCT acquirer, file_date
		       FROM file
		      WHERE kind = 'settlement'
		        AND state = 'loaded'
		        AND replaced_by IS NULL
		 ), numbered AS (
		     SELECT acquirer, file_date, row_number() OVER (PARTITION BY acquirer ORDER BY file_date DESC) AS nth
		       FROM sent
		 )
		 SELECT DISTINCT u.acquirer, u.business_date, u.due_date
		   FROM due_day AS u
		   JOIN numbered AS n ON n.acquirer = u.acquirer AND u.due_date < n.file_date
		  WHERE n.nth = `+strconv.Itoa(recon.LateFiles+1),
		`CREATE TEMP TABLE stirred (on_date date) ON COMMIT DROP`,
	); err != nil {
		return err
	}
	for _, dates := range stirred {
		if err := d.run(ctx, `INSERT INTO stirred `+dates); err != nil {
			return err
		}
	}
	return d.run(ctx,
		`DELETE FROM final_day AS f
		  WHERE NOT EXISTS (SELECT
		                      FROM saturated AS s
		                     WHERE (s.acquirer, s.business_date, s.due_date) = (f.acquirer, f.business_date, f.due_date))`,
		`INSERT INTO final_day (acquirer, business_date, due_date, as_of, asleep)
		 SELECT acquirer, business_date, due_date, `+night+`, false
		   FROM saturated
		     ON CONFLICT (acquirer, business_date, due_date) DO NOTHING`,
		// Same-day orders settle on the day before they are due.
		`UPDATE final_day AS f
		    SET as_of = `+night+`
		  WHERE business_date IN (SELECT on_date + n FROM stirred CROSS JOIN generate_series(-1, 1) AS n)
		     OR due_date IN (SELECT on_date + n FROM stirred CROSS JOIN generate_series(0, 1) AS n)`,
		// One file should have held them all.
		`UPDATE final_day AS f
		    SET as_of = `+night+`
		  WHERE (acquirer, due_date) IN (SELECT acquirer, due_date FROM final_day WHERE as_of = `+night+`)`,
		`DROP TABLE saturated`,
		`DROP TABLE stirred`,
	)
}
