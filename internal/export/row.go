package export

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/classify"
)

// row is one exported row, as the server sent it: texts and amounts are the server's bytes, valid until the next row is read.
// Absent is nil.
type row struct {
	known  *small
	shared shared

	businessDate     day
	orderID          []byte
	refundID         []byte
	originalOrderID  []byte
	acquirer         []byte
	merchantID       []byte
	storeID          []byte
	terminalID       []byte
	channel          []byte
	channelTxnID     []byte
	refNo            []byte
	typ              []byte
	txnTime          instant
	currency         []byte
	posAmount        amount
	settledAmount    amount
	fee              amount
	netAmount        amount
	due              amount
	arrived          amount
	owed             amount
	excess           amount
	posStatus        []byte
	settleStatus     []byte
	outcome          []byte
	cause            []byte
	subCause         []byte
	confidence       amount
	certainty        []byte
	incidentID       []byte
	evidence         []classify.Evidence
	counterEvidence  []classify.Evidence
	action           []byte
	dueDate          day
	settleDate       day
	payoutID         []byte
	payoutStatus     []byte
	matchRule        []byte
	needsFollowUp    []byte
	caseID           []byte
	caseStatus       []byte
	assignee         []byte
	sourceFile       string
	sourceLine       []byte
	settleSourceFile string
	settleSourceLine []byte
}

// shared is what plain matches of one merchant, business date and cycle share, and mostly their payout.
type shared struct {
	place                uint64
	cycle                string
	acquirer, merchantID []byte
	businessDate         day
	dueDate              day
	payoutID             string
	payoutStatus         []byte
}

// amount is a number as the server prints it.
type amount []byte

// day is a date, valid or absent.
type day struct {
	time.Time
	valid bool
}

// instant is a point in time, valid or absent.
type instant struct {
	time.Time
	valid bool
}

// resultFormats are the formats of rowsSQL's columns: text, but binary for the place, the key and its episode, for what only verdicts
// say, and for days and instants, whose text would depend on settings of the server.
var resultFormats = func() pgx.QueryResultFormats {
	formats := make(pgx.QueryResultFormats, 33)
	for _, i := range []int{0, 4, 5, 6, 15, 20, 21, 23} {
		formats[i] = pgx.BinaryFormatCode
	}
	return formats
}()

// values takes the values of a row from left to right.
type values struct {
	raw [][]byte
	err error
}

func (v *values) text() []byte {
	value := v.raw[0]
	v.raw = v.raw[1:]
	return value
}

// postgresEpoch is where PostgreSQL counts days and microseconds from, in seconds of Unix.
const (
	postgresEpoch = 946684800
	secondsOfDay  = 86400
)

func (v *values) day() day {
	value := v.text()
	if len(value) != 4 {
		if value != nil {
			v.err = fmt.Errorf("%d bytes are no date", len(value))
		}
		return day{}
	}
	days := int64(int32(binary.BigEndian.Uint32(value)))
	return day{time.Unix(postgresEpoch+days*secondsOfDay, 0).UTC(), true}
}

func (v *values) instant() instant {
	value := v.text()
	if len(value) != 8 {
		if value != nil {
			v.err = fmt.Errorf("%d bytes are no time", len(value))
		}
		return instant{}
	}
	return instant{time.UnixMicro(postgresEpoch*1_000_000 + int64(binary.BigEndian.Uint64(value))), true}
}

// sentences reads stored evidence into list's memory. Most rows of an export have none.
func (v *values) sentences(list []classify.Evidence) []classify.Evidence {
	stored := v.text()
	if stored == nil {
		return list[:0]
	}
	list, err := readEvidence(list, string(stored))
	if err != nil {
		v.err = fmt.Errorf("evidence: %w", err)
	}
	return list
}

// read takes over the values of a row of rowsSQL.
func (r *row) read(raw [][]byte) error {
	if len(raw) != len(resultFormats) {
		return fmt.Errorf("%d values instead of %d", len(raw), len(resultFormats))
	}
	v := values{raw: raw}
	place := v.text()
	r.orderID, r.typ, r.refundID = v.text(), v.text(), v.text()
	key := v.text()
	v.text() // its episode
	r.businessDate = v.day()
	r.originalOrderID, r.acquirer, r.merchantID = v.text(), v.text(), v.text()
	r.storeID, r.terminalID, r.channel, r.channelTxnID, r.refNo = v.text(), v.text(), v.text(), v.text(), v.text()
	r.txnTime = v.instant()
	r.currency = v.text()
	r.posAmount, r.fee, r.netAmount = v.text(), v.text(), v.text()
	told := v.text()
	r.dueDate = v.day()
	cycle := v.text()
	r.settleDate = v.day()
	r.payoutID, r.payoutStatus = v.text(), v.text()
	r.caseID, r.caseStatus, r.assignee = v.text(), v.text(), v.text()
	r.sourceFile, r.sourceLine = r.known.fileName(v.text()), v.text()
	r.settleSourceFile, r.settleSourceLine = r.known.fileName(v.text()), v.text()
	if v.err != nil {
		return fmt.Errorf("order %s: %w", r.orderID, v.err)
	}
	if place == nil {
		return fmt.Errorf("order %s: %w", r.orderID, errUnknownMerchant)
	}
	if told != nil {
		if err := r.readTold(told); err != nil {
			return fmt.Errorf("order %s: %w", r.orderID, err)
		}
		return nil
	}
	r.fillPlain(binary.BigEndian.Uint64(place), cycle, orderKey(key))
	return nil
}

