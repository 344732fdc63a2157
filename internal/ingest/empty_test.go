package ingest_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/ingest"
)

// That two acquirers had nothing to settle on a day are two facts, though the files that say so are the same bytes: each counts for
// the acquirer of its folder, in whatever order they come. Any other file is its bytes, wherever it lies.
func TestEmptyFiles(t *testing.T) {
	t.Parallel()
	const (
		head  = "# settle_date: 2026-11-03\n"
		lines = "order_id,merchant_id,amount,settle_date,status\n"
	)
	for _, tt := range []struct {
		why, text string
		came      []string // the files in the order in which they come, each with a load of its own
		states    map[string]ingest.State
		owners    []string // of the files in the register
	}{
		{"the same nothing of two acquirers", head + lines, []string{"chinaums/settlement.csv", "lakala/settlement.csv"},
			map[string]ingest.State{"chinaums/settlement.csv": ingest.Known, "lakala/settlement.csv": ingest.Loaded}, []string{"chinaums", "lakala"}},
		{"the other way round", head + lines, []string{"lakala/settlement.csv", "chinaums/settlement.csv"},
			map[string]ingest.State{"chinaums/settlement.csv": ingest.Loaded, "lakala/settlement.csv": ingest.Known}, []string{"chinaums", "lakala"}},
		{"both at once", head + lines, []string{"", "chinaums/settlement.csv", "lakala/settlement.csv"},
			map[string]ingest.State{"chinaums/settlement.csv": ingest.Loaded, "lakala/settlement.csv": ingest.Loaded}, []string{"chinaums", "lakala"}},
		{"under two names in one folder it is one file", head + lines, []string{"lakala/a.csv", "lakala/b.csv"},
			map[string]ingest.State{"lakala/a.csv": ingest.Known, "lakala/b.csv": ingest.Known}, []string{"lakala"}},
		{"what names its acquirer is that one's everywhere", "# acquirer: lakala\n" + head + lines, []string{"chinaums/settlement.csv", "lakala/settlement.csv"},
			map[string]ingest.State{"chinaums/settlement.csv": ingest.Known, "lakala/settlement.csv": ingest.Known}, []string{"lakala"}},
		{"a line cannot be of two orders", head + lines + "O1,M1,1.00,2026-11-03,SETTLED\n", []string{"chinaums/settlement.csv", "lakala/settlement.csv"},
			map[string]ingest.State{"chinaums/settlement.csv": ingest.Known, "lakala/settlement.csv": ingest.Known}, []string{"chinaums"}},
	} {
		t.Run(tt.why, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t)
			got := map[string]ingest.State{}
			load := func() {
				for name, f := range in.load(t) {
					got[name] = f.State
				}
			}
			atOnce := tt.came[0] == ""
			for _, name := range tt.came {
				if name != "" {
					in.write(t, name, tt.text)
				}
				if !atOnce {
					load()
				}
			}
			if atOnce {
				load()
			}
			if diff := gocmp.Diff(tt.states, got); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
			const owners = `SELECT acquirer FROM file WHERE state = 'loaded' ORDER BY acquirer`
			if diff := gocmp.Diff(tt.owners, in.query(t, owners)); diff != "" {
				t.Errorf("acquirers (-want +got):\n%s", diff)
			}
			for _, in.opt.Rehash = range []bool{false, true} {
				for name, f := range in.load(t) {
					if f.State != ingest.Known {
						t.Errorf("%s is %s when it is offered again, hashed anew: %v", name, f.State, in.opt.Rehash)
					}
				}
			}
			if diff := gocmp.Diff(tt.owners, in.query(t, owners)); diff != "" {
				t.Errorf("acquirers after the same files again (-want +got):\n%s", diff)
			}
		})
	}
}

// A database in which one of the two was taken for the other, and remembers where both lay, gets what it lacks.
func TestEmptyFilesOfBefore(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	const text = "# settle_date: 2026-11-03\norder_id,merchant_id,amount,settle_date,status\n"
	in.write(t, "chinaums/settlement.csv", text)
	in.load(t)
	in.write(t, "lakala/settlement.csv", text)
	settle()
	in.load(t)
	if _, err := in.pool.Exec(t.Context(), `DELETE FROM file WHERE acquirer = 'lakala'`); err != nil {
		t.Fatal(err)
	}
	tag, err := in.pool.Exec(t.Context(), `UPDATE known_place SET sha256 = (SELECT sha256 FROM file)`)
	if err != nil || tag.RowsAffected() != 2 {
		t.Fatalf("%d places are known, %v", tag.RowsAffected(), err)
	}
	for _, want := range []ingest.State{ingest.Loaded, ingest.Known} {
		if f := in.load(t)["lakala/settlement.csv"]; f.State != want || f.Acquirer != "lakala" {
			t.Errorf("%s: %+v", want, f)
		}
	}
}
