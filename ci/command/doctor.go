package command

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/suites/guarantee"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "say what this host and kernel offer, and what a missing thing costs",
		Long: "doctor asks every gate by trying: what the kernel and the host offer, why something is missing, what can\n" +
			"be done about it, and how many guarantees cannot be verified without it.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return done(examine(c.OutOrStdout())) },
	}
}

func examine(out io.Writer) error {
	facts, err := kernel.Facts()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kernel\t%s %s\n", facts.Release, facts.Machine)
	fmt.Fprintf(w, "cpus, memory\t%d, %s\n", facts.CPUs, size(facts.MemoryBytes))
	fmt.Fprintf(w, "lockdown\t%s\n", facts.Lockdown)
	examineGroups(w)
	fmt.Fprintf(w, "other runtimes\t%s\n", runtimes())
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
			fmt.Fprintf(w, "\t  costs %d guarantees\n", n)
		}
	}
	fmt.Fprintf(w, "\n%d of %d gates are open\n", len(kernel.Features())-missing, len(kernel.Features()))
	return w.Flush()
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

// runtimes names what a user may have installed. Verifying them is not this version's work.
func runtimes() string {
	var found []string
	for _, name := range []string{"runc", "crun", "runsc", "youki", "bwrap", "systemd-nspawn", "podman", "docker", "lxc-execute", "firejail"} {
		if path, err := exec.LookPath(name); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return "none found"
	}
	return strings.Join(found, " ")
}
