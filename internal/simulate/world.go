package simulate

import (
	"fmt"
	"time"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// Days are numbered from the start of the world, so that the rules below are lookups and not date arithmetic.
const (
	horizon = 45      // days known beyond the last night: a settlement may be due or delayed past the end
	never   = 1 << 20 // a day, or a night, that does not come
)

// channels of a world, and how many of 100 orders use each.
var channels = [...]struct {
	name  string
	share int
}{{"WECHAT", 55}, {"ALIPAY", 35}, {"UNIONPAY", 10}}

type merchant struct {
	index     int
	id        string
	acquirer  int
	cycle     int // index into world.cycles
	fee       int64
	terminals []string
	stores    []string // beside each terminal
}

// world is everything about a set of Options that does not depend on one order.
type world struct {
	opt       Options
	days      int // trading days 0 … days-1
	dates     []recon.Date
	iso       []string // 2026-11-02
	digits    []string // 20261102
	cycles    []recon.Cycle
	cycleName []string
	due       [][]int // by cycle and business day; never where the calendar cannot say
	settle    [][]int // by cycle and business day: the settle date of an undisturbed order
	works     []bool  // by day: a working day
	nextFile  []int   // by day: the next working day after it
	arrived   []int   // by night: the last day whose files have arrived
	dueBy     []int   // by night: the last day whose deadline has passed
	nightOf   []int   // by day: the first night in which a file of that day lies in the inbox

	merchants []merchant
	bySlot    []int32 // merchants by the share of orders that they have
	clock     []int32 // the second of the day by the quantile of the day's orders

	pos      [][]func(*order) // by trading day: what faults do to the payment itself
	rows     [][]func(*order) // by trading day: what faults do to the settlement rows of a taken payment
	extra    [][]func(*order, func(*order))
	payouts  map[payoutAt]*payoutPlan
	files    map[fileKey]*filePlan
	late     map[lateLog]int
	skew     map[int]int // by acquirer: seconds that its clock is ahead
	cells    [2][][]cell // by batch, settle day and merchant
	reserved []int       // by day: order numbers that faults have taken
	news     []int       // how many days after its first report a payout may be heard of again, 0 first
}

func newWorld(opt Options) (*world, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &world{opt: opt, days: opt.NightDays[len(opt.NightDays)-1].DaysSince(opt.Start)}
	w.payouts, w.files, w.late = map[payoutAt]*payoutPlan{}, map[fileKey]*filePlan{}, map[lateLog]int{}
	w.skew = map[int]int{}
	span := w.days + horizon
	w.pos, w.rows, w.extra = make([][]func(*order), w.days), make([][]func(*order), w.days), make([][]func(*order, func(*order)), w.days)
	w.news = []int{0}
	for d := range span {
		date := opt.Start.AddDays(d)
		w.dates, w.iso = append(w.dates, date), append(w.iso, date.String())
		w.digits = append(w.digits, date.UTC().Format("20060102"))
	}
	w.nights(span)
	w.calendar(span)
	w.populate()
	w.hours()
	for i, f := range opt.Faults {
		b := bound{incident: fmt.Sprintf("I%02d-%s", i, f.Name()), rng: seeded(opt.Seed, 0xfa, uint64(i))}
		if err := f.bind(w, &b); err != nil {
			return nil, fmt.Errorf("fault %d (%s): %w", i, f.Name(), err)
		}
	}
	w.refunds()
	return w, nil
}

func (w *world) nights(span int) {
	for _, d := range w.opt.NightDays {
		asOf := d.At(w.opt.AsOfClock, shanghai)
		last := func(clock time.Duration) int {
			day := recon.DateOf(asOf, shanghai)
			if asOf.Before(day.At(clock, shanghai)) {
				day = day.AddDays(-1)
			}
			return day.DaysSince(w.opt.Start)
		}
		w.arrived, w.dueBy = append(w.arrived, last(fileArrival)), append(w.dueBy, last(fileDeadline))
	}
	w.nightOf = make([]int, span)
	for d := range span {
		w.nightOf[d] = never
		for n := len(w.arrived) - 1; n >= 0 && w.arrived[n] >= d; n-- {
			w.nightOf[d] = n
		}
	}
}

func (w *world) calendar(span int) {
	cal := days{calendar.Default()}
	for _, c := range w.opt.Cycles {
		due, settle := make([]int, w.days+1), make([]int, w.days+1)
		for d := range w.days + 1 {
			due[d] = never // where a year is not loaded: the order stays pending without a due date
			if date, err := cal.Due(w.dates[d], c.Cycle); err == nil {
				due[d] = date.DaysSince(w.opt.Start)
			}
			settle[d] = min(cal.settles(w.dates[d], c.Cycle).DaysSince(w.opt.Start), span-1)
		}
		w.cycles, w.cycleName = append(w.cycles, c.Cycle), append(w.cycleName, c.Cycle.String())
		w.due, w.settle = append(w.due, due), append(w.settle, settle)
	}
	w.nextFile, w.works = make([]int, span), make([]bool, span)
	next := span - 1
	for d := span - 1; d >= 0; d-- {
		w.nextFile[d] = next
		if w.works[d] = cal.working(w.dates[d]); w.works[d] {
			next = d
		}
	}
}

// populate makes the merchants. Their sizes follow a power law, as a merchant group's do: a few large, many small.
func (w *world) populate() {
	r := seeded(w.opt.Seed, 0x3e)
	shares := 0
	for _, c := range w.opt.Cycles {
		shares += c.Share
	}
	terminal := 0
	for i := range w.opt.Merchants {
		m := merchant{index: i, id: fmt.Sprintf("8224%011d", 1000+37*i), acquirer: i % len(w.opt.Acquirers)}
		for at := r.intn(shares); at >= w.opt.Cycles[m.cycle].Share; m.cycle++ {
			at -= w.opt.Cycles[m.cycle].Share
		}
		m.fee = pick(&r, int64(25), 25, 38, 38, 60) // basis points of the gross
		for t := range r.between(2, 4) {
			m.terminals = append(m.terminals, fmt.Sprintf("T%06d", terminal))
			m.stores = append(m.stores, fmt.Sprintf("S%05d%c", i+1, 'A'+t/2))
			terminal++
		}
		w.merchants = append(w.merchants, m)
	}
	order := make([]int32, w.opt.Merchants) // by size; shuffled so that size has nothing to do with the acquirer
	for i := range order {
		order[i] = int32(i)
		j := r.intn(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	const scale = 64
	for rank, m := range order {
		for range max(1, scale*4/(4+rank*scale/max(scale, w.opt.Merchants))) {
			w.bySlot = append(w.bySlot, m)
		}
	}
}

// hours lays the orders of a day over its hours: quiet nights, peaks at lunch and in the evening.
func (w *world) hours() {
	weight := [24]int{3, 2, 1, 1, 1, 3, 10, 25, 35, 40, 45, 70, 95, 65, 45, 45, 50, 75, 95, 90, 70, 50, 30, 12}
	if w.opt.DayOnly {
		weight[23] = 0
	}
	total := 0
	for _, h := range weight {
		total += h
	}
	const steps = 4096
	w.clock = make([]int32, steps+1)
	hour, before := 0, 0
	for q := range steps {
		at := q * total / steps
		for at >= before+weight[hour] {
			before += weight[hour]
			hour++
		}
		w.clock[q] = int32(hour*3600 + (q*total-before*steps)*3600/(weight[hour]*steps))
	}
	if w.clock[steps] = 24 * 3600; w.opt.DayOnly {
		w.clock[steps] = 23 * 3600
	}
}

// second returns the second of the day at the quantile num/den of the day's orders.
func (w *world) second(num, den int) int {
	const steps = 4096
	at := num * steps
	q := at / den
	lo, hi := int(w.clock[q]), int(w.clock[min(q+1, steps)])
	return min(lo+(hi-lo)*(at%den)/den, 24*3600-1)
}
