package main

import (
	"fmt"
	"os"
	"os/user"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/cases"
)

func newCases(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cases",
		Short: "List, show, assign, comment, resolve and reopen cases",
		Long: `A case opens when an order comes to need follow-up and closes by itself when a later fact settles it. A case that a
person resolved reopens only on a new fact about its order or payout.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCasesList(a), newCasesShow(a),
		newCaseAct(a, "assign", "assigned", "Give a case to somebody", true),
		newCaseAct(a, "comment", "commented", "Add a note to a case", false),
		newCaseAct(a, "resolve", "resolved", "Mark a case as dealt with", false),
		newCaseAct(a, "reopen", "reopened", "Open a case again", false))
	return cmd
}

func newCasesList(a *app) *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "list", Short: "List cases, the largest amount first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"open", "resolved", "closed", "all"}, status) {
				return usagef("--status %q is none of open, resolved, closed and all", status)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			list, err := cases.List(cmd.Context(), a.pool, status)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			tw := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "case\tstatus\tassignee\torder\tmerchant\towed\texcess\tcurrency\tcause\topened")
			for _, c := range list {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Status, c.Assignee, c.OrderID, c.MerchantID,
					c.Owed.StringFixed(2), c.Excess.StringFixed(2), c.Currency, c.SubCause, c.Opened.In(a.config.Zone).Format(time.DateOnly))
			}
			return tw.Flush()
		},
	}
	cmd.Flags().StringVar(&status, "status", "open", "`open|resolved|closed|all`")
	return cmd
}

func newCasesShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show CASE", Short: "Show a case with its evidence and history", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			c, err := cases.Get(cmd.Context(), a.pool, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(c)
			}
			fmt.Fprintf(a.stdout, "%s  %s", c.ID, c.Status)
			if c.Assignee != "" {
				fmt.Fprintf(a.stdout, ", with %s", c.Assignee)
			}
			fmt.Fprintf(a.stdout, "\norder %s of merchant %s at %s: %s", c.OrderID, c.MerchantID, c.Acquirer, c.Outcome)
			if c.SubCause != "" {
				fmt.Fprintf(a.stdout, ", %s/%s", c.Cause, c.SubCause)
			}
			fmt.Fprintf(a.stdout, "\nowed %s, excess %s %s\n", c.Owed.StringFixed(2), c.Excess.StringFixed(2), c.Currency)
			for _, e := range c.Evidence {
				fmt.Fprintf(a.stdout, "  for      %s [%s]\n", e.EN, e.Source)
			}
			for _, e := range c.Counter {
				fmt.Fprintf(a.stdout, "  against  %s [%s]\n", e.EN, e.Source)
			}
			for _, e := range c.History {
				fmt.Fprintf(a.stdout, "%s  %s by %s", e.At.In(a.config.Zone).Format(time.RFC3339), e.Kind, e.Actor)
				for _, s := range []string{e.Outcome, e.SubCause, e.Note} {
					if s != "" {
						fmt.Fprintf(a.stdout, ", %s", s)
					}
				}
				fmt.Fprintln(a.stdout)
			}
			return nil
		},
	}
}

// newCaseAct is a command by which a person acts on a case.
func newCaseAct(a *app, verb, kind, short string, assigns bool) *cobra.Command {
	var actor, note string
	use, args := verb+" CASE", cobra.ExactArgs(1)
	if assigns {
		use, args = verb+" CASE PERSON", cobra.ExactArgs(2)
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			act := cases.Act{Kind: kind, Actor: actor, Note: note, At: time.Now().Truncate(time.Microsecond)}
			if assigns {
				act.Assignee = args[1]
			}
			if kind == "commented" && note == "" {
				return usagef("what is the comment? say --note TEXT")
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			return cases.Do(cmd.Context(), a.pool, args[0], act)
		},
	}
	cmd.Flags().StringVar(&actor, "actor", currentUser(), "who acts")
	cmd.Flags().StringVar(&note, "note", "", "a `TEXT` for the history")
	return cmd
}

func currentUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + fmt.Sprint(os.Getuid())
}
