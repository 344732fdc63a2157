package statement

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/posrecon/posrecon/internal/charset"
	"github.com/posrecon/posrecon/internal/sheet"
)

// row is one row of a file that a profile reads, as cells.
type row struct {
	line  int
	raw   string   // the line, for what stands outside the rows; "" where the file has no lines
	cells []string // valid until the next call
	width int      // how many cells there are
	sound bool     // the cells are printable text; false if unknown
	rule  string   // why the row cannot be split; "" if it can
}

// rowSource cuts a file into rows.
type rowSource interface {
	// next returns the next row, io.EOF after the last one. A *FileError says that the file is damaged from here on.
	next() (row, error)
}

// tied is a source whose standard brings control totals of its own.
type tied interface{ untied() string }

// tableRows are the rows of delimited text.
type tableRows struct {
	scan  *scanner
	cells []string
	width int // of the header
	limit int // cells that are looked at
	text  strings.Builder
}

// textBlock is how much text of rows is allocated at once. A value that somebody keeps keeps a block.
const textBlock = 16 << 10

// keep returns a copy of a line.
func (t *tableRows) keep(raw []byte) string {
	if t.text.Len()+len(raw) > t.text.Cap() {
		t.text = strings.Builder{}
		t.text.Grow(max(textBlock, len(raw)))
	}
	from := t.text.Len()
	t.text.Write(raw)
	return t.text.String()[from:]
}

func (t *tableRows) next() (row, error) {
	for {
		rec, err := t.scan.next()
		if err != nil {
			return row{}, err
		}
		if rec.flaw == sound && blankBy(rec.raw, t.scan.sep) {
			continue
		}
		r := row{line: rec.line, raw: t.keep(rec.raw)}
		switch rec.flaw {
		case oversized:
			r.rule = "the line is longer than 1 MiB"
		case brokenQuote:
			r.rule = "a quoted cell on this line does not end as it should"
		default:
			t.cells, r.width = cutCells(t.cells[:0], r.raw, t.scan.sep, rec.quoted, t.limit)
			if r.width < t.width && r.raw[0] == '`' {
				t.untick(&r)
			}
			r.cells, r.sound = t.cells, legible(r.raw, t.scan.sep)
		}
		return r, nil
	}
}

// untick cuts a line whose first cell begins with a back-tick at every separator, where only that gives as many cells as
// the header has: some columns, which somebody added, have no back-ticks.
func (t *tableRows) untick(r *row) {
	if cells, n := cutPlain(nil, r.raw, t.scan.sep, t.limit); n == t.width {
		t.cells, r.width = append(t.cells[:0], cells...), n
	}
}

// cutCells cuts a sound line into cells, of which the first limit are appended to cells. Quotes are taken off. A line
// whose cells all begin with a back-tick (WeChat) is cut before the back-ticks, because its cells may hold the separator
// and are never quoted.
func cutCells(cells []string, line string, sep byte, quoted bool, limit int) ([]string, int) {
	if len(line) > 0 && line[0] == '`' {
		return cutTicked(cells, line, sep, limit)
	}
	if !quoted {
		return cutPlain(cells, line, sep, limit)
	}
	n := 0
	for from := 0; ; {
		i := from
		for i < len(line) && line[i] != sep && isBlank(line[i]) {
			i++
		}
		var cell string
		end := -1
		if i < len(line) && line[i] == '"' {
			cell, i = unquote(line, i+1)
			if j := strings.IndexByte(line[i:], sep); j >= 0 {
				end = i + j
			}
		} else {
			if j := strings.IndexByte(line[from:], sep); j >= 0 {
				end = from + j
				cell = line[from:end]
			} else {
				cell = line[from:]
			}
		}
		if n++; n <= limit {
			cells = append(cells, cell)
		}
		if end < 0 {
			return cells, n
		}
		from = end + 1
	}
}

