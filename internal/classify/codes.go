package classify

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/posrecon/posrecon/internal/recon"
)

// codeClass is what a POS response code is evidence for.
type codeClass int

// A business code says that the payment failed for a reason of the payer's or the till's; a system code says that the
// result is unknown, so the payer may have been charged; a waiting code that the payer has not confirmed.
const (
	codeNone codeClass = iota
	codeApproved
	codeBusiness
	codeSystem
	codeNetwork
	codeWaiting
	codeOther
)

// posCode is the meaning of one response code.
type posCode struct {
	class  codeClass
	sub    recon.SubCause
	en, zh string
}

// posCodes are the response codes in use: ISO 8583 field 39 as UnionPay uses it (银联卡收单 应答码), WeChat Pay's
// micropay errors (pay.weixin.qq.com, 付款码支付), Alipay's alipay.trade.pay sub codes (opendocs.alipay.com).
var posCodes = map[string]posCode{
	"00":      {codeApproved, "", "approved", "交易成功"},
	"0":       {codeApproved, "", "approved", "交易成功"},
	"10000":   {codeApproved, "", "approved", "交易成功"},
	"SUCCESS": {codeApproved, "", "approved", "交易成功"},
	"OK":      {codeApproved, "", "approved", "交易成功"},

	"51":                                    {codeBusiness, recon.PayerFunds, "insufficient funds", "资金不足"},
	"NOTENOUGH":                             {codeBusiness, recon.PayerFunds, "payer's balance is short", "付款方余额不足"},
	"ACQ.BUYER_BALANCE_NOT_ENOUGH":          {codeBusiness, recon.PayerFunds, "payer's balance is short", "买家余额不足"},
	"ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH": {codeBusiness, recon.PayerFunds, "payer's bank card is short", "买家银行卡余额不足"},

	"01":            {codeBusiness, recon.Declined, "refer to issuer", "请持卡人与发卡行联系"},
	"05":            {codeBusiness, recon.Declined, "not authorised", "身份认证失败"},
	"14":            {codeBusiness, recon.Declined, "invalid card number", "无效卡号"},
	"34":            {codeBusiness, recon.Declined, "suspected fraud", "有作弊嫌疑"},
	"38":            {codeBusiness, recon.Declined, "PIN tries exceeded", "超过允许密码次数"},
	"41":            {codeBusiness, recon.Declined, "lost card", "挂失卡"},
	"43":            {codeBusiness, recon.Declined, "stolen card", "被窃卡"},
	"54":            {codeBusiness, recon.Declined, "expired card", "过期卡"},
	"55":            {codeBusiness, recon.Declined, "wrong password", "密码错误"},
	"57":            {codeBusiness, recon.Declined, "not permitted to the cardholder", "不允许持卡人进行的交易"},
	"61":            {codeBusiness, recon.Declined, "amount limit exceeded", "超出金额限制"},
	"62":            {codeBusiness, recon.Declined, "restricted card", "受限制的卡"},
	"65":            {codeBusiness, recon.Declined, "count limit exceeded", "超出次数限制"},
	"75":            {codeBusiness, recon.Declined, "PIN tries exceeded", "密码次数超限"},
	"NOTSUPORTCARD": {codeBusiness, recon.Declined, "card type not supported", "不支持的卡类型"},
	"RULELIMIT":     {codeBusiness, recon.Declined, "stopped by a rule", "交易规则限制"},
	"TRADE_ERROR":   {codeBusiness, recon.Declined, "payment refused", "交易错误"},
	"ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR":   {codeBusiness, recon.Declined, "payer's daily limit", "买家付款日限额超限"},
	"ACQ.BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR": {codeBusiness, recon.Declined, "payer's monthly limit", "买家付款月限额超限"},
	"ACQ.PAYMENT_REQUEST_HAS_RISK":               {codeBusiness, recon.Declined, "payment at risk", "支付有风险"},

	"12":                            {codeBusiness, recon.OperatorError, "invalid transaction", "无效交易"},
	"13":                            {codeBusiness, recon.OperatorError, "invalid amount", "无效金额"},
	"64":                            {codeBusiness, recon.OperatorError, "amount differs from the original", "与原金额不符"},
	"AUTHCODEEXPIRE":                {codeBusiness, recon.OperatorError, "payment code expired", "付款码已过期"},
	"AUTH_CODE_ERROR":               {codeBusiness, recon.OperatorError, "wrong payment code", "付款码错误"},
	"AUTH_CODE_INVALID":             {codeBusiness, recon.OperatorError, "not a payment code", "付款码无效"},
	"BUYER_MISMATCH":                {codeBusiness, recon.OperatorError, "another payer", "支付账号错误"},
	"OUT_TRADE_NO_USED":             {codeBusiness, recon.OperatorError, "order number used before", "商户订单号重复"},
	"ACQ.PAYMENT_AUTH_CODE_INVALID": {codeBusiness, recon.OperatorError, "payment code invalid or expired", "付款码无效"},
	"ACQ.CONTEXT_INCONSISTENT":      {codeBusiness, recon.OperatorError, "order repeated with other content", "交易信息被篡改"},
	"ACQ.TOTAL_FEE_EXCEED":          {codeBusiness, recon.OperatorError, "amount out of range", "订单总金额超限"},

	"ORDERCLOSED":         {codeBusiness, recon.Closed, "order closed", "订单已关闭"},
	"ORDERREVERSED":       {codeBusiness, recon.Closed, "order reversed", "订单已撤销"},
	"ACQ.TRADE_HAS_CLOSE": {codeBusiness, recon.Closed, "trade closed", "交易已关闭"},
	"ACQ.PAYMENT_FAIL":    {codeWaiting, recon.Closed, "payment not completed", "支付失败"},
	"USERPAYING":          {codeWaiting, recon.Closed, "waiting for the payer", "用户支付中"},
	"WAIT_BUYER_PAY":      {codeWaiting, recon.Closed, "waiting for the payer", "等待买家付款"},
	"10003":               {codeWaiting, recon.Closed, "waiting for the payer", "等待用户付款"},
	"BBS10000":            {codeWaiting, recon.Closed, "payment under way", "交易状态为支付中"},

	"06":                   {codeSystem, recon.ChannelOutage, "error at the issuer", "发卡方出错"},
	"20":                   {codeSystem, recon.ChannelOutage, "invalid answer", "无效应答"},
	"68":                   {codeSystem, recon.ChannelOutage, "issuer did not answer in time", "发卡行响应超时"},
	"90":                   {codeSystem, recon.ChannelOutage, "cut-off under way", "日切中"},
	"91":                   {codeSystem, recon.ChannelOutage, "issuer or switch inoperative", "发卡方状态不正常"},
	"92":                   {codeSystem, recon.ChannelOutage, "no route to the issuer", "找不到发卡方"},
	"94":                   {codeSystem, recon.ChannelOutage, "duplicate transmission", "重复交易"},
	"96":                   {codeSystem, recon.ChannelOutage, "system malfunction", "系统异常"},
	"98":                   {codeSystem, recon.ChannelOutage, "no answer from the issuer", "交换中心收不到发卡方应答"},
	"SYSTEMERROR":          {codeSystem, recon.ChannelOutage, "channel system error, result unknown", "接口返回错误，结果未知"},
	"BANKERROR":            {codeSystem, recon.ChannelOutage, "bank timed out, result unknown", "银行系统异常，结果未知"},
	"ACQ.SYSTEM_ERROR":     {codeSystem, recon.ChannelOutage, "channel system error, result unknown", "接口返回错误，结果未知"},
	"AOP.ACQ.SYSTEM_ERROR": {codeSystem, recon.ChannelOutage, "channel system error, result unknown", "接口返回错误，结果未知"},
	"AOP.UNKNOW-ERROR":     {codeSystem, recon.ChannelOutage, "gateway unavailable, result unknown", "服务不可用，结果未知"},
	"20000":                {codeSystem, recon.ChannelOutage, "gateway unavailable, result unknown", "服务不可用，结果未知"},
	"R011122":              {codeSystem, recon.ChannelOutage, "channel timed out, result unknown", "渠道处理超时"},
	"000101":               {codeNetwork, recon.Network, "request timed out on the network", "网络请求超时"},
	"000100":               {codeNetwork, recon.Network, "request failed on the network", "网络请求失败"},
	"NETERR":               {codeNetwork, recon.Network, "no network at the terminal", "终端网络故障"},
	"FF":                   {codeNetwork, recon.Network, "no network at the terminal", "网络连接故障"},
}

