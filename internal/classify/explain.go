package classify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/recon"
)

var zero decimal.Decimal

// Rules are the inputs of an explanation that are not facts.
type Rules struct {
	AsOf      time.Time
	Zone      *time.Location
	Acquirers recon.Acquirers
	Weights   *Weights // nil for those that ship
	Anew      bool     // every explanation that is not final is written, whatever the stored ones say
	KeepBytes int      // of what is flagged, in memory between its two readings; 0 for what is usual
}

func (r *Rules) weights() *Weights {
	if r.Weights != nil {
		return r.Weights
	}
	return Shipped()
}

// Evidence is one sentence for or against a cause, in both languages, with where it comes from.
type Evidence struct {
	Family string `json:"family"`
	EN     string `json:"en"`
	ZH     string `json:"zh"`
	Source string `json:"source"`
	// What it weighs for the sub-cause that is stated against the runner-up: 10 is ten to one, 20 a hundred to one.
	Decibans int `json:"db"`
}

// Explanation is what a verdict is explained by.
type Explanation struct {
	SubCause   recon.SubCause // "" for outcomes that carry no cause
	Confidence float64        // 0 … 1, of the cause
	// The likeliest sub-cause of another cause, and how likely that cause is.
	RunnerUp           recon.SubCause
	RunnerUpConfidence float64
	Features, Rates    string // what the arithmetic starts from, see Arithmetic
	Incident           *incident
	Evidence           []Evidence
	Counter            []Evidence
	Action             string
	FollowUp           bool
}

// batchRows is how many subjects are explained between two trips to the database: few, so that both sides begin at once and end
// together, and enough to make a trip cost nothing beside them.
const batchRows = 1000

// keptBytes bounds the subjects that are kept from when cohorts are found until they are explained: twenty-five thousand ordinary ones.
// Where there are more, all are read twice.
const keptBytes = 25_000 * subjectBytes

// subjectBytes is about what a subject takes in memory, beside what is told of a key with several rows.
const subjectBytes = 1000

// size is about what a subject takes in memory.
func (s *subject) size() int { return subjectBytes + len(s.POSHistory) + len(s.SettleHistory) }

// Explain writes the explanation of every flagged verdict, and the incidents that explain several, within tx. It must
// follow match.Decide in the same transaction: it reads that one's temporary tables.
func Explain(ctx context.Context, tx pgx.Tx, rules Rules) error {
	e := &explainer{rules: rules, incidents: map[string]*incident{}, lone: loneRuns{}, named: map[string]bool{}}
	// Where verdicts are spread over nodes (Citus), those asked for come here, rather than the rows at hand to every shard.
	if _, err := tx.Exec(ctx, `SET LOCAL citus.local_table_join_policy = 'prefer-distributed'`); err != nil {
		return err
	}
	if err := dropExplanations(ctx, tx, rules.Anew); err != nil {
		return fmt.Errorf("drop what explains nothing any more: %w", err)
	}
	if err := gatherSubjects(ctx, tx); err != nil {
		return fmt.Errorf("read what is flagged: %w", err)
	}
	if err := e.findCohorts(ctx, tx); err != nil {
		return err
	}
	if err := e.readNames(ctx, tx); err != nil {
		return fmt.Errorf("read candidates: %w", err)
	}
	if err := e.storeExplanations(ctx, tx); err != nil {
		return fmt.Errorf("store explanations: %w", err)
	}
	if err := e.addFinal(ctx, tx); err != nil {
		return fmt.Errorf("count what is explained for good: %w", err)
	}
	if err := e.storeWeights(ctx, tx); err != nil {
		return fmt.Errorf("store the weights: %w", err)
	}
	if err := e.storeIncidents(ctx, tx); err != nil {
		return fmt.Errorf("store incidents: %w", err)
	}
	_, err := tx.Exec(ctx, `SET LOCAL citus.local_table_join_policy = 'auto'`)
	return err
}

