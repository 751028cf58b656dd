package command

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cellwall/reports/history"
	"cellwall/reports/render"
)

func newHistoryShow() *cobra.Command {
	var f outputFlags
	var only []string
	c := &cobra.Command{
		Use:   "show DIR",
		Short: "show each series of a history with a picture of it",
		Long: "show draws the ratio to the control of each series, and marks where it changes.\n\n" +
			"Exit status: 0 shown, 2 wrong use, 3 a file cannot be read.",
		Example: "  cellwall history show history\n  cellwall history show history --only 'start.*' --format svg,markdown --out out",
		Args:    needs(false, "show DIR"),
		RunE:    func(c *cobra.Command, args []string) error { return showHistory(c, args[0], only, &f) },
	}
	names := formatNames(showFormats())
	c.Flags().StringSliceVar(&only, "only", []string{"*"}, "globs of benchmarks, such as 'start.*,inside.getpid'")
	c.Flags().StringVar(&f.out, "out", "", "directory for the files; made if it is not there")
	c.Flags().StringSliceVar(&f.format, "format", []string{"text"}, "what to write: "+strings.Join(names, ", "))
	complete(c, "only", benchNames())
	complete(c, "format", names)
	return c
}

// showFormats names the formats; writeShow knows how each is written.
func showFormats() []format { return []format{{name: "text"}, {name: "markdown"}, {name: "svg"}} }

func showHistory(c *cobra.Command, dir string, only []string, f *outputFlags) error {
	if err := checkGlobs(only); err != nil {
		return err
	}
	if err := f.check(showFormats()); err != nil {
		return err
	}
	h, broken, err := loadHistory(c, dir)
	if err != nil {
		return err
	}
	r := render.History{Dir: dir, Runs: len(h.Runs), Notes: h.Notes}
	if len(h.Runs) == 0 {
		return done(few(broken))
	}
	r.Series, err = h.Series(only, time.Time{})
	broken = few(broken, err)
	switch {
	case len(r.Series) == 0 && broken != nil:
		return done(broken)
	case len(r.Series) == 0:
		return misuse("--only %s matches none of the benchmarks of %s", strings.Join(only, ","), dir)
	}
	if r.Changes, err = history.Points(r.Series); err != nil {
		return done(err)
	}
	if err := writeShow(c.OutOrStdout(), r, f); err != nil {
		return done(err)
	}
	return done(broken)
}

func writeShow(out io.Writer, r render.History, f *outputFlags) error {
	text := f.text(out)
	return f.write(out, render.Report{}, []format{
		{name: "text", write: func(w io.Writer, _ render.Report) error { return render.ShowText(w, r, text) }},
		{name: "markdown", file: "history.md", write: func(w io.Writer, _ render.Report) error { return render.ShowMarkdown(w, r) }},
		{name: "svg", file: "history.svg", write: func(w io.Writer, _ render.Report) error { return render.ShowSVG(w, r) }},
	})
}
