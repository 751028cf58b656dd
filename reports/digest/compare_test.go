package digest_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// host is a simulated one: every run has its own level, and every process its own within that.
type host struct {
	random  *rand.Rand
	run     float64 // standard deviation of the log level of a run
	process float64 // and of what was opened in it
}

func newHost(seed uint64) *host {
	return &host{random: rand.New(rand.NewPCG(seed, 1)), run: 0.2, process: 0.03}
}

// bench is a subject of a run in which the host has a level.
func (h *host) bench(run, name, subject string, level float64, blocks int) *record.Bench {
	b := &record.Bench{
		Run: run, Benchmark: name, Subject: subject, Runtime: "core", Rung: "hardened", Unit: record.Seconds, Better: record.Lower,
		Control: subject == "control",
	}
	level *= math.Exp(h.process * h.random.NormFloat64())
	for i := range 2 * blocks {
		b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: level * math.Exp(0.1*h.random.NormFloat64())})
	}
	return b
}

// measured is a run of rows benchmarks with subjects of these levels.
func (h *host) measured(run string, rows, blocks int, levels map[string]float64) digest.Measurement {
	m := digest.Measurement{Run: record.Run{ID: run}}
	host := math.Exp(h.run * h.random.NormFloat64())
	for i := range rows {
		name := fmt.Sprintf("a.%d", i)
		row := record.Measured{Benchmark: name, Control: h.bench(run, name, "control", host, blocks)}
		for _, subject := range []string{"core", "old", "new"} {
			if levels[subject] > 0 {
				row.Subjects = append(row.Subjects, h.bench(run, name, subject, host*levels[subject], blocks))
			}
		}
		m.Benchmarks = append(m.Benchmarks, row)
	}
	return m
}

func (h *host) rounds(n, rows int, newer float64) []digest.Measurement {
	var all []digest.Measurement
	for i := range n {
		all = append(all, h.measured(fmt.Sprint("r", i), rows, 5, map[string]float64{"old": 1, "new": newer}))
	}
	return all
}

func (h *host) apart(side string, n, rows int, level float64) []digest.Measurement {
	var all []digest.Measurement
	for i := range n {
		all = append(all, h.measured(fmt.Sprint(side, i), rows, 20, map[string]float64{"core": level}))
	}
	return all
}

