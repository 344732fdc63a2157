package classify

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/posrecon/posrecon/internal/codes"

	"github.com/posrecon/posrecon/internal/recon"
)

// isChinese reports whether s holds a Chinese character.
func isChinese(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

// The codes that the scenarios' acquirers send, as their owners define them.
func TestLookUp(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]struct {
		class codeClass
		sub   recon.SubCause
	}{
		"00": {codes.Approved, ""}, "SUCCESS": {codes.Approved, ""}, "ACQ.SELLER_BEEN_BLOCKED": {codeBlocked, recon.AccountFrozen},
		"51": {codeBusiness, recon.PayerFunds}, "NOTENOUGH": {codeBusiness, recon.PayerFunds}, "ACQ.BUYER_BALANCE_NOT_ENOUGH": {codeBusiness, recon.PayerFunds},
		"54": {codeBusiness, recon.Declined}, "55": {codeBusiness, recon.Declined}, "61": {codeBusiness, recon.Declined}, "62": {codeBusiness, recon.Declined},
		"13": {codeBusiness, recon.OperatorError}, "AUTHCODEEXPIRE": {codeBusiness, recon.OperatorError}, "AUTH_CODE_INVALID": {codeBusiness, recon.OperatorError},
		"USERPAYING": {codeWaiting, recon.Closed}, "ACQ.PAYMENT_FAIL": {codeWaiting, recon.Closed},
		"SYSTEMERROR": {codeSystem, recon.ChannelOutage}, "BANKERROR": {codeSystem, recon.ChannelOutage}, "ACQ.SYSTEM_ERROR": {codeSystem, recon.ChannelOutage},
		"68": {codeSystem, recon.ChannelOutage}, "91": {codeSystem, recon.ChannelOutage}, "96": {codeSystem, recon.ChannelOutage}, "98": {codeSystem, recon.ChannelOutage},
		"NETERR":      {codeNetwork, recon.Network},
		"systemerror": {codeSystem, recon.ChannelOutage}, "Acq.System_Error": {codeSystem, recon.ChannelOutage}, // in any case
		"": {codeNone, ""}, "Z9": {codeOther, ""}, "051": {codeOther, ""}, // what nobody knows says nothing
	} {
		if got := lookUp(code); got.class != want.class || got.sub != want.sub {
			t.Errorf("code %q is of class %s, %q; want %s, %q", code, got.class, got.sub, want.class, want.sub)
		}
	}
}

// Every next step is told in both languages, and every one that an explanation can name is there.
func TestActions(t *testing.T) {
	t.Parallel()
	for key, a := range Actions {
		if a.EN == "" || isChinese(a.EN) || !isChinese(a.ZH) {
			t.Errorf("action %s is %q in English and %q in Chinese", key, a.EN, a.ZH)
		}
		if !slices.Contains([]Contact{ContactNone, ContactAcquirer, ContactStore, ContactIT, ContactFinance}, a.Contact) {
			t.Errorf("action %s asks %q", key, a.Contact)
		}
	}
	named := map[string]bool{}
	for _, sub := range recon.SubCauses {
		named[actionOf(sub)] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	literal := regexp.MustCompile(`\bAction(?::| =) "([a-z_]+)"`)
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			named[m[1]] = true
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

func TestReadHold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code, text string
		want       holdReason
	}{
		{"R1301", "风险交易冻结", holdReason{recon.AccountFrozen, true, true}},
		{"R1102", "账户余额不足，充值后出款", holdReason{recon.InsufficientBalance, true, true}},
		{"E2014", "户名不符", holdReason{recon.AccountAbnormal, true, true}},
		{"E2051", "二类户日限额", holdReason{recon.AccountAbnormal, true, true}},
		{"E9001", "收款银行系统维护，次日重出", holdReason{recon.PayoutLate, true, true}},
		{"E9001", "户名不符", holdReason{recon.PayoutLate, true, true}}, // a known code comes before words
		{"X1", "户名不符", holdReason{recon.AccountAbnormal, true, false}},
		{"3056", "", holdReason{recon.AccountAbnormal, true, false}},     // a code of several meanings is worth what words are
		{"4000", "户名不符", holdReason{recon.AccountAbnormal, true, false}}, // words come before a weak code
		{"4000", "", holdReason{sub: recon.PayoutLate}},
		{"0000", "", holdReason{sub: recon.SystemDelay}}, // a code of success is no reason
		{"", "司法冻结", holdReason{recon.AccountFrozen, true, false}},
		{"", "公安止付", holdReason{recon.AccountFrozen, true, false}},
		{"", "银行系统维护，次日处理", holdReason{recon.PayoutLate, true, false}},
		{"", "节假日顺延", holdReason{recon.PayoutLate, true, false}},
		{"", "商户余额不足，待充值", holdReason{recon.InsufficientBalance, true, false}},
		{"", "收款账号已销户", holdReason{recon.AccountAbnormal, true, false}},
		{"", "Ⅱ类户超限", holdReason{recon.AccountAbnormal, true, false}},
		{"", "ⅱ类户超限", holdReason{recon.AccountAbnormal, true, false}},
		{"", "risk control", holdReason{recon.AccountFrozen, true, false}},
		{"", "ＲＩＳＫ", holdReason{recon.AccountFrozen, true, false}}, // full-width, as input methods type
		{"", "bank maintenance", holdReason{recon.PayoutLate, true, false}},
		{"", "冻结", holdReason{recon.AccountFrozen, true, false}},
		{"", "", holdReason{sub: recon.SystemDelay}},
		{"Z9", "原因不明", holdReason{sub: recon.SystemDelay}}, // the fallback, and known for one
	} {
		if got := readHold(tt.code, tt.text, recon.SystemDelay); got != tt.want {
			t.Errorf("%s %s is read as %+v, want %+v", tt.code, tt.text, got, tt.want)
		}
	}
	code, words, fallback := holdReason{byCode: true, known: true}.confidence(), holdReason{known: true}.confidence(), holdReason{}.confidence()
	if !(1 > code && code > words && words > fallback && fallback > 0.5) {
		t.Errorf("confidence by code %v, by words %v, by default %v", code, words, fallback)
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
