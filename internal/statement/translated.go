package statement

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

var utc = time.UTC

// translated reads a file by a profile: rows of the source's cells become canonical values, which are then read by the
// same rules as a canonical file's.
type translated struct {
	profile *profile.Profile
	found   *found
	rows    rowSource
	bind    *profile.Binding
	columns []column // of what bind gives
	values  []string // what it gives
	given   [columnCount]string
	summary []string // header of a summary block whose values are in the next row
	count   int      // rows, for the source's cap, of the export in hand: there may be several in one file
	capped  int      // rows of an export that was cut off
	left    int      // of which are none of the profile's
	around  []string // the first lines outside the rows that state nothing
	sound   bool     // what was captured outside the rows is printable text

	captured map[string]string
	special  map[string]special // first cells of lines that may be no rows though they fill most of the cells
	leads    [256]bool          // the bytes that these begin with: few rows do
}

// openProfile prepares reading by the profile that was found.
func (r *Reader) openProfile(f *found, opt Options) error {
	p := f.profile
	if p.Missing != "" {
		return &FileError{Line: max(f.line, 1), Rule: p.Missing, Format: p.Name, Version: p.Version()}
	}
	if p.Kind == "none" {
		return &FileError{Line: max(f.line, 1), Rule: p.Nothing, Nothing: true, Format: p.Name, Version: p.Version()}
	}
	t := &translated{profile: p, found: f}
	switch {
	case r.book != nil:
		t.rows = r.book
	case p.IsTable():
		r.skipLines(f.skip)
		r.scan.sep = f.sep
		t.rows = &tableRows{scan: r.scan, width: len(f.header), limit: max(len(f.header), 64)}
	case p.File.Layout == "fixed":
		r.skipLines(f.skip)
		t.rows = &fixedRows{scan: r.scan, widths: p.File.Widths, gap: p.File.Gap, short: p.File.Short, used: p.Used()}
	case p.File.Layout == "json":
		rows := newJSONRows(r.scan, p.File.Rows, f.header)
		rows.member = func(path, value string) { t.bind.Member(path, value) }
		t.rows = rows
	case p.File.Layout == "camt053":
		t.rows = newCamtRows(r.scan)
	case p.File.Layout == "mt940":
		t.rows = &mt940Rows{scan: r.scan}
	case p.File.Layout == "bai2":
		t.rows = &bai2Rows{scan: r.scan}
	}
	t.captured = p.Captured(f.lines, opt.Name)
	t.sound = true
	for _, v := range t.captured {
		t.sound = t.sound && legible(v, ' ')
	}
	var err error
	if t.bind, err = p.Bind(f.header, t.captured); err != nil {
		return &FileError{Line: max(f.line, 1), Rule: err.Error(), Format: p.Name, Version: p.Version()}
	}
	t.special = map[string]special{}
	for _, label := range p.Labels() {
		t.special[label] = aTotal
	}
	if p.HasHeader() {
		for _, name := range f.header {
			t.special[name] = aHeader
		}
	}
	for name := range t.special {
		if name != "" {
			t.leads[name[0]] = true
		}
	}
	for _, name := range t.bind.Columns() {
		t.columns = append(t.columns, columnByName[name])
	}
	t.values = make([]string, len(t.columns))
	for _, line := range f.lines {
		if !t.bind.States(line, t.cellsOf(line)) {
			t.noteAround(line)
		}
	}
	r.by = t
	r.head = &header{kind: recon.Kind(p.Kind), names: f.header}
	r.meta.Acquirer = p.Acquirer
	r.cells.zone = p.Zone(r.cells.zone)
	r.cells.given = &t.given
	return nil
}

// aroundLines is how many lines outside the rows are shown to people.
const aroundLines = 10

func (t *translated) noteAround(line string) {
	if len(t.around) < aroundLines && strings.Trim(line, " \t\r\n,;|\"") != "" {
		t.around = append(t.around, excerpt([]byte(line), maxValue/2))
	}
}

// special says what the first cell of a line may mean.
type special byte

const (
	aHeader special = 1 + iota // that comes again
	aTotal
)

// cellsOf cuts a line before the rows.
func (t *translated) cellsOf(line string) []string {
	sep := t.found.sep
	if _, isSheet := t.rows.(*sheetRows); isSheet {
		sep = '\t'
	}
	if sep == 0 {
		return nil
	}
	cells, _ := cutCells(nil, line, sep, strings.IndexByte(line, '"') >= 0, maxColumns)
	return cells
}

// skipLines passes over the lines before the rows.
func (r *Reader) skipLines(n int) {
	for range n {
		if err := r.scan.skipLine(); err != nil {
			return // the next read tells
		}
	}
}

