package classify

import "github.com/posrecon/posrecon/internal/recon"

// Contact is who is asked: the acquirer's service line is added where the acquirer is meant.
type Contact string

// The parties that the next steps name.
const (
	ContactNone     Contact = ""
	ContactAcquirer Contact = "acquirer"
	ContactStore    Contact = "store"
	ContactIT       Contact = "it"
	ContactFinance  Contact = "finance"
)

// Action is a recommended next step, in both languages.
type Action struct {
	EN, ZH  string
	Contact Contact
}

// Actions are the next steps by key; the keys are stored with explanations (practice: recommended follow-ups).
var Actions = map[string]Action{
	"wait":            {"Wait: it is not due yet.", "未到期，等待。", ContactNone},
	"load_calendar":   {"Load the year's working days with 'posrecon calendar load'.", "载入该年度工作日历（posrecon calendar load）。", ContactIT},
	"find_order":      {"Look for the order: a late POS log, another store's till, or a payment taken outside it; refund it if nobody owns it.", "查找对应订单：POS 日志晚到、他店收银或线下收款；无主则退款。", ContactStore},
	"find_refund":     {"Ask who issued the refund: money was taken from you. If nobody did, dispute it with the acquirer.", "核实退款由谁发起：资金已被扣回；无人发起则向收单机构申诉。", ContactStore},
	"check_merchant":  {"Compare the merchant ids: where both are yours, declare one as an alias of the other.", "核对商户号：若为同一商户，请在配置中声明别名。", ContactFinance},
	"failed_unsaid":   {"Nothing is owed by the POS's own record; why it failed is not recorded.", "按 POS 记录无应收；失败原因未记录。", ContactNone},
	"announced":       {"Look for the order; nothing has been paid for it, so there is nothing to give back.", "查找对应订单；尚未付款，无需退款。", ContactStore},
	"query_order":     {"Query the order at the channel first (查单): what to do depends on whether it was paid.", "先向渠道查单：是否已支付决定下一步。", ContactIT},
	"check_duplicate": {"Compare both records; if the payer was charged twice refund one, if the acquirer paid twice tell it.", "核对两笔记录；如顾客被重复扣款则退一笔，如渠道重复结算则告知渠道。", ContactStore},
	"check_amount":    {"Compare the slip with the order; refund or collect the difference.", "核对签购单与订单金额，退还或补收差额。", ContactStore},
	"correct_status":  {"Query the order at the channel, then book it as paid or refund it; have the callback address checked.", "向渠道查单后补单或退款；检查回调地址。", ContactIT},

	string(recon.FileLate):            {"Fetch the settlement file again; if it is still missing in the afternoon, ask the acquirer for it.", "重新获取结算文件；下午仍未到则联系收单机构。", ContactAcquirer},
	string(recon.SystemDelay):         {"Wait for the next settlement file; if it is not in it, ask the acquirer to trace the order.", "等待下一份结算文件；仍未见则请收单机构查询。", ContactAcquirer},
	string(recon.PayoutLate):          {"Watch the payout; if it is not paid the next working day, ask the acquirer's settlement desk with the payout id.", "关注划款状态；次工作日仍未到账则凭划款单号联系收单机构结算岗。", ContactAcquirer},
	string(recon.ChannelOutage):       {"Send the incident with its order list to the acquirer as one sheet; query unknown payments before charging again.", "将事件与订单清单一并提交收单机构；结果未知的先查单，勿重复收款。", ContactAcquirer},
	string(recon.CallbackLost):        {"Query the order at the channel, then book it as paid or refund it; have the callback address checked.", "向渠道查单后补单或退款；检查回调地址。", ContactIT},
	string(recon.Network):             {"Check the terminal's SIM or Wi-Fi, restart it and upload its batch; query the payments that have no answer.", "检查终端网络并重启、上传批次；对无结果的交易查单。", ContactStore},
	string(recon.FalseSuccess):        {"Query the order at the channel; if it was never paid, take it up with the payer or book it as a loss.", "向渠道查单；若确未支付，联系顾客补款或列损。", ContactAcquirer},
	string(recon.AccountFrozen):       {"Read the risk notice in the merchant portal and submit the documents it asks for; watch what else is held.", "查看商户平台风控通知并按要求提交材料；关注其余暂缓结算资金。", ContactAcquirer},
	string(recon.AccountAbnormal):     {"Correct the settlement account (name, number, state, class-II limit) with the acquirer, then have it paid out again.", "与收单机构更正结算账户（户名、账号、状态、二类户限额）后重新出款。", ContactAcquirer},
	string(recon.InsufficientBalance): {"Check refunds against receipts; top the account up if the acquirer asks for it.", "核对退款与收款；按收单机构要求充值。", ContactFinance},
	string(recon.PayerFunds):          {"Nothing is owed: the payer's balance was short.", "无应收：付款方余额不足，交易未成功。", ContactNone},
	string(recon.Declined):            {"Nothing is owed: the payment was declined.", "无应收：交易被拒绝。", ContactNone},
	string(recon.Closed):              {"Confirm at the channel that the payer was not charged; then nothing is owed.", "向渠道确认顾客未扣款；确认后无应收。", ContactStore},
	string(recon.OperatorError):       {"Check the slip: wrong amount, wrong or expired code.", "核对签购单：金额录错、付款码错误或过期。", ContactStore},
}

// actionOf returns the key of a sub-cause's next step.
func actionOf(sub recon.SubCause) string { return string(sub) }

// harm is what it costs, in hours of a clerk, to have left each cause alone for a day: a frozen account goes on growing, a late
// line comes by itself. It is a judgement, and only its order of magnitude matters.
var harm = map[recon.Cause]float64{recon.Delay: 0.5, recon.InterfaceFault: 2, recon.FrozenAccount: 8, recon.FailedTxn: 0.2}

// askCost is what it costs to query an order at the channel first.
const askCost = 0.5

// action is the next step of least expected cost: that of the stated sub-cause, unless so much harm comes of its being another
// cause that a query first is cheaper.
func (e *explainer) action(s *subject, n *inference) string {
	sub := recon.SubCauses[n.sub]
	switch s.settlementValue() {
	case "other_amount":
		return "check_amount"
	case "other_status":
		return "correct_status"
	}
	if sub.Cause() == recon.FailedTxn && s.POSStatus == string(recon.POSFailed) && s.code().sub != sub {
		return "failed_unsaid"
	}
	risk := 0.0
	for j, p := range n.posterior {
		if c := recon.SubCauses[j].Cause(); c != sub.Cause() {
			risk += p * harm[c]
		}
	}
	if s.settlementValue() == "none" && risk > askCost && !s.nothingOwed() {
		return "query_order"
	}
	return actionOf(sub)
}

// payoutAction is the next step about a payout that is not paid.
func (e *explainer) payoutAction(s *subject) string {
	if sub := s.reason().sub; sub != "" {
		return actionOf(sub)
	}
	return map[recon.PayoutStatus]string{recon.PayoutProcessing: actionOf(recon.PayoutLate), recon.PayoutHeld: actionOf(recon.AccountFrozen),
		recon.PayoutFailed: actionOf(recon.AccountAbnormal), recon.PayoutReturned: actionOf(recon.AccountAbnormal)}[recon.PayoutStatus(s.PayoutStatus)]
}
