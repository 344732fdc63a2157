package statement

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/charset"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

// Options is what a file does not say of itself.
type Options struct {
	Zone     *time.Location     // for times without an offset; required
	Profiles []*profile.Profile // the user's, which go before those that ship
	Name     string             // the file's, for the profiles that take a date from it
}

// Record is one record of a file; exactly one of the pointers is set. What they point to is overwritten by the next
// call of Next: copy the struct to keep it. The strings may be kept, though each keeps the text of its whole line.
type Record struct {
	Line       int // where it begins, from 1, and greater than the record's before: see lineNumbers
	POS        *recon.POSRow
	Settlement *recon.SettlementRow
	Payout     *recon.PayoutRow
	Bank       *recon.BankRow
	Reject     *Reject
}

// Reader reads one file. It is not safe for use by several goroutines at once.
type Reader struct {
	text  *charset.Reader // of a file that is text
	book  *sheetRows      // of a workbook
	sheet string          // of it, by name
	opt   Options         // of a workbook: what its other sheets may be
	other []string        // its sheets that something reads as well
	by    *translated     // of a file that a profile reads
	scan  *scanner
	meta  Meta
	head  *header
	cells cells

	hashLines []record // '#' lines that are totals if no row follows, in order
	release   bool     // a row followed: they are data
	held      record   // that row
	done      error    // what Next returns from now on

	sums   sums
	totals Totals

	pos        recon.POSRow
	settlement recon.SettlementRow
	payout     recon.PayoutRow
	bank       recon.BankRow
	rejected   Reject
}

// Open recognises a file and reads up to its first row. A file that cannot be read at all is a *FileError, and so is one
// that holds nothing to load.
func Open(src io.Reader, opt Options) (*Reader, error) {
	if opt.Zone == nil {
		return nil, errors.New("open statement: no time zone given")
	}
	r := &Reader{}
	r.cells.zone = opt.Zone
	if err := r.open(src, opt); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if r.by != nil {
		if rows, ok := r.by.rows.(*jsonRows); ok {
			r.by.rows = &numberedRows{rows: rows}
		}
	}
	return r, nil
}

// lineNumbers gives every row of a document a line of its own: the physical line it begins on, but where that is not beyond
// the row before, because a document need have no line breaks, the next number. In a document of one line a row's line is
// thereby the row's number, and in none do two records share a line, by which they are known from then on.
type lineNumbers struct{ last int }

func (n *lineNumbers) next(line int) int {
	n.last = max(line, n.last+1)
	return n.last
}

// numberedRows numbers the rows of a source that knows physical lines only. It counts every row, also those that a profile
// leaves alone, so that another edition of the profile finds the same row under the same number.
type numberedRows struct {
	rows  rowSource
	lines lineNumbers
}

func (n *numberedRows) next() (row, error) {
	r, err := n.rows.next()
	if err == nil {
		r.line = n.lines.next(r.line)
	}
	return r, err
}

// openCanonical reads up to the header of a file as the input contract has it.
func (r *Reader) openCanonical() error {
	rec, err := r.readPreamble()
	if err != nil {
		return err
	}
	return r.openHeader(rec)
}

// foreignFormat names formats that people take for CSV, by the first bytes of a file; "" for none of them.
func foreignFormat(first []byte) string {
	for _, f := range []struct{ magic, rule string }{
		{"\xd0\xcf\x11\xe0", "this is an old XLS workbook, or one with a password; save it as XLSX or CSV"},
		{"\x1f\x8b", "this is gzip within gzip"},
		{"\x89PNG", "this is a picture, not a table"},
		{"\xff\xd8\xff", "this is a picture, not a table"},
		{"%PDF", "this is PDF, not a table; ask for CSV or XLSX"},
	} {
		if bytes.HasPrefix(first, []byte(f.magic)) {
			return f.rule
		}
	}
	return ""
}