// nextTranslated is Next for a file that a profile reads.
func (r *Reader) nextTranslated() (Record, error) {
	t := r.by
	for r.done == nil {
		row, err := t.rows.next()
		if err != nil {
			if r.done = err; err == io.EOF {
				r.lookAtOtherSheets()
			}
			break
		}
		if t.outside(&row) {
			continue
		}
		t.count++
		rec, ok := r.translate(&row)
		if ok {
			return rec, nil
		}
		t.left++
	}
	return Record{}, r.done
}

// outside takes what stands between or after the rows: control totals, titles, a header that comes again. A row of the
// table fills more than half of its cells, so that few lines need a closer look.
func (t *translated) outside(row *row) bool {
	if t.profile.File.Layout == "fixed" { // a trailer is as wide as it likes
		if t.bind.States(row.raw, nil) {
			return true
		}
		if t.profile.Ignored(row.raw) {
			t.noteAround(row.raw)
			return true
		}
		return false
	}
	if row.rule != "" || !t.profile.IsTable() {
		return false
	}
	if t.summary != nil {
		t.bind.SummaryValues(t.summary, slices.Clone(row.cells))
		t.summary = nil
		return true
	}
	filled := 0
	for _, c := range row.cells {
		if len(c) > 0 && (len(c) > 2 || strings.TrimSpace(c) != "") {
			filled++
		}
	}
	first := ""
	if len(row.cells) > 0 {
		first = row.cells[0]
	}
	mark := special(0)
	if len(first) > 0 && t.leads[first[0]] {
		mark = t.special[first]
	}
	if filled*2 <= len(t.found.header) || row.width < len(t.found.header) || first != "" && first[0] == '#' || mark == aTotal {
		if t.bind.States(row.raw, row.cells) {
			return true
		}
		if t.bind.Summary(row.cells) {
			t.summary = slices.Clone(row.cells)
			return true
		}
		if t.profile.Ignored(row.raw) {
			t.noteAround(row.raw)
			t.exported() // a title begins another one
			return true
		}
		if filled == 0 {
			return true
		}
	}
	return mark == aHeader && t.headerAgain(row)
}

// headerAgain takes a header that comes again, where several exports were put one after the other. Its columns may stand in
// another order, or be others.
func (t *translated) headerAgain(row *row) bool {
	cells := slices.Clone(row.cells)
	for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	if !slices.Equal(cells, t.found.header) {
		if _, ok := t.profile.FitsHeader(profile.NewHeader(cells), t.found.lines); !ok {
			return false
		}
		bind, err := t.profile.Bind(cells, t.captured)
		if err != nil || !slices.Equal(bind.Columns(), t.bind.Columns()) {
			return false // its rows would be other records: they are rejected, as they do not fit the first header
		}
		bind.Continue(t.bind)
		t.bind, t.found.header = bind, cells
		if rows, ok := t.rows.(*tableRows); ok {
			rows.width, rows.limit = len(cells), max(len(cells), rows.limit)
		}
	}
	t.exported()
	return true
}

// translate turns a row into a record; not ok for one that is none of the profile's.
func (r *Reader) translate(row *row) (rec Record, ok bool) {
	t := r.by
	c := &r.cells
	c.bad, c.amountFen, c.feeFen = fault{}, 0, 0
	width := len(t.found.header)
	rule := row.rule
	if rule == "" {
		rule = t.misfit(row, width)
	}
	if rule != "" {
		t.bind.Uncounted()
		return r.rejectRow(row, fault{rule: rule}, false), true
	}
	load, bad := t.bind.Translate(row.cells, t.values)
	if !load {
		return Record{}, false
	}
	for i, v := range t.values {
		t.given[t.columns[i]] = v
	}
	c.controls = false
	if !row.sound || !t.sound {
		for i, v := range t.values {
			if legible(v, ' ') {
				continue
			}
			if rule := damage(v); rule != "" {
				return r.rejectRow(row, fault{t.name(t.columns[i]), v, rule}, true), true
			}
			c.controls = true
		}
	}
	if bad.Rule != "" {
		name := bad.Field
		if bad.Column != "" {
			name = bad.Column
		}
		return r.rejectRow(row, fault{name, bad.Value, bad.Rule}, true), true
	}
	rec = Record{Line: row.line}
	var typ recon.Type
	switch r.head.kind {
	case recon.KindPOSLog:
		r.posRow(row.line)
		rec.POS, typ = &r.pos, r.pos.Type
	case recon.KindSettlement:
		r.settlementRow(row.line)
		rec.Settlement, typ = &r.settlement, r.settlement.Type
	case recon.KindPayout:
		r.payoutRow(row.line)
		rec.Payout = &r.payout
	case recon.KindBank:
		r.bankRow(row.line)
		rec.Bank = &r.bank
	}
	if c.bad.rule != "" {
		c.bad.field = t.sourceName(c.bad.field)
		return r.rejectRow(row, c.bad, true), true
	}
	r.sums.addRow(typ, c.amountFen, c.feeFen)
	return rec, true
}

