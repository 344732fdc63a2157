package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/shopspring/decimal"
	"github.com/xuri/excelize/v2"

	"github.com/posrecon/posrecon/internal/postgres"
)

// usage ends the script where a command of ours is called the wrong way.
func usage(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

// exitCmd runs a program and requires its exit status.
func exitCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "exit STATUS PROGRAM [ARG...]")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// bareCmd writes a CSV without its byte order mark and with LF. It fails where the mark is missing or a line does not end
// in CRLF: that cmp finds no difference in the result then means that the bytes are those wanted.
func bareCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "bare CSV RESULT")
	text, ok := strings.CutPrefix(ts.ReadFile(args[0]), "\ufeff")
	if !ok {
		ts.Fatalf("%s has no byte order mark", args[0])
	}
	if crlf := strings.Count(text, "\r\n"); strings.Count(text, "\n") != crlf || strings.Count(text, "\r") != crlf || !strings.HasSuffix(text, "\r\n") {
		ts.Fatalf("%s has a line that does not end in CRLF", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.ReplaceAll(text, "\r\n", "\n")), 0o644))
}

// exportRows reads an exported CSV, each row by column.
func exportRows(ts *testscript.TestScript, file string) []map[string]string {
	rows, err := parseExport(ts.ReadFile(file))
	if err != nil {
		ts.Fatalf("%s: %v", file, err)
	}
	return rows
}

func parseExport(text string) ([]map[string]string, error) {
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff"))).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, errors.New("no header")
	}
	var rows []map[string]string
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// columnCmd prints some columns of an exported CSV, a row a line.
func columnCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "column CSV NAME...")
	for _, row := range exportRows(ts, args[0]) {
		cells := make([]string, len(args)-1)
		for i, name := range args[1:] {
			cell, ok := row[name]
			if !ok {
				ts.Fatalf("%s has no column %s", args[0], name)
			}
			cells[i] = cell
		}
		fmt.Fprintln(ts.Stdout(), strings.Join(cells, " | "))
	}
}

// totalGroup is what totals are stated by, totalSum what they state.
type totalGroup struct {
	Currency string `json:"currency"`
	Outcome  string `json:"outcome"`
	Cause    string `json:"cause"`
	SubCause string `json:"sub_cause"`
}

type totalSum struct {
	Rows     int             `json:"rows"`
	FollowUp int             `json:"needs_follow_up"`
	Due      decimal.Decimal `json:"amount_due"`
	Arrived  decimal.Decimal `json:"amount_arrived"`
	Owed     decimal.Decimal `json:"amount_owed"`
	Excess   decimal.Decimal `json:"amount_excess"`
}

// totalsCmd requires that the totals of a --json document are the sums of an exported CSV.
func totalsCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "totals DOCUMENT CSV")
	var document struct {
		Totals []struct {
			totalGroup
			totalSum
		} `json:"totals"`
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(decoder.Decode(&document))
	if decoder.More() {
		ts.Fatalf("%s holds more than one JSON document", args[0])
	}
	stated := map[totalGroup]totalSum{}
	for _, t := range document.Totals {
		if _, twice := stated[t.totalGroup]; twice {
			ts.Fatalf("%s states %+v twice", args[0], t.totalGroup)
		}
		stated[t.totalGroup] = t.totalSum
	}
	summed := map[totalGroup]totalSum{}
	for _, row := range exportRows(ts, args[1]) {
		g := totalGroup{row["currency"], row["outcome"], row["cause"], row["sub_cause"]}
		sum := summed[g]
		sum.Rows++
		if row["needs_follow_up"] == "true" {
			sum.FollowUp++
		}
		for column, total := range map[string]*decimal.Decimal{
			"amount_due": &sum.Due, "amount_arrived": &sum.Arrived, "amount_owed": &sum.Owed, "amount_excess": &sum.Excess,
		} {
			amount, err := decimal.NewFromString(row[column])
			ts.Check(err)
			*total = total.Add(amount)
		}
		summed[g] = sum
	}
	if diff := cmp.Diff(summed, stated); diff != "" { // decimal's Equal method compares
		ts.Fatalf("the totals of %s are not the sums of %s (-sums +totals):\n%s", args[0], args[1], diff)
	}
}

