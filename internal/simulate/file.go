package simulate

import (
	"os"
	"path/filepath"
)

const bufferSize = 32 << 10

// idleDays is how long a file may wait for its next row before it gives up its buffer and its descriptor. Most files
// are complete within days, and a world of a year has thousands.
const idleDays = 7

// file is a file of a world that grows while the days go by.
type file struct {
	path   string
	f      *os.File
	buf    []byte
	made   bool
	totals bool
	fees   bool // the totals have one of the fees
	idle   int  // days since the last row
	rows   int
	amount int64
	fee    int64
}

// full writes the buffer if it is full. Rows are appended to buf directly.
func (f *file) full() error {
	f.idle = 0
	if len(f.buf) < bufferSize {
		return nil
	}
	return f.flush()
}

func (f *file) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	if f.f == nil {
		flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
		if !f.made {
			flags |= os.O_TRUNC
			if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
				return err
			}
		}
		var err error
		if f.f, err = os.OpenFile(f.path, flags, 0o644); err != nil {
			return err
		}
		f.made = true
	}
	_, err := f.f.Write(f.buf)
	f.buf = f.buf[:0]
	return err
}

// rest writes what is buffered and gives up the descriptor and the buffer until the next row.
func (f *file) rest() error {
	err := f.flush()
	if f.f != nil {
		if cerr := f.f.Close(); err == nil {
			err = cerr
		}
	}
	f.f, f.buf = nil, nil
	return err
}

// count adds a row to the control totals.
func (f *file) count(amount, fee int64) {
	f.rows++
	f.amount += amount
	f.fee += fee
}

// end writes the control totals, if the file has them, and closes it. Ending a file twice does nothing more.
func (f *file) end() error {
	if f.totals {
		f.totals = false
		f.buf = append(appendInt(append(f.buf, "# total_count: "...), uint64(f.rows), 1), '\n')
		f.buf = append(appendFen(append(f.buf, "# total_amount: "...), f.amount), '\n')
		if f.fees {
			f.buf = append(appendFen(append(f.buf, "# total_fee: "...), f.fee), '\n')
		}
	}
	return f.rest()
}
