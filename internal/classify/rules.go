package classify

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// explain finds the cause of s: hard facts first, then cohorts, then what is left. One rule speaks, the strongest that
// applies; what speaks against it is kept beside it.
func (e *explainer) explain(s *subject) Explanation {
	var x Explanation
	switch {
	case s.outcome() == recon.Pending:
		x = e.pending(s)
	case s.outcome() == recon.UnexpectedSettlement:
		x = e.unexpected(s)
	case s.outcome() == recon.Duplicate:
		x = e.duplicate(s)
	case s.outcome() == recon.AmountMismatch:
		x = e.amountMismatch(s)
	case s.outcome() == recon.StatusMismatch:
		x = e.statusMismatch(s)
	case s.SettleStatus != "" && s.SettleStatus != string(recon.SettleSettled):
		x = e.withheldLine(s)
	case s.SettleStatus == string(recon.SettleSettled):
		x = e.badPayout(s)
	case s.POSStatus == string(recon.POSSuccess):
		x = e.missingLine(s)
	default:
		x = e.notCompleted(s)
	}
	if s.settledWithBadPayout() {
		// The larger part of what is owed hangs on the payout: it is named, and it is the next step.
		payout := e.badPayout(s)
		x.Evidence = append(x.Evidence, payout.Evidence[0])
		x.Action = payout.Action
	}
	x.Evidence = append(x.Evidence, e.names[nameKey{s.Key, s.Episode}]...)
	x.Evidence = append(x.Evidence, e.differences(s)...)
	x.FollowUp = e.followUp(s, x)
	// The band is that of the confidence as it is stated, with two places.
	x.Confidence = math.Round(x.Confidence*100) / 100
	if x.SubCause != "" && x.Confidence < 0.65 {
		x.Counter = append(x.Counter, doubt)
	}
	return x
}

// Low certainty says so and names the test that would settle it.
var doubt = Evidence{"certainty", "low certainty: a query of the order at the channel (查单) would settle it",
	"把握不足：向渠道查询该订单（查单）即可确定", "rule"}

// followUp is the contract's needs_follow_up: every flagged row, except what the POS itself did not complete for a
// plain failure; a settlement line without an order only once its POS log should have come.
func (e *explainer) followUp(s *subject, x Explanation) bool {
	switch {
	case !s.outcome().Flagged():
		return false
	case s.outcome() == recon.UnexpectedSettlement:
		deadline := e.rules.Acquirers.Get(s.Acquirer).Deadline
		due := recon.DateFromUTC(s.BusinessDate).AddDays(1).At(deadline, e.rules.Zone)
		return !e.rules.AsOf.Before(due)
	case s.outcome() == recon.Unsettled && s.nothingOwed() && s.SettleStatus != string(recon.SettleSettled):
		return x.SubCause.Cause() != recon.FailedTxn
	}
	return true
}

func (e *explainer) pending(s *subject) Explanation {
	x := Explanation{Action: "wait"}
	if s.MissingYear != nil {
		x.Evidence = []Evidence{{"calendar",
			fmt.Sprintf("the due date needs the working days of %d, which are not loaded", *s.MissingYear),
			fmt.Sprintf("到账日需要 %d 年的工作日历，尚未载入", *s.MissingYear), "calendar"}}
		x.Action = "load_calendar"
	}
	return x
}

func (e *explainer) unexpected(s *subject) Explanation {
	return Explanation{Action: "find_order", Evidence: []Evidence{{"match",
		fmt.Sprintf("the acquirer reports %s %s for order %s, no POS log has it", s.Amount, s.Currency, s.OrderID),
		fmt.Sprintf("渠道有、我方无：订单 %s 金额 %s %s，POS 日志中没有", s.OrderID, s.Amount, s.Currency), s.SettleSource}}}
}

func (e *explainer) duplicate(s *subject) Explanation {
	x := Explanation{Action: "check_duplicate"}
	if s.DuplicatePOS {
		x.Evidence = append(x.Evidence, Evidence{"status", "the POS recorded it more than once: " + s.POSHistory,
			"POS 重复记录：" + s.POSHistory, s.POSSource})
	}
	if s.SettledLines > 1 {
		x.Evidence = append(x.Evidence, Evidence{"settlement",
			fmt.Sprintf("settled %d times: %s", s.SettledLines, s.SettleHistory),
			fmt.Sprintf("重复结算 %d 次：%s", s.SettledLines, s.SettleHistory), s.SettleSource})
	}
	return x
}