// lookUp returns the meaning of a response code; an unknown one says nothing.
func lookUp(code string) posCode {
	if code == "" {
		return posCode{}
	}
	if c, ok := posCodes[strings.ToUpper(code)]; ok {
		return c
	}
	return posCode{class: codeOther}
}

// holdReason is what a settlement row's or payout's reason says.
type holdReason struct {
	sub    recon.SubCause
	known  bool // by code or by words, not by default
	byCode bool
}

// holdCodes are reason codes whose owners document them; other acquirers' are read by their words.
var holdCodes = map[string]recon.SubCause{
	"R1301": recon.AccountFrozen,
	"R1102": recon.InsufficientBalance,
	"E2010": recon.AccountAbnormal,
	"E2014": recon.AccountAbnormal,
	"E2033": recon.AccountAbnormal,
	"E2051": recon.AccountAbnormal,
	"E9001": recon.PayoutLate,
	// Allinpay payout codes, whose texts most acquirers share.
	"3017": recon.AccountAbnormal, "3020": recon.AccountAbnormal, "3057": recon.AccountAbnormal, "3069": recon.AccountAbnormal,
	"3018": recon.AccountAbnormal, "3039": recon.AccountAbnormal, "3009": recon.AccountAbnormal, "3031": recon.AccountAbnormal,
	"3030": recon.AccountAbnormal, "3065": recon.AccountAbnormal, "3004": recon.AccountAbnormal, "3056": recon.AccountAbnormal,
	"3028": recon.PayoutLate, "3024": recon.PayoutLate, "3044": recon.PayoutLate, "3059": recon.PayoutLate, "3071": recon.PayoutLate,
}

