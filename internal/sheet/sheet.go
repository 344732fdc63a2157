// Package sheet reads the rows of an XLSX workbook's sheet, one after the other, in bounded memory. It tells what kind a
// cell is, because a number in a cell that should hold an identifier has lost digits. What the cells mean is not its
// affair.
//
// It reads the XML itself: a library's row iterator gives either a cell's text as displayed, which depends on a format
// somebody chose, or its stored text without its kind, and both are needed here.
package sheet

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Kind is what a cell is stored as.
type Kind int

// A Date is a number that is shown as a date or a time.
const (
	Empty Kind = iota
	String
	Number
	Date
	Bool
	Error
)

// Cell is one cell. The text of a number is its shortest plain decimal of fifteen digits, which is what Excel knows of it,
// or in scientific notation where it is larger; that of a date is 2006-01-02, 2006-01-02 15:04:05 or 15:04:05.
type Cell struct {
	Text string
	Kind Kind
}

// Limits: those of the format itself, and of what a clerk's workbook can sensibly be.
const (
	maxColumns = 1000
	maxRows    = 1 << 20
	maxCell    = 32767     // characters, three bytes each
	maxFile    = 512 << 20 // bytes of the workbook, which lies in a temporary file while it is read
	maxStrings = 256 << 20 // bytes of its shared texts, which lie in memory
	maxPart    = 4 << 30   // bytes of a sheet's XML
	maxStyles  = 64 << 20
)

// Workbook is an open workbook at one of its sheets. It is not safe for use by several goroutines at once.
type Workbook struct {
	temp    *os.File
	zip     *zip.Reader
	sheets  []visible // that are still to be opened
	sheet   string    // name of the one in hand
	shared  []string
	dates   []bool // by style: whether numbers are shown as dates
	base    time.Time
	part    io.ReadCloser
	dec     *xml.Decoder
	row     int
	cells   []Cell
	ended   bool
	pending []Cell // the first row, read to see that the sheet has one
	first   int
}

// Open spools a workbook and opens its first visible sheet that has cells. What cannot be read is an error that says so to
// the clerk who sent it.
func Open(src io.Reader) (_ *Workbook, err error) {
	w := &Workbook{base: time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.temp, err = os.CreateTemp("", "posrecon-sheet-*"); err != nil {
		return nil, fmt.Errorf("spool the workbook: %w", err)
	}
	size, err := io.Copy(w.temp, io.LimitReader(src, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("spool the workbook: %w", err)
	}
	if size > maxFile {
		return nil, fmt.Errorf("a workbook of more than %d MiB; save it as CSV", maxFile>>20)
	}
	if w.zip, err = zip.NewReader(w.temp, size); err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("the workbook is damaged or cut short: %w", err)
	}
	if w.sheets, err = w.readBook(); err != nil {
		return nil, err
	}
	if err := w.readStyles(); err != nil {
		return nil, err
	}
	if err := w.readShared(); err != nil {
		return nil, err
	}
	_, err = w.NextSheet()
	return w, err
}

// visible is a sheet that its reader sees.
type visible struct{ name, part string }

// NextSheet moves on to the next visible sheet that has cells; not ok after the last one, and then there are no more rows.
func (w *Workbook) NextSheet() (ok bool, err error) {
	for len(w.sheets) > 0 {
		s := w.sheets[0]
		w.sheets = w.sheets[1:]
		if err := w.openPart(s.part); err != nil {
			return false, err
		}
		w.sheet, w.ended, w.pending = s.name, false, nil
		row, cells, err := w.Next()
		if err == nil {
			w.first, w.pending = row, append([]Cell(nil), cells...)
			return true, nil
		}
		if !errors.Is(err, io.EOF) {
			return false, err
		}
	}
	w.ended, w.pending = true, nil
	return false, nil
}

// Sheet returns the name of the sheet in hand.
func (w *Workbook) Sheet() string { return w.sheet }

// Close lets go of the temporary file.
func (w *Workbook) Close() error {
	var errs []error
	if w.part != nil {
		errs = append(errs, w.part.Close())
		w.part = nil
	}
	if w.temp != nil {
		errs = append(errs, w.temp.Close(), os.Remove(w.temp.Name()))
		w.temp = nil
	}
	return errors.Join(errs...)
}

// open opens a part of the zip, nil where there is none.
func (w *Workbook) open(name string, limit int64) (io.ReadCloser, error) {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	for _, f := range w.zip.File {
		if strings.EqualFold(f.Name, name) {
			rc, err := f.Open()
			if err != nil {
				return nil, fmt.Errorf("the workbook is damaged: %s: %w", name, err)
			}
			return &part{rc, limit}, nil
		}
	}
	return nil, nil
}

// part is one part of the zip, up to a limit.
type part struct {
	io.ReadCloser
	left int64
}

func (p *part) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.left -= int64(n); p.left < 0 {
		return 0, errors.New("the workbook unpacks to more than any table holds")
	}
	return n, err
}

