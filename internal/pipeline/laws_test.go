package pipeline_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/cases"
	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// comparedColumns are those that the oracle knows, in the order in which a difference is shown.
var comparedColumns = []string{
	"acquirer", "merchant_id", "type", "order_id", "refund_id", "outcome", "match_rule", "pos_status", "settle_status", "currency",
	"pos_amount", "settled_amount", "difference", "fee", "net_amount", "amount_due", "amount_arrived", "amount_owed",
	"amount_excess", "business_date", "due_date", "settle_date", "payout_id", "payout_status", "txn_time", "channel",
	"terminal_id", "channel_txn_id", "ref_no", "source", "settle_source",
}

// told writes a verdict as one line.
func told(v map[string]string) string {
	var b strings.Builder
	for _, name := range comparedColumns {
		b.WriteString(name + "=" + v[name] + " ")
	}
	return b.String()
}

// exported turns a row of an export into the oracle's terms.
func exported(row map[string]string) map[string]string {
	v := map[string]string{}
	for _, name := range comparedColumns {
		v[name] = row[name]
	}
	v["txn_time"] = strings.TrimSuffix(strings.Replace(row["txn_time"], "T", " ", 1), "+08:00")
	if row["source_file"] != "" {
		v["source"] = row["source_file"] + ":" + row["source_line"]
	}
	if row["settle_source_file"] != "" {
		v["settle_source"] = row["settle_source_file"] + ":" + row["settle_source_line"]
	}
	return v
}

// compareWithOracle fails where the export says other than the contract.
func compareWithOracle(t failer, w *world, rows []map[string]string, verdicts []oracleVerdict) {
	t.Helper()
	var want, got []string
	for _, v := range verdicts {
		want = append(want, told(v))
	}
	for _, row := range rows {
		v := exported(row)
		line := told(v)
		// Which of several lines' payouts is shown the contract does not say.
		if v["payout_status"] = "?"; slices.Contains(want, told(v)) {
			line = told(v)
		}
		got = append(got, line)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("by the contract (-), by the program (+):\n%s\n%s", brief(want, got), w)
	}
}

