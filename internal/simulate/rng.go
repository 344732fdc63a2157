package simulate

// rng is splitmix64: one word of state, good enough bits for a world, and cheap to seed once per order.
type rng uint64

// seeded returns the generator of one thing in a world; the parts say which thing.
func seeded(seed uint64, parts ...uint64) rng {
	r := rng(seed)
	for _, p := range parts {
		r = rng(r.next() ^ p*0x9e3779b97f4a7c15)
	}
	return r
}

func (r *rng) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// intn returns a number in [0, n); n must be positive.
func (r *rng) intn(n int) int { return int((r.next() >> 32) * uint64(n) >> 32) }

// between returns a number in [lo, hi].
func (r *rng) between(lo, hi int) int { return lo + r.intn(hi-lo+1) }

// chance is true in perMille out of a thousand draws.
func (r *rng) chance(perMille int) bool { return r.intn(1000) < perMille }

func pick[T any](r *rng, from ...T) T { return from[r.intn(len(from))] }
