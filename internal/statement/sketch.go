package statement

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/posrecon/posrecon/internal/charset"
	"github.com/posrecon/posrecon/internal/sheet"
)

// Sketch is what can be seen of a table that no format reads: the line that looks like its header, and the first rows.
type Sketch struct {
	Encoding  string
	Separator string // "" for a workbook
	Line      int    // of the header
	Header    []string
	Rows      [][]string // at most ten
}

// sketchRows is how many rows of a sketch are kept.
const sketchRows = 10

// NewSketch looks at the beginning of a file. It is not ok where nothing there looks like a table.
func NewSketch(src io.Reader) (s Sketch, ok bool, err error) {
	peeked := newPeeker(src)
	if bytes.HasPrefix(peeked.peek(8), []byte("PK\x03\x04")) {
		return sketchSheet(peeked)
	}
	text := charset.NewReader(peeked)
	scan := newScanner(text)
	head := bytes.Clone(scan.peek(headBytes))
	if scan.failed() {
		return Sketch{}, false, scan.err
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return Sketch{}, false, nil
	}
	lines := headLines(head, len(head) < headBytes)
	best := 0
	for _, sep := range separators {
		var table [][]string
		for _, line := range lines {
			cells, _ := cutCells(nil, line, sep, strings.Contains(line, `"`), maxColumns)
			table = append(table, cells)
		}
		if at, score := headerOf(table); score > best {
			best = score
			s = Sketch{Encoding: text.Encoding(), Separator: string(sep), Line: at + 1, Header: trimHeader(table[at]), Rows: rowsAfter(table, at)}
		}
	}
	return s, best > 0, nil
}

func sketchSheet(src io.Reader) (Sketch, bool, error) {
	book, err := sheet.Open(src)
	if err != nil {
		return Sketch{}, false, nil // damaged: no table
	}
	defer book.Close()
	var table [][]string
	var numbers []int
	for len(table) < maxPreamble {
		n, cells, err := book.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Sketch{}, false, nil
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = c.Text
		}
		table, numbers = append(table, row), append(numbers, n)
	}
	at, score := headerOf(table)
	if score == 0 {
		return Sketch{}, false, nil
	}
	return Sketch{Encoding: "xlsx", Line: numbers[at], Header: trimHeader(table[at]), Rows: rowsAfter(table, at)}, true, nil
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
		if len(cells)*2 > len(table[at]) && strings.TrimSpace(strings.Join(cells, "")) != "" {
			rows = append(rows, cells)
		}
	}
	return rows
}
