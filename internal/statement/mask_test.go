package statement

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMaskPersonal(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, why string }{
		{"4111111111111111", "411111******1111", "a card number"},
		{"卡号6222020200112230余额不足", "卡号622202******2230余额不足", "in a sentence"},
		{"4222222222222", "422222***2222", "13 digits, the shortest"},
		{"6304000000000000000", "630400*********0000", "19 digits, the longest"},
		{"4111111111111112", "4111111111111112", "fails the Luhn check"},
		{"41111111111111111111", "41111111111111111111", "20 digits, no card"},
		{"4200000000000000000000000000", "4200000000000000000000000000", "a wallet's 28 digits"},
		{"13812345678", "138****5678", "a mobile number"},
		{"T13812345678,19900000000", "T138****5678,199****0000", "several, letters around"},
		{"12812345678", "12812345678", "no mobile number begins so"},
		{"138123456789", "138123456789", "12 digits"},
		{"11010519491231002X", "110***********002X", "a citizen id, the check character X"},
		{"11010519491231002x。", "110***********002x。", "in lower case"},
		{"440524188001010014", "440***********0014", "a citizen id, the check character a digit"},
		{"11010519491231002XY", "11010519491231002XY", "part of a longer code"},
		{"110105194912310021", "110105194912310021", "a wrong check character, and fails the Luhn check"},
		{"", "", "nothing"},
		{"C01", "C01", "an order id"},
	} {
		if got := MaskPersonal(tt.text); got != tt.want {
			t.Errorf("%q: %q, want %q: %s", tt.text, got, tt.want, tt.why)
		}
	}
}

func TestMaskPersonalLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`([0-9]{0,30}[Xx, 卡]?){0,6}`).Draw(t, "text")
		masked := MaskPersonal(s)
		if len(masked) != len(s) {
			t.Fatalf("%q: %q has another length", s, masked)
		}
		if again := MaskPersonal(masked); again != masked {
			t.Fatalf("%q: %q, masked again %q", s, masked, again)
		}
		for i := range len(s) {
			if masked[i] != s[i] && (masked[i] != '*' || !strings.ContainsRune("0123456789", rune(s[i]))) {
				t.Fatalf("%q: %q", s, masked)
			}
		}
	})
}
