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
	cells = append(cells[:0], s.account, s.bookDate, s.amount, s.direction, s.currency, s.counterparty, s.memo, s.reference)
	return row{line: s.line, raw: strings.Join(cells, "|"), cells: cells, width: len(cells)}
}

// balance follows one account's balance from the opening to the closing one.
type balance struct {
	account      string
	sum          decimal.Decimal // the opening balance and the lines since
	open, broken bool
	problem      string
}

func (b *balance) begin(account, amount string, debit bool) {
	*b = balance{account: account, problem: b.problem}
	d, err := decimal.NewFromString(amount)
	if err != nil {
		return
	}
	if debit {
		d = d.Neg()
	}
	b.sum, b.open = d, true
}

func (b *balance) add(amount string, debit bool) {
	d, err := decimal.NewFromString(amount)
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
	d, err := decimal.NewFromString(amount)
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
// entries count. An entry of several transactions with amounts of their own is a row for each.
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
	var syntax *xml.SyntaxError
	var fe *FileError
	switch {
	case errors.Is(err, io.EOF):
		if len(c.path) > 0 {
			return &FileError{Line: line, Rule: "the XML document ends in the middle"}
		}
		return io.EOF
	case errors.As(err, &fe):
		return fe
	case errors.As(err, &syntax), errors.Is(err, errTooLong):
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
	several := len(e.Details) > 1
	for _, d := range e.Details {
		several = several && (d.Amt != nil || d.TxAmt != nil)
	}
	if !several {
		var only *camtTransaction
		if len(e.Details) > 0 {
			only = &e.Details[0]
		}
		make(e.Amt, e.Direction, only)
		return nil
	}
	for i := range e.Details {
		d := &e.Details[i]
		amount, direction := d.Amt, d.Direction
		if amount == nil {
			amount = d.TxAmt
		}
		if direction == "" {
			direction = e.Direction
		}
		make(*amount, direction, d)
	}
	return nil
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
		rec, err := m.scan.next()
		if errors.Is(err, io.EOF) {
			m.ended = true
			break
		}
		if err != nil {
			return row{}, err
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
	f := balanceLine.FindStringSubmatch(line)
	if f == nil {
		return
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

// bai2Rows are the 16 records of a BAI2 file, each with its 88 continuations.
type bai2Rows struct {
	scan    *scanner
	cells   []string
	account string
	ccy     string
	date    string
	pending *standardRow
	total   decimal.Decimal // of the account, as its 49 record adds it up
	broken  bool
	problem string
	ended   bool
}

func (b *bai2Rows) untied() string { return b.problem }

func (b *bai2Rows) next() (row, error) {
	for !b.ended {
		rec, err := b.scan.next()
		if errors.Is(err, io.EOF) {
			b.ended = true
			break
		}
		if err != nil {
			return row{}, err
		}
		f := strings.Split(strings.TrimSuffix(strings.TrimSpace(string(rec.raw)), "/"), ",")
		if f[0] == "88" {
			if b.pending != nil && len(f) > 1 && len(b.pending.memo) < maxText {
				b.pending.memo = strings.TrimSpace(b.pending.memo + " " + strings.Join(f[1:], ","))
			}
			continue
		}
		done := b.pending
		b.pending = nil
		if err := b.record(f, rec.line); err != nil {
			return row{}, err
		}
		if done != nil {
			r := done.row(b.cells)
			b.cells = r.cells
			return r, nil
		}
	}
	if done := b.pending; done != nil {
		b.pending = nil
		r := done.row(b.cells)
		b.cells = r.cells
		return r, nil
	}
	return row{}, io.EOF
}

func (b *bai2Rows) record(f []string, line int) error {
	at := func(i int) string {
		if i < len(f) {
			return strings.TrimSpace(f[i])
		}
		return ""
	}
	add := func(s string) {
		d, err := decimal.NewFromString(s)
		if err != nil {
			b.broken = b.broken || s != ""
			return
		}
		b.total = b.total.Add(d)
	}
	switch f[0] {
	case "02":
		if d := at(4); len(d) == 6 {
			b.date = "20" + d[:2] + "-" + d[2:4] + "-" + d[4:]
		}
		b.ccy = at(6)
	case "03":
		b.account, b.total, b.broken = at(1), decimal.Zero, false
		if at(2) != "" {
			b.ccy = at(2)
		}
		for i := 4; i < len(f); i += 4 { // type code, amount, item count, funds type
			add(at(i))
		}
	case "16":
		code, ok := digits(at(1))
		if !ok || len(at(1)) != 3 {
			return &FileError{Line: line, Field: "16", Value: excerpt([]byte(at(1)), maxValue), Rule: "not a type code of three digits"}
		}
		direction := "C"
		if code >= 400 && code < 700 {
			direction = "D"
		}
		add(at(2))
		rest := f[min(4, len(f)):]
		if funds := at(3); funds == "S" {
			rest = f[min(7, len(f)):] // immediate, one-day and two-day amounts come first
		} else if funds == "V" {
			rest = f[min(6, len(f)):] // a value date and time come first
		}
		s := &standardRow{line: line, account: b.account, bookDate: b.date, amount: at(2), direction: direction, currency: b.ccy}
		if len(rest) > 0 {
			s.reference = strings.TrimSpace(rest[0])
		}
		if len(rest) > 1 {
			s.memo = strings.TrimSpace(strings.Join(rest[1:], " "))
		}
		b.pending = s
	case "49":
		stated, err := decimal.NewFromString(at(1))
		if err == nil && !b.broken && b.problem == "" && !stated.Equal(b.total) {
			b.problem = fmt.Sprintf("record 49 of account %s says %s, its records add up to %s", maskAccount(b.account), stated, b.total)
		}
	}
	return nil
}