// misfit says why a row's cells cannot be trusted to stand under their names.
func (t *translated) misfit(row *row, width int) string {
	if row.width == width || !t.profile.IsTable() {
		return ""
	}
	_, isSheet := t.rows.(*sheetRows)
	if row.width > width {
		if row.width > width+t.found.blank && !isSheet {
			return fmt.Sprintf("the line has %s, the header %d", fieldCount(row.width), width)
		}
		for _, cell := range row.cells[min(width, len(row.cells)):] {
			if strings.TrimSpace(cell) != "" {
				return fmt.Sprintf("the line has %s, the header %d", fieldCount(row.width), width)
			}
		}
		if row.width > len(row.cells) {
			return fmt.Sprintf("the line has %s, the header %d", fieldCount(row.width), width)
		}
	}
	if row.width < width && !t.profile.File.Short && !isSheet {
		return fmt.Sprintf("the line has %s, the header %d", fieldCount(row.width), width)
	}
	return ""
}

// name returns how the file calls a column.
func (t *translated) name(col column) string { return t.sourceName(col.String()) }

// sourceName returns the file's own name of a canonical column, for people who have the file before them.
func (t *translated) sourceName(name string) string {
	for i, own := range t.bind.Columns() {
		if own == name {
			if sources := t.bind.Sources(i); len(sources) > 0 {
				return strings.Join(sources, " / ")
			}
		}
	}
	return name
}

// rejectRow makes the reject of a row; cells that name a person are not kept. cells tells whether the cells stand under
// their names; where they do not, any of them may name a person.
func (r *Reader) rejectRow(row *row, bad fault, cells bool) Record {
	sep := "\t"
	if _, text := r.by.rows.(*tableRows); text {
		sep = string(r.by.found.sep)
	}
	raw := row.raw
	switch {
	case cells:
		raw = strings.Join(r.by.bind.Keep(row.cells), sep)
	case len(r.by.profile.Personal) > 0:
		raw = ""
	}
	if bad.value != "" && r.by.bind.Hidden(bad.field) {
		bad.value = "***"
	}
	r.rejected = Reject{
		Line:  row.line,
		Field: bad.field,
		Value: excerpt([]byte(bad.value), maxValue),
		Rule:  bad.rule,
		Raw:   excerpt([]byte(raw), maxRaw),
	}
	if cells {
		r.contribution(&r.rejected)
	}
	r.sums.addRejected(&r.rejected)
	return Record{Line: row.line, Reject: &r.rejected}
}

// Version names the edition of the format that reads the file: another one may read what this one rejects.
func (r *Reader) Version() string {
	if r.by == nil {
		return ""
	}
	return r.by.profile.Version()
}

// Canonical reports whether the file is as the input contract has it; any other is read by a profile.
func (r *Reader) Canonical() bool { return r.by == nil }

// StatesTotals reports whether the source's own control totals were found. It is known after io.EOF.
func (r *Reader) StatesTotals() bool { return r.by != nil && r.by.bind.Stated() }

// Untied says which of the source's own control totals does not tie with its rows, or is missing though the format always
// has it; "" if all is well, and for a canonical file, whose totals are Totals. It is known after io.EOF.
func (r *Reader) Untied() string {
	if r.by == nil {
		return ""
	}
	if s, ok := r.by.rows.(tied); ok {
		return s.untied()
	}
	return r.by.bind.Untied()
}

// Left returns how many rows were left alone: of another kind than the profile loads, such as the fees in a bill of which
// the payouts are read.
func (r *Reader) Left() int {
	if r.by == nil {
		return 0
	}
	return r.by.left
}

// Remark says what is noteworthy of a file that is otherwise well, "" for nothing. It is known after io.EOF.
func (r *Reader) Remark() string {
	if len(r.other) > 0 {
		return fmt.Sprintf("only its sheet %s is read, and there is more to load on %s: save each as a file of its own", r.sheet, strings.Join(r.other, ", "))
	}
	if r.by == nil {
		return ""
	}
	r.by.exported()
	if r.by.capped > 0 {
		return fmt.Sprintf("exactly %d rows: this source cuts its exports off at %d without a word; ask for the rest by a narrower range",
			r.by.capped, r.by.profile.RowCap)
	}
	return r.by.bind.Remark()
}

// exported notes the end of one of the exports that a file is made of.
func (t *translated) exported() {
	if limit := t.profile.RowCap; limit > 0 && t.count > 0 && t.count%limit == 0 {
		t.capped = max(t.capped, t.count)
	}
	t.count = 0
}

