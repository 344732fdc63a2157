package simulate

import (
	"time"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// shanghai is the zone of every world. China has kept UTC+8 without daylight saving time since 1991, so a fixed zone
// says the same as Asia/Shanghai and needs no zone data on the machine.
var shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// days is the calendar of a world, with an answer for every day.
type days struct{ *calendar.Calendar }

// working reports whether an acquirer works on a day. In a year that is not loaded the plain week decides: the
// acquirer knows its own calendar, and any will do.
func (c days) working(d recon.Date) bool {
	if w, err := c.IsWorkingDay(d); err == nil {
		return w
	}
	return d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
}

// settles returns the settle date of an undisturbed order. It is the due date, but for T+0 and D+0, which settle on the
// date itself and are reported and due the next morning.
func (c days) settles(business recon.Date, cycle recon.Cycle) recon.Date {
	if !cycle.Working {
		return business.AddDays(cycle.Days)
	}
	d := business
	for n := cycle.Days; n > 0 || !c.working(d); {
		if d = d.AddDays(1); c.working(d) {
			n--
		}
	}
	return d
}
