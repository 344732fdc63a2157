// Command bench is what testdata/bench/run builds and runs; its usage is there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type bench struct {
	work     string // a folder of our own, which goes at the end
	posrecon string
	rounds   int
	server   *server
}

func main() {
	if len(os.Args) < 2 {
		usage()
		os.Exit(2)
	}
	work := os.Args[1] // with the program posrecon in it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := realMain(ctx, work, os.Args[2:])
	if rerr := os.RemoveAll(work); err == nil {
		err = rerr
	}
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	case errors.Is(err, errUsage):
		usage()
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: testdata/bench/run [--rounds N] [night|loop|again|export|flagged|scale|history] [ARGUMENTS]; its first lines say more")
}

var errUsage = errors.New("wrong usage")

func realMain(ctx context.Context, work string, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	rounds := flags.Int("rounds", 5, "")
	if err := flags.Parse(args); err != nil || *rounds < 1 {
		return errUsage
	}
	args = flags.Args()
	mode := ""
	if len(args) > 0 {
		mode, args = args[0], args[1:]
	}
	defaults, ok := map[string][]float64{"": {}, "night": {1e6}, "loop": {0}, "again": {}, "export": {1e6}, "flagged": {4e5}, "scale": {1e6, 1e7}, "history": {2e6, 1, 2e5}}[mode]
	if !ok || len(args) > len(defaults) {
		return errUsage
	}
	numbers := slices.Clone(defaults)
	for i, arg := range args {
		n, err := strconv.ParseFloat(arg, 64)
		if err != nil || n <= 0 || mode == "loop" && n <= 20_000 {
			return errUsage
		}
		numbers[i] = n
	}
	if _, err := exec.LookPath("psql"); err != nil {
		return fmt.Errorf("psql is needed: %w", err)
	}
	b := &bench{work: work, posrecon: filepath.Join(work, "posrecon"), rounds: *rounds}
	var err error
	if b.server, err = startServer(ctx, filepath.Join(work, "pg")); err != nil {
		return err
	}
	defer b.server.stop()
	number := func(i int) int { return int(numbers[i]) }
	switch mode {
	case "":
		if err := b.night(ctx, 1e6); err != nil {
			return err
		}
		fmt.Println()
		return b.loop(ctx, 0)
	case "night":
		return b.night(ctx, number(0))
	case "loop":
		return b.loop(ctx, number(0))
	case "again":
		return b.again(ctx)
	case "export":
		return b.export(ctx, number(0))
	case "flagged":
		return b.flagged(ctx, number(0))
	case "scale":
		return b.scale(ctx, number(0), number(1))
	default:
		return b.history(ctx, number(0), numbers[1], number(2))
	}
}

