package export

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format is how an export is written.
type Format string

// The formats of the contract.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
	XLSX  Format = "xlsx"
)

// rows calls do with one row after another. A row is valid until do returns.
type rows func(do func(*row) error) error

// Write streams the rows of a selection to w and returns how many there were.
func Write(ctx context.Context, q querier, w io.Writer, format Format, sel Selection, view View) (int64, error) {
	buffered := bufio.NewWriterSize(w, 1<<18)
	rows := func(do func(*row) error) error { return each(ctx, q, sel, do) }
	var (
		n   int64
		err error
	)
	switch format {
	case CSV:
		n, err = writeCSV(buffered, &view, rows)
	case JSONL:
		n, err = writeJSONL(buffered, &view, rows)
	case XLSX:
		n, err = writeXLSX(buffered, &view, rows)
	default:
		return 0, fmt.Errorf("format %q is none of csv, jsonl and xlsx", format)
	}
	if err != nil {
		return n, err
	}
	if err := buffered.Flush(); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	return n, nil
}

// writeCSV writes RFC 4180 with CRLF, UTF-8 with a byte order mark: without one Chinese Excel shows mojibake.
func writeCSV(w io.Writer, view *View, rows rows) (int64, error) {
	line := []byte("\ufeff")
	for i := range columns {
		line = append(append(line, columns[i].header(view)...), ',')
	}
	line[len(line)-1] = '\r'
	line = append(line, '\n')
	if _, err := w.Write(line); err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	var n int64
	err := rows(func(r *row) error {
		line = line[:0]
		for i := range columns {
			from := len(line)
			line = columns[i].add(line, view, r)
			if columns[i].kind == kindText && len(line) > from {
				line = quote(line, from)
			}
			line = append(line, ',')
		}
		line[len(line)-1] = '\r'
		line = append(line, '\n')
		n++
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		return nil
	})
	return n, err
}

// special are the bytes for which a cell is put into quotes.
var special = [256]bool{',': true, '"': true, '\r': true, '\n': true}

// quote makes a cell of a CSV of the text that begins in line at from: guarded, and in quotes where encoding/csv puts them,
// which would take an allocation for each cell. Nearly no cell needs either.
func quote(line []byte, from int) []byte {
	if guarded(line[from:]) {
		line = slices.Insert(line, from, '\'')
	}
	if !needsQuotes(line[from:]) {
		return line
	}
	cell := bytes.Clone(line[from:])
	line = append(line[:from], '"')
	for _, c := range cell {
		switch c {
		case '"':
			line = append(line, `""`...)
		case '\n':
			line = append(line, "\r\n"...)
		case '\r': // a line's end is written by its line feed
		default:
			line = append(line, c)
		}
	}
	return append(line, '"')
}

func needsQuotes(cell []byte) bool {
	for _, c := range cell {
		if special[c] {
			return true
		}
	}
	if c := cell[0]; c > ' ' && c < utf8.RuneSelf {
		return c == '\\' && string(cell) == `\.` // PostgreSQL's end of data
	}
	first, _ := utf8.DecodeRune(cell)
	return unicode.IsSpace(first)
}

// writeJSONL writes one JSON object a row, keys in column order. Amounts are strings with two places, so that no
// reader makes floats of them; an absent value is null.
func writeJSONL(w io.Writer, view *View, rows rows) (int64, error) {
	keys := make([][]byte, len(columns))
	for i := range columns {
		keys[i] = append(strconv.AppendQuote([]byte{','}, columns[i].header(view)), ':')
	}
	keys[0][0] = '{'
	var n int64
	var line, value []byte
	err := rows(func(r *row) error {
		line = line[:0]
		for i := range columns {
			line = append(line, keys[i]...)
			if value = columns[i].add(value[:0], view, r); len(value) == 0 {
				line = append(line, "null"...)
				continue
			}
			var err error
			if line, err = appendJSON(line, value); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
		}
		line = append(line, '}', '\n')
		n++
		if _, err := w.Write(line); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		return nil
	})
	return n, err
}

// appendJSON appends text as encoding/json writes it.
func appendJSON(line, text []byte) ([]byte, error) {
	for _, c := range text {
		if c < ' ' || c >= utf8.RuneSelf || strings.IndexByte("\"\\<>&\x7f", c) >= 0 {
			told, err := json.Marshal(string(text))
			return append(line, told...), err
		}
	}
	return append(append(append(line, '"'), text...), '"'), nil
}
