package history_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/reports/history"
	"cellwall/reports/record"
)

// newest is since when changes are asked for by default.
func newest(h *history.History) time.Time {
	if len(h.Runs) <= history.Newest {
		return time.Time{}
	}
	return h.Runs[len(h.Runs)-history.Newest].Time
}

// all are all series of a history since a time.
func all(t testing.TB, h *history.History, since time.Time) []*history.Series {
	t.Helper()
	series, err := h.Series([]string{"*"}, since)
	if err != nil {
		t.Fatal(err)
	}
	return series
}

// changes finds the changes of all series.
func changes(t testing.TB, h *history.History, since time.Time) []*history.Change {
	t.Helper()
	found, err := history.Changes(all(t, h, since), since)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// stepped is a history in which start.exec is by a factor slower from a run on.
func stepped(t *testing.T, runs, at int, factor float64, rows ...string) *history.History {
	t.Helper()
	dir := t.TempDir()
	s := newSimulated(3, append([]string{"start.exec"}, rows...)...)
	s.level = func(b string, i int) float64 {
		if b == "start.exec" && i >= at {
			return 3e-3 * factor
		}
		return 3e-3
	}
	s.fill(t, dir, runs)
	return load(t, dir)
}

func TestAStepIsFound(t *testing.T) {
	h := stepped(t, 80, 65, 1.08, "start.exit", "rate.1")
	found := changes(t, h, newest(h))
	if len(found) != 1 || !found[0].Found() {
		t.Fatalf("found %+v", found)
	}
	c := found[0]
	if c.Benchmark != "start.exec" || c.Low > 65 || c.High < 65 || c.At < 63 || c.At > 67 || !c.Worse() {
		t.Errorf("found %+v", c)
	}
	if c.Ratio.Low > 1.08 || c.Ratio.High < 1.08 || c.Ratio.Low <= 1 {
		t.Errorf("the ratio is %+v, want 1.08", c.Ratio)
	}
	// It is the business of those who ask about the runs since.
	for _, since := range []time.Time{begin().Add(75 * time.Hour), begin().AddDate(9, 0, 0)} {
		if found := changes(t, h, since); len(found) != 0 {
			t.Errorf("since %s: found %+v", since, found)
		}
	}
	if found := changes(t, h, begin()); len(found) != 1 || !found[0].Found() {
		t.Errorf("since the begin: found %+v", found)
	}
}

// TestAHistoryOfTheSameIsSilent, though the host is twice as fast in some runs as in others.
func TestAHistoryOfTheSameIsSilent(t *testing.T) {
	alarms := 0
	for range 3 {
		h := stepped(t, 60, 99, 1, "a.1", "a.2", "a.3", "a.4", "a.5")
		for _, c := range changes(t, h, newest(h)) {
			if c.Found() {
				alarms++
			}
		}
	}
	if alarms > 1 {
		t.Errorf("%d alarms", alarms)
	}
}

// TestManySeriesNeedMore: what is found alone has to be the less likely the more series there are.
func TestManySeriesNeedMore(t *testing.T) {
	var rows []string
	for i := range 40 {
		rows = append(rows, fmt.Sprintf("a.%d", i))
	}
	alone, among := stepped(t, 60, 45, 1.1), stepped(t, 60, 45, 1.1, rows...)
	few, many := changes(t, alone, newest(alone)), changes(t, among, newest(among))
	at := func(found []*history.Change) *history.Change {
		for _, c := range found {
			if c.Benchmark == "start.exec" {
				return c
			}
		}
		t.Fatal("it was not found at all")
		return nil
	}
	if a, b := at(few), at(many); !a.Found() || !b.Found() || b.P >= a.P || b.Adjusted < 40*b.P {
		t.Errorf("alone p is %g, adjusted %g; among 41 %g, adjusted %g", a.P, a.Adjusted, b.P, b.Adjusted)
	}
}

// TestOnlyWhatIsNeededIsDecoded: the oldest run is of no use for what is asked, unless its series is short.
func TestOnlyWhatIsNeededIsDecoded(t *testing.T) {
	const runs = history.LookBack + 100
	dir := t.TempDir()
	s := newSimulated(1, "start.exec", "rate.1")
	s.samples = 6
	s.change = func(i int, _ *record.Run, b []record.Bench) {
		if i%2 == 1 && i < runs-10 {
			b[2].Runtime = "crun"
		}
		if i >= runs-10 {
			b[2].Runtime = "runc" // the other two are not measured any more
		}
	}
	s.fill(t, dir, runs)
	count := func(globs []string, since func(*history.History) time.Time) string {
		t.Helper()
		h := load(t, dir)
		series, err := h.Series(globs, since(h))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range series {
			for i, p := range s.Points {
				if i > 0 && !s.Points[i-1].Run.Time.Before(p.Run.Time) {
					t.Errorf("%s is not in order", s.Benchmark)
				}
			}
			got = append(got, fmt.Sprint(s.Runtime, " ", len(s.Points)))
		}
		return strings.Join(got, ", ")
	}
	begin := func(*history.History) time.Time { return time.Time{} }
	last := func(h *history.History) time.Time { return h.Runs[len(h.Runs)-5].Time }
	for _, c := range []struct {
		globs []string
		since func(*history.History) time.Time
		want  string
	}{
		{[]string{"*"}, begin, "core 245, crun 245, runc 10, core 500"},
		{[]string{"*"}, newest, "core 245, crun 245, runc 10, core 500"},
		{[]string{"*"}, last, "runc 10, core 500"},
		{[]string{"start.*"}, last, "core 448"},
		{[]string{"start.*"}, newest, "core 448"},
	} {
		if got := count(c.globs, c.since); got != c.want {
			t.Errorf("%q: got %s, want %s", c.globs, got, c.want)
		}
	}
}

func TestShortSeries(t *testing.T) {
	for _, n := range []int{0, 1, history.MinRuns - 1, history.MinRuns} {
		dir := t.TempDir()
		newSimulated(1, "start.exec").fill(t, dir, n)
		h := load(t, dir)
		if found := changes(t, h, newest(h)); len(found) > 0 {
			t.Errorf("%d runs: found %+v", n, found)
		}
	}
}

func TestWorseByWhatIsBetter(t *testing.T) {
	for _, c := range []struct {
		better      record.Better
		level, then float64
		want        bool
	}{
		{record.Lower, 1, 1.2, true},
		{record.Lower, 1, 0.8, false},
		{record.Higher, 1, 0.8, true},
		{record.Higher, 1, 1.2, false},
		{record.One, 1.4, 1.1, false},
		{record.One, 1.1, 1.4, true},
		{record.One, 0.95, 0.7, true},
	} {
		dir := t.TempDir()
		s := newSimulated(5, "start.exec")
		s.level = func(_ string, i int) float64 { return map[bool]float64{true: c.then, false: c.level}[i >= 25] }
		s.change = func(i int, _ *record.Run, b []record.Bench) {
			b[0].Better, b[0].Unit = c.better, record.Ratio // the control counts something else
			for k := range b[0].Samples {
				b[0].Samples[k].Value = s.level("", i) * (1 + 0.01*s.random.Float64())
			}
		}
		s.fill(t, dir, 40)
		h := load(t, dir)
		found := changes(t, h, newest(h))
		if len(found) != 1 || found[0].Worse() != c.want {
			t.Errorf("%s from %g to %g: %+v", c.better, c.level, c.then, found)
		}
	}
}

func TestAcks(t *testing.T) {
	h := stepped(t, 80, 65, 1.08, "start.exit")
	run := func(i int) string { return fmt.Sprintf("bench-%05d", i) }
	entry := func(run, benchmark string) string {
		return fmt.Sprintf("- run: %s\n  benchmark: %s\n  reason: the profile has grown\n", run, benchmark)
	}
	for _, c := range []struct{ text, want string }{
		{entry(run(65), "start.exec"), ""},
		{entry(h.Runs[65].File, "start.exec"), ""},
		{entry(run(65), "start.exit"), `acks.yaml:1: "start.exit" has not changed at "bench-00065", as far as the runs that were looked at: remove the entry`},
		{"# old\n" + entry(run(65), "start.exec") + entry(run(10), "start.exec"), `acks.yaml:5: "start.exec" has not changed at "bench-00010"`},
		{entry("bench-moon", "start.exec"), `acks.yaml:1: run "bench-moon" is not in ` + h.Dir + ": remove the entry"},
	} {
		found := changes(t, h, newest(h))
		acks, err := history.ParseAcks("acks.yaml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		err = h.Acknowledge("acks.yaml", found, acks)
		switch {
		case c.want != "":
			fails(t, err, c.want)
		case err != nil || len(found) != 1 || found[0].Ack == nil || found[0].Ack.Reason != "the profile has grown":
			t.Errorf("%s: %v, %+v", c.text, err, found)
		}
	}
}

func TestAckFiles(t *testing.T) {
	good := "- run: r1\n  benchmark: start.exec\n  reason: known\n"
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", good + "- run: r2\n  benchmark: b\n  reason: c\n  colour: red\n", "acks.yaml:7: field colour not found"},
		{"no list", "run: r1\n", "acks.yaml:1: cannot unmarshal"},
		{"text", "hello\n", "acks.yaml:1: cannot unmarshal"},
		{"no reason", "- run: r1\n  benchmark: b\n", "acks.yaml: entry 1 has no reason: each has run, benchmark and reason"},
		{"no run", "- benchmark: b\n  reason: c\n", "acks.yaml: entry 1 has no run"},
		{"empty reason", "- run: r1\n  benchmark: b\n  reason: \"\"\n", "acks.yaml:3: reason is empty, or is not one line of text"},
		{"lines", "- run: r1\n  benchmark: b\n  reason: \"a\\nb\"\n", "acks.yaml:3: reason is empty, or is not one line of text"},
		{"list for text", "- run: [a, b]\n  benchmark: b\n  reason: c\n", "acks.yaml:1: run is empty, or is not one line of text"},
		{"twice", good + good, `acks.yaml:4: "start.exec" at "r1" is there twice`},
		{"two lists", good + "---\n" + good, "acks.yaml: it holds more than one document"},
		{"no YAML", "- run: \"r1\n", "acks.yaml:"},
	} {
		_, err := history.ParseAcks("acks.yaml", []byte(c.text))
		if err == nil {
			t.Errorf("%s was read", c.name)
			continue
		}
		fails(t, err, c.want)
	}
	for _, text := range []string{"", "# nothing is known\n", "[]\n"} {
		if acks, err := history.ParseAcks("acks.yaml", []byte(text)); err != nil || len(acks) != 0 {
			t.Errorf("%q: %v, %v", text, acks, err)
		}
	}
}

func FuzzAcks(f *testing.F) {
	f.Add("- run: r1\n  benchmark: start.exec\n  reason: known\n")
	f.Add("- run: [a, b]\n  benchmark: 'b'\n  reason: \"c\" # d\n---\n")
	f.Add("- {run: r}\n")
	f.Fuzz(func(t *testing.T, text string) {
		acks, err := history.ParseAcks("acks.yaml", []byte(text))
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is not one line", err)
		}
		for _, a := range acks {
			if a.Run == "" || a.Benchmark == "" || a.Reason == "" {
				t.Errorf("read %+v", a)
			}
		}
	})
}

