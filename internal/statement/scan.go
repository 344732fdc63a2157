package statement

import (
	"bytes"
	"io"
)

// flaw is what keeps a record from being split into cells.
type flaw int

const (
	sound       flaw = iota
	oversized        // longer than maxRecord
	brokenQuote      // a quoted cell does not end as it should
)

// record is one record as it stands in the file.
type record struct {
	raw    []byte // without the line end; only its beginning if oversized; valid until the next call of next
	line   int    // the physical line it begins on, from 1
	quoted bool   // holds a quote, so that splitting has to look for quoted cells
	flaw   flaw
}

// scanner cuts a stream into records. Its memory is bounded by maxRecord, and its time is linear in the input whatever
// stands in it: see next.
type scanner struct {
	src   io.Reader
	buf   []byte
	start int   // of the bytes in buf that are not consumed
	end   int   // of the bytes in buf
	line  int   // physical lines consumed
	sep   byte  // between cells
	err   error // sticky error of src, io.EOF included
}

// startBuffer holds a few hundred rows per read; it grows only for a record that needs more.
const startBuffer = 64 << 10

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, startBuffer), sep: ','}
}

// fill reads at least one more byte behind end, or sets err. It may move the bytes, so positions are kept as offsets
// from start.
func (s *scanner) fill() {
	if s.err != nil {
		return
	}
	if s.start == s.end || s.end == len(s.buf) {
		s.end = copy(s.buf, s.buf[s.start:s.end])
		s.start = 0
	}
	if s.end == len(s.buf) {
		bigger := make([]byte, 2*len(s.buf))
		s.end = copy(bigger, s.buf[:s.end])
		s.buf = bigger
	}
	for range 100 {
		n, err := s.src.Read(s.buf[s.end:])
		s.end += n
		s.err = err
		if n > 0 || err != nil {
			return
		}
	}
	s.err = io.ErrNoProgress
}

// peek returns up to n unconsumed bytes without consuming them; fewer only at the end of input.
func (s *scanner) peek(n int) []byte {
	for s.end-s.start < n && s.err == nil {
		s.fill()
	}
	return s.buf[s.start:min(s.start+n, s.end)]
}

// lineEnd finds the end of the physical line that begins at offset from: the offset of its line feed, or of the end of
// input, and the offset of the next line. It is not ok if the line ends beyond maxRecord. That depends on the bytes
// alone and not on how the reader hands them over.
func (s *scanner) lineEnd(from int) (end, next int, ok bool) {
	for searched := from; ; {
		data := s.buf[s.start:s.end]
		if i := bytes.IndexByte(data[searched:], '\n'); i >= 0 {
			end = searched + i
			return end, end + 1, end <= maxRecord
		}
		searched = len(data)
		if searched > maxRecord {
			return 0, 0, false
		}
		if s.err != nil {
			return searched, searched, true
		}
		s.fill()
	}
}

// next returns the next record; io.EOF after the last one, or the error of the source. A source that fails in the
// middle of a line gives no part of that line: it may be half a number.
//
// Time is linear, although a record with an open quote is read again line by line: in a record of several lines every
// quote counts, so each line either keeps "inside quotes" or flips it, whichever side it is entered from; a record
// that is not closed ends its search at the next line that flips, and no other line in between starts a search.
func (s *scanner) next() (record, error) { return s.read(true) }

// nextLine is next for formats in which a quote is a character like any other: a record is a physical line.
func (s *scanner) nextLine() (record, error) { return s.read(false) }

func (s *scanner) read(quotes bool) (record, error) {
	end, next, ok := s.lineEnd(0)
	if end == next && s.failed() {
		return record{}, s.err
	}
	rec := record{line: s.line + 1}
	if !ok {
		rec.flaw = oversized
		rec.raw = bytes.Clone(s.buf[s.start : s.start+maxRawOversized+excerptSlack])
		return rec, s.skipLine()
	}
	if next == 0 {
		return record{}, io.EOF
	}
	lines := 1
	raw := s.buf[s.start : s.start+end]
	if rec.quoted = quotes && bytes.IndexByte(raw, '"') >= 0; rec.quoted {
		end, next, lines, ok = s.quotedRecord(end, next, raw[0] == '#')
		if (!ok || end == next) && s.failed() {
			return record{}, s.err
		}
		if !ok {
			rec.flaw = brokenQuote
		}
	}
	rec.raw = trimCR(s.buf[s.start : s.start+end])
	s.start += next
	s.line += lines
	return rec, nil
}

