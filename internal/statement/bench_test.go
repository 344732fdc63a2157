package statement

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// benchmarkFile is a settlement file of 20 columns as an acquirer sends it, and its number of rows.
func benchmarkFile() ([]byte, int) {
	const rows = 100_000
	var b bytes.Buffer
	b.WriteString("# acquirer: lakala\n# settle_date: 2026-11-03\n")
	b.WriteString("order_id,merchant_id,terminal_id,channel,type,refund_id,original_order_id,amount,fee,net_amount,currency,txn_time,settle_date,status,channel_txn_id,ref_no,trace_no,payout_id,reason_code,reason\n")
	for i := range rows {
		fmt.Fprintf(&b, "P2611020%07d,8224000000%05d,T%06d,WECHAT,SALE,,,%d.%02d,0.%02d,%d.%02d,CNY,2026-11-02 %02d:%02d:%02d,2026-11-03,SETTLED,42369406%020d,%012d,%06d,PO20261103%04d,,\n",
			i, i%500, i%3000, i%900+1, i%100, i%38, i%900, i%100, i%24, i%60, i%59, i, i, i%1000000, i%500)
	}
	fmt.Fprintf(&b, "# total_count: %d\n", rows)
	return b.Bytes(), rows
}

// BenchmarkReader measures clean rows. The target is 700,000 rows a second: COPY takes about half of that, so reading is
// never what a load waits for.
func BenchmarkReader(b *testing.B) {
	data, rows := benchmarkFile()
	for _, bm := range []struct {
		name string
		data []byte
	}{
		{"plain", data},
		{"quoted", bytes.ReplaceAll(bytes.ReplaceAll(data, []byte(",WECHAT,"), []byte(`,"WECHAT",`)), []byte(",CNY,"), []byte(`,"CNY",`))},
		{"chinese", bytes.ReplaceAll(data, []byte(",,\n"), []byte(",R1301,风险交易冻结\n"))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.SetBytes(int64(len(bm.data)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := Open(bytes.NewReader(bm.data), Options{Zone: shanghai})
				if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
				if seen := r.Seen(); seen.Count != rows || seen.Rejected != 0 {
					b.Fatalf("read %+v", seen)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkFormats measures the formats on their own samples, repeated: bytes of the file as it lies there, to records.
func BenchmarkFormats(b *testing.B) {
	for _, sample := range []struct {
		name string
		file string
		rows [2]int // the lines to repeat, from and to
	}{
		{"wechat-trade", "wechat_trade_all.csv", [2]int{1, 7}},
		{"alipay-trade, GB18030", "20880000000000000156_20260305_业务明细.csv", [2]int{5, 8}},
		{"unionpay-zm, GB18030", "INN26030588ZM_898000000000001", [2]int{0, 4}},
		{"chinaums-portal", "chinaums_netbank_20260305.tsv", [2]int{4, 9}},
		{"chinaums-portal, GB18030", "chinaums_netbank_20260305_gbk.tsv", [2]int{4, 9}},
		{"lakala-settlement, GB18030", "lakala_INFERRED_20260305.csv", [2]int{1, 7}},
		{"leshua-trade", "5800000000_trade_new_20260306.txt", [2]int{1, 4}},
		{"allinpay, GB18030", "allinpay_20260305.csv", [2]int{1, 2}},
		{"bank-cmb", "bank_cmb.csv", [2]int{1, 6}},
	} {
		b.Run(sample.name, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(formatsDir, sample.file))
			if err != nil {
				b.Fatal(err)
			}
			lines := bytes.SplitAfter(data, []byte("\n"))
			var text bytes.Buffer
			text.Write(bytes.Join(lines[:sample.rows[0]], nil))
			rows := bytes.Join(lines[sample.rows[0]:sample.rows[1]], nil)
			for text.Len() < 8<<20 {
				text.Write(rows)
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				r, err := Open(bytes.NewReader(text.Bytes()), Options{Zone: shanghai})
				if err != nil {
					b.Fatal(err)
				}
				for {
					if _, err := r.Next(); err == io.EOF {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
