package export

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"
)

// Format is how an export is written.
type Format string

// The formats of the contract.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
	XLSX  Format = "xlsx"
)

// Write streams the rows of a selection to w and returns how many there were.
func Write(ctx context.Context, q querier, w io.Writer, format Format, sel Selection, view View) (int64, error) {
	buffered := bufio.NewWriterSize(w, 1<<18)
	var (
		n   int64
		err error
	)
	switch format {
	case CSV:
		n, err = writeCSV(ctx, q, buffered, sel, &view)
	case JSONL:
		n, err = writeJSONL(ctx, q, buffered, sel, &view)
	case XLSX:
		n, err = writeXLSX(ctx, q, buffered, sel, &view)
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
func writeCSV(ctx context.Context, q querier, w io.Writer, sel Selection, view *View) (int64, error) {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	cells := make([]string, len(columns))
	for i := range columns {
		cells[i] = columns[i].header(view)
	}
	if err := out.Write(cells); err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	var n int64
	err := each(ctx, q, sel, func(r *row) error {
		for i := range columns {
			if cells[i] = columns[i].value(view, r); !columns[i].number {
				cells[i] = guard(cells[i])
			}
		}
		n++
		if err := out.Write(cells); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	return n, nil
}

// writeJSONL writes one JSON object a row, keys in column order. Amounts are strings with two places, so that no
// reader makes floats of them; an absent value is null.
func writeJSONL(ctx context.Context, q querier, w io.Writer, sel Selection, view *View) (int64, error) {
	var n int64
	var line []byte
	err := each(ctx, q, sel, func(r *row) error {
		line = append(line[:0], '{')
		for i := range columns {
			if i > 0 {
				line = append(line, ',')
			}
			line = strconv.AppendQuote(line, columns[i].header(view))
			line = append(line, ':')
			value := columns[i].value(view, r)
			if value == "" {
				line = append(line, "null"...)
				continue
			}
			text, err := json.Marshal(value)
			if err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
			line = append(line, text...)
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

// sheetRows is how many rows go on one sheet: Excel's own limit is 1,048,576, and what people can still work with is
// a fifth of it.
const sheetRows = 200_000

// exactDigits is how long an amount is that a spreadsheet keeps to the fen: a sign, thirteen digits, the point and two more.
const exactDigits = 17

// writeXLSX writes sheets of at most sheetRows rows. Text is written as string cells, so identifiers keep every digit
// and nothing is a formula; amounts are numbers. The stream writer spills to a temporary file, not to memory.
func writeXLSX(ctx context.Context, q querier, w io.Writer, sel Selection, view *View) (n int64, err error) {
	book := excelize.NewFile()
	defer func() {
		if cerr := book.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("write the export: %w", cerr)
		}
	}()
	amount, err := book.NewStyle(&excelize.Style{NumFmt: 4}) // #,##0.00
	if err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	var sheet *excelize.StreamWriter
	sheets := 0
	begin := func() error {
		sheets++
		name := "Sheet" + strconv.Itoa(sheets)
		if sheets > 1 {
			if _, err := book.NewSheet(name); err != nil {
				return err
			}
		}
		var err error
		if sheet, err = book.NewStreamWriter(name); err != nil {
			return err
		}
		if err := sheet.SetPanes(&excelize.Panes{Freeze: true, XSplit: 2, YSplit: 1, TopLeftCell: "C2", ActivePane: "bottomRight"}); err != nil {
			return err
		}
		header := make([]any, len(columns))
		for i := range columns {
			header[i] = columns[i].header(view)
		}
		return sheet.SetRow("A1", header)
	}
	if err := begin(); err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	cells := make([]any, len(columns))
	err = each(ctx, q, sel, func(r *row) error {
		if n > 0 && n%sheetRows == 0 {
			if err := sheet.Flush(); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
			if err := begin(); err != nil {
				return fmt.Errorf("write the export: %w", err)
			}
		}
		for i := range columns {
			value := columns[i].value(view, r)
			cells[i] = value
			// A spreadsheet's numbers are binary floating point whatever is written; fen survive up to 10^13 yuan, and what is
			// larger stays text.
			if columns[i].number && value != "" && len(value) <= exactDigits {
				number, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return fmt.Errorf("column %s: %w", columns[i].name, err)
				}
				cell := excelize.Cell{Value: number}
				if _, err := strconv.Atoi(value); err != nil {
					cell.StyleID = amount
				}
				cells[i] = cell
			}
		}
		at, err := excelize.CoordinatesToCellName(1, int(n%sheetRows)+2)
		if err != nil {
			return err
		}
		n++
		if err := sheet.SetRow(at, cells); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if err := sheet.Flush(); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	if err := book.Write(w); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	return n, nil
}