// median returns the median of what of takes out of each.
func median[T any](all []T, of func(T) float64) float64 {
	var values []float64
	for _, v := range all {
		values = append(values, of(v))
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

func seconds(f figures) float64 { return f.seconds }

func memory(all []figures) float64 {
	most := 0.0
	for _, f := range all {
		most = max(most, f.memory)
	}
	return most
}

func fastest(all []figures) float64 {
	least := math.Inf(1)
	for _, f := range all {
		least = min(least, f.seconds)
	}
	return least
}

// spread tells the fastest and the slowest round.
func spread(all []figures) string {
	most := 0.0
	for _, f := range all {
		most = max(most, f.seconds)
	}
	return fmt.Sprintf("%.2f to %.2f", fastest(all), most)
}

func stage(reports []report, name string) float64 {
	return median(reports, func(r report) float64 { return r.Seconds[name] })
}

// stages tells what posrecon's stages took, in the order in which they run; explaining is a part of deciding.
func stages(reports []report) string {
	names := []string{"ingest", "decide", "explain", "export"}
	for name := range reports[0].Seconds {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[4:])
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s %.2f s", name, stage(reports, name)))
	}
	return strings.Join(parts, ", ")
}

// night is posrecon beside its rivals, in turn on the same files.
func (b *bench) night(ctx context.Context, orders int) error {
	if _, err := exec.LookPath("grep"); err != nil {
		return fmt.Errorf("grep is needed: %w", err)
	}
	n, err := b.bulk(ctx, orders)
	if err != nil {
		return err
	}
	type rival struct {
		name string
		run  func() (figures, []string, error)
		took []figures
	}
	out := filepath.Join(b.work, "rival.csv")
	script, err := psqlScript(n, out)
	if err != nil {
		return err
	}
	all := []*rival{{name: "psql script", run: func() (figures, []string, error) {
		if err := b.server.fresh(ctx, "rival", "template0"); err != nil {
			return figures{}, nil, err
		}
		cmd := b.server.psql(ctx, "rival", "-f", "-")
		cmd.Stdin = strings.NewReader(script)
		f, err := timed(cmd)
		if err != nil {
			return f, nil, err
		}
		ids, err := unmatchedIDs(out)
		return f, ids, err
	}}}
	duck := filepath.Join(b.work, "duckdb")
	if err := fetchDuckDB(ctx, duck); err != nil {
		if ctx.Err() != nil {
			return err
		}
		fmt.Printf("DuckDB cannot be had, so it goes on without it: %v\n", err)
	} else {
		statements, err := duckStatements(n, out)
		if err != nil {
			return err
		}
		all = append(all, &rival{name: "DuckDB", run: func() (figures, []string, error) {
			database := filepath.Join(duck, "night.db")
			for _, old := range []string{database, database + ".wal"} {
				if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
					return figures{}, nil, err
				}
			}
			f, err := timed(exec.CommandContext(ctx, "node", append([]string{filepath.Join(duck, "duckdb.mjs"), database, "2"}, statements...)...))
			if err != nil {
				return f, nil, err
			}
			ids, err := unmatchedIDs(out)
			return f, ids, err
		}})
	}
	var reports []report
	ours := &rival{name: "posrecon run", run: func() (figures, []string, error) {
		if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
			return figures{}, nil, err
		}
		f, r, err := b.run(ctx, "ours", n)
		if err != nil {
			return f, nil, err
		}
		reports = append(reports, r)
		ids, err := flaggedIDs(r.Export)
		return f, ids, err
	}}
	all = append(all, ours)

	for round := range b.rounds {
		var answer []string
		for i, r := range all {
			took, ids, err := r.run()
			if err != nil {
				return err
			}
			r.took = append(r.took, took)
			if i == 0 {
				answer = ids
			} else if !slices.Equal(answer, ids) {
				return fmt.Errorf("round %d: %s flags %d orders, %s %d, and they are not the same", round+1, all[0].name, len(answer), r.name, len(ids))
			}
		}
		if round == 0 {
			fmt.Printf("%d orders and %d settlement lines, %.0f MB; all flag the same %d; %d rounds in turn\n\n", n.orders, n.lines, float64(n.bytes)/1e6, len(answer), b.rounds)
		}
	}
	// The fastest rounds are those that other work on the machine has disturbed least.
	fmt.Printf("%-14s %9s %16s %10s %7s %10s %15s %8s\n", "", "median s", "from … to", "rows/s", "MB/s", "memory MiB", "posrecon takes", "at best")
	mine, best := median(ours.took, seconds), fastest(ours.took)
	for _, r := range all {
		s := median(r.took, seconds)
		held := fmt.Sprintf("%.0f", memory(r.took))
		if r == all[0] {
			held = "-" // it holds nothing itself: the server does the work
		}
		fmt.Printf("%-14s %9.2f %16s %10.0f %7.1f %10s %13.2f × %6.2f ×\n", r.name, s, spread(r.took), float64(n.orders+n.lines)/s, float64(n.bytes)/1e6/s, held,
			mine/s, best/fastest(r.took))
	}
	_, size, err := inboxSize(n.inbox)
	if err != nil {
		return err
	}
	rows, ingest, decide := float64(reports[0].RowsLoaded), stage(reports, "ingest"), stage(reports, "decide")
	fmt.Printf("\nposrecon's stages: %s\ningest, payouts too: %.0f rows/s, %.1f MB/s; decide: %.0f rows/s\n", stages(reports), rows/ingest, float64(size)/1e6/ingest, rows/decide)
	return nil
}

