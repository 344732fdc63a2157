package statement

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// FuzzReader holds for any bytes: no panic, every record counted and exactly one thing, what is kept of a reject fit to
// keep, and the same result however the source hands the bytes over.
func FuzzReader(f *testing.F) {
	for _, path := range samples(f) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		res := readAll(bytes.NewReader(data))
		if res.Err != nil {
			var fe *FileError
			if !errors.As(res.Err, &fe) {
				t.Fatalf("the source did not fail, yet: %v", res.Err)
			}
			if fe.Line < 1 || fe.Rule == "" || !fit(fe.Value, maxValue) {
				t.Fatalf("%#v", fe)
			}
		}
		// A row takes a line, and each line gives at most one record.
		if lines := bytes.Count(data, []byte("\n")) + 1; len(res.Records) > lines {
			t.Fatalf("%d records from %d lines", len(res.Records), lines)
		}
		if res.Kind != "" && res.Seen.Count != len(res.Records) {
			t.Fatalf("%d counted, %d returned", res.Seen.Count, len(res.Records))
		}

		amount, rejected, line := decimal.Zero, 0, 0
		for _, rec := range res.Records {
			if rec.Line <= line {
				t.Fatalf("line %d after line %d", rec.Line, line)
			}
			line = rec.Line
			of := 0
			for _, set := range []bool{rec.POS != nil, rec.Settlement != nil, rec.Payout != nil, rec.Bank != nil, rec.Reject != nil} {
				if set {
					of++
				}
			}
			if of != 1 {
				t.Fatalf("line %d is %d things", rec.Line, of)
			}
			if rej := rec.Reject; rej != nil {
				rejected++
				amount = amount.Add(rej.Amount.Decimal)
				if rej.Rule == "" || !fit(rej.Raw, maxRaw) || !fit(rej.Value, maxValue) {
					t.Fatalf("%#v", rej)
				}
			} else {
				amount = amount.Add(accepted(t, rec))
			}
		}
		if res.Kind != "" && (rejected != res.Seen.Rejected || !amount.Equal(res.Seen.Amount)) {
			t.Fatalf("%d rejects and %s returned, %+v counted", rejected, amount, res.Seen)
		}

		if diff := cmp.Diff(res.describe(), readAll(iotest.OneByteReader(bytes.NewReader(data))).describe()); diff != "" {
			t.Fatalf("byte by byte (-whole +bytes):\n%s", diff)
		}
		if diff := cmp.Diff(res.describe(), readAll(iotest.DataErrReader(bytes.NewReader(data))).describe()); diff != "" {
			t.Fatalf("io.EOF with the last bytes (-without +with):\n%s", diff)
		}
	})
}

// fit reports whether a text may be kept: short, UTF-8, without NUL.
func fit(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.Contains(s, "\x00")
}

// accepted checks an accepted row and returns what it adds to the totals.
func accepted(t *testing.T, rec Record) decimal.Decimal {
	f := only(rec)
	for name, v := range f {
		s, ok := v.(string)
		if ok && (strings.Contains(s, "\x00") || !utf8.ValidString(s) || strings.Contains(s, "\ufffd")) {
			t.Fatalf("%s: %q", name, s)
		}
	}
	var amount decimal.Decimal
	switch {
	case rec.POS != nil:
		amount = rec.POS.Amount
		if rec.POS.OrderID == "" || rec.POS.Acquirer == "" || rec.POS.MerchantID == "" || rec.POS.Channel == "" ||
			rec.POS.Status == "" || rec.POS.TxnTime.IsZero() || rec.POS.Type == "" || len(rec.POS.Currency) != 3 {
			t.Fatalf("%v", f)
		}
	case rec.Settlement != nil:
		amount = rec.Settlement.Amount
		if rec.Settlement.OrderID == "" || rec.Settlement.MerchantID == "" || rec.Settlement.Status == "" ||
			rec.Settlement.SettleDate.IsZero() || rec.Settlement.Type == "" || len(rec.Settlement.Currency) != 3 {
			t.Fatalf("%v", f)
		}
	case rec.Payout != nil:
		amount = rec.Payout.Amount
		if rec.Payout.PayoutID == "" || rec.Payout.MerchantID == "" || rec.Payout.Status == "" ||
			rec.Payout.PayoutDate.IsZero() || len(rec.Payout.Currency) != 3 {
			t.Fatalf("%v", f)
		}
		return amount
	}
	if amount.IsNegative() || amount.Exponent() != -2 {
		t.Fatalf("amount %s", amount)
	}
	switch f["Type"] {
	case recon.TypeVoid:
		return decimal.Zero
	case recon.TypeRefund:
		return amount.Neg()
	}
	return amount
}

// FuzzFormats holds for any bytes, taken for any format: no panic, each record exactly one thing and fit to keep, the same
// result however the source hands the bytes over, and time and memory in proportion to the input.
func FuzzFormats(f *testing.F) {
	for _, path := range formatSamples(f) {
		for name, data := range sampleDocuments(f, path) {
			f.Add(data, name)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		began := time.Now()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		res := readNamed(bytes.NewReader(data), name, nil)
		runtime.ReadMemStats(&after)
		took := time.Since(began)
		// A second per MB, and a second for a machine that is busy; what is kept here is a multiple of the input.
		if took > time.Second+time.Duration(len(data))*time.Microsecond {
			t.Fatalf("%d bytes took %v", len(data), took)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 64<<20+200*uint64(len(data)) {
			t.Fatalf("%d bytes allocated %d MiB", len(data), grown>>20)
		}
		if res.Err != nil {
			var fe *FileError
			if !errors.As(res.Err, &fe) {
				t.Fatalf("the source did not fail, yet: %v", res.Err)
			}
			if fe.Line < 1 || fe.Rule == "" {
				t.Fatalf("%#v", fe)
			}
		}
		line := 0
		for _, rec := range res.Records {
			of := 0
			for _, set := range []bool{rec.POS != nil, rec.Settlement != nil, rec.Payout != nil, rec.Bank != nil, rec.Reject != nil} {
				if set {
					of++
				}
			}
			if of != 1 || rec.Line <= line {
				t.Fatalf("line %d, after line %d, is %d things", rec.Line, line, of)
			}
			line = rec.Line
			switch {
			case rec.Reject != nil:
				if rec.Reject.Rule == "" || !fit(rec.Reject.Value, maxValue) || !fit(rec.Reject.Raw, maxRaw) {
					t.Fatalf("%#v", rec.Reject)
				}
			case rec.Settlement != nil:
				if s := rec.Settlement; s.Amount.IsNegative() || s.OrderID == "" || s.SettleDate.IsZero() {
					t.Fatalf("%#v", s)
				}
			case rec.POS != nil:
				if p := rec.POS; p.Amount.IsNegative() || p.OrderID == "" || p.TxnTime.IsZero() {
					t.Fatalf("%#v", p)
				}
			}
		}
		if again := readNamed(iotest.HalfReader(bytes.NewReader(data)), name, nil); again.describe() != res.describe() {
			t.Fatalf("read in halves:\n%s\nread whole:\n%s", again.describe(), res.describe())
		}
	})
}
