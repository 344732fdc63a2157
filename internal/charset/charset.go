// Package charset turns the text of statement files into UTF-8: it finds out from the bytes how a file is encoded and
// decodes it as it is read. It knows nothing of lines, cells or files.
//
// Chinese acquirers and banks send GBK (read as GB18030, which contains it), wallets' interfaces UTF-8, spreadsheets
// UTF-8 with a byte order mark or UTF-16. Nobody says which, and a file's name never tells.
package charset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// window is how much text, from the first byte that is not ASCII on, decides between UTF-8 and GB18030: some two hundred
// lines. A bill can be ASCII for megabytes before it names a shop.
const window = 64 << 10

// The encodings, as people write them.
const (
	ASCII   = "ascii"
	UTF8    = "utf-8"
	UTF8BOM = "utf-8 with BOM"
	GB18030 = "gb18030"
	UTF16LE = "utf-16le"
	UTF16BE = "utf-16be"
)

// Reader reads a text as UTF-8 without a byte order mark. Bytes that GB18030 or UTF-16 cannot mean become U+FFFD; those of
// a text that is UTF-8 but for them are passed on as they are. NUL bytes are passed on.
type Reader struct {
	src      io.Reader
	base     []byte // what buf lies in
	buf      []byte // read and not yet passed on
	err      error  // of src, once buf is passed on
	encoding string
	decode   io.Reader // once it is decided that the rest needs decoding
	through  bool      // once it is decided that it does not
}

// NewReader returns a reader of src. It reads nothing yet.
func NewReader(src io.Reader) *Reader { return &Reader{src: src} }

// Encoding returns what the text was found to be so far: ASCII until a byte says more.
func (r *Reader) Encoding() string {
	if r.encoding == "" {
		return ASCII
	}
	return r.encoding
}

// fill reads until buf holds a window or the source ends.
func (r *Reader) fill() {
	if r.base == nil {
		r.base = make([]byte, window)
	}
	r.buf = r.base[:copy(r.base, r.buf)]
	for len(r.buf) < window && r.err == nil {
		var m int
		m, r.err = r.src.Read(r.base[len(r.buf):])
		r.buf = r.base[:len(r.buf)+m]
	}
}

// Read passes decoded text on.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.encoding == "" {
		r.begin()
	}
	if r.decode != nil {
		return r.decode.Read(p)
	}
	if r.through {
		return r.raw(p)
	}
	if len(r.buf) == 0 {
		r.fill()
		if len(r.buf) == 0 {
			return 0, r.err
		}
	}
	n := asciiPrefix(r.buf)
	if n > 0 {
		n = copy(p, r.buf[:n])
		r.buf = r.buf[n:]
		return n, nil
	}
	// The first byte that is not ASCII.
	r.fill()
	if isGB18030(r.buf, errors.Is(r.err, io.EOF)) {
		r.encoding = GB18030
		r.decode = &gbReader{src: readerFunc(r.raw)}
		return r.decode.Read(p)
	}
	if r.encoding == ASCII {
		r.encoding = UTF8
	}
	r.through = true
	return r.raw(p)
}

// raw passes the source's bytes on.
func (r *Reader) raw(p []byte) (int, error) {
	if len(r.buf) > 0 {
		n := copy(p, r.buf)
		r.buf = r.buf[n:]
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.src.Read(p)
	r.err = err
	return n, err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// begin looks for byte order marks, and for UTF-16 without one.
func (r *Reader) begin() {
	r.fill()
	utf16 := func(name string, order unicode.Endianness, skip int) {
		r.encoding = name
		r.buf = r.buf[skip:]
		r.decode = transform.NewReader(readerFunc(r.raw), unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder())
	}
	switch {
	case bytes.HasPrefix(r.buf, []byte("\xef\xbb\xbf")):
		r.encoding = UTF8BOM
		r.buf = r.buf[3:]
		r.through = true
	case bytes.HasPrefix(r.buf, []byte("\xff\xfe")):
		utf16(UTF16LE, unicode.LittleEndian, 2)
	case bytes.HasPrefix(r.buf, []byte("\xfe\xff")):
		utf16(UTF16BE, unicode.BigEndian, 2)
	case separatedByNULs(r.buf, 1):
		utf16(UTF16LE, unicode.LittleEndian, 0)
	case separatedByNULs(r.buf, 0):
		utf16(UTF16BE, unicode.BigEndian, 0)
	default:
		r.encoding = ASCII
	}
}

// separatedByNULs reports whether a text is UTF-16 with its high bytes at the odd or even places: the separators, digits
// and line ends of any table are NUL there and printable beside it, and no NUL stands anywhere else.
func separatedByNULs(b []byte, at int) bool {
	b = b[:min(len(b), 4096)&^1]
	nuls := 0
	for i := 0; i < len(b); i += 2 {
		high, low := b[i+at], b[i+1-at]
		if low == 0 && high == 0 {
			return false
		}
		if high == 0 {
			if low < '\t' || low > '~' {
				return false
			}
			nuls++
		}
	}
	return nuls >= 8 && nuls*8 >= len(b)/2
}

// asciiPrefix counts the bytes before the first that is not ASCII, eight at a time.
func asciiPrefix(b []byte) int {
	i := 0
	for i+8 <= len(b) && binary.LittleEndian.Uint64(b[i:])&0x8080808080808080 == 0 {
		i += 8
	}
	for i < len(b) && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// isGB18030 decides what a window of text is. A text that is valid UTF-8 is UTF-8, unless all it holds are two-byte
// characters of scripts that no bill of ours is written in, which a few Chinese characters in GBK can look like. One that
// is not is GB18030 if it decodes as such, mostly to the characters of GB 2312 that all but rare names are written in (half a
// character of UTF-8 decodes to others), unless its valid characters of UTF-8 so prevail that it is UTF-8 with damage.
func isGB18030(b []byte, whole bool) bool {
	good, long, foreign, bad := 0, 0, 0, 0
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		c, width := utf8.DecodeRune(b[i:])
		switch {
		case c == utf8.RuneError && width <= 1:
			if !whole && !utf8.FullRune(b[i:]) {
				i = len(b)
				continue
			}
			bad++
			width = 1
		case width >= 3:
			good++
			long++
		case b[i] >= 0xc4:
			good++
			foreign++
		default:
			good++ // Latin supplement: ¥ × ·
		}
		i += width
	}
	if bad == 0 && (long > 0 || foreign == 0) {
		return false
	}
	if bad > 0 && good > 4*bad {
		return false
	}
	chars, common, errs := countGB(b, whole)
	return errs*20 <= chars && common*4 >= chars*3
}
