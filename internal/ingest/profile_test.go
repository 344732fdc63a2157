package ingest_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/profile"
)

const ownProfile = `name: mine
kind: settlement
acquirer: lakala
match: {columns: [单号, 商户, 结算日]}
fields:
  order_id: 单号
  merchant_id: 商户
  amount: 金额
  settle_date: 结算日
  status: {column: 状态, map: {成功: SETTLED}}
`

func parseProfile(t *testing.T, text string) *profile.Profile {
	t.Helper()
	p, err := profile.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A file that no format reads waits for a profile. A newer profile reads its rejected lines again; accepted facts are not
// doubled.
func TestProfileComesLater(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	in.write(t, "bill.csv", "单号,商户,结算日,金额,状态\nA1,M1,2026-11-03,10.00,成功\nA2,M1,2026-11-03,20.00,冻结\nA3,M1,2026-11-03,30.005,成功\n")
	if f := in.load(t)["bill.csv"]; f.State != ingest.Refused || !strings.Contains(f.Reason, "--explain") {
		t.Fatalf("without a profile it is %s: %s", f.State, f.Reason)
	}
	in.opt.Profiles = []*profile.Profile{parseProfile(t, ownProfile)}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Loaded || f.Rows != 1 || f.Rejected != 2 || f.Format != "mine" {
		t.Fatalf("with a profile: %+v", f)
	}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Known {
		t.Fatalf("again: %+v", f)
	}
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "成功: SETTLED", "成功: SETTLED, 冻结: HELD", 1))}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Loaded || f.Rows != 1 || f.Rejected != 1 {
		t.Fatalf("with a newer profile: %+v", f)
	}
	var rows, rejected int
	var counted string
	if err := in.pool.QueryRow(t.Context(), `
		SELECT (SELECT count(*) FROM settlement_row), (SELECT count(*) FROM rejected_line),
		       (SELECT concat_ws(' ', rows_read, rows_loaded, rows_rejected, decided) FROM file)`).Scan(&rows, &rejected, &counted); err != nil {
		t.Fatal(err)
	}
	if rows != 2 || rejected != 1 || counted != "3 2 1 f" {
		t.Errorf("%d rows, %d rejected, the register says %s", rows, rejected, counted)
	}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Known {
		t.Errorf("once more: %+v", f)
	}
	// An edition that reads no further line tells once that the accepted ones stay.
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "成功: SETTLED", "成功: PENDING, 冻结: HELD", 1))}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Kept || !strings.Contains(f.Reason, "what was read of it stays") {
		t.Errorf("with a corrected word: %+v", f)
	}
	if f := in.load(t)["bill.csv"]; f.State != ingest.Known {
		t.Errorf("and once more: %+v", f)
	}
	// One that makes the file another acquirer's would contradict what is loaded.
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "acquirer: lakala", "acquirer: shengpay", 1))}
	for _, want := range []ingest.State{ingest.Kept, ingest.Known} {
		if f := in.load(t)["bill.csv"]; f.State != want {
			t.Errorf("with another acquirer: %+v", f)
		}
	}
	if got := in.query(t, `SELECT DISTINCT acquirer FROM settlement_row`); len(got) != 1 || got[0] != "lakala" {
		t.Errorf("the rows are of %v", got)
	}
}

