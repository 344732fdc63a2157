package simulate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Write writes the world that opt describes into dir, which it creates: NN/inbox with what newly arrived by night NN,
// NN/as_of, and NN/truth.csv. It never removes anything; the caller gives it an empty directory.
// Memory does not grow with the number of orders.
func Write(ctx context.Context, dir string, opt Options) (Summary, error) {
	w, err := newWorld(opt)
	if err != nil {
		return Summary{}, fmt.Errorf("simulate.Write: %w", err)
	}
	x := &writer{w: w, dir: dir, logs: map[logKey]*file{}, settled: map[settledKey]*file{}}
	defer x.abandon()
	if err := x.write(ctx); err != nil {
		return Summary{}, fmt.Errorf("simulate.Write(%q): %w", dir, err)
	}
	return x.summary, nil
}

type logKey struct {
	day, late int
}

type settledKey struct {
	fileKey
	corrected bool
}

// writer is one walk through a world, day by day.
type writer struct {
	w       *world
	dir     string
	logs    map[logKey]*file
	settled map[settledKey]*file
	order   []*file // every file, in the order of its making, which the seed fixes
	truth   []*file
	summary Summary
}

func (x *writer) write(ctx context.Context) error {
	w := x.w
	x.summary.Nights = make([]Night, len(w.opt.NightDays))
	for n, d := range w.opt.NightDays {
		asOf := d.At(w.opt.AsOfClock, shanghai)
		x.summary.Nights[n] = Night{AsOf: asOf, Counts: newCounts()}
		if err := os.MkdirAll(filepath.Join(x.dir, night(n), "inbox"), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(x.dir, night(n), "as_of"), []byte(asOf.Format(time.RFC3339)+"\n"), 0o644); err != nil {
			return err
		}
		if !w.opt.WithoutTruth {
			x.truth = append(x.truth, x.open(filepath.Join(night(n), "truth.csv"), []byte(truthHeader)))
		}
	}
	var o order
	var failed error
	emit := func(o *order) {
		if err := x.emit(o); err != nil && failed == nil {
			failed = err
		}
	}
	for day := range w.days {
		for i := range w.opt.OrdersPerDay {
			if i&0xfff == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
			}
			w.sale(day, i, &o)
			if emit(&o); failed != nil {
				return failed
			}
		}
		for _, f := range w.extra[day] {
			if f(&o, emit); failed != nil {
				return failed
			}
		}
		for _, f := range x.order {
			if f.idle++; f.idle > idleDays {
				if err := f.rest(); err != nil {
					return err
				}
			}
		}
	}
	return x.finish()
}

// abandon gives up the descriptors that a failed walk has left open; after a finished one there are none.
func (x *writer) abandon() {
	for _, f := range x.order {
		if f.f != nil {
			f.f.Close()
		}
	}
}

func night(n int) string { return fmt.Sprintf("%02d", n+1) }

func (x *writer) open(path string, head []byte) *file {
	f := &file{path: filepath.Join(x.dir, path), buf: append([]byte(nil), head...)}
	x.order = append(x.order, f)
	return f
}

