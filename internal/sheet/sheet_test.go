package sheet

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// book makes a workbook with a library, as a clerk's program would.
func book(t testing.TB, fill func(*excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	fill(f)
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// rows reads a workbook as "row: kind text | …".
func rows(data []byte) ([]string, error) {
	w, err := Open(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	var out []string
	for {
		row, cells, err := w.Next()
		if errors.Is(err, io.EOF) {
			return out, w.Close()
		}
		if err != nil {
			return out, errors.Join(err, w.Close())
		}
		var parts []string
		for _, c := range cells {
			parts = append(parts, fmt.Sprintf("%d %s", c.Kind, c.Text))
		}
		out = append(out, fmt.Sprintf("%d: %s", row, strings.Join(parts, " | ")))
	}
}

func TestKinds(t *testing.T) {
	data := book(t, func(f *excelize.File) {
		day, err := f.NewStyle(&excelize.Style{NumFmt: 14})
		must(t, err)
		code := "yyyy-mm-dd hh:mm:ss"
		moment, err := f.NewStyle(&excelize.Style{CustomNumFmt: &code})
		must(t, err)
		yuan := `"日"#,##0.00`
		money, err := f.NewStyle(&excelize.Style{CustomNumFmt: &yuan})
		must(t, err)
		must(t, f.SetSheetRow("Sheet1", "A1", &[]any{"商户订单号", "金额", "日期", "时间"}))
		must(t, f.SetSheetRow("Sheet1", "A3", &[]any{"00123", 35.8, 46086, 46086.385764}))
		must(t, f.SetCellStyle("Sheet1", "C3", "C3", day))
		must(t, f.SetCellStyle("Sheet1", "D3", "D3", moment))
		must(t, f.SetCellStyle("Sheet1", "B3", "B3", money))
		must(t, f.SetCellValue("Sheet1", "A4", 4.2e27))
		must(t, f.SetCellValue("Sheet1", "C4", 20260305.0))
		must(t, f.SetCellValue("Sheet1", "E4", true))
		must(t, f.SetCellRichText("Sheet1", "F4", []excelize.RichTextRun{{Text: "银联"}, {Text: "商务"}}))
	})
	got, err := rows(data)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1: 1 商户订单号 | 1 金额 | 1 日期 | 1 时间",
		"3: 1 00123 | 2 35.8 | 3 2026-03-05 | 3 2026-03-05 09:15:30",
		"4: 2 4.2e+27 | 0  | 2 20260305 | 0  | 4 1 | 1 银联商务",
	}
	for i := range got {
		got[i] = strings.Replace(got[i], "E+27", "e+27", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A sheet that is hidden, or has nothing, is passed over.
func TestSheets(t *testing.T) {
	data := book(t, func(f *excelize.File) {
		for _, name := range []string{"隐藏", "明细"} {
			_, err := f.NewSheet(name)
			must(t, err)
			must(t, f.SetCellValue(name, "A1", name))
		}
		must(t, f.SetSheetVisible("隐藏", false))
	})
	got, err := rows(data)
	if diff := cmp.Diff([]string{"1: 1 明细"}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// part is a file of a hand-made workbook.
func handmade(t testing.TB, sheet string, more ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	parts := append([]string{
		"[Content_Types].xml", "<Types/>",
		"xl/workbook.xml", `<workbook><sheets><sheet name="a" sheetId="1"/></sheets></workbook>`,
		"xl/worksheets/sheet1.xml", sheet,
	}, more...)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		must(t, err)
		_, err = io.WriteString(w, parts[i+1])
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

func TestOddSheets(t *testing.T) {
	for _, test := range []struct{ why, sheet, want string }{
		{"cells without references stand one after the other", `<worksheet><sheetData><row><c t="inlineStr"><is><t>a</t></is></c><c><v>1</v></c></row></sheetData></worksheet>`, "1: 1 a | 2 1"},
		{"a formula's last value counts", `<worksheet><sheetData><row r="7"><c r="B7" t="str"><f>A1&amp;"x"</f><v>abc</v></c></row></sheetData></worksheet>`, "7: 0  | 1 abc"},
		{"an error is an error", `<worksheet><sheetData><row r="1"><c r="A1" t="e"><v>#N/A</v></c></row></sheetData></worksheet>`, "1: 5 #N/A"},
		{"what a float makes of 35.8", `<worksheet><sheetData><row r="1"><c r="A1"><v>35.799999999999997</v></c><c r="B1"><v>1.2E-2</v></c></row></sheetData></worksheet>`, "1: 2 35.8 | 2 0.012"},
		{"an order number that was made a number keeps its scientific form", `<worksheet><sheetData><row r="1"><c r="A1"><v>4.2000020260305092E+27</v></c></row></sheetData></worksheet>`, "1: 2 4.2000020260305092E+27"},
		{"readings of names are no text", `<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><r><t>王</t></r><rPh sb="0" eb="1"><t>wang</t></rPh></is></c></row></sheetData></worksheet>`, "1: 1 王"},
	} {
		got, err := rows(handmade(t, test.sheet))
		if diff := cmp.Diff(test.want, strings.Join(got, "\n")); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.why, err, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	whole := handmade(t, `<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>`)
	for _, test := range []struct {
		why  string
		data []byte
		want string
	}{
		{"cut short", whole[:len(whole)/2], "damaged or cut short"},
		{"a zip of something else", func() []byte { return zipOf(t, "a.txt") }(), "no workbook"},
		{"XML cut short", handmade(t, `<worksheet><sheetData><row r="1"><c r="A1"><v>1`), "damaged"},
		{"a text that is not there", handmade(t, `<worksheet><sheetData><row><c t="s"><v>5</v></c></row></sheetData></worksheet>`), "no shared text"},
		{"too wide", handmade(t, `<worksheet><sheetData><row r="1"><c r="ZZZ1"><v>1</v></c></row></sheetData></worksheet>`), "columns"},
		{"out of order", handmade(t, `<worksheet><sheetData><row r="1"><c r="C1"><v>1</v></c><c r="A1"><v>1</v></c></row></sheetData></worksheet>`), "order"},
	} {
		if _, err := rows(test.data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.why, err, test.want)
		}
	}
}

func zipOf(t testing.TB, name string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	_, err := z.Create(name)
	must(t, err)
	must(t, z.Close())
	return b.Bytes()
}

// A workbook of 200,000 rows is read in little more memory than its shared texts.
func TestMemory(t *testing.T) {
	data := book(t, func(f *excelize.File) {
		w, err := f.NewStreamWriter("Sheet1")
		must(t, err)
		for i := range 200_000 {
			must(t, w.SetRow(fmt.Sprintf("A%d", i+1), []any{fmt.Sprintf("POS%010d", i), "消费", 35.8}))
		}
		must(t, w.Flush())
	})
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	w, err := Open(bytes.NewReader(data))
	must(t, err)
	defer w.Close()
	n, peak := 0, uint64(0)
	began := time.Now()
	for {
		if _, _, err := w.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if n++; n%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
		}
	}
	if grown := int64(peak) - int64(before.HeapAlloc); n != 200_000 || grown > 64<<20 {
		t.Errorf("%d rows, %d MiB", n, grown>>20)
	}
	t.Logf("%d rows in %v", n, time.Since(began))
}

// FuzzOpen: no panic and an end, whatever stands in the sheet.
func FuzzOpen(f *testing.F) {
	f.Add(`<worksheet><sheetData><row r="1"><c r="A1"><v>1</v></c></row></sheetData></worksheet>`, `<sst><si><t>a</t></si></sst>`, `<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>`)
	f.Fuzz(func(t *testing.T, sheet, shared, styles string) {
		data := handmade(t, sheet, "xl/sharedStrings.xml", shared, "xl/styles.xml", styles)
		got, err := rows(data)
		if err == nil && len(got) > len(sheet) {
			t.Fatalf("%d rows of %d bytes", len(got), len(sheet))
		}
	})
}
