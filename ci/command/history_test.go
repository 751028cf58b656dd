package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cellwall/reports/record"
)

// histories makes a history of n runs, an hour apart, in which start.exec takes a fifth more from a run on.
func histories(t *testing.T, n, at int) string {
	t.Helper()
	dir, from := filepath.Join(t.TempDir(), "history"), t.TempDir()
	var files []string
	for i := range n {
		level := map[bool]float64{true: 1.2, false: 1}[i >= at] * (1 + float64(i*7919%13)/1000)
		id := fmt.Sprintf("bench-%03d", i)
		files = append(files, ran(t, filepath.Join(from, id+".jsonl"), id, level, func(r *record.Run, _ []record.Bench) {
			r.Time, r.Commit = time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC), fmt.Sprintf("%012x", i)
		}))
	}
	var out strings.Builder
	if err := addRuns(t.Context(), &out, dir, files, ""); err != nil || strings.Count(out.String(), "\n") != n {
		t.Fatalf("%v, %s", err, &out)
	}
	return dir
}

func TestHistoryCheck(t *testing.T) {
	dir := histories(t, 60, 48)
	ack := filepath.Join(t.TempDir(), "known.yaml")
	know := func(run, benchmark string) {
		t.Helper()
		if err := os.WriteFile(ack, []byte("- run: "+run+"\n  benchmark: "+benchmark+"\n  reason: it does more now\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	know("bench-048", "start.exec")
	for _, c := range []struct {
		args      []string
		code      int
		out, errs string
	}{
		{nil, exitBreached, "WORSE   start.exec on core at hardened (x86_64, 2 CPUs, Linux 6.18)\n        2026-01-03 00:00 from 00000000002f to 000000000030: by a factor of 1.", "1 regression: see above; what is known goes into the file of --ack"},
		{nil, exitBreached, "60 runs, 2 series, the newest 30 runs: 1 worse, 0 better\n", ""},
		{[]string{"--since", "2026-01-02"}, exitBreached, "since 2026-01-02 00:00:00: 1 worse", ""},
		{[]string{"--since", "bench-040"}, exitBreached, "since run bench-040: 1 worse", ""},
		{[]string{"--since", "bench-055"}, 0, "0 worse", ""},
		{[]string{"--since", "2026-01-03T10:00:00Z"}, 0, "0 worse", ""},
		{[]string{"--since", "2026-01-03T12:00:00Z"}, exitUsage, "", "nothing was measured since 2026-01-03 12:00:00: the newest run of " + dir + " is of 2026-01-03 11:00:00"},
		{[]string{"--ack", ack}, 0, "known: it does more now", ""},
		{[]string{"--ack", ack}, 0, "0 worse, 0 better, 1 worse and known", ""},
		{[]string{"--ack", ack, "--since", "bench-055"}, exitUsage, "", `known.yaml:1: "start.exec" has not changed at "bench-048", as far as the runs that were looked at: remove the entry`},
		{[]string{"--ack", "moon.yaml"}, exitUsage, "", "--ack: open moon.yaml: no such file"},
		{[]string{"--since", "moon"}, exitUsage, "", `--since "moon" is neither a run of ` + dir + " nor a date such as 2026-11-27"},
	} {
		code, out, errs := call(t, append([]string{"history", "check", dir}, c.args...)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) || (errs != "") != (code != 0) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%v: exit status %d, want %d; stdout %q, want %q; stderr %q, want %q", c.args, code, c.code, out, c.out, errs, c.errs)
		}
	}
	// What is older than the newest runs is of no interest any more.
	if code, out, _ := call(t, "history", "check", histories(t, 80, 40)); code != 0 || !strings.Contains(out, "0 worse, 0 better") {
		t.Errorf("exit status %d, %q", code, out)
	}
	if err := os.WriteFile(ack, []byte("- run: r\n  colour: red\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := call(t, "history", "check", dir, "--ack", ack); code != exitUsage || out != "" || !strings.Contains(errs, "known.yaml:2: field colour not found") {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
}

// TestHistoryThatCannotBeRead: what can be read is shown, and the exit status says that it is not all.
func TestHistoryThatCannotBeRead(t *testing.T) {
	dir := histories(t, 30, 99)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(e os.DirEntry, size int64) {
		path := filepath.Join(dir, e.Name())
		if err := errors.Join(os.Chmod(path, 0o644), os.Truncate(path, size)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		cut(entries[i*3], 1000)
	}
	for _, command := range []string{"check", "show"} {
		code, out, errs := call(t, "history", command, dir)
		if code != exitInconclusive || !strings.Contains(out, "25 runs, 2 series") || strings.Count(errs, "\n") != 1 ||
			strings.Count(errs, "it is not what was added, but changed or cut short") != 3 || !strings.HasSuffix(errs, "; and 2 more\n") {
			t.Errorf("exit status %d, %q, %q", code, out, errs)
		}
	}
	for _, e := range entries {
		cut(e, 0)
	}
	for _, command := range []string{"check", "show"} {
		if code, out, errs := call(t, "history", command, dir); code != exitInconclusive || out != "" || !strings.Contains(errs, "and 27 more") {
			t.Errorf("exit status %d, %q, %q", code, out, errs)
		}
	}
}

func TestHistoryShow(t *testing.T) {
	dir, out := histories(t, 40, 30), filepath.Join(t.TempDir(), "out")
	code, text, errs := call(t, "history", "show", dir, "--only", "start.exec")
	if code != 0 || errs != "" || !strings.Contains(text, "start.exec  core at hardened    40  3.57 ms ") || !strings.Contains(text, "█") || strings.Contains(text, "start.exit") {
		t.Errorf("exit status %d, %q, %q", code, text, errs)
	}
	code, text, errs = call(t, "history", "show", dir, "--format", "text,svg,markdown", "--out", out)
	if code != 0 || errs != "" || !strings.Contains(text, "start.exit") {
		t.Errorf("exit status %d, %q, %q", code, text, errs)
	}
	for name, want := range map[string]string{"history.svg": `<line class="worse"`, "history.md": "| start.exec | core at hardened | 40 |"} {
		if text, err := os.ReadFile(filepath.Join(out, name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, %s", name, err, text)
		}
	}
}

func TestWrongUseOfHistory(t *testing.T) {
	empty := t.TempDir()
	dir := histories(t, 2, 9)
	odd := ran(t, filepath.Join(t.TempDir(), "x.jsonl"), "r9", 1, func(r *record.Run, b []record.Bench) { r.Time, b[0].Planted = time.Now(), 0.1 })
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, entries[0].Name())
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "history has the commands add, check and show"},
		{[]string{"frob"}, "frob"},
		{[]string{"add"}, "history add takes a directory and files, not 0: cellwall history add DIR FILE..."},
		{[]string{"add", dir}, "history add takes a directory and files, not 1"},
		{[]string{"add", there, there}, "history add " + there + ": " + there + " is no directory"},
		{[]string{"add", "/proc/history", there}, "history add /proc/history: make a file in /proc: no such file or directory"},
		{[]string{"add", dir, "moon"}, "read a run: open moon: no such file or directory (a run is what cellwall bench --out DIR writes to DIR/bench.jsonl)"},
		{[]string{"add", dir, odd}, `x.jsonl:2: benchmark "start.exec": "core" was slowed down on purpose`},
		{[]string{"add", dir, there}, there + ": it is there already, as " + entries[0].Name() + "\n"},
		{[]string{"add", dir, odd, "--commit", "HEAD"}, `--commit: "HEAD" is no commit: give what git rev-parse HEAD prints`},
		{[]string{"check"}, "history check takes one directory, not 0: cellwall history check DIR"},
		{[]string{"check", dir, dir}, "not 2"},
		{[]string{"check", "moon"}, "read the history: open moon"},
		{[]string{"check", empty}, empty + " holds no run: cellwall history add " + empty + " FILE"},
		{[]string{"show", dir, "--only", "[z"}, `--only "[z"`},
		{[]string{"show", dir, "--only", "moon"}, "--only moon matches none of the benchmarks of " + dir},
		{[]string{"show", dir, "--format", "pdf"}, `--format "pdf" is none of text, markdown, svg`},
		{[]string{"show", dir, "--format", "text,svg"}, "needs --out"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := call(t, append([]string{"history"}, c.args...)...)
			if code != exitUsage || out != "" || strings.Count(errs, "\n") != 1 || !strings.HasPrefix(errs, "cellwall: ") || !strings.Contains(errs, c.want) {
				t.Errorf("exit status %d, stdout %q, stderr %q, want one line with %q", code, out, errs, c.want)
			}
		})
	}
	if now, err := os.ReadDir(dir); err != nil || len(now) != 2 {
		t.Errorf("there are %d files, %v", len(now), err)
	}
}

// TestHistoryAddsWhatItCan: one unusable file does not keep the others out.
func TestHistoryAddsWhatItCan(t *testing.T) {
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "h")
	good := func(name string) string {
		return ran(t, filepath.Join(from, name), name, 1, func(r *record.Run, _ []record.Bench) { r.Time = time.Now() })
	}
	code, out, errs := call(t, "history", "add", dir, good("a"), filepath.Join(from, "moon"), good("b"), "--commit", "a68b550c1234deadbeef")
	if code != exitUsage || strings.Count(out, "-a68b550c1234-") != 2 || !strings.Contains(errs, "moon: no such file") {
		t.Errorf("exit status %d, %q, %q", code, out, errs)
	}
}

// TestHistoryAddIsInterrupted between two files, as what is added is added as a whole.
func TestHistoryAddIsInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	dir := filepath.Join(t.TempDir(), "history")
	err := addRuns(ctx, io.Discard, dir, []string{"a", "b"}, "")
	if exitCode(err) != exitInconclusive || err.Error() != "interrupted before a: 2 files left" {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
