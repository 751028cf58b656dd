package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/reports/digest"
	"cellwall/reports/render"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/lease"
)

// version is one side of a comparison that is measured.
type version struct {
	name    string // for a person: "HEAD~1 (a68b550c1234)", "./old"
	commit  string // empty where it is not known
	program string // the build
}

// runMeasured measures two versions and compares them.
func (f *compareFlags) runMeasured(c *cobra.Command, older, newer string, rows []*bench.Benchmark, s schedule, effect float64) (err error) {
	if err := needRoot("compare makes containers and cgroups"); err != nil {
		return err
	}
	var undo cleanup.Stack
	defer func() { err = errors.Join(err, done(undo.Close())) }()
	versions, err := f.versions(c, older, newer, &undo)
	if err != nil {
		return done(err)
	}
	rows, notes, err := f.known(c.Context(), rows, versions)
	if err != nil {
		return done(err)
	}
	m, more, err := f.comparer(c, rows, versions, effect)
	if err != nil {
		return done(err)
	}
	r, err := m.compare(c.Context(), s, func(title string) func(int, int, float64) { return progressOf(c.ErrOrStderr(), title) })
	if err != nil {
		return done(err)
	}
	r.Old, r.New, r.Effect = versions[0].name, versions[1].name, effect
	r.Notes = slices.Concat(notes, more, r.Notes)
	if err := f.writeCompare(c.OutOrStdout(), r); err != nil {
		return done(err)
	}
	return r.verdict()
}

// versions finds or builds both sides. The builds are in the directory of a lease, so that cellwall clean knows
// whose they are.
func (f *compareFlags) versions(c *cobra.Command, older, newer string, undo *cleanup.Stack) (of [2]version, err error) {
	if !f.build {
		return findBinaries(c.ErrOrStderr(), older, newer)
	}
	held, err := lease.Take(lease.Default)
	if err != nil {
		return of, err
	}
	undo.Push("give back the lease", held.Close)
	dir, err := held.Unrestricted(lease.OnDisk)
	if err != nil {
		return of, err
	}
	return buildRevisions(c.Context(), c.ErrOrStderr(), dir, older, newer)
}

// comparer makes the subjects of both sides.
func (f *compareFlags) comparer(c *cobra.Command, rows []*bench.Benchmark, versions [2]version, effect float64) (_ *comparer, notes []string, err error) {
	own, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	m := &comparer{
		rows: rows, control: runner.Control(own), selection: f.only, effect: effect, seed: f.seed, warmup: f.warmup, programs: map[string]string{},
	}
	if m.seed == 0 {
		m.seed = rand.Uint64()>>1 | 1 // an order, no secret
	}
	for i, side := range []string{digest.OldSide, digest.NewSide} {
		subjects, absent, err := f.subjects(c.Context(), versions[i].program)
		if err != nil {
			return nil, nil, err
		}
		if i == 0 && len(absent) > 0 {
			notes = append(notes, "Not on this host, and not measured: "+strings.Join(absent, ", ")+".")
		}
		for _, s := range sided(side, subjects) {
			m.subjects = append(m.subjects, s)
			m.programs[s.Label] = versions[i].commit
		}
	}
	return m, notes, f.planted(m.subjects)
}

// compare measures, and measures once more what seems to have changed. progress makes what is told how far
// each of the two is.
func (m *comparer) compare(ctx context.Context, s schedule, progress func(title string) func(round, rounds int, share float64)) (*compareReport, error) {
	r := &compareReport{}
	m.tell = progress(count(len(m.rows), "benchmark"))
	var err error
	if r.first, r.broken, err = m.run(ctx, s); err != nil {
		return nil, err
	}
	runs, err := digested(r.first)
	if err != nil {
		return nil, errors.Join(r.broken, err)
	}
	if r.Changes, err = digest.Together(runs); err != nil {
		return nil, errors.Join(r.broken, err)
	}
	r.Run = r.first[0].run
	r.Notes = append(r.Notes, fmt.Sprintf("Both took turns in %d rounds with fresh processes, seed %d; each round is one of the ratios that an interval is made of.", s.rounds, m.seed))
	if !slices.ContainsFunc(r.Changes, func(c digest.Change) bool { return c.Candidate() }) {
		return r, nil
	}
	again := m.only(r.Changes, r.first)
	again.tell = progress(count(len(again.rows), "benchmark") + ", once more")
	fresh, broken, err := again.run(ctx, s.of(len(again.rows), len(m.rows)))
	if r.broken = errors.Join(r.broken, broken, err); err != nil {
		return r, nil //nolint:nilerr // it is in the report
	}
	r.fresh = fresh
	if runs, err = digested(fresh); err == nil {
		err = digest.Confirm(r.Changes, runs)
	}
	r.broken = errors.Join(r.broken, err)
	return r, nil
}

// count is "1 benchmark" or "3 benchmarks".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// progressOf tells on a stream how many rounds are behind.
func progressOf(out io.Writer, title string) func(round, rounds int, share float64) {
	width, is := terminalWidth(out)
	p := &render.BenchProgress{Out: out, Terminal: is, Width: width}
	return func(round, rounds int, share float64) {
		p.Step("round of "+title, round, rounds, share)
		if share >= 1 {
			p.Finish()
		}
	}
}

// known leaves out the benchmarks that a version does not know, and says which.
func (f *compareFlags) known(ctx context.Context, rows []*bench.Benchmark, versions [2]version) (kept []*bench.Benchmark, notes []string, err error) {
	kept = rows
	for _, v := range versions {
		out, err := exec.CommandContext(ctx, v.program, "bench", "--list").Output()
		if ctx.Err() != nil {
			return nil, nil, errors.New("interrupted")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s has no benchmarks, as %s bench --list fails (%w): it is no cellwall, or one from before cellwall bench", v.name, v.program, err)
		}
		names := map[string]bool{}
		for line := range strings.Lines(string(out)) {
			name, _, _ := strings.Cut(line, " ")
			names[name] = true
		}
		var lost []string
		kept = slices.DeleteFunc(slices.Clone(kept), func(b *bench.Benchmark) bool {
			if !names[b.Name] {
				lost = append(lost, b.Name)
			}
			return !names[b.Name]
		})
		if len(lost) > 0 {
			notes = append(notes, fmt.Sprintf("%s does not know %s.", v.name, strings.Join(lost, ", ")))
		}
	}
	if len(kept) == 0 {
		return nil, nil, misuse("--only %s: there is none that both have: %s", strings.Join(f.only, ","), strings.Join(notes, " "))
	}
	return kept, notes, nil
}