// holdWords are read in order: the first that occurs decides. The payee's side comes before the bank's, since texts
// like 账户冻结，次日处理 name the cause first.
var holdWords = []struct {
	sub   recon.SubCause
	words []string
}{
	{recon.InsufficientBalance, []string{"余额不足", "轧差为负", "净额为负", "待充值", "INSUFFICIENT BALANCE"}},
	{recon.AccountFrozen, []string{"风控", "风险", "司法", "公安", "止付", "冻结结算", "暂停结算", "延迟结算", "限制出金", "风险交易冻结", "RISK"}},
	{recon.AccountAbnormal, []string{"户名", "账号", "帐号", "账户", "帐户", "销户", "注销", "清户", "关户", "挂失", "久悬", "不动户", "二类", "II类", "Ⅱ类", "三类", "收付控制", "卡号", "退票", "证件过期", "非本行"}},
	{recon.PayoutLate, []string{"维护", "处理中", "银行处理", "待出款", "已受理", "次日", "节假日", "顺延", "日切", "系统忙", "系统异常", "超时", "通讯", "故障", "服务时间", "重出", "有缺陷的成功", "MAINTENANCE"}},
	{recon.AccountFrozen, []string{"冻结"}},
}

// readHold reads a reason: the code where it is known, else the words, else what the fallback says.
func readHold(code, text string, fallback recon.SubCause) holdReason {
	if sub, ok := holdCodes[strings.ToUpper(code)]; ok {
		return holdReason{sub, true, true}
	}
	folded := strings.ToUpper(norm.NFKC.String(text))
	if folded != "" {
		for _, h := range holdWords {
			for _, w := range h.words {
				if strings.Contains(folded, norm.NFKC.String(w)) {
					return holdReason{h.sub, true, false}
				}
			}
		}
	}
	return holdReason{sub: fallback}
}
