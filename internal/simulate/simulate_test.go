package simulate

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/posrecon/posrecon/internal/recon"
)

// TestSameSeedSameBytes holds that a world is a function of its options, and that the seed matters.
func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	made := func(seed uint64) map[string][]byte {
		dir := t.TempDir()
		if _, err := Write(context.Background(), dir, smaller(Mixed(seed))); err != nil {
			t.Fatal(err)
		}
		return readTree(t, os.DirFS(dir))
	}
	for seed := range uint64(20) {
		a, b := made(seed), made(seed)
		if len(a) != len(b) {
			t.Errorf("seed %d: %d files, then %d", seed, len(a), len(b))
		}
		for path := range a {
			if !bytes.Equal(a[path], b[path]) {
				t.Errorf("seed %d: %s differs from one time to the other", seed, path)
			}
		}
	}
	if a, b := made(1), made(2); bytes.Equal(a["01/truth.csv"], b["01/truth.csv"]) {
		t.Error("two seeds made the same world")
	}
}

// TestDemoCovers holds that the shipped world shows every outcome and every sub-cause, still open on its last night.
func TestDemoCovers(t *testing.T) {
	t.Parallel()
	s, err := Write(context.Background(), t.TempDir(), Demo())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Nights) != 4 || s.Orders < 3000 || s.Orders > 4000 {
		t.Errorf("%d nights and %d orders, not 4 and 3,000 to 4,000", len(s.Nights), s.Orders)
	}
	for _, o := range recon.Outcomes {
		if s.ByOutcome[o] < 3 {
			t.Errorf("%s: %d orders on the last night, fewer than 3", o, s.ByOutcome[o])
		}
	}
	for _, c := range recon.SubCauses {
		if s.BySubCause[c] < 3 {
			t.Errorf("%s: %d orders on the last night, fewer than 3", c, s.BySubCause[c])
		}
	}
	if got, want := s.SubCauses(), recon.SubCauses; len(got) != len(want) {
		t.Errorf("sub-causes %v, not %v", got, want)
	}
}

// TestBulk holds that a world for measuring is one log and one settlement file of as many orders as asked for, with
// 2 in 100 not settled.
func TestBulk(t *testing.T) {
	t.Parallel()
	const n = 50_000
	dir := t.TempDir()
	s, err := Write(context.Background(), dir, Bulk(n))
	if err != nil {
		t.Fatal(err)
	}
	open := s.Orders - s.ByOutcome[recon.Matched]
	if s.Orders != n || open < n*17/1000 || open > n*23/1000 || s.ByOutcome[recon.Pending] > 0 {
		t.Errorf("%d orders, %v: not %d with 2 %% unsettled", s.Orders, s.ByOutcome, n)
	}
	files := readTree(t, os.DirFS(dir))
	var names []string
	for path := range files {
		if strings.Contains(path, "inbox") {
			names = append(names, path)
		}
	}
	if len(names) != 3 {
		t.Errorf("inbox %v: not one POS log, one settlement file, one payout file", names)
	}
	if rows := bytes.Count(files["01/inbox/lakala/settlement-20261103.csv"], []byte("\n")) - 6; rows != s.SettlementRows {
		t.Errorf("%d settlement rows, the summary says %d", rows, s.SettlementRows)
	}
}

// TestStorm holds that a night to explain has enough of everything: a quarter of its orders flagged, by many incidents.
func TestStorm(t *testing.T) {
	t.Parallel()
	const n = 40_000
	dir := t.TempDir()
	s, err := Write(context.Background(), dir, Storm(n))
	if err != nil {
		t.Fatal(err)
	}
	if flagged := s.Orders - s.ByOutcome[recon.Matched] - s.ByOutcome[recon.Pending]; flagged < n/4 {
		t.Errorf("%d of %d orders are flagged", flagged, s.Orders)
	}
	for _, c := range []recon.SubCause{recon.FileLate, recon.SystemDelay, recon.PayoutLate, recon.ChannelOutage, recon.CallbackLost, recon.Network,
		recon.FalseSuccess, recon.AccountFrozen, recon.AccountAbnormal, recon.PayerFunds, recon.Declined, recon.Closed, recon.OperatorError} {
		if s.BySubCause[c] < n/1000 {
			t.Errorf("%s: %d orders, fewer than one in a thousand", c, s.BySubCause[c])
		}
	}
	if incidents := bytes.Count(readTree(t, os.DirFS(dir))["01/incidents.csv"], []byte("\nI")); incidents < 300 {
		t.Errorf("%d incidents, fewer than 300", incidents)
	}
}

