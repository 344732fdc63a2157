package statement

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/charset"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/sheet"
)

// headBytes is how much of a file's beginning its format is recognised by: some two hundred lines of the widest bill.
const headBytes = 64 << 10

// separators that a table may have, whatever its source wrote: a spreadsheet that saves it again takes its own.
var separators = []byte{',', '\t', '|', ';'}

// found is a recognised format and where its rows begin.
type found struct {
	profile *profile.Profile
	sep     byte     // of a table in text
	lines   []string // before the rows, for captures and totals
	skip    int      // physical lines before the rows, the header included
	line    int      // the header's line, 0 without one
	row     int      // of a sheet: the header's row, or the first one
	header  []string
	blank   int // cells that rows of text may have beyond the header's, all blank
}

// recognise finds which of the profiles a text's first lines fit. A header of the most known columns wins; without a
// header anywhere, the first row that fits one of the profiles that need none.
func recognise(head []byte, whole bool, profiles []*profile.Profile) *found {
	trimmed := bytes.TrimLeft(head, " \t\r\n")
	if len(trimmed) == 0 {
		return nil
	}
	switch trimmed[0] {
	case '{', '[':
		if f := recogniseJSON(head, headLines(head, whole), profiles); f != nil {
			return f
		}
	}
	if f := recogniseStandard(trimmed, profiles); f != nil {
		return f
	}
	lines := headLines(head, whole)
	if f := recogniseHeader(lines, profiles); f != nil {
		return f
	}
	if f := recogniseRow(lines, profiles); f != nil {
		return f
	}
	for _, p := range profiles {
		if len(p.Match.Columns) == 0 && len(p.Match.Cells) == 0 && len(p.Match.Lines) > 0 && p.FitsLines(lines) {
			return &found{profile: p, sep: ',', lines: lines}
		}
	}
	return nil
}

// headLines cuts the head into physical lines, without one that the head may have cut off.
func headLines(head []byte, whole bool) []string {
	lines := strings.Split(string(head), "\n")
	if !whole || lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if len(lines) > maxPreamble+1 {
		lines = lines[:maxPreamble+1]
	}
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], "\r")
	}
	return lines
}

func recogniseHeader(lines []string, profiles []*profile.Profile) *found {
	var cells []string
	for i, line := range lines {
		var best *found
		bestKnown := 0
		for _, sep := range separators {
			if strings.IndexByte(line, sep) < 0 {
				continue
			}
			cells, _ = cutCells(cells[:0], line, sep, strings.IndexByte(line, '"') >= 0, maxColumns)
			header := profile.NewHeader(cells)
			for _, p := range profiles {
				if known, ok := p.FitsHeader(header, lines[:i]); ok && known > bestKnown && p.IsTable() {
					best = &found{profile: p, sep: sep, lines: lines[:i], skip: i + 1, line: i + 1, header: append([]string(nil), cells...)}
					bestKnown = known
				}
			}
		}
		if best != nil {
			for len(best.header) > 0 && strings.TrimSpace(best.header[len(best.header)-1]) == "" {
				best.header = best.header[:len(best.header)-1]
				best.blank++
			}
			best.blank = max(best.blank, blankBeyond(lines[i+1:], best.sep, len(best.header)))
			return best
		}
	}
	return nil
}

// blankBeyond returns how many cells the rows of a table have beyond its header: sources that quote end each row with one
// more separator than the header. Where nothing is quoted such a row may as well hold a separator within a cell, and its
// amounts stand under the wrong names; no cell holds a tab.
func blankBeyond(lines []string, sep byte, width int) int {
	beyond, open := -1, false
	var cells []string
	for _, line := range lines {
		quotes := strings.Count(line, `"`)
		if before := open; before || quotes%2 == 1 {
			open = before != (quotes%2 == 1)
			continue // a cell of several lines
		}
		quoted, n := quotes > 0, 0
		if cells, n = cutCells(cells[:0], line, sep, quoted, maxColumns); n <= width/2 {
			continue // a title, a summary
		}
		if !quoted && sep != '\t' || strings.TrimSpace(strings.Join(cells[min(width, len(cells)):], "")) != "" {
			return 0
		}
		if n = max(n-width, 0); beyond < 0 || n < beyond {
			beyond = n
		}
	}
	return max(beyond, 0)
}

