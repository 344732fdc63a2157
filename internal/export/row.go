package export

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/classify"
)

// row is one exported row, as the server sent it: texts and amounts are the server's bytes, valid until the next row is read.
// Absent is nil.
type row struct {
	files map[string]string // names by id

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

// resultFormats are the formats of rowsSQL's columns: text, but binary for what is only sorted by, and for days and instants,
// whose text would depend on settings of the server.
var resultFormats = func() pgx.QueryResultFormats {
	formats := make(pgx.QueryResultFormats, 49)
	for _, i := range []int{0, 1, 2, 3, 15, 36, 37} {
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

// postgresEpoch is where PostgreSQL counts days and microseconds from.
const postgresEpoch = 946684800

func (v *values) day() day {
	value := v.text()
	if len(value) != 4 {
		if value != nil {
			v.err = fmt.Errorf("%d bytes are no date", len(value))
		}
		return day{}
	}
	days := int64(int32(binary.BigEndian.Uint32(value)))
	return day{time.Unix(postgresEpoch+days*86400, 0).UTC(), true}
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

// sentences reads stored evidence. Most rows of an export have none.
func (v *values) sentences() (list []classify.Evidence) {
	stored := v.text()
	if stored == nil || string(stored) == "[]" {
		return nil
	}
	if err := json.Unmarshal(stored, &list); err != nil {
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
	v.text() // the key
	v.text() // its episode
	r.businessDate = v.day()
	r.orderID, r.refundID, r.originalOrderID = v.text(), v.text(), v.text()
	r.acquirer, r.merchantID, r.storeID, r.terminalID = v.text(), v.text(), v.text(), v.text()
	r.channel, r.channelTxnID, r.refNo, r.typ = v.text(), v.text(), v.text(), v.text()
	r.txnTime = v.instant()
	r.currency = v.text()
	r.posAmount, r.settledAmount, r.fee, r.netAmount = v.text(), v.text(), v.text(), v.text()
	r.due, r.arrived, r.owed, r.excess = v.text(), v.text(), v.text(), v.text()
	r.posStatus, r.settleStatus, r.outcome = v.text(), v.text(), v.text()
	r.cause, r.subCause, r.confidence, r.certainty, r.incidentID = v.text(), v.text(), v.text(), v.text(), v.text()
	r.evidence, r.counterEvidence = v.sentences(), v.sentences()
	r.action = v.text()
	r.dueDate, r.settleDate = v.day(), v.day()
	r.payoutID, r.payoutStatus, r.matchRule, r.needsFollowUp = v.text(), v.text(), v.text(), v.text()
	r.caseID, r.caseStatus, r.assignee = v.text(), v.text(), v.text()
	r.sourceFile, r.sourceLine = r.files[string(v.text())], v.text()
	r.settleSourceFile, r.settleSourceLine = r.files[string(v.text())], v.text()
	if v.err != nil {
		return fmt.Errorf("order %s: %w", r.orderID, v.err)
	}
	if place == nil {
		return fmt.Errorf("order %s: %w", r.orderID, errUnknownMerchant)
	}
	if r.outcome == nil {
		r.fillPlain()
	}
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

// fillPlain fills in what every plain match says: both sides agree, and all that is due has arrived (contract §5).
func (r *row) fillPlain() {
	r.settledAmount, r.due, r.arrived, r.owed, r.excess = r.posAmount, r.posAmount, r.posAmount, zero, zero
	r.posStatus, r.settleStatus, r.outcome = success, settled, matched
	r.matchRule, r.needsFollowUp = byOrderID, no
}

// isZero reports whether an amount is zero; an absent one is not.
func (a amount) isZero() bool { return a != nil && bytes.IndexAny(a, "123456789") < 0 }
