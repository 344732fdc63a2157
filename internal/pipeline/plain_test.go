package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/profile"
	"github.com/posrecon/posrecon/internal/recon"
)

// clerk is a database whose inbox a test fills, and whose plain matches something happens to after they were decided.
type clerk struct {
	t     *testing.T
	b     *bench
	job   *pipeline.Job
	inbox string
}

func newClerk(t *testing.T) *clerk {
	t.Helper()
	b := newBench(t)
	return &clerk{t, b, b.job(&world{acquirers: recon.Acquirers{"lakala": recon.DefaultAcquirer("lakala")}}), t.TempDir()}
}

// write puts files into the inbox: name, text, name, text.
func (c *clerk) write(files ...string) {
	c.t.Helper()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(c.inbox, files[i]), []byte(files[i+1]), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
}

// at reads an instant of 2026 or later in Shanghai.
func (c *clerk) at(text string) time.Time {
	c.t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", text, c.b.zone)
	if err != nil {
		c.t.Fatal(err)
	}
	return at
}

func (c *clerk) run(opt pipeline.Options) *pipeline.Report {
	c.t.Helper()
	report, err := c.job.Run(c.t.Context(), opt)
	if err != nil {
		c.t.Fatal(err)
	}
	return report
}

func (c *clerk) night(asOf string) *pipeline.Report {
	c.t.Helper()
	return c.run(pipeline.Options{Kind: "run", Inbox: []string{c.inbox}, AsOf: c.at(asOf)})
}

