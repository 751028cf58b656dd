package cgroup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cellwall/runtime/kernel"
)

// lacksV1 names the first limit that the v1 hierarchy of a controller cannot express.
func (l Limits) lacksV1(controller string) error {
	for _, n := range []struct {
		controller, limit string
		set               bool
	}{
		{"memory", "memory.high", l.MemoryHigh != 0},
		{"memory", "memory.min", l.MemoryMin != 0},
		{"memory", "memory.oom.group", l.OOMGroup},
		{"memory", "memory.swap.max without memory.max", l.SwapMax != nil && l.MemoryMax == 0},
	} {
		if n.set && n.controller == controller {
			return kernel.Unsupported("%s on cgroup v1", n.limit)
		}
	}
	return nil
}

// settingsV1 is settingsV2 for the controllers of v1 hierarchies, with v2's controller names.
// The memory limits are in memoryV1: their order depends on what is there.
func (l Limits) settingsV1(old Limits) []setting {
	all := []setting{
		{controller: "cpu", file: "cpu.shares", value: number(l.shares(), old.shares(), "1024")},
		{controller: "cpuset", file: "cpuset.mems", value: l.Mems, took: sameList},
		{controller: "cpuset", file: "cpuset.cpus", value: l.CPUs, took: sameList},
		{controller: "pids", file: "pids.max", value: number(l.PidsMax, old.PidsMax, "max")},
	}
	if l.CPUMax != old.CPUMax {
		if old.CPUMax.Burst != 0 {
			all = append(all, setting{controller: "cpu", file: "cpu.cfs_burst_us", value: "0"})
		}
		// The new period with the old quota may be more than a parent allows, or less than groups
		// below it have: meanwhile there is no quota but the parent's.
		if old.CPUMax.Quota != 0 {
			all = append(all, setting{controller: "cpu", file: "cpu.cfs_quota_us", value: "-1"})
		}
		all = append(all,
			setting{controller: "cpu", file: "cpu.cfs_period_us", value: usec(l.CPUMax.Period, "100000")},
			setting{controller: "cpu", file: "cpu.cfs_quota_us", value: usec(l.CPUMax.Quota, "")},
			setting{controller: "cpu", file: "cpu.cfs_burst_us", value: usec(l.CPUMax.Burst, "")})
	}
	for _, m := range changedIO(l.IOMax, old.IOMax) {
		for _, t := range throttles(m) {
			all = append(all, setting{
				controller: "io", file: "blkio.throttle." + t.file,
				value: fmt.Sprintf("%d:%d %d", m.Major, m.Minor, t.limit), took: hasThrottle,
			})
		}
	}
	for _, size := range changedHuge(l.Hugetlb, old.Hugetlb) {
		value, took := "-1", anything
		if n, ok := l.Hugetlb[size]; ok {
			value, took = strconv.FormatUint(n, 10), sameSize(size)
		}
		all = append(all,
			setting{controller: "hugetlb", file: "hugetlb." + size + ".limit_in_bytes", value: value, took: took},
			setting{controller: "hugetlb", file: "hugetlb." + size + ".rsvd.limit_in_bytes", value: value, took: took})
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.value == "" })
}

func (l Limits) shares() uint64 {
	if l.CPUWeight != 0 {
		return SharesFromWeight(l.CPUWeight)
	}
	return l.CPUShares
}

type throttle struct {
	file  string
	limit uint64
}

func throttles(m IOMax) []throttle {
	return []throttle{
		{file: "read_bps_device", limit: m.Rbps},
		{file: "write_bps_device", limit: m.Wbps},
		{file: "read_iops_device", limit: m.Riops},
		{file: "write_iops_device", limit: m.Wiops},
	}
}

// hasThrottle: a limit of 0 removes the line.
func hasThrottle(wrote, read string) bool {
	lines := strings.Split(read, "\n")
	if device, ok := strings.CutSuffix(wrote, " 0"); ok {
		return !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, device+" ") })
	}
	return slices.Contains(lines, wrote)
}

// memoryV1 returns the settings of the memory controller. memory.memsw.limit_in_bytes is memory
// and swap together and may never be below memory.limit_in_bytes, so which one comes first
// depends on whether the limit grows above the present sum.
func (l Limits) memoryV1(old Limits, d *dir) ([]setting, error) {
	soft := setting{controller: "memory", file: "memory.soft_limit_in_bytes", value: number(l.MemoryLow, old.MemoryLow, "-1"), took: sameV1}
	limit := setting{controller: "memory", file: "memory.limit_in_bytes", value: number(l.MemoryMax, old.MemoryMax, "-1"), took: sameV1}
	sum := setting{controller: "memory", file: "memory.memsw.limit_in_bytes", took: sameV1}
	switch {
	case l.SwapMax != nil:
		sum.value = strconv.FormatUint(l.MemoryMax+*l.SwapMax, 10)
	case old.SwapMax != nil:
		sum.value = "-1"
	}
	all := []setting{soft, limit, sum}
	if old.SwapMax != nil {
		present, err := d.number("memory.memsw.limit_in_bytes")
		if err != nil {
			return nil, err
		}
		if l.MemoryMax == 0 || l.MemoryMax > present {
			all = []setting{soft, sum, limit}
		}
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.value == "" }), nil
}

// noLimitV1 is what v1 shows for -1, and more: the largest multiple of a page in an int64.
const noLimitV1 = 1 << 62

func sameV1(wrote, read string) bool {
	if wrote == "-1" {
		n, err := strconv.ParseUint(read, 10, 64)
		return err == nil && n >= noLimitV1
	}
	return samePages(wrote, read)
}
