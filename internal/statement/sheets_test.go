package statement

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/posrecon/posrecon/internal/profile"
)

// sheets makes a workbook of sheets, each of rows of cells parted by commas; a name in brackets is hidden.
func sheets(t *testing.T, list ...[2]string) *bytes.Reader {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	for i, s := range list {
		name, hidden := strings.CutPrefix(s[0], "(")
		if _, err := f.NewSheet(name); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := f.DeleteSheet("Sheet1"); err != nil {
				t.Fatal(err)
			}
		}
		for j, line := range strings.Split(s[1], "\n") {
			for k, c := range strings.Split(line, ",") {
				cell, err := excelize.CoordinatesToCellName(k+1, j+1)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.SetCellStr(name, cell, c); err != nil {
					t.Fatal(err)
				}
			}
		}
		if hidden {
			if err := f.SetSheetVisible(name, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(b.Bytes())
}

// The first visible sheet that something reads is read, and said; others that hold rows are told of.
func TestSheets(t *testing.T) {
	t.Parallel()
	const (
		cover     = "对账单\n商户,某某\n\n日期,2026-11-03"
		rows      = "单号,商户,日期,付款人,金额,手续费\nA1,M1,2026-11-03,,10.00,"
		canonical = "order_id,merchant_id,amount,settle_date,status\nB1,M1,20.00,2026-11-03,SETTLED"
	)
	var long strings.Builder
	for i := range maxPreamble + 10 {
		fmt.Fprintf(&long, "说明 %d\n", i)
	}
	for _, test := range []struct {
		why    string
		sheets [][2]string
		want   string
		sheet  string
		remark string
		err    string
	}{
		{"a cover", [][2]string{{"封面", cover}, {"明细", rows}}, "A1 M1 10.00 SALE SETTLED 2026-11-03", "明细", "", ""},
		{"a cover that is longer than what a file is known by", [][2]string{{"封面", long.String()}, {"明细", rows}}, "A1 M1 10.00 SALE SETTLED 2026-11-03", "明细", "", ""},
		{"a cover before the contract's own columns", [][2]string{{"封面", cover}, {"settlement", canonical}}, "B1 M1 20.00 SALE SETTLED 2026-11-03", "settlement", "", ""},
		{"a summary behind the rows", [][2]string{{"明细", rows}, {"汇总", cover}}, "A1 M1 10.00 SALE SETTLED 2026-11-03", "明细", "", ""},
		{"two sheets of rows", [][2]string{{"明细", rows}, {"汇总", cover}, {"退款", rows}}, "A1 M1 10.00 SALE SETTLED 2026-11-03", "明细", "more to load on 退款", ""},
		{"two of the contract's", [][2]string{{"one", canonical}, {"two", canonical}}, "B1 M1 20.00 SALE SETTLED 2026-11-03", "one", "more to load on two", ""},
		{"a hidden sheet is nobody's", [][2]string{{"封面", cover}, {"(明细", rows}}, "", "", "", "no header"},
		{"nothing that anybody reads", [][2]string{{"封面", cover}, {"封底", cover}}, "", "", "", "no header"},
	} {
		res := readNamed(sheets(t, test.sheets...), "", []*profile.Profile{ownProfile(t, widthProfile)})
		if test.err != "" {
			if res.Err == nil || !strings.Contains(res.Err.Error(), test.err) {
				t.Errorf("%s: %v", test.why, res.Err)
			}
			continue
		}
		if got := said(res); res.Err != nil || strings.TrimPrefix(got, " ") != test.want || res.About.Sheet != test.sheet || !strings.Contains(res.Remark, test.remark) || test.remark == "" && res.Remark != "" {
			t.Errorf("%s: %v, sheet %q, %q\n got %s\nwant %s", test.why, res.Err, res.About.Sheet, res.Remark, got, test.want)
		}
	}
}
