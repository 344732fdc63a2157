package charset

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

func encode(t testing.TB, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReader(t *testing.T) {
	const bill = "#支付宝业务明细查询\n商户订单号,商品名称\nA1,收银台收款\n"
	gb := func(s string) string { return encode(t, simplifiedchinese.GB18030, s) }
	for _, test := range []struct{ why, in, want, encoding string }{
		{"nothing", "", "", ASCII},
		{"digits tell nothing, and need nothing", "a,1\n", "a,1\n", ASCII},
		{"a wallet's interface", bill, bill, UTF8},
		{"a spreadsheet's UTF-8", "\xef\xbb\xbf" + bill, bill, UTF8BOM},
		{"Alipay and the banks", gb(bill), bill, GB18030},
		{"a character of four bytes (a rare surname)", gb("户名,㐂𠮷\n" + bill), "户名,㐂𠮷\n" + bill, GB18030},
		{"a bill that is ASCII for longer than any buffer", gb(strings.Repeat("0123456789,", 20_000) + "微信\n"), strings.Repeat("0123456789,", 20_000) + "微信\n", GB18030},
		{"联通 in GBK is famous for looking like UTF-8", gb("联通\n"), "联通\n", GB18030},
		{"Excel's Unicode text", "\xff\xfe" + encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), bill), bill, UTF16LE},
		{"the other byte order", "\xfe\xff" + encode(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), bill), bill, UTF16BE},
		{"UTF-16 whose mark got lost", encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "order_id,amount\nA1,10.00\n"), "order_id,amount\nA1,10.00\n", UTF16LE},
		{"UTF-8 with a yen sign alone", "¥10.00\n", "¥10.00\n", UTF8},
		{"UTF-8 with one bad byte stays UTF-8, and the byte stays bad", bill + "\xff" + bill, bill + "\xff" + bill, UTF8},
		{"half a character of UTF-8 is no Chinese word in GBK", "order_id\nB1\xe6\x94\n", "order_id\nB1\xe6\x94\n", UTF8},
		{"GBK with a damaged character", gb(bill) + "\xff\n" + gb(bill), bill + "\ufffd\n" + bill, GB18030},
		{"GBK cut off in a character", gb(bill + "微")[:len(gb(bill+"微"))-1], bill + "\ufffd", GB18030},
		{"a NUL is the caller's to refuse", "a\x00b\n", "a\x00b\n", ASCII},
	} {
		for _, how := range []struct {
			name string
			wrap func(io.Reader) io.Reader
		}{
			{"whole", func(r io.Reader) io.Reader { return r }},
			{"byte by byte", iotest.OneByteReader},
			{"data with EOF", iotest.DataErrReader},
		} {
			r := NewReader(how.wrap(strings.NewReader(test.in)))
			got, err := io.ReadAll(r)
			if err != nil || string(got) != test.want || r.Encoding() != test.encoding {
				t.Errorf("%s, %s: %v, %s, want %s:\n%.200q", test.why, how.name, err, r.Encoding(), test.encoding, got)
			}
		}
	}
}

// A source's error is the caller's to see, after all text before it.
func TestReaderError(t *testing.T) {
	src := iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))
	got, err := io.ReadAll(NewReader(src))
	if err != iotest.ErrTimeout || string(got) != "a" {
		t.Errorf("%q, %v", got, err)
	}
}

// Every character of GB18030 decodes as x/text has it.
func TestEveryCharacter(t *testing.T) {
	var all strings.Builder
	for c := rune(0xa0); c <= 0x2ffff; c++ {
		if utf8.ValidRune(c) && c != utf8.RuneError {
			all.WriteRune(c)
		}
	}
	in := encode(t, simplifiedchinese.GB18030, all.String())
	got, ok := DecodeGB18030([]byte(in))
	want, err := simplifiedchinese.GB18030.NewDecoder().String(in)
	if err != nil || !ok || got != want {
		t.Errorf("ok %v (%v), %d bytes, want %d", ok, err, len(got), len(want))
	}
}

func TestDecodeGB18030(t *testing.T) {
	if s, ok := DecodeGB18030([]byte("\xc3\xc5\xb5\xeaA")); !ok || s != "门店A" {
		t.Errorf("%q %v", s, ok)
	}
	if s, ok := DecodeGB18030([]byte("A\xc3")); ok {
		t.Errorf("half a character is %q", s)
	}
}

// FuzzReader: the same text whatever the size of the reads, never more than three times the input, and GB18030 is valid
// UTF-8 whatever the bytes.
func FuzzReader(f *testing.F) {
	f.Add([]byte("订单,1\n"))
	f.Add([]byte("\xb6\xa9\xb5\xa5,1\n"))
	f.Add([]byte("\xff\xfea\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in))
		one, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		other, err := io.ReadAll(NewReader(iotest.OneByteReader(bytes.NewReader(in))))
		if err != nil || !bytes.Equal(one, other) {
			t.Fatalf("%v: %q and %q", err, one, other)
		}
		if len(one) > 3*len(in)+3 {
			t.Fatalf("%d bytes of %d", len(one), len(in))
		}
		if r.Encoding() == GB18030 && !utf8.Valid(one) {
			t.Fatalf("not UTF-8: %q", one)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	line := "2026-03-05 09:15:30,4200002026030509153000000001,POS20260305000001,收银台收款,35.80,0.21\n"
	for _, bm := range []struct{ name, text string }{
		{"utf-8", strings.Repeat(line, 50_000)},
		{"gb18030", encode(b, simplifiedchinese.GB18030, strings.Repeat(line, 50_000))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.text)))
			for b.Loop() {
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{NewReader(strings.NewReader(bm.text))}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
