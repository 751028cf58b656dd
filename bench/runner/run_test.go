package runner_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/bench/worker"
	"cellwall/reports/record"
	"cellwall/runtime/kernel"
)

// stage is where fake workers act.
type stage struct {
	now   time.Time
	took  []string // labels, in the order of the samples
	value func(label string) float64
	lacks map[string]string // reason, by label
	fails error             // of samples that are no control's
	open  map[string]string // the open benchmark, by label
	ended []string
	plant map[string]bench.Planted
}

func newStage() *stage {
	return &stage{
		value: func(string) float64 { return 1 },
		lacks: map[string]string{}, open: map[string]string{}, plant: map[string]bench.Planted{},
	}
}

// fake is a worker that is none.
type fake struct {
	*stage
	label string
}

func (f fake) Says() worker.Hello { return worker.Hello{Version: "v", Runtime: f.label + "-runtime"} }

func (f fake) Open(_ context.Context, name string) error {
	if reason := f.lacks[f.label]; reason != "" {
		return kernel.Unsupported("%s", reason)
	}
	if f.open[f.label] != "" {
		return errors.New("open already")
	}
	f.open[f.label] = name
	return nil
}

func (f fake) Sample(ctx context.Context, n int) ([]bench.Value, error) {
	if f.open[f.label] == "" {
		return nil, errors.New("nothing is open")
	}
	if f.fails != nil && f.label != "control" {
		return nil, f.fails
	}
	var values []bench.Value
	for range n {
		f.took = append(f.took, f.label)
		f.now = f.now.Add(time.Second)
		values = append(values, bench.Value{Value: f.value(f.label), CPU: 0.5})
	}
	return values, ctx.Err()
}

func (f fake) Plant(_ context.Context, p bench.Planted) error { f.plant[f.label] = p; return nil }

func (f fake) CloseBenchmark(context.Context) error { f.open[f.label] = ""; return nil }

func (f fake) Close() error { f.ended = append(f.ended, f.label); return nil }

// plan is one of fakes on a stage.
func (s *stage) plan(rule runner.Rule, labels ...string) runner.Plan {
	p := runner.Plan{
		Benchmarks: []*bench.Benchmark{{Name: "a.one", Unit: record.Seconds, Better: record.Lower}},
		Subjects:   []runner.Subject{runner.Control("self")}, Rule: rule, Seed: 7, Warmup: 2,
		Start: func(_ context.Context, u runner.Subject) (runner.Taker, error) { return fake{s, u.Label}, nil },
		Now:   func() time.Time { return s.now },
	}
	for _, l := range labels {
		p.Subjects = append(p.Subjects, runner.Subject{Label: l, Runtime: l})
	}
	return p
}

func mustRun(t *testing.T, p runner.Plan) map[string]*record.Bench {
	t.Helper()
	benches, err := runner.Run(t.Context(), "r1", p)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*record.Bench{}
	for i := range benches {
		found[benches[i].Benchmark+" "+benches[i].Subject] = &benches[i]
	}
	return found
}

func TestBlocksAreABBA(t *testing.T) {
	s := newStage()
	found := mustRun(t, s.plan(runner.Rule{Samples: 39}, "core", "runc", "crun"))
	const warm, blocks, each = 4 * 2, 20, 4 * 2
	if len(s.took) != warm+blocks*each {
		t.Fatalf("%d samples, want %d and 40 of each", len(s.took), warm)
	}
	orders := map[string]bool{}
	for b := range blocks {
		turns := s.took[warm+b*each : warm+(b+1)*each]
		forth, back := turns[:each/2], slices.Clone(turns[each/2:])
		slices.Reverse(back)
		if !slices.Equal(forth, back) {
			t.Errorf("block %d: %v is no mirror image", b, turns)
		}
		sorted := slices.Sorted(slices.Values(forth))
		if !slices.Equal(sorted, []string{"control", "core", "crun", "runc"}) {
			t.Errorf("block %d: %v", b, forth)
		}
		orders[strings.Join(forth, " ")] = true
	}
	if len(orders) < 10 {
		t.Errorf("only %d orders in %d blocks: they are not random", len(orders), blocks)
	}
	core := found["a.one core"]
	if len(core.Samples) != 40 || core.Warmup != 2 || core.Samples[39].Block != 19 || core.Control || core.Runtime != "core-runtime" || core.Samples[0].CPU != 0.5 {
		t.Errorf("got %+v", core)
	}
	if !found["a.one control"].Control {
		t.Error("the control is not marked")
	}
	// The records say in which order all samples were taken.
	bySeq := make([]string, blocks*each)
	for _, b := range found {
		for _, sample := range b.Samples {
			bySeq[sample.Seq] = b.Subject
		}
	}
	if !slices.Equal(bySeq, s.took[warm:]) {
		t.Error("the places in the records are not the order of the samples")
	}
	if len(s.ended) != 4 || s.open["core"] != "" {
		t.Errorf("ended %v, open %v", s.ended, s.open)
	}
}