func (e *explainer) amountMismatch(s *subject) Explanation {
	settled := cmp.Or(strings.TrimPrefix(s.SettledAmount, "-"), "another currency")
	return Explanation{SubCause: recon.OperatorError, Confidence: 0.9, Action: "check_amount", Evidence: []Evidence{{"amount",
		fmt.Sprintf("the POS recorded %s %s, the acquirer settled %s", s.Amount, s.Currency, settled),
		fmt.Sprintf("POS 记录 %s %s，渠道结算 %s", s.Amount, s.Currency, strings.Replace(settled, "another currency", "其他币种", 1)),
		s.SettleSource}}}
}

func (e *explainer) statusMismatch(s *subject) Explanation {
	x := Explanation{SubCause: recon.CallbackLost, Confidence: 0.95, Action: "correct_status", Evidence: []Evidence{
		{"settlement", fmt.Sprintf("the acquirer settled it, the POS has it as %s", e.posState(s)),
			fmt.Sprintf("渠道已结算，POS 状态为 %s", e.posState(s)), s.SettleSource}}}
	if s.Callbacks && !s.HasCallback {
		x.Evidence = append(x.Evidence, Evidence{"callback", "no callback reached the POS", "POS 未收到支付结果通知", s.POSSource})
	}
	if w, ok := e.outageOf(s); ok {
		x.Incident = e.outageIncident(s, w)
		x.Evidence = append(x.Evidence, outageEvidence(s, w, e.rules.Zone))
	}
	if s.Voided || s.POSStatus == string(recon.POSReversed) || s.POSStatus == string(recon.POSClosed) {
		x.Confidence = 0.8
		x.Counter = append(x.Counter, Evidence{"status", "the till cancelled it; the cancellation may not have reached the channel",
			"收银端已撤销，撤销可能未到达渠道", s.POSSource})
	}
	return x
}

// posState is the POS status in words that tell a void from a status.
func (e *explainer) posState(s *subject) string {
	if s.Voided {
		return "REVERSED (void)"
	}
	return s.POSStatus
}

// withheldLine explains a line that is there and not SETTLED.
func (e *explainer) withheldLine(s *subject) Explanation {
	fallback := map[recon.SettleStatus]recon.SubCause{
		recon.SettleHeld: recon.AccountFrozen, recon.SettleRejected: recon.AccountAbnormal,
		recon.SettleReturned: recon.AccountAbnormal, recon.SettlePending: recon.SystemDelay,
	}[recon.SettleStatus(s.SettleStatus)]
	reason := readHold(s.ReasonCode, s.Reason, fallback, s.Acquirer)
	if reason.sub == recon.PayoutLate && s.SettleStatus == string(recon.SettlePending) {
		reason.sub = recon.SystemDelay
	}
	x := Explanation{SubCause: reason.sub, Confidence: reason.confidence(), Action: actionOf(reason.sub), Evidence: []Evidence{{"settlement",
		fmt.Sprintf("the settlement line is %s%s", s.SettleStatus, inBrackets(s.ReasonCode, s.Reason)),
		fmt.Sprintf("结算明细状态 %s%s", s.SettleStatus, inBrackets(s.ReasonCode, s.Reason)), s.SettleSource}}}
	if reason.sub == recon.AccountFrozen {
		x.Incident = e.merchantIncident(s)
	}
	return x
}

