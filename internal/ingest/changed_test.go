package ingest_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/posrecon/posrecon/internal/ingest"
)

// hook is a Progress that meddles with the inbox at a chosen moment: once, when do first asks for it.
type hook struct {
	once sync.Once
	file func(ingest.File) // after a file was loaded
	read func()            // at the first byte that is read to be loaded
}

func (h *hook) Start(int, int64) {}
func (h *hook) Rows(int64)       {}
func (h *hook) Finish()          {}

func (h *hook) Read(int64) {
	if h.read != nil {
		h.once.Do(h.read)
	}
}

func (h *hook) File(f ingest.File) {
	if h.file != nil {
		h.once.Do(func() { h.file(f) })
	}
}

// posLog is a POS log of rows of one day, long enough that no reader has it whole at its first look.
func posLog(prefix, day string, rows int) string {
	var b strings.Builder
	b.WriteString(posHeader)
	for n := range rows {
		fmt.Fprintf(&b, "%s%d,lakala,M1,WECHAT,1.00,SUCCESS,%s 12:00:00,SALE\n", prefix, n, day)
	}
	return b.String()
}

const manyRows = 20_000 // 1 MB; a reader's buffers hold 64 kB

// must fails the test where the inbox could not be meddled with.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// appendTo makes a file grow, as its owner does who is still writing it.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Error(err)
		return
	}
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

// A file that is written to while it is read is left for the next run, whole: the bytes that are loaded are those that
// identify it. The next run finds it complete.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	tail := strings.TrimPrefix(posLog("T", "2026-11-03", 7), posHeader)
	for name, change := range map[string]func(t *testing.T, path string) (rows int64){
		"it grows": func(t *testing.T, path string) int64 {
			appendTo(t, path, tail)
			return manyRows + 7
		},
		"it grows by half a line": func(t *testing.T, path string) int64 {
			appendTo(t, path, "T0,lakala,M1,WECHAT,1.0")
			return manyRows // and one rejected
		},
		"it is cut short": func(t *testing.T, path string) int64 {
			must(t, os.Truncate(path, int64(len(posLog("B", "2026-11-03", 10)))))
			return 10
		},
		"it is emptied and begun anew": func(t *testing.T, path string) int64 {
			must(t, os.WriteFile(path, []byte(posLog("C", "2026-11-03", 3)), 0o644))
			return 3
		},
		"as many other bytes stand in it": func(t *testing.T, path string) int64 {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			// The last row's amount.
			_, err = f.WriteAt([]byte("9.00,SUCCESS,2026-11-03 12:00:00,SALE\n"), int64(len(posLog("B", "2026-11-03", manyRows))-len("1.00,SUCCESS,2026-11-03 12:00:00,SALE\n")))
			must(t, err)
			must(t, f.Close())
			return manyRows
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for when, arm := range map[string]func(h *hook, change func()){
				// Files of one name are loaded one after the other: when a/pos.csv is, b/pos.csv is identified and not yet opened.
				"after it was identified": func(h *hook, change func()) { h.file = func(ingest.File) { change() } },
				"while it is read":        func(h *hook, change func()) { h.read = change },
			} {
				in := newInbox(t)
				var rows int64
				h := &hook{}
				if strings.HasPrefix(when, "after") {
					in.write(t, "a/pos.csv", posLog("A", "2026-11-02", 1))
				}
				in.write(t, "b/pos.csv", posLog("B", "2026-11-03", manyRows))
				arm(h, func() { rows = change(t, in.path("b/pos.csv")) })
				in.opt.Progress = h
				f := in.load(t)["b/pos.csv"]
				if f.State != ingest.Changed || f.Rows != 0 || f.Reason != "the file changed while it was read; it is left for the next run" {
					t.Errorf("%s: it is %s with %d rows: %s", when, f.State, f.Rows, f.Reason)
				}
				if stored := in.query(t, `SELECT order_id FROM pos_row WHERE order_id NOT LIKE 'A%'`); len(stored) > 0 {
					t.Errorf("%s: %d rows of it are stored", when, len(stored))
				}
				if known := in.query(t, `SELECT name FROM file WHERE file_date <> '2026-11-02'`); len(known) > 0 {
					t.Errorf("%s: the register has it as %v", when, known)
				}
				in.opt.Progress = nil
				if f := in.load(t)["b/pos.csv"]; f.State != ingest.Loaded || f.Rows != rows {
					t.Errorf("%s: the next run has it as %s with %d rows (%s), want all %d", when, f.State, f.Rows, f.Reason, rows)
				}
			}
		})
	}
}

