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
	"cellwall/reports/record"
	"cellwall/reports/stats"
	"cellwall/runtime/kernel"
)

// member is a subject with its worker.
type member struct {
	subject Subject
	taker   Taker
	bench   *record.Bench // of the benchmark that is being measured
}

// run is a plan at work.
type run struct {
	*Plan
	name    string
	members []*member
	begun   time.Time
}

// Run measures a plan. It returns a record for every benchmark and subject, with name as their run. A
// benchmark that fails is left out, and named in the error; the others go on while all workers live.
func Run(ctx context.Context, name string, p Plan) (benches []record.Bench, err error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	if p.Start == nil {
		p.Start = StartWorker
	}
	if p.Tell == nil {
		p.Tell = func(Step) {}
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	r := &run{Plan: &p, name: name, begun: p.Now()}
	defer func() {
		for _, m := range r.members {
			err = errors.Join(err, m.taker.Close())
		}
	}()
	for _, s := range p.Subjects {
		taker, err := p.Start(ctx, s)
		if err != nil {
			return nil, err
		}
		r.members = append(r.members, &member{subject: s, taker: taker})
	}
	for i, b := range p.Benchmarks {
		r.tell(i, 0)
		done, failed := r.benchmark(ctx, i, b)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("benchmark %s: %w", b.Name, failed))
		}
		if ctx.Err() != nil || errors.Is(failed, worker.ErrGone) {
			return benches, err
		}
		benches = append(benches, done...)
	}
	r.tell(len(p.Benchmarks)-1, 1)
	return benches, err
}

// tell tells how far the run is: at benchmark i, of which a share is done.
func (r *run) tell(i int, share float64) {
	n := len(r.Benchmarks)
	r.Tell(Step{Benchmark: r.Benchmarks[i].Name, At: i + 1, Of: n, Share: (float64(i) + share) / float64(n)})
}

// benchmark measures one benchmark on all subjects.
func (r *run) benchmark(ctx context.Context, i int, b *bench.Benchmark) ([]record.Bench, error) {
	var part []*member // of the members: the C limit has a part in few
	for _, m := range r.members {
		if m.subject.Limit != "" && b.Limit == nil {
			continue
		}
		m.bench = r.record(b, m)
		part = append(part, m)
	}
	t := &turns{run: r, at: i, benchmark: b, random: rand.New(rand.NewPCG(seedOf(r.Seed, b.Name), 0))} // an order, no secret
	all := sets(b, part)
	for n, set := range all {
		t.part, t.parts = n, len(all)
		if err := t.measure(ctx, set); err != nil {
			return nil, err
		}
	}
	var done []record.Bench
	measured := slices.ContainsFunc(part, func(m *member) bool { return !m.subject.Control && len(m.bench.Samples) > 0 })
	for _, m := range part {
		if measured || !m.subject.Control {
			done = append(done, *m.bench)
		}
	}
	return done, nil
}

// record is the record of a benchmark on a subject, still without samples.
func (r *run) record(b *bench.Benchmark, m *member) *record.Bench {
	says := m.taker.Says()
	rec := &record.Bench{
		Run: r.name, Benchmark: b.Name, Group: b.Group(), Unit: b.Unit, Better: b.Better, Doc: b.Doc,
		Subject: m.subject.Label, Runtime: says.Runtime, RuntimeVersion: says.RuntimeVersion, Rung: string(m.subject.Rung),
		Program: says.Version, Lacks: says.Lacks, Control: m.subject.Control,
		Seed: seedOf(r.Seed, b.Name), Warmup: r.Warmup, Planted: m.subject.Planted,
	}
	if m.subject.Control && b.ControlUnit != "" {
		rec.Unit = b.ControlUnit
	}
	return rec
}

// turns are the turns of one benchmark.
type turns struct {
	*run
	at          int // the benchmark's number, from 0
	benchmark   *bench.Benchmark
	random      *rand.Rand
	part, parts int // of a benchmark that measures one subject at a time
	block, seq  int
}

