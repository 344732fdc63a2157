package codes

import (
	_ "embed"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/posrecon/posrecon/internal/recon"
)

// familyCode is what a code is unique by.
type familyCode struct{ family, code string }

func isChinese(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

// Every code says what it is in both languages and where that is known from, has one meaning, and its class and its
// sub-cause agree: the contract's line between a business code and a system or timeout code goes through here.
func TestResponses(t *testing.T) {
	seen := map[familyCode]bool{}
	want := map[Class][]recon.Cause{
		Business: {recon.FailedTxn}, Waiting: {recon.FailedTxn}, System: {recon.InterfaceFault}, Network: {recon.InterfaceFault},
		Blocked: {recon.FrozenAccount}, Other: {recon.Delay},
	}
	for _, r := range Responses() {
		key := familyCode{r.Family, r.Code}
		if seen[key] || r.Code != strings.ToUpper(strings.TrimSpace(r.Code)) || r.Code == "" {
			t.Errorf("code %q is there twice, or can never be found", r.Code)
		}
		seen[key] = true
		if r.EN == "" || isChinese(r.EN) || !isChinese(r.ZH) || r.Source == "" || r.Family == "" {
			t.Errorf("code %s is %q in English, %q in Chinese, by %q", r.Code, r.EN, r.ZH, r.Source)
		}
		if r.Class == Approved || r.Class == Other && r.SubCause == "" {
			if r.SubCause != "" || r.Strength != "" {
				t.Errorf("code %s of class %s is evidence of nothing, and a failure by %s", r.Code, r.Class, r.SubCause)
			}
			continue
		}
		if !slices.Contains(recon.SubCauses, r.SubCause) || !slices.Contains(want[r.Class], r.SubCause.Cause()) {
			t.Errorf("code %s of class %q leads to %s/%s", r.Code, r.Class, r.SubCause.Cause(), r.SubCause)
		}
		if !slices.Contains([]Strength{Strong, Medium, Weak}, r.Strength) {
			t.Errorf("code %s is of strength %q", r.Code, r.Strength)
		}
	}
}

// Where two families have a code, the acquirer's meaning comes before the channel's; elsewhere a code means the same to all.
func TestScopes(t *testing.T) {
	for _, tt := range []struct {
		code   string
		scopes []string
		want   string // the family
	}{
		{"REFUND", []string{"lakala", "WECHAT"}, "lakala"},
		{"REFUND", []string{"shengpay", "WECHAT"}, "wechat"},
		{"refund", []string{"shengpay", "wechat"}, "wechat"},
		{"REFUND", nil, "lakala"},                             // the first of the table
		{"NOTENOUGH", []string{"lakala", "ALIPAY"}, "wechat"}, // only one family has it
		{"51", []string{"chinaums", "UNIONPAY"}, "field39"},
	} {
		if got, ok := FindResponse(tt.code, tt.scopes...); !ok || got.Family != tt.want {
			t.Errorf("code %s of %v is %s's, want %s's", tt.code, tt.scopes, got.Family, tt.want)
		}
	}
	if got, ok := FindResponse("Z9", "lakala"); ok {
		t.Errorf("a code that nobody knows is %+v", got)
	}
	if got, ok := FindPayout("3017", "lakala"); !ok || got.Family != "allinpay" {
		t.Errorf("reason code 3017 is %s's", got.Family)
	}
}

// published is what the owners of codes publish, one family and code a line.
//
//go:embed testdata/published.csv
var published string

// No published code is left out: what is missing here is told to a clerk as a code that nobody knows.
func TestPublishedCodes(t *testing.T) {
	have := map[familyCode]bool{}
	for _, r := range Responses() {
		have[familyCode{r.Family, r.Code}] = true
	}
	for _, p := range Payouts() {
		have[familyCode{p.Family + "_payout", p.Code}] = true
	}
	for line := range strings.Lines(published) {
		owner, code, _ := strings.Cut(strings.TrimSpace(line), ",")
		if !have[familyCode{owner, strings.ToUpper(code)}] {
			t.Errorf("code %s of %s is not in the tables", code, owner)
		}
	}
}

func TestPayouts(t *testing.T) {
	seen := map[familyCode]bool{}
	for _, p := range Payouts() {
		key := familyCode{p.Family, p.Code}
		if seen[key] || p.Code != strings.ToUpper(p.Code) || p.Code == "" {
			t.Errorf("code %q is there twice, or can never be found", p.Code)
		}
		seen[key] = true
		if p.EN == "" || isChinese(p.EN) || !isChinese(p.ZH) || p.Source == "" || p.Family == "" {
			t.Errorf("code %s: %+v", p.Code, p)
		}
		if p.SubCause == "" && p.Strength == "" {
			continue // evidence of nothing
		}
		if cause := p.SubCause.Cause(); !slices.Contains(recon.SubCauses, p.SubCause) || cause != recon.FrozenAccount && cause != recon.Delay {
			t.Errorf("code %s leads to %s/%s: a payout waits for an account or for time", p.Code, cause, p.SubCause)
		}
		if !slices.Contains([]Strength{Strong, Medium, Weak}, p.Strength) {
			t.Errorf("code %s is of strength %q", p.Code, p.Strength)
		}
	}
}

// No word hides behind one that is read before it.
func TestWords(t *testing.T) {
	for _, w := range AllWords() {
		if cause := w.SubCause.Cause(); !slices.Contains(recon.SubCauses, w.SubCause) || cause != recon.FrozenAccount && cause != recon.Delay || w.Source == "" {
			t.Errorf("%+v", w)
		}
		if got, ok := FindWords(w.Words); !ok || got != w.SubCause {
			t.Errorf("word %q is read as %s, want %s", w.Words, got, w.SubCause)
		}
	}
}

// The texts that an acquirer publishes as common reasons of failed payouts, with the cause that it gives.
func TestPublishedReasons(t *testing.T) {
	for text, want := range map[string]recon.SubCause{
		"FPOS0000客户账号6222801234567890收付控制状态不允许交易": recon.AccountAbnormal,
		"FPOS0000收付控制状态不允许交易":                     recon.AccountAbnormal,
		"XF:修复":          recon.PayoutLate, // booked the day after
		"查无此交易[2600000]": recon.PayoutLate, // the channel's; paid again
		"持卡人身份信息、手机号或CVN2输入不正确，验证失败[1000005]":     recon.AccountAbnormal,
		"失败-持卡人身份信息或手机号输入不正确，验证失败":                recon.AccountAbnormal,
		"持卡人身份信息验证失败":                             recon.AccountAbnormal,
		"发卡行交易权限受限，详情请咨询您的发卡行[1000061]":           recon.AccountAbnormal,
		"…或为II类卡该卡当日交易超限…":                        recon.AccountAbnormal,
		"交易失败，详情请咨询您的发卡行":                         recon.AccountAbnormal,
		"交易失败(日间撤销)":                              recon.PayoutLate,
		"交易失败(域值[6222]长度为[24]超过最大长度[19]!NFILL出错)": recon.AccountAbnormal,
		"路由错误": recon.AccountAbnormal,
		"您输入的卡号无效，详询发卡行[1020114]": recon.AccountAbnormal,
		"失败-输入的卡号无效，请确认后输入":       recon.AccountAbnormal,
		"输入的卡号无效，请确认后输入[1000014]": recon.AccountAbnormal,
		"无此交易权限":              recon.AccountAbnormal,
		"银行卡未开通认证支付[1000057]": recon.AccountAbnormal,
		"未开通银联无卡支付功能":         recon.AccountAbnormal,
		"银联风险受限":              recon.AccountAbnormal, // the payee's card
		"不允许此卡交易":             recon.AccountAbnormal,
		"非本行帐户":               recon.AccountAbnormal, // the variant character
		"交易失败(收款行处理失败，收款方非借记卡或个人结算存折，转账失败！)": recon.AccountAbnormal,
		"平台路由失败":    recon.AccountAbnormal,
		"有缺陷的成功":    recon.PayoutLate,
		"银行或银联交易限制": recon.AccountFrozen,
		"退款余额不足":    recon.InsufficientBalance,
		"账户状态异常":    recon.AccountAbnormal,
		"风控冻结，次日处理": recon.AccountFrozen, // the cause comes first
		"银行系统维护":    recon.PayoutLate,
		"该账户只收不付":   recon.AccountAbnormal,
		"不收不付":      recon.AccountAbnormal, // no other word beside it
		"二类户超限":     recon.AccountAbnormal, // the class of the account comes before the limit
		"超限":        recon.PayoutLate,      // a limit of whom is not said
		"验签失败":      recon.PayoutLate,      // between the acquirer and its bank
	} {
		if got, ok := FindWords(text); !ok || got != want {
			t.Errorf("%q is read as %q, want %s", text, got, want)
		}
	}
	if got, ok := FindWords("某种说法"); ok {
		t.Errorf("a text that nobody knows is read as %s", got)
	}
}
