package record_test

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/record"
)

// sampled is a bench record that is as it should be.
func sampled(subject string, values ...float64) record.Bench {
	b := record.Bench{
		Run: "r1", Benchmark: "start.exec", Group: "start", Unit: record.Seconds, Better: record.Lower, Subject: subject,
		Runtime: "core", RuntimeVersion: "0.1.0", Rung: "hardened", Seed: 7, Warmup: 3,
	}
	for i, v := range values {
		b.Samples = append(b.Samples, record.Sample{Block: i / 2, Seq: i, Value: v, CPU: v / 2})
	}
	return b
}

func control(values ...float64) record.Bench {
	b := sampled("control", values...)
	b.Control, b.Runtime, b.Rung = true, "host", "bare"
	return b
}

// written is a stream of a run and its bench records.
func written(t *testing.T, benches ...record.Bench) string {
	t.Helper()
	var out bytes.Buffer
	w := record.NewWriter(&out)
	if err := w.Run(record.Run{ID: "r1", Benching: &record.Benching{Seed: 7, Rule: "4 samples"}}); err != nil {
		t.Fatal(err)
	}
	for _, b := range benches {
		if err := w.Bench(b); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestBenchIsReadAsItWasWritten(t *testing.T) {
	want := sampled("core", 0.001, 1e-9, 12345.678901234567, 0)
	text := written(t, want, control(1, 2, 3, 4))
	if !strings.Contains(text, `"samples":[[0,0,0.001,0.0005],[0,1,1e-09,5e-10],`) {
		t.Errorf("samples are no compact arrays: %s", text)
	}
	set, err := record.Read("x.jsonl", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	run, all, err := set.Measured(4)
	if err != nil || len(all) != 1 || run.Benching == nil || run.Benching.Seed != 7 {
		t.Fatalf("%+v, %+v, %v", run, all, err)
	}
	m := all[0]
	got := *m.Subject("core")
	if got.Where() != "x.jsonl:2" {
		t.Errorf("read from %q, want x.jsonl:2", got.Where())
	}
	if !reflect.DeepEqual(got.Samples, want.Samples) || got.Seed != 7 || got.Unit != record.Seconds {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !m.Control.Control || m.Subject("control") != nil {
		t.Errorf("the control is %+v", m.Control)
	}
	if blocks := got.Blocks(); len(blocks) != 2 || !slices.Equal(blocks[1], []float64{12345.678901234567, 0}) {
		t.Errorf("blocks %v", blocks)
	}
	if cpu := got.CPU(); cpu[0] != 0.0005 || !slices.Equal(got.Values(), []float64{0.001, 1e-9, 12345.678901234567, 0}) {
		t.Errorf("cpu %v, values %v", cpu, got.Values())
	}
}

// TestBadBenchRecords spoils one thing each; the error names the line and the thing.
func TestBadBenchRecords(t *testing.T) {
	good := written(t, sampled("core", 1, 2, 3, 4), control(1, 2, 3, 4))
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown unit", `"unit":"s"`, `"unit":"ms"`, `x.jsonl:2: bench "start.exec": unit "ms" is none of [s bytes 1/s ratio]`},
		{"unknown better", `"better":"lower"`, `"better":"red"`, `x.jsonl:2: bench "start.exec": better "red"`},
		{"no benchmark", `"benchmark":"start.exec"`, `"benchmark":""`, `x.jsonl:2: bench without benchmark`},
		{"no subject", `"subject":"core"`, `"subject":""`, `names no subject`},
		{"no run", `"run":"r1"`, `"run":""`, `names no run`},
		{"NaN", `[0,0,1,0.5]`, `[0,0,NaN,0.5]`, `x.jsonl:2: parse record: invalid character 'N'`},
		{"too large", `[0,0,1,0.5]`, `[0,0,1e999,0.5]`, `x.jsonl:2: parse bench: sample`},
		{"negative", `[0,0,1,0.5]`, `[0,0,-1,0.5]`, `sample 0: -1 s is no measurement`},
		{"negative CPU", `[0,0,1,0.5]`, `[0,0,1,-0.5]`, `sample 0: -0.5 s of CPU time is no measurement`},
		{"null", `[0,0,1,0.5]`, `[0,0,null,0.5]`, `want four numbers`},
		{"short", `[0,0,1,0.5]`, `[0,0,1]`, `want four numbers`},
		{"text", `[0,0,1,0.5]`, `[0,0,"1",0.5]`, `want four numbers`},
		{"no list", `[0,0,1,0.5]`, `7`, `want four numbers`},
		{"nested", `[0,0,1,0.5]`, `[[0,0,1,0.5]]`, `want four numbers`},
		{"long", `[0,0,1,0.5]`, `[0,0,1,0.5,1]`, `want four numbers`},
		{"half a block", `[0,0,1,0.5]`, `[0.5,0,1,0.5]`, `whole numbers from 0`},
		{"seq back", `[0,1,2,1]`, `[0,0,2,1]`, `sample 0 comes after sample 0`},
		{"no samples", `"samples":[[0,0,1,0.5],[0,1,2,1],[1,2,3,1.5],[1,3,4,2]]`, `"samples":[]`, `neither samples nor a reason`},
		{"both", `"seed":7,"warmup":3,"samples"`, `"unsupported":"no","seed":7,"warmup":3,"samples"`, `unsupported and has samples`},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatal("nothing was spoilt")
			}
			_, err := record.Read("x.jsonl", strings.NewReader(bad))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

// TestRecordsOfNoUse: each record makes sense alone, and no statement can be made of all.
func TestRecordsOfNoUse(t *testing.T) {
	bytesOf := sampled("runc", 1, 2, 3, 4)
	bytesOf.Unit = record.Bytes
	other := control(1, 2, 3, 4)
	other.Run = "r2"
	lacking := sampled("crun")
	lacking.Samples, lacking.Unsupported = nil, "no such thing"
	good := []record.Bench{sampled("core", 1, 2, 3, 4), control(1, 2, 3, 4)}
	for _, c := range []struct {
		name    string
		benches []record.Bench
		want    string // "": none
	}{
		{"good", good, ""},
		{"unsupported is no gap", append(slices.Clone(good), lacking), ""},
		{"unsupported alone needs no control", []record.Bench{lacking}, ""},
		{"no control", good[:1], `x.jsonl:2: benchmark "start.exec": it has no control`},
		{"no subject", good[1:], `x.jsonl:2: benchmark "start.exec": it has a control and no subject`},
		{"two controls", append(slices.Clone(good), good[1]), `x.jsonl:4: benchmark "start.exec": it has two controls, the other at x.jsonl:3`},
		{"twice", append(slices.Clone(good), good[0]), `x.jsonl:4: benchmark "start.exec": "core" is there twice, the other at x.jsonl:2`},
		{"mixed units", append(slices.Clone(good), bytesOf), `x.jsonl:4: benchmark "start.exec": it is in "bytes" (lower is better) here and in "s" (lower is better) at x.jsonl:2`},
		{"too few", []record.Bench{sampled("core", 1, 2), good[1]}, `x.jsonl:2: benchmark "start.exec": 2 samples are too few: at least 4 are needed`},
		{"another run", []record.Bench{good[0], other}, `x.jsonl:3: benchmark "start.exec": it is of run "r2", not of "r1"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := record.Read("x.jsonl", strings.NewReader(written(t, c.benches...)))
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = set.Measured(4)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	for text, want := range map[string]string{
		"": "it holds no samples",
		strings.SplitAfterN(written(t, good...), "\n", 2)[1]: "it has lost its start",
		written(t, good...) + written(t, good...):            "it holds 2 runs",
	} {
		set, err := record.Read("x.jsonl", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = set.Measured(4); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNoMeasurementIsWritten(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), -1} {
		var out bytes.Buffer
		err := record.NewWriter(&out).Bench(sampled("core", v))
		if err == nil || out.Len() > 0 || !strings.Contains(err.Error(), "no measurement") {
			t.Errorf("%g: %v, %q", v, err, &out)
		}
	}
}

func TestHostBetweenTwoStates(t *testing.T) {
	usec := func(n uint64) *uint64 { return &n }
	before := record.Host{StealTicks: 10, CPUTicks: 1000, SwapIn: 1, ThrottledUsec: usec(5)}
	after := record.Host{StealTicks: 30, CPUTicks: 1200, SwapIn: 2, SwapOut: 3, ThrottledUsec: usec(1_000_005)}
	if s, th, sw := before.Stolen(after), before.Throttled(after), before.Swapped(after); s != 0.1 || th != 1 || sw != 4 {
		t.Errorf("stolen %g, throttled %g, swapped %d", s, th, sw)
	}
	if s := before.Stolen(record.Host{StealTicks: 5, CPUTicks: 1200}); s != 0 {
		t.Errorf("stolen %g where the counter went back", s)
	}
	if s, th, sw := after.Stolen(before), after.Throttled(record.Host{}), after.Swapped(before); s != 0 || th != 0 || sw != 0 {
		t.Errorf("counters that went back: %g, %g, %d", s, th, sw)
	}
}

// FuzzBench: whatever is read can be written, and is read the same again.
func FuzzBench(f *testing.F) {
	f.Add([]byte(`[0,1,0.25,1e-7]`), "s", "lower")
	f.Add([]byte(`[1,2]`), "", "one")
	f.Add([]byte(`[1e9,2147483648,NaN,-0]`), "bytes", "higher")
	f.Fuzz(func(t *testing.T, sample []byte, unit, better string) {
		line := []byte(`{"schema":"cellwall/1","kind":"bench","run":"r","benchmark":"b","subject":"x","unit":"`)
		line = append(append(line, unit...), `","better":"`...)
		line = append(append(line, better...), `","samples":[`...)
		line = append(append(line, sample...), `]}`...)
		set, err := record.Read("f", bytes.NewReader(line))
		if err != nil || len(set.Benches) == 0 {
			return
		}
		var out bytes.Buffer
		if err := record.NewWriter(&out).Bench(set.Benches[0]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		again, err := record.Read("f", &out)
		if err != nil || !reflect.DeepEqual(again.Benches[0].Samples, set.Benches[0].Samples) {
			t.Fatalf("%s: %+v, %v, want %+v", line, again.Benches, err, set.Benches)
		}
	})
}
