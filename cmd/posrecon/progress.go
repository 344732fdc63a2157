package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/posrecon/posrecon/internal/ingest"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// newProgress shows how far loading is: a bar on a terminal, a plain line every ten seconds elsewhere; nothing if quiet.
func newProgress(w io.Writer, quiet bool) ingest.Progress {
	if quiet {
		return nil
	}
	if isTerminal(w) {
		return &bar{w: w}
	}
	return &lines{w: w, every: 10 * time.Second}
}

// bar draws a progress bar over bytes.
type bar struct {
	w  io.Writer
	mu sync.Mutex
	p  *progressbar.ProgressBar
	n  int64
}

func (b *bar) Start(files int, bytes int64) {
	b.p = progressbar.NewOptions64(bytes, progressbar.OptionSetWriter(b.w), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription(fmt.Sprintf("loading %d files", files)), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish())
}

func (b *bar) Read(n int64) { _ = b.p.Add64(n) }

func (b *bar) Rows(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	b.p.Describe(fmt.Sprintf("loading, %d rows", b.n))
}

func (b *bar) File(ingest.File) {}

func (b *bar) Finish() { _ = b.p.Finish() }

// lines writes a plain line now and then.
type lines struct {
	w     io.Writer
	every time.Duration

	mu          sync.Mutex
	files, done int
	bytes, read int64
	rows        int64
	last        time.Time
}

func (l *lines) Start(files int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files, l.bytes, l.last = files, bytes, time.Now()
}

func (l *lines) Read(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read += n
	if now := time.Now(); now.Sub(l.last) >= l.every {
		l.last = now
		fmt.Fprintf(l.w, "loading: %d of %d files, %d of %d MB, %d rows\n", l.done, l.files, l.read>>20, l.bytes>>20, l.rows)
	}
}

func (l *lines) Rows(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows += n
}

func (l *lines) File(ingest.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
}

func (l *lines) Finish() {}
