package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// columns returns the columns of a file with the types that somebody who knows the file would give them.
func columns(path string) ([][2]string, error) {
	var names []string
	data := make([]byte, 8192) // the header is among the first lines
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	n, err := f.Read(data)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(data[:n]) {
		if line[0] != '#' {
			names = strings.Split(strings.TrimSpace(string(line)), ",")
			break
		}
	}
	var typed [][2]string
	for _, name := range names {
		kind := "text"
		switch {
		case strings.HasSuffix(name, "amount") || name == "fee":
			kind = "numeric(18,2)"
		case strings.HasSuffix(name, "_time"):
			kind = "timestamp"
		case strings.HasSuffix(name, "_date"):
			kind = "date"
		}
		typed = append(typed, [2]string{name, kind})
	}
	return typed, nil
}

type table struct{ name, path string }

func (n night) tables() []table { return []table{{"p", n.pos}, {"s", n.settlement}} }

// joined and unmatched are the same for every database: what has a line, and what has none.
const (
	joined = `CREATE TABLE j AS SELECT p.order_id, p.amount, p.status, s.order_id AS s_order_id, s.amount AS s_amount, s.status AS s_status
		FROM p FULL JOIN s USING (order_id, merchant_id, type, amount)`
	unmatched = `SELECT * FROM j WHERE order_id IS NULL OR s_order_id IS NULL`
)

// psqlScript is what a good DBA would write by hand: \copy of both files into plain tables, ANALYZE, FULL JOIN into a table,
// \copy of the unmatched out.
func psqlScript(n night, out string) (string, error) {
	var s strings.Builder
	for _, t := range n.tables() {
		typed, err := columns(t.path)
		if err != nil {
			return "", err
		}
		var defs []string
		for _, c := range typed {
			defs = append(defs, c[0]+" "+c[1])
		}
		fmt.Fprintf(&s, "CREATE TABLE %s (%s);\n\\copy %s FROM PROGRAM 'grep -v \"^#\" %s' WITH (FORMAT csv, HEADER true)\nANALYZE %s;\n",
			t.name, strings.Join(defs, ", "), t.name, t.path, t.name)
	}
	fmt.Fprintf(&s, "%s;\n\\copy (%s) TO '%s' WITH (FORMAT csv, HEADER true)\n", strings.ReplaceAll(joined, "\n", " "), unmatched, out)
	return s.String(), nil
}

// duckStatements are the same steps for DuckDB, which gathers statistics as it loads.
func duckStatements(n night, out string) ([]string, error) {
	var all []string
	for _, t := range n.tables() {
		typed, err := columns(t.path)
		if err != nil {
			return nil, err
		}
		var defs []string
		for _, c := range typed {
			defs = append(defs, fmt.Sprintf("'%s': '%s'", c[0], c[1]))
		}
		all = append(all, fmt.Sprintf(`CREATE TABLE %s AS SELECT * FROM read_csv('%s', auto_detect = false, delim = ',', quote = '"', comment = '#', header = true, columns = {%s})`,
			t.name, t.path, strings.Join(defs, ", ")))
	}
	return append(all, joined, fmt.Sprintf("COPY (%s) TO '%s' (FORMAT csv, HEADER)", unmatched, out)), nil
}

var (
	//go:embed duckdb.mjs
	duckProgram []byte
	//go:embed package.json
	duckPackage []byte
)

// fetchDuckDB installs DuckDB's npm package into a folder, and returns why it could not.
func fetchDuckDB(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{"duckdb.mjs": duckProgram, "package.json": duckPackage} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
	npm.Dir = dir
	for _, cmd := range []*exec.Cmd{npm, exec.CommandContext(ctx, "node", filepath.Join(dir, "duckdb.mjs"), ":memory:", "2", "SELECT 1")} {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, out)
		}
	}
	return nil
}

// unmatchedIDs returns the orders that a rival found no line for, and the lines without an order, sorted.
func unmatchedIDs(path string) ([]string, error) {
	var ids []string
	err := rows(path, func(row []string, at map[string]int) error {
		ids = append(ids, strings.Clone(cmp.Or(row[at["order_id"]], row[at["s_order_id"]])))
		return nil
	})
	slices.Sort(ids)
	return ids, err
}

type entry struct {
	id     string
	amount decimal.Decimal
}

func entries(path string) ([]entry, error) {
	var all []entry
	err := rows(path, func(row []string, at map[string]int) error {
		amount, err := decimal.NewFromString(row[at["amount"]])
		all = append(all, entry{strings.Clone(row[at["order_id"]]), amount})
		return err
	})
	return all, err
}

// nestedLoop reconciles as most open code does: it looks through the settlement lines for each order. It returns the orders
// without a line.
func nestedLoop(pos, settlement string) ([]string, error) {
	orders, err := entries(pos)
	if err != nil {
		return nil, err
	}
	lines, err := entries(settlement)
	if err != nil {
		return nil, err
	}
	var missing []string
next:
	for _, order := range orders {
		for i := range lines {
			if lines[i].id == order.id && lines[i].amount.Equal(order.amount) {
				continue next
			}
		}
		missing = append(missing, order.id)
	}
	slices.Sort(missing)
	return missing, nil
}