// xlsxCmd prints columns of a workbook's first sheet, a cell a line: column, text or number, value. It fails where a cell
// is a formula.
func xlsxCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "xlsx WORKBOOK COLUMN...")
	data := []byte(ts.ReadFile(args[0]))
	if !bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		ts.Fatalf("%s does not begin as a ZIP archive does", args[0])
	}
	book, err := excelize.OpenReader(bytes.NewReader(data))
	ts.Check(err)
	defer book.Close()
	sheet, raw := book.GetSheetName(0), excelize.Options{RawCellValue: true}
	rows, err := book.GetRows(sheet, raw)
	ts.Check(err)
	if len(rows) == 0 {
		ts.Fatalf("%s has no header", args[0])
	}
	for _, want := range args[1:] {
		at := slices.Index(rows[0], want)
		if at < 0 {
			ts.Fatalf("%s has no column %s", args[0], want)
		}
		for n := range rows[1:] {
			ref, err := excelize.CoordinatesToCellName(at+1, n+2)
			ts.Check(err)
			formula, err := book.GetCellFormula(sheet, ref)
			ts.Check(err)
			kind, err := book.GetCellType(sheet, ref)
			ts.Check(err)
			value, err := book.GetCellValue(sheet, ref, raw)
			ts.Check(err)
			name := map[excelize.CellType]string{
				excelize.CellTypeInlineString: "text", excelize.CellTypeSharedString: "text",
				excelize.CellTypeNumber: "number", excelize.CellTypeUnset: "number", // a number needs no mark
			}[kind]
			if name == "" || formula != "" {
				ts.Fatalf("%s: cell %s is neither text nor a number (type %d, formula %q)", args[0], ref, kind, formula)
			}
			fmt.Fprintln(ts.Stdout(), want, name, value)
		}
	}
}

// sqlCmd prints what a query selects, a row a line.
func sqlCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "sql STATEMENT")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, ts.Getenv("POSRECON_DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, args[0], pgx.QueryExecModeSimpleProtocol)
	ts.Check(err)
	defer rows.Close()
	for rows.Next() {
		var cells []string
		for _, cell := range rows.RawValues() {
			cells = append(cells, string(cell))
		}
		fmt.Fprintln(ts.Stdout(), strings.Join(cells, " | "))
	}
	ts.Check(rows.Err())
}

// heldLock is the lock of a run that a script holds.
type heldLock struct {
	pool    *pgxpool.Pool
	release func()
}

type lockKey struct{}

func (l *heldLock) end() {
	if l.pool != nil {
		l.release()
		l.pool.Close()
		l.pool = nil
	}
}

// lockCmd takes the lock of a run, as another posrecon would, until unlock or the end of the script.
func lockCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "lock")
	l := ts.Value(lockKey{}).(*heldLock)
	ctx := context.Background()
	var err error
	l.pool, err = postgres.Open(ctx, ts.Getenv("POSRECON_DATABASE_URL"))
	ts.Check(err)
	l.release, err = postgres.Lock(ctx, l.pool, 0)
	if err != nil {
		l.pool.Close()
		l.pool = nil
		ts.Fatalf("%v", err)
	}
	ts.Defer(l.end)
}

// unlockCmd releases what lock took.
func unlockCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "unlock")
	ts.Value(lockKey{}).(*heldLock).end()
}

// waitingCmd returns once somebody waits for the lock that the script holds.
func waitingCmd(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 0, "waiting")
	l := ts.Value(lockKey{}).(*heldLock)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for waiting := false; !waiting; {
		// The server is asked until it says so; there is nothing that would tell us.
		ts.Check(l.pool.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
			                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))`).Scan(&waiting))
	}
}
