package ingest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/posrecon/posrecon/internal/archive"
)

// maxOpenArchives bounds the archives that are kept open: a file and a temporary one each, beside those being read.
const maxOpenArchives = 16

// archives keeps archives open between their documents, which are read one after the other: opening one lists its members
// and unpacks the archives within it, and done anew for each document that grows with the square of their number.
type archives struct {
	mu   sync.Mutex
	kept []*openArchive // the one used last at the end
}

// openArchive is an archive and its documents.
type openArchive struct {
	path      string
	info      fs.FileInfo // the file as it was when it was opened
	users     int
	kept      bool
	open      sync.Once
	documents []archive.Document
	done      func() error
	err       error
}

// use returns a file's archive, which its user gives back.
func (a *archives) use(path string) (*openArchive, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	o, err := a.take(path, info)
	if err != nil {
		return nil, err
	}
	o.open.Do(func() { o.documents, o.done, o.err = openDocuments(path) })
	if o.err != nil {
		return nil, errors.Join(o.err, a.giveBack(o))
	}
	return o, nil
}

// take finds the archive among those kept, or adds it. One whose file has been written to since is another.
func (a *archives) take(path string, info fs.FileInfo) (*openArchive, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	i := slices.IndexFunc(a.kept, func(o *openArchive) bool { return o.path == path })
	var o *openArchive
	if i >= 0 {
		o = a.kept[i]
		a.kept = slices.Delete(a.kept, i, i+1)
		if !os.SameFile(o.info, info) || o.info.Size() != info.Size() || !o.info.ModTime().Equal(info.ModTime()) {
			errs = append(errs, a.drop(o))
			o = nil
		}
	}
	if o == nil {
		o = &openArchive{path: path, info: info, kept: true, done: func() error { return nil }}
	}
	o.users++
	a.kept = append(a.kept, o)
	for j := 0; len(a.kept) > maxOpenArchives && j < len(a.kept); {
		if a.kept[j].users > 0 {
			j++
			continue
		}
		errs = append(errs, a.drop(a.kept[j]))
		a.kept = slices.Delete(a.kept, j, j+1)
	}
	return o, errors.Join(errs...)
}

// drop closes an archive that is no longer kept, at once or when its last user gives it back.
func (a *archives) drop(o *openArchive) error {
	o.kept = false
	if o.users > 0 {
		return nil
	}
	return o.done()
}

func (a *archives) giveBack(o *openArchive) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o.users--; o.err != nil && o.kept {
		o.kept = false
		a.kept = slices.DeleteFunc(a.kept, func(k *openArchive) bool { return k == o })
	}
	if o.users > 0 || o.kept || o.err != nil {
		return nil
	}
	return o.done()
}

// close lets go of all that is kept.
func (a *archives) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for _, o := range a.kept {
		errs = append(errs, a.drop(o))
	}
	a.kept = nil
	return errors.Join(errs...)
}

func openDocuments(path string) ([]archive.Document, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read input: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read input: %w", err), f.Close())
	}
	documents, done, err := archive.Documents(f, info.Size(), archive.ShownName(filepath.Base(path)))
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return documents, func() error { return errors.Join(done(), f.Close()) }, nil
}

// document opens a document of an archive by its place and name; one that is not there any more has been taken away.
func (a *archives) document(path string, place int, name string) (io.ReadCloser, error) {
	o, err := a.use(path)
	if err != nil {
		return nil, err
	}
	if place >= len(o.documents) || o.documents[place].Name != name {
		return nil, errors.Join(fs.ErrNotExist, a.giveBack(o))
	}
	rc, err := o.documents[place].Open()
	if err != nil {
		return nil, errors.Join(err, a.giveBack(o))
	}
	return &unpacked{rc, func() error { return a.giveBack(o) }}, nil
}

// unpacked is a document that gives its archive back when it is closed.
type unpacked struct {
	io.ReadCloser
	giveBack func() error
}

func (u *unpacked) Close() error { return errors.Join(u.ReadCloser.Close(), u.giveBack()) }
