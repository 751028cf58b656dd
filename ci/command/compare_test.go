package command

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/bench/worker"
	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
	"cellwall/runtime/kernel"
)

// faked is a comparison of workers that are none.
type faked struct {
	random *rand.Rand
	// level is what a side shows of a benchmark in a round, the fresh ones counted on.
	level  func(side, benchmark string, round int) float64
	fails  func(side, benchmark string, round int) error
	rounds map[string]int      // how often each label was started
	took   map[string][]string // the benchmarks that each label has opened
}

func newFaked(seed uint64) *faked {
	return &faked{
		random: rand.New(rand.NewPCG(seed, 1)),
		level:  func(string, string, int) float64 { return 1 },
		fails:  func(string, string, int) error { return nil },
		rounds: map[string]int{}, took: map[string][]string{},
	}
}

// taker is a fake worker: each has a level of its own, as processes have.
type taker struct {
	*faked
	label, open string
	round       int
	own         float64
}

func (t *taker) Says() worker.Hello { return worker.Hello{Version: "v", Runtime: "core"} }

func (t *taker) Open(_ context.Context, name string) error {
	t.open = name
	t.took[t.label] = append(t.took[t.label], name)
	return t.fails(t.label, name, t.round)
}

func (t *taker) Sample(ctx context.Context, n int) ([]bench.Value, error) {
	var values []bench.Value
	for range n {
		values = append(values, bench.Value{Value: t.own * t.level(t.label, t.open, t.round) * math.Exp(0.05*t.random.NormFloat64())})
	}
	return values, ctx.Err()
}

func (t *taker) Plant(context.Context, bench.Planted) error { return nil }
func (t *taker) CloseBenchmark(context.Context) error       { return nil }
func (t *taker) Close() error                               { return nil }
func (f *faked) start(_ context.Context, s runner.Subject) (runner.Taker, error) {
	t := &taker{faked: f, label: s.Label, round: f.rounds[s.Label], own: math.Exp(0.02 * f.random.NormFloat64())}
	f.rounds[s.Label]++
	return t, nil
}

