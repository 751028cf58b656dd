package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/isolation"
	"cellwall/suites/judge"
)

// tourFlags are the flags that verify and ladder share.
type tourFlags struct {
	runtime string
	only    []string
	out     string
	format  []string
	verbose bool
	strict  bool
}

func (f *tourFlags) add(c *cobra.Command, formats string) {
	flags := c.Flags()
	flags.StringVar(&f.runtime, "runtime", driver.CoreName, "the runtime to verify: "+driver.Forms)
	flags.StringSliceVar(&f.only, "only", nil, "globs of guarantee ids, such as 'fs.*,pids.fork-bomb'")
	flags.StringVar(&f.out, "out", "", "directory for records.jsonl and the other files; made if it is not there")
	flags.StringSliceVar(&f.format, "format", []string{"text"}, "what to write: "+formats)
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "show every try, and the attack on the barrier alone")
	complete(c, "only", ids())
	complete(c, "runtime", driver.Names())
	complete(c, "format", strings.Split(formats, ", "))
}

func newVerify() *cobra.Command {
	var f tourFlags
	rung := string(spec.Hardened)
	c := &cobra.Command{
		Use:   "verify",
		Short: "attack a container and say which guarantees held",
		Long: "verify tries every guarantee of the catalogue that the rung claims: a control without the barrier,\n" +
			"which the witness must see breach, the attack on the barrier alone, and the attack on the real container.\n\n" +
			"Exit status: 0 all claimed guarantees held, 1 one was breached, 2 wrong use, 3 inconclusive or our own failure.",
		Example: "  sudo cellwall verify\n  sudo cellwall verify --only 'pids.*' -v\n  sudo cellwall verify --out out --format text,junit",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := spec.ParseRung(rung)
			if err != nil {
				return misuse("%w", err)
			}
			if err := f.check([]string{"text", "jsonl", "junit", "markdown"}); err != nil {
				return err
			}
			claimed := func(g *guarantee.Guarantee) bool { return r.Covers(g.Rung) }
			found, err := f.tour(c, []spec.Rung{r}, claimed)
			if err != nil {
				return done(err)
			}
			if err := f.write(c.OutOrStdout(), found, verifyFormats(f.text(c.OutOrStdout()))); err != nil {
				return done(err)
			}
			return found.exit()
		},
	}
	f.add(c, "text, jsonl, junit, markdown")
	c.Flags().BoolVar(&f.strict, "strict", false, "claim for the runtime all that its rung has, also what it does not claim or is known to break")
	c.Flags().StringVar(&rung, "rung", rung, fmt.Sprintf("the rung of the ladder to verify: one of %v", spec.Ladder()))
	complete(c, "rung", rungNames())
	return c
}

// check refuses what names nothing, before anything runs.
func (f *tourFlags) check(formats []string) error {
	if err := driver.Check(f.runtime); err != nil {
		return misuse("--runtime: %w", err)
	}
	for _, glob := range f.only {
		if _, err := filepath.Match(glob, ""); err != nil {
			return misuse("--only %q: %w", glob, err)
		}
		if !slices.ContainsFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return guarantee.Match([]string{glob}, g.ID) }) {
			return misuse("--only %q matches no guarantee: cellwall list shows them all", glob)
		}
	}
	for _, name := range f.format {
		if !slices.Contains(formats, name) {
			return misuse("--format %q is none of %v", name, formats)
		}
	}
	if len(f.format) > 1 && f.out == "" {
		return misuse("--format %s needs --out: several formats cannot share one output", strings.Join(f.format, ","))
	}
	return nil
}

func (f *tourFlags) text(out io.Writer) render.Text {
	width, is := terminalWidth(out)
	t := render.Text{Width: width, Verbose: f.verbose}
	if is && os.Getenv("NO_COLOR") == "" {
		t.Style = render.Colour
	}
	return t
}

// result is what a tour has found.
type result struct {
	run      record.Run
	verdicts []record.Verdict
	report   render.Report
	stopped  error // the reason why it is not complete
}

