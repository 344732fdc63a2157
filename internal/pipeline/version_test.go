//go:build !citus

package pipeline_test

import (
	"strings"
	"testing"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/migrations"
)

// What is left alone was decided by a version of the program: the next one decides it once more, and then leaves it alone too.
func TestAnotherVersion(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", `order_id,acquirer,merchant_id,channel,amount,status,txn_time
A,lakala,M1,wechat,10.00,FAILED,2026-11-09T12:00:00+08:00
B,lakala,M1,wechat,20.00,SUCCESS,2026-11-09T12:00:00+08:00
`, "lines.csv", `# acquirer: lakala
order_id,merchant_id,amount,fee,settle_date,status
B,M1,20.00,0.04,2026-11-10,SETTLED
`)
	for i, night := range []struct {
		asOf, program, why string
		decided            int64
		amount             string
	}{
		{"2026-11-11 12:00", "posrecon 1", "both orders are new", 2, "10.00"},
		{"2026-11-12 12:00", "posrecon 1", "nothing has happened to them", 0, "11.00"},
		{"2026-11-13 12:00", "posrecon 2", "another version looks at all", 2, "10.00"},
		{"2026-11-14 12:00", "posrecon 2", "it has", 0, "10.00"},
	} {
		c.job.Program = night.program
		if got := c.night(night.asOf).Decided; got != night.decided {
			t.Errorf("%s: %d decided, want %d: %s", night.asOf, got, night.decided, night.why)
		}
		var amount string
		if err := c.b.pool.QueryRow(t.Context(), `SELECT pos_amount::text FROM verdict`).Scan(&amount); err != nil {
			t.Fatal(err)
		}
		if amount != night.amount {
			t.Errorf("%s: an order of 10.00 is one of %s, want %s: %s", night.asOf, amount, night.amount, night.why)
		}
		said := c.explanations()
		if says := night.amount == "10.00"; says != !strings.Contains(said, "erring") {
			t.Errorf("%s: its explanation: %s", night.asOf, said)
		}
		if i == 0 { // as a version that errs would have it
			if _, err := c.b.pool.Exec(t.Context(), `UPDATE verdict SET pos_amount = 11`); err != nil {
				t.Fatal(err)
			}
			if _, err := c.b.pool.Exec(t.Context(), `UPDATE explanation SET evidence = '[{"family":"erring"}]'`); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.holds("2026-11-14 12:00", "after another version")
}

// What another version corrects is no later fact, and nothing is learned from it; what comes in the same night is.
func TestCorrectionsAreNoFacts(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.job.Program = "posrecon 1"
	c.write("pos.csv", posHead+"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\nB,lakala,M1,wechat,20.00,SUCCESS,2026-11-09T12:00:00+08:00\n",
		"lines-1.csv", lineHead+"A,M1,10.00,0.06,2026-11-10,SETTLED\n")
	c.night("2026-11-11 12:00")
	// As a version that errs would have it, A lacks its line as B does.
	for _, sql := range []string{
		`DELETE FROM plain_match`,
		`CREATE TABLE wrong_verdict AS SELECT * FROM verdict`,
		`UPDATE wrong_verdict SET order_key = p.order_key, pos_line = p.line, pos_amount = p.amount FROM pos_row AS p WHERE p.order_id = 'A'`,
		`INSERT INTO verdict SELECT * FROM wrong_verdict`,
		`CREATE TABLE wrong_explanation AS SELECT * FROM explanation`,
		`UPDATE wrong_explanation SET order_key = p.order_key FROM pos_row AS p WHERE p.order_id = 'A'`,
		`INSERT INTO explanation SELECT * FROM wrong_explanation`,
		`DROP TABLE wrong_verdict, wrong_explanation`,
	} {
		if _, err := c.b.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(sql, err)
		}
	}
	c.write("lines-2.csv", lineHead+"B,M1,20.00,0.06,2026-11-11,SETTLED\n")
	c.job.Program = "posrecon 2"
	c.night("2026-11-12 12:00")
	c.holds("2026-11-12 12:00", "after the correction")
	got := c.b.dump(t, `
		SELECT p.order_id || ' ' || l.actual
		  FROM label AS l
		  JOIN pos_row AS p USING (order_key)
		 ORDER BY p.order_id`)
	if want := "B system_delay"; strings.Join(got, ", ") != want {
		t.Errorf("learned %q, want %q", got, want)
	}
}

// Explanations that were written before there were digests are right as they are.
func TestExplanationsWithoutDigests(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", posHead+"A,lakala,M1,wechat,10.00,SUCCESS,2026-11-09T12:00:00+08:00\n")
	c.night("2026-11-11 12:00")
	for _, name := range []string{"000024_know_what_was_explained.down.sql", "000024_know_what_was_explained.up.sql"} {
		text, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.b.pool.Exec(t.Context(), string(text)); err != nil {
			t.Fatal(name, err)
		}
	}
	c.holds("2026-11-11 12:00", "migrated down and up")
	c.run(pipeline.Options{Kind: "run", Inbox: []string{c.inbox}, AsOf: c.at("2026-11-11 12:00")})
	c.holds("2026-11-11 12:00", "after the same run again")
	c.night("2026-11-12 12:00")
	c.holds("2026-11-12 12:00", "after a further night")
}
