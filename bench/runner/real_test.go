package runner_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"cellwall/bench"
	"cellwall/bench/runner"
	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/runtime/spec"
)

// build builds this program.
func build(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "cellwall")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, "../..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // containers execute it
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return to
}

// TestARealSlowdownIsFound lets three workers take turns: the core, itself once more, and itself with half
// its start latency on top, which really is spent. The last is found, and by about as much.
func TestARealSlowdownIsFound(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: rows make containers")
	}
	row, err := bench.Find("start.exit")
	if err != nil {
		t.Fatal(err)
	}
	program := build(t)
	subject := func(label string, planted float64) runner.Subject {
		return runner.Subject{Label: label, Program: program, Runtime: "core", Rung: spec.Hardened, Planted: planted}
	}
	plan := runner.Plan{
		Benchmarks: []*bench.Benchmark{row},
		Subjects:   []runner.Subject{subject("core", 0), subject("again", 0), subject("slow", 0.5), runner.Control(program)},
		Rule:       runner.Rule{Samples: 120}, Seed: 1, Warmup: 5,
	}
	run, err := runner.Describe(t.Context(), plan, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	benches, err := runner.Run(t.Context(), run.ID, plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := runner.Finished(&run, benches, nil); err != nil {
		t.Fatal(err)
	}
	if len(run.Runtimes) != 1 || run.Runtimes[0].Name != "core" || run.Benching.After.CPUTicks <= run.Benching.Before.CPUTicks {
		t.Errorf("the run's record: %+v", run)
	}
	set := record.Set{Runs: []record.Run{run}, Benches: benches}
	_, measured, err := set.Measured(120)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := digest.Rows(measured)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range rows[0].Lines {
		t.Logf("%s: %.3g ms, CPU %.3g ms, finds %.1f %%, %+v", l.Subject, 1e3*l.Median.Point, 1e3*l.CPU, 100*l.Finds, l.Ratio)
		if l.CPU <= 0 {
			t.Errorf("%s: no CPU time was counted", l.Subject)
		}
	}
	again, slow := rows[0].Lines[1].Ratio, rows[0].Lines[2].Ratio
	if slow.Low <= again.High || slow.Low <= 1 {
		t.Errorf("half as slow again is %+v, beside the same again %+v", slow, again)
	}
}

// TestAWorkerThatCannotWork: the reason is told, and names it.
func TestAWorkerThatCannotWork(t *testing.T) {
	program := build(t)
	row, err := bench.Find("start.exit")
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{"moon": "worker moon: ", "chroot": "worker chroot: "} {
		plan := runner.Plan{
			Benchmarks: []*bench.Benchmark{row}, Rule: runner.Rule{Samples: 2},
			Subjects: []runner.Subject{{Label: label, Program: program, Runtime: label, Rung: spec.Bare}, runner.Control(program)},
		}
		if _, err := runner.Run(t.Context(), "r1", plan); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
