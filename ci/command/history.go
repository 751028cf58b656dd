package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cellwall/reports/history"
	"cellwall/reports/render"
)

func newHistory() *cobra.Command {
	c := &cobra.Command{
		Use:   "history",
		Short: "keep runs of benchmarks, and find where they have changed",
		Long: "history keeps runs in a directory, an immutable file each. Its names never collide, so that directories of two\n" +
			"branches or hosts merge by having the files of both, in git or in any object store.",
		RunE: needsCommand("add, check and show"),
	}
	c.AddCommand(newHistoryAdd(), newHistoryCheck(), newHistoryShow())
	return c
}

// needs is an Args that wants a history, and files if it is to be given some.
func needs(files bool, how string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) == 0 || files == (len(args) == 1) {
			return misuse("history %s takes %s, not %d: cellwall history %s", c.Name(),
				map[bool]string{true: "a directory and files", false: "one directory"}[files], len(args), how)
		}
		return nil
	}
}

func newHistoryAdd() *cobra.Command {
	var commit string
	c := &cobra.Command{
		Use:   "add DIR FILE...",
		Short: "add runs, each a file that cellwall bench --out has written",
		Long: "add copies files of records into a history, which is made if it is not there. Each has to hold one run, without\n" +
			"an error in it. A run that is there already is refused, and nothing is ever replaced.\n\n" +
			"Exit status: 0 all are added, 2 wrong use or an unusable file, 3 our own failure.",
		Example: "  cellwall history add history out/bench.jsonl --commit \"$(git rev-parse HEAD)\"",
		Args:    needs(true, "add DIR FILE..."),
		RunE: func(c *cobra.Command, args []string) error {
			if commit != "" {
				short, err := history.ParseCommit(commit)
				if err != nil {
					return misuse("--commit: %w", err)
				}
				commit = short
			}
			if err := tryDirectory("history add", args[0]); err != nil {
				return err
			}
			return addRuns(c.Context(), c.OutOrStdout(), args[0], args[1:], commit)
		},
	}
	c.Flags().StringVar(&commit, "commit", "", "the commit that was measured, where the records do not tell")
	return c
}

// addRuns adds what can be added, and says at last what could not.
func addRuns(ctx context.Context, out io.Writer, dir string, files []string, commit string) error {
	var wrong, failed []error
	hint := ""
	for i, file := range files {
		if ctx.Err() != nil {
			failed = append(failed, fmt.Errorf("interrupted before %s: %s left", file, count(len(files)-i, "file")))
			break
		}
		n, err := history.Check(file, commit, time.Now())
		if err != nil {
			wrong = append(wrong, err)
			hint = " (a run is what cellwall bench --out DIR writes to DIR/bench.jsonl)"
			continue
		}
		switch err := history.Add(dir, n); {
		case errors.Is(err, history.ErrThere):
			wrong = append(wrong, err)
		case err != nil:
			failed = append(failed, err)
		default:
			fmt.Fprintln(out, n.File())
		}
	}
	switch all := few(append(failed, wrong...)...); {
	case len(failed) > 0:
		return done(all)
	case len(wrong) > 0:
		return misuse("%w%s", all, hint)
	}
	return nil
}

// few joins errors, of many the first few.
func few(errs ...error) error {
	const most = 3
	for i := 0; i < len(errs); {
		if errs[i] == nil {
			errs = slices.Delete(errs, i, i+1)
		} else if joined, ok := errs[i].(interface{ Unwrap() []error }); ok { //nolint:errorlint // itself, and nothing in it
			errs = slices.Replace(errs, i, i+1, joined.Unwrap()...)
		} else {
			i++
		}
	}
	if len(errs) > most {
		errs = append(slices.Clip(errs[:most]), fmt.Errorf("and %d more", len(errs)-most))
	}
	return errors.Join(errs...)
}

// loadHistory reads a history and shows on a terminal how far it is. broken is what could not be read.
func loadHistory(c *cobra.Command, dir string) (h *history.History, broken, err error) {
	var tell func(done, all int)
	width, is := terminalWidth(c.ErrOrStderr())
	p := &render.BenchProgress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
	if is {
		tell = func(done, all int) { p.Step("reading runs", done, all, float64(done)/float64(all)) }
	}
	readsOnly()
	h, broken = history.Load(dir, tell)
	p.Finish()
	switch {
	case h == nil:
		return nil, nil, misuse("%w", broken)
	case len(h.Runs) == 0 && broken == nil:
		return nil, nil, misuse("%s holds no run: cellwall history add %s FILE", dir, dir)
	}
	return h, broken, nil
}

// since reads --since. Without it the newest runs of all are meant, so that a series that is not measured any
// more comes to rest.
func since(h *history.History, text string) (from time.Time, words string, err error) {
	if text == "" {
		oldest := h.Runs[max(len(h.Runs)-history.Newest, 0)]
		return oldest.Time, fmt.Sprintf("the newest %d runs", history.Newest), nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(form, text); err == nil {
			return at, "since " + at.UTC().Format(time.DateTime), nil
		}
	}
	for _, r := range h.Runs {
		if r.ID == text || r.File == text {
			return r.Time, "since run " + r.ID, nil
		}
	}
	return from, "", misuse("--since %q is neither a run of %s nor a date such as 2026-11-27", text, h.Dir)
}

// checkGlobs refuses a pattern that is none.
func checkGlobs(globs []string) error {
	for _, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil {
			return misuse("--only %q: %w", glob, err)
		}
	}
	return nil
}
