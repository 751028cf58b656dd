package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/bench/worker"
	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// A comparison has defaultRounds, or where that would leave too little for each at least leastRounds: with
// fewer no difference could be found in a table of ten rows. A round of a wanted time lasts shortRound.
const (
	defaultRounds = 20
	leastRounds   = 10
	shortRound    = 3 * time.Second
)

// schedule is how often both versions are started afresh, and how long they take turns each time. It is
// fixed before anything is measured.
type schedule struct {
	rounds int
	rule   runner.Rule // of a round
}

// schedule reads it from the flags.
func (f *compareFlags) schedule() (schedule, error) {
	rule, err := f.rule()
	if err != nil {
		return schedule{}, err
	}
	s := schedule{rounds: defaultRounds, rule: rule}
	switch {
	case rule.For > 0:
		s.rounds = min(max(int(rule.For/shortRound), leastRounds), defaultRounds)
		if s.rule.For = rule.For / time.Duration(s.rounds); s.rule.For == 0 {
			return schedule{}, misuse("--for %s: want a time for %d rounds, such as 60s", rule.For, s.rounds)
		}
	case f.samples == 0:
		s.rule.Samples = defaultComparedSamples / s.rounds
	case rule.Samples < 2*leastRounds:
		return schedule{}, misuse("--samples %d: want %d or more, two for each of %d rounds", f.samples, 2*leastRounds, leastRounds)
	default:
		s.rounds = min(rule.Samples/2, defaultRounds)
		s.rule.Samples = (rule.Samples + s.rounds - 1) / s.rounds
	}
	return s, nil
}

// of is the same schedule for n of the benchmarks of all: each has as long as it had.
func (s schedule) of(n, all int) schedule {
	s.rule.For = s.rule.For * time.Duration(n) / time.Duration(all)
	return s
}

// measurement is a run as it is stored.
type measurement struct {
	run     record.Run
	benches []record.Bench
}

// comparer lets two versions take turns.
type comparer struct {
	rows      []*bench.Benchmark
	subjects  []runner.Subject // of both sides, and not the control
	control   runner.Subject
	selection []string
	effect    float64
	seed      uint64
	warmup    int
	// programs says which cellwall a subject is, by its label, where the program does not know; nil: it does.
	programs map[string]string
	start    func(context.Context, runner.Subject) (runner.Taker, error)
	tell     func(round, rounds int, share float64)
}

// run measures the rounds of a schedule. A benchmark that fails is left out of all rounds, and broken says
// why; where a worker dies or the run is interrupted there is no result.
func (m *comparer) run(ctx context.Context, s schedule) (rounds []measurement, broken, err error) {
	rows := m.rows
	for i := range s.rounds {
		p := runner.Plan{
			Benchmarks: rows, Subjects: m.subjects, Rule: s.rule, Seed: m.seed + uint64(i), Warmup: m.warmup, Start: m.start,
			Tell: func(step runner.Step) { m.tell(i+1, s.rounds, (float64(i)+step.Share)/float64(s.rounds)) },
		}
		// Which side is started first alternates. It is the order only where one is measured after the other.
		if i%2 == 1 {
			p.Subjects = slices.Clone(m.subjects)
			slices.Reverse(p.Subjects)
		}
		p.Subjects = append(slices.Clip(p.Subjects), m.control)
		run, err := runner.Describe(ctx, p, m.selection, m.effect)
		if err != nil {
			return nil, nil, err
		}
		run.Benching.Rule = fmt.Sprintf("round %d of %d: %s", i+1, s.rounds, run.Benching.Rule)
		benches, failed := runner.Run(ctx, run.ID, p)
		switch {
		case context.Cause(ctx) != nil:
			return nil, nil, fmt.Errorf("interrupted in round %d of %d", i+1, s.rounds)
		case errors.Is(failed, worker.ErrGone) || failed != nil && len(benches) == 0:
			return nil, nil, fmt.Errorf("stopped in round %d of %d: %w", i+1, s.rounds, failed)
		case failed != nil:
			broken = errors.Join(broken, failed)
			rows = slices.DeleteFunc(slices.Clone(rows), func(b *bench.Benchmark) bool { return !has(benches, b.Name) })
		}
		if err := runner.Finished(&run, benches, failed); err != nil {
			return nil, nil, err
		}
		for j := range benches {
			if version := m.programs[benches[j].Subject]; version != "" {
				benches[j].Program = version
			}
		}
		rounds = append(rounds, measurement{run, benches})
	}
	for i := range rounds {
		rounds[i].benches = slices.DeleteFunc(rounds[i].benches, func(b record.Bench) bool {
			return !slices.ContainsFunc(rows, func(row *bench.Benchmark) bool { return row.Name == b.Benchmark })
		})
	}
	return rounds, broken, nil
}

func has(benches []record.Bench, name string) bool {
	return slices.ContainsFunc(benches, func(b record.Bench) bool { return b.Benchmark == name })
}

// only is a comparer of the benchmarks and the subjects that have candidates.
func (m comparer) only(changes []digest.Change, rounds []measurement) *comparer {
	var names, labels []string
	for _, c := range changes {
		if !c.Candidate() {
			continue
		}
		names = append(names, c.Benchmark)
		for _, b := range rounds[0].benches {
			if b.Benchmark == c.Benchmark && b.Runtime == c.Runtime && b.Rung == c.Rung {
				labels = append(labels, b.Subject)
			}
		}
	}
	m.rows = slices.DeleteFunc(slices.Clone(m.rows), func(b *bench.Benchmark) bool { return !slices.Contains(names, b.Name) })
	m.subjects = slices.DeleteFunc(slices.Clone(m.subjects), func(s runner.Subject) bool { return !slices.Contains(labels, s.Label) })
	m.seed += defaultRounds
	return &m
}

// digested is what statements are made of.
func digested(rounds []measurement) ([]digest.Measurement, error) {
	var all []digest.Measurement
	for _, r := range rounds {
		set := record.Set{Runs: []record.Run{r.run}, Benches: r.benches}
		run, measured, err := set.Measured(1)
		if err != nil {
			return nil, err
		}
		all = append(all, digest.Measurement{Run: run, Benchmarks: measured})
	}
	return all, nil
}

// sided gives subjects the name of a side. Where there is one of each, it is the side.
func sided(side string, subjects []runner.Subject) []runner.Subject {
	named := slices.Clone(subjects)
	for i := range named {
		named[i].Label = strings.TrimSpace(side + " " + map[bool]string{true: named[i].Label}[len(named) > 1])
	}
	return named
}
