package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/suites/guarantee"
	"cellwall/suites/judge"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "say what this host and kernel offer, and what a missing thing costs",
		Long: "doctor asks every gate by trying: what the kernel and the host offer, why something is missing, what can\n" +
			"be done about it, and how many guarantees cannot be verified without it.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return done(examine(c.Context(), c.OutOrStdout())) },
	}
}

func examine(ctx context.Context, out io.Writer) error {
	facts, err := kernel.Facts()
	if err != nil {
		return err
	}
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, doctorColumn, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kernel\t%s %s\n", facts.Release, facts.Machine)
	fmt.Fprintf(w, "cpus, memory\t%d, %s\n", facts.CPUs, size(facts.MemoryBytes))
	fmt.Fprintf(w, "lockdown\t%s\n", facts.Lockdown)
	examineGroups(w)
	if err := examineRuntimes(ctx, w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	missing := 0
	for _, f := range kernel.Features() {
		err := f.Check()
		switch {
		case err == nil:
			fmt.Fprintf(w, "yes\t%s\n", f.Name)
			continue
		case errors.Is(err, kernel.ErrNotSupported):
			fmt.Fprintf(w, "no\t%s\n", reason(f, err))
		default:
			fmt.Fprintf(w, "unclear\t%s\n", reason(f, err))
		}
		missing++
		if f.Remedy != "" {
			fmt.Fprintf(w, "\t  to have it: %s\n", f.Remedy)
		}
		if n := needing(f); n > 0 {
			fmt.Fprintf(w, "\t  guarantees without it: %d\n", n)
		}
	}
	fmt.Fprintf(w, "\n%d of %d gates are open\n", len(kernel.Features())-missing, len(kernel.Features()))
	if err := w.Flush(); err != nil {
		return err
	}
	width, _ := terminalWidth(out)
	_, err = io.WriteString(out, fold(table.String(), cmp.Or(width, 80), doctorColumn))
	return err
}

// doctorColumn is where the texts begin, right of their labels.
const doctorColumn = 14

// fold breaks lines at spaces so that they fit a width where they can. What follows is indented to a column.
func fold(text string, width, column int) string {
	width = max(width, 2*column)
	var b strings.Builder
	for line := range strings.Lines(text) {
		for len(line)-1 > width {
			cut := strings.LastIndexByte(line[:width+1], ' ')
			if cut <= column { // the word is longer than the line
				after := strings.IndexByte(line[width:], ' ')
				if after < 0 {
					break
				}
				cut = width + after
			}
			b.WriteString(line[:cut] + "\n")
			line = strings.Repeat(" ", column) + line[cut+1:]
		}
		b.WriteString(line)
	}
	return b.String()
}

func examineGroups(w io.Writer) {
	tree, err := cgroup.Find()
	if err != nil {
		fmt.Fprintf(w, "cgroups\tnone: %s\n", oneLine(err))
		return
	}
	defer tree.Close() //nolint:errcheck // nothing was made
	fmt.Fprintf(w, "cgroups\t%s: %s\n", tree.Mode(), strings.Join(tree.Controllers(), " "))
	var lost []string
	for _, g := range guarantee.All() {
		if err := tree.Require(g.Controllers...); err != nil {
			lost = append(lost, g.ID)
		}
	}
	if len(lost) > 0 {
		fmt.Fprintf(w, "\twithout their controllers: %s\n", strings.Join(lost, " "))
	}
}

// needing counts the guarantees behind a gate.
func needing(f *kernel.Feature) int {
	n := 0
	for _, g := range guarantee.All() {
		if slices.Contains(g.Gates, f) {
			n++
		}
	}
	return n
}

// reason is the error, which starts with the gate's name.
func reason(f *kernel.Feature, err error) string {
	text := oneLine(err)
	if !strings.HasPrefix(text, f.Name) {
		text = f.Name + ": " + text
	}
	return text
}

// examineRuntimes names the runtimes that verify knows, and others that are installed: those that have
// the command line of runc can be verified all the same. Root tries each: a program that is there may
// lack its daemon.
func examineRuntimes(ctx context.Context, w io.Writer) (err error) {
	var run *judge.Run // nil: none is tried
	if os.Geteuid() == 0 {
		if run, err = judge.NewRun(lease.Default); err != nil {
			fmt.Fprintf(w, "runtimes\tnot tried: %s\n", oneLine(err))
		} else {
			defer func() { err = errors.Join(err, run.Close()) }()
		}
	}
	for i, name := range driver.Names() {
		if name == driver.CoreName {
			continue
		}
		label := ""
		if i == 1 {
			label = "runtimes"
		}
		if name == driver.VMName {
			fmt.Fprintf(w, "%s\t%s: not tried: %s\n", label, name, boots)
			continue
		}
		rt, err := driver.Find(ctx, name, nil)
		if err != nil {
			fmt.Fprintf(w, "%s\t%s\n", label, strings.TrimPrefix(oneLine(err), "runtime "))
			continue
		}
		version, _ := rt.Version(ctx) // Find has asked for it
		line := name + " " + version
		for _, l := range rt.Lacks() {
			line += ", with " + l.Name
		}
		fmt.Fprintf(w, "%s\t%s\n", label, line)
		if run == nil {
			continue
		}
		j, err := run.Judge(ctx, rt)
		if err != nil {
			return err
		}
		if err := canStart(ctx, j); err != nil {
			fmt.Fprintf(w, "\t  %s\n", oneLine(err))
		}
	}
	var others []string
	for _, name := range []string{"youki", "kata-runtime", "firejail"} {
		if path, err := exec.LookPath(name); err == nil {
			others = append(others, path)
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(w, "\talso installed: %s\n", strings.Join(others, " "))
	}
	return nil
}
