package classify

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/codes"
	"github.com/posrecon/posrecon/internal/recon"
)

// shift is what a cohort says of an order: the rate of one sub-cause is another one here than everywhere.
type shift struct {
	sub      int
	family   string
	to       float64
	item     Evidence
	incident *incident // that the order is part of, if the sub-cause is the one that is stated
}

// inference is everything that an order's cause is derived from, and what it comes to.
type inference struct {
	features   []feature
	habit      *habit // of the acquirer's logs, nil for that of the weights
	base       perSub // rates everywhere
	rates      perSub // and here
	likelihood perSub
	posterior  perSub
	shifts     []shift
	verdict
}

// infer derives the posterior of an order.
func (e *explainer) infer(s *subject) *inference {
	w := e.rules.weights()
	n := &inference{features: s.features(), base: w.rate, rates: w.rate}
	if h, ok := e.habits[s.Acquirer]; ok {
		n.habit = &h
	}
	e.shifts(s, n)
	n.conclude(w)
	return n
}

// shifts finds the cohorts that an order is in. Those that explain a missing line come before the merchant's run, which is
// held against them.
func (e *explainer) shifts(s *subject, n *inference) {
	raise := func(x shift) {
		x.to = asStored(x.to)
		n.rates[x.sub] = x.to
		n.shifts = append(n.shifts, x)
	}
	if s.lineMissing() && s.DueDate != nil && !s.nothingOwed() {
		e.fileShift(s, n, raise)
		e.delayShift(s, n, raise)
		e.batchShift(s, n, raise)
	}
	if s.Type == string(recon.TypeRefund) {
		raise(shift{sub: falseSuccess, family: "refund", to: fileHere}) // no till makes a refund up
	}
	// A failure whose log has no codes at all is a failed transaction (contract §4), whatever goes on around it.
	codeless := s.POSStatus == string(recon.POSFailed) && !s.Codes
	if s.TxnTime != nil && !codeless && (s.lineMissing() || s.outcome() == recon.StatusMismatch) {
		if w, ok := outageAt(e.outages, seriesKey{s.Acquirer, s.Channel}, *s.TxnTime); ok && s.Type == string(recon.TypeSale) {
			x := shift{channelOutage, "channel", n.rates[channelOutage] + w.probability*max(w.inside-w.outside, 0.05), outageEvidence(s, w, e.rules.Zone), nil}
			if w.probability > outageStated {
				x.incident = e.outageIncident(w)
			}
			raise(x)
		}
		if f, ok := faultAt(e.terminals, terminalKey{s.Acquirer, s.TerminalID}, *s.TxnTime); ok && s.Type == string(recon.TypeSale) {
			raise(shift{network, "terminal", n.rates[network] + f.probability*terminalLoss, terminalEvidence(s, f, e.rules.Zone), e.terminalIncident(s, f)})
		}
	}
	if t, ok := e.twins[s.Key]; ok && s.lineMissing() {
		raise(shift{operatorError, "twin", min(n.rates[operatorError]*twinWeight, 1), Evidence{Family: "twin",
			EN:     fmt.Sprintf("%s %s settled for merchant %s without an order, within %d minutes: the payer may have scanned its code", s.Amount, s.Currency, t.merchant, twinMinutes),
			ZH:     fmt.Sprintf("%d 分钟内有一笔 %s %s 结算到商户 %s 且无对应订单：顾客可能扫错了码", twinMinutes, s.Amount, s.Currency, t.merchant),
			Source: t.source}, nil})
	}
	if k := (payoutDay{s.Acquirer, dateOrZero(s.PayoutDate)}); s.settlementValue() == "settled" && s.reason().sub == "" {
		if many, of, ok := e.payouts[k].shared(s.PayoutStatus); ok {
			raise(shift{payoutLate, "payee", min(n.rates[payoutLate]*sharedWeight, 1), Evidence{Family: "payee",
				EN:     fmt.Sprintf("%d of %d merchants with a payout of %s on %s have one that is %s: that is no single payee's account", many, of, s.Acquirer, k.date, s.PayoutStatus),
				ZH:     fmt.Sprintf("%s %s 划款的 %d 家商户中有 %d 家同为 %s：不是个别收款账户的问题", s.Acquirer, k.date, of, many, s.PayoutStatus),
				Source: "cohort: payouts of the day"}, nil})
		}
	}
	// A file that has not come outranks any story about one merchant (practice §2.7): its orders tell nothing of him.
	// Where he is the only one due in it, a run that began in a file that came tells more than the next one's absence.
	if s.POSStatus == string(recon.POSSuccess) && s.lineMissing() && s.TxnTime != nil && n.rates[fileLate] < 1 && !e.merchantShift(s, n, raise) {
		// A frozen account is silent for all of a merchant's orders or for none: a lone one is hardly ever frozen.
		raise(shift{sub: accountFrozen, family: "merchant", to: n.rates[accountFrozen] * loneFreeze})
	}
}

