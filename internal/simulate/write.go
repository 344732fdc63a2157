package simulate

import (
	"context"
	"fmt"
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
	extents []map[label]*extent // by night
}

func (x *writer) write(ctx context.Context) error {
	w := x.w
	x.summary.Nights = make([]Night, len(w.opt.NightDays))
	x.extents = make([]map[label]*extent, len(w.opt.NightDays))
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
	if err := x.finish(); err != nil || w.opt.WithoutTruth {
		return err
	}
	return x.incidents()
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
		x.note(n, o, &v)
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
