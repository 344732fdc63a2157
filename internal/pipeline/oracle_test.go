package pipeline_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/recon"
)

// The oracle decides a small world a second time, by loops over structs and from the contract's text alone. It shares
// nothing with the program but the calendar and the nouns for days and cycles, so that a rule misread in SQL is not
// misread here the same way. It is slow and knows no incremental run: every question is answered from all files.
//
// Where the contract is silent the oracle takes the side named in a comment that begins "Decided:".

// oracleKey is the identity of an order and of its settlement lines (§2, Keys).
type oracleKey struct {
	acquirer, merchant, typ, order string
	part                           string // the refund's id, or its amount where it has none
}

func keyOf(acquirer, merchant, typ, order, refund string, amount int64) oracleKey {
	part := ""
	if typ == "REFUND" {
		if part = "id " + refund; refund == "" {
			part = "amount " + yuan(amount)
		}
	}
	return oracleKey{acquirer, merchant, typ, order, part}
}

// place is where a row stands. Rows are ordered by their file's own date, then its SHA-256, then their line: what the
// contract calls newer, and what it names where a fact is seen in several files.
type place struct {
	date, sha, name string
	line            int
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.date, q.date), cmp.Compare(p.sha, q.sha), cmp.Compare(p.line, q.line))
}

func (p place) String() string {
	if p.line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", p.name, p.line)
}

// countedRow is a row of a file that counts, in the form that merging needs.
type countedRow[R any] struct {
	row      R
	at       place
	day      recon.Date // its own business date
	exported string     // exported_at of its log, comparable text; "" for none
}

// fact is one or more rows that say the same (§2, The same fact).
type fact[R any] struct {
	rows   []countedRow[R] // smallest place first
	merged R
}

func (f *fact[R]) first() place { return f.rows[0].at }
func (f *fact[R]) last() place  { return f.rows[len(f.rows)-1].at }

// oracleOrder is what stands of one order's POS rows.
type oracleOrder struct {
	key       oracleKey
	episode   int
	row       posRow // merged
	at        place
	day       recon.Date
	status    string
	duplicate bool
}

// oracleLine is what stands of one key's settlement rows.
type oracleLine struct {
	key     oracleKey
	episode int
	row     setRow // merged, of the line that is shown
	at      place
	day     recon.Date
	settled []fact[setRow] // the standing SETTLED facts
}

// oracleVerdict is what the contract says of one order, or of one settlement line without an order, as text.
type oracleVerdict map[string]string

// oracleRules are the inputs that are no facts.
type oracleRules struct {
	zone      *time.Location
	calendar  *calendar.Calendar
	acquirers recon.Acquirers
	aliases   map[string]map[string]string
}

// payoutsByContract returns the payouts that do not tie with their lines: amount − Σ signed net of the SETTLED lines that
// stand (§5). Decided: the lines of a payout that was re-issued are those of the newest in its chain; a line without a
// net amount counts with its amount less its fee; another currency's lines do not count; and where no file of the
// acquirer names payouts at all there is nothing to tie.
func payoutsByContract(nights []night, rules oracleRules) map[[2]string]string {
	files := countingFiles(nights)
	o := &oracle{rules: rules}
	names := map[string]bool{}
	for i := range files {
		o.take(&files[i])
	}
	for _, n := range nights {
		for _, f := range n.files {
			for _, r := range f.settlement {
				names[f.acquirer] = names[f.acquirer] || r.payout != "" && !r.bad
			}
		}
	}
	o.findPayouts()
	o.findEpisodes()
	o.findLines()
	net := map[[3]string]int64{}
	for _, line := range o.lines {
		sign := int64(1)
		if line.key.typ == "REFUND" {
			sign = -1
		}
		for _, f := range line.settled {
			last, ok := o.last[[2]string{line.key.acquirer, f.merged.payout}]
			if !ok {
				continue
			}
			n := f.merged.amount
			if f.merged.fee != "" {
				n -= fen(f.merged.fee)
			}
			if f.merged.net != "" {
				n = fen(f.merged.net)
			}
			net[[3]string{last.acquirer, last.id, f.merged.currency}] += sign * n
		}
	}
	differences := map[[2]string]string{}
	for _, last := range o.last {
		d := last.amount - net[[3]string{last.acquirer, last.id, last.currency}]
		if d != 0 && names[last.acquirer] {
			differences[[2]string{last.acquirer, last.id}] = yuan(d)
		}
	}
	return differences
}