// fileHere is what is left of the chance that an order's file is late, once it is there: files are short in small ways, too.
const fileHere = 1e-8

// loneFreeze is how much rarer a silent freeze is where the merchant's other orders settle.
const loneFreeze = 0.01

// How much likelier a wrong code is where a twin is found, and a late bank where many payees wait.
const (
	twinWeight   = 500
	sharedWeight = 60
)

// fileShift is a settlement file that has not come, or without the order.
func (e *explainer) fileShift(s *subject, n *inference, raise func(shift)) {
	expected := s.expectedSettleDate(e.cycle(s))
	date, ok := e.register.of(s.Acquirer, expected, recon.DateFromUTC(s.BusinessDate))
	if !ok {
		absent := 1.0
		if r, ok := e.loneRun(s); e.goesOn(s) {
			absent = goingOn
		} else if ok && r.outlasts() {
			absent, _ = r.likely()
		}
		raise(shift{fileLate, "file", absent, Evidence{Family: "file",
			EN: fmt.Sprintf("%s's settlement file of %s has not arrived", s.Acquirer, date),
			ZH: fmt.Sprintf("%s %s 的结算文件未到", s.Acquirer, date), Source: "file register"},
			e.shared(kindFileLate, incident{acquirer: s.Acquirer, on: date})})
		return
	}
	if f := e.short[fileKey{s.Acquirer, date}]; f != nil && s.TxnTime != nil && f.leavesOut(*s.TxnTime, e.rules.Zone) {
		raise(shift{fileLate, "file", f.probability * shortGone, Evidence{Family: "file",
			EN:     fmt.Sprintf("%s's settlement file of %s is short: %d orders of %d merchants, sold from %s on, are not in it", s.Acquirer, date, f.missing, f.merchants, f.since(e.rules.Zone)),
			ZH:     fmt.Sprintf("%s %s 的结算文件不完整：自 %s 起有 %d 笔（%d 家商户）不在文件中", s.Acquirer, date, f.since(e.rules.Zone), f.missing, f.merchants),
			Source: "file register; cohort: settlement file"},
			e.shared(kindFileShort, incident{acquirer: s.Acquirer, on: date})})
		return
	}
	raise(shift{sub: fileLate, family: "file", to: fileHere}) // the file is there, and whole
}

// since is where the cut is, in words.
func (f *shortFile) since(zone *time.Location) string {
	if f.byClock {
		return fmt.Sprintf("%02d:%02d", int(f.clock.Hours()), int(f.clock.Minutes())%60)
	}
	return f.instant.In(zone).Format("2006-01-02 15:04")
}

