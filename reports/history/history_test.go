package history_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cellwall/reports/history"
	"cellwall/reports/record"
)

// begin is when the simulated histories begin: a run an hour.
func begin() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// simulated makes runs as cellwall bench does.
type simulated struct {
	random  *rand.Rand
	rows    []string
	samples int
	// level is that of a benchmark in a run, beside which there is noise; nil: 3 ms.
	level func(benchmark string, run int) float64
	// change is made to the records of a run; nil: none.
	change func(run int, r *record.Run, benches []record.Bench)
}

func newSimulated(seed uint64, rows ...string) *simulated {
	return &simulated{random: rand.New(rand.NewPCG(seed, 1)), rows: rows, samples: 8}
}

// text is the file of run i.
func (s *simulated) text(t testing.TB, i int) []byte {
	t.Helper()
	run := record.Run{
		ID: fmt.Sprintf("bench-%05d", i), Time: begin().Add(time.Duration(i) * time.Hour), Version: fmt.Sprintf("v0.0.0-20260101000000-%012x", i),
		Kernel: "6.18.44-fc", Machine: "x86_64", CPUs: 2, BootID: "b", CgroupMode: "v2",
		Runtimes: []record.Runtime{{Name: "core", Version: "(devel)"}},
		Benching: &record.Benching{Rule: "40 samples", Before: record.Host{CPUTicks: uint64(1000 + i)}, After: record.Host{CPUTicks: uint64(1001 + i)}},
	}
	host := math.Exp(0.3 * s.random.NormFloat64()) // how fast the host is in this run
	var benches []record.Bench
	for _, name := range s.rows {
		level := 3e-3
		if s.level != nil {
			level = s.level(name, i)
		}
		level *= math.Exp(0.02 * s.random.NormFloat64()) // what differs from run to run
		for _, subject := range []string{"core", "control"} {
			b := record.Bench{
				Run: run.ID, Benchmark: name, Group: "start", Unit: record.Seconds, Better: record.Lower, Doc: "the time from asking for a container to the first instruction of its program",
				Subject: subject, Runtime: subject, RuntimeVersion: "(devel)", Rung: "hardened", Program: "(devel)", Control: subject == "control", Seed: 13710990868158153987, Warmup: 3,
			}
			at := host * level
			if b.Control {
				b.Runtime, b.Rung, at = "host", "bare", host*3e-4
			}
			for k := range s.samples {
				b.Samples = append(b.Samples, record.Sample{
					Block: k / 2, Seq: 2 * k, Value: round(at * math.Exp(0.01*s.random.NormFloat64())), CPU: round(at / 2),
				})
			}
			benches = append(benches, b)
		}
	}
	if s.change != nil {
		s.change(i, &run, benches)
	}
	var out bytes.Buffer
	w := record.NewWriter(&out)
	err := w.Run(run)
	for _, b := range benches {
		err = errors.Join(err, w.Bench(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// round is to nanoseconds, as clocks do.
func round(x float64) float64 { return math.Round(x*1e9) / 1e9 }

// add adds a run to a history through a file.
func add(t testing.TB, dir string, text []byte) (string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.jsonl")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	n, err := history.Check(path, "", begin().AddDate(20, 0, 0))
	if err != nil {
		return "", err
	}
	return n.File(), history.Add(dir, n)
}

// fill makes a history of n runs without waiting for a disk, and returns its size in bytes.
func (s *simulated) fill(t testing.TB, dir string, n int) (size int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bench.jsonl")
	for i := range n {
		text := s.text(t, i)
		size += len(text)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		run, err := history.Check(path, "", begin().AddDate(20, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, run.File()), text, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	return size
}

func load(t *testing.T, dir string) *history.History {
	t.Helper()
	h, err := history.Load(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// files are the names in a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// fails wants an error of one line with some text.
func fails(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one line with %q", err, want)
	}
}

func TestAddWritesAFileOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "history")
	s := newSimulated(1, "start.exec")
	text := s.text(t, 5)
	name, err := add(t, dir, text)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(name, "20260101T050000Z-000000000005-") || !strings.HasSuffix(name, ".jsonl") || !slices.Equal(files(t, dir), []string{name}) {
		t.Errorf("it is %q of %q", name, files(t, dir))
	}
	if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, text) {
		t.Errorf("it has other content: %v", err)
	}
	if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != 0o444 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	_, err = add(t, dir, text)
	if !errors.Is(err, history.ErrThere) {
		t.Error("it was added twice")
	}
	fails(t, err, "bench.jsonl: it is there already, as "+name)
	// The same run, written differently, is no other run.
	_, err = add(t, dir, bytes.Replace(text, []byte(`"cpus":2`), []byte(`"cpus": 2`), 1))
	fails(t, err, `bench.jsonl: it is there already: `+name+` is run "bench-00005" too, with other content`)
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("left are %q", got)
	}
	// Another run of the same second is another run.
	if _, err := add(t, dir, bytes.ReplaceAll(text, []byte("bench-00005"), []byte("bench-other"))); err != nil {
		t.Error(err)
	}
}

// TestAddReplacesNothing: not even what has a name by chance or by malice.
func TestAddReplacesNothing(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	text := newSimulated(1, "start.exec").text(t, 5)
	name, err := add(t, other, text)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/nonexistent", filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := add(t, dir, text); !errors.Is(err, history.ErrThere) {
		t.Errorf("got %v", err)
	}
	if to, err := os.Readlink(filepath.Join(dir, name)); err != nil || to != "/nonexistent" || len(files(t, dir)) != 1 {
		t.Errorf("%q, %v, %v", to, err, files(t, dir))
	}
}

// TestAddToWhatTakesNoFile: the error names what was to be there, and no temporary file.
func TestAddToWhatTakesNoFile(t *testing.T) {
	_, err := add(t, "/proc/self", newSimulated(1, "start.exec").text(t, 5))
	if err == nil || !strings.HasPrefix(err.Error(), "add /proc/self/2") || !strings.HasSuffix(err.Error(), ".jsonl: no such file or directory") {
		t.Errorf("got %v", err)
	}
}

// TestAddAtOnce: of many who add a run at the same time one does.
func TestAddAtOnce(t *testing.T) {
	for round := range 20 {
		dir := t.TempDir()
		path := filepath.Join(t.TempDir(), "bench.jsonl")
		if err := os.WriteFile(path, newSimulated(1, "start.exec").text(t, round), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := history.Check(path, "", begin().AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { errs[i] = history.Add(dir, n) })
		}
		group.Wait()
		added := 0
		for _, err := range errs {
			switch {
			case err == nil:
				added++
			case !errors.Is(err, history.ErrThere):
				t.Errorf("got %v", err)
			}
		}
		if got := files(t, dir); added != 1 || !slices.Equal(got, []string{n.File()}) {
			t.Errorf("%d have added it, left are %q", added, got)
		}
	}
}

func TestRunsThatAreNotAdded(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "h")
	for _, c := range []struct {
		name   string
		change func(*record.Run, []record.Bench)
		spoil  func(string) string
		want   string
	}{
		{name: "cut", spoil: func(s string) string { return s[:len(s)-20] }, want: "bench.jsonl:5: parse record: unexpected end of JSON input"},
		{name: "half", spoil: func(s string) string { return s[:strings.LastIndex(strings.TrimSpace(s), "\n")+1] }, want: `bench.jsonl:4: benchmark "start.exit": it has no control`},
		{name: "empty", spoil: func(string) string { return "" }, want: "bench.jsonl: it holds no samples"},
		{name: "no JSON", spoil: func(string) string { return "hello" }, want: "bench.jsonl:1: parse record"},
		{name: "schema", spoil: func(s string) string { return strings.Replace(s, "cellwall/1", "cellwall/2", 1) }, want: `bench.jsonl:1: schema "cellwall/2"`},
		{name: "two runs", spoil: func(s string) string { return s + strings.ReplaceAll(s, "bench-00007", "bench-00008") }, want: "bench.jsonl: it holds 2 runs"},
		{name: "few", change: func(_ *record.Run, b []record.Bench) { b[2].Samples = b[2].Samples[:4] }, want: `bench.jsonl:4: benchmark "start.exit": 4 samples are too few: at least 6`},
		{name: "planted", change: func(_ *record.Run, b []record.Bench) { b[0].Planted = 0.05 }, want: `bench.jsonl:2: benchmark "start.exec": "core" was slowed down on purpose`},
		{name: "two of one", change: func(_ *record.Run, b []record.Bench) {
			b[2], b[3] = b[0], b[0]
			b[2].Subject, b[3].Subject = "new", "newer"
		}, want: `"core" and "new" are both core at hardened`},
		{name: "no time", change: func(r *record.Run, _ []record.Bench) { r.Time = time.Time{} }, want: "is of 0001-01-01T00:00:00Z: a history is in order of time"},
		{name: "to come", change: func(r *record.Run, _ []record.Bench) { r.Time = begin().AddDate(30, 0, 0) }, want: "is of 2056-01-01T00:00:00Z, which is yet to come: set the clock"},
	} {
		s := newSimulated(1, "start.exec", "start.exit")
		if c.change != nil {
			s.change = func(_ int, r *record.Run, b []record.Bench) { c.change(r, b) }
		}
		text := string(s.text(t, 7))
		if c.spoil != nil {
			text = c.spoil(text)
		}
		_, err := add(t, dir, []byte(text))
		if err == nil {
			t.Errorf("%s was added", c.name)
			continue
		}
		fails(t, err, c.want)
	}
	if _, err := history.Check(filepath.Join(dir, "moon"), "", begin()); err == nil || !strings.Contains(err.Error(), "read a run: open ") {
		t.Errorf("got %v", err)
	}
	out := t.TempDir()
	if _, err := history.Check(out, "", begin()); err == nil || err.Error() != out+" is a directory: name the file in it, "+filepath.Join(out, "bench.jsonl") {
		t.Errorf("got %v", err)
	}
	if got := files(t, dir); len(got) > 0 {
		t.Errorf("left are %q", got)
	}
}

func TestCommits(t *testing.T) {
	const unknown = "-unknown-"
	for _, c := range []struct{ version, commit, asked, want string }{
		{"(devel)", "", "", unknown},
		{"", "", "", unknown},
		{"v0.0.0-20261127063651-a68b550c1234", "", "", "-a68b550c1234-"},
		{"v0.0.0-20261127063651-a68b550c1234+dirty", "", "", "-a68b550c1234.dirty-"},
		{"v1.2.4-0.20261127063651-a68b550c1234", "", "", "-a68b550c1234-"},
		{"v1.2.3-rc.1", "", "", "-v1.2.3.rc.1-"},
		{"v1.2.3", "a68b550c1234deadbeef", "", "-a68b550c1234-"},
		{"v1.2.3", "A moon", "", "-v1.2.3-"},
		{"../../etc/passwd", "", "", unknown},
		{"v1.2.3", "a68b550c1234", "0123456", "-0123456-"},
	} {
		s := newSimulated(1, "start.exec")
		s.change = func(_ int, r *record.Run, _ []record.Bench) { r.Version, r.Commit = c.version, c.commit }
		path := filepath.Join(t.TempDir(), "x.jsonl")
		if err := os.WriteFile(path, s.text(t, 0), 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := history.Check(path, c.asked, begin())
		if err != nil || !strings.Contains(n.File(), "Z"+c.want) {
			t.Errorf("%+v: %v, %v", c, n, err)
			continue
		}
		dir := t.TempDir()
		if err := history.Add(dir, n); err != nil {
			t.Fatal(err)
		}
		if got := load(t, dir).Runs[0].Commit; "-"+got+"-" != c.want {
			t.Errorf("%+v: read as %q", c, got)
		}
	}
	for text, want := range map[string]string{"a68b550": "a68b550", "a68b550c1234deadbeef": "a68b550c1234", "HEAD": "", "a68": "", "": ""} {
		if got, err := history.ParseCommit(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// TestBranchesMerge: what two branches have added is all there when their files are.
func TestBranchesMerge(t *testing.T) {
	one, two, both := t.TempDir(), t.TempDir(), t.TempDir()
	s := newSimulated(1, "start.exec")
	common := s.text(t, 0)
	for i := range 9 {
		text := common
		if i > 0 {
			text = s.text(t, i)
		}
		for branch, has := range map[string]bool{one: i%2 == 0, two: i%2 == 1 || i == 0} {
			if !has {
				continue
			}
			if _, err := add(t, branch, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, dir := range []string{one, two} {
		for _, name := range files(t, dir) {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if there, err := os.ReadFile(filepath.Join(both, name)); err == nil && !bytes.Equal(there, text) {
				t.Errorf("%s is in conflict", name)
			}
			if err := os.WriteFile(filepath.Join(both, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := load(t, both)
	var ids []string
	for _, r := range h.Runs {
		ids = append(ids, r.ID)
	}
	if len(ids) != 9 || !slices.IsSorted(ids) {
		t.Errorf("got %v", ids)
	}
	if len(h.Notes) > 0 {
		t.Errorf("noted %v", h.Notes)
	}
}

// TestFilesThatCannotBeRead are named, and the others are there.
func TestFilesThatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
		want  string
		left  int
	}{
		{"cut", func(t *testing.T, path string) { rewrite(t, path, func(b []byte) []byte { return b[:len(b)-100] }) }, "it is not what was added, but changed or cut short: take it from another copy", 2},
		{"emptied", func(t *testing.T, path string) { rewrite(t, path, func([]byte) []byte { return nil }) }, "it is not what was added", 2},
		{"changed", func(t *testing.T, path string) {
			rewrite(t, path, func(b []byte) []byte { return bytes.Replace(b, []byte(`"cpus":2`), []byte(`"cpus":4`), 1) })
		}, "it is not what was added", 2},
		{"renamed", func(t *testing.T, path string) {
			if err := os.Rename(path, filepath.Join(filepath.Dir(path), "bench.jsonl")); err != nil {
				t.Fatal(err)
			}
		}, `"bench.jsonl" is no name of a run file: add runs with cellwall history add`, 2},
		{"a directory", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
				t.Fatal(err)
			}
		}, "is a directory", 2},
		{"twice", func(t *testing.T, path string) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			other := t.TempDir()
			name, err := add(t, other, bytes.Replace(text, []byte(`"memory_bytes":0`), []byte(`"memory_bytes":1`), 1))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(other, name), filepath.Join(filepath.Dir(path), name)); err != nil {
				t.Fatal(err)
			}
		}, `are one run, "bench-00001": remove one of them`, 4},
	} {
		dir := t.TempDir()
		newSimulated(1, "start.exec").fill(t, dir, 3)
		c.spoil(t, filepath.Join(dir, files(t, dir)[1]))
		h, err := history.Load(dir, nil)
		if err == nil || h == nil || len(h.Runs) != c.left {
			t.Errorf("%s: %v, %+v", c.name, err, h)
			continue
		}
		fails(t, err, c.want)
	}
	dir := t.TempDir()
	newSimulated(1, "start.exec").fill(t, dir, 3)
	h := load(t, dir)
	rewrite(t, filepath.Join(dir, files(t, dir)[1]), func(b []byte) []byte { return b[:len(b)-100] }) // after it was checked
	series, err := h.Series([]string{"*"}, time.Time{})
	fails(t, err, ".jsonl:3: parse record: ")
	if len(series) != 1 || len(series[0].Points) != 2 {
		t.Errorf("got %+v", series)
	}
	dir = t.TempDir()
	for _, name := range []string{"README.md", ".add-123", ".hidden.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if h := load(t, dir); len(h.Runs) != 0 {
		t.Errorf("read %+v", h.Runs[0])
	}
	if _, err := history.Load(filepath.Join(dir, "moon"), nil); err == nil || !strings.HasPrefix(err.Error(), "read the history: open ") {
		t.Errorf("got %v", err)
	}
}

func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path, change(text), 0o444)); err != nil {
		t.Fatal(err)
	}
}

// TestRunsOfOneSecond are in order of time, and not of their names.
func TestRunsOfOneSecond(t *testing.T) {
	dir := t.TempDir()
	s := newSimulated(1, "start.exec")
	s.change = func(i int, r *record.Run, _ []record.Bench) {
		r.Time = begin().Add(time.Duration(9-i) * time.Millisecond)
	}
	s.fill(t, dir, 9)
	for i, r := range load(t, dir).Runs {
		if want := fmt.Sprintf("bench-%05d", 8-i); r.ID != want {
			t.Errorf("run %d is %s, want %s", i, r.ID, want)
		}
	}
}

// TestAClockThatWentBack: the order is by time all the same, and a reader is told.
func TestAClockThatWentBack(t *testing.T) {
	dir := t.TempDir()
	s := newSimulated(1, "start.exec")
	s.change = func(i int, r *record.Run, _ []record.Bench) {
		if i == 3 {
			r.Time = r.Time.Add(-90 * time.Minute)
		}
	}
	s.fill(t, dir, 5)
	h := load(t, dir)
	want := "The clock of the host was set between bench-00003 and bench-00002, which are in the wrong order by its uptime."
	if h.Runs[2].ID != "bench-00003" || len(h.Notes) != 1 || h.Notes[0] != want {
		t.Errorf("%s is third, noted %q", h.Runs[2].ID, h.Notes)
	}
}

func TestSeries(t *testing.T) {
	dir := t.TempDir()
	s := newSimulated(1, "start.exec", "rate.1", "memory.idle")
	s.change = func(i int, r *record.Run, b []record.Bench) {
		if i >= 6 {
			r.Kernel = "7.0.1"
		}
		b[4].Unit = record.Bytes // its control is in seconds
		if i == 1 {
			b[0].Samples, b[0].Unsupported = nil, "not supported: no such thing"
		}
		if i == 2 {
			b[2].Unit = record.PerSecond // it was measured differently then
		}
		if i == 3 {
			for k := range b[4].Samples {
				b[4].Samples[k].Value = -1
			}
		}
		if i == 4 {
			b[1].Unit = record.Bytes // the control of start.exec
			for k := range b[3].Samples {
				b[3].Samples[k].Value = 0 // that of rate.1
			}
		}
	}
	s.fill(t, dir, 8)
	h := load(t, dir)
	var got []string
	for _, s := range all(t, h, time.Time{}) {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", s.Benchmark, s.Runtime, s.Rung, s.Host, s.Unit, len(s.Points)))
		for i, p := range s.Points {
			if i > 0 && p.Run.Time.Before(s.Points[i-1].Run.Time) {
				t.Errorf("%s is not in order of time", s.Benchmark)
			}
			want := math.Log(3e-3 / 3e-4)
			if s.Unit == record.Bytes {
				want = math.Log(p.Median)
			}
			if math.Abs(p.Log-want) > 0.2 {
				t.Errorf("%s: the logarithm is %g, want about %g", s.Benchmark, p.Log, want)
			}
		}
	}
	want := []string{
		"memory.idle core hardened x86_64, 2 CPUs, Linux 6.18 bytes 5", "memory.idle core hardened x86_64, 2 CPUs, Linux 7.0 bytes 2",
		"rate.1 core hardened x86_64, 2 CPUs, Linux 6.18 s 4", "rate.1 core hardened x86_64, 2 CPUs, Linux 7.0 s 2",
		"start.exec core hardened x86_64, 2 CPUs, Linux 6.18 s 4", "start.exec core hardened x86_64, 2 CPUs, Linux 7.0 s 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	for glob, want := range map[string]int{"rate.*": 2, "moon": 0} {
		if only, err := h.Series([]string{glob}, time.Time{}); len(only) != want || err != nil {
			t.Errorf("%s: got %d, %v", glob, len(only), err)
		}
	}
}