// loop compares with the nested loop, which has no server to start and nothing to keep: it wins while a night is small. Where large is
// not 0, it goes over so many orders too, once, for it takes its time.
func (b *bench) loop(ctx context.Context, large int) error {
	sizes := []int{5_000, 20_000, 200_000, 1_000_000}
	if large > 0 && !slices.Contains(sizes, large) {
		sizes = append(sizes, large)
		slices.Sort(sizes)
	}
	loops, ours := map[int][]figures{}, map[int][]figures{}
	for round := range b.rounds {
		for _, size := range sizes {
			n, err := b.bulk(ctx, size)
			if err != nil {
				return err
			}
			if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
				return err
			}
			f, r, err := b.run(ctx, "ours", n)
			if err != nil {
				return err
			}
			ours[size] = append(ours[size], f)
			if size > 20_000 && (size != large || round > 0) {
				continue
			}
			start := time.Now()
			missing, err := nestedLoop(n.pos, n.settlement)
			if err != nil {
				return err
			}
			loops[size] = append(loops[size], figures{seconds: time.Since(start).Seconds()})
			if flagged, err := flaggedIDs(r.Export); err != nil {
				return err
			} else if !slices.Equal(missing, flagged) {
				return fmt.Errorf("round %d: the nested loop misses %d of %d orders, posrecon flags %d, and they are not the same", round+1, len(missing), size, len(flagged))
			}
		}
	}
	fmt.Printf("The nested loop, in Go and in memory, beside posrecon run; medians of %d, of the loop over more than 20000 orders one round; seconds\n\n%10s %12s %12s %22s\n", b.rounds, "orders", "nested loop", "posrecon", "loop takes")
	for _, size := range sizes {
		o := median(ours[size], seconds)
		if loops[size] == nil {
			fmt.Printf("%10d %12s %12.2f\n", size, "", o)
			continue
		}
		l := median(loops[size], seconds)
		fmt.Printf("%10d %12.2f %12.2f %20.2f ×\n", size, l, o, l/o)
	}
	exponent := func(of map[int][]figures, from, to int) float64 {
		return math.Log(median(of[to], seconds)/median(of[from], seconds)) / math.Log(float64(to)/float64(from))
	}
	fmt.Printf("\nexponent of growth, ln(t2/t1) / ln(n2/n1): nested loop %.2f from 5000 to 20000; posrecon %.2f from 20000 to 200000, %.2f from 200000 to 1000000\n",
		exponent(loops, 5_000, 20_000), exponent(ours, 20_000, 200_000), exponent(ours, 200_000, 1_000_000))
	return nil
}

// again runs on an inbox of which every file is known.
func (b *bench) again(ctx context.Context) error {
	// A hundred and fifty days of three acquirers are a little more than a thousand files.
	nights, err := b.simulate(ctx, "again", "--plan", "quiet", "--nights", "150", "--orders", "3700", "--start", "2026-03-02")
	if err != nil {
		return err
	}
	last, err := openNight(nights[len(nights)-1])
	if err != nil {
		return err
	}
	last.inbox = filepath.Join(b.work, "inbox")
	if err := os.Mkdir(last.inbox, 0o755); err != nil {
		return err
	}
	for _, dir := range nights {
		if err := os.Rename(filepath.Join(dir, "inbox"), filepath.Join(last.inbox, filepath.Base(dir))); err != nil {
			return err
		}
	}
	files, size, err := inboxSize(last.inbox)
	if err != nil {
		return err
	}
	if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
		return err
	}
	first, r, err := b.run(ctx, "ours", last)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(r.Export)
	if err != nil {
		return err
	}
	fmt.Printf("%d files, %.0f MB, %d rows: the first run takes %.2f s\n", files, float64(size)/1e6, r.RowsLoaded, first.seconds)
	var took []figures
	var reports []report
	for range b.rounds {
		f, r, err := b.run(ctx, "ours", last)
		if err != nil {
			return err
		}
		if after, err := os.ReadFile(r.Export); err != nil {
			return err
		} else if string(before) != string(after) || r.RowsLoaded != 0 {
			return fmt.Errorf("the same run again loads %d rows, or flags otherwise", r.RowsLoaded)
		}
		took, reports = append(took, f), append(reports, r)
	}
	fmt.Printf("the same run again: median %.2f s of %d (%s), peak memory %.0f MiB: %s\n", median(took, seconds), b.rounds, spread(took), memory(took), stages(reports))
	return nil
}