// delayShift is how likely a straggler still is after so many files.
func (e *explainer) delayShift(s *subject, n *inference, raise func(shift)) {
	date, ok := e.register.of(s.Acquirer, s.expectedSettleDate(e.cycle(s)), recon.DateFromUTC(s.BusinessDate))
	if !ok {
		return
	}
	law := e.late.of(s.Acquirer, s.Channel)
	files := e.register.later(s.Acquirer, date)
	share := law.surviving(files)
	item := Evidence{Family: "age",
		EN: fmt.Sprintf("%d settlement files of %s have come since; of its late lines %s come later than that", files, s.Acquirer, percent(share)),
		ZH: fmt.Sprintf("此后 %s 已有 %d 份结算文件到达；其迟到明细中仍有 %s 更晚才到", s.Acquirer, files, percent(share)), Source: "history of the acquirer's late lines"}
	if files == 0 {
		item.EN = fmt.Sprintf("no line in %s's settlement file of %s, and no later file has come yet", s.Acquirer, date)
		item.ZH = fmt.Sprintf("%s %s 的结算文件中没有本单，之后尚无新文件", s.Acquirer, date)
		item.Family, item.Source = "settlement", "settlement files"
	}
	raise(shift{systemDelay, "age", law.rate * share, item, nil})
}

// batchShift is a batch of which most lines are missing though the file is there.
func (e *explainer) batchShift(s *subject, n *inference, raise func(shift)) {
	if _, ok := e.register.of(s.Acquirer, s.expectedSettleDate(e.cycle(s)), recon.DateFromUTC(s.BusinessDate)); !ok {
		return
	}
	k := s.batch()
	late := e.batches.lateFor(k, s.MerchantID)
	if late.probability > 0.01 {
		// An order behind the cut of a short file is in a batch that looks late: the file is the better story.
		to := n.rates[systemDelay] + late.probability*late.rate
		if short := n.rates[fileLate]; short > 0.5 {
			to = n.rates[systemDelay] + late.probability*late.rate*(1-short)
		}
		name := cmp.Or(late.key.channel, "all channels")
		zh := cmp.Or(late.key.channel, "全部渠道")
		raise(shift{systemDelay, "batch", to, Evidence{Family: "batch",
			EN:     fmt.Sprintf("%d of %d orders of %s %s of %s, of %d merchants, have no line, though the file that should hold this one is there", late.count.missing, late.count.due, s.Acquirer, name, day(s.BusinessDate), late.merchants),
			ZH:     fmt.Sprintf("%s %s %s 账期共 %d 笔到期，%d 笔（%d 家商户）无结算明细，而本单应在的结算文件已到", s.Acquirer, zh, day(s.BusinessDate), late.count.due, late.count.missing, late.merchants),
			Source: "cohort: acquirer × channel × business date"},
			e.shared(kindBatchLate, incident{acquirer: s.Acquirer, channel: late.key.channel, on: k.business})})
	}
}

// merchantShift is a merchant of whom nothing settles any more, or nothing by one channel. Its odds are against everything else
// that could make the line missing. It reports whether there is anything to tell.
func (e *explainer) merchantShift(s *subject, n *inference, raise func(shift)) bool {
	if r, ok := e.loneRun(s); ok && !e.goesOn(s) {
		late, frozen := r.likely()
		if n.rates[fileLate] < late {
			raise(shift{systemDelay, "batch", max(n.rates[systemDelay], late), Evidence{}, nil})
		}
		x := shift{accountFrozen, "merchant", min(frozen/e.rules.weights().values["settlement"]["none"][accountFrozen], 1), r.sentence(e, s.MerchantID), nil}
		if frozen > late {
			x.incident = e.frozenIncident(s.Acquirer, s.MerchantID, "")
		}
		raise(x)
		return true
	}
	t, channel, ok := e.runOf(s)
	if !ok || t.settled == 0 || t.orders < 2 || t.odds < leastFrozenOdds {
		return false
	}
	others := n.rates[fileLate] + n.rates[systemDelay] + n.rates[channelOutage]*0.25 + n.rates[falseSuccess]
	// Of a frozen merchant every line is missing; how many of them are missing silently is in the weights.
	to := min(t.odds*others, t.probability()) / e.rules.weights().values["settlement"]["none"][accountFrozen]
	who, whoZH := "merchant "+s.MerchantID, "商户 "+s.MerchantID
	if channel != "" {
		who, whoZH = who+" by "+channel, whoZH+"（"+channel+"）"
	}
	raise(shift{accountFrozen, "merchant", min(to, 1), Evidence{Family: "merchant",
		EN:     fmt.Sprintf("%s of %d due orders of %s since %s has settled, while %d orders of its peers in the same batches have", t.none(), t.orders+t.exceptions, who, e.local(t.since), t.settled),
		ZH:     fmt.Sprintf("%s自 %s 起 %d 笔到期订单中 %d 笔未结算，同批其他商户 %d 笔已结算", whoZH, e.local(t.since), t.orders+t.exceptions, t.orders, t.settled),
		Source: "cohort: merchant"}, e.frozenIncident(s.Acquirer, s.MerchantID, channel)})
	return true
}