func TestTheSeedMakesTheOrder(t *testing.T) {
	took := func(seed uint64) string {
		s := newStage()
		p := s.plan(runner.Rule{Samples: 20}, "core", "runc")
		p.Seed = seed
		mustRun(t, p)
		return strings.Join(s.took, " ")
	}
	first := took(1)
	if first != took(1) {
		t.Error("one seed makes two orders")
	}
	if first == took(2) {
		t.Error("two seeds make one order")
	}
	s := newStage()
	p := s.plan(runner.Rule{Samples: 2}, "core")
	p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: "a.two", Unit: record.Bytes, Better: record.Lower})
	found := mustRun(t, p)
	if found["a.one core"].Seed == found["a.two core"].Seed {
		t.Error("two benchmarks have one order")
	}
}

func TestRules(t *testing.T) {
	noise := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name  string
		rule  runner.Rule
		value func(string) float64
		want  int // samples of each
	}{
		{"samples", runner.Rule{Samples: 7}, nil, 8},
		{"time", runner.Rule{For: 60 * time.Second}, nil, 28}, // 4 of warm-up, then 4 a block
		{"too little time", runner.Rule{For: time.Second}, nil, 12},
		{"width of what does not vary", runner.Rule{Width: 0.01}, nil, 12},
		{"width never reached", runner.Rule{Width: 1e-9, Most: 50}, func(string) float64 { return 1 + noise.Float64() }, 50},
		{"width does not wait for the control", runner.Rule{Width: 0.01}, func(l string) float64 {
			if l == "control" {
				return noise.Float64()
			}
			return 1
		}, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage()
			if c.value != nil {
				s.value = c.value
			}
			found := mustRun(t, s.plan(c.rule, "core"))
			for name, b := range found {
				if len(b.Samples) != c.want {
					t.Errorf("%s: %d samples, want %d", name, len(b.Samples), c.want)
				}
			}
		})
	}
}

// TestWidthIsReached: a noisy subject is measured until its median is known well enough, not longer.
func TestWidthIsReached(t *testing.T) {
	s := newStage()
	noise := rand.New(rand.NewPCG(3, 4))
	s.value = func(string) float64 { return 1 + noise.Float64()/10 }
	n := len(mustRun(t, s.plan(runner.Rule{Width: 0.02}, "core"))["a.one core"].Samples)
	if n <= 12 || n >= runner.DefaultMost {
		t.Errorf("%d samples", n)
	}
}

func TestTimeIsSharedBeforehand(t *testing.T) {
	s := newStage()
	p := s.plan(runner.Rule{For: 200 * time.Second}, "core")
	p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: "a.two", Unit: record.Seconds, Better: record.Lower})
	// What the first does not need is not the second's.
	found := mustRun(t, p)
	if one, two := len(found["a.one core"].Samples), len(found["a.two core"].Samples); one != two || one != 48 {
		t.Errorf("%d and %d samples, want 48 each: (100 s - 4 s of warm-up) / 4 s a block, two a block", one, two)
	}
}

func TestWhatIsNotSupportedIsTold(t *testing.T) {
	s := newStage()
	s.lacks["crun"] = "no such thing"
	found := mustRun(t, s.plan(runner.Rule{Samples: 4}, "core", "crun"))
	if b := found["a.one crun"]; b.Unsupported != "not supported: no such thing" || len(b.Samples) > 0 {
		t.Errorf("got %+v", b)
	}
	if len(found["a.one core"].Samples) != 4 {
		t.Error("the others were not measured")
	}
	s = newStage()
	s.lacks["crun"] = "no such thing"
	if found := mustRun(t, s.plan(runner.Rule{Samples: 4}, "crun")); len(found) != 1 || len(s.took) != 0 {
		t.Errorf("a control without subjects: %v, %v", found, s.took)
	}
	s = newStage()
	s.lacks["control"] = "no clock"
	if _, err := runner.Run(t.Context(), "r1", s.plan(runner.Rule{Samples: 4}, "core")); err == nil || !strings.Contains(err.Error(), "benchmark a.one: not supported: no clock") {
		t.Errorf("a control that cannot be measured: %v", err)
	}
}

// TestTheLimitHasAPartInFew: it is measured where it has something to say, and not recorded elsewhere.
func TestTheLimitHasAPartInFew(t *testing.T) {
	s := newStage()
	p := s.plan(runner.Rule{Samples: 2}, "core", "C")
	p.Subjects[2].Limit = "limit"
	p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: "a.two", Unit: record.Seconds, Better: record.Lower})
	p.Benchmarks[1].Limit = func(context.Context, *bench.Env) (bench.Sampler, error) { return nil, nil } // not called
	found := mustRun(t, p)
	if found["a.one C"] != nil || len(found["a.two C"].Samples) != 2 {
		t.Errorf("got %v", found)
	}
}

