package statement

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/shopspring/decimal"
)

// standardColumns are the cells of the rows of the international statement formats.
var standardColumns = []string{"account", "book_date", "amount", "direction", "currency", "counterparty", "memo", "reference"}

// standardRow is a row in the order of standardColumns.
type standardRow struct {
	line                                                                          int
	account, bookDate, amount, direction, currency, counterparty, memo, reference string
}

func (s *standardRow) row(cells []string) row {
	// Masked from the start: of a row that is rejected its cells are kept as they stand here.
	cells = append(cells[:0], maskAccount(s.account), s.bookDate, s.amount, s.direction, s.currency, maskName(s.counterparty), MaskPersonal(s.memo), s.reference)
	return row{line: s.line, raw: strings.Join(cells, "|"), cells: cells, width: len(cells)}
}

// plainDecimal reads digits with a sign and a point. An exponent could make them fill all of memory.
func plainDecimal(s string) (decimal.Decimal, error) {
	if len(s) > 32 || strings.Trim(s, "+-.0123456789") != "" {
		return decimal.Decimal{}, errors.New("not a plain decimal")
	}
	return decimal.NewFromString(s)
}

// balance follows one account's balance from the opening to the closing one. A statement that was opened and never closed is
// cut short.
type balance struct {
	account      string
	sum          decimal.Decimal // the opening balance and the lines since
	open, broken bool
	pending      bool // opened, and not closed yet
	problem      string
}

// cut notes a statement that ends before its closing balance.
func (b *balance) cut(what string) {
	if b.pending && b.problem == "" {
		b.problem = fmt.Sprintf("the statement of account %s has no %s: it is cut short", maskAccount(b.account), what)
	}
	b.pending = false
}

func (b *balance) begin(account, amount string, debit bool) {
	*b = balance{account: account, problem: b.problem, pending: true}
	d, err := plainDecimal(amount)
	if err != nil {
		return
	}
	if debit {
		d = d.Neg()
	}
	b.sum, b.open = d, true
}

func (b *balance) add(amount string, debit bool) {
	d, err := plainDecimal(amount)
	if err != nil {
		b.broken = true
		return
	}
	if debit {
		d = d.Neg()
	}
	b.sum = b.sum.Add(d)
}

func (b *balance) end(amount string, debit bool) {
	b.pending = false
	d, err := plainDecimal(amount)
	if err != nil || !b.open || b.broken || b.problem != "" {
		return
	}
	if debit {
		d = d.Neg()
	}
	if !d.Equal(b.sum) {
		b.problem = fmt.Sprintf("the closing balance of account %s is %s, the lines lead to %s", maskAccount(b.account), d.StringFixed(2), b.sum.StringFixed(2))
	}
}

// camtRows are the entries of an ISO 20022 camt.053 statement of any version, known by their local names. Only booked
// entries count. An entry of several transactions is a row for each where all of them give amounts in the account's currency
// that come to the entry's; else the entry is one row, whatever its transactions say: it is what was booked.
type camtRows struct {
	guard  *guard
	dec    *xml.Decoder
	queue  []standardRow
	cells  []string
	path   []string
	acct   string
	ccy    string
	bal    balance
	closes string // the closing balance, stated before the entries
	debit  bool
	lines  lineNumbers // an entry of several transactions begins on one line
}

func newCamtRows(src io.Reader) *camtRows {
	g := newGuard(src)
	d := xml.NewDecoder(g)
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // it is UTF-8 by now
	return &camtRows{guard: g, dec: d}
}

func (c *camtRows) untied() string { return c.bal.problem }