// readPreamble reads the lines before the header and returns the header.
func (r *Reader) readPreamble() (record, error) {
	for lines := 0; ; {
		rec, err := r.scan.next()
		if err == io.EOF {
			return record{}, &FileError{Line: r.scan.line + 1, Rule: "the file is empty: it has no header"}
		}
		if err != nil {
			return record{}, fmt.Errorf("read statement: %w", err)
		}
		switch {
		case bytes.IndexByte(rec.raw, 0) >= 0:
			return record{}, &FileError{Line: rec.line, Rule: "binary data, not CSV: the line holds a NUL byte"}
		case !utf8.Valid(rec.raw) && rec.flaw != oversized: // the cut may have split a character
			return record{}, &FileError{Line: rec.line, Rule: "not UTF-8; the file may be GBK"}
		case rec.flaw == oversized:
			return record{}, &FileError{Line: rec.line, Rule: "no header: the line is longer than 1 MiB"}
		case blank(rec.raw):
			continue
		case rec.raw[0] != '#':
			return rec, nil
		}
		if lines++; lines > maxPreamble {
			return record{}, &FileError{Line: rec.line, Rule: fmt.Sprintf("no header after %d lines of metadata", maxPreamble)}
		}
		if key, value, ok := metaLine(rec.raw); ok {
			if err := r.meta.add(MetaEntry{rec.line, key, value}, r.cells.zone); err != nil {
				return record{}, err
			}
		}
	}
}

// openHeader understands the header.
func (r *Reader) openHeader(rec record) error {
	if rec.flaw == brokenQuote {
		return &FileError{Line: rec.line, Rule: "no header: a quote is not closed"}
	}
	n, extra := r.cells.split(rec, maxColumns)
	if extra {
		return &FileError{Line: rec.line, Rule: fmt.Sprintf("the header has %d columns, at most %d are read", n, maxColumns)}
	}
	names := make([]string, len(r.cells.spans))
	for i, s := range r.cells.spans {
		names[i] = strings.ToLower(trim(r.cells.text[s.from:s.to]))
	}
	head, err := readHeader(names, &r.meta)
	if err != nil {
		err.Line = rec.line
		return err
	}
	r.head = head
	r.cells.at = &head.at
	return nil
}

// Kind returns what the file holds.
func (r *Reader) Kind() recon.Kind { return r.head.kind }

// Meta returns what the lines before the header say.
func (r *Reader) Meta() Meta { return r.meta }

// Columns returns the columns that are recognised, in the order of the file.
func (r *Reader) Columns() []string {
	if r.by != nil {
		return r.by.bind.Columns()
	}
	return r.head.columns()
}

// Totals returns the control totals; they are known once Next has returned io.EOF.
func (r *Reader) Totals() Totals { return r.totals }

// Seen returns what was read so far; after io.EOF, of the whole file.
func (r *Reader) Seen() Seen { return r.sums.result() }

// Next returns the next record, io.EOF after the last one. A *FileError here means a control total that cannot be read:
// the records returned so far are not to be kept. Any other error is the source's.
func (r *Reader) Next() (Record, error) {
	if r.by != nil {
		rec, err := r.nextTranslated()
		if rec.Reject != nil {
			// What breaks a rule of a column was cut into columns.
			r.hidePeople(rec.Reject, rec.Reject.Field != "")
		}
		return rec, err
	}
	for r.done == nil {
		if r.release {
			return r.read(r.releaseOne()), nil
		}
		rec, err := r.scan.next()
		switch {
		case err == io.EOF:
			r.done = r.readTotals()
			r.lookAtOtherSheets()
		case err != nil:
			r.done = fmt.Errorf("read statement: %w", err)
		case rec.flaw == sound && blank(rec.raw):
		case rec.flaw != oversized && isTrailer(rec.raw, len(r.head.names)):
			rec.raw = bytes.Clone(rec.raw)
			r.hashLines = append(r.hashLines, rec)
			if len(r.hashLines) > maxTrailer {
				// No trailer is that long, so the first of these lines is data; the others may yet be totals.
				first := r.hashLines[0]
				r.hashLines = r.hashLines[1:]
				return r.read(first), nil
			}
		case len(r.hashLines) > 0:
			r.held, r.release = rec, true
		default:
			return r.read(rec), nil
		}
	}
	return Record{}, r.done
}