// compare compares three benchmarks on 12 rounds of 4 samples.
func (f *faked) compare(t *testing.T) *compareReport {
	t.Helper()
	rows, err := bench.Select([]string{"start.exec", "start.exit", "rate.1"})
	if err != nil {
		t.Fatal(err)
	}
	m := &comparer{
		rows: rows, subjects: []runner.Subject{{Label: "old", Rung: "hardened"}, {Label: "new", Rung: "hardened"}},
		control: runner.Control("self"), seed: 1, start: f.start, programs: map[string]string{"old": "a68b550c1234"},
	}
	r, err := m.compare(t.Context(), schedule{12, runner.Rule{Samples: 4}}, func(string) func(int, int, float64) { return func(int, int, float64) {} })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// says is the verdict on a benchmark.
func (r *compareReport) says(benchmark string) digest.Verdict {
	at := slices.IndexFunc(r.Changes, func(c digest.Change) bool { return c.Benchmark == benchmark })
	if at < 0 {
		return "not there"
	}
	return r.Changes[at].Says(r.Effect)
}

func exitCode(err error) int {
	var c coded
	if errors.As(err, &c) {
		return c.code
	}
	return map[bool]int{true: 0, false: -1}[err == nil]
}

// TestTheSameIsSilent: of 100 comparisons of a thing with itself none fails anybody.
func TestTheSameIsSilent(t *testing.T) {
	again := 0
	for seed := range uint64(100) {
		r := newFaked(seed).compare(t)
		if err := r.verdict(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if len(r.fresh) > 0 {
			again++
		}
	}
	if again == 0 || again > 20 {
		t.Errorf("%d of 100 had a candidate: it should be a few", again)
	}
}

func TestASlowVersionIsFoundAndConfirmed(t *testing.T) {
	f := newFaked(1)
	f.level = func(side, benchmark string, _ int) float64 {
		return map[bool]float64{true: 1.15, false: 1}[side == "new" && benchmark == "start.exec"]
	}
	r := f.compare(t)
	err := r.verdict()
	if exitCode(err) != exitBreached || err.Error() != "confirmed to be worse: start.exec on core at hardened" {
		t.Errorf("got %v", err)
	}
	if r.says("start.exec") != digest.Confirmed || r.says("start.exit") != digest.Same {
		t.Errorf("%+v", r.Changes)
	}
	// The fresh run is as long, and of the candidate alone.
	if f.rounds["old"] != 24 || len(r.first) != 12 || len(r.fresh) != 12 {
		t.Errorf("%v, %d and %d rounds", f.rounds, len(r.first), len(r.fresh))
	}
	if got := f.took["new"][3*12:]; len(got) != 12 || slices.ContainsFunc(got, func(b string) bool { return b != "start.exec" }) {
		t.Errorf("the fresh run measured %v", got)
	}
	for _, m := range append(r.first, r.fresh...) {
		for _, b := range m.benches {
			if want := map[string]string{"old": "a68b550c1234"}[b.Subject]; want != "" && b.Program != want {
				t.Errorf("%s is of %q", b.Subject, b.Program)
			}
		}
	}
	// A rate that is higher is no regression, and one that is lower is.
	for level, want := range map[float64]int{1.3: 0, 0.7: exitBreached} {
		f := newFaked(2)
		f.level = func(side, benchmark string, _ int) float64 {
			return map[bool]float64{true: level, false: 1}[side == "new" && benchmark == "rate.1"]
		}
		r := f.compare(t)
		if got := exitCode(r.verdict()); got != want || r.says("rate.1") != digest.Confirmed {
			t.Errorf("a rate of %g: exit status %d, %q", level, got, r.says("rate.1"))
		}
	}
}

func TestWhatIsSlowOnceIsNotConfirmed(t *testing.T) {
	f := newFaked(1)
	f.level = func(side, _ string, round int) float64 {
		return map[bool]float64{true: 1.3, false: 1}[side == "new" && round < 12]
	}
	r := f.compare(t)
	if err := r.verdict(); err != nil || r.says("start.exec") != digest.Unconfirmed {
		t.Errorf("%v, %q", err, r.says("start.exec"))
	}
}

func TestWhatCannotBeTold(t *testing.T) {
	broken, gone := errors.New("it broke"), fmt.Errorf("%w new: it died", worker.ErrGone)
	for _, c := range []struct {
		name   string
		set    func(*faked)
		effect float64
		code   int
		want   string
	}{
		{"too noisy", func(*faked) {}, 0.001, exitInconclusive, "could not tell: start.exec on core at hardened (too noisy)"},
		{"not too noisy", func(*faked) {}, 0.5, 0, ""},
		{"a row breaks", func(f *faked) {
			f.fails = func(side, b string, round int) error {
				return map[bool]error{true: broken}[side == "new" && b == "start.exit" && round == 5]
			}
		}, 0, exitInconclusive, "benchmark start.exit: it broke"},
		{"slower, and a row breaks", func(f *faked) {
			f.fails = func(side, b string, _ int) error {
				return map[bool]error{true: broken}[side == "new" && b == "start.exit"]
			}
			f.level = func(side, _ string, _ int) float64 { return map[bool]float64{true: 2, false: 1}[side == "new"] }
		}, 0, exitBreached, "confirmed to be worse: start.exec on core at hardened; and benchmark start.exit: it broke"},
		{"one side cannot", func(f *faked) {
			f.fails = func(side, b string, _ int) error {
				return map[bool]error{true: kernel.Unsupported("no such thing")}[side == "new" && b == "start.exit"]
			}
		}, 0, exitInconclusive, "start.exit on core at hardened (cannot be compared)"},
		{"neither side can", func(f *faked) {
			f.fails = func(side, b string, _ int) error {
				return map[bool]error{true: kernel.Unsupported("no such thing")}[side != "control" && b == "start.exit"]
			}
		}, 0, 0, ""},
		{"neither side can anything", func(f *faked) {
			f.fails = func(side, _ string, _ int) error {
				return map[bool]error{true: kernel.Unsupported("no such thing")}[side != "control"]
			}
		}, 0, exitInconclusive, "nothing was measured"},
		{"the fresh run dies", func(f *faked) {
			f.level = func(side, _ string, _ int) float64 { return map[bool]float64{true: 2, false: 1}[side == "new"] }
			f.fails = func(side, _ string, round int) error { return map[bool]error{true: gone}[side == "new" && round == 14] }
		}, 0, exitInconclusive, "stopped in round 3 of 12: benchmark start.exec: worker new: it died"},
		{"the fresh run cannot", func(f *faked) {
			f.level = func(side, b string, _ int) float64 {
				return map[bool]float64{true: 2, false: 1}[side == "new" && b == "start.exit"]
			}
			f.fails = func(side, b string, round int) error {
				return map[bool]error{true: kernel.Unsupported("no such thing")}[side == "new" && b == "start.exit" && round >= 12]
			}
		}, 0, exitInconclusive, "could not tell: start.exit on core at hardened (its fresh run is missing)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFaked(3)
			c.set(f)
			r := f.compare(t)
			r.Effect = c.effect
			err := r.verdict()
			if exitCode(err) != c.code || c.want != "" && !strings.Contains(oneLine(err), c.want) {
				t.Errorf("got %v with %d, want %q with %d", err, exitCode(err), c.want, c.code)
			}
			if left := r.says("start.exit"); strings.Contains(c.name, "a row breaks") && left != "not there" {
				t.Errorf("of the row that breaks it says %q", left)
			}
			if err := render.CompareText(&strings.Builder{}, r.Compare, render.Text{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWhatStopsAComparison: there is no result, and the reason is told.
func TestWhatStopsAComparison(t *testing.T) {
	rows, err := bench.Select([]string{"start.exec", "start.exit"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for want, set := range map[string]func(*faked){
		"stopped in round 3 of 4: benchmark start.exit: worker new: it died": func(f *faked) {
			f.fails = func(side, b string, round int) error {
				return map[bool]error{true: fmt.Errorf("%w new: it died", worker.ErrGone)}[side == "new" && b == "start.exit" && round == 2]
			}
		},
		"interrupted in round 2 of 4": func(f *faked) {
			f.level = func(_, _ string, round int) float64 {
				if round == 1 {
					cancel()
				}
				return 1
			}
		},
	} {
		f := newFaked(1)
		set(f)
		m := &comparer{
			rows: rows, subjects: []runner.Subject{{Label: "old"}, {Label: "new"}}, control: runner.Control("self"), start: f.start,
			tell: func(int, int, float64) {},
		}
		with := t.Context()
		if strings.HasPrefix(want, "interrupted") {
			with = ctx
		}
		if _, _, err := m.run(with, schedule{4, runner.Rule{Samples: 4}}); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		samples, seconds int
		want             string
	}{
		{0, 0, "20 rounds, 10 samples, 0s"},
		{20, 0, "10 rounds, 2 samples, 0s"},
		{50, 0, "20 rounds, 3 samples, 0s"},
		{1000, 0, "20 rounds, 50 samples, 0s"},
		{0, 20, "10 rounds, 0 samples, 2s"},
		{0, 60, "20 rounds, 0 samples, 3s"},
		{0, 1, "10 rounds, 0 samples, 100ms"},
	} {
		f := compareFlags{}
		f.samples, f.lasts = c.samples, time.Duration(c.seconds)*time.Second
		s, err := f.schedule()
		if got := fmt.Sprintf("%d rounds, %d samples, %s", s.rounds, s.rule.Samples, s.rule.For); err != nil || got != c.want {
			t.Errorf("%d samples, %d s: %s, %v, want %s", c.samples, c.seconds, got, err, c.want)
		}
	}
	if _, err := (&compareFlags{benchFlags: benchFlags{lasts: 9}}).schedule(); err == nil || !strings.Contains(err.Error(), "--for 9ns: want a time for 10 rounds") {
		t.Errorf("9 ns: %v", err)
	}
	if s := (schedule{10, runner.Rule{For: 6 * time.Second}}).of(2, 3); s.rule.For != 4*time.Second {
		t.Errorf("two of three have %s", s.rule.For)
	}
}

// TestSidedLabels.
func TestSidedLabels(t *testing.T) {
	one, two := []runner.Subject{{Label: "core"}}, []runner.Subject{{Label: "core"}, {Label: "crun at limits"}}
	if got := sided("old", one); got[0].Label != "old" || one[0].Label != "core" {
		t.Errorf("got %+v", got)
	}
	if got := sided("new", two); got[1].Label != "new crun at limits" {
		t.Errorf("got %+v", got)
	}
}

// TestWrongUseOfCompare: each answer is one line that names the thing and the way out, exit status 2, before
// anything is done.
func TestWrongUseOfCompare(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "takes two versions, OLD and NEW, not 0: cellwall compare OLD NEW"},
		{[]string{"a", "b", "c"}, "not 3"},
		{[]string{"--build", "--binary", "a", "b"}, "give one of them"},
		{[]string{"a", "b"}, "read records: stat a: no such file"},
		{[]string{dir, dir}, "holds no samples"},
		{[]string{"a", "b", "--samples", "40"}, "--samples says how to measure, and records are measured already"},
		{[]string{"a", "b", "--effect", "much"}, `--effect "much": want a share, such as 5%`},
		{[]string{"a", "b", "--format", "pdf"}, `--format "pdf" is none of text, markdown`},
		{[]string{"a", "b", "--only", "[z"}, `--only "[z"`},
		{[]string{"--binary", "a", "b", "--force"}, "--force is for records of different hosts"},
		{[]string{"--binary", "a", "b", "--only", "moon"}, `"moon" matches no benchmark`},
		{[]string{"--binary", "a", "b", "--runtime", "moon"}, "moon"},
		{[]string{"--binary", "a", "b", "--samples", "10"}, "--samples 10: want 20 or more, two for each of 10 rounds"},
		{[]string{"--binary", "a", "b", "--samples", "40", "--for", "1m"}, "give one of them"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := call(t, append([]string{"compare"}, c.args...)...)
			if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("exit status %d, stdout %q, stderr %q, want one line with %q", code, out, errs, c.want)
			}
		})
	}
}

// ran writes a run with samples of start.exec and start.exit to a file, after a change.
func ran(t *testing.T, path, id string, level float64, change func(*record.Run, []record.Bench)) string {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(len(filepath.Base(path))), uint64(level*1000)))
	run := record.Run{ID: id, Kernel: "6.18.44", Machine: "x86_64", CPUs: 2, CgroupMode: "v2", Benching: &record.Benching{Rule: "40 samples"}}
	var benches []record.Bench
	for _, name := range []string{"start.exec", "start.exit"} {
		for _, subject := range []string{"core", "control"} {
			b := record.Bench{
				Run: id, Benchmark: name, Group: "start", Unit: record.Seconds, Better: record.Lower, Subject: subject, Runtime: subject, Rung: "hardened",
				Control: subject == "control",
			}
			at := 0.003
			if subject == "core" && name == "start.exec" {
				at *= level
			}
			for i := range 40 {
				b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: at * math.Exp(0.05*random.NormFloat64())})
			}
			benches = append(benches, b)
		}
	}
	if change != nil {
		change(&run, benches)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(writeMeasurements(file, []measurement{{run, benches}}), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRecordsAreCompared(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	older := ran(t, at("old.jsonl"), "r1", 1, nil)
	newer := ran(t, at("new.jsonl"), "r2", 1.2, nil)
	code, out, errs := call(t, "compare", older, newer, "--format", "text,markdown", "--out", at("out"))
	for _, want := range []string{
		"comparison on 6.18.44 x86_64, 2 CPUs, cgroup v2", "old is " + older, "1 run and 1 run of their own", "what differs from run to run is not in it",
		"start.exec seems to be worse: new/old is 1.", "2 compared: 1 candidate, 1 without a difference as large as what it finds",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != 0 || errs != "" {
		t.Errorf("exit status %d, stderr %q", code, errs)
	}
	if text, err := os.ReadFile(at("out/compare.md")); err != nil || !strings.Contains(string(text), "| start.exec | core at hardened | ") {
		t.Errorf("%v, %s", err, text)
	}
	if code, out, errs := call(t, "compare", older, newer, "--only", "start.exit", "--effect", "0.01%"); code != exitInconclusive || !strings.Contains(out, "1 compared: 1 too noisy") ||
		!strings.Contains(errs, "a change of 0.01% could have been missed in start.exit: measure longer") {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
	// A row that has no ratio was not found to be the same.
	stuck := ran(t, at("stuck.jsonl"), "r3", 1, func(_ *record.Run, benches []record.Bench) { benches[0].Samples[0].Value = 0 })
	for effect, want := range map[string]int{"": 0, "--effect=50%": exitInconclusive} {
		args := append([]string{"compare", older, stuck, "--only", "start.exec"}, strings.Fields(effect)...)
		if code, out, errs := call(t, args...); code != want || !strings.Contains(out, "1 compared: 1 cannot be compared") ||
			strings.Contains(errs, "could have been missed in start.exec") != (want != 0) {
			t.Errorf("%q: exit status %d, %q, %q", effect, code, out, errs)
		}
	}
	// A record of a run that nothing describes is named once.
	text, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	_, headless, _ := strings.Cut(string(text), "\n")
	if err := os.WriteFile(at("headless.jsonl"), []byte(headless), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := call(t, "compare", at("headless.jsonl"), newer); code != exitUsage || strings.Count(errs, "headless.jsonl") != 1 {
		t.Errorf("exit status %d, %q", code, errs)
	}
	// Directories, in which there may be other records.
	for i := range 6 {
		for side, level := range map[string]float64{"a": 1, "b": 1.2} {
			if err := os.MkdirAll(at(side), 0o755); err != nil {
				t.Fatal(err)
			}
			ran(t, at(fmt.Sprintf("%s/%d.jsonl", side, i)), fmt.Sprint(side, i), level, nil)
		}
	}
	var verdicts strings.Builder
	if err := record.NewWriter(&verdicts).Run(record.Run{ID: "v"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("a/records.jsonl"), []byte(verdicts.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	code, out, errs = call(t, "compare", at("a"), at("b"))
	if code != 0 || !strings.Contains(out, "Each run is one of the ratios") || !strings.Contains(errs, "a/records.jsonl holds no samples and is left out") {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
}

// TestRecordsThatCannotBeCompared: the file and the line are named.
func TestRecordsThatCannotBeCompared(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	older := ran(t, at("old.jsonl"), "r1", 1, nil)
	for _, c := range []struct {
		name   string
		change func(*record.Run, []record.Bench)
		spoil  func(string) string
		want   string
	}{
		{name: "kernel", change: func(r *record.Run, _ []record.Bench) { r.Kernel = "7.0.1" }, want: "the hosts differ: " + older + " is of 6.18.44 x86_64 with 2 CPUs, and "},
		{name: "machine", change: func(r *record.Run, _ []record.Bench) { r.Machine = "aarch64" }, want: "aarch64 with 2 CPUs: a difference would be theirs"},
		{name: "CPUs", change: func(r *record.Run, _ []record.Bench) { r.CPUs = 64 }, want: "with 64 CPUs: a difference would be theirs: measure on one host, or compare all the same with --force"},
		{name: "unit", change: func(_ *record.Run, b []record.Bench) { b[0].Unit = record.Bytes }, want: `x.jsonl:2: benchmark "start.exec": it is in "bytes" (lower is better) here and in "s" (lower is better) at ` + older + ":2"},
		{name: "control", change: func(_ *record.Run, b []record.Bench) {
			b[1].Benchmark = "start.create"
			b[2].Benchmark = "start.create"
		}, want: `x.jsonl:2: benchmark "start.exec": it has no control`},
		{name: "samples", change: func(_ *record.Run, b []record.Bench) { b[2].Samples = b[2].Samples[:8] }, want: `x.jsonl:4: benchmark "start.exit": 8 samples are too few: at least 12 are needed`},
		{name: "schema", spoil: func(s string) string { return strings.Replace(s, "cellwall/1", "cellwall/7", 3) }, want: `x.jsonl:1: schema "cellwall/7" is none that this version reads`},
		{name: "cut", spoil: func(s string) string { return s[:len(s)-9] }, want: "x.jsonl:5: parse record: unexpected end of JSON input"},
		{name: "headless", spoil: func(s string) string { return s[strings.Index(s, "\n")+1:] }, want: `x.jsonl:1: benchmark "start.exec": it is of run "r2", which is not described`},
		{name: "same run", change: func(r *record.Run, b []record.Bench) {
			r.ID = "r1"
			for i := range b {
				b[i].Run = "r1"
			}
		}, want: `run "r1" is in ` + older},
		{name: "twice", spoil: func(s string) string { return s[:strings.Index(s, "\n")+1] + s }, want: `run "r2" is there twice`},
		{name: "nothing in common", change: func(_ *record.Run, b []record.Bench) { b[0].Rung, b[2].Rung = "limits", "limits" }, want: "there is nothing to compare"},
	} {
		t.Run(c.name, func(t *testing.T) {
			newer := ran(t, at("x.jsonl"), "r2", 1, c.change)
			if c.spoil != nil {
				text, err := os.ReadFile(newer)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(newer, []byte(c.spoil(string(text))), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			code, out, errs := call(t, "compare", older, newer)
			if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, c.want) {
				t.Errorf("exit status %d, stdout %q, stderr %q, want one line with %q", code, out, errs, c.want)
			}
		})
	}
	newer := ran(t, at("x.jsonl"), "r2", 1, func(r *record.Run, _ []record.Bench) { r.CPUs = 64 })
	if code, out, errs := call(t, "compare", older, newer, "--force"); code != 0 || !strings.Contains(out, "2 compared") || !strings.Contains(errs, "with 64 CPUs: a difference may be theirs") {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
}
