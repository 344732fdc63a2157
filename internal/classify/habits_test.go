package classify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestRoughly(t *testing.T) {
	for _, tc := range []struct {
		share, want float64
		why         string
	}{
		{0, 0, "nothing stays nothing"},
		{1, 1, "and all stays all"},
		{0.0041475, 0.005, "by its logarithm it is nearer to five than to two"},
		{0.00506662, 0.005, "so that the next night says the same"},
		{0.0031, 0.002, "and this is nearer to two"},
		{0.08, 0.1, "the next power is a neighbour too"},
		{5.04869e-07, 5e-07, "however small"},
		{0.45, 0.5, "up to a half"},
		{0.93, 0.95, "beyond it what is left is rounded, which must not become nothing"},
		{0.99991, 0.9999, "however little that is"},
	} {
		if got := roughly(tc.share); got != tc.want {
			t.Errorf("roughly(%v) = %v, want %v: %s", tc.share, got, tc.want, tc.why)
		}
	}
}

// The sales of two days are the same whether they were counted while their logs were loaded or are counted from the rows, and of a log
// of which a part is archived its rows say how many are left.
func TestReadSales(t *testing.T) {
	t.Parallel()
	pool, err := postgres.Open(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	inbox := t.TempDir()
	for name, text := range map[string]string{
		// A till that is told nothing back, and numbers every second payment; and one that is told of two in three.
		"deaf.csv": "order_id,acquirer,merchant_id,channel,amount,status,txn_time,channel_txn_id\n" +
			"A1,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-02 12:00:00,T1\n" +
			"A2,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-02 12:01:00,\n" +
			"A3,lakala,M1,WECHAT,1.00,FAILED,2026-11-02 12:02:00,T3\n",
		"told.csv": "order_id,acquirer,merchant_id,channel,amount,status,txn_time,callback_time\n" +
			"B1,Lakala,M1,WECHAT,1.00,SUCCESS,2026-11-03 12:00:00,2026-11-03 12:00:02\n" +
			"B2,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-03 12:01:00,\n" +
			"B3,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-03 12:02:00,2026-11-03 12:02:01\n" +
			"B4,chinaums,M1,WECHAT,1.00,SUCCESS,2026-11-03 12:03:00,\n" +
			"B5,lakala,M1,WECHAT,1.00,SUCCESS,2026-11-05 12:00:00,\n", // of another day
	} {
		if err := os.WriteFile(filepath.Join(inbox, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := ingest.Paths(t.Context(), pool, []string{inbox}, ingest.Options{Zone: zone}); err != nil {
		t.Fatal(err)
	}
	want := map[string]sales{"lakala": {told: 3, heard: 2, numbered: 2, numberOf: 1}, "chinaums": {told: 1}}
	for _, step := range []struct{ what, sql string }{
		{"counted while they were loaded", `SELECT`},
		{"one of them before that was so", `UPDATE file SET habits = NULL WHERE name = 'told.csv'`},
		{"both before that was so", `UPDATE file SET habits = NULL`},
		{"a part of one in the archive, which its count does not know", `UPDATE file SET habits = '[]', rows_archived = 1 WHERE name = 'told.csv'`},
	} {
		if _, err := pool.Exec(t.Context(), step.sql); err != nil {
			t.Fatal(err)
		}
		err := postgres.Transact(t.Context(), pool, func(tx pgx.Tx) (bool, error) {
			got, err := readSales(t.Context(), tx, recon.NewDate(2026, 11, 2), recon.NewDate(2026, 11, 3))
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(sales{})); err == nil && diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.what, diff)
			}
			return false, err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
