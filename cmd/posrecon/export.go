package main

import (
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/export"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/recon"
)

func newExport(a *app) *cobra.Command {
	var (
		asOf, scope, format, lang, output string
		outcomes, causes                  []string
		dates                             rangeFlags
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write verdicts as CSV, XLSX or JSON lines",
		Long: `Writes one row per order and per unexpected settlement; the same selection gives the same bytes. Without a range it is
everything but the dates that 'posrecon retention' has archived. An --as-of other than the last run's is computed for this export and not kept.`,
		Example: "  posrecon export --scope flagged --output flagged.csv\n  posrecon export --cause frozen_account --lang zh --format xlsx --output frozen.xlsx",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, to, err := dates.parse(false)
			if err != nil {
				return err
			}
			selection := export.Selection{From: from, To: to}
			switch scope {
			case "flagged":
				selection.Flagged = true
			case "all":
			default:
				return usagef("--scope %q is neither flagged nor all", scope)
			}
			for _, o := range outcomes {
				if !slices.Contains(recon.Outcomes, recon.Outcome(o)) {
					return usagef("--outcome %q is none of %v", o, recon.Outcomes)
				}
				selection.Outcomes = append(selection.Outcomes, recon.Outcome(o))
			}
			for _, c := range causes {
				if !slices.Contains(recon.Causes, recon.Cause(c)) {
					return usagef("--cause %q is none of %v", c, recon.Causes)
				}
				selection.Causes = append(selection.Causes, recon.Cause(c))
			}
			if !slices.Contains([]export.Format{export.CSV, export.XLSX, export.JSONL}, export.Format(format)) {
				return usagef("--format %q is none of csv, xlsx and jsonl", format)
			}
			if lang != "" && lang != "en" && lang != "zh" {
				return usagef("--lang %q is neither en nor zh", lang)
			}
			if a.json && output == "-" {
				return usagef("--json and an export to stdout would mix: give --output FILE")
			}
			if _, err := parseAsOf(asOf, selection.From.UTC()); err != nil {
				return err
			}
			if err := a.open(cmd.Context()); err != nil {
				return err
			}
			if lang == "" {
				lang = a.config.Lang
			}
			job, err := a.job(cmd.Context())
			if err != nil {
				return err
			}
			at, err := asOfOrLast(cmd.Context(), job, asOf)
			if err != nil {
				return err
			}
			return job.At(cmd.Context(), at, a.wait, func(q pipeline.Querier) error {
				var n int64
				write := func(w io.Writer) error {
					var err error
					n, err = export.Write(cmd.Context(), q, w, export.Format(format), selection, job.View(at, export.Lang(lang)))
					return err
				}
				if output == "-" {
					return write(a.stdout)
				}
				if err := pipeline.WriteFile(output, write); err != nil {
					return err
				}
				if !a.json {
					return nil
				}
				totals, err := export.Totals(cmd.Context(), q, selection)
				if err != nil {
					return err
				}
				return a.printJSON(map[string]any{
					"as_of": at.In(job.Config.Zone).Format("2006-01-02T15:04:05Z07:00"), "rows": n, "totals": totals, "export": output,
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&scope, "scope", "flagged", "`flagged|all`: flagged leaves out matched and pending")
	f.StringSliceVar(&outcomes, "outcome", nil, "only these `outcomes`, comma separated")
	f.StringSliceVar(&causes, "cause", nil, "only these `causes`, comma separated")
	f.StringVar(&format, "format", "csv", "`csv|xlsx|jsonl`")
	f.StringVar(&lang, "lang", "", "`en|zh` (default the configuration's, else en)")
	f.StringVar(&output, "output", "-", "`FILE` to write, or - for stdout")
	f.StringVar(&asOf, "as-of", "", "the `INSTANT` from which due is judged, RFC 3339 (default the last run's)")
	dates.add(f)
	return cmd
}