// Around returns the first lines, before, between and behind the rows, that are neither rows nor control totals.
func (r *Reader) Around() []string {
	if r.by == nil {
		return nil
	}
	return r.by.around
}

// Controls returns the control totals that the source states, with what the rows come to. They are known after io.EOF.
func (r *Reader) Controls() []profile.Control {
	if r.by != nil {
		return r.by.bind.Controls()
	}
	var out []profile.Control
	add := func(label string, stated, rows decimal.Decimal) {
		out = append(out, profile.Control{Label: label, Stated: stated.String(), Rows: rows.String(), Ties: stated.Equal(rows)})
	}
	if n := r.totals.Count; n != nil {
		add("total_count", decimal.NewFromInt(*n), decimal.NewFromInt(int64(r.sums.result().Count)))
	}
	if a := r.totals.Amount; a != nil {
		add("total_amount", *a, r.sums.result().Amount)
	}
	if f := r.totals.Fee; f != nil {
		add("total_fee", *f, r.sums.result().Fee)
	}
	return out
}

// About is what a file was recognised as.
type About struct {
	Format    string // the profile's name, "canonical" for a file as the contract has it
	Title     string
	Status    profile.Status
	Encoding  string
	Separator string // of a table in text
	Sheet     string // of a workbook
	Header    int    // the header's line, 0 without one
	Columns   []AboutColumn
	Unused    []string // columns of the file that nothing is read from
}

// AboutColumn is one canonical column and the source's columns that it is read from.
type AboutColumn struct {
	Name string
	From []string
}

// About returns what the file was recognised as.
func (r *Reader) About() About {
	a := About{Format: "canonical", Title: "canonical " + string(r.head.kind) + " file", Status: profile.Documented, Encoding: "xlsx", Sheet: r.sheet}
	if r.text != nil {
		a.Encoding = r.text.Encoding()
	}
	if r.by == nil {
		for _, name := range r.Columns() {
			a.Columns = append(a.Columns, AboutColumn{name, []string{name}})
		}
		return a
	}
	p := r.by.profile
	a.Format, a.Title, a.Status, a.Header = p.Name, p.Title, p.Status, r.by.found.line
	if _, text := r.by.rows.(*tableRows); text {
		a.Separator = string(r.by.found.sep)
	}
	used := map[string]bool{}
	for i, name := range r.by.bind.Columns() {
		from := r.by.bind.Sources(i)
		for _, f := range from {
			used[f] = true
		}
		a.Columns = append(a.Columns, AboutColumn{name, from})
	}
	for _, name := range r.by.bind.Header() {
		if name != "" && !used[name] && p.File.Layout != "json" {
			a.Unused = append(a.Unused, name)
		}
	}
	return a
}

// Values returns the canonical values of the row that Next returned last, by column name, for people to look at.
func (r *Reader) Values() map[string]string {
	out := map[string]string{}
	for col := range columnCount {
		if v := r.cells.peek(col); v != "" {
			out[col.String()] = v
		}
	}
	return out
}

// peek is value for a column that the file may not have.
func (c *cells) peek(col column) string {
	if c.given == nil && (c.at == nil || c.at[col] < 0 || c.at[col] >= len(c.spans)) {
		return ""
	}
	return c.value(col)
}

// Close lets go of what a workbook needed. A text needs nothing.
func (r *Reader) Close() error {
	if r.book == nil {
		return nil
	}
	return r.book.book.Close()
}

// openCanonicalSheet reads a workbook with the contract's own columns as the CSV that it would be.
func (r *Reader) openCanonicalSheet(rows *sheetRows) error {
	r.scan = newScanner(&sheetText{rows: rows, line: 1})
	return r.openCanonical()
}

// sheetText writes a sheet as CSV, a row on the line of its number.
type sheetText struct {
	rows *sheetRows
	buf  bytes.Buffer
	line int
	err  error
}

func (s *sheetText) Read(p []byte) (int, error) {
	for s.buf.Len() == 0 {
		if s.err != nil {
			return 0, s.err
		}
		row, err := s.rows.next()
		if err != nil {
			s.err = err
			continue
		}
		for ; s.line < row.line; s.line++ {
			s.buf.WriteByte('\n')
		}
		if strings.HasPrefix(row.raw, "#") {
			s.buf.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(strings.TrimRight(row.raw, "\t")) + "\n")
		} else {
			w := csv.NewWriter(&s.buf)
			cells := slices.Clone(row.cells)
			for i := range cells {
				cells[i] = strings.NewReplacer("\n", " ", "\r", " ").Replace(cells[i])
			}
			if err := w.Write(cells); err != nil {
				s.err = err
			}
			w.Flush()
		}
		s.line++
	}
	return s.buf.Read(p)
}
