package statement

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// maxJSONDepth bounds nesting; the deepest answer of a known interface has five levels.
const maxJSONDepth = 32

// guard passes a decoder only so many bytes beyond what it has turned into tokens, so that one endless value is an error
// and not all of memory. It knows on which line each byte stands.
type guard struct {
	src    io.Reader
	read   int64
	limit  int64
	breaks []int64 // offsets of line feeds not yet passed
	line   int
	failed error // of the source, but for its end
}

func newGuard(src io.Reader) *guard { return &guard{src: src, limit: 2 * maxRecord, line: 1} }

var errTooLong = errors.New("a value is longer than 1 MiB")

func (g *guard) Read(p []byte) (int, error) {
	if g.read >= g.limit {
		return 0, errTooLong
	}
	n, err := g.src.Read(p[:min(len(p), 64<<10)])
	for i, c := range p[:n] {
		if c == '\n' {
			g.breaks = append(g.breaks, g.read+int64(i))
		}
	}
	g.read += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		g.failed = err
	}
	return n, err
}

// passed tells how far the decoder is and returns the line there.
func (g *guard) passed(offset int64) int {
	g.limit = offset + 2*maxRecord
	i := 0
	for i < len(g.breaks) && g.breaks[i] < offset {
		i++
	}
	g.line += i
	g.breaks = g.breaks[:copy(g.breaks, g.breaks[i:])]
	return g.line
}

// jsonRows are the objects of a JSON document: of the array at a path, the object there alone, or one object after the
// other (JSON lines). Objects within a row are named by dotted paths; arrays within it are passed over. Several documents may
// follow each other, as the pages of an answer.
type jsonRows struct {
	guard *guard
	dec   *json.Decoder
	path  []string
	names []string       // columns, where the file is read; nil to learn the names of the first row
	at    map[string]int // by name
	cells []string
	state jsonState

	open   []string // names of the objects that the rows lie in, as far as they are open
	member func(path, value string)
}

type jsonState int

const (
	jsonStart jsonState = iota
	jsonArray           // inside the array of rows
	jsonLines           // between objects of their own
	jsonAfter           // behind the rows, in the objects that they lie in
	jsonNext            // behind a document
	jsonEnd
)

func newJSONRows(src io.Reader, path string, names []string) *jsonRows {
	g := newGuard(src)
	j := &jsonRows{guard: g, dec: json.NewDecoder(g), names: names, at: map[string]int{}, member: func(string, string) {}}
	if path != "" {
		j.path = strings.Split(path, ".")
	}
	for i, name := range names {
		j.at[name] = i
	}
	j.dec.UseNumber()
	return j
}

// fault wraps an error of the decoder: a damaged document is the file's fault, anything else the source's.
func (j *jsonRows) fault(err error) error {
	line := j.guard.passed(j.dec.InputOffset())
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{Line: line, Rule: "the JSON document ends in the middle"}
	case errors.Is(err, errTooLong), errors.As(err, &syntax):
		return &FileError{Line: line, Rule: "not JSON: " + err.Error()}
	}
	var fe *FileError
	if errors.As(err, &fe) {
		return err
	}
	return fmt.Errorf("read statement: %w", err)
}

func (j *jsonRows) token() (json.Token, error) {
	j.guard.passed(j.dec.InputOffset())
	return j.dec.Token()
}

func (j *jsonRows) next() (row, error) {
	for {
		switch j.state {
		case jsonStart:
			t, err := j.token()
			if err != nil {
				return row{}, j.fault(err)
			}
			ready, err := j.descend(t)
			if err != nil {
				return row{}, j.fault(err)
			}
			if ready {
				return j.current()
			}
		case jsonArray:
			t, err := j.token()
			if err != nil {
				return row{}, j.fault(err)
			}
			if t == json.Delim(']') {
				j.state = jsonAfter
				continue
			}
			if t != json.Delim('{') {
				if err := j.skip(t); err != nil {
					return row{}, j.fault(err)
				}
				return row{line: j.guard.passed(j.dec.InputOffset()), rule: "an element of the rows that is no object"}, nil
			}
			if err := j.object(); err != nil {
				return row{}, j.fault(err)
			}
			return j.current()
		case jsonLines:
			t, err := j.token()
			if errors.Is(err, io.EOF) {
				j.state = jsonEnd
				continue
			}
			if err != nil {
				return row{}, j.fault(err)
			}
			if t != json.Delim('{') {
				return row{}, &FileError{Line: j.guard.line, Rule: "not one JSON object after the other"}
			}
			if err := j.object(); err != nil {
				return row{}, j.fault(err)
			}
			return j.current()
		case jsonAfter:
			if err := j.ascend(); err != nil {
				return row{}, j.fault(err)
			}
			j.state = jsonNext
		case jsonNext:
			t, err := j.token()
			if errors.Is(err, io.EOF) {
				j.state = jsonEnd
				continue
			}
			if err != nil {
				return row{}, j.fault(err)
			}
			ready, err := j.descend(t)
			if err != nil {
				return row{}, j.fault(err)
			}
			if ready {
				return j.current()
			}
		default:
			return row{}, io.EOF
		}
	}
}

