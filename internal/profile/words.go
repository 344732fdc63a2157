package profile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
)

// meaning is what a source's word for how a row stands seems to say, whatever the kind of the row.
type meaning int

const (
	unclear meaning = iota
	done
	waiting
	held
	failed
	returned
	closed
	reversed
)

// meanings are looked through in this order: a word that denies something contains what it denies, so that 未结算 must not
// be found as 结算. What fits nothing is unclear, and never taken for any of them.
var meanings = []struct {
	is      meaning
	pattern *regexp.Regexp
}{
	{unclear, regexp.MustCompile(`解冻|不|(未|待|无|非).*(失败|拒|冻结|止付|退|撤|冲正|关闭|成功)|中止|终止`)},
	{returned, regexp.MustCompile(`退票|退汇|退回|打回|(?i)^returned$`)},
	{held, regexp.MustCompile(`冻结|止付|暂缓|暂停|挂起|风控|(?i)^(held|hold|frozen|freeze|suspend(ed)?)$`)},
	{failed, regexp.MustCompile(`失败|拒|驳回|(?i)^(fail|failed|failure|reject|rejected|declined)$`)},
	{waiting, regexp.MustCompile(`未|待|(处理|结算|清算|划款|划付|出款|打款|入账|支付|付款|审核|进行|受理)中|(?i)^(pending|processing|wait(ing)?|init|create|deal)$`)},
	{reversed, regexp.MustCompile(`撤销|冲正|(?i)^(reversed|revoked|cancel(l?ed)?)$`)},
	{closed, regexp.MustCompile(`关闭|超时|(?i)^closed?$`)},
	{done, regexp.MustCompile(`成功|完成|已(结算|清算|出款|入账|到账|支付|付款|付|收款|划款|划付|打款)$|^(结算|清算|到账|入账|正常|平账)$|(?i)^(success|succ|settled|paid|done|completed?|ok|pay_success)$`)},
}

// meant says what a word seems to mean.
func meant(word string) meaning {
	for _, m := range meanings {
		if m.pattern.MatchString(word) {
			return m.is
		}
	}
	return unclear
}

// statusWord is the canonical status that a source's word seems to mean in a kind of file, blank where that is unclear.
func statusWord(kind recon.Kind, word string) string {
	table := map[recon.Kind]map[meaning]string{
		recon.KindSettlement: {done: "SETTLED", waiting: "PENDING", held: "HELD", failed: "REJECTED", returned: "RETURNED"},
		recon.KindPayout:     {done: "PAID", waiting: "PROCESSING", held: "HELD", failed: "FAILED", returned: "RETURNED"},
		recon.KindPOSLog:     {done: "SUCCESS", waiting: "PENDING", failed: "FAILED", closed: "CLOSED", reversed: "REVERSED"},
	}
	if v := table[kind][meant(word)]; v != "" {
		return v
	}
	return blank
}

var (
	backWord = regexp.MustCompile(`退款|退货|撤销|冲正|(?i)refund|^(cancel|reversal|revoked)$`)
	saleWord = regexp.MustCompile(`^(扫码|主扫|被扫|银行卡|刷卡|二维码|线上|线下|正|普通)?(消费|收款|支付|付款|交易|扫码)$|预授权完成$|(?i)^(sale|pay|payment|purchase|micropay|preorder|consume)$`)
	voidWord = regexp.MustCompile(`撤销|冲正|(?i)^(void|cancel|reversal|revoked)$`)
)

// typeWord is the canonical type that a source's word seems to mean, blank where that is unclear.
func typeWord(kind recon.Kind, word string) string {
	switch {
	case kind == recon.KindPOSLog && voidWord.MatchString(word):
		return "VOID"
	case backWord.MatchString(word):
		return "REFUND"
	case saleWord.MatchString(word):
		return "SALE"
	}
	return blank
}

