package ingest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	// One that makes the file another acquirer's would contradict what is loaded.
	in.opt.Profiles = []*profile.Profile{parseProfile(t, strings.Replace(ownProfile, "acquirer: lakala", "acquirer: shengpay", 1))}
	for range 2 {
		if f := in.load(t)["bill.csv"]; f.State != ingest.Known {
			t.Errorf("with another acquirer: %+v", f)
		}
	}
	if got := in.query(t, `SELECT DISTINCT acquirer FROM settlement_row`); len(got) != 1 || got[0] != "lakala" {
		t.Errorf("the rows are of %v", got)
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
