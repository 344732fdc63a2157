package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
)

// The second reading knows the first's bytes, by this process's own sum or by the SHA-256 that another has kept, and no others; what the
// parser leaves unread counts.
func TestSecondReading(t *testing.T) {
	t.Parallel()
	const text = "order_id,amount\nA,1.00\n"
	id := sha256.Sum256([]byte(text))
	sum := newSum()
	sum.Write([]byte(text[:5]))
	sum.Write([]byte(text[5:]))
	for name, c := range map[string]candidate{
		"read by this process": {sha256: hex.EncodeToString(id[:]), sum: sum.Sum(nil)},
		"recalled":             {sha256: hex.EncodeToString(id[:])},
	} {
		for again, want := range map[string]bool{text: true, text[:len(text)-1]: false, text + " ": false, strings.Replace(text, "1", "2", 1): false, "": false} {
			read := int64(0)
			s, err := c.readAgain(strings.NewReader(again), func(n int64) { read += n })
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, s, min(4, int64(len(again)))); err != nil {
				t.Fatal(err)
			}
			if same, err := s.unchanged(); err != nil || same != want || read != int64(len(again)) {
				t.Errorf("%s: %q is the same: %t, %v, after %d bytes", name, again, same, err, read)
			}
		}
	}
	if _, err := (&candidate{sha256: "no number"}).readAgain(strings.NewReader(""), func(int64) {}); err == nil {
		t.Error("a file is compared with what is no SHA-256")
	}
}
