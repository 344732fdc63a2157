package pipeline_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/recon"
)

var update = flag.Bool("update", false, "rewrite testdata/night/flagged.csv")

// TestNight runs a night over files as the portals give them: a gzip of WeChat Pay, a zip of Alipay, an export of
// ChinaUMS, a spreadsheet of Lakala in GBK, a fund-flow bill and a bank's account statement, against one POS log. Every
// outcome occurs; the export is beside the log.
func TestNight(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	inbox := t.TempDir()
	root := filepath.Join("..", "..", "testdata")
	for _, name := range []string{"night/pos.csv", "formats/wechat_trade_all.csv.gz", "formats/alipay_trade_20880000000000000156_20260305.csv.zip",
		"formats/chinaums_netbank_20260305_gbk.tsv", "formats/lakala_INFERRED_20260305.csv", "formats/wechat_fundflow.csv", "formats/bank_cmb.csv",
		"formats/wechat_no_bill.xml"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(inbox, filepath.Base(name)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	asOf := time.Date(2026, 3, 6, 12, 0, 0, 0, shanghai(t))
	w := &world{acquirers: recon.Acquirers{}}
	for _, wallet := range []string{"wechat", "alipay"} { // their days end at midnight
		a := recon.DefaultAcquirer(wallet)
		a.CutOff = 24 * time.Hour
		w.acquirers[wallet] = a
	}
	report := b.run(t, w, inbox, asOf)
	if report.RowsRejected != 0 || report.Withheld {
		t.Errorf("%d lines rejected, withheld %v: %+v", report.RowsRejected, report.Withheld, report.Files)
	}
	got := b.export(t, w, asOf)
	rows := parseExport(t, got)
	checkRows(t, b, w, rows, asOf)
	checkTotals(t, w, report, rows)
	tx, err := b.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	checked, err := check.Run(t.Context(), tx, match.Rules{AsOf: asOf, Zone: b.zone, Calendar: calendar.Default(), Acquirers: w.acquirers})
	if err != nil {
		t.Fatal(err)
	}
	if len(checked.Violations) > 0 {
		t.Errorf("check: %v", checked.Violations)
	}
	seen := map[string]bool{}
	for _, row := range rows {
		seen[row["outcome"]] = true
	}
	for _, o := range recon.Outcomes {
		if !seen[string(o)] {
			t.Errorf("no row is %s", o)
		}
	}
	golden := filepath.Join(root, "night", "all.csv")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(strings.Split(string(want), "\r\n"), strings.Split(string(got), "\r\n")); diff != "" {
		t.Errorf("export (-want +got):\n%s", diff)
	}
	// The bank's side: ChinaUMS's day of 2829.38, Lakala's of 25.66 and WeChat Pay's withdrawal came.
	var bank []string
	for _, tie := range report.Bank {
		bank = append(bank, tie.Acquirer+" "+tie.Amount.String()+" "+string(tie.State))
	}
	if diff := gocmp.Diff([]string(nil), bank); report.BankCredited != 3 || diff != "" {
		t.Errorf("%d credited, want 3; to look at (-want +got):\n%s", report.BankCredited, diff)
	}
}

// TestBankReturns: a payout that the bank took back is a returned one, whatever its acquirer still says.
func TestBankReturns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	inbox := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{acquirers: recon.Acquirers{}}
	write("pos.csv", "order_id,acquirer,merchant_id,channel,amount,status,txn_time\nA1,lakala,M100001,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\nA2,lakala,M100001,WECHAT,20.00,SUCCESS,2026-11-02 12:00:00\n")
	write("settlement.csv", "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,payout_id\nA1,M100001,10.00,0.04,2026-11-03,SETTLED,P100001\nA2,M100001,20.00,0.08,2026-11-03,SETTLED,P100002\n")
	write("payout.csv", "# acquirer: lakala\npayout_id,merchant_id,payout_date,amount,status\nP100001,M100001,2026-11-03,9.96,PAID\nP100002,M100001,2026-11-03,19.92,PAID\n")
	asOf := time.Date(2026, 11, 3, 12, 0, 0, 0, shanghai(t))
	b.run(t, w, inbox, asOf)
	outcomes := func(asOf time.Time) map[string]string {
		out := map[string]string{}
		for _, row := range parseExport(t, b.export(t, w, asOf)) {
			out[row["order_id"]] = strings.Join([]string{row["outcome"], row["sub_cause"], row["payout_status"], row["amount_owed"]}, " ")
		}
		return out
	}
	if diff := gocmp.Diff(map[string]string{"A1": "matched  PAID 0.00", "A2": "matched  PAID 0.00"}, outcomes(asOf)); diff != "" {
		t.Errorf("before the statement (-want +got):\n%s", diff)
	}
	write("bank.csv", "account,book_date,amount,counterparty,memo\n6225,2026-11-04,9.96,拉卡拉支付股份有限公司,代付P100001\n6225,2026-11-05,-9.96,拉卡拉支付股份有限公司,退汇 户名不符\n6225,2026-11-04,19.92,拉卡拉支付股份有限公司,代付P100002\n")
	asOf = asOf.AddDate(0, 0, 3)
	report := b.run(t, w, inbox, asOf)
	if diff := gocmp.Diff(map[string]string{"A1": "unsettled account_abnormal RETURNED 10.00", "A2": "matched  PAID 0.00"}, outcomes(asOf)); diff != "" {
		t.Errorf("after it (-want +got):\n%s", diff)
	}
	if len(report.Bank) != 1 || report.Bank[0].State != match.BankReturned || report.BankCredited != 1 {
		t.Errorf("%+v, %d credited", report.Bank, report.BankCredited)
	}
	checkRows(t, b, w, parseExport(t, b.export(t, w, asOf)), asOf)
}

// TestFees: a fee that is not the contract's is shown per merchant and day, rounded per line or over the day, and is no
// missing amount.
func TestFees(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	inbox := t.TempDir()
	for name, text := range map[string]string{
		"pos.csv": "order_id,acquirer,merchant_id,channel,amount,status,txn_time\nA1,lakala,M1,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\nA2,lakala,M1,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\n" +
			"B1,lakala,M2,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00\nC1,shengpay,M3,WECHAT,1.00,SUCCESS,2026-11-02 12:00:00\nC2,shengpay,M3,WECHAT,1.00,SUCCESS,2026-11-02 12:00:00\n" +
			"D1,wechat,M4,WECHAT,100.00,SUCCESS,2026-11-02 12:00:00\n",
		// M1: 0.38 % of 10.00 is 0.038, 0.04 when rounded per line; the second line was charged 0.06. M2 has 0.6 %.
		"lakala.csv": "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status\nA1,M1,10.00,0.04,2026-11-03,SETTLED\nA2,M1,10.00,0.06,2026-11-03,SETTLED\nB1,M2,10.00,0.06,2026-11-03,SETTLED\n",
		// 0.25 % of 1.00 rounds to 0.00 per line; over the day's 2.00 it is 0.01, however it stands on the lines.
		"shengpay.csv": "# acquirer: shengpay\norder_id,merchant_id,amount,fee,settle_date,status\nC1,M3,1.00,0.01,2026-11-03,SETTLED\nC2,M3,1.00,0.00,2026-11-03,SETTLED\n",
		// 0.6 % of the 90.00 that are settled after the merchant's coupon.
		"wechat.csv": "# acquirer: wechat\norder_id,merchant_id,amount,fee,net_amount,settle_date,status\nD1,M4,100.00,0.54,89.46,2026-11-03,SETTLED\n",
		// The second line again: it was charged once.
		"again.csv": "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status\nA2,M1,10.00,0.06,2026-11-03,SETTLED\n",
	} {
		if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	rate := func(s string) decimal.Decimal { return decimal.RequireFromString(s) }
	lakala, shengpay := recon.DefaultAcquirer("lakala"), recon.DefaultAcquirer("shengpay")
	lakala.FeeRate = decimal.NewNullDecimal(rate("0.0038"))
	lakala.MerchantFeeRates = map[string]decimal.Decimal{"M2": rate("0.006")}
	shengpay.FeeRate, shengpay.FeePerBatch = decimal.NewNullDecimal(rate("0.0025")), true
	wechat := recon.DefaultAcquirer("wechat")
	wechat.FeeRate = decimal.NewNullDecimal(rate("0.006"))
	w := &world{acquirers: recon.Acquirers{"lakala": lakala, "shengpay": shengpay, "wechat": wechat}}
	asOf := time.Date(2026, 11, 3, 12, 0, 0, 0, shanghai(t))
	report := b.run(t, w, inbox, asOf)
	var got []string
	for _, f := range report.Fees {
		got = append(got, fmt.Sprintf("%s %s %s: %d of %d lines, fee %s, contracted %s, difference %s", f.Acquirer, f.MerchantID, f.SettleDate, f.Differing, f.Lines, f.Fee.String(), f.Contracted.String(), f.Difference.String()))
	}
	if diff := gocmp.Diff([]string{"lakala M1 2026-11-03: 1 of 2 lines, fee 0.10, contracted 0.08, difference 0.02"}, got); diff != "" {
		t.Errorf("fees (-want +got):\n%s", diff)
	}
	for _, row := range parseExport(t, b.export(t, w, asOf)) {
		if row["outcome"] != "matched" || row["amount_owed"] != "0.00" {
			t.Errorf("%s is %s and owes %s", row["order_id"], row["outcome"], row["amount_owed"])
		}
	}
}
