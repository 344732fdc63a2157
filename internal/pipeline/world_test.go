package pipeline_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/posrecon/posrecon/internal/recon"
)

// A world is a few nights of files about a handful of orders. Its alphabets are tiny, so that keys, references and
// amounts collide all the time: what is rare in a merchant's year happens in every second world.

type posRow struct {
	order, acquirer, merchant, channel, typ, refund, original string
	amount                                                    int64 // fen
	currency, status, time                                    string
	terminal, txn, ref, trace, cycle, code                    string
	bad                                                       bool // its amount cannot be read, so the line is rejected
}

type setRow struct {
	order, acquirer, merchant, channel, typ, refund, original string
	amount                                                    int64
	currency, status, settleDate, time                        string
	terminal, txn, ref, trace, fee, net, payout, reason       string
	bad                                                       bool
}

type payRow struct {
	id, acquirer, merchant, payoutDate string
	amount                             int64
	currency, status, reason, replaces string
	version                            string // set by the oracle
}

type worldFile struct {
	folder, name string // under the inbox
	kind         recon.Kind
	acquirer     string // "" for a POS log
	stated       string // how the file says whose it is: "folder", "metadata" or "column"
	date         string // settle_date or payout_date of the metadata, "" for none
	exportedAt   string // of a POS log, local time
	statusTime   string // of a payout file, local time
	replaces     string
	note         string // a remark of no meaning, to make other bytes
	totals       bool
	terse        bool // leaves out what the defaults say anyway
	pos          []posRow
	settlement   []setRow
	payout       []payRow
}

type night struct {
	asOf  time.Time
	files []worldFile
}

type world struct {
	nights    []night
	acquirers recon.Acquirers
	aliases   map[string]map[string]string

	holds, copies bool // whether it has files of a known name, and bytes under two names
}

// last is the as-of of the last night.
func (w *world) last() time.Time { return w.nights[len(w.nights)-1].asOf }

func (f *worldFile) path() string { return filepath.Join(f.folder, f.name) }

func (f *worldFile) rows() int { return len(f.pos) + len(f.settlement) + len(f.payout) }

// preamble returns the lines before the header.
func (f *worldFile) preamble() []string {
	var lines []string
	add := func(key, value string) {
		if value != "" {
			lines = append(lines, "# "+key+": "+value)
		}
	}
	if f.stated == "metadata" {
		add("acquirer", f.acquirer)
	}
	switch f.kind {
	case recon.KindSettlement:
		add("settle_date", f.date)
	case recon.KindPayout:
		add("payout_date", f.date)
	}
	add("exported_at", f.exportedAt)
	add("status_time", f.statusTime)
	add("replaces", f.replaces)
	add("note", f.note)
	if f.rows() == 0 {
		// Without a row, the files of two acquirers of one day would be the same bytes, which are one file (contract §2), and whose it is
		// would depend on which comes first.
		add("of", f.folder)
	}
	return lines
}

// line returns the physical line of row i.
func (f *worldFile) line(i int) int { return len(f.preamble()) + 2 + i }