// unquote reads a quoted cell from behind its first quote, and returns where it ends.
func unquote(line string, from int) (cell string, end int) {
	for i := from; i < len(line); i++ {
		if line[i] != '"' {
			continue
		}
		if i+1 < len(line) && line[i+1] == '"' {
			i++
			continue
		}
		cell = line[from:i]
		if strings.IndexByte(cell, '"') >= 0 {
			cell = strings.ReplaceAll(cell, `""`, `"`)
		}
		return cell, i + 1
	}
	return strings.ReplaceAll(line[from:], `""`, `"`), len(line)
}

// blankBy reports whether every cell of a line is empty.
func blankBy(raw []byte, sep byte) bool {
	if len(raw) > 0 && raw[0] > ' ' && raw[0] != sep && raw[0] != '"' && raw[0] < utf8.RuneSelf {
		return false
	}
	if sep == ',' {
		return blank(raw)
	}
	return blank(bytes.ReplaceAll(raw, []byte{sep}, []byte{','}))
}

// fixedRows are the rows of fixed-width text. Widths count bytes of GB18030, whatever the file was saved as.
type fixedRows struct {
	scan   *scanner
	widths []int
	gap    int
	cells  []string
	short  bool
	used   []bool // columns that something is read from, which must be whole
}

func (f *fixedRows) next() (row, error) {
	for {
		rec, err := f.scan.nextLine()
		if err != nil {
			return row{}, err
		}
		if rec.flaw == sound && blank(rec.raw) {
			continue
		}
		r := row{line: rec.line, raw: string(rec.raw)}
		if rec.flaw == oversized {
			r.rule = "the line is longer than 1 MiB"
			return r, nil
		}
		var ok bool
		if f.cells, ok = cutFixed(f.cells[:0], r.raw, f.widths, f.gap, f.short, f.used); !ok {
			r.rule = "the record is shorter than its columns, or they do not stand where they should"
		}
		r.cells, r.width = f.cells, len(f.cells)
		return r, nil
	}
}

// cutFixed cuts a record by byte widths. With short the last columns may be missing, or cut short if they are not used: half an
// identifier looks like one.
func cutFixed(cells []string, line string, widths []int, gap int, short bool, used []bool) ([]string, bool) {
	chinese := false
	for i := range len(line) {
		if line[i] >= utf8.RuneSelf {
			chinese = true
			break
		}
	}
	if chinese {
		encoded, err := simplifiedchinese.GB18030.NewEncoder().String(line)
		if err != nil {
			return cells, false
		}
		line = encoded
	}
	at := 0
	for i, width := range widths {
		if i > 0 {
			for range gap {
				if at < len(line) && line[at] != ' ' {
					return cells, false
				}
				at++
			}
		}
		from, to := min(at, len(line)), min(at+width, len(line))
		if to-from < width && (!short || i == 0 || to > from && i < len(used) && used[i]) {
			return cells, false
		}
		cell := line[from:to]
		if chinese {
			decoded, ok := charset.DecodeGB18030([]byte(cell))
			if !ok {
				return cells, false
			}
			cell = decoded
		}
		cells = append(cells, cell)
		at += width
	}
	return cells, true
}

// sheetRows are the rows of a workbook's sheet.
type sheetRows struct {
	book  *sheet.Workbook
	first []row // rows that were read to recognise the file
	cells []string
}

func (s *sheetRows) next() (row, error) {
	if len(s.first) > 0 {
		r := s.first[0]
		s.first = s.first[1:]
		return r, nil
	}
	if s.book == nil {
		return row{}, io.EOF
	}
	return s.read()
}

func (s *sheetRows) read() (row, error) {
	line, cells, err := s.book.Next()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = &FileError{Line: max(line, 1), Rule: err.Error()}
		}
		return row{}, err
	}
	s.cells = s.cells[:0]
	for _, c := range cells {
		s.cells = append(s.cells, c.Text)
	}
	return row{line: line, raw: strings.Join(s.cells, "\t"), cells: s.cells, width: len(s.cells)}, nil
}
