package evaluate

import (
	"log/slog"
	"math"
	"os"
	"testing"
	"time"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/simulate"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// A world of each of some families through the whole job: outcomes exact, causes as the
// program promises them. 'posrecon simulate --evaluate' runs all of them.
func TestFamilies(t *testing.T) {
	pool, drop, err := Scratch(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := drop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	job := &pipeline.Job{Pool: pool, Config: config.Config{Lang: "en", Zone: zone, Acquirers: recon.Acquirers{}},
		Calendar: calendar.Default(), Log: slog.New(slog.DiscardHandler), Program: "posrecon test"}
	for _, f := range simulate.Families() {
		switch f.Name {
		case "outage", "frozen", "payouts":
		default:
			continue
		}
		s, err := Family(t.Context(), job, t.TempDir(), f, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Figures()
		t.Logf("%s: %+v", f.Name, got)
		if got.Outcomes != 1 || got.MacroF1 < 0.93 || got.Sub < 0.93 || got.ECE > 0.05 || got.Evidence < 0.9 || got.Orders < 100 {
			t.Errorf("%s: %+v\n%v", f.Name, got, s.Misses(9))
		}
		if got.MacroF1 < got.PlainMacroF1-0.02 {
			t.Errorf("%s: plain rules do better: %.3f, ours %.3f", f.Name, got.PlainMacroF1, got.MacroF1)
		}
	}
}

func order(n string) key { return key{n, "M1", "SALE", ""} }

// The figures of a night that is made by hand.
func TestFigures(t *testing.T) {
	t.Parallel()
	want := map[key]truth{
		order("1"): {"matched", "", "", "", 0},
		order("2"): {"unsettled", "delay", "system_delay", "I0-batch_late", 10},
		order("3"): {"unsettled", "delay", "system_delay", "I0-batch_late", 10},
		order("4"): {"unsettled", "delay", "system_delay", "I0-batch_late", 10},
		order("5"): {"unsettled", "failed_txn", "closed", "", 0},
		order("6"): {"unsettled", "interface_fault", "network", "", 20},
	}
	got := map[key]stated{
		order("1"): {outcome: "matched"},
		order("2"): {"unsettled", "delay", "system_delay", "B1", 0.95, "batch", "system_delay"},
		order("3"): {"unsettled", "delay", "system_delay", "B1", 0.95, "batch terminal", "closed"},
		order("4"): {"unsettled", "delay", "file_late", "", 0.95, "file", "system_delay"},
		order("5"): {"unsettled", "failed_txn", "closed", "", 0.85, "status", "closed"},
		order("6"): {"pending", "failed_txn", "closed", "", 0.55, "status", "closed"},
	}
	var s Score
	s.night(want, got, map[key]stated{order("2"): {outcome: "unsettled", cause: "frozen_account"}, order("3"): {outcome: "unsettled", cause: "delay"}}, simulate.Withheld{})
	s.incidents(want, got, nil, nil)
	f := s.Figures()
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	near("outcomes", f.Outcomes, 5.0/6)
	near("F1 of delay", f.F1["delay"], 1)
	near("F1 of failed", f.F1["failed_txn"], 2.0/3)
	near("F1 of interface", f.F1["interface_fault"], 0)
	near("macro F1", f.MacroF1, (1+2.0/3)/3)
	near("sub-causes", f.Sub, 3.0/5)
	near("owed wrong", f.OwedWrong, 20.0/50)
	near("flips", f.Flips, 1.0/2)
	near("evidence", f.Evidence, 3.0/4)
	near("ECE", f.ECE, (0.15+0.15+0.55)/5)
	near("incidents found", f.IncidentsFound, 1)
	near("incidents right", f.IncidentsRight, 0) // of two orders there is none to be right about
	near("majority", f.MajorityMacroF1, 0.75/3)
}

func TestOverlap(t *testing.T) {
	t.Parallel()
	at := func(from, to int) span {
		noon := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
		return span{noon.Add(time.Duration(from) * time.Minute), noon.Add(time.Duration(to) * time.Minute)}
	}
	for _, tt := range []struct {
		a, b span
		want float64
	}{{at(0, 10), at(0, 10), 1}, {at(0, 10), at(5, 15), 5.0 / 15}, {at(0, 10), at(20, 30), 0}, {at(0, 0), at(0, 0), 1}, {at(0, 10), at(0, 5), 0.5}} {
		if got := tt.a.overlap(tt.b); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%v and %v overlap by %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
