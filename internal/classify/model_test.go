package classify

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/recon"
)

// drawFeatures draws one value for some of the families.
func drawFeatures(t *rapid.T) []feature {
	var list []feature
	for _, family := range families {
		values := sortedValues(family)
		if i := rapid.IntRange(-1, len(values)-1).Draw(t, family); i >= 0 {
			list = append(list, feature{family, values[i]})
		}
	}
	return list
}

func sortedValues(family string) []string {
	var values []string
	for _, line := range strings.Split(string(shippedWeights), "\n") {
		if f, rest, ok := strings.Cut(line, ","); ok && f == family {
			v, _, _ := strings.Cut(rest, ",")
			values = append(values, v)
		}
	}
	return values
}

// What a sub-cause leaves behind in a family is one of its values: their probabilities come to one, or to less where a family
// says nothing of it.
func TestWeightsAddUp(t *testing.T) {
	t.Parallel()
	for _, family := range families {
		for j, sub := range recon.SubCauses {
			sum := 0.0
			for _, v := range sortedValues(family) {
				sum += Shipped().values[family][v][j]
			}
			if family != "payout" && family != "reason" && sum < 0.6 || sum > 1.06 {
				t.Errorf("%s of %s come to %.3f", family, sub, sum)
			}
		}
	}
}