// export writes all rows of a night.
func (b *bench) export(ctx context.Context, orders int) error {
	n, err := b.bulk(ctx, orders)
	if err != nil {
		return err
	}
	if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
		return err
	}
	if _, _, err := b.run(ctx, "ours", n); err != nil {
		return err
	}
	formats := []string{"csv", "xlsx"}
	took := map[string][]figures{}
	for range b.rounds {
		for _, format := range formats {
			f, err := timed(exec.CommandContext(ctx, b.posrecon, "export", "--quiet", "--database-url", b.server.url("ours"), "--scope", "all",
				"--format", format, "--output", filepath.Join(b.work, "all."+format)))
			if err != nil {
				return err
			}
			took[format] = append(took[format], f)
		}
	}
	written, err := countRows(filepath.Join(b.work, "all.csv"))
	if err != nil {
		return err
	}
	if written < n.orders {
		return fmt.Errorf("%d rows of %d orders are exported", written, n.orders)
	}
	for _, format := range formats {
		info, err := os.Stat(filepath.Join(b.work, "all."+format))
		if err != nil {
			return err
		}
		s := median(took[format], seconds)
		fmt.Printf("export --scope all as %-5s %d rows, %.0f MB: median %.2f s of %d (%s), %.0f rows/s, peak memory %.0f MiB\n", format+",", written,
			float64(info.Size())/1e6, s, b.rounds, spread(took[format]), float64(written)/s, memory(took[format]))
	}
	return nil
}

// flagged explains a night on which everything goes wrong.
func (b *bench) flagged(ctx context.Context, orders int) error {
	nights, err := b.simulate(ctx, "storm", "--plan", "storm", "--orders", fmt.Sprint(orders))
	if err != nil {
		return err
	}
	n, err := openNight(nights[0])
	if err != nil {
		return err
	}
	var took []figures
	var reports []report
	for range b.rounds {
		if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
			return err
		}
		f, r, err := b.run(ctx, "ours", n)
		if err != nil {
			return err
		}
		took, reports = append(took, f), append(reports, r)
	}
	flagged, err := countRows(reports[0].Export)
	if err != nil {
		return err
	}
	explain := stage(reports, "explain")
	fmt.Printf("%d orders, %d flagged: run median %.2f s of %d (%s), peak memory %.0f MiB: %s\n", orders, flagged, median(took, seconds), b.rounds, spread(took), memory(took), stages(reports))
	fmt.Printf("explain %.2f s per 100000 flagged\n", explain*1e5/float64(flagged))
	return nil
}

