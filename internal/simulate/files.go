package simulate

import "github.com/posrecon/posrecon/internal/recon"

// A settlement file of an acquirer and a date comes in up to three parts.
const (
	mainPart    = iota
	samedayPart // what was settled on the sale's own day, reported the next morning
	secondPart  // what a short main part left out
)

type fileKey struct {
	acquirer, day, part int
}

// filePlan is what becomes of a settlement file other than arriving on its date.
type filePlan struct {
	why       label
	delay     int  // days late
	payoutToo bool // the payout file of the date with it
	truncated bool // a cut copy with wrong totals arrives on the date, the whole file after the delay
	short     int  // days by which the second part follows; 0: the main part is whole
	from      int  // … and the second of the day from which sales are in it
	resend    int  // days after which the same bytes come again under another name
	corrected int  // days after which a corrected file replaces it; 0: never
	rate      int  // per mille of its rows that the correction changes
}

// lateLog is the part of a day's POS log that an acquirer's tills make.
type lateLog struct {
	day, acquirer int
}

// correct marks what a corrected file will say otherwise of a row: another amount, or not there at all. What a
// correction takes out settles on a later date instead.
func (w *world) correct(o *order, s *setFact, p *filePlan) {
	if p.corrected == 0 || s.file.part != mainPart {
		return
	}
	s.fixNight = w.nightOf[min(s.day+p.corrected, len(w.nightOf)-1)]
	r := seeded(o.hash, 0xc0)
	if s.fixNight == never || s.status != recon.SettleSettled || o.touched || o.refund > 0 || o.nset > 1 || !r.chance(p.rate) {
		return
	}
	o.touched, o.within = true, p.why.incident
	if r.intn(3) > 0 {
		s.wrong, o.amiss = s.amount*10, p.why
		return
	}
	s.dropped, s.noPay = true, true
	again := *s
	again.day, again.dropped, again.noPay, again.fixNight = w.nextFile[s.day], false, false, never
	o.set[o.nset] = again
	o.nset++
	o.delay = label{recon.SystemDelay, p.why.incident}
}
