package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

// place is how a file lies: while that is the same at its path, so are its bytes. Programs can set the time of
// modification back, but not that of change. The device is not part of it: that of a network's folder is another after each
// mount.
type place struct {
	size, modified, changed, inode int64 // times in nanoseconds since 1970
}

// unsettled is for how long after its last change a file may be written to without its times telling: some file systems
// count in steps of two seconds.
const unsettled = 2 * time.Second

// settled reports whether any change after at will show in the place.
func (p place) settled(at time.Time) bool {
	return max(p.modified, p.changed) < at.Add(-unsettled).UnixNano()
}

// maxPathBytes bounds the paths that are remembered: an entry of an index may have 2,700 bytes. Files of longer paths are
// read each time.
const maxPathBytes = 2000

// places are the files that were read before, below the paths of one call.
type places struct {
	readBy string
	rehash bool             // trust none of them
	lain   map[string]*lain // by absolute path
}

// lain is a file that was read before.
type lain struct {
	place     place
	readBy    string
	documents []placeRow // all of an archive, in their order; of another file itself
	seen      bool       // it lies there still
}

// placeRow is a row of known_place.
type placeRow struct {
	Path           []byte
	Part           int32
	Size           int64
	Modified       int64
	Changed        int64
	Inode          int64
	ReadBy         string
	Document       string
	DocumentBytes  int64
	SHA256         string
	Format         string
	Version        string
	Kind, Acquirer string
	SendsTotals    bool
}

// placeColumns are those of known_place in the order of placeRow.
var placeColumns = []string{
	"path", "part", "size_bytes", "modified_ns", "changed_ns", "inode", "read_by", "document", "document_bytes", "sha256", "format",
	"format_version", "kind", "acquirer", "sends_totals",
}

// recallPlaces reads what is known of the files below paths.
func recallPlaces(ctx context.Context, pool *pgxpool.Pool, paths []string, opt Options) (*places, error) {
	p := &places{readBy: opt.edition(), rehash: opt.Rehash, lain: map[string]*lain{}}
	roots := make([][]byte, len(paths))
	for i, path := range paths {
		root, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		roots[i] = []byte(strings.TrimSuffix(root, "/"))
	}
	columns := strings.Join(placeColumns, ", ")
	rows, err := pool.Query(ctx, `
		SELECT `+columns+`
		  FROM known_place
		  JOIN unnest($1::bytea[]) AS root ON path = root
		 UNION -- each once, though it may be below two of the paths
		SELECT `+columns+`
		  FROM known_place
		  -- Below a folder is what begins with its path and a slash; 0 is the character behind the slash.
		  JOIN unnest($1::bytea[]) AS root ON path > root || '/'::bytea AND path < root || '0'::bytea
		 ORDER BY path, part`, roots)
	if err != nil {
		return nil, fmt.Errorf("read where files lay: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[placeRow])
	if err != nil {
		return nil, fmt.Errorf("read where files lay: %w", err)
	}
	for _, row := range list {
		l := p.lain[string(row.Path)]
		if l == nil {
			l = &lain{place: place{row.Size, row.Modified, row.Changed, row.Inode}, readBy: row.ReadBy}
			p.lain[string(row.Path)] = l
		}
		l.documents = append(l.documents, row)
	}
	return p, nil
}

// edition tells apart all that decides what a file is recognised as: the reader and the profiles.
func (o *Options) edition() string {
	h := sha256.New()
	fmt.Fprintln(h, readerVersion)
	for _, p := range slices.Concat(o.Profiles, profile.Builtin()) {
		fmt.Fprintf(h, "%q %q\n", p.Name, p.Version())
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// recall returns the documents of a file that lies as it did when it was read, identified as they were then; not ok where
// it is to be read.
func (p *places) recall(c candidate) (documents []candidate, ok bool) {
	l := p.lain[c.absolute]
	if l == nil || p.rehash || !c.settled || l.place != c.lies || l.readBy != p.readBy {
		return nil, false
	}
	l.seen = true
	for _, row := range l.documents {
		d := c
		if row.Document != "" {
			d = c.inside(row.Document, int(row.Part))
		}
		d.recalled = true
		d.size, d.sha256 = row.DocumentBytes, row.SHA256
		d.format, d.version = row.Format, row.Version
		d.source, d.sendsTotals = source{recon.Kind(row.Kind), row.Acquirer}, row.SendsTotals
		documents = append(documents, d)
	}
	return documents, true
}

// note keeps the places of the files that were read, and forgets those where no file lies any more, or another one: what
// is kept is never more than lay below the paths of the last calls.
func (p *places) note(ctx context.Context, pool *pgxpool.Pool, files []candidate, reports []File) error {
	unsure := map[string]bool{}
	for i, c := range files {
		// An archive is known whole or not at all. Of a file that changed while it was read it is not known what it holds.
		if !c.settled || c.sha256 == "" || c.damaged != "" || len(c.absolute) > maxPathBytes || reports[i].State == Changed {
			unsure[c.absolute] = true
		}
	}
	var rows [][]any
	var stale [][]byte
	for path, l := range p.lain {
		if !l.seen || unsure[path] {
			stale = append(stale, []byte(path))
		}
	}
	for _, c := range files {
		if c.recalled || unsure[c.absolute] {
			continue
		}
		stale = append(stale, []byte(c.absolute)) // what another program has noted meanwhile
		rows = append(rows, []any{[]byte(c.absolute), int32(c.place), c.lies.size, c.lies.modified, c.lies.changed, c.lies.inode, p.readBy,
			c.document, c.size, c.sha256, c.format, c.version, string(c.source.kind), c.source.acquirer, c.sendsTotals})
	}
	if len(stale) == 0 {
		return nil
	}
	err := postgres.Transact(ctx, pool, func(tx pgx.Tx) (bool, error) {
		// Two programs on one inbox take turns, and do not wait for each other's rows crosswise.
		if _, err := tx.Exec(ctx, `LOCK TABLE known_place IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return false, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM known_place WHERE path = ANY ($1)`, stale); err != nil {
			return false, err
		}
		_, err := tx.CopyFrom(ctx, pgx.Identifier{"known_place"}, placeColumns, pgx.CopyFromRows(rows))
		return true, err
	})
	if err != nil {
		return fmt.Errorf("note where files lie: %w", err)
	}
	return nil
}