// badPayout explains a SETTLED line whose payout is not PAID.
func (e *explainer) badPayout(s *subject) Explanation {
	fallback := map[recon.PayoutStatus]recon.SubCause{
		recon.PayoutProcessing: recon.PayoutLate, recon.PayoutHeld: recon.AccountFrozen,
		recon.PayoutFailed: recon.AccountAbnormal, recon.PayoutReturned: recon.AccountAbnormal,
	}[recon.PayoutStatus(s.PayoutStatus)]
	reason := readHold(s.PayoutCode, s.PayoutReason, fallback, s.Acquirer)
	if s.PayoutStatus == string(recon.PayoutProcessing) && !reason.known {
		reason = holdReason{recon.PayoutLate, true, true} // being paid is its own reason
	}
	id := cmp.Or(s.LastPayoutID, s.PayoutID)
	x := Explanation{SubCause: reason.sub, Confidence: reason.confidence(), Action: actionOf(reason.sub), Evidence: []Evidence{
		{"payout", fmt.Sprintf("payout %s is %s%s", id, s.PayoutStatus, inBrackets(s.PayoutCode, s.PayoutReason)),
			fmt.Sprintf("划款 %s 状态 %s%s", id, s.PayoutStatus, inBrackets(s.PayoutCode, s.PayoutReason)), s.PayoutSource},
		{"settlement", "the acquirer settled the order itself", "该笔交易渠道已结算", s.SettleSource}}}
	switch reason.sub {
	case recon.PayoutLate:
		kind := "payout-late"
		scope := "acquirer=" + s.Acquirer + " payout_reason=" + cmp.Or(s.PayoutCode, s.PayoutStatus)
		x.Incident = e.scopeIncident(s, kind, scope)
	default:
		x.Incident = e.merchantIncident(s)
	}
	return x
}

func (h holdReason) confidence() float64 {
	switch {
	case h.byCode:
		return 0.98
	case h.known:
		return 0.93
	default:
		return 0.7
	}
}

// missingLine explains a successful order that is due and that no settlement line tells of.
func (e *explainer) missingLine(s *subject) Explanation {
	if x, ok := e.lateFile(s); ok {
		return x
	}
	batch := e.batchOf(s)
	if t, ok := e.tailOf(s); ok {
		confidence := min(t.odds/(1+t.odds), 0.97)
		return Explanation{SubCause: recon.AccountFrozen, Confidence: confidence, Action: actionOf(recon.AccountFrozen),
			Incident: e.merchantIncident(s),
			Evidence: []Evidence{{"merchant",
				fmt.Sprintf("none of merchant %s's %d due orders since %s has settled, while %d orders of its peers have", s.MerchantID, t.orders, e.local(t.since), t.settled),
				fmt.Sprintf("商户 %s 自 %s 起 %d 笔到期订单全部未结算，同期同渠道其他商户 %d 笔已结算", s.MerchantID, e.local(t.since), t.orders, t.settled),
				"cohort: merchant"}},
			Counter: []Evidence{{"settlement", "no row or payout of it is HELD", "没有冻结（HELD）的结算明细或划款", "settlement files"}}}
	}
	if w, ok := e.outageOf(s); ok && suspicious(s) && batch.rate() < 0.5 {
		return e.inOutage(s, w)
	}
	if batch.merchants >= 3 && batch.rate() >= 0.3 {
		return Explanation{SubCause: recon.SystemDelay, Confidence: 0.93, Action: actionOf(recon.SystemDelay),
			Incident: e.scopeIncident(s, "batch-late", fmt.Sprintf("acquirer=%s business_date=%s", s.Acquirer, day(s.BusinessDate))),
			Evidence: []Evidence{{"batch",
				fmt.Sprintf("%d of %d orders of %s %s of %s, of %d merchants, have no line although the file is there", batch.missing, batch.due, s.Acquirer, s.Channel, day(s.BusinessDate), batch.merchants),
				fmt.Sprintf("%s %s %s 账期共 %d 笔到期，%d 笔（%d 家商户）无结算明细，而结算文件已到", s.Acquirer, s.Channel, day(s.BusinessDate), batch.due, batch.missing, batch.merchants),
				"cohort: acquirer × channel × business date"}}}
	}
	overdue := e.overdue(s)
	if s.ChannelTxns && !s.HasChannelTxn {
		return Explanation{SubCause: recon.FalseSuccess, Confidence: 0.88, Action: actionOf(recon.FalseSuccess), Evidence: []Evidence{
			{"channel", "the POS says success but has no channel transaction id, as its other orders have", "POS 记为成功，但没有渠道交易号，而其他订单都有", s.POSSource},
			e.absentEvidence(s)}}
	}
	x := Explanation{SubCause: recon.SystemDelay, Confidence: 0.86, Action: actionOf(recon.SystemDelay), Evidence: []Evidence{e.absentEvidence(s)}}
	if settled := batch.due - batch.missing; settled > 0 {
		x.Evidence = append(x.Evidence, Evidence{"batch",
			fmt.Sprintf("%d of %d orders of its batch have settled: it is a straggler", settled, batch.due),
			fmt.Sprintf("同批 %d 笔中 %d 笔已结算，本单为个别滞后", batch.due, settled), "cohort: acquirer × channel × business date"})
	} else {
		x.Confidence = 0.6
		x.Evidence = append(x.Evidence, Evidence{"batch", "no other order of its batch has settled that it could be compared with",
			"同批没有已结算的订单可供比较", "cohort: acquirer × channel × business date"})
	}
	// A straggler comes within days; one that does not was probably never there. Three working days are where delay
	// stops being the likelier story (practice: reporting triangle with a loss rate of 0.2 %).
	if overdue > 5 {
		x.SubCause, x.Confidence, x.Action = recon.FalseSuccess, 0.55, actionOf(recon.FalseSuccess)
	} else if overdue > 3 {
		x.Confidence = min(x.Confidence, 0.6)
	}
	x.Counter = append(x.Counter, Evidence{"age", fmt.Sprintf("it is %d days overdue", overdue), fmt.Sprintf("已逾期 %d 天", overdue), "due date"})
	return x
}

