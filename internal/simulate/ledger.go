package simulate

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
)

// Ledger names the families of evidence that a sub-cause leaves behind in a world's files: what an explanation may cite. A
// family whose column a log does not have is left out.
func Ledger(sub recon.SubCause, incident string, no Withheld) []string {
	_, fault, _ := strings.Cut(incident, "-")
	var list []string
	switch sub {
	case recon.FileLate:
		list = []string{"file", "settlement", "status"}
	case recon.SystemDelay:
		list = []string{"settlement", "status", "callback", "channel_txn", "code", "age"}
		if fault == "batch_late" {
			list = append(list, "batch")
		}
	case recon.PayoutLate, recon.AccountAbnormal, recon.InsufficientBalance:
		list = []string{"payout", "settlement", "reason", "payee"}
	case recon.AccountFrozen:
		list = []string{"merchant", "settlement", "payout", "reason", "status", "callback", "channel_txn", "code"}
	case recon.ChannelOutage:
		list = []string{"channel", "status", "code", "callback", "settlement", "channel_txn"}
	case recon.CallbackLost:
		list = []string{"settlement", "status", "callback", "code", "channel_txn"}
	case recon.Network:
		list = []string{"terminal", "channel_txn", "status", "code", "callback", "settlement"}
	case recon.FalseSuccess:
		list = []string{"channel_txn", "callback", "settlement", "age", "status", "code"}
	case recon.OperatorError:
		list = []string{"settlement", "status", "code"}
		if fault == "orphan" {
			list = append(list, "twin")
		}
	default:
		list = []string{"status", "code", "settlement", "callback"}
	}
	return slices.DeleteFunc(list, func(family string) bool {
		return no.Codes && family == "code" || no.Callbacks && family == "callback" || no.ChannelTxnIDs && family == "channel_txn"
	})
}

// extent is what a fault comes to on a night: its flagged orders, and when the first and the last of them were sold.
type extent struct {
	orders   int
	from, to string
}

// note counts an order that carries a cause towards its fault.
func (x *writer) note(n int, o *order, v *verdict) {
	if v.label.sub == "" {
		return
	}
	at := string(x.w.appendTime(nil, o.day, o.second))
	if x.extents[n] == nil {
		x.extents[n] = map[label]*extent{}
	}
	e := x.extents[n][v.label]
	if e == nil {
		e = &extent{from: at, to: at}
		x.extents[n][v.label] = e
	}
	e.orders++
	e.from, e.to = min(e.from, at), max(e.to, at)
}

// incidents writes, beside the truth of each night, what its faults come to and which evidence they leave. Orders that no
// fault has touched are told together, by sub-cause.
func (x *writer) incidents() error {
	for n, found := range x.extents {
		var b bytes.Buffer
		b.WriteString("incident,sub_cause,orders,first,last,evidence\n")
		labels := slices.SortedFunc(maps.Keys(found), func(p, q label) int {
			return cmp.Or(cmp.Compare(p.incident, q.incident), cmp.Compare(p.sub, q.sub))
		})
		for _, l := range labels {
			e := found[l]
			fmt.Fprintf(&b, "%s,%s,%d,%s,%s,%s\n", l.incident, l.sub, e.orders, e.from, e.to, strings.Join(Ledger(l.sub, l.incident, x.w.opt.Withhold), " "))
		}
		if err := os.WriteFile(filepath.Join(x.dir, night(n), "incidents.csv"), b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