// A file that another takes the place of is read to its end where it is open, else left for the next run; one that is
// taken away is nobody's error.
func TestReplacedOrRemovedFile(t *testing.T) {
	t.Parallel()
	setUp := func(t *testing.T) *inbox {
		in := newInbox(t)
		in.write(t, "a/pos.csv", posLog("A", "2026-11-02", 1))
		in.write(t, "b/pos.csv", posLog("B", "2026-11-03", manyRows))
		in.write(t, "z/pos.csv", posLog("Z", "2026-11-04", 1))
		return in
	}
	t.Run("replaced after it was identified", func(t *testing.T) {
		t.Parallel()
		in := setUp(t)
		other := filepath.Join(t.TempDir(), "other.csv")
		must(t, os.WriteFile(other, []byte(posLog("C", "2026-11-03", 5)), 0o644))
		in.opt.Progress = &hook{file: func(ingest.File) { must(t, os.Rename(other, in.path("b/pos.csv"))) }}
		files := in.load(t)
		if f := files["b/pos.csv"]; f.State != ingest.Changed {
			t.Errorf("it is %s with %d rows: %s", f.State, f.Rows, f.Reason)
		}
		if f := files["z/pos.csv"]; f.State != ingest.Loaded {
			t.Errorf("the file behind it is %s: %s", f.State, f.Reason)
		}
	})
	t.Run("replaced while it is read", func(t *testing.T) {
		t.Parallel()
		in := newInbox(t)
		in.write(t, "b/pos.csv", posLog("B", "2026-11-03", manyRows))
		other := filepath.Join(t.TempDir(), "other.csv")
		must(t, os.WriteFile(other, []byte(posLog("C", "2026-11-03", 5)), 0o644))
		in.opt.Progress = &hook{read: func() { must(t, os.Rename(other, in.path("b/pos.csv"))) }}
		if f := in.load(t)["b/pos.csv"]; f.State != ingest.Loaded || f.Rows != manyRows {
			t.Errorf("it is %s with %d rows: %s", f.State, f.Rows, f.Reason)
		}
		in.opt.Progress = nil
		if f := in.load(t)["b/pos.csv"]; f.State != ingest.Held {
			t.Errorf("the next run has the other file of its name as %s with %d rows: %s", f.State, f.Rows, f.Reason)
		}
	})
	t.Run("removed after it was identified", func(t *testing.T) {
		t.Parallel()
		in := setUp(t)
		in.opt.Progress = &hook{file: func(ingest.File) { must(t, os.Remove(in.path("b/pos.csv"))) }}
		files := in.load(t)
		if f := files["b/pos.csv"]; f.State != ingest.Changed {
			t.Errorf("it is %s: %s", f.State, f.Reason)
		}
		if f := files["z/pos.csv"]; f.State != ingest.Loaded {
			t.Errorf("the file behind it is %s: %s", f.State, f.Reason)
		}
	})
}

// Whatever a file is called, it loads: its name is for people and for '# replaces:'.
func TestOddNames(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"blanks and quotes": `a 'b' "c".csv`,
		"Chinese":           "对账单 2026-11-02.csv",
		"GBK":               "\xb6\xd4\xd5\xcb\xb5\xa5.csv", // as a ZIP made on a Chinese Windows unpacks
		"a line feed":       "a\nb.csv",
		"an escape":         "a\x1b[31mb.csv",
		"a formula":         "=1+2.csv",
		"200 bytes":         strings.Repeat("n", 200) + ".csv",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t)
			in.write(t, file, posLog("A", "2026-11-02", 1))
			if f := in.load(t)[file]; f.State != ingest.Loaded || f.Rows != 1 {
				t.Errorf("it is %s with %d rows: %s", f.State, f.Rows, f.Reason)
			}
			// What the register shows must be fit for a terminal and a cell.
			if bad := in.query(t, `SELECT name FROM file WHERE name ~ '[[:cntrl:]]'`); len(bad) > 0 {
				t.Errorf("the register has control characters in %q", bad)
			}
		})
	}
}

// Links are followed: an inbox is often one, to where the files of the month lie.
func TestLinks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		link func(in *inbox, elsewhere string) error
		file string
	}{
		"to a file": {func(in *inbox, elsewhere string) error {
			return os.Symlink(filepath.Join(elsewhere, "pos.csv"), in.path("link.csv"))
		}, "link.csv"},
		"to a folder": {func(in *inbox, elsewhere string) error { return os.Symlink(elsewhere, in.path("link")) }, "link/pos.csv"},
		"the inbox itself": {func(in *inbox, elsewhere string) error {
			return errors.Join(os.Remove(in.dir), os.Symlink(elsewhere, in.dir))
		}, "pos.csv"},
		"to nothing, beside": {func(in *inbox, elsewhere string) error { return os.Symlink("nothing", in.path("gone.csv")) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t)
			elsewhere := t.TempDir()
			if err := os.WriteFile(filepath.Join(elsewhere, "pos.csv"), []byte(posLog("A", "2026-11-02", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			if err := tt.link(in, elsewhere); err != nil {
				t.Fatal(err)
			}
			files := in.load(t)
			if tt.file == "" {
				if len(files) > 0 {
					t.Errorf("files: %v", files)
				}
				return
			}
			if f := files[tt.file]; f.State != ingest.Loaded || f.Rows != 1 {
				t.Errorf("it is %q with %d rows; files: %v", f.State, f.Rows, files)
			}
		})
	}
}
