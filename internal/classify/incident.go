package classify

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

// The kinds of incidents: what many orders share.
const (
	kindFileLate   = "file-late"
	kindFileShort  = "file-short"
	kindBatchLate  = "batch-late"
	kindPayoutLate = "payout-late"
	kindOutage     = "outage"
	kindTerminal   = "terminal-network"
	kindFrozen     = "frozen-account"
	kindHeld       = "money-held"
)

// incident is one fault that explains many orders.
type incident struct {
	id, kind    string
	scope       string // key=value pairs
	acquirer    string // "" for all
	channel     string
	merchant    string
	terminal    string
	payoutSays  string     // the reason that late payouts share
	reason      string     // the code of what is held
	on          recon.Date // the settle or business date that it is of, zero for none
	from, to    time.Time
	first       [16]byte
	firstAt     time.Time
	orders      int64
	peak        int64 // of earlier runs
	merchants   map[string]bool
	amounts     map[string]decimal.Decimal // yuan at stake by currency
	probability float64
	inside      float64 // share of orders that failed or are missing, in it and outside it without its own merchant
	outside     float64
	compared    bool // the shares are known
}

// newIncident derives everything that names an incident from what it is.
func newIncident(kind string, n incident) *incident {
	n.kind = kind
	var parts []string
	add := func(key, value string) {
		if value != "" {
			parts = append(parts, key+"="+value)
		}
	}
	add("acquirer", cmp.Or(n.acquirer, "*"))
	add("channel", n.channel)
	add("merchant", n.merchant)
	add("terminal", n.terminal)
	add("payout_reason", n.payoutSays)
	add("reason", n.reason)
	if !n.on.IsZero() {
		add("date", n.on.String())
	}
	n.scope = strings.Join(parts, " ")
	n.merchants, n.amounts = map[string]bool{}, map[string]decimal.Decimal{}
	return &n
}

// name tells an incident from all others of its run, but for those of one scope that begin at different times: its scope could be another's,
// where an id has a blank in it.
func (n *incident) name() string {
	return strings.Join([]string{n.kind, n.acquirer, n.channel, n.merchant, n.terminal, n.payoutSays, n.reason, n.on.String(), ""}, "\x00")
}

// maxIncidentMerchants bounds the merchants that one incident remembers by name, to count them.
const maxIncidentMerchants = 100_000

// add counts an order as part of an incident.
func (n *incident) add(s *subject) error {
	at := s.at()
	if n.orders == 0 || at.Before(n.from) {
		n.from = at
	}
	if at.After(n.to) {
		n.to = at
	}
	n.count(1, s.MerchantID)
	return n.addAmount(s.Amount, s.Currency)
}

// count counts orders of a merchant.
func (n *incident) count(orders int64, merchant string) {
	n.orders += orders
	if len(n.merchants) < maxIncidentMerchants {
		n.merchants[merchant] = true
	}
}

// addAmount adds money at stake.
func (n *incident) addAmount(text, currency string) error {
	amount, err := decimal.NewFromString(text)
	if err != nil {
		return fmt.Errorf("amount %q: %w", text, err)
	}
	n.amounts[currency] = n.amounts[currency].Add(amount.Abs())
	return nil
}

// begin takes an order that may be the first of an incident.
func (n *incident) begin(at time.Time, key [16]byte) {
	if n.firstAt.IsZero() || at.Before(n.firstAt) || at.Equal(n.firstAt) && slices.Compare(key[:], n.first[:]) < 0 {
		n.first, n.firstAt, n.from, n.to = key, at, at, at
	}
}

// incidentID derives an incident's id from its kind, its scope and its first order, never from a sequence or a clock.
func incidentID(kind, scope string, first [16]byte) string {
	key := recon.NewOrderKey(kind, scope, "", hex.EncodeToString(first[:]), "", zero)
	return fmt.Sprintf("%s-%s", strings.ToUpper(kind[:1]), hex.EncodeToString(key[:6]))
}

// known is an incident as the last run of an earlier night left it.
type known struct {
	id, kind, scope    string
	acquirer, channel  string
	merchant, terminal string
	from, to           time.Time
	peak               int64
	probability        float64
	inside, outside    *float64
	live               bool // an incident of this run continues it
}

// readIncidents reads the incidents of earlier nights. What runs of this night have said before counts for nothing: the files
// of a night may come in any order.
func readIncidents(ctx context.Context, tx pgx.Tx, asOf time.Time) ([]*known, error) {
	rows, err := tx.Query(ctx, `
		WITH last AS (
		    SELECT DISTINCT ON (incident_id) *
		      FROM incident
		     WHERE as_of < $1
		     ORDER BY incident_id, as_of DESC
		)
		SELECT incident_id, kind, scope, acquirer, channel, merchant_id, terminal_id, started_at, ended_at, peak_orders,
		       probability::float8, rate_inside::float8, rate_outside::float8
		  FROM last
		 ORDER BY started_at, incident_id`, asOf)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (*known, error) {
		var k known
		err := row.Scan(&k.id, &k.kind, &k.scope, &k.acquirer, &k.channel, &k.merchant, &k.terminal, &k.from, &k.to, &k.peak,
			&k.probability, &k.inside, &k.outside)
		return &k, err
	})
}

