package ingest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/archive"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// Limits on what a folder may hold. A merchant group with ten acquirers gets some thirty files a night; a hundred
// thousand are nine years of that. The largest file is a day of a very large chain (2e7 rows of 300 bytes) five times over.
const (
	maxFiles     = 100_000
	maxFileBytes = 32 << 30
)

// candidate is a file that was found, identified by its bytes.
type candidate struct {
	path        string
	document    string // within an archive, "" for the file itself
	place       int    // of the document among those of the archive: two may have one name
	archives    *archives
	damaged     string // why an archive cannot be read, "" if it can
	name        string // base name, the smallest where the bytes are offered under several
	names       []string
	folder      string // id of the acquirer whose folder it lies in, "" for none
	size        int64
	sha256      string
	sum         []byte // of the bytes, by which this process knows them again; nil where it has not read them
	source      source // as the document itself says; see sender
	sendsTotals bool   // its last lines state control totals
	format      string // what reads it, "" for nothing
	version     string // the edition of that format
	named       bool   // the caller named it itself, and not a folder above it

	absolute string // its path from the root
	lies     place
	settled  bool // any change from here on will show in the place
	recalled bool // it lies where it was read before, and what is above was not read again
}

// alsoNamed notes a further name of the same bytes.
func (c *candidate) alsoNamed(name string) {
	if !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
		c.name = min(c.name, name)
	}
}

// inside returns the candidate for a document of an archive, of its name and place in it.
func (c candidate) inside(document string, place int) candidate {
	c.document, c.place = document, place
	c.name = lastName(document)
	c.names = []string{c.name}
	return c
}

// sender is who seems to send the document: what it says itself, else its folder. A POS log names its acquirers row by row.
func (c *candidate) sender() source {
	if c.source.acquirer == "" && c.source.kind != recon.KindPOSLog {
		return source{c.source.kind, c.folder}
	}
	return c.source
}

