package classify

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/posrecon/posrecon/internal/recon"
)

// isChinese reports whether s holds a Chinese character.
func isChinese(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

// The codes that the scenarios' acquirers send, as their owners define them.
func TestCodeValue(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"00": "approved", "SUCCESS": "approved", "ACQ.SELLER_BEEN_BLOCKED": "blocked",
		"51": "payer_funds", "NOTENOUGH": "payer_funds", "ACQ.BUYER_BALANCE_NOT_ENOUGH": "payer_funds",
		"54": "declined", "55": "declined", "61": "declined", "62": "declined",
		"13": "operator_error", "AUTHCODEEXPIRE": "operator_error", "AUTH_CODE_INVALID": "operator_error",
		"USERPAYING": "waiting", "ACQ.PAYMENT_FAIL": "waiting",
		"SYSTEMERROR": "system", "BANKERROR": "system", "ACQ.SYSTEM_ERROR": "system", "68": "system", "91": "system", "96": "system", "98": "system",
		"NETERR": "network", "systemerror": "system", // in any case
		"": "none", "Z9": "other", "051": "other", // what nobody knows says nothing
	} {
		s := subject{ResponseCode: code}
		if got := strings.TrimSuffix(strings.TrimSuffix(s.code().value(), " likely"), " perhaps"); got != want {
			t.Errorf("code %q is %s, want %s", code, got, want)
		}
	}
}

func TestReadHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ code, text, want string }{
		{"R1301", "风险交易冻结", "account_frozen"},
		{"R1102", "账户余额不足，充值后出款", "insufficient_balance"},
		{"E2014", "户名不符", "account_abnormal"},
		{"E9001", "收款银行系统维护，次日重出", "payout_late"},
		{"E9001", "户名不符", "payout_late"}, // a known code comes before words
		{"X1", "户名不符", "account_abnormal likely"},
		{"3056", "", "account_abnormal likely"},     // a code of several meanings is worth what words are
		{"4000", "户名不符", "account_abnormal likely"}, // words come before a weak code
		{"4000", "", "payout_late perhaps"},
		{"0000", "", "unknown"}, // a code of success is no reason
		{"", "司法冻结", "account_frozen likely"},
		{"", "银行系统维护，次日处理", "payout_late likely"},
		{"", "商户余额不足，待充值", "insufficient_balance likely"},
		{"", "Ⅱ类户超限", "account_abnormal likely"},
		{"", "ＲＩＳＫ", "account_frozen likely"}, // full-width, as input methods type
		{"", "", "none"},
		{"Z9", "原因不明", "unknown"},
	} {
		if got := readHold(tt.code, tt.text).value(); got != tt.want {
			t.Errorf("%s %s is read as %s, want %s", tt.code, tt.text, got, tt.want)
		}
	}
}

// Every value that features can have is one that the weights know, or none at all.
func TestValuesAreWeighed(t *testing.T) {
	t.Parallel()
	for _, sub := range recon.SubCauses {
		for _, suffix := range []string{"", " likely", " perhaps"} {
			if v := string(sub) + suffix; Shipped().likelihood("reason", v) == nil && sub.Cause() == recon.FrozenAccount {
				t.Errorf("reason %s has no weight", v)
			}
		}
	}
	for _, v := range []string{"none", "other", "approved", "payer_funds", "declined", "operator_error", "closed", "waiting", "system", "network", "blocked", "waiting likely", "declined perhaps"} {
		if Shipped().likelihood("code", v) == nil {
			t.Errorf("code %s has no weight", v)
		}
	}
	for _, status := range recon.POSStatuses {
		if Shipped().likelihood("status", posValue(string(status))) == nil {
			t.Errorf("status %s has no weight", status)
		}
	}
}

// Every next step is told in both languages, and every one that an explanation can name is there.
func TestActions(t *testing.T) {
	t.Parallel()
	for key, a := range Actions {
		if a.EN == "" || isChinese(strings.ReplaceAll(a.EN, "查单", "")) || !isChinese(a.ZH) {
			t.Errorf("action %s is %q in English and %q in Chinese", key, a.EN, a.ZH)
		}
		if !slices.Contains([]Contact{ContactNone, ContactAcquirer, ContactStore, ContactIT, ContactFinance}, a.Contact) {
			t.Errorf("action %s asks %q", key, a.Contact)
		}
	}
	named := map[string]bool{}
	for _, sub := range recon.SubCauses {
		named[actionOf(sub)] = true
		if chineseSub[sub] == "" {
			t.Errorf("%s has no Chinese name", sub)
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`(?:\bAction(?::| =)|return) "([a-z]+_[a-z_]+|wait|announced)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			if m[1] != "other_amount" && m[1] != "other_status" { // values of the settlement family
				named[m[1]] = true
			}
		}
	}
	for key := range named {
		if _, ok := Actions[key]; !ok {
			t.Errorf("an explanation can name action %s, which is not there", key)
		}
	}
	for key := range Actions {
		if !named[key] {
			t.Errorf("no explanation names action %s", key)
		}
	}
}

func TestCertainty(t *testing.T) {
	t.Parallel()
	for confidence, want := range map[float64]string{0: "low", 0.64: "low", 0.65: "medium", 0.84: "medium", 0.85: "high", 1: "high"} {
		if got := Certainty(confidence); got != want {
			t.Errorf("%v is %s, want %s", confidence, got, want)
		}
	}
}
