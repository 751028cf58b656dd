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

func side(from int64) record.Side {
	return record.Side{
		Latencies: record.Histogram{Unit: "ns", Digits: 3, Counts: [][2]int64{{from, 98}, {10 * from, 2}}},
		Median:    float64(from) / 1e9, Seconds: 0.5,
	}
}

// felt is an interference record that is as it should be.
func felt(victim, setting string) record.Interference {
	return record.Interference{
		Run: "r1", Victim: victim, Antagonist: "memory", Resource: "memory", Setting: setting, Rung: "limits", Limited: true,
		Runtime: "core", RuntimeVersion: "0.1.0", AntagonistLimits: "memory 256 MiB", Seed: 7, Warmup: 1, Window: 0.25,
		Blocks: []record.Duel{{Alone: side(1000), Beside: side(5000)}, {Alone: side(1001), Beside: side(5001)}},
		BesideCauses: record.Causes{
			Throttled: record.Stall{Count: 1, Seconds: 0.25}, OOMKills: 2, RefusedForks: 3, WaitedFor: record.WaitedFor{Antagonist: 0.5}, CPU: 1.5,
		},
		Work: record.Work{Operations: 100, Refused: 5, Killed: 2}, Unwatched: []string{"pids: no such rung"},
		AloneOthers: record.Others{CPU: 0.5, Of: 2}, BesideOthers: record.Others{CPU: 0.25, Of: 2},
	}
}

