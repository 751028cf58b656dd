package command

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

// ladderFile is the drawing in --out.
const ladderFile = "ladder.svg"

func ladderFormats(t render.Text) []format {
	return []format{
		{name: "text", write: func(w io.Writer, r render.Report) error { return render.LadderText(w, r, t) }},
		{name: "picture", write: func(w io.Writer, r render.Report) error { return render.LadderPicture(w, r, t) }},
		records(),
		{name: "markdown", file: "ladder.md", write: render.LadderMarkdown},
		{name: "svg", file: ladderFile, always: true, write: render.LadderSVG},
	}
}

func newLadder() *cobra.Command {
	var f tourFlags
	c := &cobra.Command{
		Use:   "ladder",
		Short: "show what each rung from a bare process to a hardened container stops",
		Long: "ladder tries the catalogue on the core at every rung and shows, for each rung and group, how many\n" +
			"attacks it stops, and which guarantees the rung adds. With --out it draws the ladder too (ladder.svg).",
		Example: "  sudo cellwall ladder\n  sudo cellwall ladder --only 'process.*,memory.*' --out out",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			formats := ladderFormats(f.text(c.OutOrStdout()))
			if err := f.check(formats); err != nil {
				return err
			}
			if len(f.runtimes) > 1 || f.runtimes[0] == everyRuntime {
				return misuse("--runtime %s: a ladder is of one runtime", strings.Join(f.runtimes, ","))
			}
			climbed := func(rt driver.Runtime) []spec.Rung {
				return slices.DeleteFunc(spec.Ladder(), func(r spec.Rung) bool { return !r.Covers(rt.Floor()) })
			}
			found, err := f.tour(c, climbed, func(spec.Rung, *guarantee.Guarantee) bool { return true })
			if err != nil {
				return done(err)
			}
			if err := f.write(c.OutOrStdout(), found.report, formats); err != nil {
				return done(err)
			}
			if f.out != "" {
				fmt.Fprintf(c.ErrOrStderr(), "drawn in %s\n", filepath.Join(f.out, ladderFile))
			}
			return found.exit()
		},
	}
	f.add(c, ladderFormats(render.Text{}))
	return c
}