// measure measures a set of subjects in turns.
func (t *turns) measure(ctx context.Context, set []*member) (err error) {
	end := t.deadline()
	var open []*member
	defer func() {
		// Also after an interrupt: what is open is closed by the worker's own end then.
		for _, m := range open {
			if closed := m.taker.CloseBenchmark(ctx); err == nil {
				err = closed
			}
		}
	}()
	for _, m := range set {
		err := m.taker.Open(ctx, t.benchmark.Name)
		switch {
		case errors.Is(err, kernel.ErrNotSupported) && !m.subject.Control:
			m.bench.Unsupported = err.Error()
			continue
		case err != nil:
			return err
		}
		open = append(open, m)
	}
	if len(open) < 2 {
		return nil // nobody but the control
	}
	if err := t.warm(ctx, open); err != nil {
		return err
	}
	for blocks := 0; !t.enough(open, blocks, end); blocks++ {
		for _, turn := range order(t.random, len(open)) {
			m := open[turn]
			values, err := m.taker.Sample(ctx, 1)
			if err != nil {
				return err
			}
			m.bench.Samples = append(m.bench.Samples, record.Sample{Block: t.block, Seq: t.seq, Value: values[0].Value, CPU: values[0].CPU})
			t.seq++
		}
		t.block++
		t.tell(t.at, (float64(t.part)+t.share(open, blocks+1, end))/float64(t.parts))
	}
	return nil
}

// pilot is how many samples the median of a planted slowdown is taken from.
const pilot = 15

// warm takes the samples that do not count, and plants what is to be planted.
func (t *turns) warm(ctx context.Context, open []*member) error {
	for _, m := range open {
		if _, err := m.taker.Sample(ctx, t.Warmup); err != nil {
			return err
		}
		if m.subject.Planted == 0 {
			continue
		}
		values, err := m.taker.Sample(ctx, pilot)
		if err != nil {
			return err
		}
		var x []float64
		for _, v := range values {
			x = append(x, v.Value)
		}
		slices.Sort(x)
		if err := m.taker.Plant(ctx, bench.Planted{Share: m.subject.Planted, Median: x[len(x)/2]}); err != nil {
			return err
		}
	}
	return nil
}

// deadline is when the set that is to be measured now has had its share of the time; zero without one.
// What others did not use is not shared out: it would make the number of samples depend on luck.
func (t *turns) deadline() time.Time {
	if t.Rule.For <= 0 {
		return time.Time{}
	}
	share := t.Rule.For / time.Duration(len(t.Benchmarks)*t.parts)
	return t.Now().Add(share)
}

// enough reports whether a set has been measured for as many blocks as the rule says.
func (t *turns) enough(open []*member, blocks int, end time.Time) bool {
	switch {
	case t.Rule.Samples > 0:
		return blocks >= blocksFor(t.Rule.Samples)
	case t.Rule.For > 0:
		return blocks >= leastBlocks && !t.Now().Before(end)
	case blocks < leastBlocks:
		return false
	}
	return 2*blocks >= t.Rule.most() || !slices.ContainsFunc(open, func(m *member) bool {
		return !m.subject.Control && width(m.bench.Values()) > t.Rule.Width
	})
}

// confidence is that of the interval whose width ends a benchmark.
const confidence = 0.95

// width is the relative width of the interval of a median; 1 or more where there are too few samples.
func width(x []float64) float64 {
	m, err := stats.Median(x, confidence)
	if err != nil || m.Point == 0 {
		return 1
	}
	return (m.High - m.Low) / m.Point
}

// share is how much of a set is done.
func (t *turns) share(open []*member, blocks int, end time.Time) float64 {
	switch {
	case t.Rule.Samples > 0:
		return float64(blocks) / float64(blocksFor(t.Rule.Samples))
	case t.Rule.For > 0:
		whole := t.Rule.For / time.Duration(len(t.Benchmarks)*t.parts)
		return min(1, 1-end.Sub(t.Now()).Seconds()/whole.Seconds())
	}
	// The width falls with the root of the number of samples.
	share := float64(2*blocks) / float64(t.Rule.most())
	for _, m := range open {
		if w := width(m.bench.Values()); !m.subject.Control && w > 0 {
			share = max(share, min(1, t.Rule.Width/w*t.Rule.Width/w))
		}
	}
	return min(share, 1)
}
