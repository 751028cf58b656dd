package cgroup

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// require skips, with the gate's own words, what this host cannot show.
func require(t testing.TB, tree *Tree, controllers ...string) {
	t.Helper()
	if err := tree.Require(controllers...); errors.Is(err, kernel.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestLimitsAreReadBack(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "memory", "cpu", "cpuset", "pids")
	want := Limits{
		MemoryMax: 64 << 20, SwapMax: new(uint64(0)), PidsMax: 20, CPUs: "0", Mems: "0", CPUWeight: 37,
		CPUMax: CPUMax{Quota: 20 * time.Millisecond, Period: 50 * time.Millisecond, Burst: 5 * time.Millisecond},
	}
	g := newGroup(t, tree, want)
	for _, step := range []struct {
		name   string
		change func(*Limits)
	}{
		{"as made", func(*Limits) {}},
		{"memory grows above the old sum", func(l *Limits) { l.MemoryMax = 128 << 20 }},
		{"memory shrinks", func(l *Limits) { l.MemoryMax = 32 << 20 }},
		{"swap grows", func(l *Limits) { l.SwapMax = new(uint64(8 << 20)) }},
		{"quota below the old burst", func(l *Limits) { l.CPUMax = CPUMax{Quota: 2 * time.Millisecond, Period: 50 * time.Millisecond} }},
		{"no limits", func(l *Limits) { *l = Limits{} }},
	} {
		step.change(&want)
		if err := g.Set(want); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		got, err := g.Limits()
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if step.name == "no limits" {
			want = Limits{CPUWeight: 100}
			if tree.Mode() != V2 { // v1 lists are never empty
				own := tree.dir("cpuset")
				want.CPUs, _ = own.read("cpuset.cpus")
				want.Mems, _ = own.read("cpuset.mems")
			}
		}
		if !sameLimits(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", step.name, got, want)
		}
	}
}

// sameLimits compares the limits of TestLimitsAreReadBack.
func sameLimits(a, b Limits) bool {
	return a.MemoryMax == b.MemoryMax && (a.SwapMax == nil) == (b.SwapMax == nil) && orZero(a.SwapMax) == orZero(b.SwapMax) &&
		a.PidsMax == b.PidsMax && a.CPUs == b.CPUs && a.Mems == b.Mems && a.CPUWeight == b.CPUWeight && a.CPUMax == b.CPUMax
}

func TestMemoryLimitKills(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "memory")
	for _, tt := range []struct {
		limit uint64
		swap  *uint64
		dies  bool
	}{{limit: 32 << 20, swap: new(uint64(0)), dies: true}, {limit: 32 << 20, swap: new(uint64(1 << 20)), dies: true}, {limit: 128 << 20}} {
		g, err := tree.Create(testName(t, ""), Limits{MemoryMax: tt.limit, SwapMax: tt.swap, PidsMax: 50})
		if err != nil {
			t.Fatal(err)
		}
		c := start(t, g, "touch", "67108864")
		out, _ := c.out.ReadString('\n')
		err = c.cmd.Wait()
		e, err2 := g.Events()
		s, err3 := g.Stat()
		if err2 != nil || err3 != nil {
			t.Fatal(err2, err3)
		}
		if dead := err != nil && strings.Contains(err.Error(), "killed"); dead != tt.dies || (out == "touched\n") == tt.dies {
			t.Errorf("limit %d: touching 64 MiB: %v, printed %q", tt.limit, err, out)
		}
		if (e.Memory.OOMKill > 0) != tt.dies || tt.dies && orZero(tt.swap) != 0 && e.Memory.Max == 0 {
			t.Errorf("limit %d: events %+v", tt.limit, e.Memory)
		}
		if s.Memory.Peak > tt.limit+1<<20 || s.Memory.Peak < tt.limit/4 { // a dying task may exceed it
			t.Errorf("limit %d: peak %d", tt.limit, s.Memory.Peak)
		}
		closeGroup(t, g)
	}
}

func TestPidsLimitRefuses(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "pids")
	g := newGroup(t, tree, Limits{PidsMax: 30})
	c := start(t, g, "fork")
	if got := c.line(t); !strings.HasPrefix(got, "refused ") || !strings.HasSuffix(got, " true") {
		t.Errorf("fork until EAGAIN: %q", got)
	}
	e, err := g.Events()
	if err != nil || e.PidsMax == 0 || !e.Populated {
		t.Errorf("events %+v, %v", e, err)
	}
	s, err := g.Stat()
	if err != nil || s.Pids.Current > 30 || s.Pids.Current < 10 {
		t.Errorf("pids %+v, %v", s.Pids, err)
	}
}

