package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// Further says what to do with a file of a known name, acquirer, kind and date whose bytes are others and which does
// not say itself what it is.
type Further string

// Without a word from its owner such a file is held back.
const (
	FurtherHold    Further = ""
	FurtherReplace Further = "replace"
	FurtherAdd     Further = "add"
)

// Options are the rules of loading.
type Options struct {
	Zone         *time.Location
	Acquirers    recon.Acquirers
	Aliases      map[string]map[string]string // acquirer → merchant id → the id that stands for it
	Further      Further
	AcceptTotals bool               // load files whose control totals do not tie, or are missing, as they are
	Rehash       bool               // read every file, also those that lie as they did when they were read before
	Progress     Progress           // may be nil
	Profiles     []*profile.Profile // the user's formats
}

// statement returns the rules of reading one file.
func (o *Options) statement(name string) statement.Options {
	return statement.Options{Zone: o.Zone, Profiles: o.Profiles, Name: name}
}

// merchant returns the id that stands for a merchant of an acquirer.
func (o *Options) merchant(acquirer, id string) string {
	if canonical, ok := o.Aliases[acquirer][id]; ok {
		return canonical
	}
	return id
}

// Progress is told how far loading is. Its methods may be called from several goroutines.
type Progress interface {
	Start(files int, bytes int64)
	Read(bytes int64)
	Rows(rows int64)
	File(File)
	Finish()
}

// State is what became of a file.
type State string

// A known file's bytes were loaded before; a kept one's too, though its profile has changed since; a waiting one was held
// back or refused before and still is; a changed one was written to while it was read and is left for the next run.
const (
	Loaded  State = "loaded"
	Held    State = "held"
	Refused State = "refused"
	Known   State = "known"
	Kept    State = "kept"
	Waiting State = "waiting"
	Changed State = "changed"
	Nothing State = "nothing"
)

// File is the report on one file.
type File struct {
	Path     string     `json:"path"`
	SHA256   string     `json:"sha256"`
	State    State      `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Format   string     `json:"format,omitempty"` // the profile that reads it, "canonical" for the contract's own
	Remark   string     `json:"remark,omitempty"` // what is noteworthy though it is loaded
	Kind     recon.Kind `json:"kind,omitempty"`
	Acquirer string     `json:"acquirer,omitempty"`
	Date     string     `json:"date,omitempty"`
	Rows     int64      `json:"rows"`
	Rejected int64      `json:"rejected"`
	Left     int        `json:"left_alone,omitempty"` // rows of another kind than the format loads
}

// Report is what loading did, in the order of the files' paths.
type Report struct {
	Files   []File   `json:"files"`
	touched []string // partitions that rows went into
}

// Analyze refreshes the statistics of what rows went into. Before it is done nothing should be asked of them.
func (r Report) Analyze(ctx context.Context, pool *pgxpool.Pool) error {
	return postgres.AnalyzePartitions(ctx, pool, r.touched)
}

// Count returns how many files have the state.
func (r Report) Count(s State) int {
	n := 0
	for _, f := range r.Files {
		if f.State == s {
			n++
		}
	}
	return n
}

// Rows returns how many rows were loaded, and how many lines were rejected, by this call.
func (r Report) Rows() (loaded, rejected int64) {
	for _, f := range r.Files {
		if f.State == Loaded {
			loaded += f.Rows
			rejected += f.Rejected
		}
	}
	return loaded, rejected
}

// Withheld reports whether input was rejected, held back or refused for the first time.
func (r Report) Withheld() bool {
	_, rejected := r.Rows()
	return rejected > 0 || r.Count(Held)+r.Count(Refused) > 0
}

// parallel is how many files load at once: one per side keeps both of this size of machine's cores busy; more would
// only take turns, and memory.
const parallel = 2

// Paths loads the files under paths. A problem with a file's content is in the report, never an error; an error means
// that loading could not go on, and every file before it is either loaded whole or not at all. The report's Analyze,
// and the making of indexes, must follow.
func Paths(ctx context.Context, pool *pgxpool.Pool, paths []string, opt Options) (_ Report, err error) {
	open := &archives{}
	defer func() { err = errors.Join(err, open.close()) }()
	before, err := recallPlaces(ctx, pool, paths, opt)
	if err != nil {
		return Report{}, err
	}
	files, err := find(paths, opt.Acquirers, open, before)
	if err != nil {
		return Report{}, err
	}
	if err := inParallel(ctx, len(files), func(_ context.Context, i int) error { return files[i].identify(opt) }); err != nil {
		return Report{}, err
	}
	if opt.Progress != nil {
		var total int64
		for _, f := range files {
			total += f.size
		}
		opt.Progress.Start(len(files), total)
		defer opt.Progress.Finish()
	}
	l := &loader{pool: pool, opt: opt, partitions: postgres.NewPartitions(pool)}
	if l.sources, err = knownSources(ctx, pool, files); err != nil {
		return Report{}, fmt.Errorf("read which sources send control totals: %w", err)
	}
	if l.registered, err = readRegister(ctx, pool, files); err != nil {
		return Report{}, fmt.Errorf("read the file register: %w", err)
	}
	if l.indexed, err = postgres.Indexed(ctx, pool); err != nil {
		return Report{}, err
	}
	// The same bytes under two names are one file: the first of the paths is loaded, the others are known.
	report := Report{Files: make([]File, len(files))}
	first := map[string]int{}
	for i, f := range files {
		if j, ok := first[f.sha256]; ok {
			files[j].alsoNamed(f.name)
			continue
		}
		first[f.sha256] = i
	}
	groups := byName(files, first)
	err = inParallel(ctx, len(groups), func(ctx context.Context, n int) error {
		for _, i := range groups[n] {
			file, err := l.load(ctx, files[i])
			if err != nil {
				return fmt.Errorf("load %s: %w", files[i].shown(), err)
			}
			report.Files[i] = file
			if opt.Progress != nil {
				opt.Progress.File(file)
			}
		}
		return nil
	})
	for i, f := range files {
		if j := first[f.sha256]; j != i {
			report.Files[i] = report.Files[j]
			report.Files[i].Path = f.shown()
			if report.Files[i].State != Changed {
				report.Files[i].State, report.Files[i].Rows, report.Files[i].Rejected = Known, 0, 0
			}
		}
	}
	if err != nil {
		return report, err
	}
	if err := before.note(ctx, pool, files, report.Files); err != nil {
		return report, err
	}
	tellKept(report.Files)
	if err := l.partitions.Ahead(ctx); err != nil {
		return report, err
	}
	report.touched = l.partitions.Used()
	return report, nil
}

// byName groups the distinct files that share a name, directly or through others. A group is loaded one file after the
// other in the order of the paths, so that which of them is held back does not depend on chance.
func byName(files []candidate, first map[string]int) [][]int {
	owner := map[string]int{} // name → group
	var groups [][]int
	for i, f := range files {
		if first[f.sha256] != i {
			continue
		}
		g := len(groups)
		groups = append(groups, []int{i})
		for _, name := range f.names {
			if other, ok := owner[name]; ok && other != g {
				groups[g] = append(groups[g], groups[other]...)
				for _, j := range groups[other] {
					for _, n := range files[j].names {
						owner[n] = g
					}
				}
				groups[other] = nil
			}
			owner[name] = g
		}
	}
	groups = slices.DeleteFunc(groups, func(g []int) bool { return len(g) == 0 })
	for _, g := range groups {
		slices.Sort(g)
	}
	return groups
}

// inParallel calls do for 0 … n-1, at most parallel at a time, in that order of starting, and stops at the first error.
func inParallel(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(parallel, n) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}
