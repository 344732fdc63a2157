package ingest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/posrecon/posrecon/internal/archive"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/statement"
)

// Explained is what a document was recognised as, and how its first rows are read. Nothing is loaded.
type Explained struct {
	Document string              `json:"document"`
	About    *statement.About    `json:"about,omitempty"`
	Rows     []map[string]string `json:"rows,omitempty"`     // canonical values by column
	Rejected []statement.Reject  `json:"rejected,omitempty"` // the first lines that are rejected
	Read     int                 `json:"read"`               // rows in all
	Bad      int                 `json:"bad"`                // of which are rejected
	Left     int                 `json:"left_alone"`         // rows of another kind than the format loads
	Totals   []profile.Control   `json:"totals,omitempty"`   // control totals that it states
	Around   []string            `json:"around,omitempty"`   // the first lines that are neither rows nor totals: titles, footers
	Untied   string              `json:"untied,omitempty"`   // a control total that does not tie
	Remark   string              `json:"remark,omitempty"`
	Problem  string              `json:"problem,omitempty"` // why it cannot be loaded
	Draft    string              `json:"draft,omitempty"`   // a profile to start from, where no format reads it
}

// explainedRows is how many rows, and how many rejected lines, an explanation shows.
const explainedRows = 5

// Explain reads the documents of a file, or of each file in a folder, without loading them. A problem with the content is in
// the result.
func Explain(path string, opt Options) ([]Explained, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if !info.IsDir() {
		return explainFile(path, archive.ShownName(filepath.Base(path)), opt)
	}
	f := finder{walked: map[string]bool{}}
	if err := f.walk(path, path); err != nil {
		return nil, err
	}
	slices.SortFunc(f.found, func(a, b candidate) int { return strings.Compare(a.path, b.path) })
	var out []Explained
	for _, c := range f.found {
		name, err := filepath.Rel(path, c.path)
		if err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		list, err := explainFile(c.path, archive.ShownName(filepath.ToSlash(name)), opt)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	return out, nil
}

// explainFile explains the documents of one file, which is shown under a name.
func explainFile(path, name string, opt Options) ([]Explained, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("input: %s is no file", path)
	}
	documents, done, err := archive.Documents(f, info.Size(), name)
	var damaged *archive.Error
	if errors.As(err, &damaged) {
		return []Explained{{Document: name, Problem: damaged.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Explained
	for _, d := range documents {
		e, err := explain(d, opt)
		if err != nil {
			return nil, errors.Join(err, done())
		}
		out = append(out, e)
	}
	return out, done()
}

func explain(d archive.Document, opt Options) (Explained, error) {
	e := Explained{Document: d.Name}
	rc, err := d.Open()
	if err != nil {
		return e, err
	}
	defer rc.Close()
	var fe *statement.FileError
	var damaged *archive.Error
	r, err := statement.Open(rc, opt.statement(lastName(d.Name)))
	switch {
	case errors.As(err, &damaged):
		e.Problem = damaged.Error()
		return e, nil
	case errors.As(err, &fe):
		e.Problem = fe.Error()
		if fe.Unknown {
			e.Draft, err = draft(d)
			return e, err
		}
		return e, nil
	case err != nil:
		return e, err
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			about := r.About()
			e.About, e.Left, e.Untied, e.Remark = &about, r.Left(), r.Untied(), r.Remark()
			e.Totals, e.Around = r.Controls(), r.Around()
			return e, nil
		case errors.As(err, &damaged):
			e.Problem = damaged.Error()
			return e, nil
		case errors.As(err, &fe):
			about := r.About()
			e.About, e.Problem = &about, fe.Error()
			return e, nil
		case err != nil:
			return e, err
		}
		e.Read++
		switch {
		case rec.Reject != nil:
			e.Bad++
			if len(e.Rejected) < explainedRows {
				e.Rejected = append(e.Rejected, *rec.Reject)
			}
		case len(e.Rows) < explainedRows:
			e.Rows = append(e.Rows, r.Values())
		}
	}
}

// draft looks at the document again and guesses a profile.
func draft(d archive.Document) (string, error) {
	rc, err := d.Open()
	if err != nil {
		return "", err
	}
	defer rc.Close()
	s, ok, err := statement.NewSketch(rc)
	if err != nil || !ok {
		return "", err
	}
	return profile.Draft(lastName(d.Name), s), nil
}