// A file that was kept out is offered again when another edition of its profile, or another profile, reads it.
func TestProfileCorrected(t *testing.T) {
	t.Parallel()
	const bill = "单号,商户,结算日,金额,状态\nA1,M1,2026-11-03,10.00,成功\nA2,M1,2026-11-03,20.00,成功\n合计,,,30.00,\n"
	for _, test := range []struct {
		why, text, wrong, right string
		state                   ingest.State
	}{
		{"the profile adds up the wrong rows", bill,
			ownProfile + "totals: [{label: 合计, pattern: '^合计,,,([0-9.]+)', of: 金额, when: {单号: A1}}]\n",
			ownProfile + "totals: [{label: 合计, pattern: '^合计,,,([0-9.]+)', of: 金额}]\n", ingest.Held},
		{"the profile expects a total under another name", bill,
			ownProfile + "totals: [{label: 总计, pattern: '^总计,,,([0-9.]+)', of: 金额, required: true}]\nignore: [^合计]\n",
			ownProfile + "totals: [{label: 合计, pattern: '^合计,,,([0-9.]+)', of: 金额, required: true}]\n", ingest.Held},
		{"the profile names a column that is not there", bill,
			strings.Replace(ownProfile, "amount: 金额", "amount: 款额", 1) + "ignore: [^合计]\n", ownProfile + "ignore: [^合计]\n", ingest.Refused},
		{"the profile names no acquirer", bill,
			strings.Replace(ownProfile, "acquirer: lakala\n", "", 1) + "ignore: [^合计]\n", ownProfile + "ignore: [^合计]\n", ingest.Held},
		{"the profile says that there is nothing to load", bill,
			"name: mine\nkind: none\nnothing: a summary\nmatch: {columns: [单号, 商户]}\n", ownProfile + "ignore: [^合计]\n", ingest.Nothing},
		{"no profile reads the JSON document", `[{"no": "A1", "m": "M1", "amt": "10.00"}, {"no": "A2", "m": "M1", "amt": "20.00"}]`, "",
			"name: mine\nkind: settlement\nacquirer: lakala\nfile: {layout: json}\nmatch: {columns: [no, m]}\nfields:\n  order_id: no\n" +
				"  merchant_id: m\n  amount: amt\n  settle_date: {value: '2026-11-03'}\n  status: {value: SETTLED}\n", ingest.Refused},
		{"the table lacks a column of the contract's", "order_id,merchant_id,amount,status\nA1,M1,10.00,OK\nA2,M1,20.00,OK\n", "",
			"name: mine\nkind: settlement\nacquirer: lakala\nmatch: {columns: [order_id, status]}\nfields:\n  order_id: order_id\n" +
				"  merchant_id: merchant_id\n  amount: amount\n  settle_date: {value: '2026-11-03'}\n  status: {value: SETTLED}\n", ingest.Refused},
	} {
		t.Run(test.why, func(t *testing.T) {
			t.Parallel()
			in := newInbox(t)
			in.write(t, "bill.csv", test.text)
			if test.wrong != "" {
				in.opt.Profiles = []*profile.Profile{parseProfile(t, test.wrong)}
			}
			if f := in.load(t)["bill.csv"]; f.State != test.state {
				t.Fatalf("at first: %+v", f)
			}
			if f := in.load(t)["bill.csv"]; f.State != ingest.Waiting && !(test.state == ingest.Nothing && f.State == ingest.Known) {
				t.Fatalf("again: %+v", f)
			}
			in.opt.Profiles = []*profile.Profile{parseProfile(t, test.right)}
			if f := in.load(t)["bill.csv"]; f.State != ingest.Loaded || f.Rows != 2 || f.Rejected != 0 {
				t.Fatalf("corrected: %+v", f)
			}
		})
	}
}

// What a loaded file's profile read wrongly is corrected by the same rows in other bytes: the way that is told works.
func TestReadAnew(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	const bill = "单号,商户,结算日,金额,状态\nA1,M1,2026-11-03,10.00,成功\n"
	in.write(t, "bill.csv", bill)
	in.write(t, "more.csv", strings.ReplaceAll(bill, "A1", "A2"))
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "SETTLED", "PENDING", 1))}
	in.load(t)
	in.opt.Profiles = []*profile.Profile{parseProfile(t, ownProfile)}
	files := in.load(t)
	if f, other := files["bill.csv"], files["more.csv"]; f.State != ingest.Kept || !strings.Contains(f.Reason, "of another file like it") || other.State != ingest.Known {
		t.Fatalf("they are told of as %+v and %+v", f, other)
	}
	in.opt.Further = ingest.FurtherReplace
	load := func() ingest.File {
		report, err := ingest.Paths(t.Context(), in.pool, []string{in.path("bill.csv")}, in.opt)
		if err != nil {
			t.Fatal(err)
		}
		return report.Files[0]
	}
	if f := load(); f.State != ingest.Kept || !strings.Contains(f.Reason, "blank line") {
		t.Fatalf("asked to replace itself: %+v", f)
	}
	in.write(t, "bill.csv", bill+"\n")
	if f := load(); f.State != ingest.Loaded || f.Rows != 1 {
		t.Fatalf("in other bytes: %+v", f)
	}
	if got := in.query(t, `SELECT r.status FROM settlement_row AS r JOIN file AS f USING (file_id) WHERE r.order_id = 'A1' AND f.replaced_by IS NULL`); len(got) != 1 || got[0] != "SETTLED" {
		t.Errorf("what stands is %v", got)
	}
}

