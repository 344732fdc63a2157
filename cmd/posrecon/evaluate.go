package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/evaluate"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/simulate"
)

// evaluate judges the explanations on worlds of every family whose name holds text, from a first seed on, and prints a line for
// each.
func (a *app) evaluate(ctx context.Context, text string, first uint64, worlds int) (err error) {
	var families []simulate.Family
	for _, f := range simulate.Families() {
		if f.Name == text {
			families = []simulate.Family{f}
			break
		}
		if strings.Contains(f.Name, text) {
			families = append(families, f)
		}
	}
	if len(families) == 0 {
		return usagef("no family's name holds %q", text)
	}
	if err := a.configure(); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	pool, drop, err := evaluate.Scratch(ctx, a.url)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "posrecon-evaluation-")
	if err != nil {
		return errors.Join(err, drop(context.WithoutCancel(ctx)))
	}
	defer func() { err = errors.Join(err, drop(context.WithoutCancel(ctx)), os.RemoveAll(dir)) }()
	// The worlds are in the contract's own time zone and know no configuration.
	defaults, err := config.Load("", func(string) string { return "" })
	if err != nil {
		return err
	}
	job := &pipeline.Job{Pool: pool, Config: defaults, Calendar: calendar.Default(), Log: slog.New(slog.DiscardHandler), Program: "posrecon " + version()}

	type line struct {
		Family  string `json:"family"`
		HeldOut bool   `json:"held_out"`
		Worlds  int    `json:"worlds"`
		evaluate.Figures
		Misses []string `json:"misses"`
	}
	var lines []line
	fitted, heldOut := &evaluate.Score{}, &evaluate.Score{}
	least := map[bool]float64{false: 1, true: 1}
	mean := map[bool][]float64{}
	for _, f := range families {
		s, err := evaluate.Family(ctx, job, dir, f, first, worlds)
		if err != nil {
			return err
		}
		figures := s.Figures()
		lines = append(lines, line{f.Name, f.HeldOut, worlds, figures, s.Misses(5)})
		least[f.HeldOut] = min(least[f.HeldOut], figures.MacroF1)
		mean[f.HeldOut] = append(mean[f.HeldOut], figures.MacroF1)
		if f.HeldOut {
			heldOut.Add(s)
		} else {
			fitted.Add(s)
		}
		a.log.Info("family done", "family", f.Name, "macro_f1", fmt.Sprintf("%.3f", figures.MacroF1))
	}
	for _, all := range []struct {
		name string
		out  bool
		s    *evaluate.Score
	}{{"all fitted", false, fitted}, {"all held out", true, heldOut}} {
		if len(mean[all.out]) > 0 {
			lines = append(lines, line{all.name, all.out, worlds * len(mean[all.out]), all.s.Figures(), all.s.Misses(12)})
		}
	}
	if a.json {
		return a.printJSON(lines)
	}
	tw := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "family\torders\toutcome\tmacro-F1\tdelay\tinterface\tfrozen\tfailed\tplain rules\tmajority\tsub-cause\tECE\tworst ECE\tBrier\towed wrong\tincidents right\tfound\toverlap\tevidence\tflips")
	for _, l := range lines {
		name := l.Family
		if l.HeldOut && !strings.HasPrefix(name, "all") {
			name += " *"
		}
		f := func(cause string) string {
			if v, ok := l.F1[cause]; ok {
				return fmt.Sprintf("%.3f", v)
			}
			return "-"
		}
		fmt.Fprintf(tw, "%s\t%d\t%.4f\t%.3f\t%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f\t%.2f\t%.2f\t%.3f\t%.3f\n", name, l.Orders, l.Outcomes, l.MacroF1,
			f("delay"), f("interface_fault"), f("frozen_account"), f("failed_txn"), l.PlainMacroF1, l.MajorityMacroF1, l.Sub, l.ECE, l.ClassECE, l.Brier, l.OwedWrong,
			l.IncidentsRight, l.IncidentsFound, l.Overlap, l.Evidence, l.Flips)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, out := range []bool{false, true} {
		if n := len(mean[out]); n > 0 {
			sum := 0.0
			for _, x := range mean[out] {
				sum += x
			}
			fmt.Fprintf(a.stdout, "%s: mean macro-F1 of a family %.3f, least %.3f\n", map[bool]string{false: "fitted", true: "held out (*)"}[out], sum/float64(n), least[out])
		}
	}
	return nil
}
