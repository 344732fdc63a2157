package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/charset"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/sheet"
)

const (
	sketchRows = 10 // rows of a sketch that are kept
	sketchTail = 12 // lines at a file's end that may be no rows
	sketchPath = 6  // levels of a JSON document in which rows are looked for
)

// NewSketch looks at a file that no format reads. It is not ok where nothing in it looks like rows.
func NewSketch(src io.Reader) (s profile.Sample, ok bool, err error) {
	peeked := newPeeker(src)
	if bytes.HasPrefix(peeked.peek(8), []byte("PK\x03\x04")) {
		return sketchSheet(peeked)
	}
	text := charset.NewReader(peeked)
	scan := newScanner(text)
	head := bytes.Clone(scan.peek(headBytes))
	if scan.failed() {
		return profile.Sample{}, false, scan.err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return profile.Sample{}, false, nil
	}
	if first := bytes.TrimLeft(head, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		s, ok := sketchJSON(head)
		s.Encoding = text.Encoding()
		return s, ok, nil
	}
	lines := headLines(head, len(head) < headBytes)
	best := 0
	for _, sep := range separators {
		table := cutLines(lines, sep)
		if at, score := headerOf(table); score > best {
			best = score
			s = profile.Sample{Separator: string(sep), Line: at + 1, Header: trimHeader(table[at]), Rows: rowsAfter(table, at), Before: filled(lines[:at])}
		}
	}
	if best == 0 {
		if s.Record = fixedRecord(lines); s.Record == "" {
			return s, false, nil
		}
		s.Encoding = text.Encoding()
		return s, true, nil
	}
	s.Encoding = text.Encoding()
	s.After, err = tail(scan, s)
	return s, true, err
}

// cutLines cuts lines into cells.
func cutLines(lines []string, sep byte) [][]string {
	var table [][]string
	for _, line := range lines {
		cells, _ := cutCells(nil, line, sep, strings.Contains(line, `"`), maxColumns)
		table = append(table, cells)
	}
	return table
}

// filled returns the lines that are not blank.
func filled(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.Trim(l, " \t\r\n,;|\"") == "" })
}

// tail reads a text to its end and returns the last lines, as far as they are no rows.
func tail(scan *scanner, s profile.Sample) ([]string, error) {
	var last []string
	scan.sep = s.Separator[0]
	for {
		rec, err := scan.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(last) == sketchTail {
			last = slices.Delete(last, 0, 1)
		}
		line := rec.raw
		if rec.line <= s.Line {
			continue
		}
		last = append(last, strings.ToValidUTF8(string(line[:min(len(line), maxRaw)]), "?"))
	}
	return footer(last, s.Separator[0], len(s.Header)), nil
}

// footer returns the lines at the end that fill fewer cells than a row does.
func footer(last []string, sep byte, width int) []string {
	for i, line := range slices.Backward(last) {
		cells, n := cutCells(nil, line, sep, strings.Contains(line, `"`), maxColumns)
		if filledCells(cells)*2 > width && n >= width && !strings.HasPrefix(line, "#") {
			return filled(last[i+1:])
		}
	}
	return filled(last)
}

func filledCells(cells []string) int {
	n := 0
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			n++
		}
	}
	return n
}

// fixedRecord returns the first of some lines that are records of one width, "" where they are none.
func fixedRecord(lines []string) string {
	widths := map[int]int{}
	for _, line := range lines {
		widths[width(line)]++
	}
	for _, line := range lines {
		if n := width(line); n >= 30 && (widths[n] > 1 || len(filled(lines)) == 1) && strings.ContainsAny(line, "0123456789") {
			return line
		}
	}
	return ""
}

// width is a line's in bytes of GB18030, for Chinese of the common kind.
func width(line string) int {
	n := 0
	for _, r := range line {
		if n++; r >= utf8.RuneSelf {
			n++
		}
	}
	return n
}

