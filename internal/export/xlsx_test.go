package export

import (
	"bytes"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// Text comes back from a workbook as it went in, on as many sheets as it takes, and the same rows give the same bytes.
func TestSheets(t *testing.T) {
	t.Parallel()
	texts := []string{
		"A1", "0012345678901234567890", "=1+2", "<b> & \"c\" 'd'", " blanks ", "\ttab", "line\nfeed", "全角　空格", "支付", "_x0041_", "a_x0041_x0042_b",
		"x_xyz", "\u00a0", "😀", strings.Repeat("a", cellChars), "true", "1e5",
	}
	rows := func(do func(*row) error) error {
		for _, text := range texts {
			if err := do(&row{orderID: []byte(text), posAmount: amount("1234.50"), fee: amount("12345678901234567.89"), sourceLine: []byte("7")}); err != nil {
				return err
			}
		}
		return nil
	}
	write := func() []byte {
		t.Helper()
		var out bytes.Buffer
		if n, err := writeSheets(&out, &View{}, rows, 5); err != nil || n != int64(len(texts)) {
			t.Fatalf("%d rows, %v", n, err)
		}
		return out.Bytes()
	}
	data := write()
	if !bytes.Equal(data, write()) {
		t.Error("the same rows give other bytes")
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if got := strings.Join(book.GetSheetList(), " "); got != "Sheet1 Sheet2 Sheet3 Sheet4" {
		t.Errorf("sheets %s", got)
	}
	for i, text := range texts {
		sheet := book.GetSheetList()[i/5]
		for column, want := range map[string]string{"order_id": text, "pos_amount": "1,234.50", "fee": "12345678901234567.89", "source_line": "7", "refund_id": ""} {
			at, err := excelize.JoinCellName(letters[columnOf(t, column)], i%5+2)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := book.GetCellValue(sheet, at); err != nil || got != want {
				t.Errorf("%s of %.20q is %.20q, %v, want %.20q", column, text, got, err, want)
			}
		}
	}
}

// Text that is too long for a cell is cut, and not through a character.
func TestLongCell(t *testing.T) {
	t.Parallel()
	got := string(appendXML(nil, []byte(strings.Repeat("a", cellChars-1)+"😀")))
	if want := ">" + strings.Repeat("a", cellChars-1); got != want {
		t.Errorf("it ends in %q", got[len(got)-9:])
	}
}

func columnOf(t *testing.T, name string) int {
	t.Helper()
	for i := range columns {
		if columns[i].name == name {
			return i
		}
	}
	t.Fatalf("no column %s", name)
	return 0
}
