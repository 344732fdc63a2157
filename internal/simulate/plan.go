package simulate

import (
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Quiet is a world without incidents: five nights in which only what always happens happens.
func Quiet() Options {
	return Options{Seed: 1, Nights: 5, OrdersPerDay: 2000, Base: Usual, ExportedAt: true}
}

// Bulk is one night of n sales, all due that morning, in one POS log and one settlement file; about 2 in 100 have not
// settled. It is for measuring speed.
func Bulk(n int) Options {
	return Options{Seed: 1, Nights: 1, OrdersPerDay: n, Merchants: 2000, Acquirers: []string{"lakala"}, DayOnly: true,
		Cycles: []CycleShare{{recon.TPlus(1), 1}},
		Base:   Base{Failures: 1000, Closed: 200, Waiting: 300, Stragglers: 500, Noise: 900, NoCall: 600}}
}

// Storm is one night of n sales at 5,000 merchants on which everything goes wrong at once, so that nearly every second one
// is flagged and every kind of cohort has something to explain. It is for measuring how fast causes are found.
func Storm(n int) Options {
	const hour, merchants = 3600, 5000
	o := Options{Seed: 1, Nights: 1, OrdersPerDay: n, Merchants: merchants, Acquirers: []string{"lakala", "chinaums", "shengpay", "leshua"},
		DayOnly: true, Cycles: []CycleShare{{recon.TPlus(1), 1}}, Base: Usual, Bunched: true,
		Faults: []Fault{
			FileLate{Acquirer: "shengpay", Day: 1, Late: 1},
			ShortFile{Acquirer: "leshua", Day: 1, Late: 1, Keep: 850},
			Outage{Channel: "WECHAT", Acquirer: "lakala", Day: 0, From: 12 * hour, To: 13 * hour, Loss: 700},
			Outage{Channel: "ALIPAY", Day: 0, From: 18 * hour, To: 18*hour + 40*60, Loss: 500},
			BatchLate{Acquirer: "chinaums", Channel: "UNIONPAY", Day: 0},
			PayoutLate{Acquirer: "lakala", From: 1, To: 1, PerMille: 100},
			BankMaintenance{Day: 1, PerMille: 50, Reissued: 1},
			CallbackLost{From: 0, To: 0, PerMille: 3},
			FalseSuccess{From: 0, To: 0, PerMille: 2},
			WrongAmount{From: 0, To: 0, PerMille: 2},
			SingleFreeze{From: 0, To: 0, PerMille: 2},
		}}
	for m := Merchant(0); m < merchants; m += 25 { // one in 25 is frozen, every other way; as many cannot be paid, or sell without a network
		o.Faults = append(o.Faults, FrozenMerchant{Merchant: m, Day: 0, From: int(m) * 4, Hold: Hold(m / 25 % 3)})
		if m%50 == 0 {
			o.Faults = append(o.Faults, AccountAbnormal{Merchant: m + 7, From: 1, To: 1, Code: "E2014"})
		} else {
			o.Faults = append(o.Faults, TerminalNetwork{Merchant: m + 9, Day: 0, From: 9 * hour, To: 19 * hour, Loss: 900})
		}
	}
	return o
}

// Demo is the world shipped with the program: four nights of a fortnight of three acquirers and forty merchants, small
// enough to read, with every outcome, every cause and every sub-cause in it, and most of them still open at the end.
func Demo() Options {
	const hour, november = 3600, time.November
	day := func(d int) recon.Date { return recon.NewDate(2026, november, d) }
	on := func(d int) int { return d - 2 } // the world starts on Monday the 2nd
	return Options{
		Seed: 20261102, Start: day(2), NightDays: []recon.Date{day(4), day(7), day(11), day(13)},
		OrdersPerDay: 285, Merchants: 40, ExportedAt: true,
		Cycles: []CycleShare{{recon.TPlus(1), 55}, {recon.DPlus(1), 30}, {recon.TPlus(0), 5}, {recon.DPlus(0), 5}, {recon.TPlus(2), 5}},
		Base: Base{Failures: 1900, Closed: 300, Waiting: 500, Voids: 400, Reversed: 150, Stragglers: 250, Noise: 900, NoCall: 600,
			Queried: 250, OtherID: 150, TwicePOS: 80, TwicePaid: 80, Refunds: 1500},
		Faults: []Fault{
			// The first night, Wednesday the 4th.
			Outage{Channel: "WECHAT", Acquirer: "lakala", Day: on(3), From: 17 * hour, To: 20 * hour, Loss: 850, Taken: 250},
			TerminalNetwork{Merchant: LargestMerchant, Day: on(3), From: 8 * hour, To: 19 * hour},
			ShortFile{Acquirer: "chinaums", Day: on(4), Late: 1, Keep: 650},
			BankMaintenance{Day: on(4), PerMille: 150, Reissued: 1},
			Resent{Acquirer: "lakala", Day: on(4), After: 1},
			// The second, Saturday the 7th.
			FrozenMerchant{Merchant: 4, Day: on(4), From: 9 * hour},
			AccountAbnormal{Merchant: 7, From: on(6), To: on(30), Code: "E2014"},
			AccountAbnormal{Merchant: 12, From: on(5), To: on(5), Code: "E2051", Fixed: 1},
			FileLate{Acquirer: "shengpay", Day: on(6), Late: 3},
			PayoutLate{Acquirer: "chinaums", From: on(6), To: on(6), PerMille: 500, Paid: 3},
			Corrected{Acquirer: "lakala", Day: on(6), After: 4, PerMille: 40},
			// The third, Wednesday the 11th.
			FrozenMerchant{Merchant: 9, Day: on(8), From: 14 * hour, Hold: HoldRows, Release: 5},
			RowsReturned{Merchant: 17, Day: on(9), Code: "E2010", In: 2},
			NegativeBatch{Merchant: 18, Day: on(10), TopUp: 2},
			BatchLate{Acquirer: "chinaums", Channel: "ALIPAY", Day: on(10)},
			InsufficientBalance{Merchant: 15, Day: on(11), Hold: HoldPayouts},
			// The last, Friday the 13th.
			Outage{Channel: "ALIPAY", Day: on(12), From: 11*hour + 30*60, To: 13*hour + 10*60, Loss: 750, Taken: 300, Twice: 200},
			ShortFile{Acquirer: "shengpay", Day: on(13), Late: 1, Keep: 700},
			BatchLate{Acquirer: "chinaums", Channel: "UNIONPAY", Day: on(11), Files: 2},
			PayoutLate{Acquirer: "lakala", From: on(13), To: on(13), PerMille: 300, Paid: 3},
			InsufficientBalance{Merchant: 20, Day: on(13), Hold: HoldRows},
			// All the time.
			CallbackLost{From: on(2), To: on(12), PerMille: 3},
			FalseSuccess{From: on(2), To: on(12), PerMille: 2},
			WrongAmount{From: on(2), To: on(12), PerMille: 2},
			Orphan{From: on(3), To: on(12), PerDay: 1, Twin: true},
			SingleFreeze{From: on(4), To: on(12), PerMille: 2},
		},
	}
}
