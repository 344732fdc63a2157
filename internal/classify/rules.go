package classify

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// explain finds the cause of s, or for outcomes that carry none what a person does about it.
func (e *explainer) explain(s *subject) Explanation {
	var x Explanation
	switch s.outcome() {
	case recon.Pending:
		x = e.pending(s)
	case recon.UnexpectedSettlement:
		x = e.unexpected(s)
	case recon.Duplicate:
		x = e.duplicate(s)
	default:
		x = e.caused(s)
	}
	if s.settledWithBadPayout() {
		// The larger part of what is owed hangs on the payout: it is named, and it is the next step.
		x.Evidence = append(x.Evidence, e.sentence(s, feature{"payout", payoutValue(s.PayoutStatus)}))
		x.Action = e.payoutAction(s)
	}
	if e.siblings[nameKey{s.Key, s.Episode}] {
		x.Action = "check_merchant"
	}
	x.Evidence = append(x.Evidence, e.names[nameKey{s.Key, s.Episode}]...)
	x.Evidence = append(x.Evidence, e.differences(s)...)
	x.FollowUp = e.followUp(s, x)
	// The band is that of the confidence as it is stated, with two places.
	x.Confidence = math.Round(certainNumbers(x.Confidence)*100) / 100
	if x.SubCause != "" && x.Confidence < mediumFrom {
		x.Counter = append(x.Counter, e.settlingTest(s, x))
	}
	return x
}

// said is a sentence that weighs nothing: it tells, and does not argue.
func said(family, en, zh, source string) Evidence {
	return Evidence{Family: family, EN: en, ZH: zh, Source: source}
}

// settlingTest says that the certainty is low, and names the test that would settle it.
func (e *explainer) settlingTest(s *subject, x Explanation) Evidence {
	en, zh := "a query of the order at the channel (查单)", "向渠道查询该订单（查单）"
	switch {
	case s.settlementValue() == "settled":
		en, zh = fmt.Sprintf("a query of payout %s at the acquirer", s.payout()), fmt.Sprintf("向收单机构查询划款 %s", s.payout())
	case x.SubCause.Cause() == recon.FrozenAccount || x.RunnerUp.Cause() == recon.FrozenAccount:
		en, zh = "the merchant's state in the acquirer's portal", "在收单机构商户平台查看商户状态"
	case x.SubCause == recon.FileLate || x.RunnerUp == recon.FileLate:
		en, zh = "the settlement file fetched again", "重新获取结算文件"
	}
	return Evidence{Family: "certainty", EN: "low certainty: " + en + " would settle it", ZH: "把握不足：" + zh + "即可确定", Source: "rule"}
}

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
		x.Evidence = []Evidence{said("calendar",
			fmt.Sprintf("the due date needs the working days of %d, which are not loaded", *s.MissingYear),
			fmt.Sprintf("到账日需要 %d 年的工作日历，尚未载入", *s.MissingYear), "calendar")}
		x.Action = "load_calendar"
	}
	return x
}

func (e *explainer) unexpected(s *subject) Explanation {
	x := Explanation{Action: "find_order", Evidence: []Evidence{said("match",
		fmt.Sprintf("the acquirer reports %s %s for order %s, no POS log has it", s.Amount, s.Currency, s.OrderID),
		fmt.Sprintf("渠道有、我方无：订单 %s 金额 %s %s，POS 日志中没有", s.OrderID, s.Amount, s.Currency), s.SettleSource)}}
	switch {
	case s.SettleStatus != string(recon.SettleSettled):
		// Nothing was paid, so nothing can be given back.
		x.Action = "announced"
		x.Evidence = append(x.Evidence, said("settlement", "the line is "+s.SettleStatus+inBrackets(s.ReasonCode, s.Reason)+": it was announced and not paid",
			"明细状态 "+s.SettleStatus+inBrackets(s.ReasonCode, s.Reason)+"：仅有记录，未付款", s.SettleSource))
	case s.Type == string(recon.TypeRefund):
		x.Action = "find_refund"
		x.Evidence[0] = said("match",
			fmt.Sprintf("the acquirer took %s %s back for a refund of order %s, no POS log has it", s.Amount, s.Currency, s.OrderID),
			fmt.Sprintf("渠道已扣回订单 %s 的退款 %s %s，POS 日志中没有", s.OrderID, s.Amount, s.Currency), s.SettleSource)
	}
	return x
}

func (e *explainer) duplicate(s *subject) Explanation {
	x := Explanation{Action: "check_duplicate"}
	if s.DuplicatePOS {
		x.Evidence = append(x.Evidence, said("status", "the POS recorded it more than once: "+s.POSHistory,
			"POS 重复记录："+s.POSHistory, s.POSSource))
	}
	if s.SettledLines > 1 {
		x.Evidence = append(x.Evidence, said("settlement",
			fmt.Sprintf("settled %d times: %s", s.SettledLines, s.SettleHistory),
			fmt.Sprintf("重复结算 %d 次：%s", s.SettledLines, s.SettleHistory), s.SettleSource))
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

// differences tells of rows of one fact that differ in what enriches it.
func (e *explainer) differences(s *subject) []Evidence {
	var list []Evidence
	if s.POSDiffers != "" {
		list = append(list, said("rows", "POS rows of this order differ in "+s.POSDiffers, "POS 各行不一致的字段："+s.POSDiffers, s.POSSource))
	}
	if s.SettleDiffers != "" {
		list = append(list, said("rows", "settlement rows of this order differ in "+s.SettleDiffers, "结算各行不一致的字段："+s.SettleDiffers, s.SettleSource))
	}
	return list
}

// cycle is the settle cycle of an order: its own, else its acquirer's.
func (e *explainer) cycle(s *subject) recon.Cycle {
	if c, err := recon.ParseCycle(s.Cycle); err == nil {
		return c
	}
	return e.rules.Acquirers.Get(s.Acquirer).Cycle
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
