package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/suites/guarantee"
)

// runFiles compares the records of two files or directories.
func (f *compareFlags) runFiles(c *cobra.Command, older, newer string, effect float64) error {
	for _, glob := range f.only {
		if _, err := path.Match(glob, ""); err != nil {
			return misuse("--only %q: %w", glob, err)
		}
	}
	readsOnly()
	var sides [2][]record.Set
	seen := map[string]string{}
	for i, arg := range []string{older, newer} {
		sets, err := readBenches(c.ErrOrStderr(), arg, f.only)
		if err != nil {
			return misuse("%w (records are what cellwall bench --out DIR writes to DIR/bench.jsonl; revisions go with --build, programs with --binary)", err)
		}
		for _, set := range sets {
			id := set.Runs[0].ID
			if other, twice := seen[id]; twice {
				return misuse("run %.40q is in %s and in %s: a run says nothing about itself", id, other, arg)
			}
			seen[id] = arg
		}
		sides[i] = sets
	}
	if err := f.sameHost(c.ErrOrStderr(), sides, older, newer); err != nil {
		return err
	}
	r := &compareReport{}
	r.Old, r.New, r.Effect, r.Apart = older, newer, effect, true
	many := min(len(sides[0]), len(sides[1])) >= digest.ManyRuns
	var runs [2][]digest.Measurement
	for i, sets := range sides {
		for _, set := range sets {
			run, measured, err := set.Measured(leastSamples(many))
			if err != nil {
				return misuse("%w", err)
			}
			runs[i] = append(runs[i], digest.Measurement{Run: run, Benchmarks: measured})
		}
	}
	var err error
	if r.Changes, err = digest.Apart(runs[0], runs[1]); err != nil {
		return misuse("%w", err)
	}
	r.Run = runs[1][0].Run
	r.Notes = apartNotes(len(runs[0]), len(runs[1]), many)
	r.Notes = append(r.Notes, onOneSide(runs)...)
	if err := f.writeCompare(c.OutOrStdout(), r); err != nil {
		return done(err)
	}
	var missed []string
	for i := range r.Changes {
		ch := &r.Changes[i]
		if says := ch.Says(effect); says == digest.TooNoisy || effect > 0 && says == digest.NoRatio && !ch.Nowhere {
			missed = append(missed, ch.Benchmark)
		}
	}
	if len(missed) > 0 {
		return coded{exitInconclusive, fmt.Errorf("a change of %s could have been missed in %s: measure longer, more runs, or with cellwall compare --build", f.effect, strings.Join(missed, ", "))}
	}
	return nil
}

// leastSamples is how many a record must have: where blocks are compared, two for each of the fewest with
// which that can be done.
func leastSamples(manyRuns bool) int {
	if manyRuns {
		return 1
	}
	return 2 * digest.ManyRuns
}

// apartNotes say how far the comparison of separate runs goes.
func apartNotes(older, newer int, many bool) []string {
	list := []string{fmt.Sprintf("They were measured in %s and %s of their own, so each sample is taken over the control of its run where that is in the same unit, which takes away how fast the host was.",
		count(older, "run"), count(newer, "run"))}
	if many {
		return append(list, "Each run is one of the ratios that an interval is made of.")
	}
	return append(list, fmt.Sprintf("With less than %d runs on a side the blocks of the runs are what an interval is made of: what differs from run to run is not in it. "+
		"Take a difference as a reason to measure with cellwall compare --build.", digest.ManyRuns))
}

// onOneSide names what could not be compared as only one side has it.
func onOneSide(runs [2][]digest.Measurement) []string {
	var keys [2][]string
	for i, side := range runs {
		for _, run := range side {
			for _, m := range run.Benchmarks {
				for _, b := range m.Subjects {
					if k := b.Benchmark + " on " + b.Runtime + " at " + b.Rung; !slices.Contains(keys[i], k) {
						keys[i] = append(keys[i], k)
					}
				}
			}
		}
	}
	var notes []string
	for i, name := range []string{digest.OldSide, digest.NewSide} {
		only := slices.DeleteFunc(slices.Clone(keys[i]), func(k string) bool { return slices.Contains(keys[1-i], k) })
		if len(only) > 0 {
			notes = append(notes, "Only on the "+name+" side: "+strings.Join(only, ", ")+".")
		}
	}
	return notes
}

