package command

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/suites/guarantee"
)

func newList() *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "list [GLOB...]",
		Short: "list the guarantees of the catalogue",
		Long: "list shows guarantees: the id, the rung that must hold it, the barrier that carries it, and the claim. With -v it shows\n" +
			"all of the row: where it is specified, who keeps it, where attack and witness are in the source, and what each control takes away.",
		Example: "  cellwall list\n  cellwall list 'memory.*'\n  cellwall list -v fs.dotdot",
		RunE: func(c *cobra.Command, globs []string) error {
			if err := checkIDs("", globs); err != nil {
				return err
			}
			rows := slices.DeleteFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return !guarantee.Match(globs, g.ID) })
			if verbose {
				return done(describe(c.OutOrStdout(), rows))
			}
			w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, g := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\ta container %s\n", g.ID, g.Rung, g.Barrier, g.Claim)
			}
			return done(w.Flush())
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "show all of each row")
	c.ValidArgsFunction = cobra.FixedCompletions(ids(), cobra.ShellCompDirectiveNoFileComp)
	return c
}

// describe shows whole rows.
func describe(out io.Writer, rows []*guarantee.Guarantee) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, g := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\ta container %s\n", g.ID, g.Claim)
		line := func(label, text string) {
			if text != "" {
				fmt.Fprintf(w, "  %s\t%s\n", label, text)
			}
		}
		line("source", g.Source)
		line("rung", string(g.Rung))
		line("barrier", g.Barrier)
		line("kept by", cmp.Or(string(g.Kept), "runtime"))
		var gates []string
		for _, f := range g.Gates {
			gates = append(gates, f.Name)
		}
		line("needs", strings.Join(gates, ", "))
		line("controllers", strings.Join(g.Controllers, ", "))
		line("attack", g.Attack.Name+", "+source(g.Attack.Run))
		line("witness", source(g.Witness))
		line("probes", strings.Join(g.Probes, ", "))
		for _, e := range g.Both {
			line("in each", e.Name)
		}
		for _, e := range g.Controls {
			line("control", e.Name)
		}
		for _, errno := range slices.Sorted(maps.Keys(g.Refusal)) {
			line("denied", fmt.Sprintf("%s by %s", unix.ErrnoName(errno), g.Refusal[errno]))
		}
	}
	return w.Flush()
}

// source is where a function begins: "suites/attack/fs.go:16".
func source(f any) string {
	pc := reflect.ValueOf(f).Pointer()
	file, line := runtime.FuncForPC(pc).FileLine(pc)
	// What is before it depends on how the program was built.
	return fmt.Sprintf("%s:%d", file[max(strings.LastIndex(file, "suites/"), 0):], line)
}
