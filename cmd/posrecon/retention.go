package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/retention"
)

func newRetention(a *app) *cobra.Command {
	var (
		keep, asOf, restore string
		evenOpen            bool
	)
	cmd := &cobra.Command{
		Use:   "retention --keep DAYS | --restore MONTH",
		Short: "Archive months that nobody works on any more, or bring one back",
		Long: `Moves every month that lies wholly before the kept days out of the tables that runs, exports and screens read, into
schema archive of the same database: archive.pos_row and archive.settlement_row hold the rows, archive.verdict and
archive.explanation what was decided of them, archive.plain_match the plain matches told together. No row is copied but those
of orders that reach into a month that is kept, which stay with their month's name until nothing ties them any more.

Exports, totals and 'reconcile --from' leave archived dates out. Cases and their history are kept. A month that holds open
cases, pending orders or rows that no run has decided stays, with all months after it, and it is said why. With --even-open
such a month goes and its open and pending orders stay behind: they are decided as before, but their causes are weighed
without the rest of their month.

A file that comes late and tells of archived orders brings these back by itself, for the run that decides it.

--restore brings a month back, and all archived months after it; the next run decides everything again, which takes as long
as all that is live then. As of when the days are counted is --as-of, default now.`,
		Example: "  posrecon retention --keep 400d\n  posrecon retention --restore 2025-09\n  psql -c 'SELECT count(*) FROM archive.pos_row'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			at, err := parseAsOf(asOf, time.Now())
			if err != nil {
				return err
			}
			if (keep == "") == (restore == "") {
				return usagef("give either --keep, as --keep 400d, or --restore, as --restore 2025-09")
			}
			if restore != "" {
				if evenOpen || asOf != "" {
					return usagef("--even-open and --as-of go with --keep")
				}
				month, err := recon.ParseDate(restore + "-01")
				if err != nil {
					return usagef("--restore %q is no month such as 2025-09", restore)
				}
				if err := a.open(cmd.Context()); err != nil {
					return err
				}
				report, err := retention.Restore(cmd.Context(), a.pool, month, a.wait)
				if err != nil {
					return err
				}
				return a.tellRetention(report)
			}
			days, err := retention.ParseKeep(keep)
			if err != nil {
				return usagef("--keep: %w", err)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			report, err := retention.Archive(cmd.Context(), a.pool, retention.Options{
				Before: recon.DateOf(at, a.config.Zone).AddDays(-days), EvenOpen: evenOpen, Wait: a.wait,
			})
			if err != nil {
				return err
			}
			return a.tellRetention(report)
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "how many `DAYS` stay live, such as 400d; 181d at least")
	cmd.Flags().StringVar(&asOf, "as-of", "", "the `INSTANT` from which the days are counted back, RFC 3339 (default now)")
	cmd.Flags().BoolVar(&evenOpen, "even-open", false, "archive months with open cases too; their orders stay live")
	cmd.Flags().StringVar(&restore, "restore", "", "bring back the `MONTH`, YYYY-MM, and those after it")
	return cmd
}

// tellRetention prints what was moved, and what was kept and why.
func (a *app) tellRetention(r *retention.Report) error {
	if a.json {
		return a.printJSON(r)
	}
	for _, m := range r.Archived {
		fmt.Fprintf(a.stdout, "archived %s: %d orders' rows, %d settlement lines", m.Month, m.POSRows, m.SettlementRows)
		if m.Stay > 0 {
			fmt.Fprintf(a.stdout, "; %d rows stay, tied to what is kept", m.Stay)
		}
		fmt.Fprintln(a.stdout)
	}
	for _, k := range r.Kept {
		fmt.Fprintf(a.stdout, "kept     %s: ", k.Month)
		if k.Count > 0 {
			fmt.Fprintf(a.stdout, "%d ", k.Count)
		}
		fmt.Fprintln(a.stdout, k.Reason)
	}
	for _, m := range r.Restored {
		fmt.Fprintf(a.stdout, "restored %s: %d orders' rows, %d settlement lines\n", m.Month, m.POSRows, m.SettlementRows)
	}
	switch {
	case len(r.Restored) > 0:
		fmt.Fprintln(a.stdout, "the next 'posrecon run' decides everything again")
	case len(r.Archived)+len(r.Kept) == 0:
		fmt.Fprintln(a.stdout, "nothing to archive: no live month lies before the kept days")
	}
	return nil
}
