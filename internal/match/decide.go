package match

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// Scope says which keys are decided.
type Scope struct {
	All      bool       // every key there is
	From, To recon.Date // beside all that is new or open: orders and lines of these business dates; zero for none
	Final    Final      // whose explanations stay as they are
}

// Rules are the inputs of a decision that are not facts.
type Rules struct {
	AsOf      time.Time
	Zone      *time.Location
	Calendar  *calendar.Calendar
	Acquirers recon.Acquirers
	SleepFrom int64  // rows of POS logs in a month from which on days are put to sleep (final.go); 0 for what is usual
	Joined    func() // called once the fresh rows are joined, which keeps all processors busy; may be nil
}

// Result counts what a decision looked at.
type Result struct {
	Decided      int64 // verdicts written
	MissingYears []int // calendar years without which due dates could not be counted
}

// Decide replaces the verdicts of scope by what the facts say now. It leaves the temporary tables dirty, plain_now,
// pos_now, line_now, pos_said, line_said, lone_order, lone_line, candidate, sibling and final behind for what follows in
// the transaction; they go with it. It marks no file
// as decided: the caller does so when it keeps the result.
func Decide(ctx context.Context, tx pgx.Tx, scope Scope, rules Rules) (Result, error) {
	d := decision{tx: tx, rules: rules}
	var err error
	if d.distributed, err = postgres.Distributed(ctx, tx); err != nil {
		return Result{}, err
	}
	// Every large join here is of two sides that fit side by side in a hash table, or spill well; sorting both by random
	// keys, which the planner prefers where it underestimates, takes three times as long.
	if err := d.run(ctx,
		`SET LOCAL enable_mergejoin = off`,
		// What is analysed here is read a few times; a tenth of the usual sample tells its size as well.
		`SET LOCAL default_statistics_target = 10`,
	); err != nil {
		return Result{}, err
	}
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"choose what to decide", func(ctx context.Context) error { return d.chooseScope(ctx, scope) }},
		{"find the state of payouts", d.payoutState},
		{"tie payouts with the bank", d.tieBank},
		{"keep the state of payouts", d.keepPayouts},
		{"match plainly", d.matchPlainly},
		{"take back what was a plain match", d.takeBack},
		{"bring together the rows to decide", d.bringTogether},
		{"bring in what may fit", d.bringWhatMayFit},
		{"find what stands of keys with several rows", d.standSlow},
		{"gather standing orders and lines", d.gather},
		{"count due dates", func(ctx context.Context) error { return d.countDue(ctx, "wo") }},
		{"match beyond the key", d.pair},
		{"store verdicts", d.store},
		{"store who waits", d.storeWaiting},
		{"choose what stays as it is explained", func(ctx context.Context) error { return d.chooseFinal(ctx, scope) }},
		{"bring the rows of what rests", d.bringResting},
	}
	for _, s := range steps {
		if err := s.do(ctx); err != nil {
			return Result{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return d.result, nil
}

// decision is one call of Decide.
type decision struct {
	tx          pgx.Tx
	rules       Rules
	distributed bool // the database's tables are spread over nodes
	all         bool
	replaced    []int32 // files that count no longer
	fresh       fresh   // files whose rows no run has decided
	result      Result
}

// run runs statements one after the other, without arguments.
func (d *decision) run(ctx context.Context, statements ...string) error {
	for _, sql := range statements {
		if _, err := d.tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// analyzeSmall is the statement that refreshes the statistics of a small table. Citus, which has a copy of it on every node, cannot
// do so within a transaction that has read it; there autovacuum has to.
func (d *decision) analyzeSmall(table string) string {
	if d.distributed {
		return "SELECT"
	}
	return "ANALYZE " + table
}
