package export

import (
	"context"
	"io"

	"github.com/jackc/pgx/v5"
)

// Ways are all ways to the rows, for tests.
var Ways = map[string]int{"lookUp": lookUp, "unbound": unbound, "readAll": readAll, "readAllFor": readAllFor}

// WriteBy writes a selection as CSV whose rows are got by one way.
func WriteBy(ctx context.Context, tx pgx.Tx, w io.Writer, sel Selection, view View, way, most int) (int64, error) {
	return writeCSV(w, &view, func(do func(*row) error) error { return eachBy(ctx, tx, sel, way, most, do) })
}
