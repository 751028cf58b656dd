package command

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cellwall/reports/render"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
)

func newLadder() *cobra.Command {
	var f tourFlags
	c := &cobra.Command{
		Use:   "ladder",
		Short: "show what each rung from a bare process to a hardened container stops",
		Long: "ladder tries the catalogue on the core at every rung and shows, for each rung and group, how many\n" +
			"attacks it stops, and which guarantees the rung adds. With --out it draws the ladder too (ladder.svg).",
		Example: "  sudo cellwall ladder\n  sudo cellwall ladder --only 'process.*,memory.*' --out out",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check([]string{"text", "picture", "jsonl", "markdown", "svg"}); err != nil {
				return err
			}
			all := func(*guarantee.Guarantee) bool { return true }
			found, err := f.tour(c, spec.Ladder(), all)
			if err != nil {
				return done(err)
			}
			t := f.text(c.OutOrStdout())
			formats := map[string]format{
				"text":     {"", func(w io.Writer, r *result) error { return render.LadderText(w, r.report, t) }},
				"picture":  {"", func(w io.Writer, r *result) error { return render.LadderPicture(w, r.report, t) }},
				"jsonl":    {"records.jsonl", writeRecords},
				"markdown": {"ladder.md", func(w io.Writer, r *result) error { return render.LadderMarkdown(w, r.report) }},
				"svg":      {"ladder.svg", func(w io.Writer, r *result) error { return render.LadderSVG(w, r.report) }},
			}
			if err := f.write(c.OutOrStdout(), found, formats); err != nil {
				return done(err)
			}
			if f.out != "" {
				if err := writeFile(f.out+"/ladder.svg", found, formats["svg"].write); err != nil {
					return done(err)
				}
				fmt.Fprintf(c.ErrOrStderr(), "drawn in %s/ladder.svg\n", f.out)
			}
			return found.exit()
		},
	}
	f.add(c, "text, picture, jsonl, markdown, svg")
	return c
}