// brief shows the lines that differ.
func brief(want, got []string) string {
	var b strings.Builder
	for _, line := range want {
		if !slices.Contains(got, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return cmp.Or(b.String(), "the same lines, another number of times\n")
}

// checkRows holds what is true of the rows of every export, whatever the world: the laws of money (§5), exactly the
// outcomes that carry a cause have one (§4), and follow-up and cases as §4 says.
func checkRows(t failer, b *bench, w *world, rows []map[string]string, asOf time.Time) {
	t.Helper()
	for _, row := range rows {
		due, arrived := fen(row["amount_due"]), fen(row["amount_arrived"])
		owed, excess := fen(row["amount_owed"]), fen(row["amount_excess"])
		sign := int64(1)
		if row["type"] == "REFUND" {
			sign = -1
		}
		switch {
		case due != arrived+owed:
			t.Fatalf("due ≠ arrived + owed: %v\n%s", row, w)
		case owed != 0 && excess != 0:
			t.Fatalf("owed and excess on one row: %v\n%s", row, w)
		case sign*due < 0 || sign*arrived < 0 || sign*owed < 0 || sign*excess < 0:
			t.Fatalf("money of the wrong sign: %v\n%s", row, w)
		}
		cause, sub := recon.Cause(row["cause"]), recon.SubCause(row["sub_cause"])
		switch {
		case recon.Outcome(row["outcome"]).CarriesCause() != (cause != ""):
			t.Fatalf("outcome %s with cause %q: %v\n%s", row["outcome"], cause, row, w)
		case cause != "" && (!slices.Contains(recon.SubCauses, sub) || sub.Cause() != cause):
			t.Fatalf("sub-cause %q of cause %q: %v\n%s", sub, cause, row, w)
		}
		if got, want := row["days_overdue"], overdue(row, w.acquirers.Get(row["acquirer"]), asOf, b.zone); owed != 0 && got != want {
			t.Fatalf("overdue %s days, not %s: %v\n%s", got, want, row, w)
		}
		want := followUp(row, w.acquirers.Get(row["acquirer"]), asOf, b.zone)
		if got := row["needs_follow_up"] == "true"; got != want {
			t.Fatalf("needs_follow_up is %v, not %v: %v\n%s", got, want, row, w)
		}
		// A case is open exactly while its row needs follow-up; nobody resolves any in these worlds.
		if open := row["case_status"] == "open"; open != want || open && row["case_id"] == "" {
			t.Fatalf("needs_follow_up %v with case %q %q: %v\n%s", want, row["case_id"], row["case_status"], row, w)
		}
	}
	for _, law := range []struct{ what, sql string }{
		{"a settlement line is in two matches", `
			SELECT concat(settle_file_id, ':', settle_line) FROM decided WHERE settle_file_id IS NOT NULL
			 GROUP BY settle_file_id, settle_line HAVING count(*) > 1`},
		{"a POS row is in two verdicts", `
			SELECT concat(pos_file_id, ':', pos_line) FROM decided WHERE pos_file_id IS NOT NULL
			 GROUP BY pos_file_id, pos_line HAVING count(*) > 1`},
		{"a line's key is in two verdicts", `
			SELECT key::text FROM (SELECT COALESCE(settle_key, order_key) AS key, COALESCE(settle_episode, episode) AS episode
			                         FROM decided WHERE settle_file_id IS NOT NULL) AS v
			 GROUP BY key, episode HAVING count(*) > 1`},
		{"received ≠ arrived + excess in one currency", `
			SELECT currency FROM verdict_money
			 GROUP BY currency HAVING sum(received) <> sum(amount_arrived) + sum(amount_excess)`},
	} {
		if bad := b.dump(t, law.sql); len(bad) > 0 {
			t.Fatalf("%s: %v\n%s", law.what, bad, w)
		}
	}
}

// overdue counts the calendar days from the due date to the as-of's, 0 before the file deadline of the due date (§6).
func overdue(row map[string]string, acquirer recon.Acquirer, asOf time.Time, zone *time.Location) string {
	due, err := recon.ParseDate(row["due_date"])
	if err != nil || asOf.Before(due.At(acquirer.Deadline, zone)) {
		return "0"
	}
	return strconv.Itoa(recon.DateOf(asOf, zone).DaysSince(due))
}

// followUp is the contract's needs_follow_up of a row, given its cause.
func followUp(row map[string]string, acquirer recon.Acquirer, asOf time.Time, zone *time.Location) bool {
	outcome := recon.Outcome(row["outcome"])
	switch {
	case !outcome.Flagged():
		return false
	case outcome == recon.UnexpectedSettlement:
		day, err := recon.ParseDate(row["business_date"])
		if err != nil {
			panic(err)
		}
		return !asOf.Before(day.AddDays(1).At(acquirer.Deadline, zone)) // its POS log may be late
	case slices.Contains([]string{"FAILED", "CLOSED", "REVERSED"}, row["pos_status"]) && row["settle_status"] != "SETTLED":
		return row["cause"] != "failed_txn"
	}
	return true
}

// checkTotals holds that a run's totals are the sums of the export's rows, and none is left out.
func checkTotals(t failer, w *world, report *pipeline.Report, rows []map[string]string) {
	t.Helper()
	type sum struct{ rows, followUp, due, arrived, owed, excess int64 }
	want, got := map[string]sum{}, map[string]sum{}
	for _, row := range rows {
		k := strings.Join([]string{row["currency"], row["outcome"], row["cause"], row["sub_cause"]}, " ")
		s := want[k]
		s.rows++
		if row["needs_follow_up"] == "true" {
			s.followUp++
		}
		s.due += fen(row["amount_due"])
		s.arrived += fen(row["amount_arrived"])
		s.owed += fen(row["amount_owed"])
		s.excess += fen(row["amount_excess"])
		want[k] = s
	}
	for _, total := range report.Totals {
		k := strings.Join([]string{total.Currency, string(total.Outcome), string(total.Cause), total.SubCause}, " ")
		got[k] = sum{total.Rows, total.FollowUp, fen(total.Due.StringFixed(2)), fen(total.Arrived.StringFixed(2)),
			fen(total.Owed.StringFixed(2)), fen(total.Excess.StringFixed(2))}
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(sum{})); diff != "" {
		t.Fatalf("sums of the export (-), totals of the run (+):\n%s\n%s", diff, w)
	}
}

// inbox is a folder for one world, gone when the property ends.
func inbox(t *rapid.T, parent string) (string, func()) {
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		t.Fatalf("make an inbox: %v", err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// deliver puts a night's files into the inbox.
func deliver(t failer, n night, dir string) {
	t.Helper()
	for _, f := range n.files {
		if err := f.write(dir); err != nil {
			t.Fatalf("write %s: %v", f.path(), err)
		}
	}
}

// play runs all nights of a world on an empty database, and returns every night's export.
func (b *bench) play(t failer, w *world, dir string) [][]byte {
	t.Helper()
	b.clear(t)
	var exports [][]byte
	for _, night := range w.nights {
		deliver(t, night, dir)
		b.run(t, w, dir, night.asOf)
		exports = append(exports, b.export(t, w, night.asOf))
	}
	return exports
}

// TestOracle holds that after every night each verdict, with its money, is what the contract says; and that whoever then
// asks in another way is told the same.
func TestOracle(t *testing.T) {
	t.Parallel()
	b, parent := newBench(t), t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, b.zone, wish{})
		b.clear(t)
		dir, remove := inbox(t, parent)
		defer remove()
		var text []byte
		for n, night := range w.nights {
			deliver(t, night, dir)
			report := b.run(t, &w, dir, night.asOf)
			text = b.export(t, &w, night.asOf)
			rows := parseExport(t, text)
			compareWithOracle(t, &w, rows, decideByContract(w.nights[:n+1], night.asOf, b.rules(&w)))
			checkRows(t, b, &w, rows, night.asOf)
			checkTotals(t, &w, report, rows)
			if n == 0 { // later nights tell of what is new in them only
				checkPayouts(t, &w, report, payoutsByContract(w.nights[:1], b.rules(&w)))
			}
		}
		q := questions[uniform(t, "question", len(questions))]
		before := b.state(t)
		q.ask(t, b, &w, dir, text)
		if diff := gocmp.Diff(before, b.state(t)); diff != "" && !q.changes {
			t.Fatalf("%s changed (-before +after):\n%s\n%s", q.what, diff, w)
		}
	})
}

// questions are asked after a world's last night, whose export is text. All but the last two change nothing.
var questions = []struct {
	what    string
	ask     func(t *rapid.T, b *bench, w *world, dir string, text []byte)
	changes bool
}{
	{what: "a second run of the same inbox and as-of, which has nothing to decide", ask: func(t *rapid.T, b *bench, w *world, dir string, text []byte) {
		b.run(t, w, dir, w.last())
		if diff := gocmp.Diff(lines(text), lines(b.export(t, w, w.last()))); diff != "" {
			t.Fatalf("a second run of the same exports (-first +second):\n%s\n%s", diff, w)
		}
	}},
	{what: "what is open decided again", ask: func(t *rapid.T, b *bench, w *world, _ string, text []byte) {
		if _, err := b.job(w).Run(context.Background(), pipeline.Options{Kind: "reconcile", AsOf: w.last()}); err != nil {
			t.Fatalf("reconcile: %v\n%s", err, w)
		}
		if diff := gocmp.Diff(lines(text), lines(b.export(t, w, w.last()))); diff != "" {
			t.Fatalf("what is open, decided again, exports (-first +second):\n%s\n%s", diff, w)
		}
	}},
	{what: "a run with an earlier as-of", ask: func(t *rapid.T, b *bench, w *world, dir string, _ []byte) {
		if report := b.run(t, w, dir, w.last().Add(-48*time.Hour)); report.Stored {
			t.Fatalf("a run with an earlier as-of says that it is stored\n%s", w)
		}
	}},
	{what: "a range that is decided again", ask: func(t *rapid.T, b *bench, w *world, _ string, _ []byte) {
		from := recon.DateOf(w.last(), b.zone).AddDays(-between(t, "range from", 0, 8))
		if _, err := b.job(w).Run(context.Background(), pipeline.Options{Kind: "reconcile", From: from,
			To: from.AddDays(between(t, "range to", 0, 4)), AsOf: w.last()}); err != nil {
			t.Fatalf("reconcile: %v\n%s", err, w)
		}
	}},
	{what: "an export as of another instant", ask: func(t *rapid.T, b *bench, w *world, _ string, _ []byte) {
		at := w.last().Add(time.Duration(between(t, "hours off", -60, 60)) * time.Hour)
		err := b.job(w).At(context.Background(), at, 0, func(q pipeline.Querier) error {
			compareWithOracle(t, w, parseExport(t, b.exportFrom(t, q, w, at)), decideByContract(w.nights, at, b.rules(w)))
			return nil
		})
		if err != nil {
			t.Fatalf("export as of %s: %v\n%s", at, err, w)
		}
	}},
	{what: "the check that derives everything again", ask: func(t *rapid.T, b *bench, w *world, _ string, _ []byte) {
		uncounted := chance(t, "habits are counted from the rows", 50)
		err := postgres.Transact(context.Background(), b.pool, func(tx pgx.Tx) (bool, error) {
			if uncounted {
				if _, err := tx.Exec(context.Background(), `UPDATE file SET habits = NULL`); err != nil {
					return false, err
				}
			}
			report, err := check.Run(context.Background(), tx, match.Rules{AsOf: w.last(), Zone: b.zone, Calendar: calendar.Default(), Acquirers: w.acquirers})
			if err == nil && len(report.Violations) > 0 {
				t.Fatalf("the check finds %v\n%s", report.Violations, w)
			}
			return false, err
		})
		if err != nil {
			t.Fatalf("check: %v\n%s", err, w)
		}
	}},
	// A case that a person resolved reopens only on a new fact: time alone is none.
	{what: "cases that a person resolves", changes: true, ask: func(t *rapid.T, b *bench, w *world, dir string, _ []byte) {
		resolved := map[string]bool{}
		for _, id := range b.dump(t, `SELECT case_id FROM cases WHERE status = 'open' ORDER BY case_id`) {
			if chance(t, "resolved", 50) {
				resolved[id] = true
				if err := cases.Do(context.Background(), b.pool, id, cases.Act{Kind: "resolved", Actor: "clerk", At: w.last()}); err != nil {
					t.Fatalf("resolve a case: %v\n%s", err, w)
				}
			}
		}
		later := w.last().Add(time.Duration(between(t, "days later", 1, 5)) * 24 * time.Hour)
		b.run(t, w, dir, later)
		for _, row := range parseExport(t, b.export(t, w, later)) {
			want := "open"
			if row["needs_follow_up"] != "true" {
				want = "closed"
			} else if resolved[row["case_id"]] {
				want = "resolved"
			}
			if row["case_id"] != "" && row["case_status"] != want {
				t.Fatalf("a case is %s, not %s: %v\n%s", row["case_status"], want, row, w)
			}
		}
	}},
	// What several nights decide, cause and evidence included, is what one night decides that gets all files at once. Only
	// which of two files of one name is held back, and which of two names is shown, depends on the night.
	{what: "all files at once", changes: true, ask: func(t *rapid.T, b *bench, w *world, dir string, text []byte) {
		if w.holds || w.copies {
			return
		}
		b.clear(t)
		b.run(t, w, dir, w.last())
		want := without(numberIncidents(parseExport(t, b.export(t, w, w.last()))), caseColumns...)
		if diff := gocmp.Diff(want, without(numberIncidents(parseExport(t, text)), caseColumns...)); diff != "" {
			t.Fatalf("all at once (-), night by night (+):\n%s\n%s", diff, w)
		}
	}},
}

// checkPayouts holds that a run tells of exactly the payouts that do not tie with their lines.
func checkPayouts(t failer, w *world, report *pipeline.Report, want map[[2]string]string) {
	t.Helper()
	got := map[[2]string]string{}
	for _, p := range report.Payouts {
		got[[2]string{p.Acquirer, p.PayoutID}] = p.Difference.StringFixed(2)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("payouts that do not tie, by the contract (-), by the program (+):\n%s\n%s", diff, w)
	}
}

// The state that a run decides; a run that has nothing new to decide leaves it as it is.
var decided = []string{
	`SELECT v::text FROM decided AS v ORDER BY order_key, episode`,
	`SELECT x::text FROM explanation AS x ORDER BY order_key, episode`,
	`SELECT i::text FROM incident AS i ORDER BY incident_id, as_of`,
	`SELECT m::text FROM pos_merged AS m ORDER BY order_key, episode`,
	`SELECT m::text FROM settlement_merged AS m ORDER BY order_key, episode`,
	`SELECT s::text FROM standing_line AS s ORDER BY order_key, file_id, line`,
	`SELECT c::text FROM cases AS c ORDER BY case_id`,
	`SELECT e::text FROM case_event AS e ORDER BY case_id, seq`,
	`SELECT f::text FROM file AS f ORDER BY file_id`,
}

func (b *bench) state(t failer) []string {
	t.Helper()
	var all []string
	for _, sql := range decided {
		all = append(all, b.dump(t, sql)...)
	}
	return all
}

// caseColumns tell of a case's history, which depends on the runs there were.
var caseColumns = []string{"case_id", "case_status", "assignee"}

// TestOrder holds that it does not matter in which order the files of a night arrive: one by one in any order, or all
// at once, gives the same bytes.
func TestOrder(t *testing.T) {
	t.Parallel()
	b, parent := newBench(t), t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		// Which of two files of one name is held back is a matter of which came first, by its very nature; and once a run
		// has told of a file, it keeps the name that it then had.
		severalRuns := chance(t, "several runs", 40)
		w := drawWorld(t, b.zone, wish{nights: 2, noHolds: true, noCopies: severalRuns})
		dir, remove := inbox(t, parent)
		defer remove()
		want := b.play(t, &w, dir)

		again, removeAgain := inbox(t, parent)
		defer removeAgain()
		b.clear(t)
		for n, night := range w.nights {
			for _, i := range rapid.Permutation(indices(len(night.files))).Draw(t, "order of arrival") {
				f := night.files[i]
				if err := f.write(again); err != nil {
					t.Fatalf("write %s: %v", f.path(), err)
				}
				if _, err := b.job(&w).Ingest(context.Background(), pipeline.Options{Inbox: []string{filepath.Join(again, f.path())}}); err != nil {
					t.Fatalf("ingest %s: %v", f.path(), err)
				}
				if severalRuns && chance(t, "a run between two files", 30) {
					b.run(t, &w, again, night.asOf)
				}
			}
			b.run(t, &w, again, night.asOf)
			got := b.export(t, &w, night.asOf)
			if !severalRuns {
				if diff := gocmp.Diff(lines(want[n]), lines(got)); diff != "" {
					t.Fatalf("night %d at once (-), one by one (+):\n%s\n%s", n+1, diff, w)
				}
				continue
			}
			// With a run between two files a case may have opened and closed again.
			if diff := gocmp.Diff(without(numberIncidents(parseExport(t, want[n])), caseColumns...), without(numberIncidents(parseExport(t, got)), caseColumns...)); diff != "" {
				t.Fatalf("night %d at once (-), over several runs (+):\n%s\n%s", n+1, diff, w)
			}
		}
	})
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func lines(text []byte) []string { return strings.Split(string(text), "\r\n") }

