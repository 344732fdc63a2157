package ingest

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// encoder appends rows in the binary format of PostgreSQL's COPY: each row is the number of its fields, each field its
// length and its bytes, integers big-endian. The driver would do the same from a slice of interfaces per row, which costs
// four times what the server needs to take the row in.
type encoder struct {
	buf []byte
	err error // the first value that its column cannot hold
}

// copyHeader begins a COPY: the signature, no flags, no extension. copyTrailer ends it.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// row begins a row.
func (e *encoder) row(fields int) { e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(fields)) }

// null is an absent value of any type.
func (e *encoder) null() { e.buf = append(e.buf, 0xff, 0xff, 0xff, 0xff) }

func (e *encoder) uuid(id [16]byte) {
	e.length(len(id))
	e.buf = append(e.buf, id[:]...)
}

func (e *encoder) integer(n int32) {
	e.length(4)
	e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n))
}

func (e *encoder) bigint(n int64) {
	e.length(8)
	e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(n))
}

// text is a value also where it is empty.
func (e *encoder) text(s string) {
	e.length(len(s))
	e.buf = append(e.buf, s...)
}

// optional is NULL where it is empty: an absent value is no value.
func (e *encoder) optional(s string) {
	if s == "" {
		e.null()
		return
	}
	e.text(s)
}

// PostgreSQL counts dates and times from 2000-01-01 UTC.
const (
	epochDay    = 10957
	epochMicros = epochDay * 24 * 3600 * 1_000_000
)

func (e *encoder) date(d recon.Date) { e.integer(int32(d.UTC().Unix()/(24*3600) - epochDay)) }

// instant is a timestamptz, cut to microseconds, and NULL where it is zero.
func (e *encoder) instant(t time.Time) {
	if t.IsZero() {
		e.null()
		return
	}
	e.bigint(t.UnixMicro() - epochMicros)
}

// decimalPlaces are the decimal places of numeric(18,2), maxFen the first amount in fen that is too large for it.
const (
	decimalPlaces       = 2
	maxFen        int64 = 1e18
)

// amount is a numeric(18,2). An amount that would have to be rounded is an error: the database would do it without a word.
func (e *encoder) amount(d decimal.Decimal) {
	fen, ok := fenOf(d)
	if !ok {
		if e.err == nil {
			e.err = fmt.Errorf("the amount %s does not fit numeric(18,2)", d)
		}
		e.null()
		return
	}
	e.fen(fen)
}

// optionalAmount is NULL where there is none.
func (e *encoder) optionalAmount(d decimal.NullDecimal) {
	if !d.Valid {
		e.null()
		return
	}
	e.amount(d.Decimal)
}

// tooMuch and tooLittle are the first amounts of either sign that numeric(18,2) does not hold, with its places: comparing an amount
// of as many with them costs nothing, where counting its digits would take a logarithm.
var tooMuch, tooLittle = decimal.New(maxFen, -decimalPlaces), decimal.New(-maxFen, -decimalPlaces)

// fenOf returns an amount of yuan in fen; not ok where that is not whole, or not below maxFen.
func fenOf(d decimal.Decimal) (int64, bool) {
	// Nearly every amount has two places as it is, and then fits an int64 where it is in bounds.
	if d.Exponent() == -decimalPlaces {
		inBounds := d.LessThan(tooMuch)
		if d.IsNegative() {
			inBounds = d.GreaterThan(tooLittle)
		}
		if inBounds {
			return d.CoefficientInt64(), true
		}
	}
	fen := d.Shift(decimalPlaces)
	if d.IsZero() {
		return 0, true
	}
	if exp := int(fen.Exponent()); fen.NumDigits()+exp > 18 || !fen.IsInteger() {
		return 0, false
	}
	return fen.IntPart(), true
}

// fen is a numeric: the number of its digits to base 10,000, the power of the first, the sign, the decimal places that are
// shown, the digits. Zeros at either end are left out.
func (e *encoder) fen(fen int64) {
	var sign uint16
	if fen < 0 {
		sign, fen = 0x4000, -fen
	}
	// The last digit holds the two places and two zeros behind them; the point lies before it.
	var digits [5]uint16
	digits[4] = uint16(fen%100) * 100
	first := 4
	for yuan := fen / 100; yuan > 0; yuan /= 10_000 {
		first--
		digits[first] = uint16(yuan % 10_000)
	}
	last := len(digits)
	for last > first && digits[last-1] == 0 {
		last--
	}
	weight := 3 - first
	if first == last {
		weight = 0 // of zero
	}
	e.length(8 + 2*(last-first))
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(last-first))
	e.buf = binary.BigEndian.AppendUint16(e.buf, uint16(weight))
	e.buf = binary.BigEndian.AppendUint16(e.buf, sign)
	e.buf = binary.BigEndian.AppendUint16(e.buf, decimalPlaces)
	for _, digit := range digits[first:last] {
		e.buf = binary.BigEndian.AppendUint16(e.buf, digit)
	}
}

func (e *encoder) length(n int) { e.buf = binary.BigEndian.AppendUint32(e.buf, uint32(n)) }