// text returns the file's bytes.
func (f *worldFile) text() []byte {
	var b strings.Builder
	for _, line := range f.preamble() {
		b.WriteString(line + "\n")
	}
	unless := func(value, usual string) string {
		if f.terse && value == usual {
			return ""
		}
		return value
	}
	row := func(cells ...string) { b.WriteString(strings.Join(cells, ",") + "\n") }
	total := int64(0)
	// Rejected lines count towards total_count, and towards total_amount where their amount can be read.
	amount := func(typ string, fen int64, bad bool) string {
		switch {
		case bad:
			return "1O.50"
		case typ == "SALE":
			total += fen
		case typ == "REFUND":
			total -= fen
		}
		return yuan(fen)
	}
	switch f.kind {
	case recon.KindPOSLog:
		row("order_id", "acquirer", "merchant_id", "channel", "type", "refund_id", "original_order_id", "amount", "currency",
			"status", "txn_time", "terminal_id", "channel_txn_id", "ref_no", "trace_no", "settle_cycle", "response_code")
		for _, r := range f.pos {
			row(r.order, r.acquirer, r.merchant, r.channel, unless(r.typ, "SALE"), r.refund, r.original, amount(r.typ, r.amount, r.bad),
				unless(r.currency, "CNY"), r.status, r.time, r.terminal, r.txn, r.ref, r.trace, r.cycle, r.code)
		}
	case recon.KindSettlement:
		head := []string{"order_id", "merchant_id", "channel", "type", "refund_id", "original_order_id", "amount", "currency",
			"status", "settle_date", "txn_time", "terminal_id", "channel_txn_id", "ref_no", "trace_no", "fee", "net_amount",
			"payout_id", "reason_code"}
		if f.stated == "column" {
			head = append(head, "acquirer")
		}
		row(head...)
		for _, r := range f.settlement {
			cells := []string{r.order, r.merchant, r.channel, unless(r.typ, "SALE"), r.refund, r.original, amount(r.typ, r.amount, r.bad),
				unless(r.currency, "CNY"), r.status, unless(r.settleDate, f.date), r.time, r.terminal, r.txn, r.ref, r.trace,
				r.fee, r.net, r.payout, r.reason}
			if f.stated == "column" {
				cells = append(cells, f.acquirer)
			}
			row(cells...)
		}
	case recon.KindPayout:
		head := []string{"payout_id", "merchant_id", "payout_date", "amount", "currency", "status", "reason_code", "replaces_payout_id"}
		if f.stated == "column" {
			head = append(head, "acquirer")
		}
		row(head...)
		for _, r := range f.payout {
			total += r.amount
			cells := []string{r.id, r.merchant, unless(r.payoutDate, f.date), yuan(r.amount), unless(r.currency, "CNY"), r.status,
				r.reason, r.replaces}
			if f.stated == "column" {
				cells = append(cells, f.acquirer)
			}
			row(cells...)
		}
	}
	if f.totals {
		fmt.Fprintf(&b, "# total_count: %d\n# total_amount: %s\n", f.rows(), yuan(total))
	}
	return []byte(b.String())
}

func (f *worldFile) sha() string {
	sum := sha256.Sum256(f.text())
	return hex.EncodeToString(sum[:])
}

// write puts the file into the inbox.
func (f *worldFile) write(inbox string) error {
	path := filepath.Join(inbox, f.path())
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, f.text(), 0o644)
}

// String shows a world as a person would reproduce it.
func (w world) String() string {
	var b strings.Builder
	for _, id := range slices.Sorted(maps.Keys(w.acquirers)) {
		a := w.acquirers[id]
		fmt.Fprintf(&b, "acquirer %s: cut-off %s, deadline %s, %s, tolerance %s\n", id, a.CutOff, a.Deadline, a.Cycle, a.Tolerance)
	}
	for n, night := range w.nights {
		for _, f := range night.files {
			fmt.Fprintf(&b, "--- night %d: %s (SHA-256 %.12s…)\n%s", n+1, f.path(), f.sha(), f.text())
		}
		fmt.Fprintf(&b, "--- night %d: as of %s\n", n+1, night.asOf.Format(time.RFC3339))
	}
	return b.String()
}

// wish says what a law needs of its worlds.
type wish struct {
	noHolds    bool // no file that is held back for its name
	noReplaces bool // no file that replaces another
	noCopies   bool // no bytes under two names
	dated      bool // every file states its date
	nights     int  // at most so many; 0 for three
}

// drawWorld draws a world.
func drawWorld(t *rapid.T, zone *time.Location, want wish) world {
	d := drawer{t: t, zone: zone, want: want}
	return d.world()
}

type drawer struct {
	t     *rapid.T
	zone  *time.Location
	want  wish
	epoch recon.Date
	ids   []string // acquirers
	w     world

	pos        []worldFile
	settlement map[string][]worldFile
	payout     map[string][]worldFile
	night      map[string]int // of a file, by its path
}

// uniform draws a number below n, all equally often, and shrinks to 0. The library's own ranges prefer small numbers,
// which would make what is rare here rarer still.
func uniform(t *rapid.T, label string, n int) int {
	const bits = 8
	v := 0
	for _, bit := range rapid.SliceOfN(rapid.Bool(), bits, bits).Draw(t, label) {
		v *= 2
		if bit {
			v++
		}
	}
	return v * n >> bits
}

// between draws a number from low to high.
func between(t *rapid.T, label string, low, high int) int { return low + uniform(t, label, high-low+1) }

func pick[T any](t *rapid.T, label string, choices ...T) T {
	return choices[uniform(t, label, len(choices))]
}

// chance draws true in about percent of a hundred cases; it shrinks to false.
func chance(t *rapid.T, label string, percent int) bool { return uniform(t, label, 100) >= 100-percent }