// leastFrozenOdds are the odds below which a run says nothing.
const leastFrozenOdds = 0.01

// loneRun is the run of orders without peers that an order is in.
func (e *explainer) loneRun(s *subject) (*loneRun, bool) {
	if s.TxnTime == nil || !e.batches.alone(s.batch(), s.MerchantID) {
		return nil, false
	}
	return e.lone.of(s.Acquirer, s.MerchantID, *s.TxnTime)
}

// goesOn reports whether an order belongs to the merchant of a run that its peers have already told apart, on a day on which it
// is the only one due: its acquirer may have nothing to send then, on a day off for instance.
func (e *explainer) goesOn(s *subject) bool {
	if s.TxnTime == nil || !e.batches.alone(s.batch(), s.MerchantID) {
		return false
	}
	t, _, ok := e.runOf(s)
	return ok && t.odds > 1/goingOn
}

// runOf is the run that an order is part of, which may have begun on days on which its merchant was the only one due.
func (e *explainer) runOf(s *subject) (t *tail, channel string, ok bool) {
	if t, channel, ok = e.tails.of(s.Acquirer, s.MerchantID, s.Channel, *s.TxnTime); ok {
		return t, channel, true
	}
	k := merchantKey{acquirer: s.Acquirer, merchant: s.MerchantID}
	t, r := e.tails[k], e.lone[k]
	return t, "", r.leadsTo(t) && !s.TxnTime.Before(r.since)
}

// goingOn is how likely a file is late that would hold nothing but a frozen merchant's orders.
const goingOn = 0.05

// percent writes a share as people do.
func percent(share float64) string {
	switch {
	case share >= 0.1:
		return fmt.Sprintf("%.0f %%", 100*share)
	case share >= 0.01:
		return fmt.Sprintf("%.1f %%", 100*share)
	}
	return fmt.Sprintf("%.2f %%", 100*share)
}

func dateOrZero(t *time.Time) recon.Date {
	if t == nil {
		return recon.Date{}
	}
	return recon.DateFromUTC(*t)
}

// caused explains an order that carries a cause.
func (e *explainer) caused(s *subject) Explanation {
	n := e.infer(s)
	sub := recon.SubCauses[n.sub]
	x := Explanation{SubCause: sub, Confidence: n.confidence, RunnerUp: recon.SubCauses[n.runnerUp], RunnerUpConfidence: n.otherwise,
		Features: n.featureText(), Rates: n.rateText(), Action: e.action(s, n)}
	items := n.items(e, s)
	slices.SortStableFunc(items, func(a, b Evidence) int { return cmp.Compare(abs(b.Decibans), abs(a.Decibans)) })
	for _, item := range items {
		switch {
		case item.EN == "":
		case item.Decibans >= leastSentence || item.Decibans >= 0 && len(x.Evidence) == 0:
			x.Evidence = append(x.Evidence, item)
		case item.Decibans <= -leastCounter && !(item.Family == "settlement" && n.features[0].value == "none"):
			// That there is no line is what is to be explained, and speaks against nothing.
			x.Counter = append(x.Counter, item)
		}
	}
	x.Evidence = x.Evidence[:min(len(x.Evidence), maxSentences)]
	x.Evidence = append(x.Evidence, e.straggler(s, sub)...)
	// That it is not in the file is the fact which is explained: it comes first where nothing else says so.
	if absent := e.settlementSentence(s, "none"); s.lineMissing() && absent.EN != "" && !s.nothingOwed() &&
		!slices.ContainsFunc(x.Evidence, func(ev Evidence) bool { return ev.Family == "settlement" || ev.Family == "file" || ev.Family == "age" }) {
		x.Evidence = slices.Insert(x.Evidence, 0, absent)
	}
	x.Counter = x.Counter[:min(len(x.Counter), maxCounter)]
	if n.otherwise >= 0.05 {
		x.Counter = append(x.Counter, Evidence{Family: "runner-up",
			EN: fmt.Sprintf("the next likeliest cause is %s, at %.0f %%", strings.ReplaceAll(string(x.RunnerUp), "_", " "), 100*n.otherwise),
			ZH: fmt.Sprintf("其次可能是%s（%.0f%%）", chineseSub[x.RunnerUp], 100*n.otherwise), Source: "weights"})
	}
	for _, shift := range n.shifts {
		if shift.sub == n.sub && shift.incident != nil && shift.to > 3*n.base[shift.sub] {
			x.Incident = shift.incident
		}
	}
	if x.Incident == nil {
		x.Incident = e.reasonIncident(s, sub)
	}
	if s.outcome() == recon.StatusMismatch && x.Incident == nil {
		if w, ok := e.outageOf(s); ok && w.probability > outageStated { // what the outage left behind
			x.Incident = e.outageIncident(w)
		}
	}
	return x
}

