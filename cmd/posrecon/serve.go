package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/schedule"
)

// defaultSchedule is when the files of the day before are there (the last of them by 10:00) and finance still has the
// afternoon to work on what is open; the second catches the late file.
var defaultSchedule = []string{"30 10 * * *", "30 16 * * *"}

func newServe(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the nightly job on its schedule",
		Long: `Runs the job of 'posrecon run' at the times of schedule: in the configuration, cron specs in its time zone (default
30 10 * * * and 30 16 * * * in Asia/Shanghai), until it is told to stop. A time that comes while a run is under way is
skipped; a run that was missed while it was down is run once, as of now. On SIGTERM a run under way is rolled back.`,
		Example: "  posrecon serve --config posrecon.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			if a.config.Inbox == "" {
				return usagef("which inbox? write inbox: in the configuration")
			}
			if info, err := os.Stat(a.config.Inbox); err != nil || !info.IsDir() {
				return fmt.Errorf("the inbox %s is not a folder that can be read", a.config.Inbox)
			}
			specs := a.config.Schedule
			if len(specs) == 0 {
				specs = defaultSchedule
			}
			times, err := schedule.New(specs, a.config.Zone, a.log)
			if err != nil {
				return usageError{err}
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			job.Progress = nil
			last, err := job.LastAsOf(cmd.Context())
			if err != nil && !errors.Is(err, pipeline.ErrNoRun) {
				return err
			}
			return times.Run(cmd.Context(), times.Missed(last, time.Now()), func(ctx context.Context) error {
				return a.scheduledRun(ctx, job)
			})
		},
	}
	return cmd
}

// scheduledRun is one run of the schedule. That another host runs at this hour is no failure.
func (a *app) scheduledRun(ctx context.Context, job *pipeline.Job) error {
	report, err := job.Run(ctx, pipeline.Options{
		Kind: "run", Inbox: []string{a.config.Inbox}, Out: a.config.Out, AsOf: time.Now(), Wait: a.wait,
	})
	if errors.Is(err, postgres.ErrLocked) {
		a.log.Info("another run holds the lock; this time is left to it")
		return nil
	}
	if err != nil {
		return err
	}
	a.log.Info("run done", "as_of", report.AsOf, "files", len(report.Files), "rows", report.RowsLoaded, "rejected", report.RowsRejected,
		"open_cases", report.Cases.Open, "opened", report.Cases.Opened, "closed", report.Cases.Closed, "export", report.Export,
		"attention", report.Attention())
	return nil
}