// notCompleted explains an order that the POS has not as SUCCESS and that no line tells of.
func (e *explainer) notCompleted(s *subject) Explanation {
	code := s.code()
	codeSays := Evidence{"code", fmt.Sprintf("the POS has it as %s%s", e.posState(s), inBrackets(s.ResponseCode, cmp.Or(s.ResponseMessage, code.en))),
		fmt.Sprintf("POS 状态 %s%s", e.posState(s), inBrackets(s.ResponseCode, cmp.Or(code.zh, s.ResponseMessage))), s.POSSource}
	x := func(sub recon.SubCause, confidence float64) Explanation {
		return Explanation{SubCause: sub, Confidence: confidence, Action: actionOf(sub), Evidence: []Evidence{codeSays}}
	}
	status := recon.POSStatus(s.POSStatus)
	final := s.nothingOwed()
	switch {
	case s.Voided:
		codeSays.EN, codeSays.ZH = "the sale was voided", "该笔交易已撤销"
		return x(recon.Closed, 0.98)
	case code.class == codeBusiness, code.class == codeBlocked:
		return x(code.sub, sureness(code.strength, 0.98))
	}
	// The terminal's own fault comes before the channel's: it never reached the channel.
	if f, ok := e.faultOf(s); ok && f.channels > 1 {
		return e.inTerminalFault(s, f, codeSays)
	}
	if w, ok := e.outageOf(s); ok && suspicious(s) {
		found := e.inOutage(s, w)
		found.Evidence = append(found.Evidence, codeSays)
		return found
	}
	if f, ok := e.faultOf(s); ok {
		return e.inTerminalFault(s, f, codeSays)
	}
	switch {
	case code.class == codeNetwork:
		return x(recon.Network, 0.85)
	case code.class == codeSystem:
		found := x(recon.ChannelOutage, 0.8)
		found.Counter = []Evidence{{"channel", "no other payments of the channel failed around it", "同渠道同时段没有其他失败", "cohort: channel × window"}}
		return found
	case status == recon.POSClosed || status == recon.POSReversed:
		return x(recon.Closed, 0.97)
	case code.class == codeWaiting:
		return x(recon.Closed, 0.93)
	case !final && s.ChannelTxns && !s.HasChannelTxn:
		found := x(recon.Network, 0.75)
		found.Evidence = append(found.Evidence, Evidence{"channel", "no channel transaction id: the request did not reach the channel",
			"没有渠道交易号：请求未到达渠道", s.POSSource})
		return found
	case final:
		return x(recon.Closed, 0.8) // FAILED without a code that says more
	default:
		return x(recon.Closed, 0.85) // left waiting, and nothing else explains it
	}
}

