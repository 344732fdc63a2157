package simulate

import (
	"errors"
	"fmt"

	"github.com/posrecon/posrecon/internal/recon"
)

var errFileTwice = errors.New("another fault has the same settlement file")

// file returns the plan of an acquirer's settlement file of a day, for one fault alone.
func (w *world) file(acquirer string, day, delay int) (*filePlan, error) {
	a, err := w.acquirer(acquirer)
	switch {
	case err != nil:
		return nil, err
	case a == all:
		return nil, fmt.Errorf("%w: a file needs one", errNoSuchAcquirer)
	case delay < 1 || delay > horizon-15:
		return nil, fmt.Errorf("%d days late: from 1 to %d", delay, horizon-15)
	case w.files[fileKey{a, day, mainPart}] != nil:
		return nil, errFileTwice
	}
	p := &filePlan{}
	w.files[fileKey{a, day, mainPart}] = p
	return p, nil
}

// FileLate is an acquirer's settlement file of a date, and the payout file with it, that come days late.
type FileLate struct {
	Acquirer  string
	Day, Late int
	Truncated bool // on the date a transmission breaks off at three fifths: its totals do not tie, and it counts for nothing
}

// Name implements Fault.
func (FileLate) Name() string { return "file_late" }

func (f FileLate) bind(w *world, b *bound) error {
	p, err := w.file(f.Acquirer, f.Day, f.Late)
	if err != nil {
		return err
	}
	if f.Truncated && w.opt.NoTotals {
		return errors.New("without control totals nobody can tell that a file is truncated")
	}
	p.why, p.delay, p.payoutToo, p.truncated = b.label(recon.FileLate), f.Late, !f.Truncated, f.Truncated
	return nil
}

// ShortFile is a settlement file that leaves out the sales from a time of the day on, and ties with its own totals; the
// rest follows in a second file.
type ShortFile struct {
	Acquirer  string
	Day, Late int
	Keep      int // per mille of a day's sales that the first part has
}

// Name implements Fault.
func (ShortFile) Name() string { return "short_file" }

func (f ShortFile) bind(w *world, b *bound) error {
	p, err := w.file(f.Acquirer, f.Day, f.Late)
	if err != nil {
		return err
	}
	p.why, p.short, p.from = b.label(recon.FileLate), f.Late, w.second(f.Keep, 1000)
	return nil
}

// Resent is a settlement file that comes again under another name with the same bytes. It changes nothing.
type Resent struct {
	Acquirer   string
	Day, After int
}

// Name implements Fault.
func (Resent) Name() string { return "resent" }

func (f Resent) bind(w *world, b *bound) error {
	p, err := w.file(f.Acquirer, f.Day, f.After)
	if err != nil {
		return err
	}
	p.why, p.resend = b.label(recon.FileLate), f.After
	return nil
}

// Corrected is a settlement file with errors, some amounts ten times too large and some rows too early, and the file
// that replaces it days later.
type Corrected struct {
	Acquirer   string
	Day, After int
	PerMille   int // of its rows
}

// Name implements Fault.
func (Corrected) Name() string { return "corrected" }

func (f Corrected) bind(w *world, b *bound) error {
	p, err := w.file(f.Acquirer, f.Day, f.After)
	if err != nil {
		return err
	}
	p.why, p.corrected, p.rate = b.label(recon.OperatorError), f.After, f.PerMille
	return nil
}

// BatchLate is an acquirer, or one channel of it, whose rows of a business day come a working day or more late while
// its files come on time.
type BatchLate struct {
	Acquirer string
	Channel  string // "" is every channel
	Day      int    // business day
	Files    int    // how many working days late; default 1
}

// Name implements Fault.
func (BatchLate) Name() string { return "batch_late" }

func (f BatchLate) bind(w *world, b *bound) error {
	acq, err := w.acquirer(f.Acquirer)
	if err != nil {
		return err
	}
	ch, err := channel(f.Channel)
	if err != nil {
		return err
	}
	why := b.label(recon.SystemDelay)
	for _, d := range w.daysIn(f.Day-1, f.Day) {
		w.rows[d] = append(w.rows[d], func(o *order) {
			if o.business != f.Day || acq != all && o.m.acquirer != acq || ch != all && o.channel != ch || o.nset != 1 || o.delay.sub != "" {
				return
			}
			for range max(f.Files, 1) {
				o.set[0].day = w.nextFile[o.set[0].day]
			}
			o.touched, o.within, o.delay = true, b.incident, why
		})
	}
	return nil
}

// LogLate is the POS log of an acquirer's tills that comes days late: what settles meanwhile has no order yet.
type LogLate struct {
	Acquirer  string
	Day, Late int
}

// Name implements Fault.
func (LogLate) Name() string { return "log_late" }

func (f LogLate) bind(w *world, b *bound) error {
	acq, err := w.acquirer(f.Acquirer)
	if err != nil {
		return err
	}
	if f.Late < 1 || f.Late > horizon-15 {
		return fmt.Errorf("%d days late: from 1 to %d", f.Late, horizon-15)
	}
	for a := range w.opt.Acquirers {
		if acq == all || a == acq {
			w.late[lateLog{f.Day, a}] = f.Late
		}
	}
	return nil
}
