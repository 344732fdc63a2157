package statement

import (
	"fmt"

	"github.com/posrecon/posrecon/internal/recon"
)

// FileError says why a file as a whole cannot be read. A caller holds the file back and shows it; errors of the
// underlying reader are passed on as they are and are no FileError.
type FileError struct {
	Line  int    // physical line, from 1
	Field string // the metadata key, control total or column at fault; "" for the file as a whole
	Value string // what it holds; "" for the file as a whole
	Rule  string // what is wrong, for a clerk

	// Resembles and Missing are set where required columns are missing: the kind that the header resembles most, and
	// the columns that are required of it and not there.
	Resembles recon.Kind
	Missing   []string

	Format  string // the format that it was recognised as, "" for none
	Version string // that format's edition
	Nothing bool   // it is what Format says and holds nothing to load: an answer, a summary
	Unknown bool   // a table of some kind that no profile reads
}

func (e *FileError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Rule)
	}
	return fmt.Sprintf("line %d: %s %q: %s", e.Line, e.Field, e.Value, e.Rule)
}
