package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/ingest"
	"github.com/posrecon/posrecon/internal/profile"
)

// newFormats lists the formats, and prints one for a user to start from.
func newFormats(a *app) *cobra.Command {
	var schema bool
	cmd := &cobra.Command{
		Use:   "formats [NAME]",
		Short: "The file formats that are read, or one of them as a profile to start from",
		Long: `Lists the formats that are recognised without any configuration: documented, where its owner has published it; seen,
where public code or a real file shows it; inferred, where it was put together from an owner's other interfaces and wants
checking against your file. A format of your own is a profile in a folder that profiles: of the configuration names; of two
that fit, yours counts. With a NAME the format's own profile is printed.`,
		Example: "  posrecon formats\n  posrecon formats lakala-settlement > profiles/my-lakala.yaml\n  posrecon formats --schema > profile.schema.json",
		Args:    usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			if schema {
				_, err := a.stdout.Write(profile.Schema())
				return err
			}
			if len(args) == 1 {
				text, err := profile.Document(args[0])
				if err != nil {
					return usagef("no format is named %q; 'posrecon formats' lists them", args[0])
				}
				_, err = a.stdout.Write(text)
				return err
			}
			own, err := profile.Load(a.config.Profiles)
			if err != nil {
				return usageError{err}
			}
			all := slices.Concat(own, profile.Builtin())
			if a.json {
				return a.printJSON(all)
			}
			w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "NAME\tHOLDS\tSTATUS\tTITLE\tSOURCE")
			for _, p := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", p.Name, p.Kind, p.Status, p.Title, strings.Join(p.Source, "; "))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of a profile, for editors")
	return cmd
}

// explain tells of files what they are and how they are read.
func (a *app) explain(paths []string) error {
	if err := a.configure(); err != nil {
		return err
	}
	profiles, err := profile.Load(a.config.Profiles)
	if err != nil {
		return usageError{err}
	}
	var all []ingest.Explained
	for _, path := range paths {
		list, err := ingest.Explain(path, ingest.Options{Zone: a.config.Zone, Profiles: profiles})
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	if a.json {
		return a.printJSON(all)
	}
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if err := a.tellExplained(e); err != nil {
			return err
		}
	}
	return nil
}

// tellExplained prints what a document is. What is said of one that gets a draft is a comment above the draft, so that the
// whole may be redirected into a file.
func (a *app) tellExplained(e ingest.Explained) error {
	var out bytes.Buffer
	if err := writeExplained(&out, e); err != nil {
		return err
	}
	if e.Draft == "" {
		_, err := a.stdout.Write(out.Bytes())
		return err
	}
	for line := range strings.Lines(out.String()) {
		fmt.Fprintf(a.stdout, "# %s", line)
	}
	_, err := fmt.Fprintf(a.stdout, "\n%s", e.Draft)
	return err
}

func writeExplained(out io.Writer, e ingest.Explained) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, e.Document)
	if about := e.About; about != nil {
		fmt.Fprintf(w, "  %s\t%s (%s)\n", "format", about.Title, cmp.Or(about.Format+", "+string(about.Status), about.Format))
		where := about.Encoding
		if about.Separator != "" {
			where += fmt.Sprintf(", cells parted by %q", about.Separator)
		}
		if about.Sheet != "" {
			where += ", sheet " + about.Sheet
		}
		if about.Header > 0 {
			where += fmt.Sprintf(", header on line %d", about.Header)
		}
		fmt.Fprintf(w, "  %s\t%s\n", "encoding", where)
		for _, c := range about.Columns {
			fmt.Fprintf(w, "  %s\t← %s\n", c.Name, strings.Join(c.From, ", "))
		}
		if len(about.Unused) > 0 {
			fmt.Fprintf(w, "  not read\t%s\n", strings.Join(about.Unused, ", "))
		}
		left := ""
		if e.Left > 0 {
			left = fmt.Sprintf(", and %d of another kind are left alone", e.Left)
		}
		fmt.Fprintf(w, "  rows\t%d, of which %d rejected%s\n", e.Read, e.Bad, left)
		for _, t := range e.Totals {
			ties := "which ties"
			if !t.Ties {
				ties = "and the rows come to " + t.Rows
			}
			fmt.Fprintf(w, "  total\t%s says %s, %s\n", t.Label, t.Stated, ties)
		}
		for _, line := range e.Around {
			fmt.Fprintf(w, "  no row\t%s\n", strings.Join(strings.Fields(line), " "))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for i, row := range e.Rows {
		fmt.Fprintf(out, "  row %d:", i+1)
		for _, name := range slices.Sorted(maps.Keys(row)) {
			fmt.Fprintf(out, " %s=%s", name, row[name])
		}
		fmt.Fprintln(out)
	}
	for _, r := range e.Rejected {
		fmt.Fprintf(out, "  line %d rejected: %s %q: %s\n", r.Line, r.Field, r.Value, r.Rule)
	}
	for _, text := range []string{e.Untied, e.Remark, e.Problem} {
		if text != "" {
			fmt.Fprintf(out, "  %s\n", text)
		}
	}
	return nil
}