// findCohorts finds what orders share, each step on what the ones before have explained: files, batches and runs of merchants
// first, then outages and faults among what is left, then the runs again without what outages took.
func (e *explainer) findCohorts(ctx context.Context, tx pgx.Tx) error {
	var err error
	since := recon.DateOf(e.rules.AsOf, e.rules.Zone).AddDays(-lateDays)
	if e.register, err = readRegister(ctx, tx); err != nil {
		return fmt.Errorf("read the file register: %w", err)
	}
	if e.late, err = readLateness(ctx, tx, recon.DateOf(e.rules.AsOf, e.rules.Zone), e.register, e.rules.weights()); err != nil {
		return fmt.Errorf("learn how late lines come: %w", err)
	}
	if e.habits, err = readHabits(ctx, tx, recon.DateOf(e.rules.AsOf, e.rules.Zone), e.rules.weights()); err != nil {
		return fmt.Errorf("read the habits of logs: %w", err)
	}
	if e.batches, err = readBatches(ctx, tx, since); err != nil {
		return fmt.Errorf("count batches: %w", err)
	}
	if e.payouts, err = readPayouts(ctx, tx); err != nil {
		return fmt.Errorf("count payouts: %w", err)
	}
	if e.twins, err = findTwins(ctx, tx, since); err != nil {
		return fmt.Errorf("find twins: %w", err)
	}
	missing, err := e.readMissing(ctx, tx)
	if err != nil {
		return fmt.Errorf("read orders without a line: %w", err)
	}
	if e.short, err = findShortFiles(ctx, tx, e.register, missing, e.rules.Zone); err != nil {
		return fmt.Errorf("find short files: %w", err)
	}
	runs, err := readTails(ctx, tx, since, func(o *tailOrder) bool {
		if o.explained {
			return false
		}
		_, _, ok := e.background(o)
		if !ok {
			e.lone.add(o, e.batches)
		}
		return ok
	})
	if err != nil {
		return fmt.Errorf("read the runs of merchants: %w", err)
	}
	e.tails = findTails(runs, e.background)
	var marks []mark
	read, most := 0, cmp.Or(e.rules.KeepBytes, keptBytes)
	if err := readSubjects(ctx, tx, func(batch []subject) {
		for i := range batch {
			read += batch[i].size()
		}
		if read <= most {
			e.kept = append(e.kept, batch)
		} else {
			e.kept = nil
		}
		type found struct {
			n      *inference
			m      mark
			marked bool
		}
		for i, f := range beside(batch, func(s *subject) (f found) {
			if s.outcome().CarriesCause() {
				f.n = e.infer(s)
				f.m, f.marked = e.mark(s, f.n)
			}
			return f
		}) {
			if f.marked {
				marks = append(marks, f.m)
			}
			if f.n != nil {
				e.begin(&batch[i], f.n)
			}
		}
	}); err != nil {
		return fmt.Errorf("read what is flagged: %w", err)
	}
	if e.outages, err = findOutages(ctx, tx, marks); err != nil {
		return fmt.Errorf("find outages: %w", err)
	}
	// What an outage explains is no surprise at a terminal.
	for i := range marks {
		m := &marks[i]
		if w, ok := outageAt(e.outages, m.series, m.at); ok {
			m.quiet += w.probability * w.inside * m.out
		}
	}
	if e.terminals, err = findTerminals(ctx, tx, marks); err != nil {
		return fmt.Errorf("find faults of terminals: %w", err)
	}
	e.tails = findTails(runs, e.background)
	for k, t := range e.tails {
		if t.odds > 1 {
			e.frozenIncident(k.acquirer, k.merchant, k.channel).begin(t.since, t.first)
		}
	}
	earlier, err := readIncidents(ctx, tx, e.rules.AsOf)
	if err != nil {
		return fmt.Errorf("read earlier incidents: %w", err)
	}
	e.earlier = earlier
	return nil
}

