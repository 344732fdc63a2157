package statement

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

var shanghai = func() *time.Location {
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		panic(err)
	}
	return zone
}()

// result is a file, read to its end.
type result struct {
	Kind    recon.Kind
	Columns []string
	Meta    Meta
	Records []Record // copies: none shares memory with the reader
	Totals  Totals
	Seen    Seen
	Err     error // of Open, or of Next if not io.EOF
	About   About
	Untied  string
	Remark  string
}

func readAll(src io.Reader) result { return readNamed(src, "", nil) }

func readNamed(src io.Reader, name string, profiles []*profile.Profile) result {
	r, err := Open(src, Options{Zone: shanghai, Name: name, Profiles: profiles})
	if err != nil {
		return result{Err: err}
	}
	defer r.Close()
	res := result{Kind: r.Kind(), Columns: r.Columns(), Meta: r.Meta()}
	for {
		rec, err := r.Next()
		if err != nil {
			res.Totals, res.Seen = r.Totals(), r.Seen()
			res.About, res.Untied, res.Remark = r.About(), r.Untied(), r.Remark()
			if err != io.EOF {
				res.Err = err
			}
			return res
		}
		res.Records = append(res.Records, clone(rec))
	}
}

// clone copies what a record points to, as a caller that keeps it must.
func clone(rec Record) Record {
	if rec.POS != nil {
		v := *rec.POS
		rec.POS = &v
	}
	if rec.Settlement != nil {
		v := *rec.Settlement
		rec.Settlement = &v
	}
	if rec.Payout != nil {
		v := *rec.Payout
		rec.Payout = &v
	}
	if rec.Bank != nil {
		v := *rec.Bank
		rec.Bank = &v
	}
	if rec.Reject != nil {
		v := *rec.Reject
		rec.Reject = &v
	}
	return rec
}

// rejects returns the rejects as "line field value: rule".
func (res result) rejects() []string {
	var lines []string
	for _, rec := range res.Records {
		if rej := rec.Reject; rej != nil {
			lines = append(lines, fmt.Sprintf("%d %s %q: %s", rej.Line, rej.Field, rej.Value, rej.Rule))
		}
	}
	return lines
}

// accepted returns the lines of the accepted rows.
func (res result) accepted() []int {
	var lines []int
	for _, rec := range res.Records {
		if rec.Reject == nil {
			lines = append(lines, rec.Line)
		}
	}
	return lines
}

// mustRead reads a file that Open and Next accept.
func mustRead(t *testing.T, text string) result {
	t.Helper()
	res := readAll(strings.NewReader(text))
	if res.Err != nil {
		t.Fatalf("%v in\n%s", res.Err, text)
	}
	return res
}

// fileError reads a file that is refused, and returns why.
func fileError(t *testing.T, text string) *FileError {
	t.Helper()
	res := readAll(strings.NewReader(text))
	var fe *FileError
	if !errors.As(res.Err, &fe) {
		t.Fatalf("error %v, want a FileError, of\n%.200q", res.Err, text)
	}
	return fe
}

// describe writes a result as one JSON document per line, without what is empty.
func (res result) describe() string {
	var b bytes.Buffer
	line := func(v map[string]any) {
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		b.Write(append(text, '\n'))
	}
	if res.About.Format != "" && res.About.Format != "canonical" {
		line(map[string]any{"format": res.About.Format, "status": res.About.Status, "encoding": res.About.Encoding, "unused": strings.Join(res.About.Unused, ",")})
	}
	if res.Kind != "" {
		line(map[string]any{"kind": res.Kind, "columns": strings.Join(res.Columns, ","), "meta": fields(res.Meta)})
	}
	for _, rec := range res.Records {
		switch {
		case rec.POS != nil:
			line(map[string]any{"pos": fields(*rec.POS)})
		case rec.Settlement != nil:
			line(map[string]any{"settlement": fields(*rec.Settlement)})
		case rec.Payout != nil:
			line(map[string]any{"payout": fields(*rec.Payout)})
		case rec.Bank != nil:
			line(map[string]any{"bank": fields(*rec.Bank)})
		case rec.Reject != nil:
			line(map[string]any{"reject": fields(*rec.Reject)})
		}
	}
	if res.Untied != "" || res.Remark != "" {
		line(map[string]any{"untied": res.Untied, "remark": res.Remark})
	}
	if res.Err != nil {
		line(map[string]any{"error": res.Err.Error()})
	} else {
		line(map[string]any{"totals": fields(res.Totals), "seen": fields(res.Seen)})
	}
	return b.String()
}

// fields returns the fields of a struct that are not zero, by name, as a person writes them.
func fields(v any) map[string]any {
	out := make(map[string]any)
	rv := reflect.ValueOf(v)
	for i := range rv.NumField() {
		name := rv.Type().Field(i).Name
		switch f := rv.Field(i).Interface().(type) {
		case decimal.Decimal:
			out[name] = f.String()
			if f.Exponent() < 0 {
				out[name] = f.StringFixed(-f.Exponent())
			}
		case decimal.NullDecimal:
			if f.Valid {
				out[name] = f.Decimal.String()
			}
		case *decimal.Decimal:
			if f != nil {
				out[name] = f.StringFixed(2)
			}
		case *int64:
			if f != nil {
				out[name] = *f
			}
		case time.Time:
			if !f.IsZero() {
				out[name] = f.Format(time.RFC3339Nano)
			}
		case fmt.Stringer: // recon.Date, recon.Cycle
			if f.String() != "" {
				out[name] = f.String()
			}
		case []MetaEntry:
			for _, e := range f {
				out[fmt.Sprintf("line %d", e.Line)] = e.Key + ": " + e.Value
			}
		default:
			if !rv.Field(i).IsZero() {
				out[name] = f
			}
		}
	}
	return out
}

// rejectf is how rejects writes a reject of a line as a whole.
func rejectf(line int, rule string) string { return fmt.Sprintf("%d  \"\": %s", line, rule) }

var newYork = func() *time.Location {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	return zone
}()
