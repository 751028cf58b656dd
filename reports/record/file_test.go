package record_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"cellwall/reports/record"
)

var update = flag.Bool("update", false, "rewrite the goldens in testdata")

func sample() (record.Run, []record.Verdict) {
	run := record.Run{
		ID: "r1", Time: time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC), Version: "0.1.0",
		Kernel: "6.18.44", Machine: "x86_64", CPUs: 2, MemoryBytes: 4 << 30, BootID: "b",
		CgroupMode: "hybrid", Controllers: []string{"memory", "pids"},
		Runtimes: []record.Runtime{{Name: "core", Version: "0.1.0"}}, CatalogueLen: 179,
	}
	control := record.Trial{Edit: "the host's pid namespace", On: "core", Rung: "hardened", Outcome: record.Breached, Evidence: "sentinel got signal 10"}
	return run, []record.Verdict{
		{
			Run: "r1", Guarantee: "process.signal-host", Group: "process", Claim: "cannot signal a process outside its PID namespace",
			Runtime: "core", RuntimeVersion: "0.1.0", Rung: "hardened", Claimed: true, Outcome: record.Held, DeniedBy: "pid-namespace", Errno: "ESRCH",
			Tries: []record.Try{{Call: "kill(1234, SIGUSR1)", Errno: "ESRCH"}}, Control: &control,
			Alone:    &record.Trial{On: "core", Rung: "namespaces", Outcome: record.Held, DeniedBy: "pid-namespace"},
			Duration: 21 * time.Millisecond,
		},
		{
			Run: "r1", Guarantee: "uts.hostname-host", Group: "uts", Claim: "cannot change the host's host or domain name",
			Runtime: "core", RuntimeVersion: "0.1.0", Rung: "bare", Outcome: record.Breached, KeptBy: "kernel",
			Evidence: "<b>\x1b[2J\u202e & more", Leaks: []string{"mount /x"}, Again: "cellwall verify --only uts.hostname-host -v",
		},
	}
}

