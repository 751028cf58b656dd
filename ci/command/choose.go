package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"cellwall/reports/record"
	"cellwall/runtime/driver"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/isolation"
	"cellwall/suites/judge"
)

// rungsOf are the rungs at which a runtime is tried.
type rungsOf func(driver.Runtime) []spec.Rung

// wantedAt reports whether a row is tried at a rung.
type wantedAt func(spec.Rung, *guarantee.Guarantee) bool

// choice is what a runtime is tried on: subjects that have no judge yet.
type choice struct {
	runtime  driver.Runtime
	subjects []isolation.Subject
}

// choose selects the rows for every runtime. One that has none at a rung is named, since silence would
// look like success; where somebody asks for that runtime by its name it is an error.
func (f *tourFlags) choose(runtimes []driver.Runtime, rungs rungsOf, wanted wantedAt) (chosen []choice, unasked []string, err error) {
	named, err := f.named()
	if err != nil {
		return nil, nil, err
	}
	for _, rt := range runtimes {
		c := choice{runtime: rt}
		for _, rung := range rungs(rt) {
			s := isolation.Subject{Rung: rung}
			for _, g := range guarantee.All() {
				if guarantee.Match(f.only, g.ID) && wanted(rung, g) {
					s.Rows = append(s.Rows, g)
				}
			}
			switch {
			case len(s.Rows) > 0:
				c.subjects = append(c.subjects, s)
			case slices.Contains(named, rt.Name()):
				return nil, nil, misuse("no guarantee of the selection is for %s at rung %s", rt.Name(), rung)
			default:
				unasked = append(unasked, rt.Name()+" at "+string(rung))
			}
		}
		if len(c.subjects) > 0 {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, nil, misuse("no guarantee of the selection is for any of %s", strings.Join(unasked, ", "))
	}
	return chosen, unasked, nil
}

// named are the runtimes that somebody asks for, as verdicts call them.
func (f *tourFlags) named() ([]string, error) {
	if slices.Contains(f.runtimes, everyRuntime) {
		return requiredRuntimes()
	}
	var names []string
	for _, name := range f.runtimes {
		names = append(names, shortName(name))
	}
	return names, nil
}

// tellOfSilent names the runtimes of which there will be no verdict.
func tellOfSilent(out io.Writer, absent, idle, unasked []string) {
	if len(absent) > 0 {
		fmt.Fprintf(out, "not on this host, and not verified: %s\n", strings.Join(absent, ", "))
	}
	for _, one := range idle {
		fmt.Fprintln(out, one)
	}
	if len(unasked) > 0 {
		fmt.Fprintf(out, "without a guarantee of the selection, and not verified: %s\n", strings.Join(unasked, ", "))
	}
}

// subjects are what is chosen, each with its judge, and what the records say of the runtimes. One that
// starts no container here is no subject but one of idle, each with the reason; where somebody asks for
// it by its name that is an error.
func (f *tourFlags) subjects(ctx context.Context, run *judge.Run, chosen []choice) (subjects []isolation.Subject, described []record.Runtime, idle []string, err error) {
	named, err := f.named()
	if err != nil {
		return nil, nil, nil, err
	}
	for _, c := range chosen {
		j, err := run.Judge(ctx, c.runtime)
		if err != nil {
			return nil, nil, nil, err
		}
		switch err := canStart(ctx, j); {
		case err == nil:
		case ctx.Err() != nil || slices.Contains(named, c.runtime.Name()):
			return nil, nil, nil, err
		default:
			idle = append(idle, oneLine(err))
			continue
		}
		j.Strict = f.strict
		if i := slices.IndexFunc(f.runtimes, func(name string) bool { return shortName(name) == c.runtime.Name() }); i >= 0 {
			j.Asked = f.runtimes[i]
		}
		d := record.Runtime{Name: c.runtime.Name(), Version: j.Version}
		for _, edit := range c.runtime.Lacks() {
			d.Lacks = append(d.Lacks, edit.Name)
		}
		described = append(described, d)
		for _, s := range c.subjects {
			s.Judge = j
			subjects = append(subjects, s)
		}
	}
	return subjects, described, idle, nil
}

// canStart says why a runtime starts no container on this host. The core is spared: without it there is no
// control, and its rows say why.
func canStart(ctx context.Context, j *judge.Judge) error {
	if j.Runtime == j.Core {
		return nil
	}
	if err := j.Starts(ctx); err != nil {
		return fmt.Errorf("%s: does not start a container here: %w", j.Runtime.Name(), err)
	}
	return nil
}
