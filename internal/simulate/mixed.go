package simulate

import (
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Mixed is a world of a size, a season, a base and a choice of faults that the seed draws, with evidence withheld now
// and then: weak outages and short ones, frozen giants and dwarfs, faults on top of each other, holidays, a year that
// no calendar knows. Many of them together are what a classifier is judged on.
func Mixed(seed uint64) Options {
	r := seeded(seed, 0x313)
	o := Options{
		Seed:         seed,
		Start:        pick(&r, seasons...).AddDays(r.intn(6)),
		Nights:       r.between(2, 5),
		DaysPerNight: r.between(1, 3),
		OrdersPerDay: pick(&r, r.between(250, 600), r.between(600, 1500), r.between(1500, 3000)),
		Merchants:    r.between(15, 150),
		Acquirers:    [][]string{{"lakala", "chinaums", "shengpay"}, {"lakala", "chinaums"}, {"chinaums", "shengpay", "leshua", "allinpay"}}[r.intn(3)],
		Base:         Usual.Times(r.between(20, 250)),
		ExportedAt:   r.intn(2) == 0,
		NoTotals:     r.intn(6) == 0,
		NoPayouts:    r.intn(10) == 0,
		Withhold:     Withheld{Codes: r.intn(10) == 0, Callbacks: r.intn(5) == 0, ChannelTxnIDs: r.intn(10) == 0, References: r.intn(8) == 0},
	}
	if r.intn(2) == 0 {
		o.Cycles = []CycleShare{{recon.TPlus(1), 55}, {recon.DPlus(1), 25}, {recon.TPlus(0), 7}, {recon.DPlus(0), 7}, {recon.TPlus(2), 6}}
	}
	d := drawer{r: &r, o: o, days: o.Nights * o.DaysPerNight, files: map[fileKey]bool{}}
	for n := r.between(3, 12); len(d.o.Faults) < n; {
		if f := d.fault(); f != nil {
			d.o.Faults = append(d.o.Faults, f)
		}
	}
	return d.o
}

// seasons are starts of worlds: an ordinary month, the autumn holidays with their make-up days, Spring Festival, May, a
// long quiet summer, and the turn of a year for which no notice is out yet.
var seasons = []recon.Date{
	recon.NewDate(2026, time.November, 2), recon.NewDate(2026, time.March, 9), recon.NewDate(2026, time.September, 18),
	recon.NewDate(2026, time.September, 28), recon.NewDate(2026, time.February, 10), recon.NewDate(2026, time.April, 28),
	recon.NewDate(2025, time.July, 7), recon.NewDate(2025, time.December, 29), recon.NewDate(2026, time.December, 22),
}

// drawer draws faults that fit a world.
type drawer struct {
	r     *rng
	o     Options
	days  int
	files map[fileKey]bool
}

func (d *drawer) day() int         { return d.r.intn(d.days) }
func (d *drawer) acquirer() string { return pick(d.r, d.o.Acquirers...) }
func (d *drawer) code() string     { return pick(d.r, "E2010", "E2014", "E2033", "E2051") }
func (d *drawer) maybe(n int) int  { return d.r.intn(2) * d.r.between(1, n) }
func (d *drawer) channel() string {
	return pick(d.r, "WECHAT", "WECHAT", "ALIPAY", "ALIPAY", "UNIONPAY")
}
func (d *drawer) anyOne() string { return pick(d.r, "", d.acquirer()) }
func (d *drawer) merchant() Merchant {
	return pick(d.r, AnyMerchant, AnyMerchant, AnyMerchant, LargestMerchant, SmallestMerchant)
}

// file returns a settlement file that no other fault has; ok is false if the draw hit one that has.
func (d *drawer) file() (acquirer string, day int, ok bool) {
	a, day := d.r.intn(len(d.o.Acquirers)), d.r.between(1, d.days)
	k := fileKey{a, day, mainPart}
	ok = !d.files[k]
	d.files[k] = true
	return d.o.Acquirers[a], day, ok
}

// fault draws one fault, or nil where the draw does not fit.
func (d *drawer) fault() Fault {
	r := d.r
	from, to := d.day(), d.days-1
	switch r.intn(22) {
	case 0, 1, 2:
		start := r.between(8*3600, 21*3600)
		long := pick(r, r.between(8, 20), r.between(20, 60), r.between(60, 240)) * 60
		return Outage{Channel: d.channel(), Acquirer: d.anyOne(), Day: from, From: start, To: start + long, Loss: r.between(150, 950),
			Taken: r.between(50, 400), Twice: r.intn(2) * r.intn(300)}
	case 3, 4, 5:
		return FrozenMerchant{Merchant: d.merchant(), Channel: pick(r, "", "", d.channel()), Day: from, From: r.intn(20 * 3600),
			Hold: Hold(r.intn(3)), Release: d.maybe(5)}
	case 6:
		return SingleFreeze{From: from, To: to, PerMille: r.between(1, 4), Release: d.maybe(4)}
	case 7, 8:
		return AccountAbnormal{Merchant: d.merchant(), From: from + 1, To: from + r.between(1, 9), Code: d.code(),
			ReturnedIn: r.intn(2) * r.between(1, 4), Fixed: r.intn(2) * r.between(1, 6)}
	case 9:
		return RowsReturned{Merchant: d.merchant(), Day: from + 1, Code: d.code(), In: r.between(1, 3), Fixed: r.intn(2) * r.between(3, 6)}
	case 10:
		return PayoutLate{Acquirer: d.anyOne(), From: from + 1, To: from + r.between(1, 4), PerMille: r.between(50, 1000), Paid: d.maybe(4), Creep: r.intn(2)}
	case 11:
		return BankMaintenance{Acquirer: d.anyOne(), Day: from + 1, PerMille: r.between(50, 300), Reissued: d.maybe(2)}
	case 12:
		return InsufficientBalance{Merchant: d.merchant(), Day: from + 1, Hold: pick(r, HoldRows, HoldPayouts), TopUp: d.maybe(4)}
	case 13:
		if from == 0 {
			return nil
		}
		return NegativeBatch{Merchant: d.merchant(), Day: from, TopUp: d.maybe(4)}
	case 14:
		if a, day, ok := d.file(); ok {
			return FileLate{Acquirer: a, Day: day, Late: r.between(1, 3), Truncated: r.intn(3) == 0 && !d.o.NoTotals}
		}
	case 15:
		if a, day, ok := d.file(); ok {
			return ShortFile{Acquirer: a, Day: day, Late: r.between(1, 3), Keep: r.between(200, 900)}
		}
	case 16:
		a, day, ok := d.file()
		switch {
		case !ok:
		case r.intn(2) == 0:
			return Resent{Acquirer: a, Day: day, After: r.between(1, 3)}
		default:
			return Corrected{Acquirer: a, Day: day, After: r.between(1, 3), PerMille: r.between(5, 40)}
		}
	case 17:
		return BatchLate{Acquirer: d.acquirer(), Channel: pick(r, "", d.channel()), Day: from, Files: r.between(1, 3)}
	case 18:
		return CallbackLost{Acquirer: d.anyOne(), From: from, To: to, PerMille: r.between(1, 8)}
	case 19:
		return pick[Fault](r, FalseSuccess{From: from, To: to, PerMille: r.between(1, 4), WithTxn: r.intn(4) == 0},
			WrongAmount{From: from, To: to, PerMille: r.between(1, 4)})
	case 20:
		start := r.between(0, 14*3600)
		return TerminalNetwork{Merchant: pick(r, AnyMerchant, LargestMerchant), Terminal: r.intn(4), Day: from, From: start,
			To: start + r.between(2, 9)*3600, Loss: r.between(500, 1000)}
	case 21:
		return pick[Fault](r, Orphan{From: from, To: to, PerDay: r.between(1, 3), Twin: r.intn(2) == 0},
			LogLate{Acquirer: d.anyOne(), Day: from, Late: r.between(1, 2)})
	}
	return nil
}
