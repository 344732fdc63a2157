package main

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/pipeline"
)

// rehashUsage is what --rehash does, of each verb that has it.
const rehashUsage = "read every file, also one whose path, size, times and inode are those of a file that was read before"

func newRun(a *app) *cobra.Command {
	var (
		inbox, out, asOf string
		rehash           bool
		dates            rangeFlags
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "The nightly job: load what is new, match, explain, update cases, export",
		Long: `Loads every new file of the inbox, decides all that is new or open, explains it, updates the cases and, with --out,
writes posrecon_flagged_<as-of date>.csv. The inbox is only read: nothing in it is moved, renamed or deleted.

With --from and --to the summary and the export tell of those business dates; the whole inbox is loaded all the same.
An --as-of earlier than the last run's shows its result and changes no case and no stored verdict.`,
		Example: "  posrecon run --inbox ./inbox --out ./out\n  posrecon run --inbox ./inbox --as-of 2026-11-03T12:00:00+08:00",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := dates.parse(false)
			if err != nil {
				return err
			}
			at, err := parseAsOf(asOf, time.Now())
			if err != nil {
				return err
			}
			if err := a.configure(); err != nil {
				return err
			}
			inbox := cmp.Or(inbox, a.config.Inbox)
			if inbox == "" {
				return usagef("which inbox? say --inbox DIR, or inbox: in the configuration")
			}
			if info, err := os.Stat(inbox); err != nil || !info.IsDir() {
				return fmt.Errorf("the inbox %s is not a folder that can be read", inbox)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			report, err := job.Run(cmd.Context(), pipeline.Options{
				Kind: "run", Inbox: []string{inbox}, Out: cmp.Or(out, a.config.Out), From: from, To: to, AsOf: at, Wait: a.wait,
				Rehash: rehash,
			})
			if err != nil {
				return err
			}
			return a.tell(report)
		},
	}
	cmd.Flags().StringVar(&inbox, "inbox", "", "`DIR` to load from, with its sub-folders")
	cmd.Flags().StringVar(&out, "out", "", "`DIR` to write the flagged CSV into")
	cmd.Flags().StringVar(&asOf, "as-of", "", "the `INSTANT` from which due is judged, RFC 3339 (default now)")
	cmd.Flags().BoolVar(&rehash, "rehash", false, rehashUsage)
	dates.add(cmd.Flags())
	return cmd
}

func newReconcile(a *app) *cobra.Command {
	var (
		asOf  string
		dates rangeFlags
	)
	cmd := &cobra.Command{
		Use:   "reconcile --from DATE --to DATE",
		Short: "Match and explain a range of business dates again",
		Long: `Decides the orders and lines of the business dates again, with all that is new or open, and updates the cases.
An --as-of earlier than the last run's shows its result and changes no case and no stored verdict.`,
		Example: "  posrecon reconcile --from 2026-11-01 --to 2026-11-07",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := dates.parse(true)
			if err != nil {
				return err
			}
			at, err := parseAsOf(asOf, time.Now())
			if err != nil {
				return err
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			report, err := job.Run(cmd.Context(), pipeline.Options{Kind: "reconcile", From: from, To: to, AsOf: at, Wait: a.wait})
			if err != nil {
				return err
			}
			return a.tell(report)
		},
	}
	cmd.Flags().StringVar(&asOf, "as-of", "", "the `INSTANT` from which due is judged, RFC 3339 (default now)")
	dates.add(cmd.Flags())
	return cmd
}

func newIngest(a *app) *cobra.Command {
	var replace, add, acceptTotals, explain, rehash bool
	cmd := &cobra.Command{
		Use:   "ingest PATH...",
		Short: "Load files or folders only",
		Long: `Loads the files and folders without deciding anything; the next run decides. A file is known by its bytes: the same
bytes again, under any name, change nothing. Files that lie where they were read before, unchanged, are not read again,
unless --rehash says so.

With --explain nothing is loaded, and no database is needed: for each file it is told what it was recognised as, which
column is read as what, which control totals tie, and how the first rows are read. For a file that no format reads it drafts a
profile, and what else it says is a comment above it: redirect the output into a file, and complete that.`,
		Example: "  posrecon ingest ./inbox\n  posrecon ingest --replace lakala/settlement-20261103.csv\n  posrecon ingest --explain bill.csv > profiles/my-bill.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			further := ingest.FurtherHold
			switch {
			case replace && add:
				return usagef("--replace and --add exclude each other")
			case replace:
				further = ingest.FurtherReplace
			case add:
				further = ingest.FurtherAdd
			}
			if explain {
				return a.explain(args)
			}
			for _, path := range args {
				if _, err := os.Stat(path); err != nil {
					return fmt.Errorf("input: %w", err)
				}
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			report, err := job.Ingest(cmd.Context(), pipeline.Options{Inbox: args, Further: further, AcceptTotals: acceptTotals, Rehash: rehash})
			if err != nil {
				return err
			}
			return a.tell(report)
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "a file with the name, acquirer, kind and date of a loaded one replaces it")
	cmd.Flags().BoolVar(&add, "add", false, "a file with the name, acquirer, kind and date of a loaded one adds to it")
	cmd.Flags().BoolVar(&explain, "explain", false, "tell what each file is and how it is read; load nothing")
	cmd.Flags().BoolVar(&acceptTotals, "accept-totals", false, "load files whose control totals do not tie, or are missing, as they are")
	cmd.Flags().BoolVar(&rehash, "rehash", false, rehashUsage)
	return cmd
}
