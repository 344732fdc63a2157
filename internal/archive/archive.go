// Package archive finds the documents inside a file: the file itself, what a gzip holds, the members of a zip. It
// recognises containers by their first bytes, never by a name, and knows nothing of what the documents say. A path inside
// an archive is shown to people and used for nothing else: nothing is ever unpacked to disk under it.
package archive

import (
	"archive/zip"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Limits, against archives that are made to exhaust a machine. A day's bills of a merchant are a handful of members; text
// of this kind shrinks to a tenth, at the very most to a fortieth.
const (
	maxMembers = 1000
	maxTotal   = 8 << 30   // bytes of one document
	maxRatio   = 200       // bytes out for one byte in …
	freeOut    = 10 << 20  // … beyond these
	maxNested  = 512 << 20 // bytes of a zip within a zip, which must lie on disk to be read …
	maxTemp    = 1 << 30   // … and of all of them within one file
	maxDepth   = 2
	maxShown   = 1000 // bytes of a name that is shown
)

// Document is one text or workbook inside a file.
type Document struct {
	Name string                        // for people: "bill.csv", "bill.zip!明细.csv"
	Open func() (io.ReadCloser, error) // its bytes from the start; may be called again
}

// Error says what is wrong with an archive.
type Error struct {
	Name string // of the file or member
	Rule string
}

func (e *Error) Error() string { return fmt.Sprintf("archive %s: %s", e.Name, e.Rule) }

// Documents lists the documents of a file in the order of their names, those of one name in the order of the archive: two
// members may have one name, and a document is known by its place in the list. Listing unpacks every zip within the zip, so
// it is done once for all documents of a file. done lets go of temporary files; it must be called when the documents have
// been read. An archive that cannot be trusted is an *Error.
func Documents(f io.ReaderAt, size int64, name string) (documents []Document, done func() error, err error) {
	s := &search{room: maxTemp}
	if err := s.add(f, size, name, 0); err != nil {
		return nil, nil, errors.Join(err, s.done())
	}
	slices.SortStableFunc(s.found, func(a, b Document) int { return cmp.Compare(a.Name, b.Name) })
	return s.found, s.done, nil
}

// Is reports whether a file that begins with these bytes is a container.
func Is(first []byte) bool {
	return bytes.HasPrefix(first, []byte("PK\x03\x04")) || bytes.HasPrefix(first, []byte("PK\x05\x06")) || bytes.HasPrefix(first, []byte("\x1f\x8b"))
}

// search collects documents.
type search struct {
	found []Document
	temp  *os.File // the zips within the file, one after the other
	used  int64    // bytes of it
	room  int64    // bytes that it may have
}

func (s *search) done() error {
	if s.temp == nil {
		return nil
	}
	f := s.temp
	s.temp = nil
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// unpack puts a zip within the file onto disk: it is read from its end.
func (s *search) unpack(src io.Reader, name string) (*io.SectionReader, error) {
	if s.temp == nil {
		f, err := os.CreateTemp("", "posrecon-archive-*")
		if err != nil {
			return nil, fmt.Errorf("unpack %s: %w", name, err)
		}
		s.temp = f
	}
	size, err := io.Copy(s.temp, io.LimitReader(src, min(maxNested, s.room-s.used)+1))
	from := s.used
	s.used += size
	switch {
	case err != nil:
		return nil, wrap(name, err)
	case size > maxNested:
		return nil, &Error{name, fmt.Sprintf("an archive within an archive of more than %d MiB", maxNested>>20)}
	case s.used > s.room:
		return nil, &Error{name, fmt.Sprintf("archives within an archive of more than %d MiB together", s.room>>20)}
	}
	return io.NewSectionReader(s.temp, from, size), nil
}

func (s *search) add(f io.ReaderAt, size int64, name string, depth int) error {
	first := make([]byte, 4)
	n, err := f.ReadAt(first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	first = first[:n]
	plain := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, size)), nil }
	switch {
	case bytes.HasPrefix(first, []byte("PK\x05\x06")):
		return nil // an empty zip
	case bytes.HasPrefix(first, []byte("PK\x03\x04")):
		return s.addZip(f, size, name, depth, plain)
	case bytes.HasPrefix(first, []byte("\x1f\x8b")):
		return s.addStream(plain, size, name, depth)
	}
	return s.keep(Document{name, plain})
}

func (s *search) keep(d Document) error {
	if len(s.found) == maxMembers {
		return &Error{d.Name, fmt.Sprintf("more than %d documents", maxMembers)}
	}
	s.found = append(s.found, d)
	return nil
}

