package statement

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/shopspring/decimal"
)

// Reject is a line that no row could be read from, and why. Value and Raw are fit to be kept: personal data in them is
// masked, and they are UTF-8 without NUL whatever the file holds, because PostgreSQL takes no other text; other bytes
// are written \x00.
type Reject struct {
	Line  int    // the physical line the record begins on, from 1
	Field string // the column whose value breaks the rule; "" for the line as a whole
	Value string // that value, at most 200 bytes; "" for the line as a whole
	Rule  string // what is wrong, for a clerk
	Raw   string // the line, at most 2,000 bytes; of one longer than 1 MiB the first 200

	// Amount and Fee are what the line adds to the control totals, negative for a REFUND and zero for a VOID. They are
	// not valid where the line does not tell: its cells cannot be counted off, the amount is no plain decimal or the
	// type is none we know. A fee that is empty, or a kind without fees, adds zero and is not valid either; FeeUnread
	// tells a fee that is there and cannot be read.
	Amount    decimal.NullDecimal
	Fee       decimal.NullDecimal
	FeeUnread bool
}

// excerptSlack is how far beyond the cut excerpt looks, so that it sees a whole number and masks it.
const excerptSlack = 64

// excerpt returns the beginning of raw, at most limit bytes: masked, printable and cut at a rune boundary.
func excerpt(raw []byte, limit int) string {
	raw = raw[:min(len(raw), limit+excerptSlack)]
	return shortened(printable(MaskPersonal(string(raw))), limit)
}

// shortened cuts a text to at most limit bytes, at a rune boundary.
func shortened(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// printable writes bytes that are not UTF-8, and NUL, as \x00.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, width := utf8.DecodeRuneInString(s[i:])
		if r == 0 || r == utf8.RuneError && width == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+width])
		}
		i += width
	}
	return b.String()
}

// reject makes the reject of a record and counts it. cells tells whether the record was split into as many cells as
// the header has, so that its amount can be found.
func (r *Reader) reject(rec record, bad fault, cells bool) Record {
	limit := maxRaw
	if rec.flaw == oversized {
		limit = maxRawOversized
	}
	r.rejected = Reject{
		Line:  rec.line,
		Field: bad.field,
		Value: excerpt([]byte(bad.value), maxValue),
		Rule:  bad.rule,
		Raw:   excerpt(rec.raw, limit),
	}
	if cells {
		r.contribution(&r.rejected)
	}
	r.hidePeople(&r.rejected, cells)
	r.sums.addRejected(&r.rejected)
	return Record{Line: rec.line, Reject: &r.rejected}
}

// contribution reads what the cells of a rejected line add to the totals.
func (r *Reader) contribution(rej *Reject) {
	c := &r.cells
	sign := decimal.NewFromInt(1)
	switch t := recon.Type(strings.ToUpper(c.value(colType))); {
	case t == recon.TypeVoid:
		sign = decimal.Zero
	case t == recon.TypeRefund:
		sign = decimal.NewFromInt(-1)
	case t != "" && t != recon.TypeSale:
		rej.FeeUnread = c.value(colFee) != ""
		return
	}
	amount := c.value(colAmount)
	negative := false
	if r.head.kind == recon.KindPayout || r.head.kind == recon.KindBank {
		amount, negative = strings.CutPrefix(amount, "-")
	}
	switch d, ok := parseReadable(amount); {
	case sign.IsZero():
		rej.Amount = decimal.NewNullDecimal(decimal.Zero) // adds nothing, whatever its amount says
	case ok && negative:
		rej.Amount = decimal.NewNullDecimal(d.Neg())
	case ok:
		rej.Amount = decimal.NewNullDecimal(d.Mul(sign))
	}
	if fee := c.value(colFee); fee != "" {
		if d, ok := parseReadable(fee); ok {
			rej.Fee = decimal.NewNullDecimal(d.Mul(sign))
		} else {
			rej.FeeUnread = !sign.IsZero()
		}
	}
}
