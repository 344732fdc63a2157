package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// night is the files of a night, and the instant of its run.
type night struct {
	inbox, asOf     string
	pos, settlement string // where there is one of each
	orders, lines   int    // rows of these two
	bytes           int64  // of these two
}

// simulate writes a world and returns the folders of its nights.
func (b *bench) simulate(ctx context.Context, name string, args ...string) ([]string, error) {
	dir := filepath.Join(b.work, name)
	cmd := exec.CommandContext(ctx, b.posrecon, append(append([]string{"simulate", "--quiet", "--no-truth"}, args...), dir)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("simulate: %w\n%s", err, out)
	}
	nights, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return nil, err
	}
	// The names are numbers of at least two digits.
	slices.SortFunc(nights, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return nights, nil
}

// bulk writes the one night that rivals can read too.
func (b *bench) bulk(ctx context.Context, orders int, more ...string) (night, error) {
	name := fmt.Sprintf("bulk-%d%s", orders, strings.Join(more, ""))
	dir := filepath.Join(b.work, name, "01")
	if _, err := os.Stat(dir); err != nil {
		if _, err := b.simulate(ctx, name, append([]string{"--plan", "bulk", "--orders", fmt.Sprint(orders)}, more...)...); err != nil {
			return night{}, err
		}
	}
	n, err := openNight(dir)
	if err != nil {
		return n, err
	}
	for path, into := range map[string]*string{"pos-*.csv": &n.pos, "*/settlement-*.csv": &n.settlement} {
		found, _ := filepath.Glob(filepath.Join(n.inbox, path))
		if len(found) != 1 {
			return n, fmt.Errorf("%d files %s in %s", len(found), path, n.inbox)
		}
		*into = found[0]
	}
	for path, rows := range map[string]*int{n.pos: &n.orders, n.settlement: &n.lines} {
		if *rows, err = countRows(path); err != nil {
			return n, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return n, err
		}
		n.bytes += info.Size()
	}
	return n, nil
}

func openNight(dir string) (night, error) {
	asOf, err := os.ReadFile(filepath.Join(dir, "as_of"))
	return night{inbox: filepath.Join(dir, "inbox"), asOf: strings.TrimSpace(string(asOf))}, err
}

// inboxSize counts the files of an inbox and their bytes.
func inboxSize(inbox string) (files int, bytes int64, err error) {
	err = filepath.Walk(inbox, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			files, bytes = files+1, bytes+info.Size()
		}
		return err
	})
	return files, bytes, err
}

// countRows counts the lines below the header that are no metadata.
func countRows(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := -1
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return n, lines.Err()
		}
		if !bytes.HasPrefix(lines.Bytes(), []byte("#")) {
			n++
		}
	}
}

// rows calls do with each row of a CSV file and the positions of its columns.
func rows(path string, do func(row []string, at map[string]int) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.ReuseRecord = '#', true
	var at map[string]int
	for {
		row, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", path, err)
		case at == nil:
			at = map[string]int{}
			for i, name := range row {
				at[strings.TrimPrefix(name, "\ufeff")] = i
			}
			continue
		}
		if err := do(row, at); err != nil {
			return err
		}
	}
}

// figures are what one round of one program took.
type figures struct {
	seconds float64
	memory  float64 // MiB, the most that the program itself held at a time
}

func timed(cmd *exec.Cmd) (figures, error) {
	var said strings.Builder
	if cmd.Stderr == nil {
		cmd.Stderr = &said
	}
	start := time.Now()
	err := cmd.Run()
	f := figures{seconds: time.Since(start).Seconds()}
	if cmd.ProcessState != nil {
		unit := 1.0 / 1024 // a Mac counts bytes, all others kilobytes
		if runtime.GOOS == "darwin" {
			unit /= 1024
		}
		f.memory = float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) * unit
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, said.String())
	}
	return f, err
}

// report is what is used of the document that posrecon run --json prints.
type report struct {
	RowsLoaded int                `json:"rows_loaded"`
	Seconds    map[string]float64 `json:"seconds"`
	Export     string             `json:"export"`
}

// run is posrecon's night.
func (b *bench) run(ctx context.Context, database string, n night, more ...string) (figures, report, error) {
	args := []string{"run", "--quiet", "--json", "--database-url", b.server.url(database), "--inbox", n.inbox, "--as-of", n.asOf,
		"--out", filepath.Join(b.work, "out")}
	cmd := exec.CommandContext(ctx, b.posrecon, append(args, more...)...)
	var out bytes.Buffer
	cmd.Stdout = &out
	f, err := timed(cmd)
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 3 { // done, with something to look at
		err = nil
	}
	var r report
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &r)
	}
	return f, r, err
}

// flaggedIDs returns the orders of a flagged export, sorted.
func flaggedIDs(path string) ([]string, error) {
	var ids []string
	err := rows(path, func(row []string, at map[string]int) error {
		ids = append(ids, strings.Clone(row[at["order_id"]]))
		return nil
	})
	slices.Sort(ids)
	return ids, err
}
