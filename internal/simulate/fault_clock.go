package simulate

import "fmt"

// ClockSkew is an acquirer whose clock is wrong: the times of its settlement rows are some seconds beside those of the tills.
type ClockSkew struct {
	Acquirer string
	Seconds  int // up to an hour
}

// Name implements Fault.
func (ClockSkew) Name() string { return "clock_skew" }

func (f ClockSkew) bind(w *world, b *bound) error {
	acq, err := w.acquirer(f.Acquirer)
	if err != nil {
		return err
	}
	if f.Seconds > 3600 || f.Seconds < -3600 {
		return fmt.Errorf("%d seconds: at most an hour", f.Seconds)
	}
	for a := range w.opt.Acquirers {
		if acq == all || a == acq {
			w.skew[a] = f.Seconds
		}
	}
	return nil
}
