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
		{"王小明 wangxm@example.com", "王小明 w*****@example.com", "an e-mail address"},
		{"a.b-c@x.cn,13812345678@163.com", "a****@x.cn,1**********@163.com", "two, one of a mobile number"},
		{"x@y.cn", "x@y.cn", "nothing to hide"},
		{"3@5 and @home", "3@5 and @home", "no addresses"},
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
		s := rapid.StringMatching(`([0-9]{0,30}[Xx, 卡@.]?){0,6}`).Draw(t, "text")
		masked := MaskPersonal(s)
		if len(masked) != len(s) {
			t.Fatalf("%q: %q has another length", s, masked)
		}
		if again := MaskPersonal(masked); again != masked {
			t.Fatalf("%q: %q, masked again %q", s, masked, again)
		}
		for i := range len(s) {
			if masked[i] != s[i] && (masked[i] != '*' || !strings.ContainsRune("0123456789xX.", rune(s[i]))) {
				t.Fatalf("%q: %q", s, masked)
			}
		}
	})
}

func TestMaskName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, want, why string }{
		{"张三", "张**", "a person"},
		{"张三 66666666666666", "张**", "with the account behind it"},
		{"李店", "李**", "a person whose name has a sign of a business"},
		{"欧阳院部", "欧**", "a compound surname"},
		{"老王便利店", "老王便利店", "longer than a person's, with a sign"},
		{"买买提艾合买提", "买**", "longer, without"},
		{"某某贸易有限公司", "某某贸易有限公司", "a company"},
		{"拉卡拉", "拉卡拉", "an acquirer by its short name"},
		{"北京商店", "北京商店", "a word that no person has"},
		{"ZHANG SAN", "Z**", "a person in pinyin"},
		{"Zhang San, Ms", "Z**", "in small letters"},
		{"ACME CO., LTD", "ACME CO., LTD", "a company in English"},
		{"CHINAUMS KEHU BEIFUJIN", "CHINAUMS KEHU BEIFUJIN", "an acquirer in pinyin"},
		{"COLTD SAN", "C**", "a word counts as a whole"},
		{"6222020200112230", "***2230", "a number for a name"},
		{"*三", "***", "masked by the bank already"},
		{"张**", "张**", "masked already"},
		{"--", "--", "nobody"},
		{"", "", "nothing"},
	} {
		if got := maskName(tt.name); got != tt.want {
			t.Errorf("%q: %q, want %q: %s", tt.name, got, tt.want, tt.why)
		}
	}
}
