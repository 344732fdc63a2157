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
	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/recon"
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
	var lang string
	cmd := &cobra.Command{
		Use: "show CASE", Short: "Show a case with its evidence, its arithmetic, its next step and its history", Args: cobra.ExactArgs(1),
		Long: `Shows what is stated of a case's order and why. The arithmetic adds up what each piece of evidence weighs for the stated
sub-cause against the likeliest one of another cause, in decibans: 10 is ten to one, 20 a hundred to one. It is done again from
what is stored with the verdict, by the weights of that day.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if lang != "en" && lang != "zh" {
				return usagef("--lang %q is neither en nor zh", lang)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			c, err := cases.Get(cmd.Context(), a.pool, args[0])
			if err != nil {
				return err
			}
			var sums *classify.Arithmetic
			if c.Weights != "" {
				w, err := classify.ParseWeights([]byte(c.Weights))
				if err != nil {
					return fmt.Errorf("the weights of case %s: %w", c.ID, err)
				}
				derived, err := w.Derive(c.Features, c.Rates)
				if err != nil {
					return fmt.Errorf("case %s: %w", c.ID, err)
				}
				sums = &derived
			}
			if a.json {
				return a.printJSON(struct {
					cases.Case
					Arithmetic *classify.Arithmetic `json:"arithmetic,omitempty"`
				}{c, sums})
			}
			a.tellCase(c, sums, lang == "zh")
			return nil
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "en", "language of evidence and next step, `en|zh`")
	return cmd
}

// tellCase prints a case for a person.
func (a *app) tellCase(c cases.Case, sums *classify.Arithmetic, chinese bool) {
	fmt.Fprintf(a.stdout, "%s  %s", c.ID, c.Status)
	if c.Assignee != "" {
		fmt.Fprintf(a.stdout, ", with %s", c.Assignee)
	}
	fmt.Fprintf(a.stdout, "\norder %s of merchant %s at %s: %s", c.OrderID, c.MerchantID, c.Acquirer, c.Outcome)
	if c.SubCause != "" {
		fmt.Fprintf(a.stdout, ", %s/%s at %s", c.Cause, c.SubCause, c.Confidence)
	}
	fmt.Fprintf(a.stdout, "\nowed %s, excess %s %s\n", c.Owed.StringFixed(2), c.Excess.StringFixed(2), c.Currency)
	if c.DueDate != nil {
		fmt.Fprintf(a.stdout, "due %s\n", c.DueDate.Format(time.DateOnly))
	}
	if c.Incident != "" {
		fmt.Fprintf(a.stdout, "part of incident %s\n", c.Incident)
	}
	say := func(side string, list []cases.Sentence) {
		for _, e := range list {
			text, source := e.EN, e.Source
			if chinese {
				text, source = e.ZH, export.ChineseSource(e.Source)
			}
			fmt.Fprintf(a.stdout, "  %s  %s [%s]\n", side, text, source)
		}
	}
	say("for    ", c.Evidence)
	say("against", c.Counter)
	if next, ok := classify.Actions[c.Action]; ok {
		text := next.EN
		if chinese {
			text = next.ZH
		}
		fmt.Fprintf(a.stdout, "next  %s\n", text)
	}
	if sums != nil {
		fmt.Fprintf(a.stdout, "arithmetic, %s against %s, weights %s\n", sums.SubCause, sums.RunnerUp, sums.Weights)
		total := 0
		for _, s := range sums.Steps {
			total += s.Decibans
			fmt.Fprintf(a.stdout, "  %+5d dB  %s\n", s.Decibans, s.Evidence)
		}
		fmt.Fprintf(a.stdout, "  %+5d dB  together\n", total)
		for _, p := range sums.Posterior {
			fmt.Fprintf(a.stdout, "  %6.1f %%  %s\n", 100*p.Share, p.SubCause)
		}
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
}

// newCaseAct is a command by which a person acts on a case.
func newCaseAct(a *app, verb, kind, short string, assigns bool) *cobra.Command {
	var actor, note, actual string
	use, args := verb+" CASE", cobra.ExactArgs(1)
	if assigns {
		use, args = verb+" CASE PERSON", cobra.ExactArgs(2)
	}
	cmd := &cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			act := cases.Act{Kind: kind, Actor: actor, Note: note, Actual: recon.SubCause(actual), At: time.Now().Truncate(time.Microsecond)}
			if assigns {
				act.Assignee = args[1]
			}
			if actual != "" && !slices.Contains(recon.SubCauses, act.Actual) {
				return usagef("--cause %q is no sub-cause of the contract", actual)
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
	if kind == "resolved" {
		cmd.Flags().StringVar(&actual, "cause", "", "what the cause turned out to be, a `SUB_CAUSE`; 'causes report' learns from it")
	}
	return cmd
}

func currentUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + fmt.Sprint(os.Getuid())
}