// background is how likely an order's line is missing without a freeze of its merchant. What explains it for good leaves nothing to tell.
func (e *explainer) background(o *tailOrder) (rate float64, settled int64, ok bool) {
	if o.explained {
		return 0, 0, false
	}
	rate, settled, ok = e.batches.missingElsewhere(*o.batch, o.who)
	if !ok {
		return 0, 0, false
	}
	date, here := e.register.of(o.batch.acquirer, o.batch.due, o.batch.business)
	if !here {
		// A T+0 order is due the day after its file; of another the file has not come, which says nothing.
		if date = o.batch.due.AddDays(-1); e.register.files[fileKey{o.batch.acquirer, date}] == 0 {
			return 0, 0, false
		}
	}
	if f := e.short[fileKey{o.batch.acquirer, date}]; f != nil && f.leavesOut(o.at, e.rules.Zone) {
		rate = max(rate, f.probability)
	}
	if late := e.batches.lateFor(*o.batch, o.who); late.probability > 0 {
		rate = max(rate, late.probability*late.rate)
	}
	if w, ok := outageAt(e.outages, seriesKey{o.batch.acquirer, o.batch.channel}, o.at); ok {
		rate = max(rate, w.probability*w.inside)
	}
	return min(rate, 1), settled, true
}

// begin notes an order that its own rows make part of an incident, for the incident's first order names it.
func (e *explainer) begin(s *subject, n *inference) {
	for _, x := range n.shifts {
		if x.incident != nil {
			x.incident.begin(s.at(), s.Key)
		}
	}
	if i := e.reasonIncident(s, recon.SubCauses[n.sub]); i != nil {
		i.begin(s.at(), s.Key)
	}
}

// dropExplanations takes away the explanations of verdicts that ask for none any more, or all that are not final.
func dropExplanations(ctx context.Context, tx pgx.Tx, all bool) error {
	stays := asksForOne
	if all {
		stays = final
	}
	_, err := tx.Exec(ctx, `
		DELETE FROM explanation AS x
		 WHERE NOT EXISTS (SELECT
		                     FROM verdict AS v
		                    WHERE (v.order_key, v.episode) = (x.order_key, x.episode)
		                      AND (`+stays+`))`)
	return err
}

