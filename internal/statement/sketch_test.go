package statement

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/posrecon/posrecon/internal/profile"
)

// What is seen of a file that no format reads: its header among other lines, its first rows, and what stands around them.
func TestSketch(t *testing.T) {
	t.Parallel()
	const head = "单号,商户,金额,日期"
	rows := strings.Repeat("A1,M1,1.00,2026-11-03\n", 12)
	row := []string{"A1", "M1", "1.00", "2026-11-03"}
	ten := [][]string{row, row, row, row, row, row, row, row, row, row}
	names := strings.Split(head, ",")
	for _, test := range []struct {
		why  string
		file io.Reader
		want profile.Sample
	}{
		{"a table with a preface and a foot", strings.NewReader("对账单\n\n商户编号：M1\n" + head + "\n" + rows + "合计,,12.00,\n\n制表人：某\n"),
			profile.Sample{Encoding: "utf-8", Separator: ",", Line: 4, Header: names, Rows: ten, Before: []string{"对账单", "商户编号：M1"}, After: []string{"合计,,12.00,", "制表人：某"}}},
		{"a foot alone", strings.NewReader(head + "\n" + "合计,,0,\n"), profile.Sample{Encoding: "utf-8", Separator: ",", Line: 1, Header: names, After: []string{"合计,,0,"}}},
		{"tabs", strings.NewReader(strings.ReplaceAll(head+"\n"+rows, ",", "\t")), profile.Sample{Encoding: "utf-8", Separator: "\t", Line: 1, Header: names, Rows: ten}},
		{"a workbook with a cover", sheets(t, [2]string{"封面", "对账单\n商户,某"}, [2]string{"明细", "商户编号：M1\n" + head + "\n" + rows + "合计,,12.00"}),
			profile.Sample{Encoding: "xlsx", Line: 2, Header: names, Rows: ten, Before: []string{"商户编号：M1"}, After: []string{"合计\t\t12.00"}}},
		{"JSON: the first array of objects", strings.NewReader(`{"code":"0","data":{"tags":["a"],"list":[{"no":"A1","m":{"id":1}},{"no":"A2","amt":1.5}],"more":[{"x":1}]}}`),
			profile.Sample{Encoding: "ascii", JSON: true, Path: "data.list", Line: 1, Header: []string{"no", "m.id", "amt"}, Rows: [][]string{{"A1", "1", ""}, {"A2", "", "1.5"}}}},
		{"JSON: an array", strings.NewReader(`[{"a":1,"b":2,"c":null}]`), profile.Sample{Encoding: "ascii", JSON: true, Line: 1, Header: []string{"a", "b", "c"}, Rows: [][]string{{"1", "2", ""}}}},
		{"JSON: lines", strings.NewReader("{\"a\":1,\"b\":2,\"c\":3}\n{\"a\":4,\"b\":5,\"c\":6}\n"), profile.Sample{Encoding: "ascii", JSON: true, Line: 1, Header: []string{"a", "b", "c"}, Rows: [][]string{{"1", "2", "3"}, {"4", "5", "6"}}}},
		{"JSON that is longer than what is looked at", strings.NewReader(`{"list":[` + strings.Repeat(`{"a":1,"b":2,"c":3},`, 10_000) + `{}]}`),
			profile.Sample{Encoding: "ascii", JSON: true, Path: "list", Line: 1, Header: []string{"a", "b", "c"}, Rows: func() [][]string {
				var out [][]string
				for range sketchRows {
					out = append(out, []string{"1", "2", "3"})
				}
				return out
			}()}},
		{"records of one width", strings.NewReader("HEAD\nA1000000000001 822100000000001 000000010000\nA1000000000002 822100000000001 000000020000\n"),
			profile.Sample{Encoding: "ascii", Record: "A1000000000001 822100000000001 000000010000"}},
	} {
		got, ok, err := NewSketch(test.file)
		if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); !ok || err != nil || diff != "" {
			t.Errorf("%s: %v %v (-want +got):\n%s", test.why, ok, err, diff)
		}
	}
	for _, text := range []string{"", "\x00\x01\x02", "a letter\nto somebody\n", `{"a": [1, 2]}`, "{", "PK\x03\x04 damaged"} {
		if got, ok, err := NewSketch(strings.NewReader(text)); ok || err != nil {
			t.Errorf("%q looks like %+v, %v", text, got, err)
		}
	}
}

// What an unknown file comes nearest to, or what is wrong with it, is told where it is refused.
func TestUnknown(t *testing.T) {
	t.Parallel()
	const lakala = "商户号,终端号,交易日期,交易时间,拉卡拉交易流水号,商户流水号,交易金额,状态"
	for _, test := range []struct {
		why  string
		file io.Reader
		line int
		want string
	}{
		{"near to a format", strings.NewReader("对账单\n" + lakala + "\n822,D1,20260305,091530,1,2,3.00,x\n"), 2, "no format reads it; nearest is lakala-settlement, and it lacks 商户请求流水号, 结算状态"},
		{"the same as a workbook", sheets(t, [2]string{"a", "对账单\n\n" + lakala + "\n822,D1,20260305,091530,1,2,3.00,x"}), 3, "nearest is lakala-settlement"},
		{"JSON near to a format", strings.NewReader(`{"list":[{"billId":"1","merchantId":"2","planAmount":3,"realAmount":3,"status":1}]}`), 1, "nearest is leshua-payout, and it lacks state, settDate"},
		{"JSON of nobody", strings.NewReader(`[{"a":1,"b":2,"c":3}]`), 1, "a JSON document that no format reads"},
		{"columns that all bills have are near to none", strings.NewReader("交易时间,商户订单号,交易状态,手续费\n1,2,3,4\n"), 1, "no format reads its columns"},
		{"full-width commas between names", strings.NewReader("交易时间，商户订单号，交易状态，手续费\n1,2,3,4\n"), 1, "full-width commas"},
		{"some of them", strings.NewReader("交易时间,商户订单号,交易状态，手续费\n1,2,3\n"), 1, "full-width commas"},
		{"a full-width comma in a preface is none of the header's", strings.NewReader("说明：甲，乙\n交易时间,商户订单号,交易状态,手续费\n1,2,3,4\n"), 2, "no format reads its columns"},
	} {
		res := readNamed(test.file, "", nil)
		var fe *FileError
		if !errors.As(res.Err, &fe) || !fe.Unknown || fe.Line != test.line || !strings.Contains(fe.Rule, test.want) {
			t.Errorf("%s: %+v, want line %d: %s", test.why, res.Err, test.line, test.want)
		}
	}
}

// FuzzSketch: any file is looked at, and a profile drafted for it, without a crash or a hang.
func FuzzSketch(f *testing.F) {
	for _, path := range formatSamples(f) {
		for name, data := range sampleDocuments(f, path) {
			f.Add(data, name)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, name string) {
		began := time.Now()
		s, ok, err := NewSketch(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			profile.Draft(name, s)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%d bytes took %s", len(data), took)
		}
	})
}
