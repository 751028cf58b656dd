package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/bench/interfere"
	"cellwall/bench/runner"
	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/lease"
)

// interferenceReport is a run of interferences, and its records as they are stored.
type interferenceReport struct {
	render.Interference
	records []record.Interference
}

// measure runs a plan. stopped is why the run is not complete.
func (f *interfereFlags) measure(c *cobra.Command, p interfere.Plan) (r interferenceReport, stopped, err error) {
	if err := needRoot("interfere makes containers and cgroups"); err != nil {
		return r, nil, err
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()>>1 | 1 // an order, no secret
	}
	p.Seed = f.seed
	run, err := runner.Describe(c.Context(), runner.Plan{Seed: p.Seed}, nil, 0)
	if err != nil {
		return r, nil, err
	}
	run.Benching.Rule = fmt.Sprintf("%d blocks of four turns of %s", p.Blocks, p.Window)
	if p.Blocks == 0 {
		run.Benching.Rule = fmt.Sprintf("%s for %s, in turns of %s", p.For, count(len(p.Pairs), "pair"), p.Window)
	}
	host, err := interfere.NewHost(c.Context(), lease.Default, f.runtime)
	if err != nil {
		return r, nil, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	run.Runtimes = []record.Runtime{{Name: host.Runtime.Name(), Version: host.Version}}
	width, is := terminalWidth(c.ErrOrStderr())
	progress := &render.BenchProgress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
	p.Tell = func(s interfere.Step) { progress.Step(s.Pair, s.At, s.Of, s.Share) }
	r.records, stopped = host.Run(c.Context(), run.ID, p)
	progress.Finish()
	if context.Cause(c.Context()) != nil {
		stopped = fmt.Errorf("interrupted after %d records", len(r.records))
	}
	if err := runner.Finished(&run, nil, stopped); err != nil {
		return r, nil, err
	}
	r.Runs = []record.Run{run}
	r.Cells, err = digest.Cells(r.records)
	return r, stopped, err
}

// readInterference reads the records of one run or several.
func readInterference(paths []string) (r interferenceReport, err error) {
	var all record.Set
	for _, path := range paths {
		set, err := readSet(path)
		if err != nil {
			return r, err
		}
		all.Runs, all.Interferences = append(all.Runs, set.Runs...), append(all.Interferences, set.Interferences...)
	}
	if r.Runs, r.records, err = all.Interfered(); err == nil {
		r.Cells, err = digest.Cells(r.records)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", strings.Join(paths, ","), err)
	}
	return r, nil
}

// interfereFormats are the ways to write a run; writeInterference knows how each is written.
func interfereFormats() []format {
	return []format{{name: "text"}, {name: "markdown"}, {name: "svg"}, {name: "jsonl"}}
}

// writeInterference writes the formats, and with --out always the records.
func (f *interfereFlags) writeInterference(out io.Writer, r interferenceReport) error {
	text := f.text(out)
	return f.write(out, render.Report{}, []format{
		{name: "text", write: func(w io.Writer, _ render.Report) error { return render.InterferenceText(w, r.Interference, text) }},
		{name: "markdown", file: "interference.md", write: func(w io.Writer, _ render.Report) error { return render.InterferenceMarkdown(w, r.Interference) }},
		{name: "svg", file: "interference.svg", write: func(w io.Writer, _ render.Report) error { return render.InterferenceSVG(w, r.Interference) }},
		{name: "jsonl", file: "interference.jsonl", always: true, write: func(w io.Writer, _ render.Report) error { return r.writeRecords(w) }},
	})
}

func (r interferenceReport) writeRecords(w io.Writer) error {
	out := record.NewWriter(w)
	for _, run := range r.Runs {
		if err := out.Run(run); err != nil {
			return err
		}
	}
	for _, i := range r.records {
		if err := out.Interference(i); err != nil {
			return err
		}
	}
	return nil
}
