package simulate

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// finish writes what is known only at the end: files without rows, control totals, payouts, copies.
func (x *writer) finish() error {
	w := x.w
	last := w.arrived[len(w.arrived)-1]
	for day := 0; day <= last; day++ {
		for a := range w.opt.Acquirers {
			k, arrives := fileKey{a, day, mainPart}, day
			if p := w.files[k]; p != nil {
				arrives += p.delay
			}
			// Nothing settles on the first day of a world, and nothing need come on a day off; on any other day a file
			// says so where there is nothing to settle.
			if day > 0 && (w.works[day] || x.settled[settledKey{k, false}] != nil) && w.nightOf[arrives] != never {
				x.settlement(k, w.nightOf[arrives], false)
			}
			if err := x.payouts(a, day); err != nil {
				return err
			}
		}
	}
	for _, f := range x.order {
		if err := f.end(); err != nil {
			return err
		}
	}
	if err := x.copies(last); err != nil {
		return err
	}
	x.summary.Counts = x.summary.Nights[len(x.summary.Nights)-1].Counts
	return nil
}

// payouts writes the payout file of an acquirer and a day, if there is anything to say.
func (x *writer) payouts(acquirer, day int) error {
	w := x.w
	arrives := day
	if p := w.files[fileKey{acquirer, day, mainPart}]; p != nil && p.payoutToo {
		arrives += p.delay
	}
	at := w.nightOf[arrives]
	if at == never || w.opt.NoPayouts {
		return nil
	}
	var f *file
	for r := range w.reports(acquirer, day) {
		if f == nil {
			name := w.opt.Acquirers[acquirer]
			head := "# acquirer: " + name + "\n# payout_date: " + w.iso[day] + "\n# status_time: " + w.iso[day] + "T09:30:00+08:00\n"
			f = x.open(filepath.Join(night(at), "inbox", name, "payout-"+w.digits[day]+".csv"), []byte(head+payoutHeader))
			f.totals = !w.opt.NoTotals
		}
		f.buf = w.appendPayout(f.buf, r.cell, r.version)
		f.count(r.cell.net, 0)
		x.summary.Payouts++
	}
	if f == nil {
		return nil
	}
	return f.end()
}

// copies writes what repeats a finished file: the same bytes again, and the first part of a truncated transmission.
func (x *writer) copies(last int) error {
	w := x.w
	for day := 0; day <= last; day++ {
		for a := range w.opt.Acquirers {
			k := fileKey{a, day, mainPart}
			p, f := w.files[k], x.settled[settledKey{k, false}]
			if p == nil || f == nil {
				continue
			}
			inbox := func(n int, suffix string) string {
				return filepath.Join(x.dir, night(n), "inbox", w.opt.Acquirers[a], "settlement-"+w.digits[day]+suffix+".csv")
			}
			if n := w.nightOf[day+p.resend]; p.resend > 0 && n != never {
				if err := copyFile(inbox(n, "-resend"), f.path, whole); err != nil {
					return err
				}
			}
			if n := w.nightOf[day]; p.truncated && n != never {
				if err := copyFile(inbox(n, ""), f.path, f.rows*3/5); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

const whole = -1

// copyFile copies a file whole, or its header, its first rows and its totals.
func copyFile(to, from string, rows int) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	if rows == whole {
		_, err = io.Copy(out, in)
		return err
	}
	return cut(out, in, rows)
}

// cut copies the lines of a settlement file but for the rows after the first so many.
func cut(out io.Writer, in io.Reader, rows int) error {
	seen := -1 // the header is no row
	for r := bufio.NewReader(in); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // every line of a file of ours ends
		}
		if err != nil {
			return err
		}
		if line[0] != '#' {
			if seen++; seen > rows {
				continue
			}
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
}