// quotedRecord finds the end of the record whose first physical line ends at offset end. If a quoted cell does not end
// as it should, it is not ok and the result is the first physical line alone.
func (s *scanner) quotedRecord(first, firstNext int, oneLine bool) (end, next, lines int, ok bool) {
	q := quoting{sep: s.sep}
	end, next = first, firstNext
	from := 0
	for lines = 1; ; lines++ {
		if !q.line(s.buf[s.start+from : s.start+end]) {
			return first, firstNext, 1, false
		}
		if !q.inside {
			return end, next, lines, true
		}
		if oneLine || q.bare || lines == maxRecordLines {
			return first, firstNext, 1, false
		}
		q.continued = true
		from = next
		if end, next, ok = s.lineEnd(from); !ok || next == from {
			return first, firstNext, 1, false
		}
	}
}

// failed reports whether the source failed, as opposed to ended.
func (s *scanner) failed() bool { return s.err != nil && s.err != io.EOF }

// skipLine consumes the rest of the physical line without keeping it. At the end of input there is nothing left to
// report; the next call of next does.
func (s *scanner) skipLine() error {
	s.line++
	for {
		if i := bytes.IndexByte(s.buf[s.start:s.end], '\n'); i >= 0 {
			s.start += i + 1
			return nil
		}
		s.start, s.end = 0, 0
		if s.failed() {
			return s.err
		}
		if s.err == io.EOF {
			return nil
		}
		s.fill()
	}
}

// trimCR drops the CR of a CRLF, and further ones that a wrong conversion put before it.
func trimCR(line []byte) []byte {
	for len(line) > 0 && line[len(line)-1] == '\r' {
		line = line[:len(line)-1]
	}
	return line
}

// quoting is where in a record the reading stands, at the end of a physical line.
type quoting struct {
	sep       byte
	inside    bool // a quoted cell is open
	bare      bool // an unquoted cell holds a quote
	continued bool // the record began on an earlier line
}

// line reads one physical line without its line feed. It reports whether the quotes in it are where they may be.
func (q *quoting) line(line []byte) bool {
	for i := 0; i <= len(line); {
		if q.inside {
			quote := bytes.IndexByte(line[i:], '"')
			if quote < 0 {
				return true // the line break is part of the cell
			}
			if i += quote + 1; i < len(line) && line[i] == '"' {
				i++ // doubled: a quote as such
				continue
			}
			q.inside = false
			for i < len(line) && line[i] != q.sep && (isBlank(line[i]) || line[i] == '\r') {
				i++
			}
			if i < len(line) && line[i] != q.sep {
				return false
			}
			i++
			continue
		}
		cell := i
		for cell < len(line) && line[cell] != q.sep && isBlank(line[cell]) {
			cell++
		}
		if cell < len(line) && line[cell] == '"' {
			q.inside = true
			i = cell + 1
			continue
		}
		comma := bytes.IndexByte(line[i:], q.sep)
		if comma < 0 {
			comma = len(line) - i
		}
		if bytes.IndexByte(line[i:i+comma], '"') >= 0 {
			if q.continued {
				return false
			}
			q.bare = true
		}
		i += comma + 1
	}
	return true
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// Read gives the bytes that no record has taken, for formats that are not lines.
func (s *scanner) Read(p []byte) (int, error) {
	if s.start == s.end {
		s.start, s.end = 0, 0
		s.fill()
	}
	if s.start == s.end {
		return 0, s.err
	}
	n := copy(p, s.buf[s.start:s.end])
	s.start += n
	return n, nil
}
