// Package schedule runs a job at the times that cron specs name, in one time zone. It knows when, not what: the job is
// a function. One run at a time; a panic in a run is that run's failure and not the schedule's.
package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/robfig/cron/v3"
)

// Schedule is a set of cron specs in a zone.
type Schedule struct {
	specs     []string
	schedules []cron.Schedule
	zone      *time.Location
	log       *slog.Logger
}

// maxSpecs bounds a schedule: one a minute of an hour is more than any job of this kind needs.
const maxSpecs = 60

// New parses five-field cron specs (minute, hour, day of month, month, day of week), or @daily and the like, in zone.
func New(specs []string, zone *time.Location, log *slog.Logger) (*Schedule, error) {
	if len(specs) == 0 {
		return nil, errors.New("no schedule: write one under schedule: in the configuration, such as '30 12 * * *'")
	}
	if len(specs) > maxSpecs {
		return nil, fmt.Errorf("%d cron specs, at most %d are taken", len(specs), maxSpecs)
	}
	s := &Schedule{specs: specs, zone: zone, log: log}
	for _, spec := range specs {
		parsed, err := cron.ParseStandard(spec)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", spec, err)
		}
		s.schedules = append(s.schedules, parsed)
	}
	return s, nil
}

// Next returns the first scheduled time after t.
func (s *Schedule) Next(t time.Time) time.Time {
	var next time.Time
	for _, p := range s.schedules {
		if n := p.Next(t.In(s.zone)); next.IsZero() || n.Before(next) {
			next = n
		}
	}
	return next
}

// Missed reports whether a scheduled time lies between the last run and now. Without a last run nothing was missed.
func (s *Schedule) Missed(last, now time.Time) bool {
	return !last.IsZero() && !s.Next(last).After(now)
}

// Run calls job at every scheduled time until ctx ends, and then waits for the one that runs. A time that comes while
// the job runs is skipped. A run that fails is tried again until the next time comes. With missed the job runs once at once: a missed night is run once, as of now.
func (s *Schedule) Run(ctx context.Context, missed bool, job func(context.Context) error) error {
	logger := cronLog{s.log}
	// The order matters: with Recover outside, a panic would leave SkipIfStillRunning believing that the job still runs,
	// and the schedule would be dead for good without a word.
	chain := cron.NewChain(cron.SkipIfStillRunning(logger), s.recover())
	one := chain.Then(cron.FuncJob(func() { s.attempt(ctx, job) }))
	c := cron.New(cron.WithLocation(s.zone), cron.WithLogger(logger))
	for _, p := range s.schedules {
		c.Schedule(p, one)
	}
	c.Start()
	s.log.Info("waiting for the schedule", "specs", s.specs, "next", s.Next(time.Now()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if missed {
			s.log.Info("a scheduled run was missed, running it now")
			one.Run()
		}
	}()
	<-ctx.Done()
	<-c.Stop().Done()
	<-done
	return nil
}

// Pauses between attempts of one run: a database that restarts is back in seconds, one that is being repaired in hours.
const (
	firstPause = time.Minute
	mostPause  = 15 * time.Minute
)

// attempt runs the job, and again after growing pauses while it fails, until the next scheduled time would come: that
// one is the next attempt.
func (s *Schedule) attempt(ctx context.Context, job func(context.Context) error) {
	next := s.Next(time.Now())
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, mostPause) {
		err := job(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		if !time.Now().Add(pause).Before(next) {
			s.log.Error("the scheduled run failed; the next one goes on", "error", err, "next", next)
			return
		}
		s.log.Error("the scheduled run failed; it is tried again", "error", err, "in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// recover logs a panic of the job with its stack.
func (s *Schedule) recover() cron.JobWrapper {
	return func(job cron.Job) cron.Job {
		return cron.FuncJob(func() {
			defer func() {
				if r := recover(); r != nil {
					s.log.Error("the scheduled run panicked; the next one goes on", "panic", r, "stack", string(debug.Stack()))
				}
			}()
			job.Run()
		})
	}
}

// cronLog passes cron's few words on: skipping is worth knowing, the rest is detail.
type cronLog struct{ log *slog.Logger }

func (l cronLog) Info(msg string, kv ...any) {
	if msg == "skip" {
		l.log.Warn("a scheduled time came while the last run was still under way; it is skipped")
		return
	}
	l.log.Debug("cron: "+msg, kv...)
}

func (l cronLog) Error(err error, msg string, kv ...any) {
	l.log.Error("cron: "+msg, append(kv, "error", err)...)
}