// maxFirstRows is how many lines may stand before the first row of a file without a header: titles and blank lines of a
// concatenated export.
const maxFirstRows = 40

func recogniseRow(lines []string, profiles []*profile.Profile) *found {
	var cells []string
	for i, line := range lines[:min(len(lines), maxFirstRows)] {
		for _, p := range profiles {
			if p.HasHeader() || len(p.Match.Cells) == 0 {
				continue
			}
			if p.File.Layout == "fixed" {
				var ok bool
				if cells, ok = cutFixed(cells[:0], line, p.File.Widths, p.File.Gap, p.File.Short, nil); ok && p.FitsRow(cells) {
					return &found{profile: p, lines: lines[:i], skip: i, header: p.File.Columns}
				}
				continue
			}
			for _, sep := range separators {
				if strings.IndexByte(line, sep) < 0 {
					continue
				}
				cells, _ = cutCells(cells[:0], line, sep, strings.IndexByte(line, '"') >= 0, maxColumns)
				if p.FitsRow(cells) {
					return &found{profile: p, sep: sep, lines: lines[:i], skip: i, header: p.File.Columns, blank: max(len(cells)-len(p.File.Columns), 0)}
				}
			}
		}
	}
	return nil
}

// recogniseJSON looks at the first row that each profile's path leads to.
func recogniseJSON(head []byte, lines []string, profiles []*profile.Profile) *found {
	var best *found
	bestKnown := 0
	for _, p := range profiles {
		if p.File.Layout != "json" {
			continue
		}
		rows := newJSONRows(bytes.NewReader(head), p.File.Rows, nil)
		r, err := rows.next()
		for range maxFirstRows {
			if err == nil && r.rule != "" { // an element that is no row
				r, err = rows.next()
			}
		}
		if err != nil {
			continue
		}
		if known, ok := p.FitsHeader(profile.NewHeader(rows.keys()), lines); ok && known > bestKnown {
			best, bestKnown = &found{profile: p, header: p.Names()}, known
		}
	}
	return best
}

// recogniseStandard knows the international statements by how they begin.
func recogniseStandard(head []byte, profiles []*profile.Profile) *found {
	layout := ""
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case head[0] == '<' && bytes.Contains(head[:min(len(head), 4096)], []byte("camt.053")):
		layout = "camt053"
	case bytes.HasPrefix(head, []byte(":20:")), bytes.HasPrefix(head, []byte("{1:")) && bytes.Contains(head, []byte(":61:")):
		layout = "mt940"
	case bytes.HasPrefix(head, []byte("01,")) && bytes.HasSuffix(bytes.TrimSpace(first), []byte("/")):
		layout = "bai2"
	default:
		return nil
	}
	for _, p := range profiles {
		if p.File.Layout == layout {
			return &found{profile: p, header: standardColumns}
		}
	}
	return nil
}

// openSheet recognises a workbook by the first rows of its visible sheets: the first sheet that something reads counts, and
// there may be a cover before it. Where nothing reads any of them the rows are the first sheet's.
func openSheet(src io.Reader, opt Options) (*found, *sheetRows, error) {
	book, err := sheet.Open(src)
	if err != nil {
		return nil, nil, &FileError{Line: 1, Rule: err.Error()}
	}
	rows := &sheetRows{book: book}
	var cover []row
	for n := range maxSheets {
		first, err := rows.head()
		if err != nil && n == 0 {
			return nil, nil, errors.Join(err, book.Close())
		}
		if f := recogniseSheet(first, opt.Profiles); f != nil {
			rows.skipTo(first, f)
			return f, rows, nil
		}
		if canonicalSheet(first) {
			rows.first = first
			return nil, rows, nil
		}
		if f := recogniseSheet(first, profile.Builtin()); f != nil {
			rows.skipTo(first, f)
			return f, rows, nil
		}
		if n == 0 {
			cover = first
		}
		if more, err := book.NextSheet(); err != nil || !more {
			break
		}
	}
	rows.first = cover
	return nil, rows, nil
}

