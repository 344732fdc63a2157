package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/postgres"
)

func newMigrate(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema up to date, take it back, or tell its version",
		Long:  `Commands that read or write data bring the schema up to date by themselves; this is for looking and for going back.`,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	version := func(cmd *cobra.Command) error {
		v, dirty, err := postgres.MigrateVersion(cmd.Context(), a.url)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"version": v, "dirty": dirty})
		}
		fmt.Fprintf(a.stdout, "version %d", v)
		if dirty {
			fmt.Fprint(a.stdout, ", a migration broke off half-way")
		}
		fmt.Fprintln(a.stdout)
		return nil
	}
	connect := func(cmd *cobra.Command) error {
		if err := a.configure(); err != nil {
			return err
		}
		return a.connect(cmd.Context())
	}
	var check bool
	versionCmd := &cobra.Command{
		Use: "version", Short: "Tell the schema's version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := connect(cmd); err != nil {
				return err
			}
			if check {
				if err := postgres.CheckVersion(cmd.Context(), a.url); err != nil {
					return err
				}
			}
			return version(cmd)
		},
	}
	versionCmd.Flags().BoolVar(&check, "check", false, "fail unless the schema is whole and at this program's version")
	var distributed bool
	upCmd := &cobra.Command{
		Use: "up", Short: "Bring the schema to the newest version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := connect(cmd); err != nil {
				return err
			}
			if err := postgres.MigrateUp(cmd.Context(), a.url); err != nil {
				return err
			}
			if distributed {
				if err := postgres.Distribute(cmd.Context(), a.url); err != nil {
					return err
				}
			}
			return version(cmd)
		},
	}
	upCmd.Flags().BoolVar(&distributed, "distributed", false, "and spread the tables over the nodes of Citus, those that are not yet")
	cmd.AddCommand(upCmd, &cobra.Command{
		Use: "down [STEPS|all]", Short: "Take the schema back by STEPS versions, default 1; what those held is lost", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			steps := 1
			if len(args) == 1 && args[0] == "all" {
				steps = 0
			} else if len(args) == 1 {
				var err error
				if steps, err = strconv.Atoi(args[0]); err != nil || steps < 1 {
					return usagef("%q is neither a number of steps nor all", args[0])
				}
			}
			if err := connect(cmd); err != nil {
				return err
			}
			if err := postgres.MigrateDown(cmd.Context(), a.url, steps); err != nil {
				return err
			}
			return version(cmd)
		},
	}, versionCmd)
	return cmd
}

func newCalendar(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "calendar",
		Short: "List the years whose working days are known, or load another",
		Long: `Due dates count the working days of the State Council's yearly notice. The program ships the years up to the last
notice; a year that comes later is loaded from a CSV with the columns date,kind,name,notice, where kind is off (a day
off in the week) or working (a make-up working day on a weekend). It stands instead of a shipped year.`,
		Example: "  posrecon calendar list\n  posrecon calendar load cn-2027.csv",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	list := func(cmd *cobra.Command) error {
		cal, err := postgres.Calendar(cmd.Context(), a.pool, calendar.Default())
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(map[string]any{"years": cal.Years()})
		}
		for _, year := range cal.Years() {
			fmt.Fprintln(a.stdout, year)
		}
		return nil
	}
	cmd.AddCommand(&cobra.Command{
		Use: "list", Short: "List the years whose working days are known", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			return list(cmd)
		},
	}, &cobra.Command{
		Use: "load FILE", Short: "Load the days of further years", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f, err := os.Open(args[0])
			if err != nil {
				return fmt.Errorf("calendar: %w", err)
			}
			defer f.Close()
			c, err := calendar.Parse(f)
			if err != nil {
				return fmt.Errorf("calendar %s: %w", args[0], err)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			if err := postgres.LoadCalendar(cmd.Context(), a.pool, c); err != nil {
				return err
			}
			return list(cmd)
		},
	})
	return cmd
}
