package render_test

import (
	"bufio"
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/render"
)

// measured is a run with all that a table can hold, and hostile text where a record has text.
func measured(t *testing.T) render.Bench {
	t.Helper()
	run := host()
	run.Runtimes = append(run.Runtimes, record.Runtime{Name: "crun", Version: "1.8.1", Lacks: []string{"the host's time namespace"}})
	run.Absent = []string{"runc"}
	throttled, later := uint64(0), uint64(1_500_000)
	run.Benching = &record.Benching{
		Seed: 7, Rule: "24 samples", Effect: 0.02, Stopped: "interrupted",
		Before: record.Host{Governor: "performance", Load: [3]float64{0.5, 1, 2}, CPUTicks: 1000, ThrottledUsec: &throttled},
		After:  record.Host{Load: [3]float64{1.5, 1, 2}, CPUTicks: 2000, StealTicks: 20, SwapIn: 3, ThrottledUsec: &later},
	}
	r := rand.New(rand.NewPCG(1, 2))
	bench := func(name, subject string, unit record.Unit, better record.Better, level, cpu float64) record.Bench {
		group, _, _ := strings.Cut(name, ".")
		b := record.Bench{
			Run: run.ID, Benchmark: name, Group: group, Unit: unit, Better: better, Doc: "what a sample of " + name + " is",
			Subject: subject, Runtime: subject, RuntimeVersion: "1.0", Rung: "hardened", Control: subject == "control",
		}
		for i := range 24 {
			b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: level * (1 + r.Float64()/20), CPU: cpu})
		}
		return b
	}
	hostileOne := bench("start.exec", hostile, record.Seconds, record.Lower, 3e-3, 1e-3)
	slow := bench("start.exec", "slow", record.Seconds, record.Lower, 3.2e-3, 1e-3)
	slow.Planted = 0.05
	lacking := bench("start.exec", "bwrap", record.Seconds, record.Lower, 1, 1)
	lacking.Samples, lacking.Unsupported = nil, "not supported: bwrap has not the commands of an OCI runtime: "+hostile
	set := record.Set{Runs: []record.Run{run}, Benches: []record.Bench{
		bench("start.exec", "core", record.Seconds, record.Lower, 2.8e-3, 2.9e-3),
		bench("start.exec", "crun", record.Seconds, record.Lower, 22e-3, 20e-3),
		hostileOne, slow, lacking,
		bench("start.exec", "control", record.Seconds, record.Lower, 150e-6, 220e-6),
		bench("rate.16", "core", record.PerSecond, record.Higher, 367, 4e-3),
		bench("rate.16", "control", record.PerSecond, record.Higher, 7097, 0),
		bench("memory.smallest", "core", record.Bytes, record.Lower, 176<<10, 0),
		bench("memory.smallest", "control", record.Seconds, record.Lower, 15e-9, 0),
		bench("throttle.5-by-8", "core", record.Ratio, record.One, 1, 0.05),
		bench("throttle.5-by-8", "control", record.Seconds, record.Lower, 1.2, 0),
	}}
	_, all, err := set.Measured(1)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := digest.Rows(all)
	if err != nil {
		t.Fatal(err)
	}
	return render.Bench{Run: run, Rows: rows}
}

func TestBenchText(t *testing.T) {
	r := measured(t)
	for name, style := range map[string]render.Text{"bench.txt": {}, "bench-100.txt": {Width: 100}, "bench-colour.txt": {Style: render.Colour}} {
		got := bytesOf(t, func(b *bytes.Buffer) error { return render.BenchText(b, r, style) })
		golden(t, name, got)
		if style.Style == render.Plain && bytes.ContainsAny(got, "\x1b\r\x07") {
			t.Errorf("%s: a control character got through", name)
		}
	}
}

func TestBenchMarkdown(t *testing.T) {
	r := measured(t)
	golden(t, "bench.md", bytesOf(t, func(b *bytes.Buffer) error { return render.BenchMarkdown(b, r) }))
}

