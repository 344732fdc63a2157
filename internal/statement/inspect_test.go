package statement

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Looking at eight bytes at a time finds what looking at each does.
func TestInspect(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Bytes beside the bounds, at any place in a word.
		raw := rapid.SliceOfN(rapid.SampledFrom([]byte("\x00\x1f !~\x7f\x80\x9f\xa0\xc2\xffa0")), 0, 40).Draw(t, "raw")
		ordinary := rapid.SliceOfN(rapid.SampledFrom([]byte(" ~azAZ09,")), 0, 40).Draw(t, "ordinary")
		raw = append(ordinary, raw...)
		var got, want cells
		got.inspect(raw)
		want.ascii = true
		for _, b := range raw {
			want.ascii = want.ascii && b < utf8.RuneSelf
			want.controls = want.controls || b < ' ' || b == 0x7f
		}
		want.controls = want.controls || !want.ascii && bytes.IndexByte(raw, 0xc2) >= 0
		if got.ascii != want.ascii || got.controls != want.controls {
			t.Fatalf("%q: ascii %t, controls %t; want %t, %t", raw, got.ascii, got.controls, want.ascii, want.controls)
		}
	})
}
