package ingest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/profile"
)

// settle waits until a change of the files from here on shows in their times.
func settle() { time.Sleep(2*time.Second + 50*time.Millisecond) }

// mark makes what is remembered of all places a lie: a file that is not read again is then taken for other bytes, which
// are loaded too.
func (in *inbox) mark(t *testing.T) (marked string) {
	t.Helper()
	const other = "order_id,merchant_id,amount,settle_date,status,type,acquirer\nZ1,M1,1.00,2026-11-03,SETTLED,SALE,leshua\n"
	sum := sha256.Sum256([]byte(other))
	marked = hex.EncodeToString(sum[:])
	if len(in.query(t, `SELECT sha256 FROM file WHERE sha256 = $1`, marked)) == 0 {
		elsewhere := filepath.Join(t.TempDir(), "other.csv")
		must(t, os.WriteFile(elsewhere, []byte(other), 0o644))
		report, err := ingest.Paths(t.Context(), in.pool, []string{elsewhere}, in.opt)
		if err != nil || report.Count(ingest.Loaded) != 1 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	in.query(t, `UPDATE known_place SET sha256 = $1 WHERE path <> ''`, marked)
	return marked
}

// A file that lies as it did when it was read is not read again; every way in which it may have become another shows.
func TestKnownPlaces(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, in *inbox)
		read   bool
	}{
		"nothing has changed":      {func(*testing.T, *inbox) {}, false},
		"everything is to be read": {func(_ *testing.T, in *inbox) { in.opt.Rehash = true }, true},
		"other bytes, of the same size and time": {func(t *testing.T, in *inbox) {
			info, err := os.Stat(in.path("a/pos.csv"))
			must(t, err)
			must(t, os.WriteFile(in.path("a/pos.csv"), []byte(posLog("B", "2026-11-02", 3)), 0o644))
			must(t, os.Chtimes(in.path("a/pos.csv"), time.Time{}, info.ModTime()))
		}, true},
		"another file in its place, of the same size and time": {func(t *testing.T, in *inbox) {
			info, err := os.Stat(in.path("a/pos.csv"))
			must(t, err)
			must(t, os.WriteFile(in.path("a/pos.csv.tmp"), []byte(posLog("B", "2026-11-02", 3)), 0o644))
			must(t, os.Chtimes(in.path("a/pos.csv.tmp"), time.Time{}, info.ModTime()))
			must(t, os.Rename(in.path("a/pos.csv.tmp"), in.path("a/pos.csv")))
		}, true},
		"a profile is added": {func(t *testing.T, in *inbox) {
			in.opt.Profiles = []*profile.Profile{parseProfile(t, ownProfile)}
		}, true},
		"it was read by an older program": {func(t *testing.T, in *inbox) {
			in.query(t, `UPDATE known_place SET read_by = 'before'`)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t)
			in.write(t, "a/pos.csv", posLog("A", "2026-11-02", 3))
			settle()
			if f := in.load(t)["a/pos.csv"]; f.State != ingest.Loaded {
				t.Fatalf("it is %s: %s", f.State, f.Reason)
			}
			marked := in.mark(t)
			tt.change(t, in)
			f := in.load(t)["a/pos.csv"]
			if read := f.SHA256 != marked; read != tt.read {
				t.Errorf("it was read: %v; it is %s: %s", read, f.State, f.Reason)
			}
			if !tt.read && f.State != ingest.Known {
				t.Errorf("it is %s: %s", f.State, f.Reason)
			}
		})
	}
}

// A file that was just written is not trusted: it may be written to once more within one step of its clock.
func TestFreshFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	in.write(t, "pos.csv", posLog("A", "2026-11-02", 3))
	must(t, os.Chtimes(in.path("pos.csv"), time.Time{}, time.Now().Add(-time.Hour))) // its time of change is now
	in.load(t)
	if kept := in.query(t, `SELECT convert_from(path, 'UTF8') FROM known_place`); len(kept) > 0 {
		t.Errorf("the places %v are known", kept)
	}
	settle()
	in.load(t)
	if kept := in.query(t, `SELECT convert_from(path, 'UTF8') FROM known_place`); len(kept) != 1 || kept[0] != in.path("pos.csv") {
		t.Errorf("the places %v are known", kept)
	}
}

// What was recalled is treated as what was read: names are noted, waiting files wait and load when they may, archives are
// known by all that they hold, and what no longer lies there is forgotten.
func TestRecalledFiles(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	in.write(t, "a/pos.csv", posLog("A", "2026-11-02", 3))
	in.write(t, "b/pos.csv", posLog("B", "2026-11-02", 2)) // of the same name: held back
	in.write(t, "a0/store.csv", posLog("S", "2026-11-02", 1))
	in.write(t, "day.zip", zipped(t, member{"one.csv", settlement("A1")}, member{"two/other.csv", strings.Replace(settlement("A2"), "2026-11-03", "2026-11-04", 1)}))
	in.write(t, "bad.zip", "PK\x03\x04 cut off")
	in.write(t, "note.txt", "no table\n")
	in.write(t, "\xb6\xd4.csv", "order_id,merchant_id\nA,B\n") // GBK
	settle()
	first := in.load(t)
	places := in.query(t, `SELECT encode(path, 'escape') || ' ' || document FROM known_place ORDER BY path, part`)
	if len(places) != 7 { // the damaged archive is read each time
		t.Errorf("the places %q are known", places)
	}
	again := in.load(t)
	for name, f := range again {
		want := ingest.Known
		if first[name].State == ingest.Held || first[name].State == ingest.Refused {
			want = ingest.Waiting
		}
		if f.State != want || f.SHA256 != first[name].SHA256 {
			t.Errorf("%s is %s (%s), was %s", name, f.State, f.Reason, first[name].State)
		}
	}
	if len(again) != len(first) || again["day.zip!two/other.csv"].State != ingest.Known {
		t.Errorf("files: %v", again)
	}

	must(t, os.Rename(in.path("day.zip"), in.path("renamed.zip")))
	must(t, os.Remove(in.path("note.txt")))
	in.opt.Further = ingest.FurtherAdd
	files := in.load(t)
	if f := files["b/pos.csv"]; f.State != ingest.Loaded || f.Rows != 2 {
		t.Errorf("the one that was held back is %s: %s", f.State, f.Reason)
	}
	if f := files["renamed.zip!one.csv"]; f.State != ingest.Known {
		t.Errorf("what lies elsewhere is %s: %s", f.State, f.Reason)
	}
	for _, path := range in.query(t, `SELECT encode(path, 'escape') FROM known_place`) {
		if strings.HasSuffix(path, "day.zip") || strings.HasSuffix(path, "note.txt") {
			t.Errorf("%s is still known", path)
		}
	}

	// What lies beside a folder is no concern of a load of that folder.
	before := in.query(t, `SELECT encode(path, 'escape') FROM known_place`)
	must(t, os.Remove(in.path("a/pos.csv")))
	if _, err := ingest.Paths(t.Context(), in.pool, []string{in.path("a")}, in.opt); err != nil {
		t.Fatal(err)
	}
	if after := in.query(t, `SELECT encode(path, 'escape') FROM known_place`); len(after) != len(before)-1 {
		t.Errorf("known are %q, were %q", after, before)
	}
}
