package core_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// contestant is something that is measured.
type contestant struct {
	name  string
	once  func(*testing.B) time.Duration
	times []time.Duration
}

// process measures a program from fork to exit.
func process(args ...string) func(*testing.B) time.Duration {
	return func(b *testing.B) time.Duration {
		b.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader("\n") // a line is what limit.c works for
		start := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v: %s", args[0], err, out)
		}
		return time.Since(start)
	}
}

// BenchmarkWholeProcess measures whole processes that run a bundle of crun spec, in ABCCBA
// order in one run: crun, cellwall run, and what no runtime of this kind can be below: limit.c
// (the fewest calls, without a bundle to read), a Go program that does nothing, and the core alone, the
// same container made by this process, which has run all of its code before. x-crun is the ratio of
// a median to crun's. cellwall run and the core have a cgroup in both.
func BenchmarkWholeProcess(b *testing.B) {
	crun, err := exec.LookPath("crun")
	if err != nil {
		b.Skip("needs crun: it is what is measured against")
	}
	for _, manager := range []string{"disabled", "cgroupfs"} {
		b.Run("cgroups="+manager, func(b *testing.B) {
			f := newFixture(b)
			dir := b.TempDir()
			program := "/true"
			compile(b, "testdata/true.c", f.options.Rootfs+program)
			limit := filepath.Join(dir, "limit")
			compile(b, "testdata/limit.c", limit)
			bundle, s := f.bundle(b, crun, program, manager == "cgroupfs")
			limitArgs := append([]string{limit}, f.limitArgs(program)...)
			if manager == "disabled" {
				limitArgs = append(limitArgs[:4:4], "-")
			}
			all := []*contestant{
				{name: "crun", once: process(crun, "--cgroup-manager="+manager, "run", "-b", bundle, "cellwall-bench")},
				{name: "cellwall", once: process(goBuild(b, "../.."), "run", "--bundle", bundle)},
				{name: "core", once: func(b *testing.B) time.Duration { return f.once(b, s) }},
				{name: "C", once: process(limitArgs...)},
				{name: "Go", once: process(goBuild(b, "testdata/empty.go"))},
			}
			for b.Loop() {
				for _, c := range all {
					c.times = append(c.times, c.once(b))
				}
				for _, c := range slices.Backward(all) {
					c.times = append(c.times, c.once(b))
				}
			}
			var theirs time.Duration
			for i, c := range all {
				slices.Sort(c.times)
				median := c.times[len(c.times)/2]
				b.ReportMetric(float64(median.Microseconds()), "us/"+c.name)
				if i == 0 {
					theirs = median
					continue
				}
				b.ReportMetric(float64(median)/float64(theirs), "x-crun/"+c.name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// bundle makes one as crun spec does, that runs the program, and returns its directory.
func (f *fixture) bundle(b *testing.B, crun, program string, resources bool) (string, *specs.Spec) {
	b.Helper()
	dir := b.TempDir()
	cmd := exec.Command(crun, "spec")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("crun spec: %v: %s", err, out)
	}
	config := filepath.Join(dir, "config.json")
	text, err := os.ReadFile(config)
	check(b, err)
	var s specs.Spec
	check(b, json.Unmarshal(text, &s))
	s.Root.Path, s.Process.Args, s.Process.Terminal = f.options.Rootfs, []string{program}, false
	if !resources {
		s.Linux.Resources = nil
	}
	text, err = json.Marshal(&s)
	check(b, err)
	check(b, os.WriteFile(config, text, 0o600))
	return dir, &s
}

func goBuild(b *testing.B, pkg string) string {
	b.Helper()
	to := filepath.Join(b.TempDir(), "program")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", to, pkg)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build %s: %v: %s", pkg, err, out)
	}
	return to
}
