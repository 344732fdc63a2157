package simulate

// reserve takes n order numbers of a day, beyond those of its sales and refunds.
func (w *world) reserve(day, n int) int {
	if w.reserved == nil {
		w.reserved = make([]int, w.days)
	}
	first := w.opt.OrdersPerDay*2 + 1 + w.reserved[day] // refunds use fewer numbers than there are sales
	w.reserved[day] += n
	return first
}

// inject adds an order that a fault has made to its day. It runs through the payment, the faults and the settlement
// like any other.
func (w *world) inject(made order) {
	w.extra[made.day] = append(w.extra[made.day], func(o *order, emit func(*order)) {
		*o = made
		w.live(o)
		emit(o)
	})
}
