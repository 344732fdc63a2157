package simulate

// refunds hooks the refunds of every day: each finds a sale of the day or of the three days before it that nothing has
// happened to, by making that sale again. Sales are shared out so that no sale is found twice: a block of the sold day
// belongs to one refund, and within the block the distance in days decides which sales may be taken.
func (w *world) refunds() {
	const back = 4
	count := w.opt.OrdersPerDay * w.opt.Base.Refunds / 100_000
	if count == 0 {
		if w.opt.Base.Refunds == 0 || w.opt.OrdersPerDay < 2*back {
			return
		}
		count = 1
	}
	block := w.opt.OrdersPerDay / count
	if block < back {
		return
	}
	for day := range w.days {
		w.extra[day] = append(w.extra[day], func(o *order, emit func(*order)) {
			for i := range count {
				r := seeded(w.opt.Seed, 0x4ef, uint64(day), uint64(i))
				lag := r.intn(min(back, day+1))
				at := i*block + r.intn(block/back)*back + lag
				w.sale(day-lag, at, o)
				if !o.refundable(day) {
					continue
				}
				w.refund(o, &r, day, w.opt.OrdersPerDay+1+2*i, emit)
			}
		})
	}
}

// refundable reports whether a sale stands undisturbed by a day.
func (o *order) refundable(day int) bool {
	return o.clean() && o.second < 22*3600 && (o.nset == 1 && o.set[0].cell != nil || day == o.day)
}

// refund writes one or two refunds of a sale, leaving o overwritten. Most have an id of their own; a wallet's repeats
// the sale's id and has none, and then there is one only, for the amount must tell two apart.
func (w *world) refund(sale *order, r *rng, day, seq int, emit func(*order)) {
	s := *sale
	left, times := s.amount, 1
	switch r.intn(10) {
	case 0, 1, 2, 3: // partial
		left = max(s.amount/int64(r.between(2, 5)), 1)
	case 4, 5: // partial, twice
		left, times = max(s.amount/int64(r.between(3, 5)), 1), 2
	}
	noID := times == 1 && r.intn(4) == 0
	for n := 1; n <= times; n++ {
		*sale = order{day: day, seq: seq + n - 1, m: s.m, terminal: s.terminal, channel: s.channel, amount: left,
			hash: r.next(), rng: seeded(r.next()), taken: true,
			refund: n, noRefID: noID, saleDay: s.day, saleSeq: s.seq}
		from := 9 * 3600
		if day == s.day {
			from = s.second + 60
		}
		sale.second = from + r.intn(max(22*3600+1800-from, 1))
		w.live(sale)
		emit(sale)
	}
}
