package cases_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/cases"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

const (
	order = "00000000-0000-0000-0000-0000000000a1"
	id    = "C-0000000000000000" // derived from the order's key
)

// desk is a database with one order, whose verdict and explanation a test sets as runs would.
type desk struct {
	t    *testing.T
	pool *pgxpool.Pool
	asOf time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	pool, err := postgres.Open(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &desk{t, pool, time.Date(2026, 11, 3, 4, 0, 0, 0, time.UTC)}
}

func (d *desk) exec(sql string, args ...any) {
	d.t.Helper()
	if _, err := d.pool.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatalf("%s: %v", sql, err)
	}
}

// unsettled makes the order one that needs follow-up for a cause.
func (d *desk) unsettled(cause, sub string) {
	d.t.Helper()
	d.exec(`DELETE FROM verdict WHERE order_key = $1`, order)
	d.exec(`DELETE FROM explanation WHERE order_key = $1`, order)
	d.exec(`
		INSERT INTO verdict (order_key, episode, business_date, has_order, duplicate_pos, settled_lines, pos_file_id, pos_line, due_date, outcome,
		                     match_rule, type, acquirer, merchant_id, channel, currency, pos_status, pos_amount, received)
		VALUES ($1, 0, '2026-11-02', true, false, 0, 1, 2, '2026-11-03', 'unsettled', 'none', 'SALE', 'lakala', 'M1', 'WECHAT', 'CNY', 'SUCCESS', 20.00, 0)`, order)
	d.exec(`
		INSERT INTO explanation (order_key, episode, cause, sub_cause, confidence, certainty, evidence, counter_evidence, action, needs_follow_up)
		VALUES ($1, 0, $2, $3, 0.9, 'high', '[{"en": "one", "zh": "一", "source": "a.csv:2"}]', '[]', 'wait', true)`, order, cause, sub)
}

// matched makes the order one whose money has arrived on 2026-11-05.
func (d *desk) matched() {
	d.t.Helper()
	d.exec(`DELETE FROM explanation WHERE order_key = $1`, order)
	d.exec(`
		UPDATE verdict
		   SET outcome = 'matched', match_rule = 'order_id', settled_lines = 1, settle_key = order_key, settle_episode = 0, settle_file_id = 7,
		       settle_line = 9, settle_date = '2026-11-05', settle_status = 'SETTLED', payout_status = 'PAID', settled_amount = 20.00, received = 20.00
		 WHERE order_key = $1`, order)
	d.exec(`
		INSERT INTO file (file_id, sha256, name, names, state, kind, file_date, size_bytes, reader_version) OVERRIDING SYSTEM VALUE
		VALUES (7, repeat('a', 64), 's.csv', '{s.csv}', 'loaded', 'settlement', '2026-11-05', 1, 1) ON CONFLICT DO NOTHING`)
}