// channelWord is the channel that a source's word seems to mean.
func channelWord(word string) string {
	for _, f := range []Find{{"微信|(?i)wechat|^wx", "WECHAT"}, {"支付宝|(?i)alipay", "ALIPAY"}, {"银联|云闪付|(?i)union|uqrcode", "UNIONPAY"},
		{"数字人民币|(?i)ecny|dcpay", "ECNY"}, {"卡", "CARD"}} {
		if regexp.MustCompile(f.Pattern).MatchString(word) {
			return f.Value
		}
	}
	return blank
}

// known returns, for a kind, the fields that the shipped formats read from a column of a name.
func known(kind recon.Kind) map[string]string {
	out := map[string]string{}
	columns := kindColumns[kind]
	all := slices.Concat(columns.required, columns.optional)
	for _, p := range Builtin() {
		if p.Kind != string(kind) {
			continue
		}
		for _, field := range all {
			f, ok := p.Fields[field]
			if !ok {
				continue
			}
			for _, name := range slices.Concat([]string(f.Column), f.Join) {
				if _, ok := out[normalName(name)]; !ok {
					out[normalName(name)] = field
				}
			}
		}
	}
	for _, field := range all {
		out[normalName(field)] = field
	}
	return out
}

// shipped reports whether a format that ships maps a source's word for a field to a canonical value: then it is no guess.
func shipped(kind recon.Kind, field, word, value string) bool {
	return slices.ContainsFunc(Builtin(), func(p *Profile) bool {
		return p.Kind == string(kind) && p.Fields[field].Map[word] == value
	})
}

// nameWords are what names of columns contain, where no format has the very name; the better ones come first.
var nameWords = map[string][]string{
	"order_id":       {`商户订单|商户单|商户请求|商户流水|out_?trade`, `订单号|订单编号|单号|order_?(id|no)|流水号`},
	"merchant_id":    {`商户号|商户编号|商户代码|商编|门店号|^商户$|merchant_?(id|no|num)|^mch|^mer`, `merchant`},
	"channel_txn_id": {`微信订单|支付宝交易号|渠道.*(单|流水)号|transaction_?id`},
	"ref_no":         {`参考号|检索`},
	"trace_no":       {`凭证号|跟踪号|trace`},
	"terminal_id":    {`终端`},
	"amount":         {`^(交易|订单|支付|打款|出款|划款|到账)金额`, `金额|amount|^amt|^total_?fee`},
	"fee":            {`手续费|服务费|费用|(^|_)fee$|^mdr`},
	"net_amount":     {`结算金额|清算金额|净额|实收|入账金额|到账金额|(^|_)net`},
	"settle_date":    {`结算日|清算日|到账日|入账日|结算时间|清算时间|到账时间|(settle|clear).*(date|day|time)`},
	"payout_date":    {`出款日|划款日|打款日|到账日|出款时间|打款时间|划款时间|(payout|pay).*(date|time)`, `日期|date`},
	"payout_id":      {`打款单|出款单|划款单|打款流水|出款流水|划款流水|批次号|payout`, `单号|流水号`},
	"book_date":      {`记账日|入账日`, `交易日`, `日期|date`},
	"counterparty":   {`对方户名|对方名称|对手`},
	"memo":           {`摘要|附言|用途|memo`},
	"balance":        {`余额|balance`},
	"txn_time":       {`交易时间|支付时间|完成时间|交易日期`, `time|时间`},
	"status":         {`(结算|清算|到账|出款|打款|划款|入账).*(状态|结果|标志)`, `状态|status|结果|state`},
	"type":           {`交易类型|业务类型|类型|type|类别`},
	"channel":        {`支付方式|支付类型|支付渠道|渠道|钱包|channel|pay_?way|卡种`},
	"reason":         {`原因|失败描述|备注|remark|reason|message`},
	"batch_no":       {`批次`},
	"currency":       {`币种|货币|currency`},
	"refund_id":      {`退款单号|退款订单|退款流水|refund_?(id|no)`},
}

