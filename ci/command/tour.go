package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/driver"
	"cellwall/runtime/lease"
	"cellwall/suites/guarantee"
	"cellwall/suites/isolation"
	"cellwall/suites/judge"
)

// tourFlags are the flags that verify and ladder share.
type tourFlags struct {
	outputFlags
	runtimes []string
	only     []string
	strict   bool
	records  int // a descriptor that gets each record as soon as it is there; 0 is none
}

func (f *tourFlags) add(c *cobra.Command, formats []format) {
	flags := c.Flags()
	flags.StringSliceVar(&f.runtimes, "runtime", []string{driver.CoreName}, "the runtimes to verify: "+driver.Forms()+"; "+everyRuntime+" means every runtime found")
	flags.StringSliceVar(&f.only, "only", nil, "globs of guarantee ids, such as 'fs.*,pids.fork-bomb'")
	flags.IntVar(&f.records, "records", 0, "a descriptor that gets each record as soon as it is there")
	flags.Lookup("records").Hidden = true // it is for cellwall matrix
	complete(c, "only", ids())
	complete(c, "runtime", append(driver.Names(), everyRuntime))
	f.outputFlags.add(c, formats)
}

// check refuses what names nothing, before anything runs.
func (f *tourFlags) check(formats []format) error {
	if err := checkRuntimes(f.runtimes); err != nil {
		return err
	}
	if err := checkIDs("--only ", f.only); err != nil {
		return err
	}
	return f.outputFlags.check(formats)
}

// checkIDs refuses globs that name no guarantee. flag stands before them in messages.
func checkIDs(flag string, globs []string) error {
	for _, glob := range globs {
		if glob == "" {
			return misuse("%s%q names nothing: without it all are tried", flag, glob)
		}
		if _, err := path.Match(glob, ""); err != nil {
			return misuse("%s%q: %w", flag, glob, err)
		}
		if slices.Contains(guarantee.Groups(), glob) {
			return misuse("%s%q is a group: name its guarantees, as '%s.*'", flag, glob, glob)
		}
		if !slices.ContainsFunc(guarantee.All(), func(g *guarantee.Guarantee) bool { return guarantee.Match([]string{glob}, g.ID) }) {
			return misuse("%s%q matches no guarantee: cellwall list shows them all", flag, glob)
		}
	}
	return nil
}

// result is what a tour has found.
type result struct {
	report  render.Report
	stopped error // the reason why it is not complete
}

// exit turns the verdicts into the exit code.
func (r *result) exit() error {
	breached, unclear, held := false, r.stopped != nil, 0
	claimed, known := map[string]int{}, map[string]int{} // by runtime: claims, and those that are answered
	for i := range r.report.Verdicts {
		v := &r.report.Verdicts[i]
		if v.Claimed {
			claimed[v.Runtime]++
		}
		if v.Claimed && v.Outcome == record.Held {
			held++
		}
		if v.Claimed && v.Outcome == record.Held || v.Known() {
			known[v.Runtime]++
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
	for _, rt := range r.report.Run.Runtimes {
		// One among others that claims nothing of the selection has nothing to prove.
		if claimed[rt.Name] > 0 && known[rt.Name] == 0 {
			return coded{exitInconclusive, fmt.Errorf("nothing was held by %s: this host proves nothing of it", rt.Name)}
		}
	}
	return nil
}

// tour tries every runtime at its rungs on the rows that are chosen and wanted there, with progress on
// stderr.
func (f *tourFlags) tour(c *cobra.Command, rungs rungsOf, wanted wantedAt) (_ *result, err error) {
	if err := needRoot(c.Name() + " makes containers and cgroups"); err != nil {
		return nil, err
	}
	run, err := judge.NewRun(lease.Default)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, run.Close()) }()
	runtimes, absent, err := findRuntimes(c.Context(), f.runtimes, run.Core)
	if err != nil {
		return nil, err
	}
	chosen, unasked, err := f.choose(runtimes, rungs, wanted)
	if err != nil {
		return nil, err
	}
	// All judges share the run, and the tour has them work one after another: the leak census of one
	// would take another's objects for its own runtime's.
	subjects, described, idle, err := f.subjects(c.Context(), run, chosen)
	if err != nil {
		return nil, err
	}
	tellOfSilent(c.ErrOrStderr(), absent, idle, unasked)
	r := &result{}
	if r.report.Run, err = run.Record(f.only, described, len(guarantee.All())); err != nil {
		return nil, err
	}
	if r.report.Run.Version, err = run.Core.Version(c.Context()); err != nil {
		return nil, err
	}
	r.report.Run.Absent, r.report.Run.Idle, r.report.Run.Unasked = absent, idle, unasked
	for _, s := range subjects {
		r.report.Run.Asked += len(s.Rows)
	}
	live := io.Discard
	if f.records > 0 {
		unix.CloseOnExec(f.records) // no runtime inherits it
		live = os.NewFile(uintptr(f.records), "records")
	}
	records := record.NewWriter(live)
	if err := records.Run(r.report.Run); err != nil {
		return nil, err
	}
	var lost error // a record that could not be written
	width, is := terminalWidth(c.ErrOrStderr())
	progress := &render.Progress{Out: c.ErrOrStderr(), Terminal: is, Width: width, Several: len(described) > 1}
	tour := isolation.Tour{Subjects: subjects, Begin: progress.Begin, Done: func(v record.Verdict) {
		progress.Done(v)
		lost = errors.Join(lost, records.Verdict(v))
		r.report.Verdicts = append(r.report.Verdicts, v)
	}}
	if _, err := os.Getwd(); err != nil {
		// Ginkgo would end this process for it, with the exit code of a breach and all that it has made.
		return nil, misuse("the working directory cannot be told: cd to another (%w)", err)
	}
	start := time.Now()
	progress.Start(r.report.Run.Asked)
	_, interrupted := tour.Run(c.Context(), io.Discard) // the verdicts say more than whether all stood
	progress.Finish()
	r.report.Elapsed = time.Since(start)
	if lost != nil {
		return nil, lost
	}
	if got := len(r.report.Verdicts); got < r.report.Run.Asked {
		// Silence is no verdict: rows that did not run are not held.
		r.stopped = fmt.Errorf("stopped after %d of %d guarantees", got, r.report.Run.Asked)
		if interrupted {
			r.stopped = fmt.Errorf("interrupted: %w", r.stopped)
		}
	}
	return r, nil
}