// find lists the regular files under paths, each once, in the order of their paths, those in archives in their archive's
// place. Hidden files and those that a program is still writing by the usual names (.tmp, .part, .partial, ~) are not
// input. Links are followed, each folder once. Files that lie where they were read before are not opened.
func find(paths []string, acquirers recon.Acquirers, open *archives, before *places) ([]candidate, error) {
	f := finder{acquirers: acquirers, archives: open, walked: map[string]bool{}}
	for _, root := range paths {
		info, err := os.Stat(root)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		if info.IsDir() {
			err = f.walk(root, root)
		} else {
			err = f.add(filepath.Dir(filepath.Dir(root)), root, info)
			if err == nil {
				f.found[len(f.found)-1].named = true
			}
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(f.found, func(a, b candidate) int { return strings.Compare(a.path, b.path) })
	files := slices.CompactFunc(f.found, func(a, b candidate) bool { return a.path == b.path })
	return unpack(files, before)
}

// unpack puts the documents inside archives in their archive's place.
func unpack(files []candidate, before *places) ([]candidate, error) {
	out := make([]candidate, 0, len(files))
	for _, c := range files {
		if documents, ok := before.recall(c); ok {
			out = append(out, documents...)
			continue
		}
		names, packed, err := c.documents()
		var damaged *archive.Error
		switch {
		case errors.Is(err, fs.ErrNotExist):
			out = append(out, c) // loading will find it gone, and say so
			continue
		case errors.As(err, &damaged):
			c.damaged = damaged.Error()
			out = append(out, c)
			continue
		case err != nil:
			return nil, err
		}
		if !packed {
			out = append(out, c)
		} else if len(names) == 0 {
			c.damaged = "archive " + c.name + ": it holds nothing"
			out = append(out, c)
		}
		for place, name := range names {
			out = append(out, c.inside(name, place))
		}
		if len(out) > maxFiles {
			return nil, fmt.Errorf("more than %d files: name fewer folders", maxFiles)
		}
	}
	return out, nil
}

// lastName is a document's own name, without the archives and folders it lies in.
func lastName(document string) string {
	name := document[strings.LastIndexByte(document, '!')+1:]
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// documents lists the names of what is inside the file, if it is packed.
func (c *candidate) documents() (names []string, packed bool, err error) {
	f, err := os.Open(c.path)
	if err != nil {
		return nil, false, fmt.Errorf("read input: %w", err)
	}
	first := make([]byte, 4)
	n, err := io.ReadFull(f, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, false, errors.Join(fmt.Errorf("read input: %w", err), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, false, fmt.Errorf("read input: %w", err)
	}
	if !archive.Is(first[:n]) {
		return nil, false, nil
	}
	o, err := c.archives.use(c.path)
	if err != nil {
		return nil, true, err
	}
	for _, d := range o.documents {
		names = append(names, d.Name)
	}
	return names, true, c.archives.giveBack(o)
}

// open opens the bytes that identify the candidate: a file's own, or what an archive holds.
func (c *candidate) open() (io.ReadCloser, error) {
	if c.document == "" {
		return os.Open(c.path)
	}
	return c.archives.document(c.path, c.place, c.document)
}

// shown is the path of a candidate as people read it.
func (c *candidate) shown() string {
	if c.document == "" {
		return c.path
	}
	return filepath.Join(filepath.Dir(c.path), c.document)
}

// finder collects files.
type finder struct {
	acquirers recon.Acquirers
	archives  *archives
	walked    map[string]bool // folders by their real path: links may lead in a circle
	found     []candidate
}

func (f *finder) add(root, path string, info fs.FileInfo) error {
	if len(f.found) == maxFiles {
		return fmt.Errorf("more than %d files: name fewer folders", maxFiles)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("input: %w", err)
	}
	lies, ok := placeOf(info)
	name := archive.ShownName(filepath.Base(path))
	f.found = append(f.found, candidate{
		path: path, archives: f.archives, name: name, names: []string{name}, folder: folderAcquirer(root, path, f.acquirers), size: info.Size(),
		absolute: absolute, lies: lies, settled: ok && lies.settled(time.Now()),
	})
	return nil
}

func (f *finder) walk(root, dir string) error {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return fmt.Errorf("read folder %s: %w", dir, err)
	}
	if f.walked[real] {
		return nil
	}
	f.walked[real] = true
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read folder %s: %w", dir, err)
	}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := os.Stat(path) // follows a link
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the folder was listed, or a link to nothing
		}
		if err != nil {
			return fmt.Errorf("read folder %s: %w", dir, err)
		}
		switch {
		case info.IsDir():
			err = f.walk(root, path)
		case info.Mode().IsRegular() && !unfinished(entry.Name()):
			err = f.add(root, path, info)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unfinished reports whether a name is one that programs give to a file while they write it.
func unfinished(name string) bool {
	for _, suffix := range []string{".tmp", ".part", ".partial", ".crdownload", ".filepart", "~"} {
		if strings.HasSuffix(strings.ToLower(name), suffix) {
			return true
		}
	}
	return false
}

// folderAcquirer returns the acquirer named by the nearest folder between root and path that is a known acquirer's.
func folderAcquirer(root, path string, acquirers recon.Acquirers) string {
	rel, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return ""
	}
	parts := strings.Split(filepath.ToSlash(rel), "/")
	for _, part := range slices.Backward(parts) {
		id := strings.ToLower(part)
		if _, ok := acquirers[id]; ok {
			return id
		}
		if _, ok := recon.KnownAcquirers[id]; ok {
			return id
		}
	}
	return ""
}

// tailBytes is how much of a file's end is searched for control totals: three short lines, with room for others.
const tailBytes = 4096

// headBytes is how much of a file's beginning is read to know its kind and acquirer beforehand: metadata and a header.
const headBytes = 64 << 10

// identify reads the whole document once: its SHA-256, whose it seems to be, and whether its last lines state control
// totals. An archive that cannot be unpacked is identified by its own bytes, and what was recalled is identified.
func (c *candidate) identify(opt Options) error {
	if c.recalled {
		return nil
	}
	err := c.read(opt)
	var damaged *archive.Error
	if errors.As(err, &damaged) {
		c.damaged = damaged.Error()
	}
	if c.damaged != "" {
		c.document = ""
		c.name = archive.ShownName(filepath.Base(c.path))
		c.names = []string{c.name}
		return c.read(opt)
	}
	return err
}

func (c *candidate) read(opt Options) error {
	f, err := c.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken away since it was listed; loading will find it gone, and say so
	}
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	defer f.Close()
	h, sum := sha256.New(), newSum()
	tail := &tailWriter{}
	head := &bytes.Buffer{}
	if _, err := io.CopyN(io.MultiWriter(h, sum, tail, head), f, headBytes); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read input: %w", err)
	}
	if err := c.recognise(head.Bytes(), opt); err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(h, sum, tail), io.LimitReader(f, maxFileBytes+1))
	n += int64(head.Len())
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	if n > maxFileBytes {
		return fmt.Errorf("read input %s: larger than %d GiB, split it", c.path, maxFileBytes>>30)
	}
	c.size = n
	c.sha256, c.sum = hex.EncodeToString(h.Sum(nil)), sum.Sum(nil)
	c.sendsTotals = statesTotals(tail.last())
	return nil
}