func TestParseWeights(t *testing.T) {
	t.Parallel()
	text := string(shippedWeights)
	for name, tt := range map[string]struct{ from, to, want string }{
		"a header of other sub-causes":    {"file_late,system_delay", "system_delay,file_late", "line 5: the header"},
		"a probability above one":         {"status,success,0.98", "status,success,1.98", "status success of file_late"},
		"a calibration without end":       {"calibration,power and ceiling,1", "calibration,power and ceiling,Inf", "above 0"},
		"what is neither more nor less":   {"status,success,0.98", "status,success,NaN", "status success of file_late"},
		"no number":                       {"status,success,0.98", "status,success,often", "status success of file_late"},
		"a family that nobody reads":      {"\nstatus,success", "\nmood,success", `no family "mood"`},
		"a value twice":                   {"\nstatus,failed", "\nstatus,success", "status success stands there twice"},
		"a rate of nothing":               {"rate,,1e-05", "rate,,0", "no rate of file_late"},
		"a calibration that turns it off": {"calibration,power and ceiling,1", "calibration,power and ceiling,0", "above 0"},
	} {
		changed := strings.Replace(text, tt.from, tt.to, 1)
		if changed == text {
			t.Fatalf("%s: %q does not occur", name, tt.from)
		}
		if _, err := ParseWeights([]byte(changed)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	if _, err := ParseWeights(bytes.Repeat([]byte("#"), maxWeights+1)); err == nil {
		t.Error("a file without end is read")
	}
}

// Evidence that is not there weighs nothing, the order of evidence does not matter, and shares come to one.
func TestPosteriorLaws(t *testing.T) {
	t.Parallel()
	w := Shipped()
	rapid.Check(t, func(t *rapid.T) {
		list := drawFeatures(t)
		l := w.likelihoodOf(list, nil)
		rates := w.rate
		p := w.posterior(&rates, &l)
		sum := 0.0
		for _, x := range p {
			sum += x
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Fatalf("%v: shares come to %v", list, sum)
		}
		more := w.likelihoodOf(append(list, feature{"code", "a value that no file has"}), nil)
		if diff := cmp.Diff(l, more); diff != "" {
			t.Fatalf("evidence that is unknown weighs something:\n%s", diff)
		}
		j := rapid.IntRange(0, subs-1).Draw(t, "raised")
		rates[j] *= 10
		raised := w.posterior(&rates, &l)
		for k := range raised {
			if k == j && raised[k] < p[k]-1e-12 || k != j && raised[k] > p[k]+1e-12 {
				t.Fatalf("%s more often, and %s is now %v instead of %v", recon.SubCauses[j], recon.SubCauses[k], raised[k], p[k])
			}
		}
	})
}

// The arithmetic that is printed comes to the verdict: the steps add up to the odds of the two sub-causes, within their
// rounding.
func TestArithmeticAddsUp(t *testing.T) {
	t.Parallel()
	w := Shipped()
	rapid.Check(t, func(t *rapid.T) {
		n := &inference{features: drawFeatures(t), base: w.rate, rates: w.rate}
		if rapid.Bool().Draw(t, "habit") {
			n.habit = &habit{asStored(rapid.Float64Range(0.001, 0.5).Draw(t, "silent")), asStored(rapid.Float64Range(0.001, 0.5).Draw(t, "lacks"))}
		}
		for range rapid.IntRange(0, 3).Draw(t, "shifts") {
			x := shift{sub: rapid.IntRange(0, subs-1).Draw(t, "sub"), family: "batch", to: asStored(rapid.Float64Range(1e-8, 1).Draw(t, "to"))}
			n.rates[x.sub] = x.to
			n.shifts = append(n.shifts, x)
		}
		n.likelihood = w.likelihoodOf(n.features, n.habit)
		n.posterior = w.posterior(&n.rates, &n.likelihood)
		n.verdict = w.decide(&n.posterior)
		a, err := w.Derive(n.featureText(), n.rateText())
		if err != nil {
			t.Fatal(err)
		}
		if a.SubCause != recon.SubCauses[n.sub] || a.Confidence != n.confidence || a.RunnerUp != recon.SubCauses[n.runnerUp] {
			t.Fatalf("derived %s %v before %s, decided %s %v before %s", a.SubCause, a.Confidence, a.RunnerUp,
				recon.SubCauses[n.sub], n.confidence, recon.SubCauses[n.runnerUp])
		}
		sum := 0
		for _, s := range a.Steps {
			sum += s.Decibans
		}
		want := 10 * math.Log10(n.posterior[n.sub]/n.posterior[n.runnerUp])
		if n.posterior[n.runnerUp] > 1e-12 && math.Abs(float64(sum)-want) > float64(len(a.Steps)) {
			t.Fatalf("the steps come to %d dB, the odds are %.1f:\n%+v", sum, want, a.Steps)
		}
	})
}

func TestDeriveRefuses(t *testing.T) {
	t.Parallel()
	for _, stored := range [][2]string{{"status", ""}, {"status=success", "age:system_delay"}, {"status=success", "age:weather=0.1"}, {"status=success", "age=0.1"}} {
		if _, err := Shipped().Derive(stored[0], stored[1]); err == nil {
			t.Errorf("%q is read", stored)
		}
	}
}

// Each sub-cause is recognised by what it leaves behind, with the evidence that every log has and nothing of other orders.
func TestTypicalOrders(t *testing.T) {
	t.Parallel()
	day := recon.NewDate(2026, 11, 2)
	due := day.AddDays(1).UTC()
	at := noon
	sale := subject{Outcome: "unsettled", Type: "SALE", Acquirer: "lakala", MerchantID: "M1", Channel: "WECHAT", POSStatus: "SUCCESS",
		BusinessDate: day.UTC(), DueDate: &due, TxnTime: &at, HasOrder: true, Amount: "1.00", Currency: "CNY", ResponseCode: "00",
		POSSource: "pos.csv:2", SettleSource: "settlement.csv:2", PayoutSource: "payout.csv:2", PayoutID: "P1",
		Codes: true, Callbacks: true, ChannelTxns: true, HasCallback: true, HasChannelTxn: true}
	here := map[fileKey]int64{{"lakala", day.AddDays(1)}: 9}
	unheard := func(s *subject) { s.HasCallback = false }
	for name, tt := range map[string]struct {
		files  map[fileKey]int64
		change func(s *subject)
		want   recon.SubCause
	}{
		"the file has not come":           {nil, func(*subject) {}, recon.FileLate},
		"a straggler":                     {here, func(*subject) {}, recon.SystemDelay},
		"success without a trace":         {here, func(s *subject) { unheard(s); s.HasChannelTxn = false }, recon.FalseSuccess},
		"no funds":                        {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "51" }, recon.PayerFunds},
		"no funds, the file has not come": {nil, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "51" }, recon.PayerFunds},
		"a wrong password":                {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "55" }, recon.Declined},
		"an expired code":                 {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "AUTHCODEEXPIRE" }, recon.OperatorError},
		"a system's failure":              {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "96" }, recon.ChannelOutage},
		"the merchant blocked":            {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "FAILED", "ACQ.SELLER_BEEN_BLOCKED" }, recon.AccountFrozen},
		"left waiting":                    {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "PENDING", "USERPAYING" }, recon.Closed},
		"closed":                          {here, func(s *subject) { unheard(s); s.POSStatus, s.ResponseCode = "CLOSED", "" }, recon.Closed},
		"voided":                          {here, func(s *subject) { s.POSStatus, s.Voided = "REVERSED", true }, recon.Closed},
		"no network": {here, func(s *subject) {
			unheard(s)
			s.POSStatus, s.ResponseCode, s.HasChannelTxn = "UNKNOWN", "NETERR", false
		}, recon.Network},
		"failed, and the log has no codes": {here, func(s *subject) { unheard(s); s.POSStatus, s.Codes, s.ResponseCode = "FAILED", false, "" }, recon.PayerFunds},
		"settled, unknown to the POS": {here, func(s *subject) {
			unheard(s)
			s.Outcome, s.SettleStatus, s.POSStatus, s.ResponseCode = "status_mismatch", "SETTLED", "UNKNOWN", ""
		}, recon.CallbackLost},
		"settled after a void":                {here, func(s *subject) { s.Outcome, s.SettleStatus, s.POSStatus = "status_mismatch", "SETTLED", "REVERSED" }, recon.CallbackLost},
		"another amount":                      {here, func(s *subject) { s.Outcome, s.SettleStatus, s.SettledAmount = "amount_mismatch", "SETTLED", "10.00" }, recon.OperatorError},
		"held for risk":                       {here, func(s *subject) { s.SettleStatus, s.ReasonCode = "HELD", "R1301" }, recon.AccountFrozen},
		"held without a reason":               {here, func(s *subject) { s.SettleStatus = "HELD" }, recon.AccountFrozen},
		"held until topped up":                {here, func(s *subject) { s.SettleStatus, s.ReasonCode = "HELD", "R1102" }, recon.InsufficientBalance},
		"returned":                            {here, func(s *subject) { s.SettleStatus, s.ReasonCode = "RETURNED", "E2010" }, recon.AccountAbnormal},
		"a pending line":                      {here, func(s *subject) { s.SettleStatus = "PENDING" }, recon.SystemDelay},
		"a payout under way":                  {here, func(s *subject) { s.SettleStatus, s.PayoutStatus = "SETTLED", "PROCESSING" }, recon.PayoutLate},
		"a bank that was closed":              {here, func(s *subject) { s.SettleStatus, s.PayoutStatus, s.PayoutCode = "SETTLED", "FAILED", "E9001" }, recon.PayoutLate},
		"another name":                        {here, func(s *subject) { s.SettleStatus, s.PayoutStatus, s.PayoutCode = "SETTLED", "FAILED", "E2014" }, recon.AccountAbnormal},
		"returned by the bank without a word": {here, func(s *subject) { s.SettleStatus, s.PayoutStatus = "SETTLED", "RETURNED" }, recon.AccountAbnormal},
		"a payout held by words":              {here, func(s *subject) { s.SettleStatus, s.PayoutStatus, s.PayoutReason = "SETTLED", "HELD", "司法冻结" }, recon.AccountFrozen},
		"a payout held until topped up":       {here, func(s *subject) { s.SettleStatus, s.PayoutStatus, s.PayoutCode = "SETTLED", "HELD", "R1102" }, recon.InsufficientBalance},
	} {
		t.Run(name, func(t *testing.T) {
			s := sale
			tt.change(&s)
			e := lone(tt.files)
			x := e.explain(&s)
			if x.SubCause != tt.want {
				t.Errorf("%s %.2f, want %s\n%s | %s\n%+v", x.SubCause, x.Confidence, tt.want, x.Features, x.Rates, x.Evidence)
			}
			if len(x.Evidence) == 0 {
				t.Error("no evidence")
			}
			for _, ev := range append(x.Evidence, x.Counter...) {
				if ev.EN == "" || isChinese(strings.NewReplacer(s.PayoutReason, "", "查单", "").Replace(ev.EN)) || !isChinese(ev.ZH) || ev.Source == "" {
					t.Errorf("evidence %+v", ev)
				}
			}
		})
	}
}