// errUnknownMerchant says that what is told of matches together lacks a merchant, so that its orders have no place.
var errUnknownMerchant = errors.New("its merchant is in no match that is told: posrecon check says more")

var (
	zero      = amount("0.00")
	success   = []byte("SUCCESS")
	settled   = []byte("SETTLED")
	matched   = []byte("matched")
	byOrderID = []byte("order_id")
	no        = []byte("f")
	yes       = []byte("t")
)

// readTold reads what only verdicts say, and plain matches need not: a text[] in binary, whose elements are kept as a row's values
// are, each behind its length.
func (r *row) readTold(array []byte) error {
	const header, elements = 20, 18
	v := values{raw: make([][]byte, 0, elements)}
	for rest := array[min(header, len(array)):]; len(rest) >= 4; {
		n := int32(binary.BigEndian.Uint32(rest))
		rest = rest[4:]
		if n < 0 {
			v.raw = append(v.raw, nil)
			continue
		}
		if int(n) > len(rest) {
			break
		}
		v.raw, rest = append(v.raw, rest[:n:n]), rest[n:]
	}
	if len(v.raw) != elements {
		return fmt.Errorf("%d values of a verdict instead of %d", len(v.raw), elements)
	}
	r.settledAmount, r.due, r.arrived, r.owed, r.excess = v.text(), v.text(), v.text(), v.text(), v.text()
	r.posStatus, r.settleStatus, r.outcome = v.text(), v.text(), v.text()
	r.cause, r.subCause, r.confidence, r.certainty, r.incidentID = v.text(), v.text(), v.text(), v.text(), v.text()
	r.evidence, r.counterEvidence = v.sentences(r.evidence), v.sentences(r.counterEvidence)
	r.action, r.matchRule, r.needsFollowUp = v.text(), v.text(), v.text()
	return v.err
}

// fillPlain fills in what every plain match says: both sides agree, and all that is due has arrived (contract §5); what the place
// in the order says (rowsSQL), which rows that follow each other share; and what small tables say of it.
func (r *row) fillPlain(place uint64, cycle []byte, key orderKey) {
	r.settledAmount, r.due, r.arrived, r.owed, r.excess = r.posAmount, r.posAmount, r.posAmount, zero, zero
	r.posStatus, r.settleStatus, r.outcome = success, settled, matched
	r.cause, r.subCause, r.confidence, r.certainty, r.incidentID = nil, nil, nil, nil, nil
	r.evidence, r.counterEvidence, r.action = r.evidence[:0], r.counterEvidence[:0], nil
	r.matchRule, r.needsFollowUp = byOrderID, no

	if s := &r.shared; place != s.place || string(cycle) != s.cycle || s.merchantID == nil {
		n, days := uint32(place)-1, int64(place)>>32
		of := dueOf{r.known.merchants.acquirer[n], days, string(cycle)}
		*s = shared{place, of.cycle, []byte(of.acquirer), []byte(r.known.merchants.id[n]),
			day{time.Unix(postgresEpoch+days*secondsOfDay, 0).UTC(), true}, r.known.due[of], "", nil}
	}
	r.acquirer, r.merchantID, r.businessDate, r.dueDate = r.shared.acquirer, r.shared.merchantID, r.shared.businessDate, r.shared.dueDate

	if r.known.payouts != nil && r.payoutID != nil {
		if s := &r.shared; string(r.payoutID) != s.payoutID {
			s.payoutID = string(r.payoutID)
			s.payoutStatus = r.known.payouts[payout{string(r.acquirer), s.payoutID}]
		}
		r.payoutStatus = r.shared.payoutStatus
	}
	if r.known.cases != nil {
		k := r.known.cases[key]
		r.caseID, r.caseStatus, r.assignee = k.id, k.status, k.assignee
	}
}

// isZero reports whether an amount is zero; an absent one is not.
func (a amount) isZero() bool { return a != nil && bytes.IndexAny(a, "123456789") < 0 }
