package export

import (
	"bytes"
	"cmp"
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

// kind is what a column holds.
type kind int

const (
	kindText   kind = iota // of files and persons: guarded against spreadsheet formulas
	kindNumber             // never guarded
	kindWord               // one of the contract's, or a date: neither a formula nor in need of quotes
)

// column is one column of the contract.
type column struct {
	name, zh string
	kind     kind
	// add appends the row's value, and nothing where it is absent.
	add func(b []byte, v *View, r *row) []byte
}

// addMoney appends an amount with two places.
func addMoney(b []byte, a amount) []byte {
	if a == nil {
		return b
	}
	if point := len(a) - 3; point > 0 && a[point] == '.' && !(a[0] == '-' && a.isZero()) {
		return append(b, a...)
	}
	d, err := decimal.NewFromString(string(a))
	if err != nil {
		return append(b, a...) // NaN, which no column of ours may hold
	}
	return append(b, d.StringFixed(2)...)
}

// addDifference appends what is settled less what was sold, where both are known.
func addDifference(b []byte, sold, settled amount) []byte {
	switch {
	case sold == nil || settled == nil:
		return b
	case bytes.Equal(sold, settled):
		return append(b, zero...)
	}
	s, err := decimal.NewFromString(string(sold))
	if err != nil {
		return b
	}
	l, err := decimal.NewFromString(string(settled))
	if err != nil {
		return b
	}
	return append(b, l.Sub(s).StringFixed(2)...)
}

// addDate appends a day as 2026-11-03.
func addDate(b []byte, d day) []byte {
	if !d.valid {
		return b
	}
	year, month, date := d.Date()
	if year < 1000 || year > 9999 {
		return d.AppendFormat(b, time.DateOnly)
	}
	// By hand, since a layout is taken apart each time and every row has three days.
	return append(strconv.AppendInt(b, int64(year), 10), '-', '0'+byte(month)/10, '0'+byte(month)%10, '-', '0'+byte(date)/10, '0'+byte(date)%10)
}

// columns are the contract's, in its order.
var columns = []column{
	{"business_date", "账期", kindWord, func(b []byte, _ *View, r *row) []byte { return addDate(b, r.businessDate) }},
	{"order_id", "商户订单号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.orderID...) }},
	{"refund_id", "退款单号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.refundID...) }},
	{"original_order_id", "原订单号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.originalOrderID...) }},
	{"acquirer", "收单机构", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.acquirer...) }},
	{"merchant_id", "商户号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.merchantID...) }},
	{"store_id", "门店", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.storeID...) }},
	{"terminal_id", "终端号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.terminalID...) }},
	{"channel", "渠道", kindText, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.channel) }},
	{"channel_txn_id", "渠道交易号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.channelTxnID...) }},
	{"ref_no", "参考号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.refNo...) }},
	{"type", "交易类型", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.typ) }},
	{"txn_time", "交易时间", kindWord, func(b []byte, v *View, r *row) []byte {
		if !r.txnTime.valid {
			return b
		}
		return r.txnTime.In(v.Zone).AppendFormat(b, time.RFC3339)
	}},
	{"currency", "币种", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.currency...) }},
	{"pos_amount", "订单金额", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.posAmount) }},
	{"settled_amount", "结算金额", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.settledAmount) }},
	{"difference", "差额", kindNumber, func(b []byte, _ *View, r *row) []byte { return addDifference(b, r.posAmount, r.settledAmount) }},
	{"fee", "手续费", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.fee) }},
	{"net_amount", "结算净额", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.netAmount) }},
	{"amount_due", "应到账", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.due) }},
	{"amount_arrived", "已到账", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.arrived) }},
	{"amount_owed", "短款", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.owed) }},
	{"amount_excess", "长款", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.excess) }},
	{"pos_status", "POS状态", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.posStatus) }},
	{"settle_status", "结算状态", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.settleStatus) }},
	{"outcome", "对账结果", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.outcome) }},
	{"cause", "原因", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.cause) }},
	{"sub_cause", "原因细类", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.subCause) }},
	{"confidence", "置信度", kindNumber, func(b []byte, _ *View, r *row) []byte { return addMoney(b, r.confidence) }},
	{"certainty", "把握", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.certainty) }},
	{"incident_id", "事件号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.incidentID...) }},
	{"evidence", "证据", kindText, func(b []byte, v *View, r *row) []byte { return v.addSentences(b, r.evidence) }},
	{"counter_evidence", "反向证据", kindText, func(b []byte, v *View, r *row) []byte { return v.addSentences(b, r.counterEvidence) }},
	{"recommended_action", "建议处理", kindText, func(b []byte, v *View, r *row) []byte {
		if v.Lang == Chinese {
			return append(b, classify.Actions[string(r.action)].ZH...)
		}
		return append(b, classify.Actions[string(r.action)].EN...)
	}},
	{"contact", "联系", kindText, func(b []byte, v *View, r *row) []byte { return append(b, v.contact(r)...) }},
	{"due_date", "应到账日", kindWord, func(b []byte, _ *View, r *row) []byte { return addDate(b, r.dueDate) }},
	{"days_overdue", "逾期天数", kindNumber, func(b []byte, v *View, r *row) []byte { return strconv.AppendInt(b, int64(v.daysOverdue(r)), 10) }},
	{"settle_date", "结算日", kindWord, func(b []byte, _ *View, r *row) []byte { return addDate(b, r.settleDate) }},
	{"payout_id", "划款单号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.payoutID...) }},
	{"payout_status", "划款状态", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.payoutStatus) }},
	{"match_rule", "匹配规则", kindWord, func(b []byte, v *View, r *row) []byte { return v.addWord(b, r.matchRule) }},
	{"needs_follow_up", "需跟进", kindWord, func(b []byte, v *View, r *row) []byte { return v.addBool(b, r.needsFollowUp) }},
	{"case_id", "差错单号", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.caseID...) }},
	{"case_status", "处理状态", kindWord, func(b []byte, v *View, r *row) []byte { return append(b, v.caseStatus(string(r.caseStatus))...) }},
	{"assignee", "责任人", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.assignee...) }},
	{"source_file", "POS文件", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.sourceFile...) }},
	{"source_line", "POS行号", kindNumber, func(b []byte, _ *View, r *row) []byte { return append(b, r.sourceLine...) }},
	{"settle_source_file", "结算文件", kindText, func(b []byte, _ *View, r *row) []byte { return append(b, r.settleSourceFile...) }},
	{"settle_source_line", "结算行号", kindNumber, func(b []byte, _ *View, r *row) []byte { return append(b, r.settleSourceLine...) }},
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