// holds checks every invariant as of an instant.
func (c *clerk) holds(asOf, when string) {
	c.t.Helper()
	err := postgres.Transact(c.t.Context(), c.b.pool, func(tx pgx.Tx) (bool, error) {
		report, err := check.Run(context.Background(), tx, match.Rules{AsOf: c.at(asOf), Zone: c.b.zone, Calendar: c.job.Calendar, Acquirers: c.job.Config.Acquirers})
		if err == nil && len(report.Violations) > 0 {
			c.t.Errorf("%s: %+v", when, report.Violations)
		}
		return false, err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// told is every decided order with its outcome.
func (c *clerk) told() []string {
	return c.b.dump(c.t, `
		SELECT concat_ws(' ', p.order_id, d.outcome, d.received, d.due_date)
		  FROM decided AS d
		  JOIN pos_row AS p ON (p.order_key, p.file_id, p.line) = (d.order_key, d.pos_file_id, d.pos_line)
		 ORDER BY 1`)
}

func (c *clerk) wants(when string, want ...string) {
	c.t.Helper()
	if diff := gocmp.Diff(want, c.told()); diff != "" {
		c.t.Errorf("%s (-want +told):\n%s", when, diff)
	}
}

const (
	posHead  = "order_id,acquirer,merchant_id,channel,amount,status,txn_time\n"
	lineHead = "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status\n"
)

// A range that is asked for is decided again with its plain matches, however often.
func TestRangeOfPlainMatches(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", posHead+"A1,lakala,M1,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00\nA2,lakala,M1,WECHAT,20.00,SUCCESS,2026-03-05 12:00:00.700\n",
		"s.csv", lineHead+"A1,M1,10.00,0.06,2026-03-06,SETTLED\nA2,M1,20.00,0.06,2026-03-06,SETTLED\n")
	c.night("2026-03-06 12:00")
	c.holds("2026-03-06 12:00", "with a fraction of a second")
	day := recon.NewDate(2026, 3, 5)
	for range 2 {
		if r := c.run(pipeline.Options{Kind: "reconcile", From: day, To: day, AsOf: c.at("2026-03-06 12:00")}); r.Decided != 2 {
			t.Errorf("%d decided, want 2", r.Decided)
		}
		c.holds("2026-03-06 12:00", "after a range")
	}
}

// A year that is loaded late dates plain matches, too, which had no due date before; that it was missing is told each time.
func TestYearComesLate(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", posHead+"A1,lakala,M1,WECHAT,10.00,SUCCESS,2026-12-31 12:00:00\nA2,lakala,M2,WECHAT,20.00,SUCCESS,2026-12-31 13:00:00\n",
		"s.csv", lineHead+"A1,M1,10.00,0.06,2027-01-04,SETTLED\n")
	for range 2 {
		if r := c.night("2027-01-05 12:00"); !gocmp.Equal(r.MissingYears, []int{2027}) {
			t.Errorf("missing are %v", r.MissingYears)
		}
	}
	c.wants("without the year", "A1 matched 10.00", "A2 pending 0.00")
	later, err := calendar.Parse(strings.NewReader("date,kind,name,notice\n2027-01-01,off,元旦,n\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.job.Calendar = calendar.Default().Merge(later)
	if r := c.night("2027-01-05 12:00"); len(r.MissingYears) > 0 {
		t.Errorf("missing are %v", r.MissingYears)
	}
	c.wants("with the year", "A1 matched 10.00 2027-01-04", "A2 unsettled 0.00 2027-01-04")
	c.holds("2027-01-05 12:00", "with the year")
}

// What matched by a tolerance does not any more once that is lowered.
func TestToleranceIsLowered(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", posHead+"A1,lakala,M1,WECHAT,10.00,SUCCESS,2026-03-05 12:00:00\n", "s.csv", lineHead+"A1,M1,9.98,0.06,2026-03-06,SETTLED\n")
	tolerant := recon.DefaultAcquirer("lakala")
	tolerant.Tolerance = decimal.New(5, -2)
	exact := c.job.Config.Acquirers
	c.job.Config.Acquirers = recon.Acquirers{"lakala": tolerant}
	c.night("2026-03-06 12:00")
	c.wants("with a tolerance", "A1 matched 9.98 2026-03-06")
	c.job.Config.Acquirers = exact
	c.night("2026-03-06 12:00")
	c.wants("without it", "A1 amount_mismatch 9.98 2026-03-06")
	c.holds("2026-03-06 12:00", "without it")
}

// ownLog is a profile of POS logs that knows some words of its own for statuses.
func ownLog(t *testing.T, statuses string) []*profile.Profile {
	t.Helper()
	p, err := profile.Parse("test", []byte("name: mine\nkind: pos_log\nacquirer: lakala\nmatch: {columns: [单号, 渠道, 时间]}\nfields:\n  order_id: 单号\n"+
		"  merchant_id: 商户\n  channel: 渠道\n  amount: 金额\n  txn_time: 时间\n  status: {column: 状态, map: {"+statuses+"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	return []*profile.Profile{p}
}

// A payout that does not tie is told once, also where a later run decides everything again.
func TestPayoutIsToldOnce(t *testing.T) {
	t.Parallel()
	c := newClerk(t)
	c.write("pos.csv", "单号,商户,渠道,金额,时间,状态\nO1,M1,WECHAT,10.00,2026-03-05 12:00:00,成功\nO2,M1,WECHAT,20.00,2026-03-05 12:30:00,完成\n",
		"s.csv", "# acquirer: lakala\norder_id,merchant_id,amount,fee,settle_date,status,payout_id\nO1,M1,10.00,0.06,2026-03-06,SETTLED,P1\n",
		"payout.csv", "# acquirer: lakala\npayout_id,merchant_id,payout_date,amount,status\nP1,M1,2026-03-06,9.00,PAID\n")
	c.job.Profiles = ownLog(t, "成功: SUCCESS")
	if r := c.night("2026-03-06 12:00"); len(r.Payouts) != 1 {
		t.Errorf("first told: %+v", r.Payouts)
	}
	c.job.Profiles = ownLog(t, "成功: SUCCESS, 完成: SUCCESS")
	r := c.night("2026-03-06 12:00")
	if r.Decided != 2 || len(r.Payouts) != 0 {
		t.Errorf("%d decided, told again: %+v", r.Decided, r.Payouts)
	}
}

// Rejected lines that a corrected profile reads count once a run has decided them, and not before; also where their file is
// replaced meanwhile.
func TestRereadLinesWait(t *testing.T) {
	t.Parallel()
	for _, replaced := range []bool{false, true} {
		c := newClerk(t)
		const head, first = "单号,商户,渠道,金额,时间,状态\n", "O1,M1,WECHAT,10.00,2026-03-05 12:00:00,成功\n"
		const last = "O2,M1,WECHAT,20.00,2026-03-05 12:30:00,成功\n"
		c.write("pos.csv", head+first+strings.Replace(first, "成功", "完成", 1)+last,
			"s.csv", lineHead+"O1,M1,10.00,0.06,2026-03-06,SETTLED\nO2,M1,20.00,0.06,2026-03-06,SETTLED\n")
		c.job.Profiles = ownLog(t, "成功: SUCCESS")
		c.night("2026-03-06 12:00")
		want := []string{"O1 matched 10.00 2026-03-06", "O2 matched 20.00 2026-03-06"}
		c.wants("before", want...)
		c.job.Profiles = ownLog(t, "成功: SUCCESS, 完成: SUCCESS")
		if _, err := c.job.Ingest(t.Context(), pipeline.Options{Inbox: []string{c.inbox}}); err != nil {
			t.Fatal(err)
		}
		c.wants("read and not decided", want...)
		c.holds("2026-03-06 12:00", "read and not decided")
		if replaced {
			c.write("pos.csv", head+first+last)
			if _, err := c.job.Ingest(t.Context(), pipeline.Options{Inbox: []string{c.inbox}, Further: "replace"}); err != nil {
				t.Fatal(err)
			}
		}
		c.night("2026-03-06 12:00")
		c.wants("decided", want...)
		c.holds("2026-03-06 12:00", "decided")
	}
}
