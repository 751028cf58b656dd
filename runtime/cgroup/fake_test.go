package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// fakeGroup is a v2 group of plain files: what is written is what is read.
func fakeGroup(t *testing.T, files map[string]string) *Group {
	t.Helper()
	host := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(host, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := openDir(&dir{v2: true}, unix.AT_FDCWD, host, host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return &Group{name: "fake", dirs: []*dir{d}, parents: []*dir{d}}
}

// v2Files are those of a group on a pure v2 host, as a new group shows them.
func v2Files() map[string]string {
	return map[string]string{
		"cgroup.controllers": "cpuset cpu io memory hugetlb pids\n", "cgroup.procs": "", "cgroup.type": "domain\n",
		"cgroup.max.descendants": "max\n", "cgroup.max.depth": "max\n", "cgroup.events": "populated 1\nfrozen 0\n",
		"memory.max": "max\n", "memory.high": "max\n", "memory.min": "0\n", "memory.low": "0\n", "memory.swap.max": "max\n",
		"memory.oom.group": "0\n", "memory.current": "4096\n", "memory.swap.current": "0\n", "memory.stat": "anon 7\nfile 8\n",
		"memory.events": "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\n",
		"cpu.max":       "max 100000\n", "cpu.max.burst": "0\n", "cpu.weight": "100\n",
		"cpu.stat":    "usage_usec 9\nuser_usec 6\nsystem_usec 3\nnr_periods 4\nnr_throttled 2\nthrottled_usec 11\nnr_bursts 1\nburst_usec 5\n",
		"cpuset.cpus": "\n", "cpuset.mems": "\n", "cpuset.cpus.effective": "0-1\n", "cpuset.mems.effective": "0\n",
		"pids.max": "max\n", "pids.current": "3\n", "pids.peak": "4\n", "pids.events": "max 6\n",
		"io.max": "", "io.weight": "default 100\n", "io.stat": "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n",
		"hugetlb.2MB.max": "max\n", "hugetlb.2MB.rsvd.max": "max\n", "hugetlb.2MB.current": "2097152\n", "hugetlb.2MB.events": "max 8\n",
	}
}

func TestV2Files(t *testing.T) {
	g := fakeGroup(t, v2Files())
	limits := Limits{
		MemoryMax: 80 << 20, MemoryHigh: 60 << 20, MemoryMin: 1 << 20, MemoryLow: 2 << 20, SwapMax: new(uint64(0)), OOMGroup: true,
		CPUMax: CPUMax{Quota: 20 * time.Millisecond, Burst: time.Millisecond}, CPUShares: 1024,
		CPUs: "0-1", Mems: "0", PidsMax: 64, IOWeight: 200, IOMax: []IOMax{{Major: 8, Minor: 16, Wbps: 1 << 20}},
		Hugetlb: map[string]uint64{"2MB": 0}, MaxDescendants: new(uint64(0)), MaxDepth: new(uint64(3)),
	}
	if err := g.Set(limits); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"memory.max": "83886080", "memory.high": "62914560", "memory.min": "1048576", "memory.low": "2097152",
		"memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "20000 100000", "cpu.max.burst": "1000", "cpu.weight": "100",
		"cpuset.cpus": "0-1", "cpuset.mems": "0", "pids.max": "64", "io.weight": "200",
		"io.max": "8:16 rbps=max wbps=1048576 riops=max wiops=max", "hugetlb.2MB.max": "0", "hugetlb.2MB.rsvd.max": "0",
		"cgroup.max.descendants": "0", "cgroup.max.depth": "3",
	} {
		if got, err := g.dirs[0].read(file); got != want || err != nil {
			t.Errorf("%s is %q, %v, want %q", file, got, err, want)
		}
	}
	got, err := g.Limits()
	want := limits
	want.CPUShares, want.CPUWeight, want.CPUMax.Period = 0, 100, 100*time.Millisecond
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("read back\n%+v, %v, want\n%+v", got, err, want)
	}
	if err := g.Set(Limits{}); err != nil {
		t.Fatal(err)
	}
	got, err = g.Limits()
	// Plain files do not forget a device whose limits are all "max".
	want = Limits{CPUWeight: 100, IOWeight: 100, IOMax: []IOMax{{Major: 8, Minor: 16}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after taking all off\n%+v, %v, want\n%+v", got, err, want)
	}
	if rsvd, err := g.dirs[0].read("hugetlb.2MB.rsvd.max"); err != nil || rsvd != "max" {
		t.Errorf("the limit of reservations is still %q, %v", rsvd, err)
	}
}

func TestV2Reads(t *testing.T) {
	files := v2Files()
	files["io.max"] = "8:0 rbps=max wbps=5 riops=max wiops=6\n"
	g := fakeGroup(t, files)
	s, err := g.Stat()
	want := Stat{
		CPU: CPUStat{
			UsageUsec: 9, UserUsec: 6, SystemUsec: 3, NrPeriods: 4, NrThrottled: 2, ThrottledUsec: 11,
			NrBursts: 1, BurstUsec: 5,
		},
		Memory: MemoryStat{Current: 4096, Stat: map[string]uint64{"anon": 7, "file": 8}},
		Pids:   PidsStat{Current: 3, Peak: 4}, IO: map[string]IOStat{"8:0": {Rbytes: 1, Wbytes: 2, Rios: 3, Wios: 4}},
		Hugetlb: map[string]uint64{"2MB": 2097152}, Lacks: []string{"memory.peak"},
	}
	if err != nil || !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v, %v\nwant %+v", s, err, want)
	}
	e, err := g.Events()
	wantE := Events{
		Memory: MemoryEvents{Low: 1, High: 2, Max: 3, OOM: 4, OOMKill: 5}, PidsMax: 6,
		Hugetlb: map[string]uint64{"2MB": 8}, Populated: true, Lacks: []string{"memory.events oom_group_kill"},
	}
	if err != nil || !reflect.DeepEqual(e, wantE) {
		t.Errorf("got  %+v, %v\nwant %+v", e, err, wantE)
	}
}

