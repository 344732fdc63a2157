package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/simulate"
)

func newSimulate(a *app) *cobra.Command {
	var (
		plan, start    string
		seed           uint64
		orders, nights int
		judge          bool
		worlds         int
		family         string
		base           int
		noTruth        bool
	)
	cmd := &cobra.Command{
		Use:   "simulate [DIR]",
		Short: "Write a labelled world of any size",
		Long: `Writes POS logs, settlement files and payouts of several nights into DIR/NN/inbox, the instant of each night's run into
DIR/NN/as_of, what is true of every order then into DIR/NN/truth.csv, and of its faults, with the evidence that they leave, into
DIR/NN/incidents.csv. The same options give the same bytes.

Plans: quiet (only what always happens), mixed (a random combination of faults by --seed), demo (the shipped world),
bulk (one night of --orders orders, for measuring speed), storm (the same with much to explain: nearly every second one is flagged),
or a family that --evaluate lists, such as "frozen giant".

With --evaluate nothing is kept: worlds of every family are run through the whole job, in a database of their own beside the
configured one, and what is stated is compared with what is true. Nothing was fitted on held-out families.
Beside each figure stand plain rules that look at one order alone, and the most frequent cause.`,
		Example: "  posrecon simulate --plan mixed --seed 7 ./world\n  posrecon simulate --plan bulk --orders 1000000 ./million\n  posrecon simulate --evaluate --worlds 5",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if judge {
				if len(args) > 0 || worlds < 1 {
					return usagef("--evaluate keeps nothing, so it takes no DIR, and --worlds is 1 or more")
				}
				return a.evaluate(cmd.Context(), family, seed, worlds)
			}
			if len(args) == 0 {
				return usagef("where to? say posrecon simulate DIR")
			}
			var opt simulate.Options
			switch plan {
			case "quiet":
				opt = simulate.Quiet()
			case "mixed":
				opt = simulate.Mixed(seed)
			case "demo":
				opt = simulate.Demo()
			case "bulk", "storm":
				if orders <= 0 {
					return usagef("--plan %s needs --orders N", plan)
				}
				if opt = simulate.Bulk(orders); plan == "storm" {
					opt = simulate.Storm(orders)
				}
			default:
				i := slices.IndexFunc(simulate.Families(), func(f simulate.Family) bool { return f.Name == plan })
				if i < 0 {
					return usagef("--plan %q is none of quiet, mixed, demo, bulk and storm, and no family", plan)
				}
				opt = simulate.Families()[i].World(seed)
				seed = opt.Seed
			}
			if cmd.Flags().Changed("seed") {
				opt.Seed = seed
			}
			if orders > 0 {
				opt.OrdersPerDay = orders
			}
			if nights > 0 {
				opt.Nights, opt.NightDays = nights, nil
			}
			if base < 0 {
				return usagef("--base is 0 or more")
			}
			opt.Base, opt.WithoutTruth = opt.Base.Times(base), noTruth
			if start != "" {
				day, err := recon.ParseDate(start)
				if err != nil {
					return usagef("--start: %w", err)
				}
				opt.Start = day
			}
			// A world is written beside nothing else: old files among new ones would make a world that is true of neither.
			if entries, err := os.ReadDir(args[0]); err == nil && len(entries) > 0 {
				return usagef("%s is not empty", args[0])
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			s, err := simulate.Write(cmd.Context(), args[0], opt)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]any{"orders": s.Orders, "settlement_rows": s.SettlementRows, "payout_rows": s.Payouts,
					"nights": len(s.Nights), "outcomes": s.ByOutcome, "sub_causes": s.BySubCause})
			}
			fmt.Fprintf(a.stdout, "%d orders, %d settlement rows, %d payout rows in %d nights\n", s.Orders, s.SettlementRows, s.Payouts, len(s.Nights))
			for _, o := range s.Outcomes() {
				fmt.Fprintf(a.stdout, "%8d %s\n", s.ByOutcome[o], o)
			}
			for _, c := range s.SubCauses() {
				fmt.Fprintf(a.stdout, "%8d %s/%s\n", s.BySubCause[c], c.Cause(), c)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&plan, "plan", "mixed", "`PLAN`: quiet, mixed, demo, bulk, storm or a family")
	f.Uint64Var(&seed, "seed", 1, "`NUMBER` from which everything random is drawn")
	f.IntVar(&orders, "orders", 0, "orders a day (default the plan's)")
	f.IntVar(&nights, "nights", 0, "nights (default the plan's)")
	f.IntVar(&base, "base", 100, "what goes wrong all the time, in `PERCENT` of the plan's")
	f.BoolVar(&noTruth, "no-truth", false, "write no truth.csv and no incidents.csv, for worlds that only measure speed")
	f.BoolVar(&judge, "evaluate", false, "judge the explanations on worlds of every family, and keep nothing")
	f.IntVar(&worlds, "worlds", 5, "`NUMBER` of worlds of each family, with --evaluate")
	f.StringVar(&family, "family", "", "only the families whose name holds `TEXT`, with --evaluate")
	f.StringVar(&start, "start", "", "first trading `DATE` (default the plan's)")
	return cmd
}