// TestBenchGo reads the format as golang.org/x/perf/benchfmt does: a name that begins with Benchmark and an
// upper-case letter, a count, and pairs of a number and a unit.
func TestBenchGo(t *testing.T) {
	r := measured(t)
	got := bytesOf(t, func(b *bytes.Buffer) error { return render.BenchGo(b, r) })
	golden(t, "bench-go.txt", got)
	lines, samples := bufio.NewScanner(bytes.NewReader(got)), 0
	for lines.Scan() {
		line := lines.Text()
		name, ok := strings.CutPrefix(line, "Benchmark")
		if !ok {
			key, _, colon := strings.Cut(line, ": ")
			if !strings.HasPrefix(line, "Unit ") && (!colon || key != strings.ToLower(key)) {
				t.Errorf("%q is neither a sample, nor a unit, nor a key and a value", line)
			}
			continue
		}
		samples++
		f := strings.Fields(name)
		if len(f) < 4 || len(f)%2 != 0 || f[0][0] < 'A' || f[0][0] > 'Z' || f[1] != "1" {
			t.Errorf("%q is no sample", line)
			continue
		}
		for i := 2; i < len(f); i += 2 {
			if _, err := strconv.ParseFloat(f[i], 64); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
		if dash := strings.LastIndexByte(f[0], '-'); dash >= 0 {
			if _, err := strconv.Atoi(f[0][dash+1:]); err == nil {
				t.Errorf("%q would be on %s CPUs", line, f[0][dash+1:])
			}
		}
	}
	if want := 24 * 11; samples != want {
		t.Errorf("%d samples, want %d", samples, want)
	}
}

func TestNoBenchIsNoReport(t *testing.T) {
	for _, write := range []func(io.Writer) error{
		func(w io.Writer) error { return render.BenchText(w, render.Bench{}, render.Text{}) },
		func(w io.Writer) error { return render.BenchMarkdown(w, render.Bench{}) },
		func(w io.Writer) error { return render.BenchGo(w, render.Bench{}) },
	} {
		var b bytes.Buffer
		if err := write(&b); err == nil || b.Len() > 0 {
			t.Errorf("got %q, %v", &b, err)
		}
	}
}

func TestBenchProgress(t *testing.T) {
	now := time.Unix(0, 0)
	steps := func(p *render.BenchProgress) {
		for i, name := range []string{"start.exec", "rate.16"} {
			for part := range 4 {
				p.Step(name, i+1, 2, (float64(i)+float64(part)/4)/2)
				now = now.Add(10 * time.Second)
			}
		}
		p.Finish()
	}
	clock := func() time.Time { return now }
	var lines, line bytes.Buffer
	steps(&render.BenchProgress{Out: &lines, Now: clock})
	if want := "[1/2] start.exec\n[2/2] rate.16\n"; lines.String() != want {
		t.Errorf("got %q, want %q", &lines, want)
	}
	steps(&render.BenchProgress{Out: &line, Terminal: true, Width: 60, Now: clock})
	drawn := strings.Split(line.String(), "\r\x1b[K")
	for i, want := range []string{
		"", "[1/2] start.exec    0 %", "[1/2] start.exec   12 %, 1m10s left", "[1/2] start.exec   25 %, 1m0s left", "[1/2] start.exec   38 %, 50s left",
		"[2/2] rate.16   50 %, 40s left", "[2/2] rate.16   62 %, 30s left", "[2/2] rate.16   75 %, 20s left", "[2/2] rate.16   88 %, 10s left", "",
	} {
		if i >= len(drawn) || drawn[i] != want {
			t.Errorf("line %d is %q, want %q", i, drawn[min(i, len(drawn)-1)], want)
		}
	}
	var narrow bytes.Buffer
	p := &render.BenchProgress{Out: &narrow, Terminal: true, Width: 12, Now: clock}
	p.Step(hostile, 1, 2, 0)
	last := strings.TrimPrefix(narrow.String(), "\r\x1b[K")
	if strings.ContainsAny(last, "\x1b\x07\n\r") || len([]rune(last)) > 12 {
		t.Errorf("got %q", last)
	}
}

// FuzzBenchText: whatever a record says, no control character gets through and nothing panics.
func FuzzBenchText(f *testing.F) {
	f.Add("core", "no such thing", 1e-3, 2.0)
	f.Add(hostile, "", -1.0, 0.0)
	f.Fuzz(func(t *testing.T, subject, unsupported string, value, cpu float64) {
		for _, unit := range record.Units() {
			b := record.Bench{Run: "r1", Benchmark: "a." + subject, Group: "a", Unit: unit, Better: record.Lower, Subject: subject, Unsupported: unsupported}
			for i := range 14 {
				if unsupported == "" {
					b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: value * float64(1+i%3), CPU: cpu})
				}
			}
			rows, err := digest.Rows([]record.Measured{{Benchmark: b.Benchmark, Group: "a", Unit: unit, Better: record.Lower, Subjects: []*record.Bench{&b}}})
			if err != nil {
				return
			}
			r := render.Bench{Run: record.Run{ID: "r1"}, Rows: rows}
			for _, write := range []func(*bytes.Buffer) error{
				func(w *bytes.Buffer) error { return render.BenchText(w, r, render.Text{Width: 80}) },
				func(w *bytes.Buffer) error { return render.BenchMarkdown(w, r) },
				func(w *bytes.Buffer) error { return render.BenchGo(w, r) },
			} {
				out := bytesOf(t, write)
				if i := slices.IndexFunc(out, func(c byte) bool { return c < ' ' && c != '\n' }); i >= 0 {
					t.Fatalf("a control character in %q", out)
				}
			}
		}
	})
}
