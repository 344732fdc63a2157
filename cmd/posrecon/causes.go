package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/cases"
	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/pipeline"
)

func newCauses(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "causes",
		Short: "How often stated causes turned out right, and weights that learn from it",
		Long: `What the cause of an order turned out to be is known where a person said so ('cases resolve CASE --cause SUB_CAUSE') or where
what arrived later implies it: a line that came with a later file, a file that came late, a payout that was paid after all.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCausesReport(a), newCausesRefit(a), newCausesWeights(a))
	return cmd
}

func newCausesReport(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "report", Short: "How often each stated cause turned out right, by acquirer, with reliability and amounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			labels, err := cases.Labels(cmd.Context(), a.pool)
			if err != nil {
				return err
			}
			r := cases.Judge(labels)
			if a.json {
				return a.printJSON(r)
			}
			fmt.Fprintf(a.stdout, "%d orders whose cause is known: %d by a person, %d implied by what arrived\n", r.Orders, r.ByPerson, r.Orders-r.ByPerson)
			tw := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "acquirer\tstated\torders\tcause right\tsub-cause right\tamount\tof it right\tcurrency\tmost often it was")
			for _, l := range r.Lines {
				fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", l.Acquirer, l.Stated, l.Orders, l.Right, l.SubRight, l.Amount.StringFixed(2), l.AmountRight.StringFixed(2), l.Currency, l.MostOften)
			}
			if err := tw.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(tw, "stated at\torders\tmean stated\tright")
			for _, b := range r.Bins {
				fmt.Fprintf(tw, "%s\t%d\t%s\t%s\n", b.Stated, b.Orders, b.Mean, b.Right)
			}
			return tw.Flush()
		},
	}
}

func newCausesRefit(a *app) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "refit --output FILE", Short: "Write weights that take the known causes into account, for review", Args: cobra.NoArgs,
		Long: `Writes a weights file in which rates and probabilities have moved from the present ones to what the known causes say: a little
for a few orders, wholly for thousands. Nothing uses it until the configuration names it (weights: FILE); then every verdict
carries its version. Compare it with the present file first:  diff <(posrecon causes weights) FILE`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output == "" {
				return usagef("where to? say --output FILE, or - for the screen")
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			w, err := loadWeights(a.config.Weights)
			if err != nil {
				return usageError{err}
			}
			labels, err := cases.Labels(cmd.Context(), a.pool)
			if err != nil {
				return err
			}
			known := make([]classify.Labelled, len(labels))
			for i, l := range labels {
				known[i] = classify.Labelled{Features: l.Features, Rates: l.Rates, Actual: l.Actual}
			}
			text, err := w.Refit(known)
			if err != nil {
				return fmt.Errorf("refit: %w", err)
			}
			if output == "-" {
				_, err = a.stdout.Write(text)
				return err
			}
			if err := pipeline.WriteFile(output, func(w io.Writer) error {
				_, err := w.Write(text)
				return err
			}); err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"labels": len(labels), "output": output})
			}
			fmt.Fprintf(a.stdout, "%d orders whose cause is known went into %s; review it, then name it as weights: in the configuration\n", len(labels), output)
			return nil
		},
	}
	cmd.Flags().StringVar(&output, "output", "", "the `FILE` to write; - for the screen")
	return cmd
}

func newCausesWeights(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "weights", Short: "Print the weights in use", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			w, err := loadWeights(a.config.Weights)
			if err != nil {
				return usageError{err}
			}
			if a.json {
				return a.printJSON(map[string]any{"version": w.Version, "text": string(w.Text)})
			}
			_, err = a.stdout.Write(w.Text)
			return err
		},
	}
}
