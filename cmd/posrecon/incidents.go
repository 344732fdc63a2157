package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/cases"
)

func newIncidents(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incidents",
		Short: "List and show incidents: one fault that explains many orders",
		Long: `An outage of five hundred orders is one incident. It keeps its id from night to night while its evidence grows, is recovering
when it has fewer orders than it had, and closed when none is left.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newIncidentsList(a), newIncidentsShow(a))
	return cmd
}

func newIncidentsList(a *app) *cobra.Command {
	var status string
	cmd := &cobra.Command{
		Use: "list", Short: "List incidents, those with most orders first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"live", "closed", "all"}, status) {
				return usagef("--status %q is none of live, closed and all", status)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			list, err := cases.Incidents(cmd.Context(), a.pool, status)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(list)
			}
			tw := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "incident\tstatus\tkind\torders\tmost\tmerchants\tat stake\tfrom\tto\tscope")
			for _, n := range list {
				fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", n.ID, n.Status, n.Kind, n.Orders, n.Peak, n.Merchants, n.AtStake(),
					n.From.In(a.config.Zone).Format("2006-01-02 15:04"), n.To.In(a.config.Zone).Format("2006-01-02 15:04"), n.Scope)
			}
			return tw.Flush()
		},
	}
	cmd.Flags().StringVar(&status, "status", "live", "`live|closed|all`; live is open or recovering")
	return cmd
}

func newIncidentsShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show INCIDENT", Short: "Show an incident: what can be sent to the acquirer, its nights and its orders", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			n, err := cases.GetIncident(cmd.Context(), a.pool, args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(n)
			}
			fmt.Fprintf(a.stdout, "%s  %s, %s, probability %s\n%s\n%s\n", n.ID, n.Status, n.Kind, n.Probability, n.SummaryEN, n.SummaryZH)
			for _, night := range n.Nights {
				fmt.Fprintf(a.stdout, "%s  %d orders\n", night.AsOf.In(a.config.Zone).Format(time.RFC3339), night.Orders)
			}
			tw := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(tw, "order\tmerchant\tterminal\ttime\tamount\tcurrency\toutcome\tsub-cause\tconfidence")
			for _, o := range n.Members {
				at := ""
				if o.At != nil {
					at = o.At.In(a.config.Zone).Format(time.DateTime)
				}
				fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", o.OrderID, o.MerchantID, o.TerminalID, at, o.Amount.StringFixed(2), o.Currency, o.Outcome, o.SubCause, o.Confidence)
			}
			return tw.Flush()
		},
	}
}