// head reads as many rows as a sheet is recognised by.
func (s *sheetRows) head() ([]row, error) {
	var first []row
	for len(first) <= maxPreamble {
		r, err := s.read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		r.cells = append([]string(nil), r.cells...)
		first = append(first, r)
	}
	return first, nil
}

// skipTo gives the rows behind the header again.
func (s *sheetRows) skipTo(first []row, f *found) {
	for i, r := range first {
		if r.line >= f.row {
			if f.line > 0 {
				i++
			}
			s.first = first[i:]
			return
		}
	}
}

// recogniseSheet finds which of the profiles the first rows of a sheet fit.
func recogniseSheet(first []row, profiles []*profile.Profile) *found {
	var lines []string
	for _, r := range first {
		var best *found
		bestKnown := 0
		header := profile.NewHeader(r.cells)
		for _, p := range profiles {
			if known, ok := p.FitsHeader(header, lines); ok && known > bestKnown && p.IsTable() {
				best, bestKnown = &found{profile: p, lines: lines, line: r.line, row: r.line, header: r.cells}, known
			}
			if p.IsTable() && p.FitsRow(r.cells) && best == nil {
				best = &found{profile: p, lines: lines, row: r.line, header: p.File.Columns}
			}
		}
		if best != nil {
			return best
		}
		lines = append(lines, strings.TrimRight(r.raw, "\t"))
	}
	return nil
}

// canonicalSheet reports whether a sheet begins as the input contract has it.
func canonicalSheet(first []row) bool {
	r := &Reader{}
	r.cells.zone = utc
	return r.openCanonicalSheet(&sheetRows{first: first}) == nil
}

// otherSheets returns the names of the sheets, behind the one in hand, that something reads as well.
func (s *sheetRows) otherSheets(opt Options) []string {
	var names []string
	for range maxSheets {
		if more, err := s.book.NextSheet(); err != nil || !more {
			break
		}
		first, err := s.head()
		if err == nil && (recogniseSheet(first, opt.Profiles) != nil || canonicalSheet(first) || recogniseSheet(first, profile.Builtin()) != nil) {
			names = append(names, s.book.Sheet())
		}
	}
	return names
}

// open finds the format of src and prepares the reader for it.
func (r *Reader) open(src io.Reader, opt Options) error {
	peeked := newPeeker(src)
	magic := peeked.peek(8)
	if bytes.HasPrefix(magic, []byte("PK\x03\x04")) {
		return r.openWorkbook(peeked, opt)
	}
	if rule := foreignFormat(magic); rule != "" {
		return &FileError{Line: 1, Rule: rule}
	}
	text := charset.NewReader(peeked)
	r.text = text
	r.scan = newScanner(text)
	head := bytes.Clone(r.scan.peek(headBytes))
	whole := len(head) < headBytes
	if f := recognise(head, whole, opt.Profiles); f != nil {
		return r.openProfile(f, opt)
	}
	if canonical(head) {
		return r.openCanonical()
	}
	if f := recognise(head, whole, profile.Builtin()); f != nil {
		return r.openProfile(f, opt)
	}
	switch trimmed := bytes.TrimLeft(head, " \t\r\n"); {
	case bytes.HasPrefix(trimmed, []byte("{")), bytes.HasPrefix(trimmed, []byte("[")):
		return unknownJSON(head)
	case bytes.HasPrefix(trimmed, []byte("<")):
		return &FileError{Line: 1, Rule: "an XML document that no format reads"}
	}
	return unknown(r.openCanonical(), headLines(head, whole), separators)
}