func (d *drawer) day(offset int) string { return d.epoch.AddDays(offset).String() }

func (d *drawer) world() world {
	t := d.t
	d.epoch = pick(t, "epoch", recon.NewDate(2026, 3, 5), // Thursday before an ordinary weekend
		recon.NewDate(2026, 2, 12),  // before the make-up Saturday 14 February and the Spring Festival
		recon.NewDate(2026, 2, 21),  // in it
		recon.NewDate(2026, 12, 29)) // the calendar of 2027 is not loaded
	d.ids = []string{"lakala", "chinaums"}[:between(t, "acquirers", 1, 2)]
	d.w.acquirers, d.w.aliases = recon.Acquirers{}, map[string]map[string]string{}
	for _, id := range d.ids {
		a := recon.DefaultAcquirer(id)
		a.CutOff = time.Duration(pick(t, "cut-off", 23, 24, 22)) * time.Hour
		a.Deadline = time.Duration(pick(t, "deadline", 10, 9)) * time.Hour
		a.Cycle = pick(t, "cycle", recon.TPlus(1), recon.DPlus(1), recon.TPlus(0), recon.DPlus(0), recon.TPlus(3))
		if chance(t, "tolerance", 15) {
			a.Tolerance = yuanOf(50)
		}
		d.w.acquirers[id] = a
		if chance(t, "alias", 30) {
			d.w.aliases[id] = map[string]string{"m1": "M1"}
		}
	}
	offset := 0
	for range between(t, "nights", 1, cmp.Or(d.want.nights, 3)) {
		offset += between(t, "as-of day", 0, 3)
		clock := pick(t, "as-of time", 12*time.Hour, 10*time.Hour, 10*time.Hour-time.Second, 9*time.Hour)
		asOf := d.epoch.AddDays(offset).At(clock, d.zone)
		if n := len(d.w.nights); n > 0 && asOf.Before(d.w.nights[n-1].asOf) {
			asOf = d.w.nights[n-1].asOf
		}
		d.w.nights = append(d.w.nights, night{asOf: asOf})
	}
	d.files()
	for range between(t, "orders", 2, 25) {
		d.order()
	}
	for _, id := range d.ids {
		d.payouts(id)
	}
	d.deliver()
	return d.w
}

// files draws the empty files.
func (d *drawer) files() {
	t := d.t
	d.settlement, d.payout, d.night = map[string][]worldFile{}, map[string][]worldFile{}, map[string]int{}
	place := func(f *worldFile) {
		f.terse = chance(t, "terse", 30)
		d.night[f.path()] = between(t, "night of a file", 0, len(d.w.nights)-1)
	}
	totals := chance(t, "POS totals", 30)
	exported := chance(t, "exported", 70)
	for i := range between(t, "POS logs", 1, 3) {
		f := worldFile{name: fmt.Sprintf("pos-%d.csv", i+1), kind: recon.KindPOSLog, totals: totals}
		if exported && !chance(t, "one not exported", 10) {
			f.exportedAt = d.day(between(t, "export day", 0, 4)) + pick(t, "export time", " 00:30:00", " 23:30:00")
		}
		place(&f)
		d.pos = append(d.pos, f)
	}
	for _, id := range d.ids {
		stated := pick(t, "stated", "folder", "metadata", "column")
		folder := id
		if stated != "folder" {
			folder = ""
		}
		totals := chance(t, "settlement totals", 30)
		for i := range between(t, "settlement files", 1, 4) {
			f := worldFile{folder: folder, name: fmt.Sprintf("settlement-%s-%d.csv", id, i+1), kind: recon.KindSettlement, acquirer: id,
				stated: stated, totals: totals}
			if d.want.dated || !chance(t, "no settle date", 10) {
				f.date = d.day(between(t, "settle day", 0, 5))
			}
			place(&f)
			d.settlement[id] = append(d.settlement[id], f)
		}
		totals = chance(t, "payout totals", 30)
		for i := range between(t, "payout files", 0, 3) {
			f := worldFile{folder: folder, name: fmt.Sprintf("payout-%s-%d.csv", id, i+1), kind: recon.KindPayout, acquirer: id,
				stated: stated, totals: totals}
			day := between(t, "payout day", 1, 5)
			if d.want.dated || !chance(t, "no payout date", 10) {
				f.date = d.day(day)
			}
			if chance(t, "status time", 60) {
				f.statusTime = d.day(day) + pick(t, "clock", " 09:30:00", " 00:00:00", " 18:00:00")
			}
			place(&f)
			d.payout[id] = append(d.payout[id], f)
		}
	}
}