// TestNegativeBatch holds that the refund of a large sale takes a whole batch below zero.
func TestNegativeBatch(t *testing.T) {
	t.Parallel()
	for m := range Merchant(20) {
		dir := t.TempDir()
		opt := Options{Seed: uint64(m), Nights: 4, OrdersPerDay: 500, Merchants: 20, Base: Usual, Faults: []Fault{NegativeBatch{Merchant: m, Day: 2}}}
		if _, err := Write(context.Background(), dir, opt); err != nil {
			t.Fatal(err)
		}
		below := false
		for path, data := range readTree(t, os.DirFS(dir)) {
			below = below || strings.Contains(path, "payout") && bytes.Contains(data, []byte(",-")) && bytes.Contains(data, []byte("HELD,R1102"))
		}
		if !below {
			t.Errorf("merchant %d: no payout below zero", m)
		}
	}
}

// TestTruncated holds that a broken transmission has fewer rows than its totals say, and the whole file follows.
func TestTruncated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opt := Options{Nights: 3, OrdersPerDay: 300, Merchants: 10, Faults: []Fault{FileLate{Acquirer: "lakala", Day: 1, Late: 1, Truncated: true}}}
	s, err := Write(context.Background(), dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	files := readTree(t, os.DirFS(dir))
	broken, whole := files["01/inbox/lakala/settlement-20261103.csv"], files["02/inbox/lakala/settlement-20261103-resend.csv"]
	if b, w := bytes.Count(broken, []byte("\n")), bytes.Count(whole, []byte("\n")); b == 0 || b >= w {
		t.Errorf("%d lines at first, then %d", b, w)
	}
	if s.Nights[0].BySubCause[recon.FileLate] == 0 || s.Nights[1].BySubCause[recon.FileLate] > 0 {
		t.Errorf("file_late: %d orders on the first night, %d on the second", s.Nights[0].BySubCause[recon.FileLate], s.Nights[1].BySubCause[recon.FileLate])
	}
}

func TestOptionErrors(t *testing.T) {
	t.Parallel()
	fits := Options{Nights: 2, OrdersPerDay: 10, Merchants: 5}
	tests := map[string]struct {
		change func(*Options)
		want   error // nil: any
	}{
		"no nights":               {func(o *Options) { o.Nights = 0 }, errNoOrders},
		"no orders":               {func(o *Options) { o.OrdersPerDay = 0 }, errNoOrders},
		"nights before the start": {func(o *Options) { o.NightDays = []recon.Date{recon.NewDate(2026, 1, 1)} }, nil},
		"nights backwards": {func(o *Options) {
			o.NightDays = []recon.Date{recon.NewDate(2026, 11, 6), recon.NewDate(2026, 11, 5)}
		}, nil},
		"too many nights":     {func(o *Options) { o.Nights = maxNights + 1 }, nil},
		"too few merchants":   {func(o *Options) { o.Merchants = 2 }, nil},
		"too many orders":     {func(o *Options) { o.OrdersPerDay = maxOrders + 1 }, nil},
		"unknown merchant":    {func(o *Options) { o.Faults = []Fault{FrozenMerchant{Merchant: 9}} }, errNoSuchMerchant},
		"unknown acquirer":    {func(o *Options) { o.Faults = []Fault{Outage{Acquirer: "nobody"}} }, errNoSuchAcquirer},
		"unknown channel":     {func(o *Options) { o.Faults = []Fault{Outage{Channel: "CASH"}} }, errNoSuchChannel},
		"a file of nobody":    {func(o *Options) { o.Faults = []Fault{FileLate{Day: 1, Late: 1}} }, errNoSuchAcquirer},
		"a file late by zero": {func(o *Options) { o.Faults = []Fault{FileLate{Acquirer: "lakala", Day: 1}} }, nil},
		"one file twice": {func(o *Options) {
			o.Faults = []Fault{FileLate{Acquirer: "lakala", Day: 1, Late: 1}, ShortFile{Acquirer: "lakala", Day: 1, Late: 1}}
		}, errFileTwice},
		"a reason that is none": {func(o *Options) { o.Faults = []Fault{AccountAbnormal{Code: "E9001"}} }, nil},
	}
	if _, err := newWorld(fits); err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		o := fits
		tt.change(&o)
		if _, err := newWorld(o); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", name, err, tt.want)
		}
	}
}

// TestCancelled holds that a world that nobody waits for any more stops.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Write(ctx, t.TempDir(), Bulk(1000)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkBulk(b *testing.B) {
	const n = 300_000
	for b.Loop() {
		if _, err := Write(context.Background(), b.TempDir(), Bulk(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "orders/s")
}
