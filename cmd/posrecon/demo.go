package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/testdata/demo"
)

func newDemo(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The whole job on shipped sample data; nothing to install or configure first",
		Long: `Runs four nights of three acquirers and forty merchants, one after the other, on a database of its own that is made
anew and left in the data directory, and writes each night's flagged CSV. Every outcome and every cause occurs in them.
It never touches the database of your own data.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			if a.config.DatabaseURL != "" {
				return usagef("the demo runs on a private server only, so that it cannot touch your data: leave the database URL out")
			}
			dir, err := filepath.Abs(filepath.Join(a.config.DataDir, "demo"))
			if err != nil {
				return err
			}
			out := out
			if out == "" {
				out = filepath.Join(dir, "out")
			}
			a.config.DataDir = dir
			inbox := filepath.Join(dir, "inbox")
			// The last demo's world goes; only what a demo made is removed.
			for _, old := range []string{inbox, filepath.Join(dir, "out")} {
				if err := os.RemoveAll(old); err != nil {
					return err
				}
			}
			if err := a.connect(cmd.Context()); err != nil {
				return err
			}
			if _, err := a.pool.Exec(cmd.Context(), `DROP SCHEMA IF EXISTS archive, public CASCADE; CREATE SCHEMA public`); err != nil {
				return fmt.Errorf("clear the demo's database: %w", err)
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			a.config.DataDir = dir
			nights, err := fs.ReadDir(demo.FS, ".")
			if err != nil {
				return err
			}
			var last *pipeline.Report
			for _, night := range nights {
				if last, err = a.demoNight(cmd, night.Name(), inbox, out); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(last)
			}
			fmt.Fprintf(a.stdout, "\nLook at it:\n  posrecon cases list --data-dir %s\n  posrecon export --data-dir %s --lang zh --output demo.csv\n", dir, dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`DIR` to write the flagged CSVs into (default demo/out in the data directory)")
	return cmd
}

// demoNight unpacks what is new on a night into the inbox and runs it.
func (a *app) demoNight(cmd *cobra.Command, night, inbox, out string) (*pipeline.Report, error) {
	source, err := fs.Sub(demo.FS, night+"/inbox")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(inbox, night), source); err != nil {
		return nil, fmt.Errorf("unpack the sample data: %w", err)
	}
	text, err := fs.ReadFile(demo.FS, night+"/as_of")
	if err != nil {
		return nil, err
	}
	asOf, err := parseAsOf(strings.TrimSpace(string(text)), time.Time{})
	if err != nil {
		return nil, err
	}
	job, err := a.job(cmd.Context())
	if err != nil {
		return nil, err
	}
	report, err := job.Run(cmd.Context(), pipeline.Options{Kind: "run", Inbox: []string{inbox}, Out: out, AsOf: asOf, Wait: a.wait})
	if err != nil {
		return nil, err
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "── night %s ──\n", night)
		if err := writeReport(a.stdout, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}