// straggler tells how the rest of an order's batch fared: it weighs nothing between a late line and a lost one, and is what
// a person asks first.
func (e *explainer) straggler(s *subject, sub recon.SubCause) []Evidence {
	b := e.batches[s.batch()]
	if b == nil || sub != recon.SystemDelay && sub != recon.FalseSuccess || !s.lineMissing() || b.rate() >= lateBatchRate {
		return nil
	}
	return []Evidence{said("batch",
		fmt.Sprintf("%d of %d orders of its batch have settled", b.due-b.missing, b.due),
		fmt.Sprintf("同批 %d 笔中 %d 笔已结算", b.due, b.due-b.missing), "cohort: acquirer × channel × business date")}
}

// How many sentences a person reads; all evidence is kept beside them.
const (
	maxSentences  = 3
	leastSentence = 2 // decibans
	maxCounter    = 2
	leastCounter  = 3 // decibans, two to one
)

func abs(n int) int { return max(n, -n) }

// featureText is the evidence about the order itself, as it is stored: with the weights of the version a person can do the
// arithmetic again.
func (n *inference) featureText() string {
	list := make([]string, len(n.features))
	for i, f := range n.features {
		list[i] = strings.ReplaceAll(f.String(), " ", "~")
	}
	return strings.Join(list, " ")
}

// rateText is what cohorts made of the rates, family:sub_cause=rate, after the habits of the log where a feature is weighed by them.
func (n *inference) rateText() string {
	var list []string
	if n.habit != nil && slices.ContainsFunc(n.features, ofHabit) {
		list = append(list, "habit:silent="+number(n.habit.silent), "habit:lacks="+number(n.habit.lacks))
	}
	for _, x := range n.shifts {
		list = append(list, fmt.Sprintf("%s:%s=%s", x.family, recon.SubCauses[x.sub], number(x.to)))
	}
	return strings.Join(list, " ")
}

// items are all pieces of evidence with what they weigh for the sub-cause that is stated against the runner-up.
func (n *inference) items(e *explainer, s *subject) []Evidence {
	w := e.rules.weights()
	var list []Evidence
	for _, f := range n.features {
		item := e.sentence(s, f)
		if p := n.weigh(w, f); p != nil {
			item.Decibans = decibans(p[n.sub], p[n.runnerUp])
		}
		list = append(list, item)
	}
	at := n.base
	for _, x := range n.shifts {
		item := x.item
		switch x.sub {
		case n.sub:
			item.Decibans = decibans(x.to, at[x.sub])
		case n.runnerUp:
			item.Decibans = -decibans(x.to, at[x.sub])
		default:
			item.EN = ""
		}
		at[x.sub] = x.to
		list = append(list, item)
	}
	return list
}