// decideByContract returns a verdict for every order and every unexpected settlement line of the nights so far.
func decideByContract(nights []night, asOf time.Time, rules oracleRules) []oracleVerdict {
	files := countingFiles(nights)
	o := &oracle{rules: rules, asOf: asOf}
	for i := range files {
		o.take(&files[i])
	}
	o.findPayouts()
	o.findEpisodes()
	o.findOrders()
	o.findLines()
	o.match()
	return o.verdicts()
}

// countedFile is a file in the register, by its bytes.
type countedFile struct {
	sha, name string
	names     []string
	date      string
	file      worldFile
	loaded    bool
}

// countingFiles says which files count (§2, Further files): those that were not held back and that no file replaces.
func countingFiles(nights []night) []countedFile {
	var register []countedFile
	for _, night := range nights {
		files := slices.Clone(night.files)
		slices.SortFunc(files, func(a, b worldFile) int { return strings.Compare(a.path(), b.path()) })
	file:
		for _, f := range files {
			sha := f.sha()
			for i := range register {
				// The same bytes again, under any name, change nothing; the file has come under that name, too.
				if register[i].sha == sha {
					register[i].names = append(register[i].names, f.name)
					continue file
				}
			}
			c := countedFile{sha: sha, date: ownDate(f), file: f, loaded: true}
			for _, g := range files {
				if g.sha() == sha {
					c.names = append(c.names, g.name)
				}
			}
			// Decided: evidence names the smallest of the names under which the bytes came in their first night, so that
			// the order within a night does not matter.
			c.name = slices.Min(c.names)
			if f.replaces == "" {
				for _, earlier := range register {
					if earlier.loaded && sharesName(earlier, c) && sameSource(earlier, c) && !replaces(earlier, c) {
						c.loaded = false // the same name, other bytes, and it does not say what it is
					}
				}
			}
			register = append(register, c)
		}
	}
	var counting []countedFile
	for i, f := range register {
		replaced := false
		for j, by := range register {
			if i != j && by.loaded && replaces(by, f) {
				replaced = true
			}
		}
		if f.loaded && !replaced {
			counting = append(counting, f)
		}
	}
	return counting
}

// replaces reports whether a correction names the file: by its SHA-256, or by a name within its acquirer, kind and date.
func replaces(correction, f countedFile) bool {
	r := correction.file.replaces
	return r == f.sha || r != "" && slices.Contains(f.names, r) && sameSource(correction, f)
}

func sharesName(a, b countedFile) bool {
	return slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(b.names, name) })
}

// sameSource reports whether two files are of the same acquirer, kind and date.
func sameSource(a, b countedFile) bool {
	return a.file.acquirer == b.file.acquirer && a.file.kind == b.file.kind && a.date == b.date
}

// ownDate is the file's own date: what its metadata says, else the latest that its rows carry.
func ownDate(f worldFile) string {
	stated := f.date
	if f.kind == recon.KindPOSLog && f.exportedAt != "" {
		stated = f.exportedAt[:10]
	}
	if stated != "" {
		return stated
	}
	latest := "1970-01-01"
	for _, r := range f.pos {
		if !r.bad {
			latest = max(latest, r.time[:10])
		}
	}
	for _, r := range f.settlement {
		if !r.bad {
			latest = max(latest, r.settleDate)
		}
	}
	for _, r := range f.payout {
		latest = max(latest, r.payoutDate)
	}
	return latest
}

// episodeKey is one order of a key that may recur.
type episodeKey struct {
	oracleKey
	episode int
}

type oracle struct {
	rules oracleRules
	asOf  time.Time

	pos        []countedRow[posRow] // voids included, under their sale's key
	settlement []countedRow[setRow]
	payout     []countedRow[payRow]

	last   map[[2]string]payRow // acquirer, payout → the newest version of the newest in its chain
	starts map[oracleKey][]recon.Date

	orders []oracleOrder
	lines  []oracleLine

	lineOf    map[int]int // order → line
	orderOf   map[int]int // line → order
	rule      map[int]string
	candidate map[[2]int]bool // order, line
}

