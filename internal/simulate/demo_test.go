package simulate

import (
	"bytes"
	"context"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/testdata/demo"
)

var update = flag.Bool("update", false, "write testdata/demo anew")

// TestDemoShipped holds that the shipped world is what Demo makes, to the byte. -update writes it.
func TestDemoShipped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Write(context.Background(), dir, Demo()); err != nil {
		t.Fatal(err)
	}
	made := readTree(t, os.DirFS(dir))
	const shipped = "../../testdata/demo"
	if *update {
		for _, night := range []string{"01", "02", "03", "04"} {
			if err := os.RemoveAll(filepath.Join(shipped, night)); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(shipped, night), os.DirFS(filepath.Join(dir, night))); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	want := readTree(t, demo.FS)
	total := 0
	for path, data := range made {
		total += len(data)
		if !bytes.Equal(want[path], data) {
			t.Errorf("%s differs from what Demo makes; run go test ./internal/simulate -update and review the difference", path)
		}
		delete(want, path)
	}
	for path := range want {
		t.Errorf("%s is shipped, and Demo does not make it", path)
	}
	if total > 2_000_000 {
		t.Errorf("the demo has %d bytes; it ships in the program and stays below 2 MB", total)
	}
}

// readTree returns every file of a tree by its path.
func readTree(t rapid.TB, fsys fs.FS) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(fsys, path)
		files[path] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