func (c *camtRows) next() (row, error) {
	for len(c.queue) == 0 {
		c.guard.passed(c.dec.InputOffset())
		t, err := c.dec.Token()
		if err != nil {
			return row{}, c.fault(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(c.path) > maxJSONDepth {
				return row{}, &FileError{Line: c.guard.line, Rule: fmt.Sprintf("nested more than %d levels deep", maxJSONDepth)}
			}
			c.path = append(c.path, t.Name.Local)
			switch {
			case t.Name.Local == "Stmt":
				c.acct, c.ccy, c.bal, c.closes = "", "", balance{problem: c.bal.problem}, ""
			case t.Name.Local == "Ntry":
				err = c.entry()
			case t.Name.Local == "Bal" && c.in("Stmt", "Bal"):
				err = c.balance()
			}
		case xml.CharData:
			if text := strings.TrimSpace(string(t)); text != "" {
				switch {
				case c.in("Stmt", "Acct", "Id", "IBAN"), c.in("Stmt", "Acct", "Id", "Othr", "Id"):
					c.acct = text
				case c.in("Stmt", "Acct", "Ccy"):
					c.ccy = text
				}
			}
		case xml.EndElement:
			if t.Name.Local == "Stmt" && c.closes != "" {
				c.bal.end(c.closes, c.debit)
			}
			if len(c.path) > 0 {
				c.path = c.path[:len(c.path)-1]
			}
		}
		if err != nil {
			return row{}, c.fault(err)
		}
	}
	r := c.queue[0].row(c.cells)
	c.queue, c.cells = c.queue[1:], r.cells
	r.line = c.lines.next(r.line)
	return r, nil
}

func (c *camtRows) fault(err error) error {
	line := max(c.guard.passed(c.dec.InputOffset()), 1)
	var fe *FileError
	switch {
	case errors.Is(err, io.EOF):
		if len(c.path) > 0 {
			return &FileError{Line: line, Rule: "the XML document ends in the middle"}
		}
		return io.EOF
	case errors.As(err, &fe):
		return fe
	case c.guard.failed == nil: // the decoder's own, of which not all have a type: of a version that it does not know, say
		return &FileError{Line: line, Rule: "not XML: " + err.Error()}
	}
	return fmt.Errorf("read statement: %w", err)
}

// in reports whether the path ends so.
func (c *camtRows) in(names ...string) bool {
	if len(c.path) < len(names) {
		return false
	}
	for i, name := range names {
		if c.path[len(c.path)-len(names)+i] != name {
			return false
		}
	}
	return true
}

// camtAmount is an amount with its currency.
type camtAmount struct {
	Ccy   string `xml:"Ccy,attr"`
	Value string `xml:",chardata"`
}

// camtDate is a date or a date and time.
type camtDate struct {
	Dt   string `xml:"Dt"`
	DtTm string `xml:"DtTm"`
}

func (d camtDate) date() string {
	s := strings.TrimSpace(d.Dt)
	if s == "" {
		s = strings.TrimSpace(d.DtTm)
	}
	return s[:min(len(s), len("2006-01-02"))]
}

type camtParty struct {
	Nm  string `xml:"Nm"`
	Pty struct {
		Nm string `xml:"Nm"`
	} `xml:"Pty"`
}

func (p camtParty) name() string { return strings.TrimSpace(p.Nm + p.Pty.Nm) }

type camtTransaction struct {
	Amt       *camtAmount `xml:"Amt"`
	Direction string      `xml:"CdtDbtInd"`
	TxAmt     *camtAmount `xml:"AmtDtls>TxAmt>Amt"`
	EndToEnd  string      `xml:"Refs>EndToEndId"`
	Debtor    camtParty   `xml:"RltdPties>Dbtr"`
	Creditor  camtParty   `xml:"RltdPties>Cdtr"`
	Memo      []string    `xml:"RmtInf>Ustrd"`
}

type camtEntry struct {
	Amt       camtAmount `xml:"Amt"`
	Direction string     `xml:"CdtDbtInd"`
	Status    struct {
		Cd   string `xml:"Cd"`
		Text string `xml:",chardata"`
	} `xml:"Sts"`
	Booked    camtDate          `xml:"BookgDt"`
	Value     camtDate          `xml:"ValDt"`
	Reference string            `xml:"AcctSvcrRef"`
	Info      string            `xml:"AddtlNtryInf"`
	Details   []camtTransaction `xml:"NtryDtls>TxDtls"`
}

// entry reads one Ntry, whose start has been read, into rows.
func (c *camtRows) entry() error {
	var e camtEntry
	start := xml.StartElement{Name: xml.Name{Local: "Ntry"}}
	line := c.guard.line
	if err := c.dec.DecodeElement(&e, &start); err != nil {
		return err
	}
	c.path = c.path[:len(c.path)-1]
	if status := strings.TrimSpace(e.Status.Cd + e.Status.Text); status != "" && status != "BOOK" {
		return nil // expected or for information: no money has moved
	}
	c.bal.add(strings.TrimSpace(e.Amt.Value), e.Direction == "DBIT")
	date := e.Booked.date()
	if date == "" {
		date = e.Value.date()
	}
	make := func(amount camtAmount, direction string, details *camtTransaction) {
		s := standardRow{line: line, account: c.acct, bookDate: date, amount: strings.TrimSpace(amount.Value), direction: direction,
			currency: amount.Ccy, reference: strings.TrimSpace(e.Reference), memo: strings.TrimSpace(e.Info)}
		if details != nil {
			party := details.Debtor
			if direction == "DBIT" {
				party = details.Creditor
			}
			s.counterparty = party.name()
			s.memo = strings.TrimSpace(strings.Join(details.Memo, " ") + " " + s.memo)
			if s.memo == "" {
				s.memo = details.EndToEnd
			}
		}
		c.queue = append(c.queue, s)
	}
	if len(e.Details) > maxRecordLines*10 {
		return &FileError{Line: line, Rule: "an entry of more than 10,000 transactions"}
	}
	if !c.comesTo(&e) {
		make(e.Amt, e.Direction, together(e.Details))
		return nil
	}
	for i := range e.Details {
		d := &e.Details[i]
		make(*d.amount(), d.direction(&e), d)
	}
	return nil
}

func (d *camtTransaction) amount() *camtAmount {
	if d.Amt != nil {
		return d.Amt
	}
	return d.TxAmt
}

func (d *camtTransaction) direction(e *camtEntry) string {
	if d.Direction != "" {
		return d.Direction
	}
	return e.Direction
}

// comesTo reports whether an entry is of several transactions that come to its amount.
func (c *camtRows) comesTo(e *camtEntry) bool {
	if len(e.Details) < 2 {
		return false
	}
	left, err := plainDecimal(strings.TrimSpace(e.Amt.Value))
	if err != nil {
		return false
	}
	for i := range e.Details {
		d := &e.Details[i]
		amount := d.amount()
		if amount == nil || amount.Ccy != e.Amt.Ccy || c.ccy != "" && amount.Ccy != c.ccy {
			return false
		}
		value, err := plainDecimal(strings.TrimSpace(amount.Value))
		if err != nil {
			return false
		}
		if d.direction(e) != e.Direction {
			value = value.Neg()
		}
		left = left.Sub(value)
	}
	return left.IsZero()
}

// together is what the transactions of an entry say as one: every memo, and the other side where it is the same of all.
func together(details []camtTransaction) *camtTransaction {
	if len(details) == 0 {
		return nil
	}
	one := details[0]
	one.Memo = nil
	length := 0
	for i := range details {
		d := &details[i]
		if d.Debtor != one.Debtor {
			one.Debtor = camtParty{}
		}
		if d.Creditor != one.Creditor {
			one.Creditor = camtParty{}
		}
		for _, m := range d.Memo {
			if length += len(m) + 1; length <= maxText {
				one.Memo = append(one.Memo, m)
			}
		}
	}
	return &one
}

// balance reads one Bal of a statement.
func (c *camtRows) balance() error {
	var b struct {
		Code      string     `xml:"Tp>CdOrPrtry>Cd"`
		Amt       camtAmount `xml:"Amt"`
		Direction string     `xml:"CdtDbtInd"`
	}
	start := xml.StartElement{Name: xml.Name{Local: "Bal"}}
	if err := c.dec.DecodeElement(&b, &start); err != nil {
		return err
	}
	c.path = c.path[:len(c.path)-1]
	switch amount := strings.TrimSpace(b.Amt.Value); b.Code {
	case "OPBD", "PRCD":
		c.bal.begin(c.acct, amount, b.Direction == "DBIT")
	case "CLBD":
		c.closes, c.debit = amount, b.Direction == "DBIT"
	}
	return nil
}

// mt940Rows are the :61: lines of SWIFT MT940 messages, each with its :86: narrative.
type mt940Rows struct {
	scan    *scanner
	cells   []string
	account string
	ccy     string
	bal     balance
	pending *standardRow
	inMemo  bool
	ended   bool
	memo    strings.Builder
}

func (m *mt940Rows) untied() string { return m.bal.problem }

// statementLine is field 61: value date, entry date, direction, funds code, amount, type and references.
var statementLine = regexp.MustCompile(`^:61:(\d{6})(\d{4})?(RC|RD|C|D)([A-Z])?(\d{1,15},\d{0,2})([NFS][A-Z0-9]{3})([^/]{0,16})(?://(.{0,64}))?`)

// balanceLine is field 60 or 62: direction, date, currency, amount.
var balanceLine = regexp.MustCompile(`^:6[02][FM]:([CD])(\d{6})([A-Z]{3})(\d{1,15},\d{0,2})`)

func (m *mt940Rows) next() (row, error) {
	for !m.ended {
		rec, err := m.scan.nextLine()
		if errors.Is(err, io.EOF) {
			m.ended = true
			m.bal.cut("closing balance")
			break
		}
		if err != nil {
			return row{}, err
		}
		if rec.flaw == oversized {
			return row{}, &FileError{Line: rec.line, Rule: "the line is longer than 1 MiB"}
		}
		line := strings.TrimSpace(string(rec.raw))
		if i := strings.Index(line, "{4:"); i >= 0 {
			line = strings.TrimSpace(line[i+3:])
		}
		tag := strings.HasPrefix(line, ":") || line == "-" || line == "-}"
		switch {
		case line == "":
		case strings.HasPrefix(line, ":61:"):
			done := m.take()
			m.inMemo = false
			if err := m.begin(line, rec.line); err != nil {
				return row{}, err
			}
			if done != nil {
				return m.emit(done)
			}
		case strings.HasPrefix(line, ":86:"):
			m.inMemo = m.pending != nil
			m.addMemo(line[4:])
		case !tag && m.inMemo:
			m.addMemo(line)
		case tag:
			m.inMemo = false
			done := m.take()
			m.field(line)
			if done != nil {
				return m.emit(done)
			}
		}
	}
	if done := m.take(); done != nil {
		return m.emit(done)
	}
	return row{}, io.EOF
}

// addMemo keeps the narrative; its sub-fields ?20 to ?63 become blanks.
func (m *mt940Rows) addMemo(text string) {
	if m.pending == nil || m.memo.Len() > maxText {
		return
	}
	if m.memo.Len() > 0 && !strings.HasPrefix(text, "?") {
		m.memo.WriteByte(' ')
	}
	if party := partyField.FindStringSubmatch(text); party != nil {
		m.pending.counterparty = strings.TrimSpace(party[1])
		text = partyField.ReplaceAllString(text, "")
	}
	m.memo.WriteString(subField.ReplaceAllString(text, " "))
}

// partyField is the sub-field of the structured narrative that names the other side.
var partyField = regexp.MustCompile(`\?3[23]([^?]*)`)

var subField = regexp.MustCompile(`\?\d\d`)

func (m *mt940Rows) begin(line string, at int) error {
	f := statementLine.FindStringSubmatch(line)
	if f == nil {
		return &FileError{Line: at, Field: ":61:", Value: excerpt([]byte(line), maxValue), Rule: "not a statement line of MT940"}
	}
	year, month := f[1][:2], f[1][2:4]
	date := "20" + year + "-" + month + "-" + f[1][4:]
	if entry := f[2]; entry != "" {
		// The entry date has no year: it is the value date's, but for the turn of the year.
		y, _ := digits(year)
		switch {
		case month == "12" && entry[:2] == "01":
			y++
		case month == "01" && entry[:2] == "12":
			y--
		}
		date = fmt.Sprintf("20%02d-%s-%s", y, entry[:2], entry[2:])
	}
	amount := strings.TrimSuffix(strings.Replace(f[5], ",", ".", 1), ".")
	m.bal.add(amount, f[3] == "D" || f[3] == "RC")
	m.pending = &standardRow{line: at, account: m.account, bookDate: date, amount: amount, direction: f[3], currency: m.ccy,
		reference: strings.TrimSpace(f[8]), memo: strings.TrimSpace(f[7])}
	m.memo.Reset()
	return nil
}

// field reads what else a message says.
func (m *mt940Rows) field(line string) {
	if account, ok := strings.CutPrefix(line, ":25:"); ok {
		m.account = account
	}
	if strings.HasPrefix(line, ":60F:") || strings.HasPrefix(line, ":60M:") {
		m.bal.cut("closing balance") // of the statement before
		m.bal.begin(m.account, "", false)
	}
	f := balanceLine.FindStringSubmatch(line)
	if f == nil {
		return // a closing balance that cannot be read is none
	}
	amount := strings.TrimSuffix(strings.Replace(f[4], ",", ".", 1), ".")
	m.ccy = f[3]
	if strings.HasPrefix(line, ":60") {
		m.bal.begin(m.account, amount, f[1] == "D")
	} else {
		m.bal.end(amount, f[1] == "D")
	}
}

func (m *mt940Rows) take() *standardRow {
	done := m.pending
	m.pending = nil
	if done != nil {
		done.memo = strings.Join(strings.Fields(m.memo.String()+" "+done.memo), " ")
	}
	return done
}

func (m *mt940Rows) emit(s *standardRow) (row, error) {
	r := s.row(m.cells)
	m.cells = r.cells
	return r, nil
}

// bai2Rows are the 16 records of a BAI2 file. A record goes on in the 88 records that follow it. The 49, 98 and 99 records
// close an account, a group and the file with the sum of the amounts and the number of the records within: both must tie, and
// none may be missing.
type bai2Rows struct {
	scan    *scanner
	cells   []string
	account string
	ccy     string
	date    string
	levels  [3]bai2Level // the file, the group and the account that are open
	fields  []string     // of the record that is being read, its continuations included
	size    int          // bytes of them
	code    string       // of the record
	line    int
	problem string
	ended   bool
}

// bai2Level is what an open file, group or account comes to so far.
type bai2Level struct {
	open    bool
	total   decimal.Decimal // of the amounts
	broken  bool            // an amount could not be read
	records int64           // its own first and last one included
	within  int64           // groups of a file, accounts of a group
}

const (
	bai2File = iota
	bai2Group
	bai2Account
)

// bai2Names are the levels by the records that open and close them.
var bai2Names = [3]struct{ opens, closes, what, within string }{
	{"01", "99", "file", "groups"},
	{"02", "98", "group", "accounts"},
	{"03", "49", "account", ""},
}

func (b *bai2Rows) untied() string { return b.problem }

func (b *bai2Rows) next() (row, error) {
	for !b.ended {
		rec, err := b.scan.nextLine()
		if errors.Is(err, io.EOF) {
			b.ended = true
			break
		}
		if err != nil {
			return row{}, err
		}
		if rec.flaw == oversized {
			return row{}, &FileError{Line: rec.line, Rule: "the line is longer than 1 MiB"}
		}
		line := strings.TrimSpace(string(rec.raw))
		if line == "" {
			continue
		}
		code, rest, _ := strings.Cut(strings.TrimSuffix(line, "/"), ",")
		if code == "88" {
			b.count()
			// An account's summary and a text both may be long; neither is without end.
			if b.size += len(rest); b.size > maxRecord {
				return row{}, &FileError{Line: rec.line, Rule: "a record that goes on for more than 1 MiB"}
			}
			b.fields = append(b.fields, strings.Split(rest, ",")...)
			continue
		}
		done, err := b.finish()
		if err != nil {
			return row{}, err
		}
		b.code, b.line, b.size = code, rec.line, len(rest)
		b.fields = append(b.fields[:0], strings.Split(rest, ",")...)
		b.count()
		b.begin(code)
		if done != nil {
			return b.emit(done), nil
		}
	}
	done, err := b.finish()
	if err != nil {
		return row{}, err
	}
	b.lack(bai2File)
	if done != nil {
		return b.emit(done), nil
	}
	return row{}, io.EOF
}

// count counts a record of all that is open.
func (b *bai2Rows) count() {
	for i := range b.levels {
		b.levels[i].records++
	}
}

func (b *bai2Rows) emit(s *standardRow) row {
	r := s.row(b.cells)
	b.cells = r.cells
	return r
}

// begin opens what a record opens, at once: the records that continue it count.
func (b *bai2Rows) begin(code string) {
	for i, n := range bai2Names {
		if code != n.opens {
			continue
		}
		b.lack(i)
		b.levels[i] = bai2Level{open: true, records: 1}
		if i > 0 {
			b.levels[i-1].within++
		}
	}
}

// lack notes what was not closed of a level and those within it, from the innermost.
func (b *bai2Rows) lack(level int) {
	for i := len(b.levels) - 1; i >= level; i-- {
		if b.levels[i].open && b.problem == "" {
			b.problem = fmt.Sprintf("%s has no record %s: it is cut short", b.named(i), bai2Names[i].closes)
		}
		b.levels[i].open = false
	}
}

// named is how people know a level.
func (b *bai2Rows) named(level int) string {
	if level == bai2Account {
		return "account " + maskAccount(b.account)
	}
	return "the " + bai2Names[level].what
}

func (b *bai2Rows) at(i int) string {
	if i < len(b.fields) {
		return strings.TrimSpace(b.fields[i])
	}
	return ""
}

// add counts an amount; one that is left out is nothing.
func (b *bai2Rows) add(level int, amount string) {
	l := &b.levels[level]
	d, err := plainDecimal(amount)
	if err != nil {
		l.broken = l.broken || amount != ""
		return
	}
	l.total = l.total.Add(d)
}

// behindFunds returns where the fields go on behind a funds type: amounts by availability, or a value date, come first.
func (b *bai2Rows) behindFunds(i int) int {
	switch b.at(i) {
	case "S": // immediate, one-day and two-day
		return i + 4
	case "V": // date and time
		return i + 3
	case "D": // how many days, then each with its amount
		n, _ := digits(b.at(i + 1))
		if n < 0 || n > len(b.fields) {
			return len(b.fields)
		}
		return i + 2 + 2*n
	}
	return i + 1
}

// finish reads the record that is complete by now.
func (b *bai2Rows) finish() (*standardRow, error) {
	code := b.code
	b.code = ""
	switch code {
	case "02":
		if d := b.at(3); len(d) == 6 {
			b.date = "20" + d[:2] + "-" + d[2:4] + "-" + d[4:]
		}
		b.ccy = b.at(5)
	case "03":
		b.account = b.at(0)
		if b.at(1) != "" {
			b.ccy = b.at(1)
		}
		for i := 2; i < len(b.fields); i = b.behindFunds(i + 3) { // type code, amount, item count, funds type
			b.add(bai2Account, b.at(i+1))
		}
	case "16":
		return b.transaction()
	case "49":
		b.close(bai2Account, b.at(0), "", b.at(1))
	case "98":
		b.close(bai2Group, b.at(0), b.at(1), b.at(2))
	case "99":
		b.close(bai2File, b.at(0), b.at(1), b.at(2))
	}
	return nil, nil
}

func (b *bai2Rows) transaction() (*standardRow, error) {
	code, ok := digits(b.at(0))
	if !ok || len(b.at(0)) != 3 {
		return nil, &FileError{Line: b.line, Field: "16", Value: excerpt([]byte(b.at(0)), maxValue), Rule: "not a type code of three digits"}
	}
	direction := "C"
	if code >= 400 && code < 700 {
		direction = "D"
	}
	b.add(bai2Account, b.at(1))
	s := &standardRow{line: b.line, account: b.account, bookDate: b.date, amount: b.at(1), direction: direction, currency: b.ccy}
	rest := b.fields[min(b.behindFunds(2), len(b.fields)):]
	if len(rest) > 0 {
		s.reference = strings.TrimSpace(rest[0])
	}
	if len(rest) > 1 {
		s.memo = strings.Join(strings.Fields(strings.Join(rest[1:], " ")), " ")
	}
	return s, nil
}

// close ties a level with what its closing record says; what that leaves out is not compared.
func (b *bai2Rows) close(level int, total, within, records string) {
	l := &b.levels[level]
	if !l.open {
		return
	}
	b.lack(level + 1)
	name := bai2Names[level]
	stated, err := plainDecimal(total)
	countWithin, withinStated := digits(within)
	countRecords, recordsStated := digits(records)
	switch {
	case b.problem != "":
	case err == nil && !l.broken && !stated.Equal(l.total):
		b.problem = fmt.Sprintf("record %s of %s says %s, its records add up to %s", name.closes, b.named(level), stated, l.total)
	case withinStated && int64(countWithin) != l.within:
		b.problem = fmt.Sprintf("record %s of %s says %d %s, it has %d", name.closes, b.named(level), countWithin, name.within, l.within)
	case recordsStated && int64(countRecords) != l.records:
		b.problem = fmt.Sprintf("record %s of %s says %d records, it has %d", name.closes, b.named(level), countRecords, l.records)
	}
	l.open = false
	if level > 0 {
		outer := &b.levels[level-1]
		outer.total = outer.total.Add(l.total)
		outer.broken = outer.broken || l.broken
	}
}