// lookAtOtherSheets notes which other sheets of a workbook could be loaded: one is, and of the others it must be told.
func (r *Reader) lookAtOtherSheets() {
	if r.book != nil {
		r.other = r.book.otherSheets(r.opt)
	}
}

// releaseOne returns the first of the '#' lines that a row followed, in the end the row itself.
func (r *Reader) releaseOne() record {
	if len(r.hashLines) == 0 {
		r.release = false
		return r.held
	}
	first := r.hashLines[0]
	r.hashLines = r.hashLines[1:]
	return first
}

// readTotals reads the '#' lines after the last row. It returns io.EOF, or a *FileError.
func (r *Reader) readTotals() error {
	for _, rec := range r.hashLines {
		key, value, _ := metaLine(rec.raw)
		if err := r.totals.add(MetaEntry{rec.line, key, value}); err != nil {
			return err
		}
	}
	return io.EOF
}

// read turns one line of data into a record.
func (r *Reader) read(rec record) Record {
	switch rec.flaw {
	case oversized:
		return r.reject(rec, fault{rule: "the line is longer than 1 MiB"}, false)
	case brokenQuote:
		return r.reject(rec, fault{rule: "a quoted cell on this line does not end as it should"}, false)
	}
	c := &r.cells
	width := len(r.head.names)
	n, extra := c.split(rec, width)
	countable := n >= width && !extra
	if bad := c.damaged(r.head.names); bad.rule != "" {
		return r.reject(rec, bad, countable)
	}
	if !countable {
		// Which cell is missing or too many cannot be told, so no cell can be trusted, the amount least of all.
		return r.reject(rec, fault{rule: fmt.Sprintf("the line has %s, the header %d", fieldCount(n), width)}, false)
	}

	out := Record{Line: rec.line}
	var typ recon.Type
	var otherDate bool
	switch r.head.kind {
	case recon.KindPOSLog:
		r.posRow(rec.line)
		out.POS, typ = &r.pos, r.pos.Type
	case recon.KindSettlement:
		r.settlementRow(rec.line)
		out.Settlement, typ = &r.settlement, r.settlement.Type
		otherDate = differs(r.settlement.SettleDate, r.meta.SettleDate)
	case recon.KindPayout:
		r.payoutRow(rec.line)
		out.Payout = &r.payout
		otherDate = differs(r.payout.PayoutDate, r.meta.PayoutDate)
	case recon.KindBank:
		r.bankRow(rec.line)
		out.Bank = &r.bank
	}
	if c.bad.rule != "" {
		return r.reject(rec, c.bad, true)
	}
	r.sums.addRow(typ, c.amountFen, c.feeFen)
	if otherDate {
		r.sums.seen.OtherDates++
	}
	return out
}

func fieldCount(n int) string {
	if n == 1 {
		return "1 field"
	}
	return fmt.Sprintf("%d fields", n)
}

// differs reports whether a row's own date is another than the file's.
func differs(row, file recon.Date) bool { return !file.IsZero() && !row.Equal(file) }

// blank reports whether every cell of a line is empty.
func blank(raw []byte) bool {
	for i := 0; i < len(raw); {
		c := raw[i]
		switch {
		case isBlank(c) || c == ',' || c == '\r' || c == '\n':
			i++
		case c == '"' && i+1 < len(raw) && raw[i+1] == '"' && (i+2 == len(raw) || raw[i+2] != '"'):
			i += 2
		case c < utf8.RuneSelf:
			return false
		default:
			r, width := utf8.DecodeRune(raw[i:])
			if r != '\u3000' && r != '\u00a0' {
				return false
			}
			i += width
		}
	}
	return true
}