func write(t *testing.T, run record.Run, verdicts []record.Verdict) []byte {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	if err := w.Run(run); err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if err := w.Verdict(v); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestWriterMatchesGolden(t *testing.T) {
	run, verdicts := sample()
	got := write(t, run, verdicts)
	const path = "testdata/records.jsonl"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if bytes.ContainsRune(got, 0x1b) {
		t.Error("a raw ESC is in the file")
	}
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	run, verdicts := sample()
	set, err := record.Read("x", bytes.NewReader(write(t, run, verdicts)))
	if err != nil {
		t.Fatal(err)
	}
	run.Header = record.Header{Schema: record.Schema, Kind: record.KindRun}
	for i := range verdicts {
		verdicts[i].Header = record.Header{Schema: record.Schema, Kind: record.KindVerdict}
	}
	if want := (record.Set{Runs: []record.Run{run}, Verdicts: verdicts}); !reflect.DeepEqual(set, want) {
		t.Errorf("got %+v\nwant %+v", set, want)
	}
}

func TestReadAcceptsFieldsOfALaterVersion(t *testing.T) {
	const line = `{"schema":"cellwall/1","kind":"verdict","guarantee":"fs.dotdot","outcome":"held","colour":"blue","deep":{"a":[1]},"control":{"on":"core","outcome":"breached","new":1}}`
	set, err := record.Read("x", strings.NewReader("\n"+line+"\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Verdicts) != 1 || set.Verdicts[0].Guarantee != "fs.dotdot" || set.Verdicts[0].Control.On != "core" {
		t.Errorf("got %+v", set)
	}
}

func TestReadNamesTheLineOfAnError(t *testing.T) {
	const ok = `{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"held"}`
	tests := []struct{ name, line, want string }{
		{"no JSON", `held`, "parse record"},
		{"half a line", ok[:40], "parse record"},
		{"two on a line", ok + ok, "parse record"},
		{"no object", `[]`, "parse record"},
		{"no schema", `{"kind":"verdict"}`, `schema ""`},
		{"later schema", `{"schema":"cellwall/2","kind":"verdict"}`, `schema "cellwall/2"`},
		{"unknown kind", `{"schema":"cellwall/1","kind":"ver\u001bdict"}`, `kind "ver\x1bdict" is unknown`},
		{"no kind", `{"schema":"cellwall/1"}`, `kind "" is unknown`},
		{"wrong type", `{"schema":"cellwall/1","kind":"run","cpus":"two"}`, "parse run"},
		{"wrong type in verdict", `{"schema":"cellwall/1","kind":"verdict","tries":1}`, "parse verdict"},
		{"no guarantee", `{"schema":"cellwall/1","kind":"verdict","outcome":"held"}`, "without guarantee"},
		{"no outcome", `{"schema":"cellwall/1","kind":"verdict","guarantee":"g"}`, `outcome "" is unknown`},
		{"unknown outcome", `{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"hedl"}`, `outcome "hedl" is unknown`},
		{"unknown control outcome", `{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"held","control":{"outcome":"x"}}`, `control of verdict on "g": outcome "x"`},
		{"unknown second control", `{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"held","controls":[{"outcome":"held"},{"outcome":"x"}]}`, `control of verdict on "g": outcome "x"`},
		{"unknown alone outcome", `{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"held","alone":{"outcome":"x"}}`, `alone run of verdict on "g": outcome "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := record.Read("dir/records.jsonl", strings.NewReader(ok+"\n\n"+tt.line+"\n"+ok+"\n"))
			if err == nil {
				t.Fatalf("read %+v", set)
			}
			if !strings.HasPrefix(err.Error(), "dir/records.jsonl:3: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want line 3 and %q", err, tt.want)
			}
			if len(set.Verdicts) != 0 {
				t.Error("some verdicts were returned beside an error")
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestErrorsOfTheStreamAreWrapped(t *testing.T) {
	broken := errors.New("broken")
	if _, err := record.Read("x", failing{broken}); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "x:1: ") {
		t.Errorf("read: %v", err)
	}
	w := record.NewWriter(failing{broken})
	if err := w.Run(record.Run{}); !errors.Is(err, broken) {
		t.Errorf("write run: %v", err)
	}
	if err := w.Verdict(record.Verdict{}); !errors.Is(err, broken) {
		t.Errorf("write verdict: %v", err)
	}
}

func TestALineThatIsTooLongIsRefusedOnBothSides(t *testing.T) {
	long := strings.Repeat("a", record.MaxLine)
	var b bytes.Buffer
	if err := record.NewWriter(&b).Verdict(record.Verdict{Guarantee: long}); err == nil || b.Len() != 0 {
		t.Errorf("wrote %d bytes, err %v", b.Len(), err)
	}
	_, err := record.Read("x", strings.NewReader("\n"+`{"schema":"`+long+`"}`))
	if err == nil || err.Error() != "x:2: a line of more than 16 MiB is no record" {
		t.Errorf("got %v", err)
	}
}

// What was read must be written again, and read again as the same.
func FuzzRead(f *testing.F) {
	golden, err := os.ReadFile("testdata/records.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Add([]byte(`{"schema":"cellwall/1","kind":"verdict","guarantee":"g","outcome":"held","controls":[{"outcome":"breached"}]}`))
	f.Add([]byte("{\"schema\":\"cellwall/1\",\"kind\":\"run\"}\n\x00"))
	f.Add([]byte(`{"schema":"cellwall/1","kind":"cell","place":1,"of":2,"kernel":"k","release":"6.1","cgroup":"v2","runtime":"core","outcome":"booted","tail":["x"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := record.Read("name", bytes.NewReader(data))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "name:") {
				t.Fatalf("error without the line: %v", err)
			}
			return
		}
		var b bytes.Buffer
		w := record.NewWriter(&b)
		for _, r := range set.Runs {
			// Years beyond 9999 parse by their offset and cannot be written.
			if y := r.Time.Year(); y < 0 || y > 9999 {
				return
			}
			if err := w.Run(r); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range set.Cells {
			if err := w.Cell(c); err != nil {
				t.Fatal(err)
			}
		}
		for _, v := range set.Verdicts {
			if err := w.Verdict(v); err != nil {
				t.Fatal(err)
			}
		}
		again, err := record.Read("again", &b)
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Cells) != len(set.Cells) {
			t.Fatalf("%d cells, want %d", len(again.Cells), len(set.Cells))
		}
		if len(again.Runs) != len(set.Runs) || len(again.Verdicts) != len(set.Verdicts) {
			t.Fatalf("%d runs and %d verdicts, want %d and %d", len(again.Runs), len(again.Verdicts), len(set.Runs), len(set.Verdicts))
		}
		if record.Count(again.Verdicts) != record.Count(set.Verdicts) {
			t.Fatalf("count %+v, want %+v", record.Count(again.Verdicts), record.Count(set.Verdicts))
		}
	})
}