var (
	clocks   = []string{" 12:00:00", " 12:05:00", " 12:10:00", " 12:10:01", " 09:00:00", " 21:59:59", " 22:00:00", " 22:59:59", " 23:00:00", " 23:30:00"}
	statuses = []string{"SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "FAILED", "UNKNOWN", "PENDING", "CLOSED", "REVERSED"}
	settles  = []string{"SETTLED", "SETTLED", "SETTLED", "SETTLED", "SETTLED", "SETTLED", "HELD", "RETURNED", "REJECTED", "PENDING"}
	amounts  = []int64{1000, 1000, 1000, 1050, 1200, 0}
)

// order draws one order with its POS rows and settlement lines.
func (d *drawer) order() {
	t := d.t
	id := pick(t, "acquirer", d.ids...)
	r := posRow{
		order: pick(t, "order", "O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8", "O9", "O10", "O11", "O12"), acquirer: id,
		merchant: pick(t, "merchant", "M1", "M1", "M2", "M3"), channel: pick(t, "channel", "WECHAT", "ALIPAY"), typ: "SALE",
		amount: pick(t, "amount", amounts...), currency: "CNY", status: pick(t, "status", statuses...),
		time:     d.day(between(t, "day", 0, 3)) + pick(t, "time", clocks...),
		terminal: pick(t, "terminal", "T1", "T2", ""), txn: pick(t, "txn", "", "X1", "X2", "X3", "X4", "X5", "X6"),
		ref: pick(t, "ref", "", "", "F1", "F2", "F3"), trace: pick(t, "trace", "", "1", "2"),
		cycle: pick(t, "cycle", "", "T+1", "T+1", "D+0", "T+0", "D+1", "D+2", "T+2", "T+3"), code: pick(t, "code", "", "00", "51", "96"),
	}
	if chance(t, "alias used", 10) && d.w.aliases[id] != nil {
		r.merchant = "m1"
	}
	if chance(t, "other currency", 6) {
		r.currency = "USD"
	}
	if chance(t, "refund", 25) {
		r.typ, r.original = "REFUND", r.order
		r.refund = pick(t, "refund", "", "R1", "R2")
	}
	if chance(t, "long ago", 4) {
		r.time = d.day(pick(t, "ago", -180, -181, -182)) + " 12:00:00"
	}
	if chance(t, "plain", 30) { // sold, settled, done, or nearly so
		r.status = "SUCCESS"
		d.addPOS(r)
		s := setRow{order: r.order, merchant: r.merchant, channel: r.channel, typ: r.typ, refund: r.refund, original: r.original,
			amount: r.amount, currency: r.currency, time: r.time, terminal: r.terminal, txn: r.txn, ref: r.ref, trace: r.trace,
			status: "SETTLED", fee: "0.38", payout: pick(t, "payout", "", "P1", "P2", "P3", "P4")}
		if chance(t, "not quite", 20) {
			s.amount = pick(t, "amount", amounts...)
		}
		d.addSettlement(id, s)
		return
	}
	if !chance(t, "no POS row", 12) {
		d.addPOS(r)
		for range pick(t, "further POS rows", 0, 0, 0, 1, 1, 2) {
			d.addPOS(d.otherPOS(r))
		}
	}
	if chance(t, "void", 8) {
		v := r
		v.typ, v.refund, v.original, v.txn = "VOID", "", "", ""
		v.status = pick(t, "void status", "SUCCESS", "SUCCESS", "FAILED", "UNKNOWN")
		if chance(t, "void has an id", 70) {
			v.order, v.original = r.order+"V", r.order
		}
		d.addPOS(v)
	}
	if chance(t, "settled", 75) {
		s := d.settlementOf(r)
		for range pick(t, "lines", 1, 1, 1, 2, 2, 3) {
			d.addSettlement(id, s)
			s = d.otherSettlement(s)
		}
	}
}

func (d *drawer) addPOS(r posRow) {
	i := between(d.t, "POS log", 0, len(d.pos)-1)
	r.bad = chance(d.t, "unreadable", 3)
	d.pos[i].pos = append(d.pos[i].pos, r)
}

func (d *drawer) addSettlement(id string, s setRow) {
	files := d.settlement[id]
	i := between(d.t, "settlement file", 0, len(files)-1)
	if s.settleDate == "" || files[i].date != "" && !chance(d.t, "own settle date", 10) {
		s.settleDate = files[i].date
	}
	if s.settleDate == "" {
		s.settleDate = d.day(between(d.t, "own settle day", 0, 5))
	}
	s.bad = files[i].stated != "column" && chance(d.t, "unreadable", 3)
	files[i].settlement = append(files[i].settlement, s)
}

// otherPOS is another row about the same order: progress, the same fact with other columns, or a second fact.
func (d *drawer) otherPOS(r posRow) posRow {
	t := d.t
	if chance(t, "other status", 60) {
		r.status = pick(t, "status", "SUCCESS", "REVERSED", "CLOSED", "FAILED", "UNKNOWN", "PENDING")
	}
	if chance(t, "another amount", 10) {
		r.amount = pick(t, "amount", amounts...)
	}
	if chance(t, "another txn", 25) {
		r.txn = pick(t, "txn", "", "X1", "X7")
	}
	if chance(t, "another time", 30) {
		r.time = r.time[:10] + pick(t, "time", clocks...)
	}
	if chance(t, "another cycle", 20) {
		r.cycle = pick(t, "cycle", "", "T+1", "D+0", "T+2")
	}
	if chance(t, "another ref", 20) {
		r.ref, r.trace = pick(t, "ref", "", "F1", "F2"), pick(t, "trace", "", "1")
	}
	if chance(t, "another terminal", 20) {
		r.terminal = pick(t, "terminal", "", "T1")
	}
	return r
}

// settlementOf is the acquirer's line about an order, more or less as the POS has it.
func (d *drawer) settlementOf(r posRow) setRow {
	t := d.t
	s := setRow{
		order: r.order, merchant: r.merchant, channel: r.channel, typ: r.typ, refund: r.refund, original: r.original,
		amount: r.amount, currency: r.currency, time: r.time, terminal: r.terminal, txn: r.txn, ref: r.ref, trace: r.trace,
		status: pick(t, "settle status", settles...), payout: pick(t, "payout", "", "", "P1", "P2", "P3", "P4"),
	}
	if s.typ == "VOID" {
		s.typ = "SALE"
	}
	if chance(t, "own order id", 30) {
		s.order = pick(t, "order", "S1", "S2", "S3")
	}
	if chance(t, "another merchant", 8) {
		s.merchant = pick(t, "merchant", "M1", "M2")
	}
	if chance(t, "another amount", 8) {
		s.amount = pick(t, "amount", amounts...)
	}
	if chance(t, "another currency", 5) {
		s.currency = pick(t, "currency", "USD", "CNY")
	}
	if chance(t, "no refund id", 25) {
		s.refund = ""
	}
	if chance(t, "no txn", 30) {
		s.txn = ""
	}
	if chance(t, "another ref", 20) {
		s.ref = pick(t, "ref", "", "F1", "F2")
	}
	switch pick(t, "txn time", 0, 0, 1, 2, 3) {
	case 1:
		s.time = ""
	case 2:
		s.time = r.time[:10] + pick(t, "time", clocks...)
	case 3:
		s.terminal = ""
	}
	switch pick(t, "fee", 0, 1, 2) {
	case 1:
		s.fee = "0.38"
	case 2:
		s.fee, s.net = "0.10", yuan(max(s.amount-10, 0))
	}
	return s
}

// otherSettlement is another line about the same order.
func (d *drawer) otherSettlement(s setRow) setRow {
	t := d.t
	if chance(t, "other settle status", 60) {
		s.status = pick(t, "settle status", "SETTLED", "HELD", "RETURNED", "REJECTED", "PENDING")
	}
	if chance(t, "another amount", 8) {
		s.amount = pick(t, "amount", amounts...)
	}
	if chance(t, "another currency", 5) {
		s.currency = pick(t, "currency", "USD", "CNY")
	}
	if chance(t, "another txn", 20) {
		s.txn = pick(t, "txn", "", "X1", "X8")
	}
	if chance(t, "another payout", 30) {
		s.payout = pick(t, "payout", "", "P1", "P2", "P3")
	}
	if chance(t, "another fee", 20) {
		s.fee, s.net = pick(t, "fee", "", "0.10"), ""
	}
	if chance(t, "no time", 20) {
		s.time = ""
	}
	if chance(t, "another ref", 20) {
		s.ref, s.terminal = pick(t, "ref", "", "F1"), pick(t, "terminal", "", "T2")
	}
	return s
}

// payouts draws the versions of an acquirer's payouts. A re-issue has a later id than what it replaces: payouts that
// replace each other in a ring are no world of ours.
func (d *drawer) payouts(id string) {
	t := d.t
	for i := range d.payout[id] {
		f := &d.payout[id][i]
		for range between(t, "versions", 1, 4) {
			n := between(t, "payout", 1, 4)
			r := payRow{
				id: fmt.Sprintf("P%d", n), merchant: "M1", payoutDate: f.date, amount: pick(t, "amount", int64(990), 1000, -500),
				currency: "CNY", status: pick(t, "payout status", "PAID", "PAID", "PROCESSING", "HELD", "FAILED", "RETURNED"),
				reason: pick(t, "reason", "", "E2014", "R1301"),
			}
			if r.payoutDate == "" || chance(t, "own payout date", 15) {
				r.payoutDate = d.day(between(t, "own payout day", 1, 5))
			}
			if n > 1 && chance(t, "replaces", 30) {
				r.replaces = fmt.Sprintf("P%d", between(t, "replaced", 1, n-1))
			}
			f.payout = append(f.payout, r)
		}
	}
}

// deliver puts the files into their nights, with corrections, copies and files of a known name.
func (d *drawer) deliver() {
	t := d.t
	all := slices.Clone(d.pos)
	for _, id := range d.ids {
		all = append(append(all, d.settlement[id]...), d.payout[id]...)
	}
	for i, f := range all {
		n := d.night[f.path()]
		d.add(n, f)
		if f.rows() == 0 {
			continue
		}
		if !d.want.noReplaces && chance(t, "corrected", 15) {
			c := d.variant(f)
			c.name = fmt.Sprintf("corrected-%d.csv", i)
			c.replaces = f.name
			if chance(t, "by hash", 30) {
				c.replaces = f.sha()
			}
			d.add(between(t, "night of the correction", 0, len(d.w.nights)-1), c)
			if chance(t, "corrected twice", 20) {
				again := d.variant(c)
				again.name, again.replaces = fmt.Sprintf("corrected-%d-again.csv", i), c.name
				d.add(between(t, "night of the second correction", 0, len(d.w.nights)-1), again)
			}
		}
		if !d.want.noCopies && chance(t, "copied", 10) {
			c := f
			c.name = pick(t, "name of the copy", "a-copy", "z-copy") + fmt.Sprintf("-%d.csv", i)
			if chance(t, "elsewhere", 50) && c.stated != "folder" {
				c.folder = pick(t, "folder of the copy", "again", "Again")
			}
			d.add(n, c)
			d.w.copies = true
		}
		if !d.want.noHolds && chance(t, "known name", 8) {
			c := d.variant(f)
			c.folder = filepath.Join(f.folder, "resent")
			d.add(between(t, "night of the known name", 0, len(d.w.nights)-1), c)
			d.w.holds = true
		}
	}
}

func (d *drawer) add(n int, f worldFile) {
	if f.stated == "column" && f.rows() == 0 {
		return // nobody could say whose it is
	}
	d.w.nights[n].files = append(d.w.nights[n].files, f)
}

// variant is the file with some rows gone, some changed.
func (d *drawer) variant(f worldFile) worldFile {
	t := d.t
	f.note = "variant"
	var pos []posRow
	for _, r := range f.pos {
		switch pick(t, "row", 0, 0, 1, 2) {
		case 1:
			pos = append(pos, d.otherPOS(r))
		case 0:
			pos = append(pos, r)
		}
	}
	var settlement []setRow
	for _, r := range f.settlement {
		switch pick(t, "row", 0, 0, 1, 2) {
		case 1:
			settlement = append(settlement, d.otherSettlement(r))
		case 0:
			settlement = append(settlement, r)
		}
	}
	var payout []payRow
	for _, r := range f.payout {
		switch pick(t, "row", 0, 0, 1, 2) {
		case 1:
			r.status = pick(t, "payout status", "PAID", "FAILED")
			payout = append(payout, r)
		case 0:
			payout = append(payout, r)
		}
	}
	f.pos, f.settlement, f.payout = pos, settlement, payout
	return f
}