// decodePart decodes a small part whole.
func (w *Workbook) decodePart(name string, limit int64, into any) (bool, error) {
	rc, err := w.open(name, limit)
	if rc == nil || err != nil {
		return false, err
	}
	defer rc.Close()
	if err := xml.NewDecoder(rc).Decode(into); err != nil {
		return false, fmt.Errorf("the workbook is damaged: %s: %w", name, err)
	}
	return true, nil
}

// readBook finds the visible sheets and the date system.
func (w *Workbook) readBook() ([]visible, error) {
	var book struct {
		Properties struct {
			Date1904 string `xml:"date1904,attr"`
		} `xml:"workbookPr"`
		Sheets []struct {
			Name  string `xml:"name,attr"`
			State string `xml:"state,attr"`
			ID    string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
			Alt   string `xml:"http://purl.oclc.org/ooxml/officeDocument/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	found, err := w.decodePart("xl/workbook.xml", maxStyles, &book)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("this zip is no workbook: it has no xl/workbook.xml")
	}
	if book.Properties.Date1904 == "1" || book.Properties.Date1904 == "true" {
		w.base = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	var rels struct {
		List []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		} `xml:"Relationship"`
	}
	if _, err := w.decodePart("xl/_rels/workbook.xml.rels", maxStyles, &rels); err != nil {
		return nil, err
	}
	targets := map[string]string{}
	for _, r := range rels.List {
		if strings.HasPrefix(r.Target, "/") {
			targets[r.ID] = r.Target
		} else {
			targets[r.ID] = "xl/" + r.Target
		}
	}
	var parts []visible
	for i, s := range book.Sheets {
		if s.State == "hidden" || s.State == "veryHidden" {
			continue
		}
		target := targets[s.ID+s.Alt]
		if target == "" {
			target = fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)
		}
		parts = append(parts, visible{s.Name, target})
	}
	return parts, nil
}

// readStyles finds out which styles show a number as a date.
func (w *Workbook) readStyles() error {
	var styles struct {
		Formats []struct {
			ID   int    `xml:"numFmtId,attr"`
			Code string `xml:"formatCode,attr"`
		} `xml:"numFmts>numFmt"`
		Cells []struct {
			Format int `xml:"numFmtId,attr"`
		} `xml:"cellXfs>xf"`
	}
	if _, err := w.decodePart("xl/styles.xml", maxStyles, &styles); err != nil {
		return err
	}
	own := map[int]bool{}
	for _, f := range styles.Formats {
		own[f.ID] = isDateFormat(f.Code)
	}
	for _, c := range styles.Cells {
		date, ok := own[c.Format]
		if !ok {
			// The formats that every program knows by number: dates and times, and those of East Asian programs.
			id := c.Format
			date = id >= 14 && id <= 22 || id >= 27 && id <= 36 || id >= 45 && id <= 47 || id >= 50 && id <= 58
		}
		w.dates = append(w.dates, date)
	}
	return nil
}

// isDateFormat reports whether a number format shows parts of a date or time, outside quotes, brackets and escapes.
func isDateFormat(code string) bool {
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case '"':
			for i++; i < len(code) && code[i] != '"'; i++ {
			}
		case '[':
			from := i
			for i++; i < len(code) && code[i] != ']'; i++ {
			}
			if i < len(code) && strings.Trim(strings.ToLower(code[from+1:i]), "hms") == "" {
				return true // [h]:mm, elapsed time
			}
		case '\\', '_', '*':
			i++
		case 'y', 'Y', 'm', 'M', 'd', 'D', 'h', 'H', 's', 'S':
			return true
		}
	}
	return false
}

// readShared reads the texts that cells refer to by number. Runs of a text in several fonts are one text; readings
// (phonetic runs) are none.
func (w *Workbook) readShared() error {
	rc, err := w.open("xl/sharedStrings.xml", maxStrings*4)
	if rc == nil || err != nil {
		return err
	}
	defer rc.Close()
	dec := xml.NewDecoder(rc)
	total := 0
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the workbook is damaged: shared strings: %w", err)
		}
		if start, ok := t.(xml.StartElement); ok && start.Name.Local == "si" {
			text, err := richText(dec, "si")
			if err != nil {
				return fmt.Errorf("the workbook is damaged: shared strings: %w", err)
			}
			if total += len(text) + 16; total > maxStrings {
				return fmt.Errorf("the workbook has more than %d MiB of text; save it as CSV", maxStrings>>20)
			}
			w.shared = append(w.shared, text)
		}
	}
}

// richText joins the t elements up to the end of the element, without phonetic ones.
func richText(dec *xml.Decoder, end string) (string, error) {
	var b strings.Builder
	in, phonetic := false, 0
	for {
		t, err := dec.Token()
		if err != nil {
			return "", err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "rPh":
				phonetic++
			case "t":
				in = true
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "rPh":
				phonetic--
			case "t":
				in = false
			case end:
				return b.String(), nil
			}
		case xml.CharData:
			if in && phonetic == 0 && b.Len() < maxCell*3 {
				b.Write(t)
			}
		}
	}
}

func (w *Workbook) openPart(name string) error {
	if w.part != nil {
		if err := w.part.Close(); err != nil {
			return err
		}
		w.part = nil
	}
	rc, err := w.open(name, maxPart)
	if err != nil {
		return err
	}
	if rc == nil {
		return fmt.Errorf("the workbook is damaged: it has no %s", name)
	}
	w.part, w.dec, w.row = rc, xml.NewDecoder(rc), 0
	return nil
}

// Next returns the next row that has a cell with something in it, by the sheet's own number from 1, io.EOF after the last.
// The cells are overwritten by the next call.
func (w *Workbook) Next() (row int, cells []Cell, err error) {
	if w.pending != nil {
		cells, w.pending = w.pending, nil
		return w.first, cells, nil
	}
	for !w.ended {
		t, err := w.dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w.row, nil, fmt.Errorf("the workbook is damaged or cut short: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if t.Name.Local != "row" {
				continue
			}
			w.row++
			if n, err := strconv.Atoi(attribute(t, "r")); err == nil && n >= w.row {
				w.row = n
			}
			if w.row > maxRows {
				return w.row, nil, fmt.Errorf("more than %d rows", maxRows)
			}
			if err := w.readRow(); err != nil {
				return w.row, nil, err
			}
			for _, c := range w.cells {
				if strings.TrimSpace(c.Text) != "" {
					return w.row, w.cells, nil
				}
			}
		case xml.EndElement:
			if t.Name.Local == "sheetData" {
				return 0, nil, io.EOF
			}
		}
	}
	return 0, nil, io.EOF
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// readRow reads the cells of a row whose start has been read.
func (w *Workbook) readRow() error {
	w.cells = w.cells[:0]
	for {
		t, err := w.dec.Token()
		if err != nil {
			return fmt.Errorf("the workbook is damaged or cut short: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if t.Name.Local != "c" {
				continue
			}
			column := len(w.cells)
			if ref := attribute(t, "r"); ref != "" {
				if column = columnOf(ref); column < len(w.cells) {
					return fmt.Errorf("the workbook is damaged: cell %s stands out of order", ref)
				}
			}
			if column >= maxColumns {
				return fmt.Errorf("more than %d columns", maxColumns)
			}
			for len(w.cells) < column {
				w.cells = append(w.cells, Cell{})
			}
			cell, err := w.readCell(t)
			if err != nil {
				return err
			}
			w.cells = append(w.cells, cell)
		case xml.EndElement:
			if t.Name.Local == "row" {
				return nil
			}
		}
	}
}

// columnOf returns the number of the column of a reference such as AB12, from 0; the limit where it is none.
func columnOf(ref string) int {
	n := 0
	for i := 0; i < len(ref) && ref[i] >= 'A' && ref[i] <= 'Z'; i++ {
		if n = n*26 + int(ref[i]-'A') + 1; n > maxColumns {
			return maxColumns
		}
	}
	return n - 1
}

// readCell reads a cell whose start has been read.
func (w *Workbook) readCell(start xml.StartElement) (Cell, error) {
	typ := attribute(start, "t")
	var value strings.Builder
	in := false
	for {
		t, err := w.dec.Token()
		if err != nil {
			return Cell{}, fmt.Errorf("the workbook is damaged or cut short: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "v":
				in = true
			case "is":
				text, err := richText(w.dec, "is")
				if err != nil {
					return Cell{}, fmt.Errorf("the workbook is damaged or cut short: %w", err)
				}
				value.WriteString(text)
				typ = "str"
			}
		case xml.CharData:
			if in && value.Len() < maxCell*3 {
				value.Write(t)
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "v":
				in = false
			case "c":
				return w.cell(typ, attribute(start, "s"), value.String())
			}
		}
	}
}

func (w *Workbook) cell(typ, style, value string) (Cell, error) {
	switch typ {
	case "s":
		i, err := strconv.Atoi(value)
		if err != nil || i < 0 || i >= len(w.shared) {
			return Cell{}, fmt.Errorf("the workbook is damaged: there is no shared text %q", value)
		}
		return text(w.shared[i]), nil
	case "str", "inlineStr":
		return text(value), nil
	case "b":
		return Cell{value, Bool}, nil
	case "e":
		return Cell{value, Error}, nil
	case "d":
		return Cell{strings.Replace(strings.TrimSuffix(value, "Z"), "T", " ", 1), Date}, nil
	}
	if value == "" {
		return Cell{}, nil
	}
	n, err := decimal.NewFromString(value)
	if err != nil || n.Exponent() > 400 || n.Exponent() < -400 {
		return Cell{value, Number}, nil
	}
	if i, err := strconv.Atoi(style); err == nil && i >= 0 && i < len(w.dates) && w.dates[i] {
		if s, ok := w.date(n); ok {
			return Cell{s, Date}, nil
		}
	}
	return Cell{plain(n, value), Number}, nil
}

func text(s string) Cell {
	if s == "" {
		return Cell{}
	}
	return Cell{s, String}
}

// plain writes a number with the fifteen digits that Excel knows of it; a stored 35.799999999999997 is 35.8. What is too
// large for them stays in scientific notation.
func plain(n decimal.Decimal, stored string) string {
	digits := n.NumDigits()
	whole := digits + int(n.Exponent())
	if whole > 15 {
		if strings.ContainsAny(stored, "Ee") {
			return stored
		}
		all := n.Coefficient().String()
		return strings.TrimSuffix(all[:1]+"."+strings.TrimRight(all[1:], "0"), ".") + "E+" + strconv.Itoa(whole-1)
	}
	if digits > 15 {
		n = n.Round(int32(15 - whole))
	}
	return n.String()
}

// secondsADay is exact, as serial numbers count days.
var secondsADay = decimal.NewFromInt(86400)

// date turns a serial number into a date, a time of day or both, to the second. Before March 1900 Excel counts a day that
// never was; no bill is that old.
func (w *Workbook) date(n decimal.Decimal) (string, bool) {
	if n.IsNegative() || n.GreaterThanOrEqual(decimal.NewFromInt(2_958_466)) { // the year 10000
		return "", false
	}
	days := n.Truncate(0)
	seconds := n.Sub(days).Mul(secondsADay).Round(0).IntPart()
	at := w.base.AddDate(0, 0, int(days.IntPart())).Add(time.Duration(seconds) * time.Second)
	switch {
	case days.IsZero() && seconds > 0:
		return at.Format(time.TimeOnly), true
	case seconds == 0:
		return at.Format(time.DateOnly), true
	}
	return at.Format(time.DateTime), true
}