func TestAloneSubjectsAreNeverOpenTogether(t *testing.T) {
	s := newStage()
	p := s.plan(runner.Rule{Samples: 4}, "core", "runc")
	p.Benchmarks[0].Alone = true
	s.value = func(string) float64 {
		if s.open["core"] != "" && s.open["runc"] != "" {
			t.Error("both are open")
		}
		return 1
	}
	found := mustRun(t, p)
	if n := len(found["a.one control"].Samples); n != 8 {
		t.Errorf("%d samples of the control, want 4 beside each", n)
	}
	if b := found["a.one runc"].Samples; len(b) != 4 || b[0].Block != 2 || found["a.one core"].Samples[3].Block != 1 {
		t.Errorf("blocks of the second subject: %+v", b)
	}
}

func TestPlantedIsOfTheOwnMedian(t *testing.T) {
	s := newStage()
	n := 0.0
	s.value = func(label string) float64 {
		if label == "slow" {
			n++ // 1 and 2 warm up; the median of 3 to 17 is 10
		}
		return n
	}
	p := s.plan(runner.Rule{Samples: 2}, "core", "slow")
	p.Subjects[2].Planted = 0.05
	found := mustRun(t, p)
	if got := s.plant["slow"]; got != (bench.Planted{Share: 0.05, Median: 10}) {
		t.Errorf("planted %+v", got)
	}
	if _, planted := s.plant["core"]; planted || found["a.one slow"].Planted != 0.05 {
		t.Errorf("planted %v, recorded %g", s.plant, found["a.one slow"].Planted)
	}
}

func TestWhatBreaksIsNamedAndTheRestKept(t *testing.T) {
	for _, c := range []struct {
		with error
		want []string // the benchmarks that are complete
	}{
		{errors.New("it broke"), []string{"a.one", "a.three"}},
		{fmt.Errorf("%w core: it broke", worker.ErrGone), []string{"a.one"}},
	} {
		s := newStage()
		p := s.plan(runner.Rule{Samples: 2}, "core")
		for _, name := range []string{"a.two", "a.three"} {
			p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: name, Unit: record.Seconds, Better: record.Lower})
		}
		p.Tell = func(step runner.Step) {
			s.fails = nil
			if step.Benchmark == "a.two" {
				s.fails = c.with
			}
		}
		benches, err := runner.Run(t.Context(), "r1", p)
		if err == nil || err.Error() != "benchmark a.two: "+c.with.Error() {
			t.Errorf("got %v", err)
		}
		var got []string
		for _, b := range benches {
			if !b.Control {
				got = append(got, b.Benchmark)
			}
		}
		if !slices.Equal(got, c.want) || len(s.ended) != 2 || s.open["core"] != "" {
			t.Errorf("%v: complete are %v, ended %v, open %v", c.with, got, s.ended, s.open)
		}
	}
}

func TestAnInterruptEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newStage()
	s.value = func(string) float64 { cancel(); return 1 }
	p := s.plan(runner.Rule{Samples: 100}, "core")
	p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: "a.two", Unit: record.Seconds, Better: record.Lower})
	benches, err := runner.Run(ctx, "r1", p)
	if !errors.Is(err, context.Canceled) || len(benches) != 0 || len(s.took) > 2 || len(s.ended) != 2 {
		t.Errorf("%v, %d records, %d samples, ended %v", err, len(benches), len(s.took), s.ended)
	}
}

func TestPlansThatMakeNoSense(t *testing.T) {
	for want, change := range map[string]func(*runner.Plan){
		"has no benchmark":           func(p *runner.Plan) { p.Benchmarks = nil },
		"one rule":                   func(p *runner.Plan) { p.Rule.For = time.Second },
		"one control, not 0":         func(p *runner.Plan) { p.Subjects = p.Subjects[1:] },
		"no subject but its control": func(p *runner.Plan) { p.Subjects = p.Subjects[:1] },
		`two subjects are named "a"`: func(p *runner.Plan) { p.Subjects = append(p.Subjects, runner.Subject{Label: "a"}) },
		"a warm-up of -1 samples":    func(p *runner.Plan) { p.Warmup = -1 },
	} {
		p := newStage().plan(runner.Rule{Samples: 1}, "a")
		change(&p)
		if _, err := runner.Run(t.Context(), "r1", p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestProgressOnlyGrows(t *testing.T) {
	for _, rule := range []runner.Rule{{Samples: 9}, {For: 50 * time.Second}, {Width: 0.01}} {
		s := newStage()
		p := s.plan(rule, "core")
		p.Benchmarks = append(p.Benchmarks, &bench.Benchmark{Name: "a.two", Unit: record.Seconds, Better: record.Lower, Alone: true})
		last := 0.0
		p.Tell = func(step runner.Step) {
			if step.Share < last || step.Share > 1 {
				t.Errorf("%v: %g after %g", rule, step.Share, last)
			}
			last = step.Share
		}
		mustRun(t, p)
		if last != 1 {
			t.Errorf("%v: it ends at %g", rule, last)
		}
	}
}