// recognise notes what reads the document, which is decided by its beginning; a workbook can only be opened whole. A
// document that cannot be read is recognised as nothing here, and loading says why.
func (c *candidate) recognise(head []byte, opt Options) error {
	c.format, c.version = "", ""
	var src io.Reader = bytes.NewReader(head)
	if len(head) == headBytes && bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		f, err := c.open()
		if err != nil {
			return fmt.Errorf("read input: %w", err)
		}
		defer f.Close()
		src = f
	}
	r, err := statement.Open(src, opt.statement(c.name))
	var unreadable *statement.FileError
	if errors.As(err, &unreadable) {
		c.format, c.version = unreadable.Format, unreadable.Version
	}
	if err != nil {
		return nil
	}
	c.format, c.version = r.About().Format, r.Version()
	c.source = source{kind: r.Kind(), acquirer: headAcquirer(r)}
	if r.Kind() != recon.KindPOSLog {
		c.source.acquirer = cmp.Or(c.source.acquirer, strings.ToLower(r.Meta().Acquirer))
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	return nil
}

// statesTotals reports whether control totals stand at a file's end, behind its last row.
func statesTotals(tail []byte) bool {
	lines := bytes.Split(bytes.TrimSpace(tail), []byte("\n"))
	for _, line := range slices.Backward(lines) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if line[0] != '#' {
			return false
		}
		key, _, _ := strings.Cut(strings.TrimLeft(string(line), "# \t"), ":")
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "total_count", "total_amount", "total_fee":
			return true
		}
	}
	return false
}

// headRows is how many rows of a file's head are asked for their acquirer: what headBytes of text hold.
const headRows = 1000

// headAcquirer returns the acquirer that all rows at a file's head name in their own column, "" where they name none or
// several.
func headAcquirer(r *statement.Reader) string {
	if !slices.Contains(r.Columns(), "acquirer") {
		return ""
	}
	found := ""
	for range headRows {
		rec, err := r.Next()
		if err != nil {
			break
		}
		var id string
		switch {
		case rec.POS != nil:
			id = rec.POS.Acquirer
		case rec.Settlement != nil:
			id = rec.Settlement.Acquirer
		case rec.Payout != nil:
			id = rec.Payout.Acquirer
		}
		if id = strings.ToLower(id); id == "" {
			continue
		}
		if found != "" && found != id {
			return ""
		}
		found = id
	}
	return found
}

// tailWriter keeps the last tailBytes of what is written to it.
type tailWriter struct{ buf []byte }

func (w *tailWriter) Write(p []byte) (int, error) {
	if len(p) >= tailBytes {
		w.buf = append(w.buf[:0], p[len(p)-tailBytes:]...)
		return len(p), nil
	}
	w.buf = append(w.buf, p...)
	if len(w.buf) > tailBytes {
		w.buf = append(w.buf[:0], w.buf[len(w.buf)-tailBytes:]...)
	}
	return len(p), nil
}

func (w *tailWriter) last() []byte { return w.buf }
