package main

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
)

func newCheck(a *app) *cobra.Command {
	var asOf string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Re-derive every invariant from the stored facts; safe at any time",
		Long: `Derives all verdicts and explanations again from the stored facts and compares them with what is stored, and checks
what every run must hold: rows and register, keys, money, claims, explanations, cases. It changes nothing.
Notes tell of what is no violation but worth knowing: held files, rejected lines, voids without a sale, payouts that do
not tie. Exit status 1 if an invariant is broken. Verdicts of a range of business dates are written anew, from the facts,
by 'posrecon reconcile --from DATE --to DATE'.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			at, err := asOfOrLast(cmd.Context(), job, asOf)
			if errors.Is(err, pipeline.ErrNoRun) {
				fmt.Fprintln(a.stdout, "nothing to check: no run has completed yet")
				return nil
			}
			if err != nil {
				return err
			}
			release, err := postgres.Lock(cmd.Context(), a.pool, a.wait)
			if err != nil {
				return err
			}
			defer release()
			var report check.Report
			err = postgres.TransactSnapshot(cmd.Context(), a.pool, func(tx pgx.Tx) (bool, error) {
				report, err = check.Run(cmd.Context(), tx, match.Rules{AsOf: at, Zone: job.Config.Zone, Calendar: job.Calendar, Acquirers: job.Config.Acquirers})
				return false, err
			})
			if err != nil {
				return err
			}
			if a.json {
				if err := a.printJSON(report); err != nil {
					return err
				}
			} else {
				for _, f := range report.Notes {
					fmt.Fprintf(a.stdout, "note: %s: %s: %s\n", f.Invariant, f.Row, f.Detail)
				}
				for _, f := range report.Violations {
					fmt.Fprintf(a.stdout, "BROKEN: %s: %s: %s\n", f.Invariant, f.Row, f.Detail)
				}
				if report.More > 0 {
					fmt.Fprintf(a.stdout, "… and %d more\n", report.More)
				}
				fmt.Fprintf(a.stdout, "%d invariants checked, %d rows break one\n", len(report.Checked), len(report.Violations))
			}
			if len(report.Violations) > 0 {
				return fmt.Errorf("%d rows break an invariant", len(report.Violations))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "the `INSTANT` of the verdicts to compare with, RFC 3339 (default the last run's)")
	return cmd
}
