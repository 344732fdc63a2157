//go:build !citus

package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/cases"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/retention"
	"github.com/posrecon/posrecon/internal/simulate"
	"github.com/posrecon/posrecon/migrations"
)

// year is a world of nine months in a few nights, with its databases.
type year struct {
	world  *world
	nights []string // inboxes
	asOf   []time.Time
}

// newYear simulates it. The lines of one acquirer have no time, so that each of them is dated by its settle date: at the change of
// month they lie in another month than their orders.
func newYear(t *testing.T) year {
	t.Helper()
	zone := shanghai(t)
	dir := t.TempDir()
	opt := simulate.Options{
		Seed: 7, Start: recon.NewDate(2026, 3, 2), OrdersPerDay: 12, Merchants: 8, Base: simulate.Usual,
		NightDays: []recon.Date{recon.NewDate(2026, 3, 26), recon.NewDate(2026, 5, 6), recon.NewDate(2026, 7, 2), recon.NewDate(2026, 9, 3),
			recon.NewDate(2026, 11, 2), recon.NewDate(2026, 11, 3)},
	}
	if _, err := simulate.Write(t.Context(), dir, opt); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && strings.Contains(path, "shengpay") && strings.Contains(filepath.Base(path), "settlement") {
			err = withoutTimes(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	y := year{world: &world{acquirers: recon.Acquirers{}}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if inbox := filepath.Join(dir, e.Name(), "inbox"); e.IsDir() {
			y.nights = append(y.nights, inbox)
		}
	}
	for _, d := range opt.NightDays {
		y.asOf = append(y.asOf, d.At(12*time.Hour, zone))
	}
	if len(y.nights) != len(y.asOf) {
		t.Fatalf("%d inboxes for %d nights", len(y.nights), len(y.asOf))
	}
	return y
}

// withoutTimes renames the column of times, so that nobody reads it.
func withoutTimes(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte("txn_time")) {
		return errors.New(path + " has no times")
	}
	return os.WriteFile(path, bytes.Replace(text, []byte("txn_time"), []byte("seen_by"), 1), 0o644)
}

func (y *year) night(t *testing.T, b *bench, n int) {
	t.Helper()
	b.run(t, y.world, y.nights[n], y.asOf[n])
}

// decisions returns what an export says of each order from a business date on, without what it is explained by.
func decisions(t *testing.T, b *bench, w *world, asOf time.Time, from string) []string {
	t.Helper()
	var kept []map[string]string
	for _, row := range parseExport(t, b.export(t, w, asOf)) {
		if row["business_date"] >= from {
			kept = append(kept, row)
		}
	}
	return without(kept)
}

// resolveBefore resolves every open case of orders before a date, but for so many.
func (b *bench) resolveBefore(t *testing.T, before string, but int, at time.Time) {
	t.Helper()
	ids := b.dump(t, `
		SELECT k.case_id
		  FROM cases AS k
		  JOIN verdict AS v USING (order_key, episode)
		 WHERE k.status = 'open'
		   AND v.business_date < DATE '`+before+`'
		 ORDER BY k.case_id`)
	if len(ids) < but {
		t.Fatalf("%d open cases before %s", len(ids), before)
	}
	for _, id := range ids[but:] {
		if err := cases.Do(t.Context(), b.pool, id, cases.Act{Kind: "resolved", Actor: "li", Note: "paid by hand", At: at}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRetention archives months of one of two databases that are alike, goes on with both, and brings the months back: what is
// kept is decided alike all the time, and in the end the exports are the same bytes.
func TestRetention(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	plain, lean := newBench(t), newBench(t)
	last := len(y.nights) - 1
	for n := range last {
		y.night(t, plain, n)
		y.night(t, lean, n)
	}
	const before, kept = "2026-05-01", "2026-05-01"
	for _, b := range []*bench{plain, lean} {
		b.resolveBefore(t, before, 2, y.asOf[last-1])
	}
	lean.clean(t, "before", y.asOf[last-1])
	archive := func(evenOpen bool) *retention.Report {
		t.Helper()
		report, err := retention.Archive(t.Context(), lean.pool, retention.Options{Before: recon.NewDate(2026, 5, 6), EvenOpen: evenOpen})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}

	// The two open cases keep their months, and those after them.
	report := archive(false)
	if len(report.Kept) == 0 || !strings.Contains(report.Kept[0].Reason, "open cases") {
		t.Errorf("open cases kept nothing: %+v", report)
	}
	lean.clean(t, "with months kept", y.asOf[last-1])
	report = archive(true)
	t.Logf("archived: %+v", report.Archived)
	if n := lean.dump(t, `SELECT to_char(month, 'YYYY-MM') FROM archive.month ORDER BY 1`); gocmp.Diff(n, []string{"2026-03", "2026-04"}) != "" {
		t.Fatalf("archived %v, %+v", n, report)
	}
	for _, table := range []string{"pos_row", "settlement_row", "verdict", "explanation", "plain_match"} {
		if n := lean.dump(t, `SELECT 'x' FROM archive.`+table+` LIMIT 1`); len(n) == 0 {
			t.Errorf("archive.%s is empty", table)
		}
	}
	// Lines without a time tie the last days of April to May; the two open orders stay.
	stays := lean.dump(t, `SELECT DISTINCT to_char(business_date, 'YYYY-MM-DD') FROM pos_row WHERE business_date < '`+before+`' ORDER BY 1`)
	if len(stays) == 0 || len(stays) > 8 {
		t.Errorf("live rows before May are of %v", stays)
	}
	if n := lean.dump(t, `SELECT case_id FROM cases JOIN verdict USING (order_key, episode) WHERE status = 'open' AND business_date < '`+before+`'`); len(n) != 2 {
		t.Errorf("open cases of archived months: %v", n)
	}
	lean.clean(t, "after archiving", y.asOf[last-1])
	if again := archive(true); len(again.Archived)+len(again.Kept) > 0 {
		t.Errorf("a second time: %+v", again)
	}

	same := func(when string, asOf time.Time) {
		t.Helper()
		lean.clean(t, when, asOf)
		if diff := gocmp.Diff(decisions(t, plain, y.world, asOf, kept), decisions(t, lean, y.world, asOf, kept)); diff != "" {
			t.Errorf("%s what is kept is decided otherwise (-never archived +archived):\n%s", when, diff)
		}
		unresolved := `SELECT concat_ws(' ', case_id, status, assignee) FROM cases ORDER BY 1`
		if diff := gocmp.Diff(plain.dump(t, unresolved), lean.dump(t, unresolved)); diff != "" {
			t.Errorf("%s cases differ (-never archived +archived):\n%s", when, diff)
		}
	}
	same("after archiving", y.asOf[last-1])
	for _, b := range []*bench{plain, lean} {
		b.run(t, y.world, t.TempDir(), y.asOf[last-1])
	}
	same("after the same night again", y.asOf[last-1])
	y.night(t, plain, last)
	y.night(t, lean, last)
	same("after another night", y.asOf[last])

	// A log of April that comes again, late, brings its orders back; they go again once it is decided.
	again := t.TempDir()
	logs := plain.dump(t, `SELECT name FROM file WHERE kind = 'pos_log' AND first_date >= '2026-04-10' AND last_date < '2026-04-25' ORDER BY name LIMIT 1`)
	if len(logs) != 1 {
		t.Fatal("no log of April")
	}
	found := ""
	for _, inbox := range y.nights {
		if matches, _ := filepath.Glob(filepath.Join(inbox, logs[0])); len(matches) == 1 {
			found = matches[0]
		}
	}
	text, err := os.ReadFile(found)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(again, "again.csv"), append([]byte("# note: once more\n"), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*bench{plain, lean} {
		b.run(t, y.world, again, y.asOf[last].Add(time.Hour))
	}
	same("after a late log", y.asOf[last].Add(time.Hour))
	if n := lean.dump(t, `SELECT order_id FROM pos_row JOIN file USING (file_id) WHERE name = 'again.csv'
		EXCEPT
		SELECT order_id FROM pos_row JOIN file USING (file_id) WHERE name = '`+logs[0]+`'`); len(n) > 0 {
		t.Errorf("orders of the late log are live without their first rows: %v", n)
	}
	archive(true)
	if n := lean.dump(t, `SELECT order_id FROM pos_row JOIN file USING (file_id) WHERE name = 'again.csv' AND order_key NOT IN (SELECT order_key FROM cases WHERE status = 'open')`); len(n) > 0 {
		t.Errorf("the late log's orders did not go: %v", n)
	}
	same("after archiving the late log", y.asOf[last].Add(time.Hour))

	// Back: April first, then all.
	for _, month := range []recon.Date{recon.NewDate(2026, 4, 1), recon.NewDate(2026, 3, 1)} {
		if _, err := retention.Restore(t.Context(), lean.pool, month, 0); err != nil {
			t.Fatal(err)
		}
		lean.clean(t, "after restoring "+month.String(), y.asOf[last].Add(time.Hour))
	}
	end := y.asOf[last].Add(2 * time.Hour)
	empty := t.TempDir()
	for _, b := range []*bench{plain, lean} {
		b.run(t, y.world, empty, end)
		b.clean(t, "in the end", end)
	}
	if want, got := plain.export(t, y.world, end), lean.export(t, y.world, end); !bytes.Equal(want, got) {
		t.Errorf("the exports differ in the end (-never archived +restored):\n%s",
			gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
	}
	for _, sql := range []string{
		`SELECT count(*)::text FROM archive.pos_row`,
		`SELECT sum(rows_archived)::text FROM file`,
		`SELECT (SELECT count(*) FROM archive.verdict)::text`,
	} {
		if n := lean.dump(t, sql); n[0] != "0" {
			t.Errorf("%s: %v", sql, n)
		}
	}
}

// A month whose tables are in use moves not at all, and says so.
func TestRetentionInUse(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	b := newBench(t)
	y.night(t, b, 0)
	b.resolveBefore(t, "2027-01-01", 0, y.asOf[0])
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	if _, err := tx.Exec(t.Context(), `SELECT count(*) FROM pos_row`); err != nil {
		t.Fatal(err)
	}
	_, err = retention.Archive(t.Context(), b.pool, retention.Options{Before: recon.NewDate(2026, 12, 1), EvenOpen: true})
	if !errors.Is(err, retention.ErrInUse) {
		t.Errorf("%v, want that the tables are in use", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.clean(t, "after a failure", y.asOf[0])
	if n := b.dump(t, `SELECT month::text FROM archive.month`); len(n) > 0 {
		t.Errorf("archived %v", n)
	}
	// While another run holds the lock nothing is tried.
	release, err := postgres.Lock(t.Context(), b.pool, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, err = retention.Archive(t.Context(), b.pool, retention.Options{Before: recon.NewDate(2026, 12, 1)}); !errors.Is(err, postgres.ErrLocked) {
		t.Errorf("%v, want that another run holds the lock", err)
	}
}

// A schema that is taken back has all rows live again, and the next run decides them.
func TestRetentionMigratedAway(t *testing.T) {
	t.Parallel()
	y := newYear(t)
	b := newBench(t)
	for n := range 2 {
		y.night(t, b, n)
	}
	want := b.dump(t, `SELECT concat_ws(' ', (SELECT count(*) FROM pos_row), (SELECT count(*) FROM settlement_row))`)
	before := b.export(t, y.world, y.asOf[1])
	report, err := retention.Archive(t.Context(), b.pool, retention.Options{Before: recon.NewDate(2026, 5, 1), EvenOpen: true})
	if err != nil || len(report.Archived) != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	files, err := fs.Glob(migrations.FS, "*_keep_an_archive.up.sql")
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	archiveVersion, err := strconv.ParseUint(files[0][:6], 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	url := b.pool.Config().ConnString()
	for version, _, err := postgres.MigrateVersion(t.Context(), url); uint64(version) >= archiveVersion; version, _, err = postgres.MigrateVersion(t.Context(), url) {
		if err != nil {
			t.Fatal(err)
		}
		if err := postgres.MigrateDown(t.Context(), url, 1); err != nil {
			t.Fatal(err)
		}
	}
	b.pool.Reset() // what the connections had prepared is of other tables
	got := b.dump(t, `SELECT concat_ws(' ', (SELECT count(*) FROM pos_row), (SELECT count(*) FROM settlement_row))`)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	if err := postgres.MigrateUp(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	b.pool.Reset()
	b.run(t, y.world, t.TempDir(), y.asOf[1])
	b.clean(t, "after all", y.asOf[1])
	if diff := gocmp.Diff(strings.Split(string(before), "\n"), strings.Split(string(b.export(t, y.world, y.asOf[1])), "\n")); diff != "" {
		t.Errorf("the export (-before +after):\n%s", diff)
	}
}

// An open order that stays behind of an archived month follows a settlement cycle that has changed, though nothing else of its
// acquirer is there to tell of it.
func TestWhatStaysBehindFollowsTheCycle(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos-1.csv", posHead+
		"A,lakala,M1,wechat,10.00,SUCCESS,2026-03-09T12:00:00+08:00\n"+
		"B,lakala,M1,wechat,20.00,SUCCESS,2026-03-09T12:00:00+08:00\n",
		"settlement-1.csv", lineHead+"B,M1,20.00,0.04,2026-03-10,SETTLED\n")
	c.night("2026-03-10 12:00")
	if _, err := retention.Archive(t.Context(), c.b.pool, retention.Options{Before: recon.NewDate(2026, 11, 1), EvenOpen: true}); err != nil {
		t.Fatal(err)
	}
	moved := recon.DefaultAcquirer("lakala")
	moved.Cycle.Days = 3
	c.job.Config.Acquirers["lakala"] = moved
	c.night("2026-03-17 12:00")
	c.holds("2026-03-17 12:00", "after the cycle changed")
}