// lateFile explains an order by the settlement file that should hold it and has not come.
func (e *explainer) lateFile(s *subject) (Explanation, bool) {
	if !e.fileMissing(s) {
		return Explanation{}, false
	}
	date := s.expectedSettleDate(e.cycle(s))
	return Explanation{SubCause: recon.FileLate, Confidence: 0.96, Action: actionOf(recon.FileLate),
		Incident: e.scopeIncident(s, "file-late", fmt.Sprintf("acquirer=%s settle_date=%s", s.Acquirer, date)),
		Evidence: []Evidence{{"file",
			fmt.Sprintf("%s's settlement file of %s has not arrived", s.Acquirer, date),
			fmt.Sprintf("%s %s 的结算文件未到", s.Acquirer, date), "file register"}}}, true
}

// fileMissing reports whether the settlement file that should hold a successful order has not come, or has come short:
// without control totals to prove it whole and without a large part of its batch.
func (e *explainer) fileMissing(s *subject) bool {
	if !s.lineMissing() || s.nothingOwed() || s.DueDate == nil {
		return false
	}
	if s.POSStatus != string(recon.POSSuccess) {
		return false
	}
	_, f, ok := e.settlementFileOf(s)
	if !ok || f.rows == 0 {
		return true
	}
	b := e.batchOf(s)
	return !f.complete && b.merchants >= 3 && b.rate() >= 0.3
}

// settlementFileOf returns the date of the settlement file that should hold the order, and what the register says of it:
// the file of the day on which it settles, else a wallet's bill of the order's own day.
func (e *explainer) settlementFileOf(s *subject) (recon.Date, settlementFile, bool) {
	date := s.expectedSettleDate(e.cycle(s))
	if f, ok := e.cohorts.files[fileKey{s.Acquirer, date}]; ok {
		return date, f, true
	}
	business := recon.DateFromUTC(s.BusinessDate)
	if f, ok := e.cohorts.bills[fileKey{s.Acquirer, business}]; ok {
		return business, f, true
	}
	return date, settlementFile{}, false
}

func (e *explainer) cycle(s *subject) recon.Cycle {
	if c, err := recon.ParseCycle(s.Cycle); err == nil {
		return c
	}
	return e.rules.Acquirers.Get(s.Acquirer).Cycle
}

func (e *explainer) batchOf(s *subject) batch {
	if s.DueDate == nil {
		return batch{}
	}
	return e.cohorts.batches[batchKey{s.Acquirer, s.Channel, recon.DateFromUTC(s.BusinessDate), recon.DateFromUTC(*s.DueDate)}]
}

// frozen reports whether s is part of a merchant's unbroken tail that its peers do not share.
func (e *explainer) frozen(s *subject) bool {
	_, ok := e.tailOf(s)
	return ok
}

func (e *explainer) tailOf(s *subject) (tail, bool) {
	if s.TxnTime == nil || s.POSStatus != string(recon.POSSuccess) || !s.lineMissing() {
		return tail{}, false
	}
	for _, channel := range []string{"", s.Channel} {
		t, ok := e.cohorts.tails[merchantKey{s.Acquirer, s.MerchantID, channel}]
		if ok && t.orders > 1 && t.odds > 1 && !s.TxnTime.Before(t.since) {
			return t, true
		}
	}
	return tail{}, false
}

func (e *explainer) outageOf(s *subject) (window, bool) {
	if s.TxnTime == nil {
		return window{}, false
	}
	return e.cohorts.outage(seriesKey{s.Acquirer, s.Channel}, *s.TxnTime)
}

func (e *explainer) faultOf(s *subject) (fault, bool) {
	if s.TxnTime == nil || s.HasChannelTxn || !s.ChannelTxns {
		return fault{}, false
	}
	return e.cohorts.terminalFault(terminalKey{s.Acquirer, s.TerminalID}, *s.TxnTime)
}

func (e *explainer) inOutage(s *subject, w window) Explanation {
	confidence := 0.9
	if s.POSStatus == string(recon.POSSuccess) && s.code().class != codeSystem {
		confidence = 0.82
	}
	return Explanation{SubCause: recon.ChannelOutage, Confidence: confidence, Action: actionOf(recon.ChannelOutage),
		Incident: e.outageIncident(s, w), Evidence: []Evidence{outageEvidence(s, w, e.rules.Zone)}}
}