func writtenFelt(t *testing.T, all ...record.Interference) string {
	t.Helper()
	var out bytes.Buffer
	w := record.NewWriter(&out)
	if err := w.Run(record.Run{ID: "r1", Benching: &record.Benching{Seed: 7}}); err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if err := w.Interference(i); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestInterferenceIsReadAsItWasWritten(t *testing.T) {
	text := writtenFelt(t, felt("request", "limits+cpuset"), felt("fork", "limits"))
	if !strings.Contains(text, `"latencies":{"unit":"ns","digits":3,"counts":[[1000,98],[10000,2]]}`) {
		t.Errorf("a histogram is not as package stats writes it: %s", text)
	}
	set, err := record.Read("x.jsonl", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	runs, all, err := set.Interfered()
	if err != nil || len(runs) != 1 || runs[0].ID != "r1" || len(all) != 2 {
		t.Fatalf("%+v, %d, %v", runs, len(all), err)
	}
	got := all[0]
	if got.Where() != "x.jsonl:2" || got.Blocks[0].Beside.Latencies.Count() != 100 {
		t.Errorf("read from %q, %d latencies", got.Where(), got.Blocks[0].Beside.Latencies.Count())
	}
	var out bytes.Buffer
	if err := record.NewWriter(&out).Interference(all[0]); err != nil {
		t.Fatal(err)
	}
	again, err := record.Read("x.jsonl", strings.NewReader("\n"+out.String()))
	if err != nil || !reflect.DeepEqual(again.Interferences[0].Blocks, all[0].Blocks) || again.Interferences[0].BesideCauses != all[0].BesideCauses ||
		again.Interferences[0].Work != all[0].Work || again.Interferences[0].AloneOthers.Share() != 0.25 || again.Interferences[0].BesideOthers != all[0].BesideOthers || !slices.Equal(again.Interferences[0].Unwatched, all[0].Unwatched) {
		t.Errorf("%+v, %v, want %+v", again.Interferences, err, all[0])
	}
}

// TestBadInterferences spoils one thing each; the error names the line and the thing.
func TestBadInterferences(t *testing.T) {
	good := writtenFelt(t, felt("request", "limits"))
	for _, c := range []struct{ name, old, new, want string }{
		{"no victim", `"victim":"request"`, `"victim":""`, "has to name a victim"},
		{"no setting", `"setting":"limits"`, `"setting":""`, "has to name a victim, an antagonist, a resource and a setting"},
		{"no run", `"run":"r1"`, `"run":""`, "it names no run"},
		{"another unit", `"unit":"ns"`, `"unit":"us"`, `block 0: a histogram in "us" to 3 digits: only "ns"`},
		{"other digits", `"digits":3`, `"digits":2`, `to 2 digits`},
		{"falling", `[[1000,98],[10000,2]]`, `[[10000,98],[1000,2]]`, `1000 ns behind 10000 ns`},
		{"the same twice", `[[1000,98],[10000,2]]`, `[[1000,98],[1000,2]]`, `1000 ns behind 1000 ns`},
		{"negative time", `[[1000,98],`, `[[-5,98],`, `-5 ns behind -1 ns`},
		{"too long", `[10000,2]]`, `[3600000000001,2]]`, `up to an hour`},
		{"no count", `[[1000,98],`, `[[1000,0],`, `a count of 0`},
		{"overflow", `[10000,2]]`, `[10000,9223372036854775807]]`, `a count of 9223372036854775807`},
		{"nothing", `[[1000,98],[10000,2]]`, `[]`, `a histogram of nothing`},
		{"no median", `"median":0.000001`, `"median":0`, `a median of 0 s`},
		{"no time", `"seconds":0.5}`, `"seconds":-1}`, `turns of -1 s`},
		{"unserved", `"seconds":0.5}`, `"seconds":0.5,"unserved":-1}`, `-1 operations`},
		{"cause", `"seconds":0.25}`, `"seconds":-0.25}`, `a cause of -0.25 s`},
		{"window", `"window":0.25`, `"window":-1`, `a window of -1 s`},
		{"warm-up", `"warmup":1`, `"warmup":-1`, `a warm-up of -1 turns`},
		{"work", `"killed":2`, `"killed":-2`, `-2 workers killed`},
		{"others", `"of":2}`, `"of":-2}`, `others took 0.5 s of -2 s`},
		{"both", `"warmup":1`, `"warmup":1,"unsupported":"no"`, "unsupported and has blocks"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatal("nothing was spoilt")
			}
			_, err := record.Read("x.jsonl", strings.NewReader(bad))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.jsonl:2: interference of ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

// TestInterferencesOfNoUse: each record makes sense alone, and no matrix can be made of all.
func TestInterferencesOfNoUse(t *testing.T) {
	other, lacking := felt("fork", "limits"), felt("fsync", "limits+io")
	other.Run = "r2"
	lacking.Blocks, lacking.Unsupported = nil, "no such thing"
	good := felt("request", "limits")
	var elsewhere bytes.Buffer
	if err := record.NewWriter(&elsewhere).Run(record.Run{ID: "r2", Kernel: "7.0"}); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		writtenFelt(t, good, lacking):                                "",
		writtenFelt(t, good, good):                                   "x.jsonl:3: it is there twice, the other at x.jsonl:2",
		writtenFelt(t, good, other):                                  `x.jsonl:3: no record describes its run "r2"`,
		writtenFelt(t):                                               "it holds no interference",
		strings.SplitAfterN(writtenFelt(t, good), "\n", 2)[1]:        `x.jsonl:1: no record describes its run "r1"`,
		writtenFelt(t, good) + writtenFelt(t, felt("cpu", "limits")): "",
		writtenFelt(t, good) + elsewhere.String():                    `a matrix is of one host: run "r2" is of kernel 7.0 with 0 CPUs and run "r1" of  with 0`,
		written(t, sampled("core", 1, 2, 3, 4), control(1, 2, 3, 4)): "it is not of cellwall interfere",
	} {
		set, err := record.Read("x.jsonl", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = set.Interfered(); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestNoInterferenceThatMakesNoSenseIsWritten(t *testing.T) {
	for want, change := range map[string]func(*record.Interference){
		"a median of NaN s":     func(i *record.Interference) { i.Blocks[1].Beside.Median = math.NaN() },
		"a cause of +Inf s":     func(i *record.Interference) { i.AloneCauses.CPU = math.Inf(1) },
		"a window of NaN s":     func(i *record.Interference) { i.Window = math.NaN() },
		"a histogram of nothin": func(i *record.Interference) { i.Blocks[0].Alone.Latencies.Counts = nil },
		"neither blocks nor":    func(i *record.Interference) { i.Blocks = nil },
	} {
		i := felt("request", "limits")
		change(&i)
		var out bytes.Buffer
		if err := record.NewWriter(&out).Interference(i); err == nil || out.Len() > 0 || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v, want %q", &out, err, want)
		}
	}
}

// FuzzInterference: whatever is read can be written, and is read the same again.
func FuzzInterference(f *testing.F) {
	f.Add([]byte(`[[1000,98],[10000,2]]`), []byte(`0.001`), []byte(`{"count":1,"seconds":0.5}`))
	f.Add([]byte(`[[0,9223372036854775807]]`), []byte(`1e308`), []byte(`{}`))
	f.Add([]byte(`[[1],[2,3,4]]`), []byte(`-0`), []byte(`null`))
	f.Fuzz(func(t *testing.T, counts, median, stall []byte) {
		s := `{"latencies":{"unit":"ns","digits":3,"counts":` + string(counts) + `},"median":` + string(median) + `,"seconds":1}`
		line := `{"schema":"cellwall/1","kind":"interference","run":"r","victim":"v","antagonist":"a","resource":"cpu","setting":"limits","blocks":[{"alone":` +
			s + `,"beside":` + s + `}],"alone_causes":{"waited":` + string(stall) + `}}`
		set, err := record.Read("f", strings.NewReader(line))
		if err != nil || len(set.Interferences) != 1 {
			return
		}
		var out bytes.Buffer
		if err := record.NewWriter(&out).Interference(set.Interferences[0]); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		again, err := record.Read("f", &out)
		if err != nil || !reflect.DeepEqual(again.Interferences[0].Blocks, set.Interferences[0].Blocks) ||
			again.Interferences[0].AloneCauses != set.Interferences[0].AloneCauses {
			t.Fatalf("%s: %+v, %v, want %+v", line, again.Interferences, err, set.Interferences)
		}
	})
}
