package classify

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
)

// A digest is compared with those that earlier versions have stored: of the values as fmt prints them.
func TestDigest(t *testing.T) {
	row := []any{[16]byte{0, 7, 255}, int16(1), "delay", nil, "", decimal.New(90, -2), "订单", true}
	h := sha256.New()
	for _, value := range row {
		fmt.Fprintf(h, "%v\x00", value)
	}
	want := int64(binary.BigEndian.Uint64(h.Sum(nil)))
	if got := digestOf(row); got != want {
		t.Errorf("the digest of %v is %d, and by fmt %d", row, got, want)
	}
	for i := range row {
		other := append([]any{}, row...)
		other[i] = "another"
		if digestOf(other) == want {
			t.Errorf("the digest does not tell of value %d", i)
		}
	}
}
