package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

var update = flag.Bool("update", false, "write testdata anew; review the difference")

// tiny is a world of one night: matched, settled with a fee, refunded, unsettled, unexpected, in dollars, and with text
// that no spreadsheet may take for a formula.
var tiny = map[string]string{
	"pos.csv": `# exported_at: 2026-11-03 00:30:00
order_id,acquirer,merchant_id,channel,amount,status,txn_time,store_id,terminal_id,type,refund_id,original_order_id,currency,ref_no,response_code,response_message
0012345678901234567890,lakala,M1,WECHAT,10.00,SUCCESS,2026-11-02 12:00:00,S1,T1,SALE,,,,000000000001,00,
=1+2,lakala,M1,ALIPAY,20.00,SUCCESS,2026-11-02T12:01:00.250+08:00,"S1, first ""floor""",+T1,SALE,,,,000000000002,00,
A3,lakala,M1,WECHAT,5.50,SUCCESS,2026-11-02 12:02:00,S1,T1,REFUND,R3,A3,,000000000003,00,
A4,lakala,M1,MEITUAN,7.00,FAILED,2026-11-02 12:03:00,S1,T1,SALE,,,,000000000004,51,余额不足
A5,lakala,M1,WECHAT,8.00,SUCCESS,2026-11-02 12:04:00,S1,T1,SALE,,,USD,000000000005,00,
A6,lakala,M1,WECHAT,0.07,SUCCESS,2026-11-03 12:05:00,S1,T1,SALE,,,,000000000006,00,
`,
	"lakala/settlement.csv": `order_id,merchant_id,amount,settle_date,status,fee,net_amount,type,refund_id,payout_id,currency
0012345678901234567890,M1,10.00,2026-11-03,SETTLED,0.04,9.96,SALE,,P1,
=1+2,M1,19.90,2026-11-03,SETTLED,0.08,19.82,SALE,,P2,
A3,M1,5.50,2026-11-03,SETTLED,0.02,5.48,REFUND,R3,P1,
X9,M1,3.00,2026-11-03,SETTLED,,,SALE,,,
`,
	"lakala/payout.csv": `payout_id,merchant_id,payout_date,amount,status,reason_code,reason
P1,M1,2026-11-03,4.48,PAID,,
P2,M1,2026-11-03,19.82,FAILED,E2014,户名不符
`,
}

// newJob returns a job on an empty database.
func newJob(t *testing.T) *pipeline.Job {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return &pipeline.Job{
		Pool: pool, Config: config.Config{Lang: "en", Zone: zone, Acquirers: recon.Acquirers{}}, Calendar: calendar.Default(),
		Log: slog.New(slog.DiscardHandler), Program: "posrecon test",
	}
}

// world runs the tiny night and returns its job and its as-of.
func world(t *testing.T) (*pipeline.Job, time.Time) {
	t.Helper()
	job := newJob(t)
	inbox := t.TempDir()
	for name, text := range tiny {
		path := filepath.Join(inbox, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	asOf := time.Date(2026, 11, 5, 12, 0, 0, 0, job.Config.Zone)
	if _, err := job.Run(t.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, AsOf: asOf}); err != nil {
		t.Fatal(err)
	}
	return job, asOf
}

func TestGolden(t *testing.T) {
	t.Parallel()
	job, asOf := world(t)
	write := func(format export.Format, lang export.Lang) []byte {
		t.Helper()
		var out bytes.Buffer
		n, err := export.Write(t.Context(), job.Pool, &out, format, export.Selection{}, job.View(asOf, lang))
		if err != nil {
			t.Fatal(err)
		}
		if n != 7 {
			t.Errorf("%s in %s: %d rows, want 7", format, lang, n)
		}
		return out.Bytes()
	}
	for _, lang := range []export.Lang{export.English, export.Chinese} {
		path := "testdata/tiny." + string(lang) + ".csv"
		got := write(export.CSV, lang)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.SplitAfter(string(want), "\n"), strings.SplitAfter(string(got), "\n")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}

		// The other formats tell the same, but for the apostrophes that only a CSV needs.
		records, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(got, []byte("\ufeff")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records[1:] {
			for i, cell := range record {
				if rest, guarded := strings.CutPrefix(cell, "'"); guarded && strings.ContainsAny(rest[:1], "=+-@") {
					record[i] = rest
				}
			}
		}
		if diff := cmp.Diff(records, fromJSONL(t, records[0], write(export.JSONL, lang))); diff != "" {
			t.Errorf("CSV (-) and JSON lines (+) in %s:\n%s", lang, diff)
		}
		if diff := cmp.Diff(records, fromXLSX(t, write(export.XLSX, lang))); diff != "" {
			t.Errorf("CSV (-) and XLSX (+) in %s:\n%s", lang, diff)
		}
		for _, format := range []export.Format{export.CSV, export.JSONL, export.XLSX} {
			if !bytes.Equal(write(format, lang), write(format, lang)) {
				t.Errorf("%s in %s: the same selection gives other bytes", format, lang)
			}
		}
	}
}

// fromJSONL returns JSON lines as the records of a CSV. It fails where a value is neither text nor null: a reader must
// not make floats of amounts.
func fromJSONL(t *testing.T, header []string, text []byte) [][]string {
	t.Helper()
	records := [][]string{header}
	for line := range bytes.Lines(text) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
			t.Fatalf("%s: %v, %v", line, token, err)
		}
		var record []string
		for i := 0; decoder.More(); i++ {
			name, err := decoder.Token()
			if err != nil {
				t.Fatal(err)
			}
			if name != header[i] {
				t.Errorf("key %d is %v, want %s", i, name, header[i])
			}
			var value *string
			if err := decoder.Decode(&value); err != nil {
				t.Fatalf("%s: %v", header[i], err)
			}
			if value == nil {
				value = new(string)
			} else if *value == "" {
				t.Errorf("%s is an empty text; what is absent is null", header[i])
			}
			record = append(record, *value)
		}
		records = append(records, record)
	}
	return records
}

// fromXLSX returns a workbook as the records of a CSV, its cells as a person sees them.
func fromXLSX(t *testing.T, data []byte) [][]string {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	records, err := book.GetRows("Sheet1")
	if err != nil {
		t.Fatal(err)
	}
	for i := range records {
		for len(records[i]) < len(records[0]) { // empty cells at the end of a row
			records[i] = append(records[i], "")
		}
	}
	return records
}

// fullWriter takes so many bytes and no more.
type fullWriter int

var errFull = errors.New("no space left on device")

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > int(*w) {
		n := int(*w)
		*w = 0
		return n, errFull
	}
	*w -= fullWriter(len(p))
	return len(p), nil
}

// An export that could not be written to its end is an error, wherever it broke off.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	job, asOf := world(t)
	for _, format := range []export.Format{export.CSV, export.JSONL, export.XLSX} {
		var whole bytes.Buffer
		if _, err := export.Write(t.Context(), job.Pool, &whole, format, export.Selection{}, job.View(asOf, export.English)); err != nil {
			t.Fatal(err)
		}
		for _, space := range []int{0, 1, whole.Len() / 2, whole.Len() - 1} {
			w := fullWriter(space)
			if _, err := export.Write(t.Context(), job.Pool, &w, format, export.Selection{}, job.View(asOf, export.English)); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d of %d bytes: %v", format, space, whole.Len(), err)
			}
		}
	}
	if _, err := export.Write(t.Context(), job.Pool, io.Discard, "pdf", export.Selection{}, job.View(asOf, export.English)); err == nil {
		t.Error("an unknown format was written")
	}
}