// gatherSubjects puts the subjects into a temporary table, for they are read twice and their joins cost more than they do.
func gatherSubjects(ctx context.Context, tx pgx.Tx) error {
	names := make([]string, len((&subject{}).scan()))
	for i := range names {
		names[i] = fmt.Sprint("c", i)
	}
	_, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TEMP TABLE flagged (%s) ON COMMIT DROP AS %s`, strings.Join(names, ", "), subjectsSQL))
	return err
}

// eachSubject hands over all subjects in the order of their keys, a batch at a time. Where they were not kept, a cursor keeps memory
// bounded however much is open; a temporary table that was filled in order is read in order.
func (e *explainer) eachSubject(ctx context.Context, tx pgx.Tx, do func([]subject) error) error {
	if e.kept != nil {
		for _, batch := range e.kept {
			if err := do(batch); err != nil {
				return err
			}
		}
		return nil
	}
	if _, err := tx.Exec(ctx, `DECLARE subject NO SCROLL CURSOR FOR TABLE flagged`); err != nil {
		return err
	}
	for {
		rows, err := tx.Query(ctx, fmt.Sprintf(`FETCH %d FROM subject`, batchRows))
		if err != nil {
			return err
		}
		batch, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (subject, error) {
			var s subject
			err := row.Scan(s.scan()...)
			return s, err
		})
		if err != nil {
			return err
		}
		if len(batch) > 0 {
			if err := do(batch); err != nil {
				return err
			}
		}
		if len(batch) < batchRows {
			_, err := tx.Exec(ctx, `CLOSE subject`)
			return err
		}
	}
}

// readSubjects hands over all subjects in the order of their keys, a batch at a time: while one is worked on, the next is read.
// do must not use the connection.
func readSubjects(ctx context.Context, tx pgx.Tx, do func([]subject)) error {
	rows, err := tx.Query(ctx, `TABLE flagged`)
	if err != nil {
		return err
	}
	defer rows.Close()
	batches, done := make(chan []subject), make(chan struct{})
	go func() {
		defer close(done)
		for batch := range batches {
			do(batch)
		}
	}()
	batch := make([]subject, 0, batchRows)
	for rows.Next() {
		batch = append(batch, subject{})
		s := &batch[len(batch)-1]
		if err = rows.Scan(s.scan()...); err == nil && s.OrderID == "" {
			err = fmt.Errorf("the rows of verdict %x are not at hand", s.Key)
		}
		if err != nil {
			break
		}
		if len(batch) == batchRows {
			batches <- batch
			batch = make([]subject, 0, batchRows)
		}
	}
	batches <- batch
	close(batches)
	<-done
	return errors.Join(err, rows.Err())
}

// storeExplanations explains every subject and writes what is found, where it is not what is stored. While one batch is written the
// next is explained.
func (e *explainer) storeExplanations(ctx context.Context, tx pgx.Tx) error {
	type explained struct {
		rows [][]any
		old  map[int16][][16]byte // keys by episode, of what the rows replace
		err  error
	}
	var pending chan explained
	write := func() error {
		if pending == nil {
			return nil
		}
		done := <-pending
		pending = nil
		if done.err != nil {
			return done.err
		}
		for episode, keys := range done.old {
			if _, err := tx.Exec(ctx, `DELETE FROM explanation WHERE episode = $1 AND order_key = ANY ($2)`, episode, keys); err != nil {
				return err
			}
		}
		if len(done.rows) == 0 {
			return nil
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"explanation"},
			[]string{"order_key", "episode", "cause", "sub_cause", "confidence", "certainty", "incident_id", "evidence",
				"counter_evidence", "action", "needs_follow_up", "runner_up", "features", "rates", "weights", "digest"},
			pgx.CopyFromRows(done.rows))
		return err
	}
	last := make(chan struct{})
	close(last)
	err := e.eachSubject(ctx, tx, func(batch []subject) error {
		next, before := make(chan explained, 1), last
		last = make(chan struct{})
		go func(mine chan struct{}) {
			defer close(mine)
			<-before // one batch after the other: incidents are named by their first order
			out := explained{old: map[int16][][16]byte{}}
			for i, x := range beside(batch, e.word) {
				s := &batch[i]
				if s.Final {
					continue
				}
				row, err := e.values(s, x)
				if err != nil {
					out.err = err
					break
				}
				digest := digestOf(row)
				if s.Explained && s.Digest != nil && *s.Digest == digest {
					continue
				}
				if s.Explained {
					out.old[s.Episode] = append(out.old[s.Episode], s.Key)
				}
				out.rows = append(out.rows, append(row, digest))
			}
			next <- out
		}(last)
		err := write()
		pending = next
		return err
	})
	if err == nil {
		err = write()
	}
	<-last
	return err
}

// digestOf returns eight bytes of a hash over the values of a row, each as fmt prints it with %v and ended by a NUL.
func digestOf(row []any) int64 {
	var text []byte
	for _, value := range row {
		switch v := value.(type) {
		case string: // nearly all of a row, for which fmt takes its time
			text = append(text, v...)
		case nil:
			text = append(text, "<nil>"...)
		case [16]byte:
			for i, b := range v {
				text = strconv.AppendUint(append(text, "[ "[min(i, 1)]), uint64(b), 10)
			}
			text = append(text, ']')
		default:
			text = fmt.Append(text, v)
		}
		text = append(text, 0)
	}
	sum := sha256.Sum256(text)
	return int64(binary.BigEndian.Uint64(sum[:]))
}

// explainer explains subjects. Once cohorts are found all of it is only read, but for incidents, of which several goroutines may make one,
// and their names and sums, which go in the order of the subjects.
type explainer struct {
	rules     Rules
	register  *register
	late      *lateness
	habits    map[string]habit
	batches   batches
	payouts   map[payoutDay]*payoutCounts
	twins     map[[16]byte]twin
	short     map[fileKey]*shortFile
	tails     tails
	lone      loneRuns
	outages   []window
	terminals map[terminalKey][]fault
	names     map[nameKey][]Evidence // candidates and siblings of verdicts that have some
	siblings  map[nameKey]bool       // verdicts whose other half stands under another merchant id
	kept      [][]subject            // all of them, or none
	making    sync.Mutex             // of incidents
	incidents map[string]*incident   // by their names, and those that final explanations are of by their ids
	earlier   []*known
	named     map[string]bool // ids of this run
}

type nameKey struct {
	key     [16]byte
	episode int16
}

// worded is an explanation with its evidence as it is stored.
type worded struct {
	Explanation
	storedEvidence, storedCounter string
	err                           error
}

// word explains s, unless its stored explanation is final.
func (e *explainer) word(s *subject) (x worded) {
	if s.Final {
		return x
	}
	x.Explanation = e.explain(s)
	evidence, err := json.Marshal(orEmpty(x.Evidence))
	counter, cerr := json.Marshal(orEmpty(x.Counter))
	x.storedEvidence, x.storedCounter, x.err = string(evidence), string(counter), errors.Join(err, cerr)
	return x
}

// values returns the row of table explanation for s, and names the incident that it is part of.
func (e *explainer) values(s *subject, x worded) ([]any, error) {
	if x.err != nil {
		return nil, x.err
	}
	var cause, sub, confidence, certainty, incidentID, runnerUp, features, rates, weights any
	if x.SubCause != "" {
		cause, sub = string(x.SubCause.Cause()), string(x.SubCause)
		confidence = decimal.NewFromFloat(x.Confidence).Round(2)
		certainty = Certainty(x.Confidence)
		runnerUp, features, rates, weights = string(x.RunnerUp), x.Features, x.Rates, e.rules.weights().Version
	}
	if x.Incident != nil {
		incidentID = e.idOf(x.Incident, s)
		if err := x.Incident.add(s); err != nil {
			return nil, err
		}
	}
	return []any{s.Key, s.Episode, cause, sub, confidence, certainty, incidentID, x.storedEvidence, x.storedCounter, x.Action, x.FollowUp, runnerUp, features, rates, weights}, nil
}

// beside calls do for each subject of a batch, on all processors side by side, and returns what it returns in their order.
func beside[T any](batch []subject, do func(*subject) T) []T {
	out := make([]T, len(batch))
	size := max((len(batch)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0), leastBeside)
	var wg sync.WaitGroup
	for from := 0; from < len(batch); from += size {
		wg.Go(func() {
			for i := from; i < min(from+size, len(batch)); i++ {
				out[i] = do(&batch[i])
			}
		})
	}
	wg.Wait()
	return out
}

// leastBeside is how many subjects are worth a goroutine.
const leastBeside = 50

func orEmpty(list []Evidence) []Evidence {
	if list == nil {
		return []Evidence{}
	}
	return list
}

// The bands of certainty.
const (
	highFrom   = 0.85
	mediumFrom = 0.65
)

// Certainty is the band that a person reads instead of a number: high from 0.85, low under 0.65.
func Certainty(confidence float64) string {
	switch {
	case confidence >= highFrom:
		return "high"
	case confidence >= mediumFrom:
		return "medium"
	default:
		return "low"
	}
}

// storeWeights keeps the weights that verdicts were made by, once: so that the arithmetic of a verdict can be done again when
// they have changed.
func (e *explainer) storeWeights(ctx context.Context, tx pgx.Tx) error {
	w := e.rules.weights()
	_, err := tx.Exec(ctx, `
		INSERT INTO weights (version, text)
		VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, w.Version, string(w.Text))
	return err
}

