package digest_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// noisy is a subject of n blocks, two samples each, about a level.
func noisy(name string, level float64, n int, seed uint64) *record.Bench {
	r := rand.New(rand.NewPCG(seed, 1))
	b := &record.Bench{Benchmark: "a.one", Subject: name, Unit: record.Seconds, Better: record.Lower}
	for i := range 2 * n {
		b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: level * (1 + r.Float64()/10), CPU: level / 2})
	}
	return b
}

func rows(t *testing.T, m record.Measured) digest.Row {
	t.Helper()
	m.Benchmark = "a.one"
	all, err := digest.Rows([]record.Measured{m})
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// TestASlowdownOfAFakeIsFound: ten percent planted, ten percent of noise.
func TestASlowdownOfAFakeIsFound(t *testing.T) {
	r := rows(t, record.Measured{
		Subjects: []*record.Bench{noisy("core", 1, 30, 1), noisy("again", 1, 30, 2), noisy("slow", 1.1, 30, 3)},
		Control:  noisy("control", 0.1, 30, 4),
	})
	core, again, slow, control := r.Lines[0], r.Lines[1], r.Lines[2], r.Lines[3]
	if core.Ratio != nil || control.Ratio != nil {
		t.Error("the first and the control are compared with the first")
	}
	if again.Ratio.Low > 1 || again.Ratio.High < 1 {
		t.Errorf("the same again: %+v", again.Ratio)
	}
	if slow.Ratio.Low < 1.05 || slow.Ratio.High > 1.15 {
		t.Errorf("10 %% slower: %+v", slow.Ratio)
	}
	if core.Median.Low > core.Median.Point || core.Median.Low < 1 || core.Median.High > 1.1 || core.CPU != 0.5 {
		t.Errorf("the median: %+v, CPU %g", core.Median, core.CPU)
	}
	for _, l := range r.Lines {
		if l.Finds <= 0 || l.Finds > 0.1 {
			t.Errorf("%s finds %g", l.Subject, l.Finds)
		}
	}
	if r.Finds < core.Finds || r.Finds < slow.Finds {
		t.Errorf("the row finds %g, its subjects %g and %g: the worst counts", r.Finds, core.Finds, slow.Finds)
	}
	if r.TooNoisy(0) || r.TooNoisy(0.1) || !r.TooNoisy(0.0001) {
		t.Error("too noisy for the wrong changes")
	}
}

func TestTooFewForARatio(t *testing.T) {
	r := rows(t, record.Measured{Subjects: []*record.Bench{noisy("core", 1, 2, 1), noisy("slow", 2, 2, 2)}})
	if r.Lines[1].Ratio != nil || !math.IsInf(r.Finds, 1) || !r.TooNoisy(0.5) {
		t.Errorf("got %+v, finds %g", r.Lines[1].Ratio, r.Finds)
	}
	m := r.Lines[0].Median
	if m.Low >= m.Point || m.High <= m.Point || m.Confidence != 0 {
		t.Errorf("the median of four: %+v", m)
	}
}

func TestUnsupportedSubjects(t *testing.T) {
	lacking := &record.Bench{Benchmark: "a.one", Subject: "crun", Unsupported: "no such thing"}
	r := rows(t, record.Measured{Subjects: []*record.Bench{lacking, noisy("core", 1, 10, 1), noisy("slow", 2, 10, 2), noisy("slower", 4, 10, 3)}})
	if r.Lines[0].Ratio != nil || r.Lines[1].Ratio != nil || r.Lines[2].Ratio == nil || r.Lines[2].Ratio.Low < 1.5 || r.Lines[3].Ratio.Low < 3 {
		t.Errorf("all are compared with the first that was measured: %+v", r.Lines)
	}
}

// TestOneAfterTheOther: subjects in blocks of their own are compared without them.
func TestOneAfterTheOther(t *testing.T) {
	later := noisy("slow", 2, 12, 2)
	for i := range later.Samples {
		later.Samples[i].Block += 10
	}
	r := rows(t, record.Measured{Subjects: []*record.Bench{noisy("core", 1, 10, 1), later}})
	if ratio := r.Lines[1].Ratio; ratio.Low < 1.8 || ratio.High > 2.2 {
		t.Errorf("got %+v", ratio)
	}
}

// TestDifferencesOfBytes may be 0 or below, where no ratio makes sense.
func TestDifferencesOfBytes(t *testing.T) {
	b := noisy("core", 1, 10, 1)
	b.Samples[3].Value = -1
	r := rows(t, record.Measured{Subjects: []*record.Bench{noisy("first", 1, 10, 2), b}})
	if r.Lines[1].Ratio != nil || !math.IsInf(r.Finds, 1) {
		t.Errorf("got %+v, finds %g", r.Lines[1].Ratio, r.Finds)
	}
	b.Samples = nil
	if _, err := digest.Rows([]record.Measured{{Benchmark: "a.one", Subjects: []*record.Bench{b}}}); err == nil || !strings.Contains(err.Error(), "benchmark a.one on core: no samples") {
		t.Errorf("got %v", err)
	}
}
