package match

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/recon"
)

// FeeDifference is a day of a merchant's settled lines whose fees are not those of its contract. It is no missing amount: due,
// arrived and owed are gross.
type FeeDifference struct {
	Acquirer   string       `json:"acquirer"`
	MerchantID string       `json:"merchant_id"`
	SettleDate string       `json:"settle_date"`
	Currency   string       `json:"currency"`
	Rate       string       `json:"rate"`
	Lines      int64        `json:"lines"`     // settled lines with a fee
	Differing  int64        `json:"differing"` // of which so many differ, where each is rounded
	Amount     recon.Amount `json:"amount"`    // the signed sum of what the rate is of
	Fee        recon.Amount `json:"fee"`       // as the acquirer took it
	Contracted recon.Amount `json:"contracted"`
	Difference recon.Amount `json:"fee_difference"` // fee − contracted
}

// FeeDifferences compares the fees on settled lines with the rates that are configured, per acquirer, merchant, settle date
// and currency: rounded half up to the fen per line, or over the day's sum where the contract says so. Refunds count
// negative. A rate is of what is settled before the fee: net and fee where a line has both, since coupons that the merchant
// bears lower it below the amount, else the amount. A fact counts once, however often it was sent. With onlyNew only facts
// that no run has decided are looked at. Acquirers without a rate are left out. It reads what stands of keys with several
// rows, so it must follow Decide.
func FeeDifferences(ctx context.Context, tx pgx.Tx, rules Rules, onlyNew bool) ([]FeeDifference, error) {
	list := []FeeDifference{}
	ids := make([]string, 0, len(rules.Acquirers))
	for id := range rules.Acquirers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		acq := rules.Acquirers[id]
		if !acq.FeeRate.Valid && len(acq.MerchantFeeRates) == 0 {
			continue
		}
		merchants := make([]string, 0, len(acq.MerchantFeeRates))
		for m := range acq.MerchantFeeRates {
			merchants = append(merchants, m)
		}
		slices.Sort(merchants)
		rates := make([]string, len(merchants))
		for i, m := range merchants {
			rates[i] = acq.MerchantFeeRates[m].String()
		}
		rows, err := tx.Query(ctx, `
			WITH contract AS (
			    SELECT merchant_id, rate
			      FROM unnest($2::text[], $3::numeric[]) AS c (merchant_id, rate)
			), standing AS (
			    -- A key with one row stands by itself.
			    SELECT r.merchant_id, r.settle_date, r.currency, r.type, r.amount, r.fee, r.net_amount
			      FROM settlement_row AS r
			      JOIN file AS f ON f.file_id = r.file_id AND f.state = 'loaded' AND f.replaced_by IS NULL
			     WHERE r.acquirer = $1
			       AND r.status = 'SETTLED'
			       AND (NOT $5 OR NOT f.decided)
			       AND (NOT $6 OR r.settle_date > `+wholeSince+`)
			       AND NOT EXISTS (SELECT FROM settlement_merged AS m WHERE m.order_key = r.order_key)
			     UNION ALL
			    SELECT r.merchant_id, r.settle_date, s.currency, s.type, s.amount, s.fee, s.net_amount
			      FROM standing_line AS s
			      JOIN settlement_row AS r ON (r.file_id, r.line, r.order_key) = (s.file_id, s.line, s.order_key)
			      JOIN file AS f ON f.file_id = s.file_id
			     WHERE s.acquirer = $1
			       AND s.status = 'SETTLED'
			       AND (NOT $5 OR NOT f.decided)
			       AND (NOT $6 OR r.settle_date > `+wholeSince+`)
			), line AS (
			    SELECT s.merchant_id, s.settle_date, s.currency,
			           CASE s.type WHEN 'REFUND' THEN -1 ELSE 1 END AS sign,
			           COALESCE(s.net_amount + s.fee, s.amount) AS amount,
			           s.fee, COALESCE(c.rate, $4::numeric) AS rate
			      FROM standing AS s
			      LEFT JOIN contract AS c ON c.merchant_id = s.merchant_id
			     WHERE s.fee IS NOT NULL
			), day AS (
			    SELECT merchant_id, settle_date, currency, rate, count(*) AS lines,
			           count(*) FILTER (WHERE fee <> round(amount * rate, 2)) AS differing,
			           sum(sign * amount) AS amount,
			           sum(sign * fee) AS fee,
			           CASE WHEN $6 THEN round(sum(sign * amount) * rate, 2)
			                ELSE sum(sign * round(amount * rate, 2))
			           END AS contracted
			      FROM line
			     WHERE rate IS NOT NULL
			     GROUP BY merchant_id, settle_date, currency, rate
			)
			SELECT merchant_id, settle_date, currency, rate::text, lines, differing, amount, fee, contracted, fee - contracted
			  FROM day
			 WHERE fee <> contracted
			    OR NOT $6 AND differing > 0
			 ORDER BY settle_date, merchant_id, currency, rate`,
			id, merchants, rates, acq.FeeRate, onlyNew, acq.FeePerBatch)
		if err != nil {
			return nil, fmt.Errorf("compare fees: %w", err)
		}
		d := FeeDifference{Acquirer: id}
		var date time.Time
		if _, err := pgx.ForEachRow(rows, []any{&d.MerchantID, &date, &d.Currency, &d.Rate, &d.Lines, &d.Differing, &d.Amount.Decimal,
			&d.Fee.Decimal, &d.Contracted.Decimal, &d.Difference.Decimal}, func() error {
			one := d
			one.SettleDate = recon.DateFromUTC(date).String()
			list = append(list, one)
			return nil
		}); err != nil {
			return nil, fmt.Errorf("compare fees: %w", err)
		}
	}
	slices.SortStableFunc(list, func(a, b FeeDifference) int {
		return cmp.Or(cmp.Compare(a.SettleDate, b.SettleDate), cmp.Compare(a.Acquirer, b.Acquirer), cmp.Compare(a.MerchantID, b.MerchantID),
			cmp.Compare(a.Currency, b.Currency), cmp.Compare(a.Rate, b.Rate))
	})
	return list, nil
}
