// Package recon holds the nouns of a reconciliation and the rules that belong to them: what an order, a settlement
// line and a payout are, when two rows are the same order, which outcomes and causes exist and what they are called.
// No SQL, no files, no HTTP and no clock live here; every other package imports this one and it imports none of them.
//
// # Glossary
//
//	order            订单      one sale or refund as the POS recorded it; a void is an event on a sale, not an order
//	acquirer         收单机构  who processes the payment and pays the merchant (lakala, chinaums, shengpay …)
//	merchant         商户      who is paid; an acquirer may know one merchant under several ids (aliases)
//	channel          渠道      the wallet or scheme the payer used: WECHAT, ALIPAY, UNIONPAY …
//	settlement line  结算明细  a row of an acquirer's settlement file: it says what became of one order
//	payout           划款      one transfer from the acquirer to the merchant's account, covering many settlement lines
//	business date    账期      the day an order belongs to: its local date, or the next day from the cut-off on
//	cut-off          日切      the local time from which an acquirer counts an order to the next business date
//	due date         应到账日  the day by whose file deadline the settlement line must have arrived
//	file deadline    文件截止  the local time on the due date by which the acquirer's file is expected
//	as-of            截止时点  the instant from which "due" is judged; the only clock a decision sees
//	outcome          对账结果  what the facts say of an order: exactly one of Outcome's values
//	cause            原因      why the money has not arrived: exactly one of Cause's values, with a sub-cause
//	incident         事件      one fault that explains many orders: an outage, a frozen merchant, a late batch
//	case             差错单    what a person follows up; it opens when an order needs follow-up and keeps its history
//	owed             短款      money that is due and has not arrived
//	excess           长款      money that arrived and is not due
//	standing         现行      of the rows recorded for one key, the one that counts now
//	fact             事实      a row of a file, once; the same row in another file is the same fact
package recon
