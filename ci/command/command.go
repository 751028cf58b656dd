// Package command is the command line: one file for each subcommand. It alone knows cobra and
// the terminal; everything else is done by the packages it assembles.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/bench"
	"cellwall/ci/vm"
	"cellwall/runtime/driver"
)

// Exit codes.
const (
	exitHeld         = 0 // no claimed guarantee was breached, and what is not supported is counted
	exitBreached     = 1
	exitUsage        = 2 // wrong use: nothing was done
	exitInconclusive = 3 // we could not tell, or failed ourselves
)

// Exit codes of `cellwall run` and `cellwall exec` beside the program's own: those of env(1), chroot(1) and docker.
const (
	exitStarter  = 125 // we failed, or were used in a wrong way
	exitNoAccess = 126 // the program may not be executed
	exitNoEntry  = 127 // the program is not there
)

// coded is an error with an exit code. A nil err prints nothing.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string {
	if c.err == nil {
		return fmt.Sprintf("exit status %d", c.code)
	}
	return c.err.Error()
}

func (c coded) Unwrap() error { return c.err }

// misuse is a usage error.
func misuse(format string, args ...any) error {
	return coded{exitUsage, fmt.Errorf(format, args...)}
}

// needRoot refuses a caller without root. what is "verify makes containers and cgroups".
func needRoot(what string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return misuse("%s, which needs root: run it with sudo", what)
}

// starts makes a command one that runs somebody's program, whose exit codes 2 and 3 are the program's own.
func starts(c *cobra.Command) *cobra.Command {
	ours := func(err error) error {
		var c coded
		if errors.As(err, &c) && c.err != nil && c.code != exitNoAccess && c.code != exitNoEntry {
			return coded{exitStarter, c.err}
		}
		return err
	}
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error { return ours(run(c, args)) }
	c.PersistentPreRunE = func(c *cobra.Command, args []string) error { return ours(checkGiven(c, args)) }
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return ours(wrongFlag(c, err)) })
	return c
}

func wrongFlag(c *cobra.Command, err error) error {
	return misuse("%w: see %s --help", err, c.CommandPath())
}

// Main runs the command line until it ends or the context does, and returns the exit code. An error is
// one line on stderr.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot(args)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitHeld
	}
	var c coded
	if !errors.As(err, &c) {
		// What cobra itself finds wrong is wrong use; our commands always say which it is.
		c = coded{exitUsage, fmt.Errorf("%w\nsee cellwall --help", err)}
	}
	if at := (*fs.PathError)(nil); errors.As(c.err, &at) && at.Path == os.Stdout.Name() && errors.Is(at, unix.EPIPE) {
		return 128 + int(unix.SIGPIPE) // nobody reads any more, as of `cellwall list | head -1`
	}
	if c.err != nil {
		fmt.Fprintf(errs, "cellwall: %s\n", oneLine(c.err))
	}
	return c.code
}

// oneLine joins the lines of joined errors: what a person reads last must be the whole reason.
func oneLine(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "; ")
}

// noArguments is cobra.NoArgs, whose error calls an argument an unknown command.
func noArguments(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case c.Flags().Lookup("only") != nil && strings.Contains(args[0], "."): // as a guarantee or a benchmark has
		return misuse("%s has flags only, and got %q: try %s --only '%s'", c.Name(), args[0], c.CommandPath(), args[0])
	}
	return misuse("%s has flags only, and got %q (a list has commas between): see %s --help", c.Name(), args[0], c.CommandPath())
}

// needsCommand refuses a call of a command that only has others below it.
func needsCommand(below string) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		got := ""
		if len(args) > 0 {
			got = fmt.Sprintf(", and got %q", strings.Join(args, " "))
		}
		return misuse("%s has the commands %s%s: see %s --help", c.Name(), below, got, c.CommandPath())
	}
}

// checkGiven refuses a flag that is given and empty, as "$OUT" is where OUT is not set: nobody means by it what is
// done without the flag. Empty lists of means and rungs are some.
func checkGiven(c *cobra.Command, _ []string) error {
	for _, f := range visited(c.Flags().VisitAll) {
		empty := f.Value.String() == "" || f.Value.String() == "[]"
		if f.Changed && empty && f.Name != "means" && f.Name != "rungs" {
			return misuse("--%s names nothing: leave it out, or give it a value: see %s --help", f.Name, c.CommandPath())
		}
	}
	return nil
}

// visited lists what a function visits, such as flags, whose type is of a module that we use for nothing else.
func visited[T any](visit func(func(T))) (all []T) {
	visit(func(t T) { all = append(all, t) })
	return all
}

// nothingNamed shows the help to somebody who has not said what a long command is to work on.
func nothingNamed(c *cobra.Command) error {
	c.Root().SetOut(c.ErrOrStderr())
	if err := c.Help(); err != nil {
		return done(err)
	}
	return coded{exitUsage, nil}
}

// subcommand makes a command; the name is the command's own.
type subcommand struct {
	name string
	make func() *cobra.Command
}

func subcommands() []subcommand {
	return []subcommand{
		{"verify", newVerify}, {"ladder", newLadder}, {"report", newReport}, {"run", newRun}, {"exec", newExec}, {"explain", newExplain},
		{"doctor", newDoctor}, {"clean", newClean}, {"list", newList}, {"bench", newBench}, {bench.WorkerCommand, newBenchWorker},
		{"compare", newCompare}, {"history", newHistory}, {"interfere", newInterfere}, {"probe", newProbe}, {"kernels", newKernels},
		{"matrix", func() *cobra.Command { host := new(vm.Host); return newMatrix(host.Run, host.AtOnce) }},
		{driver.GuestCommand, func() *cobra.Command { return newGuest(new(vm.Host).Run) }},
	}
}

// newRoot makes the command line: of the subcommands only the one that is asked for, where one is, as
// the flags and completions of all the others take longer than it takes to make a cgroup.
func newRoot(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "cellwall",
		Short: "verify that a container's walls hold",
		Long: "cellwall starts a container, attacks it from inside, watches from outside, and says for each\n" +
			"guarantee whether it held, with a control that shows the attack would have worked without the wall.",
		Version:       driver.OwnVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,

		PersistentPreRunE: checkGiven,
	}
	root.SetFlagErrorFunc(wrongFlag)
	all := subcommands()
	if i := slices.IndexFunc(all, func(s subcommand) bool { return len(args) > 0 && s.name == args[0] }); i >= 0 {
		all = all[i : i+1]
	}
	for _, s := range all {
		root.AddCommand(s.make())
	}
	return root
}

// Ends are the signals that ask us to end: SIGHUP is that of a terminal that is gone, SIGPIPE that of a reader of our
// streams. What we were started to ignore, as by nohup(1), stays ignored.
func Ends() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE}, signal.Ignored)
}

// readsOnly has an interrupt end a command that makes nothing. main leaves interrupts to commands that have
// something to undo, and a long history or a pipe that nobody writes to would keep this one from noticing.
func readsOnly() { signal.Reset(Ends()...) }

// done says how a command that did its work itself failed.
func done(err error) error {
	if err == nil {
		return nil
	}
	var c coded
	if errors.As(err, &c) {
		return err
	}
	return coded{exitInconclusive, err}
}

// terminalWidth is the width of a stream that is a terminal, and whether it is one that takes escape sequences: TERM
// says which it is, and one that is dumb or does not say takes none.
func terminalWidth(w any) (width int, is bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0, false
	}
	is = !slices.Contains([]string{"", "dumb"}, os.Getenv("TERM"))
	width, _, err := term.GetSize(f.Fd())
	if err != nil {
		return 0, is
	}
	return width, is
}
