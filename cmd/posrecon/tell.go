package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/shopspring/decimal"

	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

// tell prints a run's report and returns errAttention where it wants a look.
func (a *app) tell(r *pipeline.Report) error {
	if a.json {
		if err := a.printJSON(r); err != nil {
			return err
		}
	} else if err := writeReport(a.stdout, r); err != nil {
		return err
	}
	if r.Attention() {
		return errAttention
	}
	return nil
}

// listed bounds how many files, payouts or findings a terminal shows; --json has them all.
const listed = 20

func writeReport(w io.Writer, r *pipeline.Report) error {
	var b strings.Builder
	if r.Kind != "reconcile" {
		loaded := 0
		for _, f := range r.Files {
			if f.State == ingest.Loaded {
				loaded++
			}
		}
		fmt.Fprintf(&b, "Files    %d loaded, %d rows", loaded, r.RowsLoaded)
		if r.RowsRejected > 0 {
			fmt.Fprintf(&b, ", %d lines rejected", r.RowsRejected)
		}
		b.WriteByte('\n')
		writeFiles(&b, r.Files, func(f ingest.File) bool { return f.State != ingest.Loaded || f.Rejected > 0 || f.Remark != "" })
		if len(r.Waiting) > 0 {
			fmt.Fprintf(&b, "Waiting  %d files that earlier runs held back or refused\n", len(r.Waiting))
			writeFiles(&b, r.Waiting, func(ingest.File) bool { return true })
		}
	}
	if r.Kind == "ingest" {
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "As of    %s\n", r.AsOf)
	if !r.Stored {
		b.WriteString("         earlier than the last run: shown, not stored\n")
	}
	fmt.Fprintf(&b, "Decided  %d orders and lines\n", r.Decided)
	writeTotals(&b, r.Totals)
	if r.Stored {
		fmt.Fprintf(&b, "Cases    %d open: %d opened, %d reopened, %d closed by this run\n", r.Cases.Open, r.Cases.Opened, r.Cases.Reopened, r.Cases.Closed)
	}
	if n := len(r.Payouts); n > 0 {
		fmt.Fprintf(&b, "Payouts  %d do not tie with their lines:\n", n)
		for i, p := range r.Payouts {
			if i == listed {
				fmt.Fprintf(&b, "         … and %d more\n", n-listed)
				break
			}
			fmt.Fprintf(&b, "         %s %s of merchant %s: %s %s, its %d lines net %s, difference %s\n", p.Acquirer, p.PayoutID,
				p.MerchantID, p.Amount.StringFixed(2), p.Currency, p.Lines, p.Net.StringFixed(2), p.Difference.StringFixed(2))
		}
	}
	if n := len(r.Fees); n > 0 {
		fmt.Fprintf(&b, "Fees     %d merchants' days are not as contracted:\n", n)
		for i, f := range r.Fees {
			if i == listed {
				fmt.Fprintf(&b, "         … and %d more\n", n-listed)
				break
			}
			fmt.Fprintf(&b, "         %s merchant %s, settled %s: fee %s %s, contracted %s, difference %s\n", f.Acquirer, f.MerchantID, f.SettleDate,
				f.Fee.String(), f.Currency, f.Contracted.String(), f.Difference.String())
		}
	}
	if len(r.Bank)+r.BankCredited > 0 {
		fmt.Fprintf(&b, "Bank     %d payouts credited, %d to look at\n", r.BankCredited, len(r.Bank))
		for i, t := range r.Bank {
			if i == listed {
				fmt.Fprintf(&b, "         … and %d more\n", len(r.Bank)-listed)
				break
			}
			what := "net of " + t.Date
			if t.PayoutID != "" {
				what = "payout " + t.PayoutID + " of " + t.Date
			}
			fmt.Fprintf(&b, "         %s: %s %s of merchant %s, %s %s %s %s\n", t.State, t.Acquirer, what, t.MerchantID, t.Amount.String(), t.Currency,
				strings.Join(t.Lines, " "), t.Reason)
		}
	}
	for _, year := range r.MissingYears {
		fmt.Fprintf(&b, "Calendar the working days of %d are not loaded: orders whose due date needs them stay pending; 'posrecon calendar load FILE' loads them\n", year)
	}
	if r.Spilled > 1<<30 { // a sort or a hash here and there costs nothing to tell of
		fmt.Fprintf(&b, "Memory   %.1f GB went through temporary files: with more memory, as by work_mem=512MB in the database URL, it would take less time\n", float64(r.Spilled)/1e9)
	}
	if r.Export != "" {
		fmt.Fprintf(&b, "Export   %s\n", r.Export)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFiles(b *strings.Builder, files []ingest.File, want func(ingest.File) bool) {
	shown, more := 0, 0
	for _, f := range files {
		if !want(f) {
			continue
		}
		if shown == listed {
			more++
			continue
		}
		shown++
		if f.Remark != "" {
			fmt.Fprintf(b, "         %s: %s\n", f.Path, f.Remark)
		}
		if f.State == ingest.Loaded && f.Rejected == 0 {
			continue
		}
		if f.State == ingest.Loaded {
			fmt.Fprintf(b, "         %s: %d of %d lines rejected, see 'posrecon check'\n", f.Path, f.Rejected, f.Rejected+f.Rows)
			continue
		}
		state := string(f.State)
		if f.State == ingest.Nothing {
			state = "nothing to load in"
		}
		fmt.Fprintf(b, "         %s %s: %s\n", state, f.Path, f.Reason)
	}
	if more > 0 {
		fmt.Fprintf(b, "         … and %d more\n", more)
	}
}

// writeTotals prints the totals as a table by currency and outcome, and by cause within it, with the arrival rate.
func writeTotals(b *strings.Builder, totals []export.Total) {
	byCurrency := map[string]export.Money{}
	type group struct {
		currency string
		outcome  recon.Outcome
	}
	sums := map[group]*export.Total{}
	var currencies []string
	for _, t := range totals {
		if _, ok := byCurrency[t.Currency]; !ok {
			currencies = append(currencies, t.Currency)
		}
		byCurrency[t.Currency] = byCurrency[t.Currency].Add(t.Money)
		g := group{t.Currency, t.Outcome}
		if sums[g] == nil {
			sums[g] = &export.Total{}
		}
		sums[g].Rows += t.Rows
		sums[g].FollowUp += t.FollowUp
		sums[g].Money = sums[g].Add(t.Money)
	}
	tw := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(label string, rows, followUp int64, m export.Money) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t\n", label, rows, followUp, m.Due.StringFixed(2), m.Arrived.StringFixed(2), m.Owed.StringFixed(2), m.Excess.StringFixed(2))
	}
	for _, c := range currencies {
		fmt.Fprintf(tw, "%s\trows\tfollow up\tdue\tarrived\towed\texcess\t\n", c)
		var rows, followUp int64
		for _, o := range recon.Outcomes {
			s, ok := sums[group{c, o}]
			if !ok {
				continue
			}
			rows, followUp = rows+s.Rows, followUp+s.FollowUp
			line(string(o), s.Rows, s.FollowUp, s.Money)
			for _, t := range totals {
				if t.Currency == c && t.Outcome == o && t.Cause != "" {
					line(fmt.Sprintf("%s/%s", t.Cause, t.SubCause), t.Rows, t.FollowUp, t.Money)
				}
			}
		}
		line("all", rows, followUp, byCurrency[c])
	}
	_ = tw.Flush() // into memory
	for _, c := range currencies {
		m := byCurrency[c]
		if m.Due.IsPositive() {
			rate := m.Arrived.Mul(decimal.NewFromInt(100)).DivRound(m.Due.Decimal, 2)
			fmt.Fprintf(b, "Arrived  %s %% of what was due in %s\n", rate.StringFixed(2), c)
		}
	}
}
