// Package runner lets the subjects of a benchmark take turns and keeps what they show as records.
//
// Subjects are measured in blocks. Within a block each is measured twice, in a random order and in that
// order backwards, so that a drift of the host hits all alike. A control that makes no container takes part
// like a subject. When to stop is fixed beforehand and never depends on who is ahead.
package runner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"cellwall/bench"
	"cellwall/bench/worker"
	"cellwall/runtime/spec"
)

// Subject is something that is measured.
type Subject struct {
	// Label is unique in a plan: what tables call the subject.
	Label string
	// Program is the build of cellwall that is its worker.
	Program string
	// Runtime is as driver.Find takes it; in the control bench.HostName.
	Runtime string
	Rung    spec.Rung
	// Limit is the C limit's program in place of a runtime; empty: none.
	Limit string
	// Control marks the one that is no subject: see Control.
	Control bool
	// Planted is a slowdown on purpose, as a share of the subject's own median: 0.05 is 5 %.
	Planted float64
}

// Control is the control of a plan whose workers are program.
func Control(program string) Subject {
	return Subject{Label: "control", Program: program, Runtime: bench.HostName, Rung: spec.Bare, Control: true}
}

// options are those of the subject's worker.
func (s Subject) options() worker.Options {
	return worker.Options{Runtime: s.Runtime, Rung: s.Rung, Limit: s.Limit}
}

// Rule says when a benchmark ends. One field of the first three is set.
type Rule struct {
	// Samples is how many each subject gives; blocks have two each, so it is rounded up to an even number.
	Samples int
	// For is how long all benchmarks together last, in equal shares. Each has leastBlocks at least.
	For time.Duration
	// Width is the relative width that the confidence interval of every subject's median is to have,
	// high less low over the median: 0.02. Most bounds the samples that it may take.
	Width float64
	Most  int
}

// leastBlocks is the number with which a comparison can be made at all: stats.Compare at 95 %.
const leastBlocks = 6

// DefaultMost is how many samples a wanted width may take where Most is 0.
const DefaultMost = 1000

// most is the bound of a wanted width.
func (r Rule) most() int {
	if r.Most > 0 {
		return r.Most
	}
	return DefaultMost
}

// Words says the rule in words, for n benchmarks.
func (r Rule) Words(n int) string {
	switch {
	case r.Samples > 0:
		return fmt.Sprintf("%d samples", 2*blocksFor(r.Samples))
	case r.For > 0 && n > 1:
		return fmt.Sprintf("%s for %d benchmarks", r.For, n)
	case r.For > 0:
		return r.For.String()
	}
	return fmt.Sprintf("%g%% wide, at most %d samples", 100*r.Width, r.most())
}

// blocksFor is how many blocks give n samples.
func blocksFor(n int) int { return (n + 1) / 2 }

// Plan is what a run measures.
type Plan struct {
	Benchmarks []*bench.Benchmark
	Subjects   []Subject // one of them the control
	Rule       Rule
	// Seed makes the order. Every benchmark has one of its own, made of it and of its name.
	Seed uint64
	// Warmup is how many samples of each subject come before the first block and are thrown away.
	Warmup int
	// Start starts a subject's worker; nil is StartWorker.
	Start func(context.Context, Subject) (Taker, error)
	// Tell is told how far the run is; nil tells nobody.
	Tell func(Step)
	// Now is the clock by which Rule.For is kept; nil is the host's.
	Now func() time.Time
}

// Step is how far a run is.
type Step struct {
	Benchmark string
	At, Of    int     // the benchmark's number, from 1, and how many there are
	Share     float64 // of the whole run that is behind, from 0 to 1, as far as can be told
}

// Taker takes samples: a worker.
type Taker interface {
	Open(ctx context.Context, benchmark string) error
	Sample(ctx context.Context, n int) ([]bench.Value, error)
	Plant(context.Context, bench.Planted) error
	CloseBenchmark(context.Context) error
	Close() error
	// Says is what it has said of itself.
	Says() worker.Hello
}

// StartWorker starts the worker of a subject.
func StartWorker(ctx context.Context, s Subject) (Taker, error) {
	return worker.Start(ctx, s.Label, s.Program, s.options().Args()...)
}

// Check says what is wrong with a plan, before anything is started.
func (p *Plan) Check() error {
	rules := 0
	for _, set := range []bool{p.Rule.Samples > 0, p.Rule.For > 0, p.Rule.Width > 0} {
		if set {
			rules++
		}
	}
	var labels []string
	controls := 0
	for _, s := range p.Subjects {
		if slices.Contains(labels, s.Label) {
			return fmt.Errorf("two subjects are named %q", s.Label)
		}
		labels = append(labels, s.Label)
		if s.Control {
			controls++
		}
	}
	switch {
	case len(p.Benchmarks) == 0:
		return errors.New("the plan has no benchmark")
	case rules != 1:
		return errors.New("the plan has to have one rule for when to stop: samples, a time or a width")
	case controls != 1:
		return fmt.Errorf("the plan has to have one control, not %d", controls)
	case len(p.Subjects) < 2:
		return errors.New("the plan has no subject but its control")
	case p.Warmup < 0:
		return fmt.Errorf("a warm-up of %d samples makes no sense", p.Warmup)
	}
	return nil
}

// sets are the subjects that take turns with each other on a benchmark: all, or for a benchmark that
// measures one at a time each beside the control.
func sets(b *bench.Benchmark, subjects []*member) [][]*member {
	if !b.Alone {
		return [][]*member{subjects}
	}
	at := slices.IndexFunc(subjects, func(m *member) bool { return m.subject.Control })
	var all [][]*member
	for i, m := range subjects {
		if i != at {
			all = append(all, []*member{subjects[at], m})
		}
	}
	return all
}

// order is the order of the turns in one block: a permutation of n, and the same backwards.
func order(r *rand.Rand, n int) []int {
	turns := r.Perm(n)
	for i := n - 1; i >= 0; i-- {
		turns = append(turns, turns[i])
	}
	return turns
}

// seedOf is the seed of a benchmark.
func seedOf(seed uint64, benchmark string) uint64 {
	// FNV-1a, so that a benchmark has the same order whatever else is measured.
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range []byte(benchmark) {
		h = (h ^ uint64(c)) * prime
	}
	return h ^ seed
}