// UsedWeights returns the weights that the stored explanations were made by, nil where there are none.
func UsedWeights(ctx context.Context, tx pgx.Tx) (*Weights, error) {
	var text string
	err := tx.QueryRow(ctx, `
		SELECT text
		  FROM weights
		 WHERE version = (SELECT weights FROM explanation WHERE weights IS NOT NULL LIMIT 1)`).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return ParseWeights([]byte(text))
}

// readNames reads, for verdicts that have candidates or a sibling at another merchant, whom they name.
func (e *explainer) readNames(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `
		WITH named AS (
		    SELECT order_key, episode, settle_key, settle_episode, 'candidate' AS kind FROM candidate
		     UNION ALL
		    SELECT order_key, episode, settle_key, settle_episode, 'sibling' FROM sibling
		)
		SELECT n.kind, n.order_key, n.episode, n.settle_key, n.settle_episode,
		       o.order_id, o.merchant_id, fo.name || ':' || o.line,
		       l.order_id, l.merchant_id, fl.name || ':' || l.line
		  FROM named AS n
		  JOIN lone_order AS o ON (o.order_key, o.episode) = (n.order_key, n.episode)
		  JOIN lone_line AS l ON (l.order_key, l.episode) = (n.settle_key, n.settle_episode)
		  JOIN file AS fo ON fo.file_id = o.file_id
		  JOIN file AS fl ON fl.file_id = l.file_id
		 ORDER BY n.kind, n.order_key, n.episode, n.settle_key, n.settle_episode`)
	if err != nil {
		return err
	}
	e.names, e.siblings = map[nameKey][]Evidence{}, map[nameKey]bool{}
	add := func(k nameKey, ev Evidence) {
		// Ten names are a list that a person can check; the rest adds nothing.
		if len(e.names[k]) < 10 {
			e.names[k] = append(e.names[k], ev)
		}
	}
	var (
		kind                                             string
		o, l                                             nameKey
		oID, oMerchant, oSource, lID, lMerchant, lSource string
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &o.key, &o.episode, &l.key, &l.episode, &oID, &oMerchant, &oSource, &lID, &lMerchant, &lSource}, func() error {
		if kind == "candidate" {
			add(o, said("match", "settlement line "+lID+" may belong to it, but is not the only candidate",
				"结算明细 "+lID+" 可能属于本单，但不是唯一候选", lSource))
			add(l, said("match", "order "+oID+" may belong to it, but is not the only candidate",
				"订单 "+oID+" 可能对应本明细，但不是唯一候选", oSource))
			return nil
		}
		e.siblings[o], e.siblings[l] = true, true
		add(o, said("match", fmt.Sprintf("a settlement line with this order id names merchant %s, not %s", lMerchant, oMerchant),
			fmt.Sprintf("同一订单号的结算明细记在商户 %s，而非 %s", lMerchant, oMerchant), lSource))
		add(l, said("match", fmt.Sprintf("an order with this id belongs to merchant %s, not %s", oMerchant, lMerchant),
			fmt.Sprintf("同一订单号的订单属于商户 %s，而非 %s", oMerchant, lMerchant), oSource))
		return nil
	})
	if err != nil {
		return err
	}
	return e.readReplaced(ctx, tx, add)
}