// sentence puts a feature into words.
func (e *explainer) sentence(s *subject, f feature) Evidence {
	switch f.family {
	case "settlement":
		return e.settlementSentence(s, f.value)
	case "payout":
		return Evidence{Family: f.family, EN: fmt.Sprintf("payout %s is %s%s", s.payout(), s.PayoutStatus, inBrackets(s.PayoutCode, s.PayoutReason)),
			ZH: fmt.Sprintf("划款 %s 状态 %s%s", s.payout(), s.PayoutStatus, inBrackets(s.PayoutCode, s.PayoutReason)), Source: s.PayoutSource}
	case "reason":
		return e.reasonSentence(s, f.value)
	case "status":
		return Evidence{Family: f.family, EN: "the POS has it as " + e.posState(s), ZH: "POS 状态 " + e.posState(s), Source: s.POSSource}
	case "code":
		return e.codeSentence(s)
	case "callback":
		if f.value == "heard" {
			return Evidence{Family: f.family, EN: "the channel's notice of payment reached the POS", ZH: "POS 已收到渠道的支付结果通知", Source: s.POSSource}
		}
		return Evidence{Family: f.family, EN: "no callback reached the POS", ZH: "POS 未收到支付结果通知", Source: s.POSSource}
	case "channel_txn":
		if f.value == "has" {
			return Evidence{Family: f.family, EN: "the channel gave it a transaction id", ZH: "有渠道交易号", Source: s.POSSource}
		}
		return Evidence{Family: f.family, EN: "no channel transaction id, as other orders of the log have: the request may not have reached the channel",
			ZH: "没有渠道交易号，而日志中其他订单都有：请求可能未到达渠道", Source: s.POSSource}
	}
	return Evidence{}
}

func (e *explainer) codeSentence(s *subject) Evidence {
	code := s.code()
	if s.ResponseCode == "" {
		return Evidence{Family: "code", EN: "the POS recorded no response code", ZH: "POS 没有记录应答码", Source: s.POSSource}
	}
	source := s.POSSource
	if code.class != "" && code.class != codes.Other {
		source += ", code " + s.ResponseCode
	}
	return Evidence{Family: "code", EN: "the response code is" + inBrackets(s.ResponseCode, cmp.Or(s.ResponseMessage, code.en)),
		ZH: "应答码" + inBrackets(s.ResponseCode, cmp.Or(code.zh, s.ResponseMessage)), Source: source}
}

func (e *explainer) settlementSentence(s *subject, value string) Evidence {
	item := Evidence{Family: "settlement", Source: s.SettleSource}
	switch value {
	case "other_amount":
		settled := cmp.Or(strings.TrimPrefix(s.SettledAmount, "-"), "another currency")
		item.EN = fmt.Sprintf("the POS recorded %s %s, the acquirer settled %s", s.Amount, s.Currency, settled)
		item.ZH = fmt.Sprintf("POS 记录 %s %s，渠道结算 %s", s.Amount, s.Currency, strings.Replace(settled, "another currency", "其他币种", 1))
	case "other_status":
		item.EN = fmt.Sprintf("the acquirer settled it, the POS has it as %s", e.posState(s))
		item.ZH = fmt.Sprintf("渠道已结算，POS 状态为 %s", e.posState(s))
	case "settled":
		item.EN, item.ZH = "the acquirer settled the order itself", "该笔交易渠道已结算"
	case "none":
		if s.DueDate == nil || s.nothingOwed() {
			item.EN, item.ZH, item.Source = "no settlement line tells of it", "没有结算明细", "settlement files"
			break
		}
		date, ok := e.register.of(s.Acquirer, s.expectedSettleDate(e.cycle(s)), recon.DateFromUTC(s.BusinessDate))
		if !ok {
			return Evidence{Family: "settlement"}
		}
		item.EN, item.ZH, item.Source = fmt.Sprintf("no line in %s's settlement file of %s", s.Acquirer, date),
			fmt.Sprintf("%s %s 的结算文件中没有本单", s.Acquirer, date), "settlement files"
	default:
		item.EN = fmt.Sprintf("the settlement line is %s%s", s.SettleStatus, inBrackets(s.ReasonCode, s.Reason))
		item.ZH = fmt.Sprintf("结算明细状态 %s%s", s.SettleStatus, inBrackets(s.ReasonCode, s.Reason))
	}
	return item
}

