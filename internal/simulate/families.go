package simulate

import (
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Family is a kind of worlds with one difficulty in common; the seed draws the rest.
type Family struct {
	Name string
	// HeldOut says that no rate, weight or threshold was chosen on worlds of the family: it tells how the explanations do on
	// what they were not made for. A family from which a mechanism was learned is a fitted one from then on.
	HeldOut bool
	World   func(seed uint64) Options
}

// Families are the worlds that explanations are judged on, the fitted ones first.
func Families() []Family {
	return []Family{
		{"mixed", false, Mixed},
		{"quiet", false, func(seed uint64) Options { return draw(seed, 0x01).o }},
		{"outage", false, func(seed uint64) Options {
			d := draw(seed, 0x02)
			return d.with(d.outage(20, 120, 400, 950))
		}},
		{"frozen", false, func(seed uint64) Options {
			d := draw(seed, 0x03)
			return d.with(FrozenMerchant{Merchant: d.merchant(), Day: d.r.intn(2), From: d.r.intn(15 * 3600), Hold: Hold(d.r.intn(3)), Release: d.maybe(3)})
		}},
		{"payouts", false, func(seed uint64) Options {
			d := draw(seed, 0x04)
			return d.with(
				PayoutLate{Acquirer: d.anyOne(), From: 2, To: 3, PerMille: d.r.between(100, 800), Paid: d.maybe(3)},
				AccountAbnormal{Merchant: d.merchant(), From: 1, To: d.r.between(2, 5), Code: d.code(), ReturnedIn: d.r.intn(2) * d.r.between(1, 2)},
				BankMaintenance{Acquirer: d.anyOne(), Day: 4, PerMille: d.r.between(80, 300), Reissued: 1})
		}},
		{"short file", false, func(seed uint64) Options {
			d := draw(seed, 0x18)
			return d.with(ShortFile{Acquirer: d.acquirer(), Day: 2, Late: 2, Keep: d.r.between(200, 900)},
				BatchLate{Acquirer: d.acquirer(), Channel: pick(d.r, "", d.channel()), Day: 3})
		}},
		{"frozen giant", false, func(seed uint64) Options {
			d := draw(seed, 0x15)
			d.o.Merchants = d.r.between(9, 20)
			return d.with(FrozenMerchant{Merchant: LargestMerchant, Day: 1, From: d.r.between(8, 18) * 3600})
		}},

		{"weak outage", true, func(seed uint64) Options {
			d := draw(seed, 0x11)
			d.o.OrdersPerDay *= 3
			return d.with(d.outage(5, 15, 150, 500), d.outage(5, 15, 150, 500))
		}},
		{"outage at the cut-off", true, func(seed uint64) Options {
			d := draw(seed, 0x12)
			long := d.r.between(10, 40) * 60
			return d.with(Outage{Channel: d.channel(), Day: 1, From: 23*3600 - long/2, To: 23*3600 + long/2, Loss: d.r.between(400, 900)})
		}},
		{"outage of all acquirers", true, func(seed uint64) Options {
			d := draw(seed, 0x13)
			f := d.outage(10, 40, 150, 500)
			f.Acquirer = ""
			return d.with(f)
		}},
		{"frozen inside an outage", true, func(seed uint64) Options {
			d := draw(seed, 0x14)
			f := d.outage(30, 120, 400, 900)
			return d.with(f, FrozenMerchant{Merchant: AnyMerchant, Day: f.Day, From: f.From - d.r.intn(3600)})
		}},
		{"frozen dwarf", true, func(seed uint64) Options {
			d := draw(seed, 0x16)
			d.o.Merchants, d.o.OrdersPerDay = d.r.between(120, 200), d.r.between(600, 1200)
			return d.with(FrozenMerchant{Merchant: SmallestMerchant, Day: 1}, FrozenMerchant{Merchant: AnyMerchant, Day: 2})
		}},
		{"late file over a holiday", true, func(seed uint64) Options {
			d := draw(seed, 0x17)
			d.o.Start = pick(d.r, recon.NewDate(2026, time.September, 28), recon.NewDate(2026, time.February, 12), recon.NewDate(2026, time.April, 28))
			d.o.Nights, d.o.DaysPerNight = 4, 3
			return d.with(FileLate{Acquirer: d.acquirer(), Day: d.r.between(2, 4), Late: d.r.between(2, 4)},
				ShortFile{Acquirer: d.acquirer(), Day: d.r.between(5, 9), Late: 2, Keep: d.r.between(300, 800)})
		}},
		{"frozen over a holiday", true, func(seed uint64) Options {
			d := draw(seed, 0x19)
			d.o.Start = pick(d.r, recon.NewDate(2026, time.September, 28), recon.NewDate(2026, time.February, 12), recon.NewDate(2026, time.April, 28))
			d.o.Nights, d.o.DaysPerNight, d.o.Merchants = 4, 3, d.r.between(6, 30)
			return d.with(FrozenMerchant{Merchant: AnyMerchant, Day: 1, From: d.r.between(0, 20) * 3600})
		}},
		{"no codes", true, func(seed uint64) Options { return withheld(seed, 0x21, Withheld{Codes: true}) }},
		{"no callbacks", true, func(seed uint64) Options { return withheld(seed, 0x22, Withheld{Callbacks: true}) }},
		{"no channel transaction ids", true, func(seed uint64) Options { return withheld(seed, 0x23, Withheld{ChannelTxnIDs: true}) }},
		{"no payout files", true, func(seed uint64) Options {
			o := withheld(seed, 0x24, Withheld{})
			o.NoPayouts = true
			return o
		}},
		{"bunched failures", true, func(seed uint64) Options {
			d := draw(seed, 0x25)
			d.o.Bunched = true
			d.o.OrdersPerDay *= 2
			return d.with(d.outage(15, 60, 400, 800))
		}},
		{"clock skew", true, func(seed uint64) Options {
			o := withheld(seed, 0x26, Withheld{})
			o.Faults = append(o.Faults, ClockSkew{Seconds: []int{-420, 240, 540}[seed%3]})
			return o
		}},
		{"re-sent and corrected files", true, func(seed uint64) Options {
			d := draw(seed, 0x27)
			return d.with(Resent{Acquirer: d.acquirer(), Day: 2, After: 1}, Corrected{Acquirer: d.acquirer(), Day: 3, After: 1, PerMille: d.r.between(5, 30)},
				CallbackLost{From: 0, To: 3, PerMille: d.r.between(2, 6)}, Orphan{From: 1, To: 3, PerDay: 2, Twin: true})
		}},
		{"creeping delay after a holiday", true, func(seed uint64) Options {
			d := draw(seed, 0x28)
			d.o.Start = pick(d.r, recon.NewDate(2026, time.October, 6), recon.NewDate(2026, time.February, 21))
			return d.with(PayoutLate{Acquirer: d.acquirer(), From: 1, To: 6, PerMille: 900, Paid: 2, Creep: 1})
		}},
		{"faults on top of each other", true, func(seed uint64) Options {
			d := draw(seed, 0x29)
			return d.with(d.outage(10, 60, 300, 900), FrozenMerchant{Merchant: d.merchant(), Channel: pick(d.r, "", d.channel()), Day: 1, From: d.r.intn(20 * 3600)},
				BatchLate{Acquirer: d.acquirer(), Channel: d.channel(), Day: 2}, FileLate{Acquirer: d.acquirer(), Day: 4, Late: 1},
				TerminalNetwork{Merchant: LargestMerchant, Day: 1, From: 9 * 3600, To: 18 * 3600}, FalseSuccess{From: 0, To: 4, PerMille: 2},
				InsufficientBalance{Merchant: AnyMerchant, Day: 3, Hold: pick(d.r, HoldRows, HoldPayouts)}, SingleFreeze{From: 1, To: 4, PerMille: 1})
		}},
	}
}

// draw begins a world of a family: an ordinary size and base, five days in three nights, everything logged.
func draw(seed uint64, family uint64) *drawer {
	r := seeded(seed, 0xfa3, family)
	d := &drawer{r: &r, days: 6, files: map[fileKey]bool{}}
	d.o = Options{
		Seed: seed<<8 | family, Start: pick(&r, seasons[:7]...).AddDays(r.intn(6)), Nights: 3, DaysPerNight: 2,
		OrdersPerDay: r.between(500, 1500), Merchants: r.between(25, 90), Base: Usual.Times(r.between(50, 160)), ExportedAt: r.intn(2) == 0,
		Acquirers: []string{"lakala", "chinaums", "shengpay"},
	}
	return d
}

func (d *drawer) with(faults ...Fault) Options {
	d.o.Faults = append(d.o.Faults, faults...)
	return d.o
}

// outage draws an outage of minutes and a loss per mille, in the hours in which people pay.
func (d *drawer) outage(shortest, longest, least, most int) Outage {
	start := d.r.between(10*3600, 20*3600)
	return Outage{Channel: pick(d.r, "WECHAT", "ALIPAY"), Acquirer: d.anyOne(), Day: d.r.intn(4), From: start,
		To: start + d.r.between(shortest, longest)*60, Loss: d.r.between(least, most)}
}

// withheld is a world of every kind of fault, a log of which lacks something.
func withheld(seed, family uint64, no Withheld) Options {
	d := draw(seed, family)
	d.o.Withhold = no
	return d.with(d.outage(20, 90, 400, 900), FrozenMerchant{Merchant: d.merchant(), Day: 1, From: d.r.intn(15 * 3600)},
		AccountAbnormal{Merchant: AnyMerchant, From: 2, To: 4, Code: d.code()}, PayoutLate{Acquirer: d.acquirer(), From: 3, To: 3, PerMille: 400, Paid: 2},
		CallbackLost{From: 0, To: 5, PerMille: d.r.between(1, 5)}, WrongAmount{From: 0, To: 5, PerMille: 2}, FileLate{Acquirer: d.acquirer(), Day: 5, Late: 1})
}
