package archive

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// member is one entry of a zip that a test makes.
type member struct {
	name string
	data string
	raw  func(*zip.FileHeader) // changes the header
}

func zipped(t testing.TB, members ...member) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := &zip.FileHeader{Name: m.name, Method: zip.Deflate}
		if m.raw != nil {
			m.raw(h)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// read lists a file's documents as "name: text", and what went wrong.
func read(data, name string) (list []string, err error) {
	docs, done, err := Documents(strings.NewReader(data), int64(len(data)), name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, d := range docs {
		rc, err := d.Open()
		if err != nil {
			return list, err
		}
		text, err := io.ReadAll(rc)
		rc.Close()
		if err != nil {
			return list, err
		}
		list = append(list, d.Name+": "+string(text))
	}
	return list, nil
}

func TestDocuments(t *testing.T) {
	gbk, err := simplifiedchinese.GBK.NewEncoder().String("业务明细.csv")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		why, data string
		want      []string
	}{
		{"a plain file is its own document", "a,b\n", []string{"f: a,b\n"}},
		{"an empty file too", "", []string{"f: "}},
		{"a wallet's gzip, under any name", gzipped(t, "a\n"), []string{"f: a\n"}},
		{"gzips put one after the other are one text", gzipped(t, "a\n") + gzipped(t, "b\n"), []string{"f: a\nb\n"}},
		{"a zip, its members by name", zipped(t, member{name: "b.csv", data: "b"}, member{name: "a.csv", data: "a"}), []string{"f!a.csv: a", "f!b.csv: b"}},
		{"Alipay's member names are GBK and do not say so", zipped(t, member{name: gbk, data: "a", raw: func(h *zip.FileHeader) { h.NonUTF8 = true }}), []string{"f!业务明细.csv: a"}},
		{"a gzip in a zip", zipped(t, member{name: "a.csv.gz", data: gzipped(t, "a")}), []string{"f!a.csv: a"}},
		{"a zip in a zip", zipped(t, member{name: "in.zip", data: zipped(t, member{name: "a.csv", data: "a"})}), []string{"f!in.zip!a.csv: a"}},
		{"two zips in a zip", zipped(t, member{name: "in.zip", data: zipped(t, member{name: "a.csv", data: "a"})}, member{name: "also.zip", data: zipped(t, member{name: "b.csv", data: "b"})}), []string{"f!also.zip!b.csv: b", "f!in.zip!a.csv: a"}},
		{"members of one name are all there", zipped(t, member{name: "a.csv", data: "1"}, member{name: "a.csv.gz", data: gzipped(t, "2")}, member{name: "a.csv", data: "3"}), []string{"f!a.csv: 1", "f!a.csv: 2", "f!a.csv: 3"}},
		{"folders and a Mac's leavings are nothing", zipped(t, member{name: "d/"}, member{name: "__MACOSX/._a", data: "x"}, member{name: "d/.DS_Store", data: "x"}, member{name: "d/a.csv", data: "a"}), []string{"f!d/a.csv: a"}},
		{"a path that climbs is shown and used for nothing", zipped(t, member{name: "../../etc/passwd", data: "a"}), []string{"f!../../etc/passwd: a"}},
		{"a line break in a name does not break a log", zipped(t, member{name: "a\nb.csv", data: "a"}), []string{`f!a\x0ab.csv: a`}},
	} {
		got, err := read(test.data, "f")
		if err != nil {
			t.Errorf("%s: %v", test.why, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.why, diff)
		}
	}
}

func TestWorkbookIsADocument(t *testing.T) {
	book := zipped(t, member{name: "[Content_Types].xml", data: "x"}, member{name: "xl/workbook.xml", data: "x"})
	for _, data := range []string{book, zipped(t, member{name: "bill.xlsx", data: book})} {
		docs, done, err := Documents(strings.NewReader(data), int64(len(data)), "f")
		if err != nil || len(docs) != 1 {
			t.Fatalf("%v, %v", docs, err)
		}
		rc, err := docs[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(rc); err != nil || string(got) != book {
			t.Errorf("%v, %d bytes, want %d", err, len(got), len(book))
		}
		if err := done(); err != nil {
			t.Error(err)
		}
	}
}

func TestRefused(t *testing.T) {
	deep := zipped(t, member{name: "a.csv", data: "a"})
	for range maxDepth {
		deep = zipped(t, member{name: "in.zip", data: deep})
	}
	many := make([]member, maxMembers+1)
	for i := range many {
		many[i] = member{name: string(rune('a' + i%26)), data: "a"}
	}
	whole := zipped(t, member{name: "a.csv", data: strings.Repeat("abc,", 1000)})
	packed := gzipped(t, strings.Repeat("order,1.00\n", 1000))
	for _, test := range []struct{ why, data, want string }{
		{"a zip that was cut short", whole[:len(whole)/2], "damaged or cut short"},
		{"a gzip that was cut short", packed[:len(packed)/2], "damaged or cut short"},
		{"a gzip whose sum is wrong", packed[:len(packed)-8] + "\x00\x00\x00\x00" + packed[len(packed)-4:], "damaged"},
		{"a password", zipped(t, member{name: "a.csv", data: "a", raw: func(h *zip.FileHeader) { h.Flags |= 1 }}), "has a password"},
		{"too deep", deep, "deep"},
		{"too many", zipped(t, many...), "members"},
		{"a bomb in a gzip", gzipped(t, strings.Repeat("\x00", 40<<20)), "for each packed byte"},
		{"a bomb in a zip, whatever it declares", zipped(t, member{name: "a", data: strings.Repeat("0", 40<<20)}), "for each packed byte"},
		{"a wrong checksum", badChecksum(t), "checksum"},
	} {
		_, err := read(test.data, "f")
		var own *Error
		if !errors.As(err, &own) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
	}
}

// badChecksum is a stored member one byte of which has changed.
func badChecksum(t *testing.T) string {
	data := zipped(t, member{name: "a.csv", data: "order,10.00", raw: func(h *zip.FileHeader) { h.Method = zip.Store; h.CRC32 = crc32.ChecksumIEEE(nil) }})
	return strings.Replace(data, "order,10.00", "order,90.00", 1)
}

// FuzzDocuments: no panic, no document beyond the limits, whatever the bytes.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(zipped(f, member{name: "a.csv", data: "a"})))
	f.Add([]byte(zipped(f, member{name: "in.zip", data: zipped(f, member{name: "a.csv", data: "a"})})))
	f.Add([]byte(gzipped(f, "a")))
	f.Fuzz(func(t *testing.T, data []byte) {
		docs, done, err := Documents(bytes.NewReader(data), int64(len(data)), "f")
		if err != nil {
			return
		}
		for _, d := range docs {
			rc, err := d.Open()
			if err != nil {
				continue
			}
			n, _ := io.Copy(io.Discard, rc)
			if n > freeOut+maxRatio*int64(len(data)) {
				t.Fatalf("%d bytes from %d", n, len(data))
			}
			rc.Close()
		}
		if err := done(); err != nil {
			t.Fatal(err)
		}
	})
}

// What lies on disk is bounded by the sum of all archives within a file, and goes with them.
func TestTemporaryBytesAreBounded(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	inner := zipped(t, member{name: "a.csv", data: "a"})
	data := zipped(t, member{name: "1.zip", data: inner}, member{name: "2.zip", data: inner})
	for _, test := range []struct {
		why  string
		room int64
		ok   bool
	}{
		{"both fit", int64(2 * len(inner)), true},
		{"the second does not", int64(2*len(inner) - 1), false},
	} {
		s := &search{room: test.room}
		err := s.add(strings.NewReader(data), int64(len(data)), "f", 0)
		var own *Error
		if test.ok != (err == nil) || err != nil && (!errors.As(err, &own) || own.Name != "f!2.zip") {
			t.Errorf("%s: %v", test.why, err)
		}
		if err := s.done(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
