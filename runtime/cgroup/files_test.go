package cgroup

import (
	"slices"
	"testing"
	"time"
)

func TestFiles(t *testing.T) {
	l := Limits{
		MemoryMax: 1 << 20, SwapMax: new(uint64), CPUMax: CPUMax{Quota: time.Second, Burst: time.Millisecond}, CPUShares: 1024, CPUs: "0-1",
		PidsMax: 9, IOWeight: 5, IOMax: []IOMax{{Major: 8, Rbps: 7}}, Hugetlb: map[string]uint64{"2MB": 4 << 20},
		MaxDepth: new(uint64), Devices: []DeviceRule{{Allow: true}},
	}
	want := []File{
		{Name: "memory.swap.max", Value: "0"},
		{Name: "memory.max", Value: "1048576"},
		{Name: "cpu.weight", Value: "100"},
		{Name: "cpuset.cpus", Value: "0-1"},
		{Name: "pids.max", Value: "9"},
		{Name: "cgroup.max.depth", Value: "0"},
		{Name: "cpu.max", Value: "1000000 100000"},
		{Name: "cpu.max.burst", Value: "1000"},
		{Name: "io.max", Value: "8:0 rbps=7 wbps=max riops=max wiops=max"},
		{Name: "hugetlb.2MB.max", Value: "4194304"},
		{Name: "hugetlb.2MB.rsvd.max", Value: "4194304"},
	}
	if got := l.Files(); !slices.Equal(got, want) {
		t.Errorf("files\n%q, want\n%q", got, want)
	}
	if got := (Limits{}).Files(); len(got) > 0 {
		t.Errorf("no limits have files: %q", got)
	}
}
