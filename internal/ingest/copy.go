package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/statement"
)

// batchBytes is how much of a table's rows is handed over at once: some nine hundred rows, which makes the hand-over cost
// nothing beside them. With those under way, the one being sent and those being filled, of rows and of rejected lines, a
// loader holds some 1.5 MB.
const batchBytes = 256 << 10

// batchesUnderWay is how many batches wait between the parser and the connection, so that neither waits for the other's
// slower moments.
const batchesUnderWay = 2

// sortedBytes is as much of rows that go into a table with an index by their key, some thirty thousand. Keys are hashes: sorted by
// them, so many find their places in the index of a month in two thirds of the time that they take as they come. One such batch is
// filled while another is sent, so that a loader holds some 25 MB.
const sortedBytes = 8 << 20

// batch is encoded rows of one table on their way to the database.
type batch struct {
	encoder
	to     *table
	into   string // that table, or its partition where they are all of one month
	rows   int64
	month  recon.Date // of rows in a partition that no batch before needed; zero for none
	starts []int      // where each row begins, of rows that are sent by their keys
}

// keyAt is where the key is in an encoded row, whose first column it is: behind the number of fields and its own length.
const keyAt = 2 + 4

// sorted returns the rows in the order of their keys.
func (b *batch) sorted() [][]byte {
	rows := make([][]byte, len(b.starts))
	for i, start := range b.starts {
		end := len(b.buf)
		if i+1 < len(b.starts) {
			end = b.starts[i+1]
		}
		rows[i] = b.buf[start:end]
	}
	slices.SortFunc(rows, func(a, b []byte) int { return bytes.Compare(a[keyAt:keyAt+16], b[keyAt:keyAt+16]) })
	return rows
}

// records yields what a file holds, io.EOF after the last.
type records interface {
	Next() (statement.Record, error)
}

// copyRows streams records into the database: one goroutine parses and encodes while the connection copies. It has ended
// when copyRows returns, whatever the reason.
func (l *loader) copyRows(ctx context.Context, tx pgx.Tx, entry *register, kind recon.Kind, from records) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	to := tableOf(kind)
	s := &stream{ctx: ctx, limit: batchBytes, batches: make(chan *batch, batchesUnderWay), free: make(chan []byte, batchesUnderWay+1)}
	if l.indexed[to.name] {
		s.limit, s.batches = sortedBytes, make(chan *batch)
	}
	parsed := make(chan error, 1)
	go func() {
		p := parser{loader: l, entry: entry, to: to, into: to.name, stream: s, months: map[int]bool{}}
		s.err = p.parse(from)
		close(s.batches)
		parsed <- s.err
	}()
	err := l.copyBatches(ctx, tx, s)
	cancel(err) // the parser, where it still runs, stops at its next batch
	// What stopped the parser is what stopped the COPY, which the server would only call a failed one.
	if perr := <-parsed; perr != nil {
		return perr
	}
	return err
}

// copyBatches copies what the stream brings: a COPY for all batches in a row that go into one table, and into partitions
// that are there when it begins. A COPY does not see a partition that is attached while it runs.
func (l *loader) copyBatches(ctx context.Context, tx pgx.Tx, s *stream) error {
	for {
		first, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !first.month.IsZero() {
			if err := l.partitions.Ensure(ctx, first.to.name, first.month); err != nil {
				return err
			}
			// A session learns of what others attached when it takes a lock that it does not hold: that of the table it has held
			// since its first COPY, and a further one could miss the partition.
			if _, err := tx.Exec(ctx, "LOCK TABLE "+postgres.PartitionName(first.to.name, first.month)+" IN ROW EXCLUSIVE MODE"); err != nil {
				return err
			}
		}
		rows := &copyReader{stream: s}
		rows.take(first)
		whole := io.MultiReader(strings.NewReader(copyHeader), rows, strings.NewReader(copyTrailer))
		if _, err := tx.Conn().PgConn().CopyFrom(ctx, whole, first.to.copySQL(first.into)); err != nil {
			return err
		}
	}
}

// stream hands batches from the parser to the connection, and their memory back.
type stream struct {
	ctx     context.Context
	limit   int // the bytes of a batch of rows
	batches chan *batch
	free    chan []byte
	ahead   *batch // taken from batches, and not for the COPY of those before
	err     error  // why the parser ended, once batches is closed
}

// next waits for a batch; io.EOF says that the last one was taken.
func (s *stream) next() (*batch, error) {
	if b := s.ahead; b != nil {
		s.ahead = nil
		return b, nil
	}
	select {
	case b, ok := <-s.batches:
		switch {
		case ok:
			return b, nil
		case s.err != nil:
			return nil, s.err
		}
		return nil, io.EOF
	case <-s.ctx.Done():
		return nil, context.Cause(s.ctx)
	}
}