func (o *oracle) merchant(acquirer, id string) string {
	if canonical, ok := o.rules.aliases[acquirer][id]; ok {
		return canonical
	}
	return id
}

// businessDate is the local date, or the next day at or after the cut-off (§3).
func (o *oracle) businessDate(acquirer, local string) recon.Date {
	day, err := recon.ParseDate(local[:10])
	if err != nil {
		panic(err)
	}
	t, err := time.ParseInLocation(time.DateTime, local, o.rules.zone)
	if err != nil {
		panic(err)
	}
	cutOff := o.rules.acquirers.Get(acquirer).CutOff
	if t.Sub(day.At(0, o.rules.zone)) >= cutOff {
		return day.AddDays(1)
	}
	return day
}

func (o *oracle) take(f *countedFile) {
	at := func(line int) place { return place{f.date, f.sha, f.name, line} }
	exported := f.file.exportedAt
	for i, r := range f.file.pos {
		if r.bad {
			continue // a rejected line tells nothing
		}
		r.merchant = o.merchant(r.acquirer, r.merchant)
		o.pos = append(o.pos, countedRow[posRow]{r, at(f.file.line(i)), o.businessDate(r.acquirer, r.time), exported})
	}
	for i, r := range f.file.settlement {
		if r.bad {
			continue
		}
		r.merchant = o.merchant(f.file.acquirer, r.merchant)
		r.acquirer = f.file.acquirer
		o.settlement = append(o.settlement, countedRow[setRow]{r, at(f.file.line(i)), o.lineDay(&r), ""})
	}
	for i, r := range f.file.payout {
		// Versions are ordered by status_time, else by payout_date: its local midnight.
		r.version = r.payoutDate + " 00:00:00"
		if f.file.statusTime != "" {
			r.version = f.file.statusTime
		}
		r.acquirer = f.file.acquirer
		o.payout = append(o.payout, countedRow[payRow]{row: r, at: at(f.file.line(i))})
	}
}

// lineDay is the business date of a line without an order: that of its txn_time, else its settle_date (§1).
func (o *oracle) lineDay(r *setRow) recon.Date {
	if r.time != "" {
		return o.businessDate(r.acquirer, r.time)
	}
	day, err := recon.ParseDate(r.settleDate)
	if err != nil {
		panic(err)
	}
	return day
}

// findPayouts orders the versions of every payout and follows re-issues to the newest (§2, Progress).
func (o *oracle) findPayouts() {
	rank := func(status string) int {
		return slices.Index([]string{"PROCESSING", "HELD", "FAILED", "PAID", "RETURNED"}, status)
	}
	newest := map[[2]string]payRow{}
	slices.SortFunc(o.payout, func(a, b countedRow[payRow]) int { return a.at.compare(b.at) })
	for _, r := range o.payout {
		id := [2]string{r.row.acquirer, r.row.id}
		best, ok := newest[id]
		// Decided: of two versions that are equally new the first seen stands.
		if !ok || cmp.Or(cmp.Compare(r.row.version, best.version), cmp.Compare(rank(r.row.status), rank(best.status))) > 0 {
			newest[id] = r.row
		}
	}
	next := map[[2]string][2]string{}
	for _, r := range o.payout {
		if r.row.replaces == "" {
			continue
		}
		old, id := [2]string{r.row.acquirer, r.row.replaces}, [2]string{r.row.acquirer, r.row.id}
		// Decided: of two payouts that replace the same one the newer is followed, then the smaller id.
		if have, ok := next[old]; ok && have != id {
			a, b := newest[have], newest[id]
			if cmp.Or(cmp.Compare(b.version, a.version), cmp.Compare(rank(b.status), rank(a.status)), cmp.Compare(a.id, b.id)) < 0 {
				continue
			}
		}
		next[old] = id
	}
	o.last = map[[2]string]payRow{}
	follow := func(id [2]string) {
		last := id
		for steps := 0; steps < len(next)+1; steps++ {
			n, ok := next[last]
			if !ok {
				break
			}
			last = n
		}
		o.last[id] = newest[last]
	}
	for id := range newest {
		follow(id)
	}
	for id := range next {
		follow(id) // the replaced payout itself need not have been reported
	}
}

