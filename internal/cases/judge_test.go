package cases

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	label := func(acquirer, source string, stated recon.SubCause, confidence string, actual recon.SubCause, amount string) Label {
		return Label{Acquirer: acquirer, Source: source, Stated: stated, Confidence: recon.Amount{Decimal: decimal.RequireFromString(confidence)},
			Actual: actual, Amount: recon.Amount{Decimal: decimal.RequireFromString(amount)}, Currency: "CNY"}
	}
	got := Judge([]Label{
		label("lakala", "implied", recon.SystemDelay, "0.95", recon.SystemDelay, "10.00"),
		label("lakala", "implied", recon.SystemDelay, "0.95", recon.FileLate, "20.00"),   // another sub-cause of the same cause
		label("lakala", "person", recon.SystemDelay, "0.65", recon.FalseSuccess, "5.50"), // wrong
		label("chinaums", "person", recon.AccountFrozen, "1.00", recon.AccountFrozen, "7.00"),
	})
	amount := func(s string) recon.Amount { return recon.Amount{Decimal: decimal.RequireFromString(s)} }
	want := Judgement{Orders: 4, ByPerson: 2,
		Lines: []JudgeLine{
			{"chinaums", "account_frozen", "CNY", 1, 1, 1, amount("7.00"), amount("7.00"), "account_frozen"},
			{"lakala", "system_delay", "CNY", 3, 2, 1, amount("35.50"), amount("30.00"), "false_success"},
		},
		Bins: []JudgeBin{{"0.6-0.7", 1, "0.650", "0.000"}, {"0.9-1.0", 3, "0.967", "1.000"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("judgement (-want +got):\n%s", diff)
	}
}