func must(t *testing.T) func([]digest.Change, error) []digest.Change {
	return func(c []digest.Change, err error) []digest.Change {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// TestTheSameIsNotFoundToDiffer: tables of the same thing twice, with noise that differs from process to
// process, which samples of one process do not show. Alpha bounds the tables with a candidate.
func TestTheSameIsNotFoundToDiffer(t *testing.T) {
	const tables, rows = 100, 5
	for name, compare := range map[string]func(h *host) ([]digest.Change, error){
		"together": func(h *host) ([]digest.Change, error) { return digest.Together(h.rounds(12, rows, 1)) },
		"many runs": func(h *host) ([]digest.Change, error) {
			return digest.Apart(h.apart("o", 10, rows, 1), h.apart("n", 10, rows, 1))
		},
	} {
		alarms := 0
		for seed := range uint64(tables) {
			for _, c := range must(t)(compare(newHost(seed))) {
				if c.Candidate() {
					alarms++
					break
				}
			}
		}
		// 0.05 of 100 is 5, with a standard deviation of 2.
		if alarms > 13 {
			t.Errorf("%s: %d of %d tables with an alarm", name, alarms, tables)
		}
		t.Logf("%s: %d of %d tables with an alarm", name, alarms, tables)
	}
}

// TestASlowdownIsFoundAndConfirmed: what the comparison says that it finds it does find.
func TestASlowdownIsFoundAndConfirmed(t *testing.T) {
	const trials = 60
	found, least := 0, 0.0
	for seed := range uint64(trials) {
		h := newHost(seed)
		changes := must(t)(digest.Together(h.rounds(20, 3, 1)))
		least = max(least, changes[0].Finds)
		changes = must(t)(digest.Together(h.rounds(20, 3, 1+changes[0].Finds*1.5)))
		if err := digest.Confirm(changes, h.rounds(20, 3, 1+changes[0].Finds*1.5)); err != nil {
			t.Fatal(err)
		}
		if c := &changes[0]; c.Says(0) == digest.Confirmed && c.Worse() {
			found++
		}
	}
	if found < trials*9/10 || least > 0.1 {
		t.Errorf("%d of %d found, of half as much again as the smallest that was to be found; that is %g at most", found, trials, least)
	}
}

// TestAChangeOfOneRunIsNotConfirmed.
func TestAChangeOfOneRunIsNotConfirmed(t *testing.T) {
	h := newHost(1)
	for name, c := range map[string]struct {
		fresh float64
		want  digest.Verdict
	}{"gone": {1, digest.Unconfirmed}, "turned": {0.8, digest.Unconfirmed}, "there": {1.2, digest.Confirmed}} {
		changes := must(t)(digest.Together(h.rounds(20, 2, 1.2)))
		if got := changes[0].Says(0); got != digest.CouldBe {
			t.Errorf("%s: before the fresh run it is %q", name, got)
		}
		if err := digest.Confirm(changes, h.rounds(20, 2, c.fresh)); err != nil {
			t.Fatal(err)
		}
		if got := changes[0].Says(0); got != c.want {
			t.Errorf("%s: %q, want %q: %+v", name, got, c.want, changes[0].Fresh)
		}
	}
}

// TestRunsAreComparedThroughTheirControls: the host is twice as slow on the day of the new runs.
func TestRunsAreComparedThroughTheirControls(t *testing.T) {
	h := newHost(3)
	h.run, h.process = 0, 0.001
	older, newer := h.apart("o", 1, 2, 1), h.apart("n", 1, 2, 1.1)
	for _, m := range newer[0].Benchmarks {
		for _, b := range append(m.Subjects, m.Control) {
			for i := range b.Samples {
				b.Samples[i].Value *= 2
			}
		}
	}
	c := must(t)(digest.Apart(older, newer))[0]
	if c.Ratio.Low > 1.1 || c.Ratio.High < 1.1 || c.Ratio.Low < 1 || c.Units != 20 {
		t.Errorf("the ratio is %+v of %d units, want 1.1 of 20 blocks", c.Ratio, c.Units)
	}
	if c.New.Point < 2 || c.Old.Point > 1.1 {
		t.Errorf("the medians are not those of the samples: %+v, %+v", c.Old, c.New)
	}
	for _, m := range append(older, newer...) {
		m.Benchmarks[0].Control.Unit = record.Bytes
	}
	if c := must(t)(digest.Apart(older, newer))[0]; c.Ratio.Low < 2 {
		t.Errorf("the ratio is %+v though the control counts something else", c.Ratio)
	}
}

// TestRunsAreTheUnitsWhereThereAreMany, else blocks; sides of different sizes are brought to the smaller.
func TestRunsAreTheUnitsWhereThereAreMany(t *testing.T) {
	h := newHost(4)
	for _, c := range []struct{ older, newer, want int }{{1, 1, 20}, {1, 3, 20}, {5, 9, 100}, {6, 9, 6}, {12, 7, 7}} {
		got := must(t)(digest.Apart(h.apart("o", c.older, 1, 1), h.apart("n", c.newer, 1, 1)))[0]
		if got.Units != c.want {
			t.Errorf("%d and %d runs: %d units, want %d", c.older, c.newer, got.Units, c.want)
		}
	}
}

func TestWorse(t *testing.T) {
	for _, c := range []struct {
		better     record.Better
		old, newer float64
		want       bool
	}{
		{record.Lower, 1, 1.1, true},
		{record.Lower, 1, 0.9, false},
		{record.Higher, 1, 0.9, true},
		{record.Higher, 1, 1.1, false},
		{record.One, 1.1, 1.05, false},
		{record.One, 1.1, 0.8, true},
		{record.One, 0.9, 1.01, false},
	} {
		change := digest.Change{Better: c.better}
		change.Old.Point, change.New.Point, change.Ratio.Point = c.old, c.newer, c.newer/c.old
		if got := change.Worse(); got != c.want {
			t.Errorf("%s: from %g to %g is worse: %v", c.better, c.old, c.newer, got)
		}
	}
}

// TestNoDifferenceIsNotSaidOfNoise.
func TestNoDifferenceIsNotSaidOfNoise(t *testing.T) {
	c := must(t)(digest.Together(newHost(5).rounds(12, 1, 1)))[0]
	if c.Says(0) != digest.Same || c.Says(c.Finds+0.001) != digest.Same || c.Says(c.Finds-0.001) != digest.TooNoisy {
		t.Errorf("it finds %g and says %q, %q, %q", c.Finds, c.Says(0), c.Says(c.Finds+0.001), c.Says(c.Finds-0.001))
	}
	// So many tests that six runs cannot find any change in one of them.
	if c := must(t)(digest.Together(newHost(6).rounds(6, 9, 1)))[0]; !math.IsInf(c.Finds, 1) || c.Says(0.5) != digest.TooNoisy {
		t.Errorf("it finds %g and says %q", c.Finds, c.Says(0.5))
	}
	// More tests make it harder.
	few, many := must(t)(digest.Together(newHost(7).rounds(20, 1, 1)))[0], must(t)(digest.Together(newHost(7).rounds(20, 40, 1)))[0]
	if many.Finds < few.Finds*1.2 {
		t.Errorf("it finds %g alone and %g among 40", few.Finds, many.Finds)
	}
}

func TestWhatCannotBeCompared(t *testing.T) {
	run := func(change func(*record.Bench)) []digest.Measurement {
		m := newHost(8).apart("r", 1, 2, 1)
		change(m[0].Benchmarks[0].Subjects[0])
		return m
	}
	controlled := func(change func(*record.Bench)) []digest.Measurement {
		m := newHost(8).apart("c", 1, 2, 1)
		change(m[0].Benchmarks[0].Control)
		return m
	}
	plain := run(func(*record.Bench) {})
	for name, c := range map[string]struct {
		newer []digest.Measurement
		none  string // of the first change
		err   string
	}{
		"unsupported":   {newer: run(func(b *record.Bench) { b.Unsupported, b.Samples = "not supported: no such thing", nil }), none: "unsupported on the new side: no such thing"},
		"zero":          {newer: run(func(b *record.Bench) { b.Samples[4].Value = 0 }), none: "only positive numbers have a ratio"},
		"few blocks":    {newer: run(func(b *record.Bench) { b.Samples = b.Samples[:8] }), none: "4 blocks, at least 6 are needed"},
		"other control": {newer: controlled(func(b *record.Bench) { b.Unit = record.Bytes }), none: `its control is in "s" at run r0 and in "bytes" at run c0`},
		"zero control":  {newer: controlled(func(b *record.Bench) { b.Samples[5].Value = 0 }), none: "run c0: its control has no ratio in block 2"},
		"half control":  {newer: controlled(func(b *record.Bench) { b.Samples = b.Samples[:20] }), none: "run c0: its control has no ratio in block 10"},
		"another unit":  {newer: run(func(b *record.Bench) { b.Unit = record.Bytes }), err: `run r0: benchmark "a.0": it is in "bytes" (lower is better) here and in "s"`},
		"another sense": {newer: run(func(b *record.Bench) { b.Better = record.Higher }), err: `(higher is better) here and in "s" (lower is better) at run r0`},
		"nothing":       {newer: nil, err: "there is nothing to compare"},
		"two of one":    {newer: newHost(1).rounds(1, 1, 1), err: `run r0: benchmark "a.0": "old" and "new" are both core at hardened: a run that is compared has one of each`},
	} {
		changes, err := digest.Apart(plain, c.newer)
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %q", name, err, c.err)
			}
		case err != nil || len(changes) != 2:
			t.Errorf("%s: %d changes, %v", name, len(changes), err)
		case !strings.Contains(changes[0].None, c.none) || changes[0].Says(0) != digest.NoRatio || changes[1].None != "":
			t.Errorf("%s: %q and %q, want %q", name, changes[0].None, changes[1].None, c.none)
		}
	}
}

// TestVersionsOneAfterTheOther: rows that measure one subject at a time are compared through the control beside each.
func TestVersionsOneAfterTheOther(t *testing.T) {
	h := newHost(9)
	h.process = 0.001
	runs := h.rounds(12, 1, 1)
	for i := range runs {
		row := &runs[i].Benchmarks[0]
		later := row.Subject("new")
		for j := range later.Samples { // behind the old ones, on a host that is slower by half now
			later.Samples[j].Block += 5
			later.Samples[j].Seq += 20
			later.Samples[j].Value *= 1.5
			control := row.Control.Samples[j]
			control.Block += 5
			control.Seq += 20
			control.Value *= 1.5
			row.Control.Samples = append(row.Control.Samples, control)
		}
	}
	c := must(t)(digest.Together(runs))[0]
	if c.Ratio.Low > 1 || c.Ratio.High < 1 || c.Ratio.High > 1.1 {
		t.Errorf("the ratio is %+v, want about 1", c.Ratio)
	}
}