// scale tells how time and memory grow with a night.
func (b *bench) scale(ctx context.Context, small, large int) error {
	took := map[int][]figures{}
	for range b.rounds {
		for _, size := range []int{small, large} {
			n, err := b.bulk(ctx, size)
			if err != nil {
				return err
			}
			if err := b.server.fresh(ctx, "ours", "template0"); err != nil {
				return err
			}
			f, r, err := b.run(ctx, "ours", n)
			if err != nil {
				return err
			}
			took[size] = append(took[size], f)
			fmt.Printf("%10d orders: %8.2f s, %10.0f rows/s, peak memory of the program %.0f MiB: %s\n", size, f.seconds, float64(n.orders+n.lines)/f.seconds, f.memory, stages([]report{r}))
		}
	}
	s, l := median(took[small], seconds), median(took[large], seconds)
	fmt.Printf("%d orders take %.2f × the time of %d (medians of %d), exponent %.2f, and %.2f × the memory\n", large, l/s, small, b.rounds,
		math.Log(l/s)/math.Log(float64(large)/float64(small)), memory(took[large])/memory(took[small]))
	return nil
}

// history runs one night on a database of earlier nights and on an empty one.
func (b *bench) history(ctx context.Context, matched int, open float64, aNight int) error {
	const (
		orders = 200_000
		day    = "2026-11-02" // a Monday: what was sold before it is due by then, what is sold on it on the next day
	)
	start, _ := time.Parse(time.DateOnly, day)
	days := max(1, int(math.Round(float64(matched)/float64(aNight))))
	// 1.5 in 100 of the plan's orders never settle; what comes a few days late is there by the last night.
	nights, err := b.simulate(ctx, "history", "--plan", "bulk", "--orders", fmt.Sprint(aNight), "--nights", fmt.Sprint(days), "--seed", "2",
		"--start", start.AddDate(0, 0, -days).Format(time.DateOnly), "--base", fmt.Sprintf("%.0f", open/1.5*100))
	if err != nil {
		return err
	}
	if err := b.server.fresh(ctx, "history", "template0"); err != nil {
		return err
	}
	loading := time.Now()
	for _, dir := range nights {
		n, err := openNight(dir)
		if err != nil {
			return err
		}
		if _, _, err := b.run(ctx, "history", n); err != nil {
			return err
		}
		if err := os.RemoveAll(dir); err != nil { // it would be many gigabytes
			return err
		}
	}
	// A day lies between two nights, in which a server has long cleaned up after the last one.
	if err := b.server.sql(ctx, "history", "VACUUM ANALYZE"); err != nil {
		return err
	}
	held, err := b.server.ask(ctx, "history", "SELECT count(*) FILTER (WHERE outcome = 'matched') || ' matched and ' || count(*) FILTER (WHERE outcome <> 'matched') || ' open orders, ' "+
		"|| pg_size_pretty(pg_database_size(current_database())) FROM decided")
	if err != nil {
		return err
	}
	fmt.Printf("history: %s, made by %d nights in %.0f s\n", held, len(nights), time.Since(loading).Seconds())

	n, err := b.bulk(ctx, orders, "--start", day)
	if err != nil {
		return err
	}
	from := []string{"template0", "history"}
	took, reports := map[string][]figures{}, map[string][]report{}
	for round := range b.rounds {
		var answer []string
		for _, template := range from {
			if err := b.server.fresh(ctx, "ours", template); err != nil {
				return err
			}
			f, r, err := b.run(ctx, "ours", n, "--from", day, "--to", day)
			if err != nil {
				return err
			}
			took[template], reports[template] = append(took[template], f), append(reports[template], r)
			ids, err := flaggedIDs(r.Export)
			if err != nil {
				return err
			}
			if template == from[0] {
				answer = ids
			} else if !slices.Equal(answer, ids) {
				return fmt.Errorf("round %d: the night flags %d orders on an empty database and %d on the other, and they are not the same", round+1, len(answer), len(ids))
			}
		}
	}
	for _, template := range from {
		what := map[string]string{"template0": "an empty database", "history": "this history"}[template]
		fmt.Printf("a night of %d orders on %-18s median %.2f s of %d (%s), peak memory %.0f MiB: %s\n", orders, what+":", median(took[template], seconds), b.rounds,
			spread(took[template]), memory(took[template]), stages(reports[template]))
	}
	fmt.Printf("ratio %.2f\n", median(took["history"], seconds)/median(took["template0"], seconds))
	return nil
}
