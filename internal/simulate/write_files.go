package simulate

import (
	"fmt"
	"path/filepath"
)

func (x *writer) log(p *posFact) *file {
	k := logKey{p.day, p.late}
	f := x.logs[k]
	if f == nil {
		w := x.w
		name, head := "pos-"+w.digits[p.day]+".csv", []byte(nil)
		if p.late > 0 {
			name = fmt.Sprintf("pos-%s-late%d.csv", w.digits[p.day], p.late)
		}
		if w.opt.ExportedAt {
			head = append(head, "# exported_at: "+w.iso[p.day+1+p.late]+"T00:30:00+08:00\n"...)
		}
		f = x.open(filepath.Join(night(p.night), "inbox", name), append(head, w.posHeader()...))
		x.logs[k] = f
	}
	return f
}

func (x *writer) settlement(k fileKey, at int, corrected bool) *file {
	key := settledKey{k, corrected}
	f := x.settled[key]
	if f == nil {
		w := x.w
		name := "settlement-" + w.digits[k.day]
		head := "# acquirer: " + w.opt.Acquirers[k.acquirer] + "\n# settle_date: " + w.iso[k.day] + "\n"
		switch {
		case corrected:
			head += "# replaces: " + name + ".csv\n"
			name += "-corrected"
		case k.part == samedayPart:
			name += "-d0"
		case k.part == secondPart:
			name += "-part2"
		case w.files[k] != nil && w.files[k].truncated:
			name += "-resend"
		}
		f = x.open(filepath.Join(night(at), "inbox", w.opt.Acquirers[k.acquirer], name+".csv"), []byte(head+settlementHeader))
		f.totals, f.fees = !w.opt.NoTotals, true
		x.settled[key] = f
	}
	return f
}