// The kernel may take a write and store something else.
func TestSetComparesWhatIsStored(t *testing.T) {
	g := fakeGroup(t, v2Files())
	err := g.Set(Limits{CPUs: "0"}) // the effective list stays 0-1
	if err == nil || !strings.Contains(err.Error(), "cpuset.cpus.effective") {
		t.Errorf("a list that does not take effect: %v", err)
	}
	for _, tt := range []struct {
		took        func(string, string) bool
		wrote, read string
		want        bool
	}{
		{samePages, "5000", "4096", true},
		{samePages, "5000", "8192", false},
		{samePages, "5000", "max", false},
		{samePages, "max", "max", true},
		{sameSize("2MB"), "5242880", "4194304", true},
		{sameSize("2MB"), "5242880", "2097152", false},
		{sameV1, "-1", "9223372036854771712", true},
		{sameV1, "-1", "4096", false},
		{sameList, "0,1", "0-1", true},
		{sameList, "0", "", false},
		{hasIOLine, "8:0 rbps=1 wbps=max riops=max wiops=max", "8:0 rbps=1 wbps=max riops=max wiops=max", true},
		{hasIOLine, "8:0 rbps=1 wbps=max riops=max wiops=max", "", false},
		{hasIOLine, "8:0 rbps=max wbps=max riops=max wiops=max", "", true},
		{hasThrottle, "8:0 100", "8:16 1\n8:0 100", true},
		{hasThrottle, "8:0 100", "8:0 10", false},
		{hasThrottle, "8:0 0", "8:0 10", false},
		{hasThrottle, "8:0 0", "8:16 10", true},
	} {
		if got := tt.took(tt.wrote, tt.read); got != tt.want {
			t.Errorf("wrote %q, read %q: %v", tt.wrote, tt.read, got)
		}
	}
}

func TestMissingFile(t *testing.T) {
	files := v2Files()
	delete(files, "memory.high")
	delete(files, "cgroup.procs")
	g := fakeGroup(t, files)
	if err := g.Set(Limits{MemoryHigh: 4096}); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "memory.high") {
		t.Errorf("a limit without a file: %v", err)
	}
	// Without cgroup.procs it is no group: it has been removed.
	if _, err := g.Stat(); err == nil {
		t.Error("statistics of what is not there: no error")
	}
	files = v2Files()
	files["cgroup.controllers"] = "cpu\n"
	g = fakeGroup(t, files)
	if err := g.Set(Limits{PidsMax: 1}); !errors.Is(err, kernel.ErrNotSupported) || !strings.Contains(err.Error(), "pids") {
		t.Errorf("a limit without a controller: %v", err)
	}
}
