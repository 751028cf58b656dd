package bench_test

import (
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/bench"
	"cellwall/reports/record"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/driver"
	"cellwall/runtime/kernel"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
)

// TestCatalogue: rows are what tables and records can hold.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range bench.All() {
		group, rest, _ := strings.Cut(b.Name, ".")
		switch {
		case seen[b.Name]:
			t.Errorf("%s is there twice", b.Name)
		case group == "" || rest == "" || group != b.Group() || strings.Contains(rest, "."):
			t.Errorf("%q is not GROUP.NAME", b.Name)
		case !slices.Contains(record.Units(), b.Unit) || !slices.Contains(record.Betters(), b.Better):
			t.Errorf("%s: unit %q, better %q", b.Name, b.Unit, b.Better)
		case b.Doc == "" || strings.HasSuffix(b.Doc, "."):
			t.Errorf("%s: %q does not complete \"A sample is ...\"", b.Name, b.Doc)
		case b.ControlUnit != "" && b.Control == nil:
			t.Errorf("%s: a control in another unit that is the row itself", b.Name)
		case b.Better == record.One && b.Unit != record.Ratio:
			t.Errorf("%s: %s can be near to 1 in no unit but a ratio", b.Name, b.Unit)
		}
		seen[b.Name] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d rows", len(seen))
	}
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		globs []string
		want  int
		fails string
	}{
		{[]string{"start.exec"}, 1, ""},
		{[]string{"rate.*", "start.exec"}, 6, ""},
		{[]string{"*"}, len(bench.All()), ""},
		{[]string{"start.exec", "moon.*"}, 0, `"moon.*" matches no benchmark: the groups are start.*, cache.*, process.*`},
		{[]string{"[z"}, 0, `"[z": syntax error`},
	} {
		rows, err := bench.Select(c.globs)
		if c.fails == "" && (err != nil || len(rows) != c.want) || c.fails != "" && (err == nil || !strings.Contains(err.Error(), c.fails)) {
			t.Errorf("%v: %d rows, %v", c.globs, len(rows), err)
		}
	}
	if _, err := bench.Find("moon.exec"); err == nil || !strings.Contains(err.Error(), "moon.exec") {
		t.Errorf("got %v", err)
	}
}

// newPlace prepares the host and looks afterwards whether anything was left.
func newPlace(t *testing.T) *bench.Place {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: rows make containers")
	}
	p, err := bench.NewPlace(lease.Default)
	if err != nil && strings.Contains(err.Error(), "build it with CGO_ENABLED=0") {
		t.Skip("needs a static test program, which one with the race detector is not")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
			t.Errorf("a child was left: %d, %v", pid, err)
		}
		groups, err := cgroup.FindLeft(p.Name)
		if err != nil || len(groups) > 0 {
			t.Errorf("cgroups were left: %v, %v", groups, err)
		}
		for _, dir := range []string{p.Dir, p.Disk} {
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s was left: %v", dir, err)
			}
		}
	})
	return p
}

// buildCellwall builds this program.
func buildCellwall(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "cellwall")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // containers execute it
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return to
}

// TestRowsOnTheCore takes samples of every row on the core and of its control.
func TestRowsOnTheCore(t *testing.T) {
	place := newPlace(t)
	program := buildCellwall(t)
	for _, row := range bench.All() {
		t.Run(row.Name, func(t *testing.T) {
			if testing.Short() && (row.Alone || row.Group() == "throttle") {
				t.Skip("takes long")
			}
			core := &bench.Env{Place: place, Runtime: place.Core, Asked: "core", Rung: spec.Hardened, Program: program}
			for _, v := range samples(t, core, row, 2) {
				switch {
				case math.IsNaN(v.Value) || math.IsInf(v.Value, 0):
					t.Errorf("got %g", v.Value)
				case v.Value <= 0 && row.Name != "memory.available": // which falls by chance, too
					t.Errorf("got %g %s", v.Value, row.Unit)
				case row.Group() == "pids" && v.Value != 1:
					t.Errorf("got %g times the limit of tasks", v.Value)
				}
			}
			host := &bench.Env{Place: place, Runtime: bench.Host(), Asked: bench.HostName, Rung: spec.Bare}
			for _, v := range samples(t, host, row, 1) {
				if v.Value <= 0 && row.Name != "memory.available" {
					t.Errorf("the control is %g", v.Value)
				}
			}
		})
	}
}

