package interfere

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cellwall/bench/load"
	"cellwall/runtime/cgroup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// TestTablesFit: what the tables name is there, on both sides of the container's wall.
func TestTablesFit(t *testing.T) {
	var names []string
	for _, a := range Antagonists() {
		names = append(names, a.Name)
		if !slices.Contains(Resources(), a.Resource) {
			t.Errorf("%s wants %q", a.Name, a.Resource)
		}
		for _, cpus := range []int{1, 2, 64, 1024} {
			w := a.work(cpus)
			w.Name, w.Lasts = a.Name, lasts(time.Second)
			if err := w.Check(); err != nil {
				t.Errorf("with %d CPUs: %v", cpus, err)
			}
		}
		for _, text := range a.Means {
			if _, err := ParseMeans(text); err != nil {
				t.Errorf("%s: %v", a.Name, err)
			}
		}
	}
	if !slices.Equal(names, load.Antagonists()) {
		t.Errorf("%v, inside they are %v", names, load.Antagonists())
	}
	for _, r := range Resources() {
		if !slices.ContainsFunc(Antagonists(), func(a Antagonist) bool { return a.Resource == r }) {
			t.Errorf("no antagonist wants %s", r)
		}
	}
	disks := 0
	for _, v := range Victims() {
		if v.needs.disk {
			disks++
		}
	}
	if disks != 1 {
		t.Errorf("%d victims need a disk", disks)
	}
}

// TestTheFenceIsLargerThanLimits: else a victim would feel at the rung of limits what the fence has, and an
// antagonist could not fill it without limits.
func TestTheFenceIsLargerThanLimits(t *testing.T) {
	r := spec.New(spec.Limits, spec.Options{}).Linux.Resources
	if 2*uint64(*r.Memory.Limit) >= fenceMemory || 2**r.Pids.Limit >= fenceTasks {
		t.Errorf("two containers may have %d bytes and %d tasks each, the fence %d and %d", *r.Memory.Limit, *r.Pids.Limit, fenceMemory, fenceTasks)
	}
	for _, a := range Antagonists() {
		w := a.work(2)
		switch a.Resource {
		case Memory:
			if w.Bytes*int64(w.Workers) <= fenceMemory {
				t.Errorf("%s takes %d bytes of %d", a.Name, w.Bytes*int64(w.Workers), fenceMemory)
			}
		case Tasks:
			if w.Count <= fenceTasks {
				t.Errorf("%s makes %d tasks of %d", a.Name, w.Count, fenceTasks)
			}
		case CPU, Disk, Network:
		}
	}
}

func TestPairs(t *testing.T) {
	all, err := Pairs(nil, nil)
	if err != nil || len(all) != len(Victims())*len(Antagonists()) {
		t.Errorf("%d pairs, %v", len(all), err)
	}
	some, err := Pairs([]string{"fork", "request"}, []string{"memory", "cpu"})
	var got []string
	for _, p := range some {
		got = append(got, p.Victim.Name+"-"+p.Antagonist.Name)
	}
	if want := "request-cpu request-memory fork-cpu fork-memory"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
	for _, names := range [][2][]string{{{"moon"}, nil}, {nil, {"moon"}}} {
		if _, err := Pairs(names[0], names[1]); err == nil || !strings.Contains(err.Error(), `"moon" is none of cpu, `) {
			t.Errorf("got %v", err)
		}
	}
}