// notFor are names that a field's words would find as well.
var notFor = map[string]*regexp.Regexp{
	"order_id":  regexp.MustCompile(`微信|支付宝|渠道|银联|原|退`),
	"amount":    regexp.MustCompile(`手续费|服务费|费率|优惠|红包|券|余额|退款|净|结算金额|清算金额|实收|补贴|积分|fee_?rate`),
	"fee":       regexp.MustCompile(`费率|rate|total_?fee|消费`),
	"status":    regexp.MustCompile(`退款`),
	"payout_id": regexp.MustCompile(`商户`),
	"txn_time":  regexp.MustCompile(`结算|清算|到账|入账|创建|导出`),
}

var (
	personName = regexp.MustCompile(`付款(人|方|账|卡|银行卡)|付方|姓名|卡号|手机|电话|证件|身份证|持卡人|户名|用户(标识|号|id|名)|open_?id|buyer|payer|card_?(no|num|holder)|(^|[_.])(phone|mobile|tel|name|holder)($|[_.])|bank_?account|bankholder|买家|会员|消费者|对方|对手|收款(人|方)|收方|邮箱|email|地址|银行账号|收款账号`)
	noPerson   = regexp.MustCompile(`商户|门店|商品|店名|店铺|机构|银行名|付款方式|收款方式|merchant|goods|product|shop|store`)
	cardValue  = regexp.MustCompile(`^(\d{3,6}\*{2,}\d{0,4}|1[3-9]\d{9}|1\d{2}\*{4}\d{4}|[1-9]\d{5}(19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]|[3-6]\d{15,18})$`)
	longNumber = regexp.MustCompile(`单|流水|订单|参考|order|txn|trade|商户|终端|merchant`)
	fenName    = regexp.MustCompile(`[(（\[【]\s*(单位)?[:：]?\s*分\s*[)）\]】]|金额分$|[（(]人民币分[)）]|(^|[_.])(fen|cents?)($|[_.])|_fen$`)
	fenPreface = regexp.MustCompile(`单位[:：]?\s*(人民币)?分([^之]|$)`)
	totalName  = regexp.MustCompile(`合计|总计|小计|总额|总金额|总笔数|笔数|总手续费|汇总|记录数|(?i)total|count`)
	footName   = regexp.MustCompile(`制表|打印|导出|下载|复核|审核|经办|查询时间|第.*页|页码|说明|备注[:：]|注[:：]|结束|^-{3,}|^={3,}|^\*{3,}`)
	notIgnored = regexp.MustCompile(`^[\d.,+\-¥￥ ]+$`)
)

// personal reports whether a column seems to name people, their cards or accounts.
func personal(name string, values []string) bool {
	n := normalName(name)
	if personName.MatchString(n) && !noPerson.MatchString(n) {
		return true
	}
	if longNumber.MatchString(n) || len(values) == 0 {
		return false
	}
	return !slices.ContainsFunc(values, func(v string) bool { return !cardValue.MatchString(v) })
}

// statuses reports whether the values of a column look like words for how a row stands: few, and at least half of them clear.
func statuses(values []string) bool {
	return wordsOf(values, func(v string) bool { return meant(v) != unclear })
}

// types reports whether all values of a column look like words for what a row is.
func types(values []string) bool {
	n := 0
	for _, v := range values {
		if typeWord(recon.KindSettlement, v) == blank || meant(v) == done || meant(v) == waiting || meant(v) == failed {
			return false
		}
		n++
	}
	return n > 0
}

// wordsOf reports whether values are few short words of which at least half, and one, fit.
func wordsOf(values []string, fits func(string) bool) bool {
	n := 0
	for _, v := range values {
		if len(v) > 60 || strings.ContainsAny(v, "0123456789") {
			return false
		}
		if fits(v) {
			n++
		}
	}
	return n > 0 && n*2 >= len(values) && len(values) <= 12
}