func TestCPUQuotaThrottles(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "cpu")
	for _, quota := range []time.Duration{10 * time.Millisecond, 0} {
		g, err := tree.Create(testName(t, ""), Limits{CPUMax: CPUMax{Quota: quota, Period: 50 * time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		if err := start(t, g, "spin", "60").cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		s, err := g.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if limited := quota != 0; (s.CPU.NrThrottled > 0) != limited || (s.CPU.ThrottledUsec > 0) != limited || (s.CPU.NrPeriods > 0) != limited {
			t.Errorf("quota %v: %+v", quota, s.CPU)
		}
		// A part of its time went by before it joined.
		if s.CPU.UsageUsec < 40_000 || s.CPU.UsageUsec > 10_000_000 {
			t.Errorf("quota %v: spinning for 60 ms of CPU time: usage_usec %d", quota, s.CPU.UsageUsec)
		}
		closeGroup(t, g)
	}
}

func TestCPUSetConfines(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "cpuset")
	g := newGroup(t, tree, Limits{CPUs: "1"})
	c := start(t, g, "wait")
	c.line(t)
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(c.cmd.Process.Pid, &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() != 1 || !set.IsSet(1) {
		t.Errorf("affinity of a process in cpuset 1: %v", set)
	}
}

func TestHugetlb(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "hugetlb")
	g := newGroup(t, tree, Limits{Hugetlb: map[string]uint64{"2MB": 5 << 20}})
	l, err := g.Limits()
	if err != nil || l.Hugetlb["2MB"] != 4<<20 {
		t.Errorf("5 MiB should be stored as two pages: %v, %v", l.Hugetlb, err)
	}
	if err := g.Set(Limits{Hugetlb: map[string]uint64{"2MB": 0}}); err != nil {
		t.Fatal(err)
	}
	l, err = g.Limits()
	if n, ok := l.Hugetlb["2MB"]; err != nil || !ok || n != 0 {
		t.Errorf("a limit of nothing: %v, %v", l.Hugetlb, err)
	}
	s, err := g.Stat()
	if _, ok := s.Hugetlb["2MB"]; err != nil || !ok {
		t.Errorf("hugetlb.2MB.current: %v, %v", s.Hugetlb, err)
	}
	if err := g.Set(Limits{Hugetlb: map[string]uint64{"3MB": 0}}); !errors.Is(err, kernel.ErrNotSupported) {
		t.Errorf("a size that the kernel lacks: %v", err)
	}
	if err := g.Set(Limits{}); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"} {
		if d := g.dir("hugetlb"); d.v2 {
			if got, err := d.read(file); err != nil || got != "max" {
				t.Errorf("without a limit %s is %q, %v", file, got, err)
			}
		}
	}
}

func TestIOMax(t *testing.T) {
	tree := newTree(t)
	require(t, tree, "io")
	var st unix.Stat_t
	if err := unix.Stat(".", &st); err != nil {
		t.Fatal(err)
	}
	if unix.Major(st.Dev) == 0 {
		t.Skip("the working directory is on no block device")
	}
	want := IOMax{Major: unix.Major(st.Dev), Minor: unix.Minor(st.Dev), Rbps: 1 << 20, Wiops: 100}
	g := newGroup(t, tree, Limits{IOMax: []IOMax{want}})
	if l, err := g.Limits(); err != nil || !slices.Equal(l.IOMax, []IOMax{want}) {
		t.Errorf("got %v, %v", l.IOMax, err)
	}
	if err := g.Set(Limits{}); err != nil {
		t.Fatal(err)
	}
	if l, err := g.Limits(); err != nil || len(l.IOMax) != 0 {
		t.Errorf("after taking it off: %v, %v", l.IOMax, err)
	}
}

func BenchmarkCreate(b *testing.B) {
	tree := newTree(b)
	for b.Loop() {
		g, err := tree.Create(testName(b, ""), Limits{MemoryMax: 64 << 20, SwapMax: new(uint64(0)), PidsMax: 20, CPUMax: CPUMax{Quota: 20 * time.Millisecond}})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := g.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