// current returns the row in hand.
func (j *jsonRows) current() (row, error) {
	line := j.guard.passed(j.dec.InputOffset())
	return row{line: line, raw: strings.Join(j.cells, "\t"), cells: j.cells, width: len(j.cells)}, nil
}

// descend finds the rows of the document that begins with t. It is ready where it has read a row on its way: the one object
// at the path, or the first of JSON lines.
func (j *jsonRows) descend(t json.Token) (ready bool, err error) {
	j.open = j.open[:0]
	for _, name := range j.path {
		if t != json.Delim('{') {
			return false, j.missing()
		}
		found := false
		for j.dec.More() {
			key, err := j.token()
			if err != nil {
				return false, err
			}
			if t, err = j.token(); err != nil {
				return false, err
			}
			if key == name {
				found = true
				break
			}
			if err := j.beside(key, t); err != nil {
				return false, err
			}
		}
		if !found {
			return false, j.missing()
		}
		j.open = append(j.open, name)
	}
	switch t {
	case json.Delim('['):
		j.state = jsonArray
		return false, nil
	case json.Delim('{'):
		j.state = jsonAfter
		if len(j.path) == 0 {
			j.state = jsonLines
		}
		return true, j.object()
	}
	return false, j.missing()
}

// beside takes a member that stands beside the rows, whose value begins with t.
func (j *jsonRows) beside(key, t json.Token) error {
	value := ""
	switch v := t.(type) {
	case json.Delim:
		return j.skip(t)
	case string:
		value = v
	case json.Number:
		value = v.String()
	default:
		return nil
	}
	name, _ := key.(string)
	j.member(strings.Join(append(slices.Clone(j.open), name), "."), value)
	return nil
}

// ascend reads what stands behind the rows, up to the end of the document.
func (j *jsonRows) ascend() error {
	for len(j.open) > 0 {
		j.open = j.open[:len(j.open)-1]
		for {
			key, err := j.token()
			if err != nil {
				return err
			}
			if key == json.Delim('}') {
				break
			}
			t, err := j.token()
			if err != nil {
				return err
			}
			if err := j.beside(key, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *jsonRows) missing() error {
	return &FileError{Line: max(j.guard.line, 1), Rule: fmt.Sprintf("the JSON document has no rows at %q", strings.Join(j.path, "."))}
}

// skip passes over the value that begins with t.
func (j *jsonRows) skip(t json.Token) error {
	depth := 0
	for {
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxJSONDepth {
				return &FileError{Line: j.guard.line, Rule: fmt.Sprintf("nested more than %d levels deep", maxJSONDepth)}
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth <= 0 {
			return nil
		}
		var err error
		if t, err = j.token(); err != nil {
			return err
		}
	}
}

// object reads the members of an object whose brace has been read into cells.
func (j *jsonRows) object() error {
	if j.names == nil {
		j.at = map[string]int{}
		j.cells = j.cells[:0]
	} else {
		j.cells = append(j.cells[:0], make([]string, len(j.names))...)
	}
	return j.members("", 1)
}

func (j *jsonRows) members(prefix string, depth int) error {
	if depth > maxJSONDepth {
		return &FileError{Line: j.guard.line, Rule: fmt.Sprintf("nested more than %d levels deep", maxJSONDepth)}
	}
	for j.dec.More() {
		t, err := j.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return &FileError{Line: j.guard.line, Rule: "not JSON: a member without a name"}
		}
		if t, err = j.token(); err != nil {
			return err
		}
		switch v := t.(type) {
		case json.Delim:
			if v == '{' {
				err = j.members(prefix+key+".", depth+1)
			} else {
				err = j.skip(t)
			}
			if err != nil {
				return err
			}
		case string:
			j.put(prefix+key, v)
		case json.Number:
			j.put(prefix+key, v.String())
		case bool:
			j.put(prefix+key, fmt.Sprint(v))
		case nil:
			j.put(prefix+key, "")
		}
	}
	_, err := j.token() // the closing brace
	return err
}

func (j *jsonRows) put(name, value string) {
	i, ok := j.at[name]
	if !ok {
		if j.names != nil || len(j.cells) >= maxColumns {
			return
		}
		i = len(j.cells)
		j.at[name] = i
		j.cells = append(j.cells, "")
	}
	j.cells[i] = value
}

// keys returns the names of the first row.
func (j *jsonRows) keys() []string {
	out := make([]string, len(j.at))
	for name, i := range j.at {
		out[i] = name
	}
	return out
}
