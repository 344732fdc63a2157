package simulate

import (
	"errors"
	"fmt"
	"time"

	"github.com/posrecon/posrecon/internal/recon"
)

// Options describes a world. The zero value of a field is its default where one is named.
type Options struct {
	Seed  uint64
	Start recon.Date // the first trading day; default Monday 2026-11-02

	// Nights is how many runs there are, DaysPerNight how many trading days lie between two (default 1). The first run is
	// on Start + DaysPerNight at AsOfClock. NightDays, if given, names the days of the runs instead of both.
	Nights       int
	DaysPerNight int
	NightDays    []recon.Date
	AsOfClock    time.Duration // local clock time of a run; default 12:00

	OrdersPerDay int      // sales a day; what faults and refunds add comes on top
	Merchants    int      // default 40
	Acquirers    []string // default lakala, chinaums, shengpay; each merchant has one of them
	Cycles       []CycleShare

	Base Base
	// Bunched makes what goes wrong all the time come in bunches: the rates of an hour of an acquirer's channel vary as much
	// as they do with an intra-hour correlation of 0.02 around one in a hundred (practice §4.4).
	Bunched bool
	Faults  []Fault // their order numbers the incidents

	ExportedAt   bool     // POS logs carry "# exported_at"
	NoTotals     bool     // settlement and payout files carry no control totals
	NoPayouts    bool     // the acquirers send no payout files
	Withhold     Withheld // columns that the POS logs do not have
	DayOnly      bool     // no sale at or after the cut-off, so that a whole day falls due together
	WithoutTruth bool     // leave truth.csv out, for worlds that only measure speed
}

// CycleShare gives a settlement cycle to Share out of the sum of all shares of the merchants.
type CycleShare struct {
	Cycle recon.Cycle
	Share int
}

// Withheld names evidence that a POS log lacks altogether: the columns are absent, as they are from many tills.
type Withheld struct {
	Codes, Callbacks, ChannelTxnIDs, References bool
}

// The rules that hold in every world.
const (
	cutOff       = 23 * time.Hour // an order at or after it belongs to the next business date
	fileDeadline = 10 * time.Hour // an order is due from this clock time on its due date
	fileArrival  = 8 * time.Hour  // files of a day lie in the inbox from this clock time
	maxCells     = 1_000_000      // merchants times days: a payout of 40 bytes is kept for each, or two, of 80 MB at most
	maxNights    = 400            // one truth file per night is open at a time
	maxDays      = 420
	maxOrders    = 49_000_000 // an order id has eight digits, and refunds and faults need numbers too
)

var errNoOrders = errors.New("a world needs OrdersPerDay, and Nights or NightDays")

func (o Options) withDefaults() (Options, error) {
	if o.Start.IsZero() {
		o.Start = recon.NewDate(2026, time.November, 2)
	}
	if o.DaysPerNight == 0 {
		o.DaysPerNight = 1
	}
	if o.AsOfClock == 0 {
		o.AsOfClock = 12 * time.Hour
	}
	if o.Merchants == 0 {
		o.Merchants = 40
	}
	if len(o.Acquirers) == 0 {
		o.Acquirers = []string{"lakala", "chinaums", "shengpay"}
	}
	if len(o.Cycles) == 0 {
		o.Cycles = []CycleShare{{recon.TPlus(1), 65}, {recon.DPlus(1), 35}}
	}
	if len(o.NightDays) == 0 {
		for n := 1; n <= min(o.Nights, maxNights); n++ {
			o.NightDays = append(o.NightDays, o.Start.AddDays(n*o.DaysPerNight))
		}
	}
	if o.OrdersPerDay <= 0 || len(o.NightDays) == 0 {
		return o, errNoOrders
	}
	for i, d := range o.NightDays {
		if !d.After(o.Start) || i > 0 && !d.After(o.NightDays[i-1]) {
			return o, fmt.Errorf("night %d on %s: nights follow the start and each other", i+1, d)
		}
	}
	switch days := o.NightDays[len(o.NightDays)-1].DaysSince(o.Start); {
	case len(o.NightDays) > maxNights || o.Nights > maxNights || days > maxDays:
		return o, fmt.Errorf("at most %d nights over %d days", maxNights, maxDays)
	case o.Merchants < len(o.Acquirers) || o.Merchants*(days+10) > maxCells:
		return o, fmt.Errorf("%d merchants over %d days: from one per acquirer to %d", o.Merchants, days, maxCells/(days+10))
	case o.OrdersPerDay > maxOrders:
		return o, fmt.Errorf("%d orders a day: at most %d", o.OrdersPerDay, maxOrders)
	}
	return o, nil
}
