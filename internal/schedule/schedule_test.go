package schedule

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func shanghai(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestMissed(t *testing.T) {
	s, err := New([]string{"30 12 * * *"}, shanghai(t), quiet)
	if err != nil {
		t.Fatal(err)
	}
	at := func(v string) time.Time {
		r, err := time.Parse(time.RFC3339, v)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, test := range []struct {
		why       string
		last, now time.Time
		want      bool
	}{
		{"nothing ever ran: nothing was missed", time.Time{}, at("2026-11-03T13:00:00+08:00"), false},
		{"the night was run on time", at("2026-11-03T12:30:00+08:00"), at("2026-11-03T13:00:00+08:00"), false},
		{"down at half past twelve, Shanghai time", at("2026-11-02T12:30:00+08:00"), at("2026-11-03T12:30:00+08:00"), true},
		{"down for a week is one missed run", at("2026-10-27T12:30:00+08:00"), at("2026-11-03T13:00:00+08:00"), true},
		{"the zone counts: 04:30 UTC is the hour", at("2026-11-03T04:29:00Z"), at("2026-11-03T04:31:00Z"), true},
	} {
		if got := s.Missed(test.last, test.now); got != test.want {
			t.Errorf("%s: Missed = %v, want %v", test.why, got, test.want)
		}
	}
}

// A panic is one run's failure: the runs after it happen. An error likewise.
func TestRunSurvivesPanicAndError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New([]string{"@every 1s"}, time.UTC, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var runs atomic.Int32
		finished := make(chan error, 1)
		go func() {
			finished <- s.Run(ctx, false, func(context.Context) error {
				switch runs.Add(1) {
				case 1:
					panic("the first run breaks")
				case 2:
					return errors.New("the second fails")
				}
				return nil
			})
		}()
		time.Sleep(5*time.Second + 500*time.Millisecond) // synctest's clock, not the machine's
		cancel()
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
		if n := runs.Load(); n < 4 {
			t.Errorf("%d runs in five seconds, want the schedule to go on after a panic and an error", n)
		}
	})
}

// A run that takes longer than the interval is not joined by another, and ending waits for it.
func TestRunOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New([]string{"@every 1s"}, time.UTC, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running, most, ended atomic.Int32
		finished := make(chan error, 1)
		go func() {
			finished <- s.Run(ctx, true, func(context.Context) error {
				most.Store(max(most.Load(), running.Add(1)))
				time.Sleep(10 * time.Second)
				running.Add(-1)
				ended.Add(1)
				return nil
			})
		}()
		time.Sleep(15*time.Second + 500*time.Millisecond)
		cancel()
		<-finished
		if most.Load() != 1 || running.Load() != 0 || ended.Load() != 2 {
			t.Errorf("at most %d at once, %d left running, %d ended; want 1, 0, 2", most.Load(), running.Load(), ended.Load())
		}
	})
}

func TestNewRejects(t *testing.T) {
	for _, specs := range [][]string{nil, {"60 12 * * *"}, {"noon"}, {"30 12 * *"}} {
		if _, err := New(specs, time.UTC, quiet); err == nil {
			t.Errorf("New(%q) accepted it", specs)
		}
	}
}

// A run that fails is tried again after growing pauses, never beyond the next scheduled time, and stops at once when told.
func TestRunTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New([]string{"@every 1h"}, time.UTC, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		finished := make(chan error, 1)
		go func() {
			finished <- s.Run(ctx, false, func(context.Context) error {
				at = append(at, time.Since(began).Round(time.Minute)-time.Hour)
				if len(at) == 4 || len(at) > 5 {
					return nil
				}
				return errors.New("the database is down")
			})
		}()
		time.Sleep(2*time.Hour + 30*time.Second)
		cancel()
		<-finished
		want := []time.Duration{0, time.Minute, 3 * time.Minute, 7 * time.Minute, time.Hour}
		if !slices.Equal(at, want) {
			t.Errorf("runs at %v after the first, want %v", at, want)
		}
	})
}