// addWord appends a value in the view's language.
func (v *View) addWord(b, value []byte) []byte {
	if v.Lang == Chinese {
		if zh, ok := words[string(value)]; ok {
			return append(b, zh...)
		}
	}
	return append(b, value...)
}

// addBool appends the word for what the server prints as t or f.
func (v *View) addBool(b, value []byte) []byte {
	return append(b, v.word(strconv.FormatBool(string(value) == string(yes)))...)
}

// statusWords are the contract's statuses that stand within a sentence: a clerk reads 已结算, not SETTLED.
var statusWords = map[string]bool{
	"SUCCESS": true, "FAILED": true, "CLOSED": true, "REVERSED": true, "PENDING": true, "UNKNOWN": true,
	"SETTLED": true, "HELD": true, "REJECTED": true, "RETURNED": true, "PAID": true, "PROCESSING": true,
}

func isWordByte(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_'
}

// addChinese appends a Chinese sentence, in which statuses stand as the contract writes them.
func addChinese(b []byte, text string) []byte {
	text = strings.ReplaceAll(text, " (void)", "（撤单）")
	for len(text) > 0 {
		n := 0
		for n < len(text) && !isWordByte(text[n]) {
			n++
		}
		b, text = append(b, text[:n]...), text[n:]
		for n = 0; n < len(text) && isWordByte(text[n]); n++ {
		}
		word := text[:n]
		if statusWords[word] {
			word = words[word]
		}
		b, text = append(b, word...), text[n:]
	}
	return b
}

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

// addSentences joins evidence into one cell: each sentence with its source.
func (v *View) addSentences(b []byte, list []classify.Evidence) []byte {
	for i, e := range list {
		if i > 0 {
			b = append(b, " | "...)
		}
		source := e.Source
		if v.Lang == Chinese {
			b, source = addChinese(b, e.ZH), ChineseSource(source)
		} else {
			b = append(b, e.EN...)
		}
		if source != "" {
			b = append(append(append(b, " ["...), source...), ']')
		}
	}
	return b
}

// contact names whom to ask.
func (v *View) contact(r *row) string {
	en, zh := "", ""
	switch classify.Actions[string(r.action)].Contact {
	case classify.ContactAcquirer:
		en = v.Contact(string(r.acquirer))
		zh = en
	case classify.ContactStore:
		store := cmp.Or(string(r.storeID), string(r.merchantID))
		en, zh = "store "+store, "门店 "+store
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
	if !r.dueDate.valid || r.owed.isZero() {
		return 0
	}
	due := recon.DateFromUTC(r.dueDate.Time)
	if v.AsOf.Before(due.At(v.Acquirers.Get(string(r.acquirer)).Deadline, v.Zone)) {
		return 0
	}
	return recon.DateOf(v.AsOf, v.Zone).DaysSince(due)
}

// guarded reports whether a spreadsheet could read text as a formula: OWASP ASVS 1.2.10, with the full-width forms that
// Chinese input methods give. A CSV puts an apostrophe before it.
func guarded(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	switch s[0] {
	case '=', '+', '-', '@', '\t', '\r':
		return true
	case "＝"[0]:
		for _, prefix := range []string{"＝", "＋", "－", "＠"} {
			if strings.HasPrefix(string(s), prefix) {
				return true
			}
		}
	}
	return false
}