// sketchJSON finds the objects of a document's beginning: those of the first array that has any, one after the other, or
// one alone.
func sketchJSON(head []byte) (s profile.Sample, ok bool) {
	path, found := arrayOf(head)
	s = profile.Sample{JSON: true, Line: 1}
	if found {
		s.Path = strings.Join(path, ".")
	}
	// Objects need not have the same members: the names are those of all that are looked at.
	names := map[string]bool{}
	rows := newJSONRows(bytes.NewReader(head), s.Path, nil)
	for range sketchRows {
		r, err := rows.next()
		if err != nil {
			break // cut off, as a beginning is
		}
		if r.rule != "" {
			continue
		}
		for _, name := range rows.keys() {
			if !names[name] {
				names[name] = true
				s.Header = append(s.Header, name)
			}
		}
	}
	if len(s.Header) < 3 {
		return s, false
	}
	rows = newJSONRows(bytes.NewReader(head), s.Path, s.Header)
	for len(s.Rows) < sketchRows {
		r, err := rows.next()
		if err != nil {
			break
		}
		if r.rule == "" {
			s.Rows = append(s.Rows, slices.Clone(r.cells))
		}
	}
	return s, len(s.Rows) > 0
}

// arrayOf finds the path of the first array of objects in a document's beginning.
func arrayOf(head []byte) (path []string, ok bool) {
	dec := json.NewDecoder(bytes.NewReader(head))
	type level struct {
		array bool
		name  string // of the member in hand
		key   bool   // the next string is a member's name
	}
	var open []level
	for {
		t, err := dec.Token()
		if err != nil {
			return nil, false
		}
		top := len(open) - 1
		if d, isDelim := t.(json.Delim); isDelim {
			switch d {
			case '[', '{':
				if d == '{' && top >= 0 && open[top].array {
					for _, l := range open[:top] {
						if l.array {
							return nil, false // an array within a row
						}
						path = append(path, l.name)
					}
					return path, true
				}
				if len(open) == sketchPath {
					return nil, false
				}
				open = append(open, level{array: d == '[', key: d == '{'})
				continue
			default:
				open = open[:top]
				if top--; top < 0 {
					return nil, false
				}
			}
		} else if top >= 0 && open[top].key {
			open[top].name, _ = t.(string)
			open[top].key = false
			continue
		}
		if top >= 0 && !open[top].array {
			open[top].key = true
		}
	}
}

func sketchSheet(src io.Reader) (best profile.Sample, ok bool, err error) {
	book, err := sheet.Open(src)
	if err != nil {
		return profile.Sample{}, false, nil // damaged: no table
	}
	defer book.Close()
	bestScore := 0
	for range maxSheets {
		var lines, last []string
		var table [][]string
		var numbers []int
		for {
			n, cells, err := book.Next()
			if err != nil {
				break // its end, or damage that its reading will tell
			}
			row := make([]string, len(cells))
			for i, c := range cells {
				row[i] = c.Text
			}
			line := strings.TrimRight(strings.Join(row, "\t"), "\t")
			if len(table) < maxPreamble {
				table, numbers, lines = append(table, row), append(numbers, n), append(lines, line)
			} else if len(last) == sketchTail {
				last = slices.Delete(last, 0, 1)
			}
			last = append(last, line)
		}
		if at, score := headerOf(table); score > bestScore {
			bestScore = score
			best = profile.Sample{Encoding: "xlsx", Line: numbers[at], Header: trimHeader(table[at]), Rows: rowsAfter(table, at), Before: filled(lines[:at])}
			if n := len(table) - at - 1; n < len(last) {
				last = last[len(last)-n:]
			}
			best.After = footer(last[max(0, len(last)-sketchTail):], '\t', len(best.Header))
		}
		if more, err := book.NextSheet(); err != nil || !more {
			break
		}
	}
	return best, bestScore > 0, nil
}

// headerOf finds the line that looks most like a header: many filled cells, none of them a number or a date, with lines
// as wide below it.
func headerOf(table [][]string) (at, score int) {
	for i, cells := range table {
		names, values := 0, 0
		for _, c := range cells {
			c = strings.Trim(trim(c), "`'\"")
			switch {
			case c == "":
			case strings.ContainsAny(c[:1], "0123456789-+.¥"):
				values++
			default:
				names++
			}
		}
		if names < 3 || values > 0 {
			continue
		}
		below := 0
		for _, next := range table[i+1 : min(len(table), i+1+sketchRows)] {
			if len(next) >= len(trimHeader(cells)) {
				below++
			}
		}
		if n := names * (1 + below); n > score {
			at, score = i, n
		}
	}
	return at, score
}

func trimHeader(cells []string) []string {
	for len(cells) > 0 && trim(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	return cells
}

func rowsAfter(table [][]string, at int) [][]string {
	var rows [][]string
	for _, cells := range table[at+1:] {
		if len(rows) == sketchRows {
			break
		}
		if filledCells(cells)*2 > len(trimHeader(table[at])) {
			rows = append(rows, cells)
		}
	}
	return rows
}