// readReplaced reads what replaced settlement files said of flagged verdicts: that a correction took a line away is the
// first thing to know of it.
func (e *explainer) readReplaced(ctx context.Context, tx pgx.Tx, add func(nameKey, Evidence)) error {
	var replaced bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM file WHERE kind = 'settlement' AND replaced_by IS NOT NULL)`).Scan(&replaced); err != nil || !replaced {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT v.order_key, v.episode, r.status || ' ' || r.amount || ' ' || r.currency, f.name || ':' || r.line, g.name
		  FROM file AS f
		  JOIN file AS g ON g.file_id = f.replaced_by
		  JOIN settlement_row AS r ON r.file_id = f.file_id AND r.business_date BETWEEN f.first_date AND f.last_date
		  JOIN verdict AS v ON v.order_key = r.order_key
		 WHERE f.kind = 'settlement'
		   AND v.outcome NOT IN ('matched', 'pending')
		 ORDER BY v.order_key, v.episode, f.file_date, f.sha256, r.line`)
	if err != nil {
		return err
	}
	var (
		k               nameKey
		had, source, by string
	)
	_, err = pgx.ForEachRow(rows, []any{&k.key, &k.episode, &had, &source, &by}, func() error {
		add(k, said("file", "a file that "+by+" replaced had it as "+had, "被 "+by+" 替换的文件中记为 "+had, source))
		return nil
	})
	return err
}
