package ingest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/posrecon/posrecon/internal/recon"
)

// Of each acquirer and date the sales that went well are counted, whatever the order of the rows, and of a log of too many nothing.
func TestHabits(t *testing.T) {
	t.Parallel()
	const first, second = "2026-11-02", "2026-11-03"
	date := map[string]recon.Date{first: recon.NewDate(2026, 11, 2), second: recon.NewDate(2026, 11, 3)}
	heard := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	var h habits
	for _, row := range []struct {
		r    recon.POSRow
		date string
	}{
		{recon.POSRow{Acquirer: "lakala", Status: recon.POSSuccess, Type: recon.TypeSale, CallbackTime: heard, ChannelTxnID: "T1"}, first},
		{recon.POSRow{Acquirer: "chinaums", Status: recon.POSSuccess, Type: recon.TypeSale, ChannelTxnID: "T2"}, first},
		{recon.POSRow{Acquirer: "lakala", Status: recon.POSSuccess, Type: recon.TypeSale, CallbackTime: heard}, second},
		{recon.POSRow{Acquirer: "lakala", Status: recon.POSSuccess, Type: recon.TypeSale}, first},
		{recon.POSRow{Acquirer: "lakala", Status: recon.POSFailed, Type: recon.TypeSale, CallbackTime: heard, ChannelTxnID: "T3"}, first},
		{recon.POSRow{Acquirer: "lakala", Status: recon.POSSuccess, Type: recon.TypeRefund, CallbackTime: heard, ChannelTxnID: "T4"}, first},
	} {
		h.see(&row.r, date[row.date])
	}
	want := []habit{{"chinaums", first, 1, 0, 1}, {"lakala", first, 2, 1, 1}, {"lakala", second, 1, 1, 0}}
	if diff := cmp.Diff(any(want), h.list()); diff != "" {
		t.Errorf("habits (-want +got):\n%s", diff)
	}

	var many habits
	for i := range maxHabits + 1 {
		many.see(&recon.POSRow{Acquirer: fmt.Sprint("a", i), Status: recon.POSSuccess, Type: recon.TypeSale}, date[first])
		if i == maxHabits-1 && many.list() == nil {
			t.Errorf("%d are too many to tell", maxHabits)
		}
	}
	if got := many.list(); got != nil {
		t.Errorf("%d are told: %v", maxHabits+1, got)
	}
}