// TestMeansChangeTheSpec: each changes it for one side at least, also where it has no resources yet.
func TestMeansChangeTheSpec(t *testing.T) {
	h := &Host{disk: "/"}
	for _, m := range AllMeans() {
		changed := m.shaped
		for _, make := range []func(*Host) (spec.Edits, error){m.victim, m.antagonist} {
			if make == nil {
				continue
			}
			edits, err := make(h)
			if errors.Is(err, kernel.ErrNotSupported) {
				t.Logf("%s: %v", m.Name, err)
				changed = true
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, rung := range []spec.Rung{spec.Namespaces, spec.Limits} {
				before := spec.New(rung, spec.Options{})
				after, _ := edits.Apply(before)
				was, err := cgroup.LimitsFromSpec(before.Linux.Resources)
				if err != nil {
					t.Fatal(err)
				}
				is, err := cgroup.LimitsFromSpec(after.Linux.Resources)
				if err != nil {
					t.Fatalf("%s at %s: %v", m.Name, rung, err)
				}
				changed = changed || words(was) != words(is)
			}
		}
		if !changed && m.Name != "weight" { // which LimitsFromSpec keeps in another unit
			t.Errorf("%s changes nothing", m.Name)
		}
	}
}

func TestSettingNames(t *testing.T) {
	means, err := ParseMeans("cpuset+io")
	if err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Setting{
		"namespaces":           {Rung: spec.Namespaces},
		"limits+cpuset+io":     {Rung: spec.Limits, Means: means},
		"namespaces+cpuset+io": {Rung: spec.Namespaces, Means: means},
	} {
		if s.Name() != want || s.limited() != (want != "namespaces") {
			t.Errorf("%s, limited %v, want %s", s.Name(), s.limited(), want)
		}
	}
}

func TestWordsOfLimits(t *testing.T) {
	got := words(cgroup.Limits{
		CPUMax: cgroup.CPUMax{Quota: time.Millisecond, Period: 10 * time.Millisecond}, CPUWeight: 100, CPUs: "1", MemoryMax: 64 * mib, PidsMax: 7,
		IOMax: []cgroup.IOMax{{Major: 8, Minor: 1, Wbps: 4 * mib, Wiops: 100}},
	})
	if want := "cpu 1ms in 10ms, cpus 1, memory 64 MiB, tasks 7, 4 MiB/s written to 8:1, 100 writes/s to 8:1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := words(cgroup.Limits{CPUWeight: 100}); got != "" {
		t.Errorf("no limits are %q", got)
	}
}

func TestDiskOf(t *testing.T) {
	if _, err := diskOf("/proc"); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "/proc is on no block device") {
		t.Errorf("got %v", err)
	}
	if _, err := diskOf(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := (&Host{}).slowDisk(); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("got %v", err)
	}
}

func TestDiskParents(t *testing.T) {
	for dir, want := range map[string][]string{
		"/tmp": {"/tmp", "/var/tmp"}, "/var/tmp": {"/var/tmp", "/tmp"}, "/scratch": {"/scratch", "/tmp", "/var/tmp"},
	} {
		t.Setenv("TMPDIR", dir)
		if got := DiskParents(); !slices.Equal(got, want) {
			t.Errorf("with TMPDIR=%s: %v, want %v", dir, got, want)
		}
	}
}

func TestParseBusy(t *testing.T) {
	got, err := parseBusy("cpu  100 20 3000 9999 500 6 70 8 9 0\ncpu0 1 2 3\n")
	if err != nil || got != 31.96 {
		t.Errorf("%g, %v, want 31.96: user, nice, system, irq and softirq", got, err)
	}
	for _, text := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu 1 2 x 4 5 6 7 8\n"} {
		if _, err := parseBusy(text); err == nil {
			t.Errorf("%q is taken for CPU times", text)
		}
	}
}

func FuzzParseBusy(f *testing.F) {
	f.Add("cpu  100 20 3000 9999 500 6 70 8 9 0\n")
	f.Add("cpu 18446744073709551615 1 1 1 1 1 1")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseBusy(text); err == nil && !(s >= 0) {
			t.Errorf("%q is %g", text, s)
		}
	})
}

func FuzzParseMeans(f *testing.F) {
	f.Add("cpuset+io")
	f.Add("++")
	f.Fuzz(func(t *testing.T, text string) {
		means, err := ParseMeans(text)
		if err != nil {
			return
		}
		if name := (Setting{Rung: spec.Limits, Means: means}).Name(); name != "limits+"+text {
			t.Errorf("%q is %q", text, name)
		}
	})
}
