package export

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/recon"
)

// Lang is the language of headers and words.
type Lang string

// The two languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// View is how rows are told.
type View struct {
	Lang      Lang
	AsOf      time.Time
	Zone      *time.Location
	Acquirers recon.Acquirers
	Contact   func(acquirer string) string
}

// column is one column of the contract. A number is never guarded against spreadsheet formulas; any text is.
type column struct {
	name, zh string
	number   bool
	value    func(v *View, r *row) string
}

func money(d decimal.NullDecimal) string {
	if !d.Valid {
		return ""
	}
	return d.Decimal.StringFixed(2)
}

func date(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.DateOnly)
}

func lineNo(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

// columns are the contract's, in its order.
var columns = []column{
	{"business_date", "账期", false, func(_ *View, r *row) string { return r.businessDate.Format(time.DateOnly) }},
	{"order_id", "商户订单号", false, func(_ *View, r *row) string { return r.orderID }},
	{"refund_id", "退款单号", false, func(_ *View, r *row) string { return r.refundID }},
	{"original_order_id", "原订单号", false, func(_ *View, r *row) string { return r.originalOrderID }},
	{"acquirer", "收单机构", false, func(_ *View, r *row) string { return r.acquirer }},
	{"merchant_id", "商户号", false, func(_ *View, r *row) string { return r.merchantID }},
	{"store_id", "门店", false, func(_ *View, r *row) string { return r.storeID }},
	{"terminal_id", "终端号", false, func(_ *View, r *row) string { return r.terminalID }},
	{"channel", "渠道", false, func(v *View, r *row) string { return v.word(r.channel) }},
	{"channel_txn_id", "渠道交易号", false, func(_ *View, r *row) string { return r.channelTxnID }},
	{"ref_no", "参考号", false, func(_ *View, r *row) string { return r.refNo }},
	{"type", "交易类型", false, func(v *View, r *row) string { return v.word(r.typ) }},
	{"txn_time", "交易时间", false, func(v *View, r *row) string {
		if r.txnTime == nil {
			return ""
		}
		return r.txnTime.In(v.Zone).Format(time.RFC3339)
	}},
	{"currency", "币种", false, func(_ *View, r *row) string { return r.currency }},
	{"pos_amount", "订单金额", true, func(_ *View, r *row) string { return money(r.posAmount) }},
	{"settled_amount", "结算金额", true, func(_ *View, r *row) string { return money(r.settledAmount) }},
	{"difference", "差额", true, func(_ *View, r *row) string {
		if !r.posAmount.Valid || !r.settledAmount.Valid {
			return ""
		}
		return r.settledAmount.Decimal.Sub(r.posAmount.Decimal).StringFixed(2)
	}},
	{"fee", "手续费", true, func(_ *View, r *row) string { return money(r.fee) }},
	{"net_amount", "结算净额", true, func(_ *View, r *row) string { return money(r.netAmount) }},
	{"amount_due", "应到账", true, func(_ *View, r *row) string { return r.due.StringFixed(2) }},
	{"amount_arrived", "已到账", true, func(_ *View, r *row) string { return r.arrived.StringFixed(2) }},
	{"amount_owed", "短款", true, func(_ *View, r *row) string { return r.owed.StringFixed(2) }},
	{"amount_excess", "长款", true, func(_ *View, r *row) string { return r.excess.StringFixed(2) }},
	{"pos_status", "POS状态", false, func(v *View, r *row) string { return v.word(r.posStatus) }},
	{"settle_status", "结算状态", false, func(v *View, r *row) string { return v.word(r.settleStatus) }},
	{"outcome", "对账结果", false, func(v *View, r *row) string { return v.word(r.outcome) }},
	{"cause", "原因", false, func(v *View, r *row) string { return v.word(r.cause) }},
	{"sub_cause", "原因细类", false, func(v *View, r *row) string { return v.word(r.subCause) }},
	{"confidence", "置信度", true, func(_ *View, r *row) string { return money(r.confidence) }},
	{"certainty", "把握", false, func(v *View, r *row) string { return v.word(r.certainty) }},
	{"incident_id", "事件号", false, func(_ *View, r *row) string { return r.incidentID }},
	{"evidence", "证据", false, func(v *View, r *row) string { return v.sentences(r.evidence) }},
	{"counter_evidence", "反向证据", false, func(v *View, r *row) string { return v.sentences(r.counterEvidence) }},
	{"recommended_action", "建议处理", false, func(v *View, r *row) string {
		if v.Lang == Chinese {
			return classify.Actions[r.action].ZH
		}
		return classify.Actions[r.action].EN
	}},
	{"contact", "联系", false, func(v *View, r *row) string { return v.contact(r) }},
	{"due_date", "应到账日", false, func(_ *View, r *row) string { return date(r.dueDate) }},
	{"days_overdue", "逾期天数", true, func(v *View, r *row) string { return strconv.Itoa(v.daysOverdue(r)) }},
	{"settle_date", "结算日", false, func(_ *View, r *row) string { return date(r.settleDate) }},
	{"payout_id", "划款单号", false, func(_ *View, r *row) string { return r.payoutID }},
	{"payout_status", "划款状态", false, func(v *View, r *row) string { return v.word(r.payoutStatus) }},
	{"match_rule", "匹配规则", false, func(v *View, r *row) string { return v.word(r.matchRule) }},
	{"needs_follow_up", "需跟进", false, func(v *View, r *row) string { return v.word(strconv.FormatBool(r.needsFollowUp)) }},
	{"case_id", "差错单号", false, func(_ *View, r *row) string { return r.caseID }},
	{"case_status", "处理状态", false, func(v *View, r *row) string { return v.caseStatus(r.caseStatus) }},
	{"assignee", "责任人", false, func(_ *View, r *row) string { return r.assignee }},
	{"source_file", "POS文件", false, func(_ *View, r *row) string { return r.sourceFile }},
	{"source_line", "POS行号", true, func(_ *View, r *row) string { return lineNo(r.sourceLine) }},
	{"settle_source_file", "结算文件", false, func(_ *View, r *row) string { return r.settleSourceFile }},
	{"settle_source_line", "结算行号", true, func(_ *View, r *row) string { return lineNo(r.settleSourceLine) }},
}

// header returns the column's name in the view's language.
func (c *column) header(v *View) string {
	if v.Lang == Chinese {
		return c.zh
	}
	return c.name
}

// words are the Chinese of the contract's values. A value without one (a channel of a merchant's own) stays as it is.
var words = map[string]string{
	"WECHAT": "微信支付", "ALIPAY": "支付宝", "UNIONPAY": "银联",
	"SALE": "消费", "REFUND": "退款",
	"SUCCESS": "成功", "FAILED": "失败", "CLOSED": "已关闭", "REVERSED": "已撤销", "PENDING": "处理中", "UNKNOWN": "未知",
	"SETTLED": "已结算", "HELD": "暂缓", "REJECTED": "拒绝", "RETURNED": "退回",
	"PAID": "已划款", "PROCESSING": "划款中",
	"unexpected_settlement": "长款 (渠道有/我方无)", "duplicate": "重复", "amount_mismatch": "金额不符", "status_mismatch": "状态不符",
	"unsettled": "未到账", "pending": "未到期", "matched": "平账",
	"delay": "到账延迟", "interface_fault": "接口故障", "frozen_account": "账户冻结/异常", "failed_txn": "交易失败",
	"file_late": "对账文件未到", "system_delay": "系统延迟", "payout_late": "划款延迟", "channel_outage": "渠道中断", "callback_lost": "回调丢失",
	"network": "终端网络", "false_success": "虚假成功", "account_frozen": "账户冻结", "account_abnormal": "账户异常",
	"insufficient_balance": "余额不足暂扣", "payer_funds": "付款方余额不足", "declined": "交易被拒", "closed": "关闭/撤销", "operator_error": "操作错误",
	"high": "高", "medium": "中", "low": "低",
	"order_id": "订单号", "channel_txn": "渠道交易号", "reference": "参考号", "ambiguous": "多个候选", "none": "无",
	"true": "是", "false": "否",
	"open": "待处理", "resolved": "已处理",
}

// caseStatus tells a case's state in the view's language. Closed is also a sub-cause, and says something else there.
func (v *View) caseStatus(status string) string {
	if v.Lang == Chinese && status == "closed" {
		return "已结案"
	}
	return v.word(status)
}

// word tells a value in the view's language.
func (v *View) word(value string) string {
	if v.Lang == Chinese {
		if zh, ok := words[value]; ok {
			return zh
		}
	}
	return value
}

// statusWord finds the contract's statuses within a sentence: a clerk reads 已结算, not SETTLED.
var statusWord = regexp.MustCompile(`\b(SUCCESS|FAILED|CLOSED|REVERSED|PENDING|UNKNOWN|SETTLED|HELD|REJECTED|RETURNED|PAID|PROCESSING)\b`)

// sourceWords are the sources of evidence that are no file and line.
var sourceWords = map[string]string{
	"settlement files": "结算文件", "file register": "文件登记", "due date": "应到账日", "rule": "规则", "cohort: merchant": "同商户订单",
	"cohort: acquirer × channel × business date": "同机构同渠道同账期", "cohort: channel × window": "同渠道同时段", "cohort: terminal": "同终端订单",
	"weights": "权重表", "cohort: payouts of the day": "当日划款", "history of the acquirer's late lines": "该机构历史迟到情况",
	"file register; cohort: settlement file": "文件登记、同文件订单",
}

// ChineseSource is the source of evidence as a clerk reads it; a file and line stays as it is.
func ChineseSource(source string) string {
	if zh, ok := sourceWords[source]; ok {
		return zh
	}
	return source
}

// sentences joins evidence into one cell: each sentence with its source.
func (v *View) sentences(list []classify.Evidence) string {
	var b strings.Builder
	for i, e := range list {
		if i > 0 {
			b.WriteString(" | ")
		}
		text, source := e.EN, e.Source
		if v.Lang == Chinese {
			text = strings.ReplaceAll(statusWord.ReplaceAllStringFunc(e.ZH, v.word), " (void)", "（撤单）")
			source = ChineseSource(source)
		}
		b.WriteString(text)
		if source != "" {
			b.WriteString(" [" + source + "]")
		}
	}
	return b.String()
}

// contact names whom to ask.
func (v *View) contact(r *row) string {
	en, zh := "", ""
	switch classify.Actions[r.action].Contact {
	case classify.ContactAcquirer:
		en = v.Contact(r.acquirer)
		zh = en
	case classify.ContactStore:
		en, zh = "store "+cmp.Or(r.storeID, r.merchantID), "门店 "+cmp.Or(r.storeID, r.merchantID)
	case classify.ContactIT:
		en, zh = "own IT", "本方技术"
	case classify.ContactFinance:
		en, zh = "own treasury", "本方资金岗"
	}
	if v.Lang == Chinese {
		return zh
	}
	return en
}

// daysOverdue counts calendar days from the due date to the as-of's local date, 0 where it is not due or nothing is
// owed: money that has arrived is not overdue.
func (v *View) daysOverdue(r *row) int {
	if r.dueDate == nil || r.owed.IsZero() {
		return 0
	}
	due := recon.DateFromUTC(*r.dueDate)
	if v.AsOf.Before(due.At(v.Acquirers.Get(r.acquirer).Deadline, v.Zone)) {
		return 0
	}
	return recon.DateOf(v.AsOf, v.Zone).DaysSince(due)
}

// guard keeps a spreadsheet from reading text as a formula: OWASP ASVS 1.2.10, with the full-width forms that Chinese
// input methods give.
func guard(s string) string {
	for _, prefix := range []string{"=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"} {
		if strings.HasPrefix(s, prefix) {
			return "'" + s
		}
	}
	return s
}