// exit turns the verdicts into the exit code.
func (r *result) exit() error {
	breached, unclear, held := false, r.stopped != nil, 0
	for i := range r.verdicts {
		v := &r.verdicts[i]
		if v.Claimed && v.Outcome == record.Held {
			held++
		}
		switch {
		case v.Claimed && v.Outcome == record.Breached && !v.Known():
			breached = true
		case v.Outcome == record.Inconclusive, len(v.Leaks) > 0, v.Claimed && v.Outcome == record.Held && !v.Proven():
			unclear = true
		}
	}
	switch {
	case breached:
		return coded{exitBreached, nil}
	case unclear:
		return coded{exitInconclusive, r.stopped}
	case held == 0:
		return coded{exitInconclusive, errors.New("nothing was held: this host proves nothing")}
	}
	return nil
}

// tour tries the chosen rows at every rung, with progress on stderr.
func (f *tourFlags) tour(c *cobra.Command, rungs []spec.Rung, wanted func(*guarantee.Guarantee) bool) (_ *result, err error) {
	var rows []*guarantee.Guarantee
	for _, g := range guarantee.All() {
		if guarantee.Match(f.only, g.ID) && wanted(g) {
			rows = append(rows, g)
		}
	}
	if len(rows) == 0 {
		return nil, misuse("no guarantee of the selection is claimed at rung %s", rungs[0])
	}
	run, err := judge.NewRun(lease.Default)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	rt, err := driver.Find(c.Context(), f.runtime, run.Core)
	if err != nil {
		return nil, err
	}
	j, err := run.Judge(c.Context(), rt)
	if err != nil {
		return nil, err
	}
	j.Strict = f.strict
	r := &result{}
	r.run, err = run.Record(f.only, []record.Runtime{{Name: j.Runtime.Name(), Version: j.Version}}, len(guarantee.All()))
	if err != nil {
		return nil, err
	}
	r.run.Version = j.Version
	width, is := terminalWidth(c.ErrOrStderr())
	progress := &render.Progress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
	tour := isolation.Tour{Rows: rows, Begin: progress.Begin, Done: func(v record.Verdict) {
		progress.Done(v)
		r.verdicts = append(r.verdicts, v)
	}}
	for _, rung := range rungs {
		tour.Subjects = append(tour.Subjects, isolation.Subject{Judge: j, Rung: rung})
	}
	start := time.Now()
	progress.Start(len(rows) * len(rungs))
	tour.Run(io.Discard) // the verdicts say more than its result
	progress.Finish()
	if want := len(rows) * len(rungs); len(r.verdicts) < want {
		// Silence is no verdict: rows that did not run are not held.
		r.stopped = fmt.Errorf("stopped after %d of %d guarantees", len(r.verdicts), want)
		if context.Cause(c.Context()) != nil {
			r.stopped = fmt.Errorf("interrupted: %w", r.stopped)
		}
	}
	r.report = render.Report{Run: r.run, Verdicts: r.verdicts, Elapsed: time.Since(start)}
	return r, nil
}

// format is one way to write a report, and the file it has in --out.
type format struct {
	file  string
	write func(io.Writer, *result) error
}

func verifyFormats(t render.Text) map[string]format {
	return map[string]format{
		"text":     {"", func(w io.Writer, r *result) error { return render.VerifyText(w, r.report, t) }},
		"jsonl":    {"records.jsonl", writeRecords},
		"junit":    {"junit.xml", func(w io.Writer, r *result) error { return render.JUnit(w, r.report) }},
		"markdown": {"report.md", func(w io.Writer, r *result) error { return render.VerifyMarkdown(w, r.report) }},
	}
}

func writeRecords(w io.Writer, r *result) error {
	out := record.NewWriter(w)
	if err := out.Run(r.run); err != nil {
		return err
	}
	for _, v := range r.verdicts {
		if err := out.Verdict(v); err != nil {
			return err
		}
	}
	return nil
}

// write writes the formats: the text to stdout, the others into --out, where the records always
// go, or to stdout if there is only one and no --out.
func (f *tourFlags) write(out io.Writer, r *result, formats map[string]format) error {
	names := slices.Clone(f.format)
	if f.out != "" {
		if err := os.MkdirAll(f.out, 0o755); err != nil { //nolint:gosec // a report is no secret
			return fmt.Errorf("make --out: %w", err)
		}
		if !slices.Contains(names, "jsonl") {
			names = append(names, "jsonl")
		}
	}
	for _, name := range names {
		to := formats[name]
		if f.out == "" || to.file == "" {
			if err := to.write(out, r); err != nil {
				return err
			}
			continue
		}
		if err := writeFile(filepath.Join(f.out, to.file), r, to.write); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path string, r *result, write func(io.Writer, *result) error) (err error) {
	file, err := os.Create(path) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file, r)
}