// findEpisodes splits the days of every key where it recurs more than 180 days apart. Decided: apart from the nearest
// earlier row of the key, on either side, not from the first.
func (o *oracle) findEpisodes() {
	days := map[oracleKey][]recon.Date{}
	for _, r := range o.pos {
		k := posKey(&r.row)
		days[k] = append(days[k], r.day)
	}
	for _, r := range o.settlement {
		k := setKey(&r.row)
		days[k] = append(days[k], r.day)
	}
	o.starts = map[oracleKey][]recon.Date{}
	for k, list := range days {
		slices.SortFunc(list, func(a, b recon.Date) int { return a.DaysSince(b) })
		for i, d := range list {
			if i == 0 || d.DaysSince(list[i-1]) > 180 {
				o.starts[k] = append(o.starts[k], d)
			}
		}
	}
}

func (o *oracle) episode(k oracleKey, day recon.Date) episodeKey {
	n := 0
	for i, start := range o.starts[k] {
		if !day.Before(start) {
			n = i
		}
	}
	return episodeKey{k, n}
}

// posKey is the row's key; a VOID has that of the sale it names: original_order_id, else its own order_id.
func posKey(r *posRow) oracleKey {
	if r.typ == "VOID" {
		return keyOf(r.acquirer, r.merchant, "SALE", cmp.Or(r.original, r.order), "", r.amount)
	}
	return keyOf(r.acquirer, r.merchant, r.typ, r.order, r.refund, r.amount)
}

func setKey(r *setRow) oracleKey {
	return keyOf(r.acquirer, r.merchant, r.typ, r.order, r.refund, r.amount)
}

// factsOf groups rows into facts. same tells what must agree; txn is the channel transaction id: two different ones
// are two facts. Decided: a row without one belongs to the fact with the smallest.
func factsOf[R any](rows []countedRow[R], same func(*R) string, txn func(*R) string, merge func([]countedRow[R]) R) []fact[R] {
	smallest := map[string]string{}
	for i := range rows {
		s, id := same(&rows[i].row), txn(&rows[i].row)
		if have := smallest[s]; id != "" && (have == "" || id < have) {
			smallest[s] = id
		}
	}
	groups := map[[2]string][]countedRow[R]{}
	for _, r := range rows {
		s := same(&r.row)
		k := [2]string{s, cmp.Or(txn(&r.row), smallest[s])}
		groups[k] = append(groups[k], r)
	}
	var facts []fact[R]
	for _, g := range groups {
		slices.SortFunc(g, func(a, b countedRow[R]) int { return a.at.compare(b.at) })
		facts = append(facts, fact[R]{g, merge(g)})
	}
	slices.SortFunc(facts, func(a, b fact[R]) int { return a.first().compare(b.first()) })
	return facts
}

// filled returns the newest filled value of a column: a filled value beats an empty one, else the newer file's stands.
func filled[R any](rows []countedRow[R], column func(*R) string) string {
	for i := len(rows) - 1; i >= 0; i-- {
		if v := column(&rows[i].row); v != "" {
			return v
		}
	}
	return ""
}

func mergePOS(rows []countedRow[posRow]) posRow {
	m := rows[0].row
	m.time = filled(rows, func(r *posRow) string { return r.time })
	m.channel = filled(rows, func(r *posRow) string { return r.channel })
	m.original = filled(rows, func(r *posRow) string { return r.original })
	m.terminal = filled(rows, func(r *posRow) string { return r.terminal })
	m.txn = filled(rows, func(r *posRow) string { return r.txn })
	m.ref = filled(rows, func(r *posRow) string { return r.ref })
	m.trace = filled(rows, func(r *posRow) string { return r.trace })
	m.cycle = filled(rows, func(r *posRow) string { return r.cycle })
	return m
}

func mergeSettlement(rows []countedRow[setRow]) setRow {
	m := rows[0].row
	m.time = filled(rows, func(r *setRow) string { return r.time })
	m.channel = filled(rows, func(r *setRow) string { return r.channel })
	m.original = filled(rows, func(r *setRow) string { return r.original })
	m.terminal = filled(rows, func(r *setRow) string { return r.terminal })
	m.txn = filled(rows, func(r *setRow) string { return r.txn })
	m.ref = filled(rows, func(r *setRow) string { return r.ref })
	m.trace = filled(rows, func(r *setRow) string { return r.trace })
	m.fee = filled(rows, func(r *setRow) string { return r.fee })
	m.net = filled(rows, func(r *setRow) string { return r.net })
	m.payout = filled(rows, func(r *setRow) string { return r.payout })
	return m
}

