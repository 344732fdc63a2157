package statement

import (
	"math/bits"
	"strings"
	"unicode/utf8"
)

// Rows are looked at eight bytes at a time: most cells are shorter than what a call per cell costs. A word holds eight
// bytes, the first in its lowest lane.
const (
	lanes    = 8
	ones     = 0x0101010101010101
	highBits = 0x8080808080808080
)

// word returns the eight bytes of s from i on. The compiler makes one load of it.
func word(s string, i int) uint64 {
	b := s[i : i+lanes]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// equal sets the high bit of each lane of w that holds c, and no other bit.
func equal(w uint64, c byte) uint64 {
	x := w ^ ones*uint64(c)
	return ^((x&^highBits + ^uint64(highBits)) | x | ^uint64(highBits))
}

// firstLane returns the number of the lowest lane that is marked.
func firstLane(marks uint64) int { return bits.TrailingZeros64(marks) / lanes }

// legible reports whether s is sound UTF-8 without control characters, but for the separator: then no value that is cut
// from it needs a look at its characters. It may be wrong about a few characters of U+0080 to U+00BF, which then get one.
func legible(s string, sep byte) bool {
	i, high, odd := 0, uint64(0), uint64(0)
	for ; i+lanes <= len(s); i += lanes {
		w := word(s, i)
		if w&highBits != 0 {
			high |= w
			odd |= equal(w, 0xc2) | equal(w, 0xef) // how U+0080 to U+00BF and U+FFFD begin
		}
		// A separator that is a tab becomes ')'. Below a blank, a lane's subtraction borrows; DEL is looked for by name.
		w |= equal(w, sep) >> 2
		if ((w-ones*' ')&^w|equal(w, 0x7f))&highBits != 0 {
			return false
		}
	}
	for ; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			high, odd = highBits, highBits
		}
		if s[i] < ' ' && s[i] != sep || s[i] == 0x7f {
			return false
		}
	}
	if high&highBits == 0 {
		return true
	}
	return utf8.ValidString(s) && (odd == 0 || strings.IndexByte(s, 0xc2) < 0 && !strings.Contains(s, "\ufffd"))
}

// cutPlain appends the cells between separators, of a line without quotes, to cells; of more than limit it keeps the first
// and returns how many there are.
func cutPlain(cells []string, line string, sep byte, limit int) ([]string, int) {
	n, from, i := 0, 0, 0
	for ; i+lanes <= len(line); i += lanes {
		for marks := equal(word(line, i), sep); marks != 0; marks &= marks - 1 {
			at := i + firstLane(marks)
			if n++; n <= limit {
				cells = append(cells, line[from:at])
			}
			from = at + 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == sep {
			if n++; n <= limit {
				cells = append(cells, line[from:i])
			}
			from = i + 1
		}
	}
	if n++; n <= limit {
		cells = append(cells, line[from:])
	}
	return cells, n
}

// cutTicked is cutPlain for a line whose cells all begin with a back-tick: it is cut where a back-tick follows the
// separator, and the back-ticks are left out.
func cutTicked(cells []string, line string, sep byte, limit int) ([]string, int) {
	n, from, i := 0, 1, 1
	for ; i+lanes <= len(line); i += lanes {
		for marks := equal(word(line, i), '`'); marks != 0; marks &= marks - 1 {
			at := i + firstLane(marks)
			if line[at-1] != sep {
				continue
			}
			if n++; n <= limit {
				cells = append(cells, line[from:at-1])
			}
			from = at + 1
		}
	}
	for ; i < len(line); i++ {
		if line[i] == '`' && line[i-1] == sep {
			if n++; n <= limit {
				cells = append(cells, line[from:i-1])
			}
			from = i + 1
		}
	}
	if n++; n <= limit {
		cells = append(cells, line[from:])
	}
	return cells, n
}