// send hands a batch over; it is the stream's from then on.
func (s *stream) send(b *batch) error {
	select {
	case s.batches <- b:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// buffer returns the memory of a batch that was sent, nil where there is none: most files are small, and their batches grow
// to what they hold.
func (s *stream) buffer() []byte {
	select {
	case buf := <-s.free:
		return buf[:0]
	default:
		return nil
	}
}

// recycle takes the memory of a batch that was sent.
func (s *stream) recycle(buf []byte) {
	if cap(buf) > 2*s.limit {
		return // of a row as large as a line may be: it would be kept for nothing
	}
	select {
	case s.free <- buf:
	default:
	}
}

// copyReader reads the batches of one COPY. The driver may still be reading when its call has returned for a cancelled
// context; the stream then ends at once.
type copyReader struct {
	stream *stream
	batch  *batch   // being sent
	rows   [][]byte // of it, that are not yet in left
	left   []byte
}

// take begins to send a batch.
func (c *copyReader) take(b *batch) {
	c.batch, c.rows, c.left = b, nil, b.buf
	if b.starts != nil {
		c.rows, c.left = b.sorted(), nil
	}
}

func (c *copyReader) Read(p []byte) (int, error) {
	for len(c.left) == 0 && len(c.rows) == 0 {
		b, err := c.stream.next()
		if err != nil {
			return 0, err
		}
		if b.into != c.batch.into || !b.month.IsZero() {
			c.stream.ahead = b
			return 0, io.EOF
		}
		c.stream.recycle(c.batch.buf)
		c.take(b)
	}
	n := 0
	for n < len(p) {
		if len(c.left) == 0 {
			if len(c.rows) == 0 {
				break
			}
			c.left, c.rows = c.rows[0], c.rows[1:]
		}
		copied := copy(p[n:], c.left)
		c.left = c.left[copied:]
		n += copied
	}
	return n, nil
}

// parser turns the records of a file into batches.
type parser struct {
	loader  *loader
	entry   *register
	to      *table
	stream  *stream
	rows    *batch // being filled; nil before the first row
	rejects *batch // the same of rejected lines, which go once there are many, or no more
	into    string // where rows go
	months  map[int]bool
	day     recon.Date // of the row before
}

// parse goes through the records until the file ends.
func (p *parser) parse(from records) error {
	for {
		rec, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := p.take(rec); err != nil {
			return err
		}
	}
	if err := p.send(&p.rows); err != nil {
		return err
	}
	return p.send(&p.rejects)
}

// take encodes a record and counts it.
func (p *parser) take(rec statement.Record) error {
	p.entry.rowsRead++
	if rec.Reject != nil {
		return p.reject(rec.Reject)
	}
	day, ok := p.loader.prepare(p.entry, rec)
	if !ok {
		return p.reject(&statement.Reject{Line: rec.Line, Field: "acquirer",
			Rule: "neither the row, the file's metadata nor its folder names the acquirer"})
	}
	p.entry.rowsLoaded++
	if !day.Equal(p.day) {
		if err := p.turnTo(day, rec.Line); err != nil {
			return err
		}
	}
	b := p.batch(&p.rows, p.to)
	b.rows++
	if p.stream.limit == sortedBytes {
		b.starts = append(b.starts, len(b.buf))
		if len(b.buf) > batchBytes && cap(b.buf) < sortedBytes { // no small file: grown by and by it would leave as much behind
			b.buf = slices.Grow(b.buf, sortedBytes+batchBytes-len(b.buf))
		}
	}
	p.loader.encode(&b.encoder, p.entry, day, rec)
	if b.err != nil {
		return fmt.Errorf("line %d: %w", rec.Line, b.err)
	}
	if len(b.buf) < p.stream.limit {
		return nil
	}
	return p.send(&p.rows)
}

func (p *parser) reject(r *statement.Reject) error {
	p.entry.rowsRejected++
	b := p.batch(&p.rejects, rejectTable)
	b.encoder.reject(p.entry.fileID, r)
	if len(b.buf) < batchBytes {
		return nil
	}
	return p.send(&p.rejects)
}

// turnTo notes the date of the rows that follow. The first of a month begins a batch, for which there must be a
// partition. As long as all rows are of one month they go straight into it, and the server need not find for each where it belongs.
func (p *parser) turnTo(day recon.Date, line int) error {
	p.day = day
	p.entry.seeDate(day)
	month := day.Year()*12 + int(day.UTC().Month())
	if p.months[month] {
		return nil
	}
	p.months[month] = true
	if len(p.months) > maxMonths {
		return &held{state: Refused, code: codeUnreadable,
			reason: fmt.Sprintf("line %d: its rows are dated over more than %d months: the dates are damaged", line, maxMonths)}
	}
	if !p.to.monthly {
		return nil
	}
	if err := p.send(&p.rows); err != nil {
		return err
	}
	p.into = postgres.PartitionName(p.to.name, day)
	if len(p.months) > 1 {
		p.into = p.to.name
	}
	p.batch(&p.rows, p.to).month = day
	return nil
}

// batch returns the batch that is being filled, a new one if there is none.
func (p *parser) batch(b **batch, to *table) *batch {
	if *b == nil {
		*b = &batch{to: to, into: to.name, encoder: encoder{buf: p.stream.buffer()}}
		if to == p.to {
			(*b).into = p.into
		}
	}
	return *b
}

// send hands over what was filled, if anything was.
func (p *parser) send(b **batch) error {
	full := *b
	if full == nil {
		return nil
	}
	*b = nil
	if err := p.stream.send(full); err != nil {
		return err
	}
	if full.rows > 0 && p.loader.opt.Progress != nil {
		p.loader.opt.Progress.Rows(full.rows)
	}
	return nil
}