func samples(t *testing.T, e *bench.Env, row *bench.Benchmark, n int) []bench.Value {
	t.Helper()
	s, err := e.Open(t.Context(), row)
	if errors.Is(err, kernel.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	var values []bench.Value
	for range n {
		v, err := s.Sample(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// TestRowsAtEveryRung: the rows about the start are there at every rung that they say.
func TestRowsAtEveryRung(t *testing.T) {
	place := newPlace(t)
	for _, rung := range spec.Ladder() {
		for _, name := range []string{"start.exec", "start.exec-into", "start.delete", "start.minimal", "inside.getpid", "inside.write-4k", "rate.2", "oom.16-mib", "pids.16"} {
			t.Run(string(rung)+" "+name, func(t *testing.T) {
				row, err := bench.Find(name)
				if err != nil {
					t.Fatal(err)
				}
				e := &bench.Env{Place: place, Runtime: place.Core, Asked: "core", Rung: rung}
				if row.Floor != "" && !rung.Covers(row.Floor) {
					if _, err := e.Open(t.Context(), row); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), string(row.Floor)) {
						t.Errorf("below its floor: %v", err)
					}
					return
				}
				samples(t, e, row, 1)
			})
		}
	}
}

// TestClockOfAnotherKernel: a sandbox has a clock of its own, which says nothing of ours.
func TestClockOfAnotherKernel(t *testing.T) {
	program := filepath.Join(t.TempDir(), "runsc")
	script := "#!/bin/sh\ncase $1 in\n--version) echo runsc version release-20240401.0 ;;\nflags) echo '  -network value' ;;\n*) exit 1 ;;\nesac\n"
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	runsc, err := driver.Find(t.Context(), "runsc="+program, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := &bench.Env{Runtime: runsc, Rung: spec.Hardened}
	for _, name := range []string{"start.exec", "start.exec-into"} {
		row, err := bench.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Open(t.Context(), row); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "a clock of its own") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestTheLimit takes samples of the C program, in process and as a whole command.
func TestTheLimit(t *testing.T) {
	place := newPlace(t)
	compiler := ""
	for _, name := range []string{"cc", "gcc", "gcc-12", "clang"} {
		if path, err := exec.LookPath(name); err == nil && compiler == "" {
			compiler = path
		}
	}
	if compiler == "" {
		t.Skip("needs a C compiler: the limit is a C program")
	}
	program := filepath.Join(t.TempDir(), "limit")
	if out, err := exec.Command(compiler, "-O2", "-static", "-o", program, "../runtime/core/testdata/limit.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	e := &bench.Env{Place: place, Runtime: bench.Host(), Asked: bench.HostName, Rung: spec.Bare, Limit: program, Program: buildCellwall(t)}
	for _, row := range bench.All() {
		if testing.Short() && row.Alone {
			continue
		}
		if row.Limit == nil {
			if _, err := e.Open(t.Context(), row); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "the C limit has no part in "+row.Name) {
				t.Errorf("%s: %v", row.Name, err)
			}
			continue
		}
		for _, v := range samples(t, e, row, 3) {
			if v.Value <= 0 {
				t.Errorf("%s: got %g", row.Name, v.Value)
			}
		}
	}
}

// TestInterruptedRowsLeaveNothing: newPlace looks.
func TestInterruptedRowsLeaveNothing(t *testing.T) {
	place, program := newPlace(t), buildCellwall(t)
	for _, name := range []string{"start.exec", "rate.4", "alive.100", "inside.getpid", "throttle.50-by-1", "oom.64-mib", "pids.64", "process.run"} {
		row, err := bench.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		e := &bench.Env{Place: place, Runtime: place.Core, Asked: "core", Rung: spec.Hardened, Program: program}
		ctx, cancel := context.WithCancel(t.Context())
		if name == "alive.100" {
			cancel() // in the middle of making ready, as far as can be told
		}
		s, err := e.Open(ctx, row)
		cancel()
		if err != nil {
			continue
		}
		if _, err := s.Sample(ctx); err == nil && name != "oom.64-mib" && name != "start.exec" && name != "rate.4" {
			t.Errorf("%s: a sample after an interrupt", name)
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestPlantedIsReal: what is planted is there in every row. Each is far beyond what noise does to
// the least of several samples.
func TestPlantedIsReal(t *testing.T) {
	place, program := newPlace(t), buildCellwall(t)
	for _, row := range bench.All() {
		switch {
		case row.Group() == "throttle" && row.Name != "throttle.20-by-1" && row.Name != "throttle.pause-20",
			row.Group() == "alive" && row.Name != "alive.100", row.Group() == "oom" && row.Name != "oom.16-mib":
			continue // it takes long, and is made as one of these
		case row.Name == "memory.available":
			continue // the host's memory changes by more than what is planted
		}
		t.Run(row.Name, func(t *testing.T) {
			if testing.Short() && (row.Alone || row.Group() == "throttle") {
				t.Skip("takes long")
			}
			e := &bench.Env{Place: place, Runtime: place.Core, Asked: "core", Rung: spec.Hardened, Program: program}
			s, err := e.Open(t.Context(), row)
			if errors.Is(err, kernel.ErrNotSupported) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			best := func() float64 {
				var all []float64
				for range 5 {
					v, err := s.Sample(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, v.Value)
				}
				if row.Better != record.Lower {
					return slices.Max(all) // a busy host gives less than the quota, never more
				}
				return slices.Min(all)
			}
			before := best()
			e.Plant(bench.Planted{Share: 3, Median: before})
			after := best()
			if row.Better == record.Higher {
				before, after = after, before
			}
			if after < 2*before {
				t.Errorf("%g without and %g with a slowdown of 300 %%", before, after)
			}
		})
	}
}

func TestNewPlaceNeedsRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("is root")
	}
	if _, err := bench.NewPlace(t.TempDir()); err == nil || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("got %v", err)
	}
}