// A workbook is recognised whole, however large: a corrected profile reads its rejected lines again.
func TestLargeWorkbook(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	book := excelize.NewFile()
	defer book.Close()
	if err := book.SetSheetRow("Sheet1", "A1", &[]any{"单号", "商户", "结算日", "金额", "状态"}); err != nil {
		t.Fatal(err)
	}
	const rows = 3000
	for i := range rows {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8)}) // so that the file stays large when it is packed
		if err := book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+2), &[]any{hex.EncodeToString(sum[:]), "M1", "2026-11-03", "10.00", "冻结"}); err != nil {
			t.Fatal(err)
		}
	}
	data, err := book.WriteToBuffer()
	if err != nil || data.Len() < 100_000 {
		t.Fatalf("%d bytes, %v", data.Len(), err)
	}
	in.write(t, "bill.xlsx", data.String())
	in.opt.Profiles = []*profile.Profile{parseProfile(t, ownProfile)}
	if f := in.load(t)["bill.xlsx"]; f.State != ingest.Loaded || f.Rejected != rows {
		t.Fatalf("%+v", f)
	}
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "成功: SETTLED", "成功: SETTLED, 冻结: HELD", 1))}
	if f := in.load(t)["bill.xlsx"]; f.State != ingest.Loaded || f.Rows != rows {
		t.Errorf("with a corrected profile: %+v", f)
	}
}

// The samples of real formats are loaded without any configuration, out of their archives; a second night changes nothing.
func TestSamplesLoad(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	samples, err := filepath.Glob("../../testdata/formats/*")
	if err != nil || len(samples) < 40 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, path := range samples {
		if strings.HasSuffix(path, ".want") || strings.Contains(path, "codes") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		in.write(t, filepath.Base(path), string(text))
	}
	in.write(t, "people.csv", "account,book_date,amount,counterparty,memo\n6225000000000001,2026-03-05,1.00,张三,wangxm@example.com\n6225000000000001,2026-13-05,1.00,ZHANG SAN,x\n6225000000000001,2026-03-05,1.00,李店,x,\n")
	for name, f := range in.load(t) {
		switch f.State {
		case ingest.Loaded, ingest.Nothing, ingest.Known:
		default:
			if name != "excel_damaged.csv" { // a table of nobody's format
				t.Errorf("%s is %s: %s", name, f.State, f.Reason)
			}
		}
	}
	// Nothing of them that names a person is in the database.
	for _, personal := range []string{"oUpF8uMuAJO", "*杨", "137****2600", "622280*", "622848*", "439225*", "6225000000000001", "621226", "216200100000000001", "*某", "2088000000000001",
		"o12Tt4h", "1234****9876", "张三", "ZHANG SAN", "李店", "wangxm@"} {
		if kept := in.query(t, `
			WITH stored AS (
			    SELECT r::text AS row FROM pos_row AS r
			     UNION ALL
			    SELECT r::text FROM settlement_row AS r
			     UNION ALL
			    SELECT r::text FROM payout_row AS r
			     UNION ALL
			    SELECT r::text FROM bank_row AS r
			     UNION ALL
			    SELECT r::text FROM rejected_line AS r
			     UNION ALL
			    SELECT r::text FROM file AS r
			)
			SELECT row
			  FROM stored
			 WHERE position($1 IN row) > 0
			 ORDER BY row`, personal); len(kept) > 0 {
			t.Errorf("%s is kept: %s", personal, kept[0])
		}
	}
	for name, f := range in.load(t) {
		if f.State != ingest.Known && name != "excel_damaged.csv" {
			t.Errorf("the second night %s is %s: %s", name, f.State, f.Reason)
		}
	}
}

// A freeze acts on the next day's payout, and the file is of its own day all the same: it would be missed there. What stands
// in place of a bill is refused if the bill is still to come.
func TestWhatDayAFileIsOf(t *testing.T) {
	t.Parallel()
	in := newInbox(t)
	const head = "BT,编号,交易时间,订单号,商户号,费率(万分之一),交易金额(分),手续费(分),结算金额(分),资金流向,第三方订单号\n"
	in.write(t, "both.txt", head+"BV,1,2026-03-05 10:00:00,L1,58001,38,500,2,498,进账,P1\nBV,2,2026-03-05 17:00:00,L1,58001,38,500,2,498,冻结,P1\n")
	in.write(t, "frozen.txt", head+"BV,1,2026-03-05 17:00:00,L2,58001,38,500,2,498,冻结,P2\n")
	in.write(t, "creating.json", `{"code":"STATEMENT_CREATING","message":"账单生成中"}`)
	in.write(t, "none.json", `{"code":"NO_STATEMENT_EXIST","message":"账单文件不存在"}`)
	files := in.load(t)
	for name, want := range map[string]string{"both.txt": "loaded 2026-03-05", "frozen.txt": "loaded 2026-03-06", "creating.json": "refused ", "none.json": "nothing "} {
		if got := string(files[name].State) + " " + files[name].Date; got != want {
			t.Errorf("%s is %s, want %s: %s", name, got, want, files[name].Reason)
		}
	}
}