// lone is an explainer that knows no cohorts, only which files have come.
func lone(files map[fileKey]int64) *explainer {
	r := &register{files: files, bills: map[fileKey]bool{}, dates: map[string][]recon.Date{}, sent: map[fileKey]int{}}
	for k := range files {
		r.dates[k.acquirer] = append(r.dates[k.acquirer], k.date)
	}
	w := Shipped()
	return &explainer{rules: Rules{AsOf: noon.AddDate(0, 0, 2), Zone: noon.Location(), Acquirers: recon.Acquirers{}}, register: r,
		late: &lateness{prior: lawOf([maxLate + 1]float64{}, [maxLate + 1]float64{}, 0, 0, w.rate[systemDelay])}, batches: batches{},
		incidents: map[string]*incident{}, named: map[string]bool{}}
}

// Labels move weights towards what they say, a few of them little and thousands wholly; none at all change nothing; and what is
// written can be read.
func TestRefit(t *testing.T) {
	t.Parallel()
	w := Shipped()
	// An acquirer whose lost payments carry channel transaction ids, which the shipped weights think rare.
	lost := Labelled{Features: "settlement=none status=success code=approved callback=silent channel_txn=has",
		Rates: "habit:silent=0.01 habit:lacks=0.002 file:file_late=1e-08 age:system_delay=0.0003", Actual: recon.FalseSuccess}
	before, err := w.Derive(lost.Features, lost.Rates)
	if err != nil {
		t.Fatal(err)
	}
	share := func(a Arithmetic) float64 {
		for _, s := range a.Posterior {
			if s.SubCause == recon.FalseSuccess {
				return s.Share
			}
		}
		return 0
	}
	last := share(before)
	for _, n := range []int{0, 20, 1000} {
		var labels []Labelled
		for range n {
			labels = append(labels, lost)
		}
		text, err := w.Refit(labels)
		if err != nil {
			t.Fatal(err)
		}
		fitted, err := ParseWeights(text)
		if err != nil {
			t.Fatalf("after %d labels: %v", n, err)
		}
		a, err := fitted.Derive(lost.Features, lost.Rates)
		if err != nil {
			t.Fatal(err)
		}
		switch got := share(a); {
		case n == 0 && math.Abs(got-last) > 0.005:
			t.Errorf("without labels a share of %.4f becomes %.4f", last, got)
		case n > 0 && got <= last:
			t.Errorf("after %d labels the share is %.4f, before %.4f", n, got, last)
		default:
			last = got
		}
	}
	if last < 0.95 {
		t.Errorf("a thousand labels leave a share of %.3f", last)
	}
	if _, err := w.Refit([]Labelled{{Features: "status", Actual: recon.Closed}}); err == nil {
		t.Error("a label that cannot be read is taken")
	}
}