// emit writes the rows of an order to the files that exist by the last night, and its truth to every night that knows
// of it.
func (x *writer) emit(o *order) error {
	w := x.w
	for i := range o.npos {
		p := &o.pos[i]
		if p.night == never {
			continue
		}
		f := x.log(p)
		f.buf = w.appendPOS(f.buf, o, p)
		if err := f.full(); err != nil {
			return err
		}
	}
	for i := range o.nset {
		s := &o.set[i]
		if err := x.row(o, s); err != nil {
			return err
		}
	}
	for n := range x.summary.Nights {
		v, ok := w.judge(o, n)
		if !ok {
			continue
		}
		x.summary.Nights[n].count(&v)
		if x.truth != nil {
			f := x.truth[n]
			f.buf = w.appendTruth(f.buf, o, &v)
			if err := f.full(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *writer) row(o *order, s *setFact) error {
	w := x.w
	sign := int64(1)
	if o.refund > 0 {
		sign = -1
	}
	fee := s.m.feeOn(s.amount)
	if s.cell != nil {
		s.cell.rows++
		s.cell.net += sign * (s.amount - fee)
	}
	if s.night != never {
		amount := s.amount
		if s.wrong > 0 {
			amount = s.wrong
		}
		f := x.settlement(s.file, s.night, false)
		f.buf = w.appendSettlement(f.buf, o, s, amount)
		f.count(sign*amount, sign*s.m.feeOn(amount))
		if err := f.full(); err != nil {
			return err
		}
		x.summary.SettlementRows++
	}
	if s.fixNight != never && !s.dropped {
		f := x.settlement(s.file, s.fixNight, true)
		f.buf = w.appendSettlement(f.buf, o, s, s.amount)
		f.count(sign*s.amount, sign*fee)
		x.summary.SettlementRows++
		return f.full()
	}
	return nil
}

func (x *writer) log(p *posFact) *file {
	k := logKey{p.day, p.late}
	f := x.logs[k]
	if f == nil {
		w := x.w
		name, head := "pos-"+w.digits[p.day]+".csv", []byte(nil)
		if p.late > 0 {
			name = fmt.Sprintf("pos-%s-late%d.csv", w.digits[p.day], p.late)
		}
		if w.opt.ExportedAt {
			head = append(head, "# exported_at: "+w.iso[p.day+1+p.late]+"T00:30:00+08:00\n"...)
		}
		f = x.open(filepath.Join(night(p.night), "inbox", name), append(head, w.posHeader()...))
		x.logs[k] = f
	}
	return f
}

func (x *writer) settlement(k fileKey, at int, corrected bool) *file {
	key := settledKey{k, corrected}
	f := x.settled[key]
	if f == nil {
		w := x.w
		name := "settlement-" + w.digits[k.day]
		head := "# acquirer: " + w.opt.Acquirers[k.acquirer] + "\n# settle_date: " + w.iso[k.day] + "\n"
		switch {
		case corrected:
			head += "# replaces: " + name + ".csv\n"
			name += "-corrected"
		case k.part == samedayPart:
			name += "-d0"
		case k.part == secondPart:
			name += "-part2"
		case w.files[k] != nil && w.files[k].truncated:
			name += "-resend"
		}
		f = x.open(filepath.Join(night(at), "inbox", w.opt.Acquirers[k.acquirer], name+".csv"), []byte(head+settlementHeader))
		f.totals, f.fees = !w.opt.NoTotals, true
		x.settled[key] = f
	}
	return f
}

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

// payouts writes the payout file of an acquirer and a day: what it pays on the day, what it paid overnight for the
// sales of the day before, and what became of earlier payouts.
func (x *writer) payouts(acquirer, day int) error {
	w := x.w
	if w.opt.NoPayouts {
		return nil
	}
	arrives := day
	if p := w.files[fileKey{acquirer, day, mainPart}]; p != nil && p.payoutToo {
		arrives += p.delay
	}
	at := w.nightOf[arrives]
	if at == never {
		return nil
	}
	var f *file
	write := func(c *cell, v int) {
		if f == nil {
			head := "# acquirer: " + w.opt.Acquirers[acquirer] + "\n# payout_date: " + w.iso[day] +
				"\n# status_time: " + w.iso[day] + "T09:30:00+08:00\n" + payoutHeader
			f = x.open(filepath.Join(night(at), "inbox", w.opt.Acquirers[acquirer], "payout-"+w.digits[day]+".csv"), []byte(head))
			f.totals = !w.opt.NoTotals
		}
		f.buf = w.appendPayout(f.buf, c, v)
		f.count(c.net, 0)
		x.summary.Payouts++
	}
	for batch, cells := range w.cells {
		first := day - batch // a same-day batch is reported the next morning
		if cells == nil {
			continue
		}
		for _, back := range w.news {
			if first-back < 0 || cells[first-back] == nil {
				continue
			}
			for i := range cells[first-back] {
				c := &cells[first-back][i]
				if c.rows == 0 || c.m.acquirer != acquirer {
					continue
				}
				if c.life == nil && back == 0 {
					write(c, 0)
				} else if c.life != nil {
					for v, u := range c.life.versions {
						if u.after == back {
							write(c, v)
						}
					}
				}
			}
		}
	}
	if f == nil {
		return nil
	}
	if f.totals {
		return f.full()
	}
	return f.rest()
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
