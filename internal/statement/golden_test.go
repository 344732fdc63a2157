package statement

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the .want files")

const goldenDir = "../../testdata/statement"

// TestGolden reads each sample and compares with the .want beside it, one JSON document per record. The casebook-*
// samples are files as sources send them; the others are named for what is wrong with them.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, path := range samples(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := readAll(bytes.NewReader(data)).describe()
			wantPath := strings.TrimSuffix(path, ".csv") + ".want"
			if *update {
				if err := os.WriteFile(wantPath, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantPath)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// samples lists the samples; a .want without its sample is an error.
func samples(t testing.TB) []string {
	t.Helper()
	inputs, err := filepath.Glob(filepath.Join(goldenDir, "*.csv"))
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no samples in %s: %v", goldenDir, err)
	}
	wants, err := filepath.Glob(filepath.Join(goldenDir, "*.want"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range wants {
		if _, err := os.Stat(strings.TrimSuffix(want, ".want") + ".csv"); err != nil {
			t.Errorf("%s has no sample: %v", want, err)
		}
	}
	return inputs
}

// TestCasebookTies: what the sources state is what we read.
func TestCasebookTies(t *testing.T) {
	t.Parallel()
	for _, path := range samples(t) {
		if !strings.HasPrefix(filepath.Base(path), "casebook-settlement") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		res := readAll(bytes.NewReader(data))
		if res.Err != nil || res.Totals.Count == nil || res.Totals.Amount == nil {
			t.Fatalf("%s: %v, totals %v", path, res.Err, fields(res.Totals))
		}
		if int64(res.Seen.Count) != *res.Totals.Count || !res.Seen.Amount.Equal(*res.Totals.Amount) {
			t.Errorf("%s: read %v, stated %v", path, fields(res.Seen), fields(res.Totals))
		}
	}
}
