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
	name        string // base name, the smallest where the bytes are offered under several
	names       []string
	folder      string // id of the acquirer whose folder it lies in, "" for none
	size        int64
	sha256      string
	source      source
	sendsTotals bool // its last lines state control totals
}

// alsoNamed notes a further name of the same bytes.
func (c *candidate) alsoNamed(name string) {
	if !slices.Contains(c.names, name) {
		c.names = append(c.names, name)
		c.name = min(c.name, name)
	}
}

// find lists the regular files under paths, each once, in the order of their paths. Hidden files and those that a
// program is still writing by the usual names (.tmp, .part, .partial, ~) are not input.
func find(paths []string, acquirers recon.Acquirers) ([]candidate, error) {
	var found []candidate
	add := func(root, path string, info fs.FileInfo) error {
		if len(found) == maxFiles {
			return fmt.Errorf("more than %d files: name fewer folders", maxFiles)
		}
		found = append(found, candidate{
			path: path, name: filepath.Base(path), names: []string{filepath.Base(path)}, folder: folderAcquirer(root, path, acquirers),
			size: info.Size(),
		})
		return nil
	}
	for _, root := range paths {
		info, err := os.Stat(root)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		if !info.IsDir() {
			if err := add(filepath.Dir(filepath.Dir(root)), root, info); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := entry.Name()
			if path != root && strings.HasPrefix(name, ".") {
				if entry.IsDir() {
					return filepath.SkipDir
				}
				return nil
			}
			if entry.IsDir() || unfinished(name) {
				return nil
			}
			info, err := os.Stat(path) // follows a link to a file
			if errors.Is(err, fs.ErrNotExist) {
				return nil // gone since the folder was listed, or a link to nothing
			}
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				return nil
			}
			return add(root, path, info)
		})
		if err != nil {
			return nil, fmt.Errorf("read folder %s: %w", root, err)
		}
	}
	slices.SortFunc(found, func(a, b candidate) int { return strings.Compare(a.path, b.path) })
	return slices.CompactFunc(found, func(a, b candidate) bool { return a.path == b.path }), nil
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

// identify reads the whole file once: its SHA-256, whose file it seems to be, and whether its last lines state control
// totals.
func (c *candidate) identify(zone *time.Location) error {
	f, err := os.Open(c.path)
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	tail := &tailWriter{}
	head := &bytes.Buffer{}
	if _, err := io.CopyN(io.MultiWriter(h, tail, head), f, headBytes); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read input: %w", err)
	}
	if r, err := statement.Open(bytes.NewReader(head.Bytes()), statement.Options{Zone: zone}); err == nil {
		c.source = source{kind: r.Kind(), acquirer: cmp.Or(firstAcquirer(r), strings.ToLower(r.Meta().Acquirer), c.folder)}
	}
	n, err := io.Copy(io.MultiWriter(h, tail), io.LimitReader(f, maxFileBytes+1))
	n += int64(head.Len())
	if err != nil {
		return fmt.Errorf("read input: %w", err)
	}
	if n > maxFileBytes {
		return fmt.Errorf("read input %s: larger than %d GiB, split it", c.path, maxFileBytes>>30)
	}
	c.size = n
	c.sha256 = hex.EncodeToString(h.Sum(nil))
	for line := range bytes.Lines(tail.last()) {
		key, _, _ := strings.Cut(strings.TrimLeft(string(line), "# \t"), ":")
		if line[0] == '#' && strings.HasPrefix(strings.ToLower(strings.TrimSpace(key)), "total_") {
			c.sendsTotals = true
		}
	}
	return nil
}

// firstAcquirer returns the acquirer that the first readable row of a settlement or payout file names in its own
// column, "" where it has none.
func firstAcquirer(r *statement.Reader) string {
	if r.Kind() == recon.KindPOSLog || !slices.Contains(r.Columns(), "acquirer") {
		return ""
	}
	for {
		rec, err := r.Next()
		switch {
		case err != nil:
			return ""
		case rec.Settlement != nil:
			return strings.ToLower(rec.Settlement.Acquirer)
		case rec.Payout != nil:
			return strings.ToLower(rec.Payout.Acquirer)
		}
	}
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