// FuzzRunFile: whatever is in a file, a run that is added is read again, by what is fast and by what is slow.
func FuzzRunFile(f *testing.F) {
	s := newSimulated(1, "start.exec", "rate.1")
	text := s.text(f, 0)
	f.Add(text)
	f.Add([]byte(strings.ReplaceAll(string(text), `"samples":`, `"samples": `)))
	f.Add([]byte(strings.ReplaceAll(string(text), `(devel)`, `,\"samples\":[[`)))
	f.Add([]byte(strings.Replace(string(text), `[[0,0,`, `[ [0,0,`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		path, dir := filepath.Join(t.TempDir(), "x.jsonl"), t.TempDir()
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := history.Check(path, "", begin().AddDate(1, 0, 0))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is not one line", err)
			}
			return
		}
		if err := history.Add(dir, n); err != nil {
			t.Fatal(err)
		}
		h, err := history.Load(dir, nil)
		if err != nil || len(h.Runs) != 1 {
			t.Fatalf("%v, %+v", err, h)
		}
		if err := history.Add(dir, n); !errors.Is(err, history.ErrThere) {
			t.Errorf("it was added twice: %v", err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close() //nolint:errcheck // read-only
		set, err := record.Read("x", file)
		if err != nil {
			t.Fatal(err)
		}
		want := map[history.Key]float64{}
		for _, b := range set.Benches {
			if x := slices.Sorted(slices.Values(b.Values())); !b.Control && len(x) > 0 {
				want[history.Key{Benchmark: b.Benchmark, Runtime: b.Runtime, Rung: b.Rung}] = x[(len(x)-1)/2]/2 + x[len(x)/2]/2
			}
		}
		for k, m := range want {
			if m <= 0 || strings.Contains(k.Benchmark, "/") { // no logarithm; a glob does not go beyond a slash
				delete(want, k)
			}
		}
		series := all(t, h, time.Time{})
		if len(series) != len(want) {
			t.Errorf("%d series of %d subjects", len(series), len(want))
		}
		for _, s := range series {
			s.Host = ""
			if m, there := want[s.Key]; !there || len(s.Points) != 1 || s.Points[0].Median != m {
				t.Errorf("%+v has %+v, want %g", s.Key, s.Points, m)
			}
		}
	})
}

// BenchmarkCheck reads 10,000 runs as cellwall bench writes them, 7 benchmarks of 40 samples and their
// controls, and looks for changes. The directory is made once.
func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		name    string
		rows    int
		changed bool
	}{{"7 series", 7, false}, {"7 series, one changed", 7, true}, {"60 series", 60, false}, {"60 series, one changed", 60, true}} {
		b.Run(c.name, func(b *testing.B) {
			dir, size := large(b, c.rows, c.changed)
			for b.Loop() {
				h, err := history.Load(dir, nil)
				if err != nil {
					b.Fatal(err)
				}
				series, found := all(b, h, newest(h)), changes(b, h, newest(h))
				if len(h.Runs) != largeRuns || len(series) != c.rows || c.changed && len(found) == 0 {
					b.Fatalf("%d runs, %d series, found %v", len(h.Runs), len(series), found)
				}
			}
			b.ReportMetric(float64(size)/1e6, "MB")
		})
	}
}

const largeRuns = 10_000

// large makes a history and returns its size in bytes.
func large(b *testing.B, rows int, changed bool) (dir string, size int) {
	b.Helper()
	dir = b.TempDir()
	s := newSimulated(1)
	s.samples = 40
	for i := range rows {
		s.rows = append(s.rows, fmt.Sprintf("start.%d", i))
	}
	s.level = func(name string, i int) float64 {
		return map[bool]float64{true: 3.3e-3, false: 3e-3}[changed && name == "start.3" && i >= largeRuns-20]
	}
	return dir, s.fill(b, dir, largeRuns)
}
