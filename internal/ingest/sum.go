package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/maphash"
	"io"
)

// A file is read twice: to identify it by its SHA-256, and to parse it. That both were the same bytes a cheaper sum tells, one whose seed
// is this process's own, so that nobody can aim at it.

var sumSeed = maphash.MakeSeed()

// newSum returns a sum over nothing yet.
func newSum() hash.Hash {
	h := &maphash.Hash{}
	h.SetSeed(sumSeed)
	return h
}

// secondReading sums what is read through it, and knows what the first reading came to.
type secondReading struct {
	r    io.Reader
	h    hash.Hash
	want []byte
	read func(int64)
}

// readAgain begins the second reading of a candidate's bytes, from r, and tells read how many came each time. Where the first was another
// process's (known_place), they are identified anew.
func (c *candidate) readAgain(r io.Reader, read func(int64)) (*secondReading, error) {
	if c.sum != nil {
		return &secondReading{r: r, h: newSum(), want: c.sum, read: read}, nil
	}
	want, err := hex.DecodeString(c.sha256)
	if err != nil {
		return nil, fmt.Errorf("SHA-256 of %s: %w", c.shown(), err)
	}
	return &secondReading{r: r, h: sha256.New(), want: want, read: read}, nil
}

func (s *secondReading) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	s.read(int64(n))
	return n, err
}

// unchanged reads what is left unread and reports whether the bytes are those that were read first.
func (s *secondReading) unchanged() (bool, error) {
	if _, err := io.Copy(io.Discard, io.LimitReader(s, maxFileBytes)); err != nil {
		return false, err
	}
	return bytes.Equal(s.h.Sum(nil), s.want), nil
}
