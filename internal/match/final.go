package match

import (
	"context"
	"strconv"

	"github.com/posrecon/posrecon/internal/recon"
)

// Most of what was ever open stays open: payments that failed, and lines that never came. What explains an order at rest is final once
// more than recon.LateFiles files of its acquirer have come after its due date, so that its age says nothing more, and it has been
// explained in a night since then. It is explained again where something happens on its business date or the day before or after:
// an outage goes across midnight. A night is an as-of instant, in however many runs its files come: what the first of them
// stirs the last explains.

// Final says which explanations are final.
type Final int

// Explanations are final by what has come, or none is, or those are that were in the last run.
const (
	FinalNow Final = iota
	FinalNone
	FinalAsStored
)

// onFinalDay is the condition that verdict v is of a day whose orders at rest are explained for good.
const onFinalDay = `(v.acquirer, v.business_date, v.due_date) IN (SELECT acquirer, business_date, due_date FROM final)`

// chooseFinal finds the acquirers' business dates, by due dates, of which orders at rest are explained for good, in final; and keeps in
// final_day since which night they could be.
func (d *decision) chooseFinal(ctx context.Context, which Final) error {
	night := `'` + d.rules.AsOf.UTC().Format("2006-01-02 15:04:05.999999") + `+00'::timestamptz`
	stored := []string{
		`CREATE TEMP TABLE final ON COMMIT DROP AS
		 SELECT acquirer, business_date, due_date
		   FROM final_day
		  WHERE as_of < ` + night,
		`ANALYZE final`,
	}
	if which == FinalAsStored {
		return d.run(ctx, stored...)
	}
	const everyDay = `SELECT DISTINCT business_date FROM saturated`
	stirred := everyDay
	if which == FinalNow && !d.all {
		stirred = `
		 WITH touched AS (
		     SELECT r.order_key FROM pos_now AS r JOIN file AS f USING (file_id) WHERE NOT f.decided
		      UNION
		     SELECT r.order_key FROM line_now AS r JOIN file AS f USING (file_id) WHERE NOT f.decided
		 )
		 SELECT p.business_date FROM pos_now AS p JOIN touched USING (order_key)
		  UNION
		 SELECT l.business_date FROM line_now AS l JOIN touched USING (order_key)
		  UNION
		 SELECT v.business_date FROM verdict AS v JOIN dirty USING (order_key) WHERE ` + rests
	}
	return d.run(ctx, append([]string{
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
		  WHERE n.nth = ` + strconv.Itoa(recon.LateFiles+1),
		`CREATE TEMP TABLE stirred ON COMMIT DROP AS ` + stirred,
		`DELETE FROM final_day AS f
		  WHERE NOT EXISTS (SELECT
		                      FROM saturated AS s
		                     WHERE (s.acquirer, s.business_date, s.due_date) = (f.acquirer, f.business_date, f.due_date))`,
		`UPDATE final_day AS f
		    SET as_of = ` + night + `
		  WHERE EXISTS (SELECT FROM stirred AS s WHERE abs(s.business_date - f.business_date) <= 1)`,
		`INSERT INTO final_day (acquirer, business_date, due_date, as_of)
		 SELECT acquirer, business_date, due_date, ` + night + `
		   FROM saturated
		     ON CONFLICT (acquirer, business_date, due_date) DO NOTHING`,
		`DROP TABLE saturated`,
		`DROP TABLE stirred`,
	}, stored...)...)
}