func (e *explainer) reasonSentence(s *subject, value string) Evidence {
	source, code := s.SettleSource, s.ReasonCode
	if s.SettleStatus == string(recon.SettleSettled) {
		source, code = s.PayoutSource, s.PayoutCode
	}
	switch value {
	case "none":
		return Evidence{Family: "reason"}
	case "unknown":
		return Evidence{Family: "reason", EN: "its reason is one that nobody knows yet", ZH: "原因未知", Source: source}
	}
	sub := s.reason().sub
	if code != "" {
		source += ", code " + code
	}
	return Evidence{Family: "reason", EN: fmt.Sprintf("its reason speaks of %s", strings.ReplaceAll(string(sub), "_", " ")), ZH: "其原因属于" + chineseSub[sub], Source: source}
}

// chineseSub are the sub-causes as a clerk reads them.
var chineseSub = map[recon.SubCause]string{
	recon.FileLate: "结算文件未到或不全", recon.SystemDelay: "系统延迟", recon.PayoutLate: "出款延迟",
	recon.ChannelOutage: "渠道中断", recon.CallbackLost: "回调丢失", recon.Network: "终端网络故障", recon.FalseSuccess: "虚假成功",
	recon.AccountFrozen: "账户冻结", recon.AccountAbnormal: "收款账户异常", recon.InsufficientBalance: "余额不足暂扣",
	recon.PayerFunds: "付款方余额不足", recon.Declined: "交易被拒", recon.Closed: "交易关闭", recon.OperatorError: "操作错误",
}

// mark is what an order means to the searches for outages and faults, and whether it means anything.
func (e *explainer) mark(s *subject, n *inference) (mark, bool) {
	codeless := s.POSStatus == string(recon.POSFailed) && !s.Codes
	if s.TxnTime == nil || codeless || s.Type != string(recon.TypeSale) || !s.lineMissing() && s.outcome() != recon.StatusMismatch {
		return mark{}, false
	}
	w := e.rules.weights()
	m := mark{key: s.Key, at: *s.TxnTime, series: seriesKey{s.Acquirer, s.Channel}, merchant: s.MerchantID, terminal: s.TerminalID}
	quiet := 0.0
	for j := range n.rates {
		if j != channelOutage {
			quiet += n.rates[j] * n.likelihood[j]
		}
	}
	m.quiet = quiet
	m.out = n.likelihood[channelOutage]
	if s.outcome() == recon.StatusMismatch {
		// In an outage the channel took it and could not say so; what it is called then does not matter here.
		all := w.likelihoodOf(s.allFeatures()[1:], n.habit)
		m.out = 0.3 * all[channelOutage]
		m.quiet = n.rates[callbackLost] * all[callbackLost]
	}
	if (!s.ChannelTxns || !s.HasChannelTxn) && s.noResult() {
		m.unheard = n.likelihood[network]
	}
	return m, m.isMark() || m.faultRatio() >= outageLeast
}

// outageOf returns the outage that an order is in the window of.
func (e *explainer) outageOf(s *subject) (*window, bool) {
	if s.TxnTime == nil || s.Type != string(recon.TypeSale) {
		return nil, false
	}
	return outageAt(e.outages, seriesKey{s.Acquirer, s.Channel}, *s.TxnTime)
}