// again returns an earlier incident of which no order is explained in this run: those that it still explains are explained for good.
func (k *known) again() *incident {
	n := newIncident(k.kind, incident{id: k.id, acquirer: k.acquirer, channel: k.channel, merchant: k.merchant, terminal: k.terminal,
		peak: k.peak, probability: k.probability})
	// The date is the last of a scope's parts, where it has one.
	if at := strings.LastIndex(k.scope, " date="); at >= 0 {
		if on, err := time.Parse(time.DateOnly, k.scope[at+len(" date="):]); err == nil {
			n.on = recon.DateFromUTC(on)
		}
	}
	n.scope = k.scope
	if k.inside != nil && k.outside != nil {
		n.inside, n.outside, n.compared = *k.inside, *k.outside, true
	}
	return n
}

// addFinal counts, as part of the incidents that they belong to, the orders whose explanations are final.
func (e *explainer) addFinal(ctx context.Context, tx pgx.Tx) error {
	byID := map[string]*incident{}
	for _, n := range e.incidents {
		if n.orders > 0 {
			byID[n.id] = n
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT x.incident_id, v.merchant_id, v.currency, count(*), sum(abs(v.pos_amount))::text, min(v.txn_time), max(v.txn_time)
		  FROM explanation AS x
		  JOIN verdict AS v USING (order_key, episode)
		 WHERE x.incident_id IS NOT NULL
		   AND `+final+`
		 GROUP BY x.incident_id, v.merchant_id, v.currency
		 ORDER BY x.incident_id, v.merchant_id, v.currency`)
	if err != nil {
		return err
	}
	var (
		id, merchant, currency, amount string
		orders                         int64
		from, to                       time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &merchant, &currency, &orders, &amount, &from, &to}, func() error {
		n := byID[id]
		if n == nil {
			at := slices.IndexFunc(e.earlier, func(k *known) bool { return k.id == id })
			if at < 0 {
				return fmt.Errorf("%d orders are explained by incident %s, which no earlier run has told of: 'posrecon reconcile' explains them anew", orders, id)
			}
			n = e.earlier[at].again()
			byID[id] = n
			e.incidents[id] = n // found ones are kept by their names, which no id looks like
		}
		if n.orders == 0 || from.Before(n.from) {
			n.from = from
		}
		if to.After(n.to) {
			n.to = to
		}
		n.count(orders, merchant)
		return n.addAmount(amount, currency)
	})
	return err
}

// sameAfter is how long after an incident's last order one of the same kind and scope is still the same: a long weekend.
const sameAfter = 4 * 24 * time.Hour

// continues returns the earlier incident that n is the continuation of: one of the same kind and scope whose span n's meets.
// Evidence that grows, an order that is explained otherwise after all, a log that comes late: none of it makes another
// incident. An outage's scope may grow or narrow, too.
func (n *incident) continues(earlier []*known) *known {
	for _, k := range earlier {
		if k.live || k.kind != n.kind || k.scope != n.scope && n.kind != kindOutage {
			continue
		}
		if k.scope != n.scope && !(seriesKey{k.acquirer, k.channel}).meets(seriesKey{n.acquirer, n.channel}) {
			continue
		}
		near := sameAfter
		if n.kind == kindOutage || n.kind == kindTerminal {
			near = time.Hour // two outages of a day are two
		}
		if !n.from.After(k.to.Add(near)) && !n.to.Before(k.from.Add(-near)) {
			return k
		}
	}
	return nil
}

// idOf returns an incident's id: that of the earlier incident that it continues, else a new one.
func (e *explainer) idOf(n *incident, s *subject) string {
	if n.id == "" {
		if n.firstAt.IsZero() {
			n.begin(s.at(), s.Key) // what later steps found; subjects come in the order of their keys
		}
		n.id = incidentID(n.kind, n.scope, n.first)
		k := n.continues(e.earlier)
		for _, same := range e.earlier {
			if same.id == n.id && !same.live {
				k = same
			}
		}
		if k != nil {
			n.id, n.peak, k.live = k.id, k.peak, true
		}
		for e.named[n.id] {
			// An outage that was one and is two now: the other half has the name.
			n.id = incidentID(n.kind, n.scope+" beside "+n.id, n.first)
		}
		e.named[n.id] = true
	}
	return n.id
}

// storeIncidents writes the incidents that this run's explanations belong to, as this night's.
func (e *explainer) storeIncidents(ctx context.Context, tx pgx.Tx) error {
	var live []*incident
	for _, n := range e.incidents {
		if n.orders > 0 {
			live = append(live, n)
		}
	}
	slices.SortFunc(live, func(a, b *incident) int { return cmp.Compare(a.id, b.id) })
	if _, err := tx.Exec(ctx, `
		DELETE FROM incident
		 WHERE as_of >= $1`, e.rules.AsOf); err != nil {
		return err
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"incident"},
		[]string{"incident_id", "as_of", "kind", "scope", "acquirer", "channel", "merchant_id", "terminal_id", "started_at", "ended_at",
			"orders", "peak_orders", "merchants", "amounts", "probability", "rate_inside", "rate_outside", "status", "summary_en", "summary_zh"},
		pgx.CopyFromSlice(len(live), func(i int) ([]any, error) { return live[i].row(e.rules.AsOf, e.rules.Zone) }))
	return err
}

// row returns the row of table incident.
func (n *incident) row(asOf time.Time, zone *time.Location) ([]any, error) {
	amounts, err := json.Marshal(n.amounts)
	if err != nil {
		return nil, err
	}
	status := "open"
	if n.orders < n.peak {
		status = "recovering"
	}
	var inside, outside any
	if n.compared {
		inside, outside = decimal.NewFromFloat(n.inside).Round(4), decimal.NewFromFloat(n.outside).Round(4)
	}
	en, zh := n.summary(zone)
	return []any{n.id, asOf, n.kind, n.scope, n.acquirer, n.channel, n.merchant, n.terminal, n.from, n.to, n.orders, max(n.peak, n.orders),
		int64(len(n.merchants)), amounts, decimal.NewFromFloat(certainNumbers(n.probability)).Round(3), inside, outside, status, en, zh}, nil
}

// summary is what can be sent to the acquirer as it is.
func (n *incident) summary(zone *time.Location) (en, zh string) {
	from, to := n.from.In(zone).Format("2006-01-02 15:04"), n.to.In(zone).Format("2006-01-02 15:04")
	money := make([]string, 0, len(n.amounts))
	for _, currency := range slices.Sorted(maps.Keys(n.amounts)) {
		money = append(money, n.amounts[currency].StringFixed(2)+" "+currency)
	}
	sum := strings.Join(money, ", ")
	where, whereZH := cmp.Or(n.acquirer, "all acquirers"), cmp.Or(n.acquirer, "各收单机构")
	channel, channelZH := cmp.Or(n.channel, "all channels"), cmp.Or(n.channel, "全部渠道")
	count := fmt.Sprintf("%s of %s, %s", plural(n.orders, "order"), plural(int64(len(n.merchants)), "merchant"), sum)
	countZH := fmt.Sprintf("涉及 %d 家商户 %d 笔订单，金额 %s", len(n.merchants), n.orders, sum)
	switch n.kind {
	case kindFileLate:
		return fmt.Sprintf("The settlement file of %s for %s has not arrived: %s.", where, n.on, count),
			fmt.Sprintf("%s %s 的结算文件未到：%s。", whereZH, n.on, countZH)
	case kindFileShort:
		return fmt.Sprintf("The settlement file of %s for %s is short: %s are not in it, sold from %s to %s.", where, n.on, count, from, to),
			fmt.Sprintf("%s %s 的结算文件不完整：%s 未在文件中（交易时间 %s 至 %s）。", whereZH, n.on, countZH, from, to)
	case kindBatchLate:
		return fmt.Sprintf("%s of %s, business date %s, has not been settled although the file is there: %s.", channel, where, n.on, count),
			fmt.Sprintf("%s %s 账期 %s 整批未结算，而结算文件已到：%s。", whereZH, channelZH, n.on, countZH)
	case kindPayoutLate:
		return fmt.Sprintf("Payouts of %s are late (%s): %s.", where, n.payoutSays, count),
			fmt.Sprintf("%s 出款延迟（%s）：%s。", whereZH, n.payoutSays, countZH)
	case kindOutage:
		return fmt.Sprintf("%s at %s failed between %s and %s: %s. In it %s of the payments failed, elsewhere %s.", channel, where, from, to, count, percent(n.inside), percent(n.outside)),
			fmt.Sprintf("%s %s 在 %s 至 %s 间异常：%s。期间失败率 %s，其余时段 %s。", whereZH, channelZH, from, to, countZH, percent(n.inside), percent(n.outside))
	case kindTerminal:
		return fmt.Sprintf("Terminal %s of merchant %s had no network between %s and %s: %s.", n.terminal, n.merchant, from, to, count),
			fmt.Sprintf("商户 %s 终端 %s 在 %s 至 %s 间无网络：%s。", n.merchant, n.terminal, from, to, countZH)
	}
	if n.kind == kindHeld {
		return fmt.Sprintf("Money of merchant %s at %s is held or came back%s: %s.", n.merchant, where, inBrackets(n.reason, ""), count),
			fmt.Sprintf("商户 %s（%s）资金被暂缓或退回%s：%s。", n.merchant, whereZH, inBrackets(n.reason, ""), countZH)
	}
	by, byZH := "", ""
	if n.channel != "" {
		by, byZH = " by "+n.channel, " "+n.channel
	}
	return fmt.Sprintf("What merchant %s at %s sold%s from %s to %s has not been settled, while its peers' orders have: %s.", n.merchant, where, by, from, to, count),
		fmt.Sprintf("商户 %s（%s%s）自 %s 起交易未结算，而同批其他商户已结算：%s。", n.merchant, whereZH, byZH, from, countZH)
}

func plural(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
