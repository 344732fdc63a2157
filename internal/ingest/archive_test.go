package ingest_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/ingest"
)

// member is a member of a zip that a test makes.
type member struct{ name, text string }

func zipped(t *testing.T, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err == nil {
			_, err = f.Write([]byte(m.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func settlement(order string) string {
	return "# acquirer: lakala\n" + settlementHeader + order + ",M1,1.00,2026-11-03,SETTLED,SALE,\n"
}

// Members of one name are files of one name: the first is loaded, the others wait for a word.
func TestMembersOfOneName(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte(settlement("A2"))); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	in.write(t, "day.zip", zipped(t, member{"bill.csv", settlement("A1")}, member{"bill.csv.gz", packed.String()}, member{"bill.csv", settlement("A3")}))
	load := func() (got []string) {
		report, err := ingest.Paths(t.Context(), in.pool, []string{in.dir}, in.opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range report.Files {
			got = append(got, fmt.Sprint(f.State, " ", f.Path == in.path("day.zip!bill.csv")))
		}
		in.nothingLost(t)
		return got
	}
	if diff := cmp.Diff([]string{"loaded true", "held true", "held true"}, load()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"known true", "waiting true", "waiting true"}, load()); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
	in.opt.Further = ingest.FurtherAdd
	if diff := cmp.Diff([]string{"known true", "loaded true", "loaded true"}, load()); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"A1", "A2", "A3"}, in.query(t, `SELECT order_id FROM settlement_row ORDER BY order_id`)); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
}

// Archives within an archive are unpacked once for all, and not once for each: three hundred took two minutes. Nothing of them
// is left on disk.
func TestManyArchivesInOne(t *testing.T) {
	in := newInbox(t)
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var days []member
	for i := range 300 {
		days = append(days, member{fmt.Sprintf("day%03d.zip", i), zipped(t, member{fmt.Sprintf("bill%03d.csv", i), settlement(fmt.Sprintf("A%03d", i))})})
	}
	in.write(t, "year.zip", zipped(t, days...))
	began := time.Now()
	files := in.load(t)
	if f := files["year.zip!day299.zip!bill299.csv"]; len(files) != 300 || f.State != ingest.Loaded {
		t.Errorf("%d files, the last %+v", len(files), f)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// More archives than are kept open at once, each of several documents whose names interleave, are all read.
func TestManyArchives(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	for i := range 40 {
		inner := zipped(t, member{"b.csv", settlement(fmt.Sprintf("B%d", i))})
		in.write(t, fmt.Sprintf("%02d.zip", i), zipped(t, member{"a.csv", settlement(fmt.Sprintf("A%d", i))}, member{"in.zip", inner}))
	}
	in.opt.Further = ingest.FurtherAdd
	for name, f := range in.load(t) {
		if f.State != ingest.Loaded {
			t.Errorf("%s is %s: %s", name, f.State, f.Reason)
		}
	}
	if got := in.query(t, `SELECT count(DISTINCT order_id)::text FROM settlement_row`); got[0] != "80" {
		t.Errorf("%s orders", got[0])
	}
}