func (e *explainer) inTerminalFault(s *subject, f fault, codeSays Evidence) Explanation {
	scope := fmt.Sprintf("acquirer=%s terminal=%s", s.Acquirer, s.TerminalID)
	return Explanation{SubCause: recon.Network, Confidence: 0.92, Action: actionOf(recon.Network),
		Incident: &incident{incidentID("terminal-network", scope, f.first), "terminal-network", scope, f.from, f.to},
		Evidence: []Evidence{{"terminal",
			fmt.Sprintf("%d payments at terminal %s over %d channels got no channel transaction id between %s and %s", f.orders, s.TerminalID, f.channels, e.local(f.from), e.local(f.to)),
			fmt.Sprintf("终端 %s 在 %s 至 %s 间 %d 笔（%d 个渠道）均无渠道交易号", s.TerminalID, e.local(f.from), e.local(f.to), f.orders, f.channels),
			"cohort: terminal"}, codeSays}}
}

func (e *explainer) outageIncident(s *subject, w window) *incident {
	scope := fmt.Sprintf("acquirer=%s channel=%s", s.Acquirer, s.Channel)
	return &incident{incidentID("outage", scope, w.first), "outage", scope, w.from, w.to}
}

func outageEvidence(s *subject, w window, zone *time.Location) Evidence {
	from, to := w.from.In(zone).Format("2006-01-02 15:04"), w.to.In(zone).Format("15:04")
	return Evidence{"channel",
		fmt.Sprintf("%d of %d %s payments at %s failed or went unanswered between %s and %s, of %d merchants; elsewhere %.1f %%", w.bad, w.total, s.Channel, s.Acquirer, from, to, w.merchants, 100*w.outside),
		fmt.Sprintf("%s %s 在 %s 至 %s 间 %d 笔中 %d 笔失败或无结果，涉及 %d 家商户；其余时段 %.1f%%", s.Acquirer, s.Channel, from, to, w.total, w.bad, w.merchants, 100*w.outside),
		"cohort: channel × window"}
}

// merchantIncident groups what one frozen or abnormal merchant account explains.
func (e *explainer) merchantIncident(s *subject) *incident {
	return e.scopeIncident(s, "frozen-account", fmt.Sprintf("acquirer=%s merchant=%s", s.Acquirer, s.MerchantID))
}

// scopeIncident groups everything of one scope; its span grows with its members.
func (e *explainer) scopeIncident(s *subject, kind, scope string) *incident {
	at := s.BusinessDate
	if s.TxnTime != nil {
		at = *s.TxnTime
	}
	id := incidentID(kind, scope, [16]byte{})
	n, ok := e.incidents[id]
	if !ok {
		n = &incident{id: id, kind: kind, scope: scope, from: at, to: at}
	}
	if at.Before(n.from) {
		n.from = at
	}
	if at.After(n.to) {
		n.to = at
	}
	return n
}

// absentEvidence says which files were looked through without finding the order.
func (e *explainer) absentEvidence(s *subject) Evidence {
	date, _, _ := e.settlementFileOf(s)
	return Evidence{"settlement", fmt.Sprintf("no line in %s's settlement file of %s", s.Acquirer, date),
		fmt.Sprintf("%s %s 的结算文件中没有本单", s.Acquirer, date), "settlement files"}
}

// differences tells of rows of one fact that differ in what enriches it.
func (e *explainer) differences(s *subject) []Evidence {
	var list []Evidence
	if s.POSDiffers != "" {
		list = append(list, Evidence{"rows", "POS rows of this order differ in " + s.POSDiffers, "POS 各行不一致的字段：" + s.POSDiffers, s.POSSource})
	}
	if s.SettleDiffers != "" {
		list = append(list, Evidence{"rows", "settlement rows of this order differ in " + s.SettleDiffers, "结算各行不一致的字段：" + s.SettleDiffers, s.SettleSource})
	}
	return list
}

// overdue counts calendar days from the due date to the as-of's local date.
func (e *explainer) overdue(s *subject) int {
	if s.DueDate == nil {
		return 0
	}
	return max(0, recon.DateOf(e.rules.AsOf, e.rules.Zone).DaysSince(recon.DateFromUTC(*s.DueDate)))
}

func (e *explainer) local(t time.Time) string { return t.In(e.rules.Zone).Format("2006-01-02 15:04") }

func day(t time.Time) string { return t.Format(time.DateOnly) }

// inBrackets returns " (code text)" of what is not empty.
func inBrackets(code, text string) string {
	s := strings.TrimSpace(code + " " + text)
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}
