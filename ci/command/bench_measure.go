package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/claim"
)

// measure runs the workers. stopped is why the run is not complete.
func (f *benchFlags) measure(c *cobra.Command, rows []*bench.Benchmark, rule runner.Rule, effect float64) (r benchReport, stopped, err error) {
	if err := needRoot("bench makes containers and cgroups"); err != nil {
		return r, nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return r, nil, fmt.Errorf("find this program: %w", err)
	}
	subjects, absent, err := f.subjects(c.Context(), program)
	if err != nil {
		return r, nil, err
	}
	if len(absent) > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "not on this host, and not measured: %s\n", strings.Join(absent, ", "))
	}
	limit, undo, err := f.buildLimit(c, rows)
	if err != nil {
		return r, nil, err
	}
	defer func() { err = errors.Join(err, undo()) }()
	if limit != nil {
		limit.Program = program
		subjects = append(subjects, *limit)
	}
	if err := f.planted(subjects); err != nil {
		return r, nil, err
	}
	if f.seed == 0 {
		f.seed = rand.Uint64()>>1 | 1 // an order, no secret
	}
	width, is := terminalWidth(c.ErrOrStderr())
	progress := &render.BenchProgress{Out: c.ErrOrStderr(), Terminal: is, Width: width}
	plan := runner.Plan{
		Benchmarks: rows, Subjects: append(subjects, runner.Control(program)), Rule: rule, Seed: f.seed, Warmup: f.warmup,
		Tell: func(s runner.Step) { progress.Step(s.Benchmark, s.At, s.Of, s.Share) },
	}
	r.Run, err = runner.Describe(c.Context(), plan, f.only, effect)
	if err != nil {
		return r, nil, err
	}
	r.Run.Absent = absent
	r.benches, stopped = runner.Run(c.Context(), r.Run.ID, plan)
	progress.Finish()
	if context.Cause(c.Context()) != nil {
		stopped = fmt.Errorf("interrupted after %d records", len(r.benches))
	}
	if err := runner.Finished(&r.Run, r.benches, stopped); err != nil {
		return r, nil, err
	}
	if len(r.benches) == 0 {
		return r, stopped, nil
	}
	set := record.Set{Runs: []record.Run{r.Run}, Benches: r.benches}
	_, measured, err := set.Measured(1)
	if err != nil {
		return r, nil, err
	}
	r.Rows, err = digest.Rows(measured)
	return r, stopped, err
}

// subjects are every runtime at every rung.
func (f *benchFlags) subjects(ctx context.Context, program string) (subjects []runner.Subject, absent []string, err error) {
	// The core is there: a worker makes its own.
	runtimes, absent, err := findRuntimes(ctx, f.runtimes, driver.NewCore(nil))
	if err != nil {
		return nil, nil, err
	}
	asked := f.runtimes
	if slices.Contains(asked, everyRuntime) {
		asked = nil
		for _, rt := range runtimes {
			asked = append(asked, rt.Name())
		}
	}
	for i, rt := range runtimes {
		rungs := []spec.Rung{claim.DefaultRung(rt)}
		if len(f.rungs) > 0 {
			rungs = nil
			for _, r := range f.rungs {
				rungs = append(rungs, spec.Rung(r))
			}
		}
		for _, rung := range rungs {
			if !rung.Covers(rt.Floor()) {
				return nil, nil, misuse("--rung %s: %s makes no container below %s", rung, rt.Name(), rt.Floor())
			}
			label := rt.Name()
			if len(rungs) > 1 {
				label += " at " + string(rung)
			}
			subjects = append(subjects, runner.Subject{Label: label, Program: program, Runtime: asked[i], Rung: rung})
		}
	}
	return subjects, absent, nil
}

// planted slows a subject down.
func (f *benchFlags) planted(subjects []runner.Subject) error {
	if f.plant == "" {
		return nil
	}
	label, text, _ := strings.Cut(f.plant, "=")
	x, err := share("plant", text)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(subjects, func(s runner.Subject) bool { return s.Label == label })
	if at < 0 || x == 0 {
		return misuse("--plant %q: want SUBJECT=5%%, with a subject of this run", f.plant)
	}
	subjects[at].Planted = x
	return nil
}