// unknown says of a table that nothing reads what it comes nearest to, in place of what it lacks to be one of the contract's.
func unknown(err error, lines []string, separators []byte) error {
	var fe *FileError
	if !errors.As(err, &fe) || !fe.Unknown {
		return err
	}
	best := 0
	var header []string
	for _, sep := range separators {
		table := cutLines(lines, sep)
		if at, score := headerOf(table); score > best {
			best, header, fe.Line = score, trimHeader(table[at]), at+1
		}
	}
	for i, line := range lines {
		// A row may hold such a comma in a text; of a header it parts the names.
		if wide := strings.Count(line, "，"); wide > 0 && (best > 0 && i == fe.Line-1 || best == 0 && wide > 1) {
			fe.Line = i + 1
			fe.Rule = "the header has full-width commas （，） where its names should be parted by plain ones (,): an input method or a program changed them; " +
				"put plain ones in their place, there and in the rows"
			return fe
		}
	}
	if near, lacks := profile.Nearest(header, false); near != nil {
		fe.Rule = nearest("no format reads it", near, lacks)
	} else if strings.ContainsFunc(strings.Join(header, ""), func(r rune) bool { return r >= utf8.RuneSelf }) {
		fe.Rule = "no format reads its columns, and they are not those of a POS log, settlement or payout file of the contract's either"
	}
	return fe
}

func nearest(rule string, near *profile.Profile, lacks []string) string {
	return fmt.Sprintf("%s; nearest is %s, and it lacks %s", rule, near.Name, strings.Join(lacks, ", "))
}

// unknownJSON is unknown for a JSON document.
func unknownJSON(head []byte) *FileError {
	const rule = "a JSON document that no format reads"
	s, ok := sketchJSON(head)
	if !ok {
		return &FileError{Line: 1, Rule: rule + "; a profile with file: {layout: json} can"}
	}
	fe := &FileError{Line: 1, Unknown: true, Rule: rule}
	if near, lacks := profile.Nearest(s.Header, true); near != nil {
		fe.Rule = nearest(rule, near, lacks)
	}
	return fe
}

// canonical reports whether a text begins as the input contract has it.
func canonical(head []byte) bool {
	r := &Reader{scan: newScanner(bytes.NewReader(head))}
	r.cells.zone = utc
	return r.openCanonical() == nil
}

// openWorkbook reads a workbook by a profile; one with the contract's own columns is read as if it were CSV.
func (r *Reader) openWorkbook(src io.Reader, opt Options) error {
	f, rows, err := openSheet(src, opt)
	if err != nil {
		return err
	}
	r.book, r.opt, r.sheet = rows, opt, rows.book.Sheet()
	if f != nil {
		return r.openProfile(f, opt)
	}
	lines := make([]string, len(rows.first))
	for i, row := range rows.first {
		lines[i] = strings.TrimRight(strings.NewReplacer("\n", " ", "\r", " ").Replace(row.raw), "\t")
	}
	first := rows.first
	err = unknown(r.openCanonicalSheet(rows), lines, []byte{'\t'})
	var fe *FileError
	if errors.As(err, &fe) && fe.Unknown && fe.Line > 0 && fe.Line <= len(first) {
		fe.Line = first[fe.Line-1].line
	}
	return err
}

// peeker gives the first bytes twice.
type peeker struct {
	src   io.Reader
	first []byte
	err   error // of the source, met while peeking
}

func newPeeker(src io.Reader) *peeker { return &peeker{src: src} }

func (p *peeker) peek(n int) []byte {
	buf := make([]byte, n)
	m, err := io.ReadFull(p.src, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		p.err = err
	}
	p.first = buf[:m]
	return p.first
}

func (p *peeker) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.src.Read(b)
}