// run updates the cases as a run does, a day later each time.
func (d *desk) run() cases.Changes {
	d.t.Helper()
	var changes cases.Changes
	err := postgres.Transact(d.t.Context(), d.pool, func(tx pgx.Tx) (bool, error) {
		var err error
		changes, err = cases.Update(d.t.Context(), tx, d.asOf)
		return true, err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.asOf = d.asOf.AddDate(0, 0, 1)
	return changes
}

func (d *desk) do(kind string) error {
	return cases.Do(d.t.Context(), d.pool, id, cases.Act{Kind: kind, Actor: "li", Assignee: "wang", Note: "n", At: time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)})
}

func (d *desk) must(kind string) {
	d.t.Helper()
	if err := d.do(kind); err != nil {
		d.t.Fatal(err)
	}
}

// status returns the case's status, "none" where there is no case.
func (d *desk) status() string {
	d.t.Helper()
	var status string
	err := d.pool.QueryRow(d.t.Context(), `SELECT status FROM cases WHERE case_id = $1`, id).Scan(&status)
	if errors.Is(err, pgx.ErrNoRows) {
		return "none"
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return status
}

// history returns the kinds of the case's events.
func (d *desk) history() string {
	d.t.Helper()
	events, err := cases.History(d.t.Context(), d.pool, id)
	if errors.Is(err, cases.ErrNotFound) {
		return ""
	}
	if err != nil {
		d.t.Fatal(err)
	}
	var kinds []string
	for i, e := range events {
		if e.Seq != i+1 {
			d.t.Errorf("event %d has number %d", i+1, e.Seq)
		}
		kinds = append(kinds, e.Kind)
	}
	return strings.Join(kinds, " ")
}

// bring clears the desk and leads its case to a status.
func (d *desk) bring(t *testing.T, status string) {
	t.Helper()
	d.t = t
	d.exec(`DELETE FROM cases`) // and their events
	d.unsettled("delay", "file_late")
	if status == "none" {
		return
	}
	d.run()
	switch status {
	case "resolved":
		d.must("resolved")
	case "closed":
		d.matched()
		d.run()
	}
	if got := d.status(); got != status {
		t.Fatalf("the case is %s, want %s", got, status)
	}
}

// What a run makes of a case in each status: each way that the diagram has, and no other.
func TestUpdate(t *testing.T) {
	t.Parallel()
	newFact := func(d *desk) {
		d.unsettled("delay", "file_late")
		d.exec(`UPDATE verdict SET payout_status = 'FAILED', payout_fact = 'P2'`)
	}
	gone := func(d *desk) { d.exec(`DELETE FROM explanation`); d.exec(`DELETE FROM verdict`) }
	d := newDesk(t)
	for _, tt := range []struct {
		from, name string
		change     func(d *desk)
		to, added  string
	}{
		{"none", "needs follow-up", func(*desk) {}, "open", "opened"},
		{"none", "has arrived", func(d *desk) { d.matched() }, "none", ""},
		{"open", "needs it still", func(*desk) {}, "open", ""},
		{"open", "for another cause", func(d *desk) { d.unsettled("frozen_account", "account_frozen") }, "open", "changed"},
		{"open", "by a new fact", newFact, "open", ""},
		{"open", "has arrived", func(d *desk) { d.matched() }, "closed", "closed"},
		{"open", "is gone", gone, "closed", "closed"},
		{"resolved", "needs it still", func(*desk) {}, "resolved", ""},
		{"resolved", "is told in a further file", func(d *desk) { d.exec(`UPDATE verdict SET pos_file_id = 8, pos_line = 99, due_date = due_date + 1`) }, "resolved", ""},
		{"resolved", "for another cause, by no new fact", func(d *desk) { d.unsettled("frozen_account", "account_frozen") }, "resolved", ""},
		{"resolved", "by a new fact", newFact, "open", "reopened"},
		{"resolved", "has arrived", func(d *desk) { d.matched() }, "closed", "closed"},
		{"resolved", "is gone", gone, "closed", "closed"},
		{"closed", "needs it again", newFact, "open", "reopened"},
		{"closed", "has arrived still", func(*desk) {}, "closed", ""},
		{"closed", "is gone", gone, "closed", ""},
	} {
		t.Run(tt.from+", "+tt.name, func(t *testing.T) {
			d.bring(t, tt.from)
			before := d.history()
			tt.change(d)
			changes := d.run()
			if got := d.status(); got != tt.to {
				t.Errorf("it is %s, want %s", got, tt.to)
			}
			if got, want := d.history(), strings.TrimSpace(before+" "+tt.added); got != want {
				t.Errorf("its history is %q, want %q", got, want)
			}
			want := cases.Changes{}
			switch tt.added {
			case "opened":
				want.Opened = 1
			case "reopened":
				want.Reopened = 1
			case "closed":
				want.Closed = 1
			}
			if tt.to == "open" {
				want.Open = 1
			}
			if changes != want {
				t.Errorf("the run tells %+v, want %+v", changes, want)
			}
			// The same again changes nothing.
			if again := d.run(); again != (cases.Changes{Open: want.Open}) || d.history() != strings.TrimSpace(before+" "+tt.added) {
				t.Errorf("the next run tells %+v and leaves %q", again, d.history())
			}
		})
	}
}

// What a person may do to a case in each status, and what not.
func TestDo(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for _, tt := range []struct{ from, act, to, refused string }{
		{"open", "assigned", "open", ""},
		{"open", "commented", "open", ""},
		{"open", "resolved", "resolved", ""},
		{"open", "reopened", "open", "it is open already"},
		{"resolved", "assigned", "resolved", ""},
		{"resolved", "commented", "resolved", ""},
		{"resolved", "resolved", "resolved", "it is resolved already"},
		{"resolved", "reopened", "open", ""},
		{"closed", "assigned", "closed", ""},
		{"closed", "commented", "closed", ""},
		{"closed", "resolved", "closed", "it closed by itself: the order is settled"},
		{"closed", "reopened", "open", ""},
		{"open", "opened", "open", `"opened" is nothing that can be done to a case`},
		{"open", "closed", "open", `"closed" is nothing that can be done to a case`},
		{"none", "commented", "none", "no such case"},
	} {
		t.Run(tt.from+", "+tt.act, func(t *testing.T) {
			d.bring(t, tt.from)
			before := d.history()
			err := d.do(tt.act)
			if tt.refused != "" {
				if err == nil || err.Error() != "case "+id+": "+tt.refused {
					t.Errorf("error %v, want %q", err, tt.refused)
				}
				if (tt.from == "none") != errors.Is(err, cases.ErrNotFound) {
					t.Errorf("error %v: not found %v", err, errors.Is(err, cases.ErrNotFound))
				}
			} else if err != nil {
				t.Error(err)
			}
			if got := d.status(); got != tt.to {
				t.Errorf("it is %s, want %s", got, tt.to)
			}
			want := before
			if tt.refused == "" {
				want += " " + tt.act
			}
			if got := d.history(); got != want {
				t.Errorf("its history is %q, want %q", got, want)
			}
		})
	}
}

// Which changes of a verdict are new facts about its order or payout, so that a resolved case reopens.
func TestNewFacts(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bring(t, "resolved")
	for column, value := range map[string]string{
		"pos_status": `'UNKNOWN'`, "pos_amount": `21.00`, "settle_status": `'HELD'`, "settle_date": `'2026-11-04'`, "settled_lines": `2`,
		"settled_amount": `19.00`, "received": `1.00`, "payout_fact": `'P9'`, "duplicate_pos": `true`, "currency": `'USD'`,
	} {
		d.exec(fmt.Sprintf(`UPDATE verdict SET %s = %s`, column, value))
		if changes := d.run(); changes.Reopened != 1 {
			t.Errorf("another %s is no new fact: %+v", column, changes)
			continue
		}
		d.must("resolved")
	}
	for column, value := range map[string]string{
		"pos_file_id": `77`, "pos_line": `78`, "settle_file_id": `79`, "settle_line": `80`, "due_date": `'2026-11-30'`, "txn_time": `now()`, "terminal_id": `'T9'`,
	} {
		d.exec(fmt.Sprintf(`UPDATE verdict SET %s = %s`, column, value))
		if changes := d.run(); changes.Reopened != 0 {
			t.Errorf("another %s is a new fact: %+v", column, changes)
			d.must("resolved")
		}
	}
}

// The history tells when it opened, which cause was suspected, who did what, what cleared it and how late.
func TestHistory(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.unsettled("delay", "file_late")
	d.run()
	d.must("assigned")
	d.unsettled("frozen_account", "account_frozen")
	d.run()
	d.must("commented")
	d.matched()
	d.run()
	got, err := cases.History(t.Context(), d.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	day := func(n int) time.Time { return time.Date(2026, 11, n, 4, 0, 0, 0, time.UTC) }
	acted := time.Date(2026, 11, 9, 0, 0, 0, 0, time.UTC)
	want := []cases.Event{
		{Seq: 1, At: day(3), Kind: "opened", Actor: "posrecon", Outcome: "unsettled", Cause: "delay", SubCause: "file_late"},
		{Seq: 2, At: acted, Kind: "assigned", Actor: "li", Note: "n"},
		{Seq: 3, At: day(4), Kind: "changed", Actor: "posrecon", Outcome: "unsettled", Cause: "frozen_account", SubCause: "account_frozen"},
		{Seq: 4, At: acted, Kind: "commented", Actor: "li", Note: "n"},
		{Seq: 5, At: day(5), Kind: "closed", Actor: "posrecon", Outcome: "matched", Note: "settled on 2026-11-05 by s.csv:9, payout PAID, 2 days late"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	c, err := cases.Get(t.Context(), d.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	if c.Status != "closed" || c.Assignee != "wang" || c.Outcome != "matched" || !c.Opened.Equal(day(3)) || len(c.History) != 5 {
		t.Errorf("the case is %+v", c)
	}
}

// The case that is shown has its evidence; the list has the largest amount first.
func TestListAndGet(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.unsettled("delay", "file_late")
	for n, amount := range []string{"5.00", "-500.00", "50.00"} {
		d.exec(`INSERT INTO verdict SELECT (jsonb_populate_record(v, jsonb_build_object('order_key', $1::text, 'pos_amount', $2::text, 'type', CASE WHEN $2 LIKE '-%' THEN 'REFUND' ELSE 'SALE' END))).*
		          FROM verdict AS v WHERE order_key = $3`, fmt.Sprintf("%08d-0000-0000-0000-000000000000", n+1), amount, order)
		d.exec(`INSERT INTO explanation SELECT (jsonb_populate_record(x, jsonb_build_object('order_key', $1::text))).* FROM explanation AS x WHERE order_key = $2`,
			fmt.Sprintf("%08d-0000-0000-0000-000000000000", n+1), order)
	}
	d.run()
	d.must("resolved")
	for status, want := range map[string][]string{
		"open":     {"-500.00", "50.00", "5.00"},
		"resolved": {"20.00"},
		"closed":   nil,
		"all":      {"-500.00", "50.00", "20.00", "5.00"},
	} {
		list, err := cases.List(t.Context(), d.pool, status)
		if err != nil {
			t.Fatal(err)
		}
		var owed []string
		for _, c := range list {
			owed = append(owed, c.Owed.StringFixed(2))
			if c.Evidence != nil || c.History != nil {
				t.Errorf("the list carries evidence or history: %+v", c)
			}
		}
		if diff := cmp.Diff(want, owed); diff != "" {
			t.Errorf("%s cases owe (-want +got):\n%s", status, diff)
		}
	}
	c, err := cases.Get(t.Context(), d.pool, id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]cases.Sentence{{EN: "one", ZH: "一", Source: "a.csv:2"}}, c.Evidence); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
	if _, err := cases.Get(t.Context(), d.pool, "C-nowhere"); !errors.Is(err, cases.ErrNotFound) {
		t.Errorf("a case that there is not: %v", err)
	}
}

// A note is a page, a name a name.
func TestDoLimits(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bring(t, "open")
	for name, act := range map[string]cases.Act{
		"note":     {Kind: "commented", Actor: "li", Note: strings.Repeat("n", cases.MaxNote+1)},
		"actor":    {Kind: "commented", Actor: strings.Repeat("a", 201), Note: "n"},
		"assignee": {Kind: "assigned", Actor: "li", Assignee: strings.Repeat("a", 201)},
		"NUL":      {Kind: "commented", Actor: "li", Note: "a\x00b"},
		"no UTF-8": {Kind: "commented", Actor: "li", Note: "\xb6\xd4"},
	} {
		if err := cases.Do(context.Background(), d.pool, id, act); err == nil {
			t.Errorf("a %s of this kind was taken", name)
		}
	}
	if got := d.history(); got != "opened" {
		t.Errorf("its history is %q", got)
	}
	if err := cases.Do(t.Context(), d.pool, id, cases.Act{Kind: "commented", Actor: "li", Note: strings.Repeat("n", cases.MaxNote)}); err != nil {
		t.Errorf("a note as long as may be: %v", err)
	}
}

// Two people who act at the same time both stand in the history.
func TestDoAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.bring(t, "open")
	const people = 8
	errs := make(chan error, people)
	for range people {
		go func() {
			errs <- cases.Do(context.WithoutCancel(t.Context()), d.pool, id, cases.Act{Kind: "commented", Actor: "li", Note: "n", At: time.Now()})
		}()
	}
	for range people {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got, want := d.history(), "opened"+strings.Repeat(" commented", people); got != want {
		t.Errorf("its history is %q, want %q", got, want)
	}
}