func outageEvidence(s *subject, w *window, zone *time.Location) Evidence {
	from, to := w.from.In(zone).Format("2006-01-02 15:04"), w.to.In(zone).Format("15:04")
	acquirer, acquirerZH := cmp.Or(w.scope.acquirer, "all acquirers"), cmp.Or(w.scope.acquirer, "各收单机构")
	channel, channelZH := cmp.Or(w.scope.channel, "all channels"), cmp.Or(w.scope.channel, "全部渠道")
	return Evidence{Family: "channel",
		EN:     fmt.Sprintf("%d of %d payments by %s at %s failed or went unanswered between %s and %s, of %d merchants; elsewhere %s", w.bad, w.total, channel, acquirer, from, to, w.merchants, percent(w.outside)),
		ZH:     fmt.Sprintf("%s %s 在 %s 至 %s 间 %d 笔中 %d 笔失败或无结果，涉及 %d 家商户；其余时段 %s", acquirerZH, channelZH, from, to, w.total, w.bad, w.merchants, percent(w.outside)),
		Source: "cohort: channel × window"}
}

func terminalEvidence(s *subject, f *fault, zone *time.Location) Evidence {
	from, to := f.from.In(zone).Format("2006-01-02 15:04"), f.to.In(zone).Format("15:04")
	return Evidence{Family: "terminal",
		EN:     fmt.Sprintf("%d of %d payments at terminal %s over %d channels never reached a channel between %s and %s", f.orders, f.total, s.TerminalID, f.channels, from, to),
		ZH:     fmt.Sprintf("终端 %s 在 %s 至 %s 间 %d 笔中 %d 笔（%d 个渠道）未到达渠道", s.TerminalID, from, to, f.total, f.orders, f.channels),
		Source: "cohort: terminal"}
}

// shared returns the incident of a kind and scope, one for all its orders.
func (e *explainer) shared(kind string, n incident) *incident {
	made := newIncident(kind, n)
	made.probability = 1
	return e.one(made.name(), made)
}

// one returns the one incident of a name: made, where there was none. It is asked for by several goroutines, which make the same of it.
func (e *explainer) one(name string, made *incident) *incident {
	e.making.Lock()
	defer e.making.Unlock()
	if known := e.incidents[name]; known != nil {
		return known
	}
	e.incidents[name] = made
	return made
}

func (e *explainer) outageIncident(w *window) *incident {
	made := newIncident(kindOutage, incident{acquirer: w.scope.acquirer, channel: w.scope.channel})
	made.begin(w.from, w.first)
	made.to = w.to
	made.probability, made.inside, made.outside, made.compared = w.probability, w.inside, w.outside, true
	return e.one(made.name()+w.from.UTC().Format(time.RFC3339), made)
}

func (e *explainer) terminalIncident(s *subject, f *fault) *incident {
	made := newIncident(kindTerminal, incident{acquirer: s.Acquirer, merchant: s.MerchantID, terminal: s.TerminalID})
	made.begin(f.from, f.first)
	made.to = f.to
	made.probability, made.inside, made.compared = f.probability, float64(f.orders)/float64(max(f.total, 1)), true
	return e.one(made.name()+f.from.UTC().Format(time.RFC3339), made)
}

// frozenIncident groups what one frozen merchant, or one channel of it, explains.
func (e *explainer) frozenIncident(acquirer, merchant, channel string) *incident {
	return e.shared(kindFrozen, incident{acquirer: acquirer, merchant: merchant, channel: channel})
}

// reasonIncident groups the orders that one account or one late payout explains by its own word.
func (e *explainer) reasonIncident(s *subject, sub recon.SubCause) *incident {
	switch {
	case s.settlementValue() == "none" && sub != recon.AccountFrozen:
	case sub == recon.PayoutLate:
		return e.shared(kindPayoutLate, incident{acquirer: s.Acquirer, payoutSays: cmp.Or(s.PayoutCode, s.PayoutStatus)})
	case sub == recon.AccountFrozen || s.settlementValue() == "settled" && sub.Cause() == recon.FrozenAccount:
		return e.shared(kindHeld, incident{acquirer: s.Acquirer, merchant: s.MerchantID, reason: strings.TrimSpace(s.ReasonCode + s.PayoutCode)})
	}
	return nil
}

// certainNumbers keeps infinities and what is not a number out of the database.
func certainNumbers(p float64) float64 {
	if math.IsNaN(p) {
		return 0
	}
	return min(max(p, 0), 1)
}