// TestSplit holds that it does not matter how an acquirer cuts its day into files: further files add.
func TestSplit(t *testing.T) {
	t.Parallel()
	b, parent := newBench(t), t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t, b.zone, wish{nights: 2, noHolds: true, noCopies: true, noReplaces: true, dated: true})
		dir, remove := inbox(t, parent)
		defer remove()
		want := b.play(t, &w, dir)

		split := w
		split.nights = nil
		for _, n := range w.nights {
			split.nights = append(split.nights, night{n.asOf, slices.Clone(n.files)})
		}
		cut := map[string]bool{} // columns of which a half has nothing: evidence of nothing then
		for n, whole := range w.nights {
			for _, f := range whole.files {
				if stated := f.date != "" || f.exportedAt != ""; !stated || f.rows() < 2 || !chance(t, "split", 50) {
					continue
				}
				first, second := halves(f, between(t, "cut", 1, f.rows()-1), split)
				for _, column := range emptied(f, first, second) {
					cut[column] = true
				}
				files := slices.DeleteFunc(split.nights[n].files, func(g worldFile) bool { return g.path() == f.path() })
				split.nights[n].files = append(files, first, second)
			}
		}
		other, removeOther := inbox(t, parent)
		defer removeOther()
		got := b.play(t, &split, other)
		ignored := []string{"source_file", "source_line", "settle_source_file", "settle_source_line", "evidence", "counter_evidence"}
		if cut["response_code"] || cut["channel_txn_id"] {
			// Whether a log has codes and channel transaction ids at all is evidence for a cause.
			ignored = append(ignored, "cause", "sub_cause", "confidence", "certainty", "incident_id", "recommended_action", "contact",
				"needs_follow_up", "case_id", "case_status")
		}
		for n := range want {
			if diff := gocmp.Diff(without(parseExport(t, want[n]), ignored...), without(parseExport(t, got[n]), ignored...)); diff != "" {
				t.Fatalf("night %d, whole (-), split (+):\n%s\nwhole: %s\nsplit: %s", n+1, diff, w, split)
			}
		}
	})
}

