package charset

import (
	"io"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// pairs holds the character of every two-byte code, by (lead-0x81)*191 + trail-0x40; 0 where there is none. It is made of
// the x/text decoder once: that decodes a character at a time, this a buffer.
var pairs = sync.OnceValue(func() *[126 * 191]rune {
	var table [126 * 191]rune
	decoder := simplifiedchinese.GB18030.NewDecoder()
	for lead := 0x81; lead <= 0xfe; lead++ {
		for trail := 0x40; trail <= 0xfe; trail++ {
			if trail == 0x7f {
				continue
			}
			out, err := decoder.Bytes([]byte{byte(lead), byte(trail)})
			if err != nil {
				continue
			}
			if c, width := utf8.DecodeRune(out); c != utf8.RuneError && width == len(out) {
				table[(lead-0x81)*191+trail-0x40] = c
			}
		}
	}
	return &table
})

// decodeOne decodes the character at the beginning of b, whose first byte is not ASCII. width is 0 where b ends within
// the character; a byte that means nothing is U+FFFD of width one.
func decodeOne(table *[126 * 191]rune, b []byte) (c rune, width int) {
	lead := b[0]
	if lead == 0x80 { // Windows writes the euro so
		return '€', 1
	}
	if lead == 0xff {
		return utf8.RuneError, 1
	}
	if len(b) < 2 {
		return 0, 0
	}
	trail := b[1]
	if trail >= 0x40 && trail != 0x7f && trail != 0xff {
		if c := table[(int(lead)-0x81)*191+int(trail)-0x40]; c != 0 {
			return c, 2
		}
		if trail < utf8.RuneSelf {
			return utf8.RuneError, 1 // the trail may be a separator of its own
		}
		return utf8.RuneError, 2
	}
	if trail < '0' || trail > '9' {
		return utf8.RuneError, 1
	}
	if len(b) < 4 {
		return 0, 0
	}
	out, err := simplifiedchinese.GB18030.NewDecoder().Bytes(b[:4])
	if err != nil {
		return utf8.RuneError, 1
	}
	c, n := utf8.DecodeRune(out)
	if n != len(out) || c == utf8.RuneError {
		return utf8.RuneError, 1
	}
	return c, 4
}

// countGB counts the characters beyond ASCII, those of them that GB 2312 has too or that take four bytes, and the bytes
// that are none.
func countGB(b []byte, whole bool) (chars, common, errs int) {
	table := pairs()
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		c, width := decodeOne(table, b[i:])
		if width == 0 {
			if whole {
				errs++
			}
			break
		}
		chars++
		switch {
		case c == utf8.RuneError:
			errs++
		case width == 4, width == 2 && b[i] >= 0xa1 && b[i] <= 0xf7 && b[i+1] >= 0xa1:
			common++
		}
		i += width
	}
	return chars, common, errs
}

// DecodeGB18030 decodes the bytes of one field, for records that are cut by bytes. It is not ok where they hold anything
// that GB18030 does not.
func DecodeGB18030(b []byte) (s string, ok bool) {
	table := pairs()
	out := make([]byte, 0, len(b)*3/2)
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			out = append(out, b[i])
			i++
			continue
		}
		c, width := decodeOne(table, b[i:])
		if width == 0 || c == utf8.RuneError {
			return "", false
		}
		out = utf8.AppendRune(out, c)
		i += width
	}
	return string(out), true
}

// gbReader decodes GB18030 as it is read.
type gbReader struct {
	src io.Reader
	in  []byte // not yet decoded
	out []byte // decoded and not yet passed on
	buf []byte
	dst []byte
	err error
}

func (g *gbReader) Read(p []byte) (int, error) {
	for len(g.out) == 0 {
		if g.err != nil && len(g.in) == 0 {
			return 0, g.err
		}
		if g.buf == nil {
			g.buf, g.dst = make([]byte, window), make([]byte, 0, window*3/2+utf8.UTFMax)
		}
		if g.err == nil {
			kept := copy(g.buf, g.in)
			var n int
			n, g.err = g.src.Read(g.buf[kept:])
			g.in = g.buf[:kept+n]
		}
		g.decode()
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// decode turns what is whole of in into out.
func (g *gbReader) decode() {
	table := pairs()
	out, in := g.dst[:0], g.in
	for len(in) > 0 {
		if in[0] < utf8.RuneSelf {
			n := asciiPrefix(in)
			out = append(out, in[:n]...)
			in = in[n:]
			continue
		}
		c, width := decodeOne(table, in)
		if width == 0 {
			if g.err == nil {
				break // the rest of the character is still to come
			}
			c, width = utf8.RuneError, len(in)
		}
		out = utf8.AppendRune(out, c)
		in = in[width:]
	}
	g.in, g.out = in, out
}
