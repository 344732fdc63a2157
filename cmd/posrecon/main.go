// Command posrecon tells, every night, whether the money for every QR sale has arrived, and if not, why not and who
// does what about it. This package holds the command line: flags, wiring and the one place where an error becomes an
// exit status. Nothing below it prints or exits.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/postgres/private"
)

func main() { os.Exit(realMain(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// Exit statuses of the contract.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitAttention   = 3
	exitLocked      = 4
	exitInterrupted = 130
)

// exitStatus is printed in every command's help.
const exitStatus = `
Exit status:
  0    done
  1    error
  2    wrong usage
  3    done, but this run rejected or held back input for the first time, or a payout does not tie with its lines, or a
       calendar year is missing
  4    another run holds the lock (--wait DURATION waits for it)
  130  interrupted`

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errAttention ends a command that is done but wants a look.
var errAttention = errors.New("done, with something to look at")

// What the collector of garbage aims at: the program is to stay under 256 MiB whatever its input (its own buffers take some
// 40), and within that a collection in four costs less than one at every doubling of a heap of twenty.
const (
	gcPercent = 400
	heapLimit = 192 << 20
)

// tuneMemory sets both, unless the environment sets its own.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapLimit)
	}
}

func realMain(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	tuneMemory()
	// SIGTERM and SIGINT end a run between two statements: what is not committed is rolled back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	results := &checkedWriter{w: stdout}
	a := &app{stdin: stdin, stdout: results, stderr: stderr, getenv: os.Getenv}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(results)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if cerr := a.close(context.WithoutCancel(ctx)); err == nil {
		err = cerr
	}
	if results.err != nil && (err == nil || errors.Is(err, errAttention)) {
		err = fmt.Errorf("write the results: %w", results.err)
	}
	return a.exit(ctx, err)
}

// checkedWriter remembers that a result could not be written: a report that a full disk swallowed is no report, however
// it was printed.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

// exit turns the error that ended a command into its exit status, and tells the person.
func (a *app) exit(ctx context.Context, err error) int {
	status := exitError
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errAttention):
		return exitAttention
	case ctx.Err() != nil:
		status, err = exitInterrupted, errors.New("interrupted; what was not finished is rolled back, the next run goes on")
	case errors.As(err, &usage):
		status = exitUsage
	case errors.Is(err, postgres.ErrLocked), errors.Is(err, private.ErrInUse):
		status = exitLocked
	}
	if a.json {
		_ = json.NewEncoder(a.stdout).Encode(map[string]any{"error": err.Error(), "exit_status": status})
	}
	fmt.Fprintf(a.stderr, "posrecon: %v\n", err)
	if status == exitUsage {
		fmt.Fprintln(a.stderr, "See 'posrecon --help', and 'posrecon COMMAND --help'.")
	}
	return status
}

// version is the module's version as the build recorded it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "posrecon",
		Short: "Has the money for every QR sale arrived, and if not, why not?",
		Long: `posrecon loads POS transaction logs and acquirers' settlement and payout files into PostgreSQL, matches them, and
gives every transaction whose money has not arrived a cause with evidence, confidence and a next step.

Without --database-url it runs a PostgreSQL of its own in the data directory.` + "\n" + exitStatus,
		Example:       "  posrecon demo\n  posrecon run --inbox ./inbox --out ./out\n  posrecon export --scope flagged --lang zh --output flagged.csv",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	a.addFlags(root.PersistentFlags())
	root.AddCommand(
		newRun(a), newIngest(a), newFormats(a), newReconcile(a), newExport(a), newCases(a), newIncidents(a), newCauses(a), newServe(a), newCheck(a), newRetention(a), newMigrate(a),
		newCalendar(a), newSimulate(a), newDemo(a),
	)
	for _, c := range root.Commands() {
		finishCommand(c)
	}
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "Help on a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return usagef("there is no command %q", strings.Join(args, " "))
			}
			return cmd.Help()
		},
	})
	return root
}

// usageArgs makes what check says wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// finishCommand gives a command the exit statuses in its help, and makes wrong arguments wrong usage.
func finishCommand(c *cobra.Command) {
	c.Long = strings.TrimRight(c.Long, "\n") + "\n" + exitStatus
	if c.Args != nil {
		c.Args = usageArgs(c.Args)
	}
	for _, sub := range c.Commands() {
		finishCommand(sub)
	}
}
