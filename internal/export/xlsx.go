package export

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// sheetRows is how many rows go on one sheet: Excel's own limit is 1,048,576, and what people can still work with is
// a fifth of it.
const sheetRows = 200_000

// exactDigits is how long an amount is that a spreadsheet keeps to the fen: a sign, thirteen digits, the point and two more.
const exactDigits = 17

// cellChars is how many UTF-16 units of text a cell can hold.
const cellChars = 32767

// A sheet before and after its rows; its head and the first two columns stay in view. The first sheet is the one that shows.
const (
	sheetHead = xml.Header + `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews>` +
		`<sheetView workbookViewId="0"{selected}><pane xSplit="2" ySplit="1" topLeftCell="C2" activePane="bottomRight" state="frozen"/></sheetView>` +
		`</sheetViews><sheetFormatPr defaultRowHeight="15"/><sheetData>`
	sheetFoot = `</sheetData></worksheet>`
)

// writeXLSX writes sheets of at most sheetRows rows. Text is written as string cells, so identifiers keep every digit
// and nothing is a formula; amounts are numbers; what is absent is empty text. Rows go into the archive as they come: no sheet
// is ever held. All other parts of the workbook are the library's.
func writeXLSX(w io.Writer, view *View, rows rows) (int64, error) {
	return writeSheets(w, view, rows, sheetRows)
}

