package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/pflag"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/classify"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/postgres/private"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

// app is what the commands share: the global flags, the streams, and the database once it is open.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string

	configFile  string
	databaseURL string
	dataDir     string
	json        bool
	quiet       bool
	logFormat   string
	wait        time.Duration

	log    *slog.Logger
	config config.Config
	server *private.Server
	pool   *pgxpool.Pool
	url    string
}

func (a *app) addFlags(f *pflag.FlagSet) {
	f.StringVar(&a.configFile, "config", "", "configuration `FILE` (strict YAML)")
	f.StringVar(&a.databaseURL, "database-url", "", "PostgreSQL `URL`, 14 or newer; else POSRECON_DATABASE_URL, else the file's, else a private server")
	f.StringVar(&a.dataDir, "data-dir", "", "`DIR` of the private server; else POSRECON_DATA_DIR, else the file's, else /var/lib/posrecon as root, the user's data directory otherwise")
	f.BoolVar(&a.json, "json", false, "print one JSON document on stdout")
	f.BoolVar(&a.quiet, "quiet", false, "no progress, only warnings and errors on stderr")
	f.StringVar(&a.logFormat, "log-format", "text", "log as `text|json`")
	f.DurationVar(&a.wait, "wait", 0, "wait so long for another run's lock")
}

// configure reads the configuration; flags outrank it.
func (a *app) configure() error {
	level := slog.LevelInfo
	if a.quiet {
		level = slog.LevelWarn
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.stderr, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.stderr, options))
	default:
		return usagef("--log-format %q is neither text nor json", a.logFormat)
	}
	if a.wait < 0 {
		return usagef("--wait %s is negative", a.wait)
	}
	c, err := config.Load(a.configFile, a.getenv)
	if err != nil {
		return usageError{err}
	}
	c.DatabaseURL = cmp.Or(a.databaseURL, c.DatabaseURL)
	c.DataDir = cmp.Or(a.dataDir, c.DataDir)
	a.config = c
	return nil
}

// connect opens the database, starting the private server where no URL is given, without touching its schema.
func (a *app) connect(ctx context.Context) error {
	if a.pool != nil {
		return nil
	}
	a.url = a.config.DatabaseURL
	if a.url == "" {
		var err error
		a.server, err = private.Start(ctx, private.Options{DataDir: a.config.DataDir, Wait: a.wait, Log: a.log})
		if err != nil {
			return err
		}
		a.url = a.server.URL()
	}
	var err error
	a.pool, err = postgres.Open(ctx, a.url)
	return err
}

// open reads the configuration, opens the database and brings its schema up to date.
func (a *app) open(ctx context.Context) error {
	if err := a.configure(); err != nil {
		return err
	}
	if err := a.connect(ctx); err != nil {
		return err
	}
	return postgres.MigrateUp(ctx, a.url)
}

// close gives back what open took.
func (a *app) close(ctx context.Context) error {
	if a.pool != nil {
		a.pool.Close()
		a.pool = nil
	}
	if a.server != nil {
		err := a.server.Stop(ctx)
		a.server = nil
		return err
	}
	return nil
}

// job returns the pipeline on the open database, with the calendar that the program ships and what was loaded beside.
func (a *app) job(ctx context.Context) (*pipeline.Job, error) {
	cal, err := postgres.Calendar(ctx, a.pool, calendar.Default())
	if err != nil {
		return nil, err
	}
	profiles, err := profile.Load(a.config.Profiles)
	if err != nil {
		return nil, usageError{err}
	}
	weights, err := loadWeights(a.config.Weights)
	if err != nil {
		return nil, usageError{err}
	}
	return &pipeline.Job{
		Weights:  weights,
		Profiles: profiles, Pool: a.pool, Config: a.config, Calendar: cal, Log: a.log, Progress: newProgress(a.stderr, a.quiet || a.json && !isTerminal(a.stderr)),
		Program: "posrecon " + version(),
	}, nil
}

// loadWeights reads a file of weights; without one it returns those that ship.
func loadWeights(path string) (*classify.Weights, error) {
	if path == "" {
		return classify.Shipped(), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	w, err := classify.ParseWeights(text)
	if err != nil {
		return nil, fmt.Errorf("weights %s: %w", path, err)
	}
	return w, nil
}

// printJSON prints the one JSON document of a command.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// rangeFlags are --from and --to, business dates, inclusive.
type rangeFlags struct{ from, to string }

func (r *rangeFlags) add(f *pflag.FlagSet) {
	f.StringVar(&r.from, "from", "", "first business `DATE`, YYYY-MM-DD")
	f.StringVar(&r.to, "to", "", "last business `DATE`, YYYY-MM-DD")
}

// parse returns the range. Where only one end is given, or both are required and missing, it says so.
func (r *rangeFlags) parse(required bool) (from, to recon.Date, err error) {
	if r.from == "" && r.to == "" && !required {
		return from, to, nil
	}
	if r.from == "" || r.to == "" {
		return from, to, usagef("give both --from and --to")
	}
	if from, err = recon.ParseDate(r.from); err != nil {
		return from, to, usagef("--from: %w", err)
	}
	if to, err = recon.ParseDate(r.to); err != nil {
		return from, to, usagef("--to: %w", err)
	}
	if to.Before(from) {
		return from, to, usagef("the range is the wrong way round: --from %s is after --to %s", from, to)
	}
	return from, to, nil
}

// parseAsOf reads an instant, RFC 3339; "" is fallback.
func parseAsOf(s string, fallback time.Time) (time.Time, error) {
	if s == "" {
		return fallback, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, usagef("--as-of %q is not an RFC 3339 instant such as 2026-11-03T12:00:00+08:00", s)
	}
	return t, nil
}

// asOfOrLast reads --as-of, or finds the as-of of the last completed run.
func asOfOrLast(ctx context.Context, job *pipeline.Job, s string) (time.Time, error) {
	if s != "" {
		return parseAsOf(s, time.Time{})
	}
	last, err := job.LastAsOf(ctx)
	if errors.Is(err, pipeline.ErrNoRun) {
		return time.Time{}, fmt.Errorf("%w", err)
	}
	return last, err
}