// findOrders finds what stands of every order's POS rows (§2, Progress).
func (o *oracle) findOrders() {
	rows, voided := map[episodeKey][]countedRow[posRow]{}, map[episodeKey]bool{}
	for _, r := range o.pos {
		e := o.episode(posKey(&r.row), r.day)
		switch {
		case r.row.typ != "VOID":
			rows[e] = append(rows[e], r)
		case r.row.status == "SUCCESS":
			voided[e] = true // one that did not succeed is evidence only
		}
	}
	for e, list := range rows {
		facts := factsOf(list,
			func(r *posRow) string { return fmt.Sprint(r.amount, r.currency, r.status) },
			func(r *posRow) string { return r.txn }, mergePOS)
		standing := standingPOS(facts)
		shown := standing[0]
		order := oracleOrder{key: e.oracleKey, episode: e.episode, row: shown.merged, at: shown.first(),
			day: o.businessDate(e.acquirer, shown.merged.time), status: shown.merged.status,
			duplicate: len(standing) > 1 && final(shown.merged.status)}
		if voided[e] {
			order.status = "REVERSED"
		}
		o.orders = append(o.orders, order)
	}
	slices.SortFunc(o.orders, func(a, b oracleOrder) int { return a.at.compare(b.at) })
}

func final(status string) bool { return status != "PENDING" && status != "UNKNOWN" }