// writeSheets is writeXLSX with so many rows on a sheet.
func writeSheets(w io.Writer, view *View, rows rows, full int) (n int64, err error) {
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
	archive := zip.NewWriter(w)
	// Cells repeat so much that trying harder makes the file a quarter smaller and takes three times as long.
	archive.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	s := sheets{archive: archive, view: view, full: full, style: ` s="` + strconv.Itoa(amount) + `"`}
	if err := s.begin(); err != nil {
		return 0, fmt.Errorf("write the export: %w", err)
	}
	err = rows(func(r *row) error {
		n++
		if err := s.add(r); err != nil {
			return fmt.Errorf("write the export: %w", err)
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if err := s.end(); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	for i := 2; i <= s.sheets; i++ {
		if _, err := book.NewSheet("Sheet" + strconv.Itoa(i)); err != nil {
			return n, fmt.Errorf("write the export: %w", err)
		}
	}
	book.SetZipWriter(func(io.Writer) excelize.ZipWriter { return otherParts{archive} })
	if _, err := book.WriteTo(io.Discard); err != nil {
		return n, fmt.Errorf("write the export: %w", err)
	}
	return n, nil
}

// otherParts is an archive that takes the parts of a workbook, except for the sheets, which are in it.
type otherParts struct{ *zip.Writer }

func (o otherParts) Create(name string) (io.Writer, error) {
	if strings.HasPrefix(name, "xl/worksheets/") {
		return io.Discard, nil
	}
	return o.Writer.Create(name)
}

// AddFS is asked for by the library, which does not call it.
func (o otherParts) AddFS(fsys fs.FS) error { return o.Writer.AddFS(fsys) }

// sheets writes sheet after sheet into an archive.
type sheets struct {
	archive *zip.Writer
	view    *View
	full    int    // so many rows and a header go on a sheet
	style   string // of amounts, as an attribute
	sheet   io.Writer
	sheets  int
	rows    int // of this sheet, its header included
	buffer  []byte
	text    []byte
}

func (s *sheets) begin() (err error) {
	s.sheets++
	s.rows = 0
	if s.sheet, err = s.archive.Create("xl/worksheets/sheet" + strconv.Itoa(s.sheets) + ".xml"); err != nil {
		return err
	}
	selected := ""
	if s.sheets == 1 {
		selected = ` tabSelected="true"`
	}
	s.buffer = append(s.buffer[:0], strings.Replace(sheetHead, "{selected}", selected, 1)...)
	return s.line(func(i int) ([]byte, bool) { return []byte(columns[i].header(s.view)), false })
}

func (s *sheets) end() error {
	_, err := io.WriteString(s.sheet, sheetFoot)
	return err
}

// add writes a row, on a new sheet where this one is full.
func (s *sheets) add(r *row) error {
	if s.rows > s.full {
		if err := s.end(); err != nil {
			return err
		}
		if err := s.begin(); err != nil {
			return err
		}
	}
	return s.line(func(i int) ([]byte, bool) {
		s.text = columns[i].add(s.text[:0], s.view, r)
		return s.text, columns[i].kind == kindNumber
	})
}

// letters are the columns' names in a spreadsheet.
var letters = func() []string {
	names := make([]string, len(columns))
	for i := range names {
		names[i], _ = excelize.ColumnNumberToName(i + 1) // it fails only beyond 16,384 columns
	}
	return names
}()

// line writes one line of a sheet, whose cells it asks for: their text and whether it is a number.
func (s *sheets) line(cell func(column int) ([]byte, bool)) error {
	s.rows++
	number := strconv.Itoa(s.rows)
	b := append(append(append(s.buffer, `<row r="`...), number...), `">`...)
	for i := range columns {
		text, isNumber := cell(i)
		b = append(append(append(append(b, `<c r="`...), letters[i]...), number...), '"')
		if isNumber && len(text) > 0 && exact(text) {
			if bytes.IndexByte(text, '.') >= 0 {
				b = append(b, s.style...)
				text = bytes.TrimRight(bytes.TrimRight(text, "0"), ".") // a number has no places, its style has
			}
			b = append(append(append(b, `><v>`...), text...), `</v></c>`...)
		} else {
			b = append(appendXML(append(b, ` t="inlineStr"><is><t`...), text), `</t></is></c>`...)
		}
	}
	b = append(b, `</row>`...)
	s.buffer = b[:0]
	_, err := s.sheet.Write(b)
	return err
}

// exact reports whether a spreadsheet keeps a number: its numbers are binary floating point whatever is written; fen survive
// up to 10^13 yuan, and what is larger stays text.
func exact(text []byte) bool {
	if len(text) > exactDigits {
		return false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}

// escaped is what a spreadsheet reads as a character by its number.
var escaped = regexp.MustCompile(`^_x[0-9A-Fa-f]{4}_`)

// keepEscapes writes text so that a spreadsheet reads what looks like an escape as it stands.
func keepEscapes(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "_x")
		if i < 0 {
			return b.String() + text
		}
		b.WriteString(text[:i+1])
		if escaped.MatchString(text[i:]) {
			b.WriteString("x005F_")
		}
		text = text[i+1:]
	}
}

// appendXML appends the end of a start tag and text within the element.
func appendXML(b, text []byte) []byte {
	if len(text) == 0 || plainXML(text) {
		return append(append(b, '>'), text...)
	}
	value := string(text)
	if units := utf16.Encode([]rune(value)); len(units) > cellChars {
		end := cellChars
		if utf16.IsSurrogate(rune(units[end])) && units[end] >= 0xdc00 { // not through the middle of a character
			end--
		}
		value = string(utf16.Decode(units[:end]))
	}
	if strings.TrimSpace(value) != value {
		b = append(b, ` xml:space="preserve"`...)
	}
	out := bytes.NewBuffer(append(b, '>'))
	_ = xml.EscapeText(out, []byte(keepEscapes(value))) // a bytes.Buffer never fails
	return out.Bytes()
}

// plainXML reports whether text stands in a cell as it is. It may be wrong about text that does.
func plainXML(text []byte) bool {
	if len(text) > cellChars || text[0] == ' ' || text[len(text)-1] == ' ' {
		return false
	}
	ascii := true
	for i, c := range text {
		switch {
		case c < ' ' || c == '&' || c == '<' || c == '>' || c == '"' || c == '\'' || c == '_' && i+1 < len(text) && text[i+1] == 'x':
			return false
		case c == 0xc2 || c == 0xe2 || c == 0xe3 || c == 0xef: // what may be a blank or no character
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.Valid(text)
}