// halves cuts a file in two of the same metadata. Of files of one date the larger SHA-256 is the newer one, so the halves
// get a remark that puts them where the whole stood among the world's files, the second half after the first.
func halves(f worldFile, at int, w world) (first, second worldFile) {
	first, second = f, f
	switch f.kind {
	case recon.KindPOSLog:
		first.pos, second.pos = f.pos[:at], f.pos[at:]
	case recon.KindSettlement:
		first.settlement, second.settlement = f.settlement[:at], f.settlement[at:]
	case recon.KindPayout:
		first.payout, second.payout = f.payout[:at], f.payout[at:]
	}
	first.name, second.name = "first-of-"+f.name, "second-of-"+f.name
	low, whole, high := "", f.sha(), "g"
	for _, n := range w.nights {
		for _, g := range n.files {
			sha := g.sha()
			if g.kind == f.kind && sha < whole && sha > low {
				low = sha
			}
			if g.kind == f.kind && sha > whole && sha < high {
				high = sha
			}
		}
	}
	tried := 0
	place := func() {
		for first.note = fmt.Sprint(tried); low >= first.sha() || first.sha() >= high; first.note = fmt.Sprint(tried) {
			tried++
		}
		tried++
	}
	place()
	for n := 0; ; n++ {
		if second.note = fmt.Sprint(n); first.sha() < second.sha() && second.sha() < high {
			return first, second
		}
		if n%1000 == 999 { // the first half may have landed just below the next file
			place()
		}
	}
}

// emptied names the columns of a POS log that have values, but none in one of the halves.
func emptied(whole, first, second worldFile) []string {
	var list []string
	for name, column := range map[string]func(posRow) string{
		"response_code":  func(r posRow) string { return r.code },
		"channel_txn_id": func(r posRow) string { return r.txn },
	} {
		has := func(f worldFile) bool {
			return slices.ContainsFunc(f.pos, func(r posRow) bool { return column(r) != "" && !r.bad })
		}
		if has(whole) && (!has(first) || !has(second)) {
			list = append(list, name)
		}
	}
	return list
}