// standingPOS returns what is left of an order's facts, the one to show first.
func standingPOS(facts []fact[posRow]) []fact[posRow] {
	anyFinal := slices.ContainsFunc(facts, func(f fact[posRow]) bool { return final(f.merged.status) })
	var standing []fact[posRow]
	for _, f := range facts {
		switch f.merged.status {
		case "PENDING", "UNKNOWN":
			if anyFinal {
				continue // a final status beats them
			}
		case "FAILED":
			if slices.ContainsFunc(facts, func(g fact[posRow]) bool { return succeeded(f, g) }) {
				continue
			}
		case "SUCCESS":
			// SUCCESS → REVERSED or CLOSED with the same amount. Decided: where two SUCCESS facts of that amount are
			// left (two channel transactions), one reversal cannot speak for both, and neither is chosen.
			others, undone := 0, false
			for _, g := range facts {
				if g.merged.amount != f.merged.amount || g.merged.currency != f.merged.currency {
					continue
				}
				switch g.merged.status {
				case "SUCCESS":
					others++
				case "REVERSED", "CLOSED":
					undone = true
				}
			}
			if undone && others == 1 {
				continue
			}
		}
		standing = append(standing, f)
	}
	// Decided: a duplicate is shown by its SUCCESS, then by what was seen first; of PENDING and UNKNOWN the newest file
	// says which it is.
	slices.SortStableFunc(standing, func(a, b fact[posRow]) int {
		if !anyFinal {
			return b.last().compare(a.last())
		}
		success := func(f fact[posRow]) int {
			if f.merged.status == "SUCCESS" {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(success(a), success(b)), a.first().compare(b.first()))
	})
	return standing
}

// succeeded reports whether FAILED became SUCCESS: their logs all carry exported_at, and the SUCCESS was exported
// later. Decided: within one export the transaction times tell; the amounts may differ.
func succeeded(failed, success fact[posRow]) bool {
	if success.merged.status != "SUCCESS" {
		return false
	}
	var firstFailed, lastSuccess, firstTime, lastTime string
	for _, r := range failed.rows {
		if r.exported == "" {
			return false
		}
		if firstFailed == "" || r.exported < firstFailed {
			firstFailed = r.exported
		}
		if firstTime == "" || r.row.time < firstTime {
			firstTime = r.row.time
		}
	}
	for _, r := range success.rows {
		if r.exported == "" {
			return false
		}
		lastSuccess = max(lastSuccess, r.exported)
		lastTime = max(lastTime, r.row.time)
	}
	return lastSuccess > firstFailed || lastSuccess == firstFailed && lastTime >= firstTime
}

// findLines finds what stands of every key's settlement rows.
func (o *oracle) findLines() {
	rows := map[episodeKey][]countedRow[setRow]{}
	for _, r := range o.settlement {
		e := o.episode(setKey(&r.row), r.day)
		rows[e] = append(rows[e], r)
	}
	rank := func(f *fact[setRow]) int {
		return slices.Index([]string{"PENDING", "HELD", "REJECTED", "RETURNED", "SETTLED"}, f.merged.status)
	}
	for e, list := range rows {
		facts := factsOf(list,
			func(r *setRow) string { return fmt.Sprint(r.amount, r.currency, r.status, r.settleDate) },
			func(r *setRow) string { return r.txn }, mergeSettlement)
		slices.SortStableFunc(facts, func(a, b fact[setRow]) int {
			return cmp.Or(cmp.Compare(a.merged.settleDate, b.merged.settleDate), cmp.Compare(rank(&a), rank(&b)))
		})
		// In time's order: SETTLED rows add up until a RETURNED, REJECTED or HELD un-settles them. Decided: a later
		// PENDING un-settles nothing, as it is not among those that the contract names.
		var settled []fact[setRow]
		latest := facts[0]
		for _, f := range facts {
			switch f.merged.status {
			case "SETTLED":
				settled = append(settled, f)
			case "RETURNED", "REJECTED", "HELD":
				settled = nil
			}
			if f.merged.settleDate != latest.merged.settleDate || rank(&f) != rank(&latest) {
				latest = f // the first seen of those that are equally late
			}
		}
		shown := latest
		if len(settled) > 0 {
			shown = slices.MinFunc(settled, func(a, b fact[setRow]) int {
				return cmp.Or(cmp.Compare(a.merged.settleDate, b.merged.settleDate), a.first().compare(b.first()))
			})
		}
		o.lines = append(o.lines, oracleLine{key: e.oracleKey, episode: e.episode, row: shown.merged, at: shown.first(),
			day: o.lineDay(&shown.merged), settled: settled})
	}
	slices.SortFunc(o.lines, func(a, b oracleLine) int { return a.at.compare(b.at) })
}

// match runs the passes (§4): each over what is left, and only where exactly one order and one line belong together.
func (o *oracle) match() {
	o.lineOf, o.orderOf, o.rule, o.candidate = map[int]int{}, map[int]int{}, map[int]string{}, map[[2]int]bool{}
	for i := range o.orders {
		for j := range o.lines {
			if o.orders[i].key == o.lines[j].key && o.orders[i].episode == o.lines[j].episode {
				o.pair(i, j, "order_id")
			}
		}
	}
	passes := []struct {
		rule   string
		belong func(a *oracleOrder, l *oracleLine) bool
	}{
		// Decided: a refund whose own id only one side knows belongs by order id and amount, as "the amount joins the
		// key where refunds have no id of their own".
		{"order_id", func(a *oracleOrder, l *oracleLine) bool {
			return a.row.typ == "REFUND" && (a.row.refund == "") != (l.row.refund == "") && a.key.merchant == l.key.merchant &&
				a.row.order == l.row.order
		}},
		{"channel_txn", func(a *oracleOrder, l *oracleLine) bool {
			return a.row.txn != "" && a.row.txn == l.row.txn
		}},
		{"reference", func(a *oracleOrder, l *oracleLine) bool {
			return a.row.ref != "" && a.row.ref == l.row.ref && o.near(a, l)
		}},
		// "ref_no, else trace_no + terminal_id": where not both have a ref_no.
		{"reference", func(a *oracleOrder, l *oracleLine) bool {
			return (a.row.ref == "" || l.row.ref == "") && a.row.trace != "" && a.row.trace == l.row.trace &&
				a.row.terminal != "" && a.row.terminal == l.row.terminal && o.near(a, l)
		}},
	}
	for _, pass := range passes {
		var found [][2]int
		orders, lines := map[int]int{}, map[int]int{}
		for i := range o.orders {
			for j := range o.lines {
				_, taken := o.lineOf[i]
				_, claimed := o.orderOf[j]
				a, l := &o.orders[i], &o.lines[j]
				if taken || claimed || a.key.acquirer != l.key.acquirer || a.key.typ != l.key.typ ||
					a.row.amount != l.row.amount || a.row.currency != l.row.currency || !pass.belong(a, l) {
					continue
				}
				found = append(found, [2]int{i, j})
				orders[i]++
				lines[j]++
			}
		}
		for _, f := range found {
			if orders[f[0]] == 1 && lines[f[1]] == 1 {
				o.pair(f[0], f[1], pass.rule)
			} else {
				o.candidate[f] = true
			}
		}
	}
	// Candidates that a pass gave to somebody else are none any more.
	for c := range o.candidate {
		_, taken := o.lineOf[c[0]]
		_, claimed := o.orderOf[c[1]]
		if taken || claimed {
			delete(o.candidate, c)
		}
	}
}

func (o *oracle) pair(order, line int, rule string) {
	o.lineOf[order], o.orderOf[line], o.rule[order] = line, order, rule
}

// near: txn_time within 10 minutes where both have one, else settle_date within 7 days after the business date.
func (o *oracle) near(a *oracleOrder, l *oracleLine) bool {
	if a.row.time != "" && l.row.time != "" {
		t, err1 := time.Parse(time.DateTime, a.row.time)
		u, err2 := time.Parse(time.DateTime, l.row.time)
		if err1 != nil || err2 != nil {
			panic("a world's time is malformed")
		}
		return t.Sub(u).Abs() <= 10*time.Minute
	}
	settle, err := recon.ParseDate(l.row.settleDate)
	if err != nil {
		panic(err)
	}
	after := settle.DaysSince(a.day)
	return 0 <= after && after <= 7
}

// verdicts decides every order and every line that no order claimed.
func (o *oracle) verdicts() []oracleVerdict {
	ambiguousOrder, ambiguousLine := map[int]bool{}, map[int]bool{}
	for c := range o.candidate {
		ambiguousOrder[c[0]], ambiguousLine[c[1]] = true, true
	}
	var list []oracleVerdict
	for i := range o.orders {
		var line *oracleLine
		if j, ok := o.lineOf[i]; ok {
			line = &o.lines[j]
		}
		rule := cmp.Or(o.rule[i], "none")
		if ambiguousOrder[i] {
			rule = "ambiguous"
		}
		list = append(list, o.decide(&o.orders[i], line, rule))
	}
	for j := range o.lines {
		if _, claimed := o.orderOf[j]; !claimed {
			rule := "none"
			if ambiguousLine[j] {
				rule = "ambiguous"
			}
			list = append(list, o.decide(nil, &o.lines[j], rule))
		}
	}
	return list
}

// good reports whether money of a payout counts as received: none named, not yet reported, or PAID (§5).
func (o *oracle) good(acquirer, payout string) bool {
	status := o.last[[2]string{acquirer, payout}].status
	return payout == "" || status == "" || status == "PAID"
}

// decide applies §4's list, the first that holds, and §5's money.
func (o *oracle) decide(order *oracleOrder, line *oracleLine, rule string) oracleVerdict {
	v := oracleVerdict{"match_rule": rule}
	sign, currency := int64(1), ""
	if order != nil {
		currency = order.row.currency
		v["acquirer"], v["merchant_id"], v["type"], v["order_id"] = order.key.acquirer, order.key.merchant, order.key.typ, order.row.order
		v["refund_id"], v["channel"], v["terminal_id"] = order.row.refund, order.row.channel, order.row.terminal
		v["business_date"], v["txn_time"] = order.day.String(), order.row.time
		v["channel_txn_id"], v["ref_no"], v["pos_status"] = order.row.txn, order.row.ref, order.status
		v["source"] = order.at.String()
	} else {
		currency = line.row.currency
		v["acquirer"], v["merchant_id"], v["type"], v["order_id"] = line.key.acquirer, line.key.merchant, line.key.typ, line.row.order
		v["refund_id"], v["business_date"], v["txn_time"] = line.row.refund, line.day.String(), line.row.time
	}
	v["currency"] = currency
	if v["type"] == "REFUND" {
		sign = -1
	}

	// Money of the standing SETTLED rows, in the order's own currency.
	var settled, received, fee, net int64
	haveSettled, haveFee, haveNet, otherMoney := false, false, false, false
	badPayout := false
	if line != nil {
		v["settle_status"], v["settle_date"], v["payout_id"] = line.row.status, line.row.settleDate, line.row.payout
		v["settle_source"] = line.at.String()
		v["channel"], v["terminal_id"] = cmp.Or(v["channel"], line.row.channel), cmp.Or(v["terminal_id"], line.row.terminal)
		v["channel_txn_id"], v["ref_no"] = cmp.Or(v["channel_txn_id"], line.row.txn), cmp.Or(v["ref_no"], line.row.ref)
		if line.row.payout != "" {
			v["payout_status"] = o.last[[2]string{line.key.acquirer, line.row.payout}].status
		}
		if len(line.settled) > 1 {
			v["payout_status"] = "?" // of several lines; the contract does not say which is shown
		}
		for _, f := range line.settled {
			if f.merged.currency != currency {
				otherMoney = true
				continue
			}
			haveSettled = true
			settled += f.merged.amount
			if f.merged.fee != "" {
				haveFee = true
				fee += fen(f.merged.fee)
			}
			if f.merged.net != "" {
				haveNet = true
				net += fen(f.merged.net)
			}
			if o.good(line.key.acquirer, f.merged.payout) {
				received += f.merged.amount
			}
		}
		badPayout = !o.good(line.key.acquirer, line.row.payout)
	}

	isDue := false
	if order != nil {
		acquirer := o.rules.acquirers.Get(order.key.acquirer)
		cycle := acquirer.Cycle
		if order.row.cycle != "" {
			var err error
			if cycle, err = recon.ParseCycle(order.row.cycle); err != nil {
				panic(err)
			}
		}
		// An error is a year that is not loaded: no due date, never a guess.
		if due, err := o.rules.calendar.Due(order.day, cycle); err == nil {
			isDue = !o.asOf.Before(due.At(acquirer.Deadline, o.rules.zone))
			v["due_date"] = due.String()
		}
	}

	tolerance := int64(0)
	if order != nil {
		tolerance = fen(o.rules.acquirers.Get(order.key.acquirer).Tolerance.StringFixed(2))
	}
	isSettled := line != nil && len(line.settled) > 0
	switch {
	case order == nil:
		v["outcome"] = "unexpected_settlement"
	case order.duplicate || isSettled && len(line.settled) > 1:
		v["outcome"] = "duplicate"
	case isSettled && (otherMoney || max(settled-order.row.amount, order.row.amount-settled) > tolerance):
		v["outcome"] = "amount_mismatch"
	case isSettled && order.status != "SUCCESS":
		v["outcome"] = "status_mismatch"
	case isSettled && badPayout:
		v["outcome"] = "unsettled"
	case isSettled:
		v["outcome"] = "matched"
	case line != nil: // HELD, REJECTED, RETURNED or PENDING, whether due or not
		v["outcome"] = "unsettled"
	case order.status == "FAILED" || order.status == "CLOSED" || order.status == "REVERSED":
		v["outcome"] = "unsettled"
	case isDue:
		v["outcome"] = "unsettled"
	default:
		v["outcome"] = "pending"
	}

	u := int64(0)
	if order != nil {
		p := sign * order.row.amount
		v["pos_amount"] = yuan(p)
		switch {
		case v["outcome"] == "pending", order.status == "FAILED", order.status == "CLOSED", order.status == "REVERSED":
		default:
			u = p
		}
		if haveSettled {
			v["difference"] = yuan(sign*settled - p)
		}
	}
	if haveSettled {
		v["settled_amount"] = yuan(sign * settled)
		if haveFee {
			v["fee"] = yuan(sign * fee)
		}
		if haveNet {
			v["net_amount"] = yuan(sign * net)
		}
	}
	r := sign * received
	arrived := min(u, r)
	if sign < 0 {
		arrived = max(u, r)
	}
	v["amount_due"], v["amount_arrived"], v["amount_owed"], v["amount_excess"] = yuan(u), yuan(arrived), yuan(u-arrived), yuan(r-arrived)
	return v
}

// yuan prints an amount of fen.
func yuan(fen int64) string {
	sign := ""
	if fen < 0 {
		sign, fen = "-", -fen
	}
	return fmt.Sprintf("%s%d.%02d", sign, fen/100, fen%100)
}

// fen reads what yuan printed.
func fen(s string) int64 {
	var whole, part int64
	if _, err := fmt.Sscanf(s, "%d.%d", &whole, &part); err != nil {
		panic(fmt.Sprintf("amount %q: %v", s, err))
	}
	if strings.HasPrefix(s, "-") {
		return whole*100 - part
	}
	return whole*100 + part
}