func (s *search) addZip(f io.ReaderAt, size int64, name string, depth int, plain func() (io.ReadCloser, error)) error {
	r, err := zip.NewReader(f, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return &Error{name, "this zip is damaged or cut short: " + err.Error()}
	}
	if isWorkbook(r) {
		return s.keep(Document{name, plain})
	}
	if depth == maxDepth {
		return &Error{name, fmt.Sprintf("archives within archives more than %d deep", maxDepth)}
	}
	if len(r.File) > maxMembers {
		return &Error{name, fmt.Sprintf("%d members, at most %d are read", len(r.File), maxMembers)}
	}
	for _, m := range r.File {
		shown := name + "!" + ShownName(m.Name)
		base := m.Name[strings.LastIndexAny(m.Name, `/\`)+1:]
		switch {
		case strings.HasSuffix(m.Name, "/"), strings.HasPrefix(m.Name, "__MACOSX/"), base == ".DS_Store", m.UncompressedSize64 == 0 && m.CompressedSize64 == 0:
			continue
		case m.Flags&1 != 0:
			return &Error{shown, "the archive has a password; unpack it and put the files here"}
		}
		open := func() (io.ReadCloser, error) {
			rc, err := m.Open()
			if err != nil {
				return nil, &Error{shown, err.Error()}
			}
			return &limited{rc: rc, name: shown, in: int64(m.CompressedSize64)}, nil
		}
		if err := s.addMember(open, int64(m.CompressedSize64), shown, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// addMember looks at what a member begins with: an archive again, or a document.
func (s *search) addMember(open func() (io.ReadCloser, error), packed int64, name string, depth int) error {
	rc, err := open()
	if err != nil {
		return err
	}
	defer rc.Close()
	first := make([]byte, 4)
	n, err := io.ReadFull(rc, first)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return wrap(name, err)
	}
	switch first = first[:n]; {
	case bytes.HasPrefix(first, []byte("PK\x03\x04")):
		zipped, err := s.unpack(io.MultiReader(bytes.NewReader(first), rc), name)
		if err != nil {
			return err
		}
		return s.add(zipped, zipped.Size(), name, depth)
	case bytes.HasPrefix(first, []byte("\x1f\x8b")):
		return s.addStream(open, packed, name, depth)
	}
	return s.keep(Document{name, open})
}

// addStream adds what a gzip holds; further members of it continue the text. A gzip within a gzip stays one.
func (s *search) addStream(open func() (io.ReadCloser, error), packed int64, name string, depth int) error {
	if depth == maxDepth {
		return &Error{name, fmt.Sprintf("archives within archives more than %d deep", maxDepth)}
	}
	return s.keep(Document{strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".gzip"), func() (io.ReadCloser, error) {
		rc, err := open()
		if err != nil {
			return nil, err
		}
		z, err := gzip.NewReader(rc)
		if err != nil {
			rc.Close()
			return nil, &Error{name, "this gzip is damaged: " + err.Error()}
		}
		return &limited{rc: &both{z, rc}, name: name, in: packed}, nil
	}})
}

// both reads from a decompressor and closes its source with it.
type both struct {
	*gzip.Reader
	src io.Closer
}

func (b *both) Close() error { return errors.Join(b.Reader.Close(), b.src.Close()) }

// limited counts what comes out of a member, whatever its header declares.
type limited struct {
	rc   io.ReadCloser
	name string
	in   int64
	out  int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.rc.Read(p)
	l.out += int64(n)
	switch {
	case l.out > freeOut && l.out/maxRatio > l.in:
		return 0, &Error{l.name, fmt.Sprintf("more than %d bytes of text for each packed byte: not a bill", maxRatio)}
	case l.out > maxTotal:
		return 0, &Error{l.name, fmt.Sprintf("more than %d GiB of text", maxTotal>>30)}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = wrap(l.name, err)
	}
	return n, err
}

func (l *limited) Close() error { return l.rc.Close() }

// wrap says of an error in unpacking whose it is. One of the disk or of the archive's own kind passes as it is.
func wrap(name string, err error) error {
	var own *Error
	var path *os.PathError
	if errors.As(err, &own) || errors.As(err, &path) {
		return err
	}
	return &Error{name, "damaged or cut short: " + err.Error()}
}

// isWorkbook tells an XLSX, which is a zip of XML, from a zip of bills.
func isWorkbook(r *zip.Reader) bool {
	types, book := false, false
	for _, m := range r.File {
		types = types || m.Name == "[Content_Types].xml"
		book = book || strings.HasPrefix(m.Name, "xl/")
	}
	return types && book
}

// ShownName returns a file's or member's name as text: names that Chinese programs wrote are GBK bytes, and a name may hold
// anything but a slash. A name is at most 255 bytes on disk and 64 KiB in a zip; of a longer one the beginning is shown.
func ShownName(name string) string {
	if !utf8.ValidString(name) {
		if decoded, err := simplifiedchinese.GB18030.NewDecoder().String(name); err == nil && !strings.ContainsRune(decoded, utf8.RuneError) {
			name = decoded
		}
	}
	var b strings.Builder
	for i, r := range name {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(name[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, name[i])
		case unicode.IsControl(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
		if b.Len() > maxShown {
			return b.String() + "…"
		}
	}
	return b.String()
}
