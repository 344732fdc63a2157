package pipeline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/recon"
)

// TestTraps holds what real files do that a matcher must not fall for. Each inbox is made in the formats in which it occurs;
// want is order, outcome, match rule and settled amount of each row of the export, in its order.
func TestTraps(t *testing.T) {
	t.Parallel()
	const (
		posHead = "order_id,acquirer,merchant_id,channel,amount,status,txn_time,type,refund_id,original_order_id,terminal_id,ref_no,trace_no,channel_txn_id\n"
		ums     = "清算日期,交易日期,交易时间,终端号,交易金额,清算金额,手续费,流水号,交易类型,参考号,卡号,商户号,发卡行,卡类型,商户订单号,银商订单号,支付类型\n"
		wechat  = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\n"
		wxSum   = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\n"
		alipay  = "#支付宝业务明细查询\n#账号：[20880000000000000156]\n支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\n"
	)
	for _, trap := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"the cut at 23:00 drifts by minutes: a file's day is not the order's", map[string]string{
			"pos.csv": posHead + "A1,chinaums,898000000000001,WECHAT,10.00,SUCCESS,2026-03-05 22:59:21,SALE,,,00000001,,,\n" +
				"A2,chinaums,898000000000001,WECHAT,20.00,SUCCESS,2026-03-05 23:01:56,SALE,,,00000001,,,\n",
			// The acquirer cut the first one into the next day, and the second into its own.
			"ums.csv": ums + "20260306,2026-03-05,22:59:21,00000001,10.00,9.96,0.04,000001,消费,225921000001,,898000000000001,,,A1,,微信支付\n" +
				"20260305,2026-03-05,23:01:56,00000001,20.00,19.92,0.08,000002,消费,230156000002,,898000000000001,,,A2,,微信支付\n"},
			[]string{"A1 matched order_id 10.00", "A2 matched order_id 20.00"}},
		{"wallets cut at midnight: a sale at 23:30 is in the bill of its own day", map[string]string{
			"pos.csv": posHead + "A1,wechat,1900000109,WECHAT,35.80,SUCCESS,2026-03-05 23:30:00,SALE,,,,,,\n",
			"wx.csv": wechat + "`2026-03-05 23:30:10,`wx8,`1900000109,`0,`,`4200,`A1,`o,`MICROPAY,`SUCCESS,`CMB,`CNY,`35.80,`0.00,`0,`0,`0.00,`0.00,`,`,`x,`,`0.21000,`0.60%,`35.80,`0.00,`\n" +
				wxSum + "`1,`35.80,`0.00,`0.00,`0.21000,`35.80,`0.00\n"},
			[]string{"A1 matched order_id 35.80"}},
		{"a trace number repeats within a terminal and a day: with equal amounts nothing is forced", map[string]string{
			"pos.csv": posHead + "A1,chinaums,898000000000001,CARD,10.00,SUCCESS,2026-03-05 12:00:00,SALE,,,00000001,,482202,\n" +
				"A2,chinaums,898000000000001,CARD,10.00,SUCCESS,2026-03-05 12:03:00,SALE,,,00000001,,482202,\n" +
				"A3,chinaums,898000000000001,CARD,30.00,SUCCESS,2026-03-05 12:04:00,SALE,,,00000001,,482202,\n",
			"ums.csv": ums + "20260305,2026-03-05,12:00:10,00000001,10.00,9.96,0.04,482202,消费,921722482202,,898000000000001,,,,,有卡支付\n" +
				"20260305,2026-03-05,12:03:10,00000001,10.00,9.96,0.04,482202,消费,921723482202,,898000000000001,,,,,有卡支付\n" +
				"20260305,2026-03-05,12:04:10,00000001,30.00,29.88,0.12,482202,消费,921724482202,,898000000000001,,,,,有卡支付\n"},
			[]string{"921722482202 unexpected_settlement ambiguous 10.00", "921723482202 unexpected_settlement ambiguous 10.00",
				"A1 unsettled ambiguous ", "A2 unsettled ambiguous ", "A3 matched reference 30.00"}},
		{"the reference number ends in the trace number: the whole of it is compared", map[string]string{
			"pos.csv": posHead + "A1,chinaums,898000000000001,CARD,10.00,SUCCESS,2026-03-05 12:00:00,SALE,,,00000001,921722482202,,\n",
			"ums.csv": ums + "20260305,2026-03-05,12:00:10,00000001,10.00,9.96,0.04,482202,消费,955555482202,,898000000000001,,,,,有卡支付\n"},
			[]string{"955555482202 unexpected_settlement none 10.00", "A1 unsettled none "}},
		{"refunds are positive in one format and negative in another", map[string]string{
			"pos.csv": posHead + "A1,wechat,1900000109,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00,REFUND,R1,A1,,,,\n" +
				"B1,alipay,2088000000000000,ALIPAY,30.00,SUCCESS,2026-03-05 12:00:00,REFUND,R2,B1,,,,\n" +
				"C1,chinaums,898000000000001,WECHAT,7.00,SUCCESS,2026-03-05 12:00:00,REFUND,R3,C1,,,,\n",
			"wx.csv": wechat + "`2026-03-05 15:20:00,`wx8,`1900000109,`0,`,`4200,`A1,`o,`MICROPAY,`REFUND,`CMB,`CNY,`0.00,`0.00,`503,`R1,`10.00,`0.00,`ORIGINAL,`PROCESSING,`x,`,`-0.06000,`0.60%,`0.00,`10.00,`\n" +
				wxSum + "`1,`0.00,`10.00,`0.00,`-0.06000,`0.00,`10.00\n",
			"ali.csv": alipay + "2026\t,B1\t,退款\t,x,2026-03-05 10:00:00,2026-03-05 16:40:10,,,,,*,-30.00,-30.00,0.00,0.00,0.00,0.00,0.00,,0.00,0.00,R2\t,0.18,0.00,\n#交易合计：0笔，商家实收共0.00元\n#退款合计：1笔，商家实收退款共-30.00元\n",
			"ums.csv": ums + "20260305,2026-03-05,12:00:10,00000001,-7.00,-6.97,-0.03,000001,退货,120010000001,,898000000000001,,,C1,R3,微信支付\n"},
			[]string{"B1 matched order_id -30.00", "C1 matched order_id -7.00", "A1 matched order_id -10.00"}},
		{"a refunded order keeps its own row: a row's state is not the order's", map[string]string{
			"pos.csv": posHead + "A1,wechat,1900000109,WECHAT,35.80,SUCCESS,2026-03-05 12:00:00,SALE,,,,,,\nA1,wechat,1900000109,WECHAT,35.80,SUCCESS,2026-03-05 15:00:00,REFUND,R1,A1,,,,\n",
			"wx.csv": wechat + "`2026-03-05 15:20:00,`wx8,`1900000109,`0,`,`4200,`A1,`o,`MICROPAY,`REFUND,`CMB,`CNY,`0.00,`0.00,`503,`R1,`35.80,`0.00,`ORIGINAL,`SUCCESS,`x,`,`-0.21000,`0.60%,`0.00,`35.80,`\n" +
				"`2026-03-05 12:00:10,`wx8,`1900000109,`0,`,`4200,`A1,`o,`MICROPAY,`SUCCESS,`CMB,`CNY,`35.80,`0.00,`0,`0,`0.00,`0.00,`,`,`x,`,`0.21000,`0.60%,`35.80,`0.00,`\n" +
				wxSum + "`2,`35.80,`35.80,`0.00,`0.00000,`35.80,`35.80\n"},
			[]string{"A1 matched order_id -35.80", "A1 matched order_id 35.80"}},
		{"a coupon lowers what is settled of an order, not the order: no amount mismatch", map[string]string{
			"pos.csv": posHead + "A1,wechat,1900000109,WECHAT,35.80,SUCCESS,2026-03-05 12:00:00,SALE,,,,,,\n",
			"wx.csv": wechat + "`2026-03-05 12:00:10,`wx8,`1900000109,`0,`,`4200,`A1,`o,`MICROPAY,`SUCCESS,`CMB,`CNY,`30.80,`5.00,`0,`0,`0.00,`0.00,`,`,`x,`,`0.18000,`0.60%,`35.80,`0.00,`\n" +
				wxSum + "`1,`30.80,`0.00,`0.00,`0.18000,`35.80,`0.00\n"},
			[]string{"A1 matched order_id 35.80"}},
		{"a time of day with a clearing day: from 23:00 on it was the evening before", map[string]string{
			"pos.csv": posHead + "A1,chinaums,898000000000001,CARD,25.00,SUCCESS,2026-03-04 23:05:08,SALE,,,00000001,230510005607,,\n",
			"ums.csv": "清算日期,交易日期时间,卡号,商编,终端,参考号,交易类型,交易金额,手续费,交易方式,订单号,商户名称\n20260305,230510,,898000000000001,00000001,230510005607,消费,25.00,0.15,有卡支付,,x\n"},
			[]string{"A1 matched reference 25.00"}},
		{"the same bill as a gzip, in GBK and twice under other names is one bill", map[string]string{
			"pos.csv":   posHead + "A1,chinaums,898000000000001,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00,SALE,,,00000001,,,\n",
			"ums.csv":   ums + "20260305,2026-03-05,12:00:10,00000001,10.00,9.96,0.04,000001,消费,120010000001,,898000000000001,,,A1,,微信支付\n",
			"copy.csv":  ums + "20260305,2026-03-05,12:00:10,00000001,10.00,9.96,0.04,000001,消费,120010000001,,898000000000001,,,A1,,微信支付\n",
			"again.csv": strings.ReplaceAll(ums, ",", "\t") + "20260305\t2026-03-05\t12:00:10\t00000001\t10.00\t9.96\t0.04\t000001\t消费\t120010000001\t\t898000000000001\t\t\tA1\t\t微信支付\n"},
			[]string{"A1 matched order_id 10.00"}},
		{"an id that a spreadsheet made a number matches nothing, not even another such", map[string]string{
			"pos.csv": posHead + "4.2E+27,wechat,1900000109,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00,SALE,,,,,,\nA2,wechat,1900000109,WECHAT,11.00,SUCCESS,2026-03-05 12:00:00,SALE,,,,,,\n",
			"wx.csv": wechat + "`2026-03-05 12:00:10,`wx8,`1900000109,`0,`,`4.20E+27,`4.2E+27,`o,`MICROPAY,`SUCCESS,`CMB,`CNY,`10.00,`0.00,`0,`0,`0.00,`0.00,`,`,`x,`,`0.06000,`0.60%,`10.00,`0.00,`\n" +
				wxSum + "`1,`10.00,`0.00,`0.00,`0.06000,`10.00,`0.00\n"},
			[]string{"A2 unsettled none "}},
	} {
		t.Run(trap.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			inbox := t.TempDir()
			for name, text := range trap.files {
				if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			w := &world{acquirers: recon.Acquirers{}}
			asOf := time.Date(2026, 3, 9, 15, 0, 0, 0, shanghai(t)) // Monday: all is due
			b.run(t, w, inbox, asOf)
			rows := parseExport(t, b.export(t, w, asOf))
			var got []string
			for _, row := range rows {
				got = append(got, strings.Join([]string{row["order_id"], row["outcome"], row["match_rule"], row["settled_amount"]}, " "))
			}
			if diff := gocmp.Diff(trap.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