// sameHost refuses to compare what different hosts have shown.
func (f *compareFlags) sameHost(errs io.Writer, sides [2][]record.Set, older, newer string) error {
	var hosts [2][]string
	for i, side := range sides {
		for _, set := range side {
			r := set.Runs[0]
			if h := fmt.Sprintf("%s %s with %d CPUs", r.Kernel, r.Machine, r.CPUs); !slices.Contains(hosts[i], h) {
				hosts[i] = append(hosts[i], h)
			}
		}
	}
	if len(hosts[0]) == 1 && slices.Equal(hosts[0], hosts[1]) {
		return nil
	}
	differ := fmt.Sprintf("the hosts differ: %s is of %s, and %s of %s", older, strings.Join(hosts[0], ", "), newer, strings.Join(hosts[1], ", "))
	if !f.force {
		return misuse("%s: a difference would be theirs: measure on one host, or compare all the same with --force", differ)
	}
	fmt.Fprintf(errs, "%s: a difference may be theirs\n", differ)
	return nil
}

// readBenches reads the runs of a file, or of the .jsonl files of a directory: a set for each run, with the
// benchmarks that the globs match.
func readBenches(errs io.Writer, from string, globs []string) ([]record.Set, error) {
	files := []string{from}
	info, err := os.Stat(from)
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(escapeGlob(from), "*.jsonl")); err != nil {
			return nil, fmt.Errorf("read records: %s: %w", from, err)
		}
	}
	var sets []record.Set
	held := 0
	for _, file := range files {
		set, err := readSet(file)
		if err != nil {
			return nil, err
		}
		if info.IsDir() && len(set.Benches) == 0 {
			fmt.Fprintf(errs, "%s holds no samples and is left out\n", file)
			continue
		}
		held += len(set.Benches)
		runs, err := splitRuns(file, set, globs)
		if err != nil {
			return nil, err
		}
		sets = append(sets, runs...)
	}
	switch {
	case held == 0:
		return nil, fmt.Errorf("%s holds no samples", from)
	case len(sets) == 0:
		return nil, fmt.Errorf("%s: --only %s matches none of its benchmarks", from, strings.Join(globs, ","))
	}
	return sets, nil
}

// escapeGlob makes a pattern that matches a name.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

func readSet(path string) (_ record.Set, err error) {
	file, err := os.Open(path)
	if err != nil {
		return record.Set{}, fmt.Errorf("read records: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return record.Read(path, file)
}

// splitRuns makes a set of each run of a file, with the benchmarks that the globs match.
func splitRuns(file string, set record.Set, globs []string) ([]record.Set, error) {
	var runs []record.Set
	at := map[string]int{}
	for _, r := range set.Runs {
		if _, twice := at[r.ID]; twice {
			return nil, fmt.Errorf("%s: run %.40q is there twice", file, r.ID)
		}
		at[r.ID] = len(runs)
		runs = append(runs, record.Set{Runs: []record.Run{r}})
	}
	for _, b := range set.Benches {
		i, known := at[b.Run]
		if !known {
			return nil, fmt.Errorf("%s: benchmark %.40q: it is of run %.40q, which is not described: the file has lost its start", b.Where(), b.Benchmark, b.Run)
		}
		if guarantee.Match(globs, b.Benchmark) {
			runs[i].Benches = append(runs[i].Benches, b)
		}
	}
	return slices.DeleteFunc(runs, func(s record.Set) bool { return len(s.Benches) == 0 }), nil
}
