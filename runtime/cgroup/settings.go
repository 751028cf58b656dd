package cgroup

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"cellwall/runtime/kernel"
)

// setting is one write to a control file and the check that the kernel took it.
type setting struct {
	controller string // v2's name; "" is the v2 core
	file       string
	value      string
	from       string // the file to read back; "" is file
	// took compares what was written with what is read; nil wants them equal.
	took func(wrote, read string) bool
}

// number returns the value for a limit where 0 is none: "" if there is nothing to write.
func number(now, before uint64, none string) string {
	switch {
	case now != 0:
		return strconv.FormatUint(now, 10)
	case before != 0:
		return none
	}
	return ""
}

// pointer is number for a limit where nil is none.
func pointer(now, before *uint64, none string) string {
	switch {
	case now != nil:
		return strconv.FormatUint(*now, 10)
	case before != nil:
		return none
	}
	return ""
}

// settingsV2 returns what must be written to get from one set of limits to another, in order.
func (l Limits) settingsV2(old Limits) []setting {
	all := []setting{
		{controller: "memory", file: "memory.min", value: number(l.MemoryMin, old.MemoryMin, "0"), took: samePages},
		{controller: "memory", file: "memory.low", value: number(l.MemoryLow, old.MemoryLow, "0"), took: samePages},
		{controller: "memory", file: "memory.oom.group", value: flag(l.OOMGroup, old.OOMGroup)},
		{controller: "memory", file: "memory.swap.max", value: pointer(l.SwapMax, old.SwapMax, "max"), took: samePages},
		{controller: "memory", file: "memory.high", value: number(l.MemoryHigh, old.MemoryHigh, "max"), took: samePages},
		{controller: "memory", file: "memory.max", value: number(l.MemoryMax, old.MemoryMax, "max"), took: samePages},
		{controller: "cpu", file: "cpu.weight", value: number(l.weight(), old.weight(), "100")},
		{controller: "cpuset", file: "cpuset.mems", value: l.Mems, from: "cpuset.mems.effective", took: sameList},
		{controller: "cpuset", file: "cpuset.cpus", value: l.CPUs, from: "cpuset.cpus.effective", took: sameList},
		{controller: "pids", file: "pids.max", value: number(l.PidsMax, old.PidsMax, "max")},
		{controller: "", file: "cgroup.max.descendants", value: pointer(l.MaxDescendants, old.MaxDescendants, "max")},
		{controller: "", file: "cgroup.max.depth", value: pointer(l.MaxDepth, old.MaxDepth, "max")},
	}
	// An empty list goes back to all that the parent has; a newline, as an empty write is none.
	if l.CPUs == "" && old.CPUs != "" {
		all = append(all, setting{controller: "cpuset", file: "cpuset.cpus", value: "\n", took: anything})
	}
	if l.Mems == "" && old.Mems != "" {
		all = append(all, setting{controller: "cpuset", file: "cpuset.mems", value: "\n", took: anything})
	}
	if l.CPUMax != old.CPUMax {
		if old.CPUMax.Burst != 0 { // a quota below the burst is refused
			all = append(all, setting{controller: "cpu", file: "cpu.max.burst", value: "0"})
		}
		all = append(all, setting{controller: "cpu", file: "cpu.max", value: usec(l.CPUMax.Quota, "max") + " " + usec(l.CPUMax.Period, "100000")})
		if l.CPUMax.Burst != 0 {
			all = append(all, setting{controller: "cpu", file: "cpu.max.burst", value: usec(l.CPUMax.Burst, "0")})
		}
	}
	for _, m := range changedIO(l.IOMax, old.IOMax) {
		all = append(all, setting{controller: "io", file: "io.max", value: m.String(), took: hasIOLine})
	}
	for _, size := range changedHuge(l.Hugetlb, old.Hugetlb) {
		value := "max"
		if n, ok := l.Hugetlb[size]; ok {
			value = strconv.FormatUint(n, 10)
		}
		// The reservation's limit (5.7) as well: without it a mapping beyond the usage's succeeds, and
		// its first touch is a SIGBUS.
		all = append(all,
			setting{controller: "hugetlb", file: "hugetlb." + size + ".max", value: value, took: sameSize(size)},
			setting{controller: "hugetlb", file: "hugetlb." + size + ".rsvd.max", value: value, took: sameSize(size)})
	}
	return slices.DeleteFunc(all, func(s setting) bool { return s.value == "" })
}

// File is a file of cgroup v2 and what is written to it.
type File struct{ Name, Value string }

// Files are what a program that knows cgroup v2 by its files writes for the limits, in order. Device
// rules have none; IOWeight has, but the kernel's configuration decides which.
func (l Limits) Files() []File {
	var files []File
	for _, s := range l.settingsV2(Limits{}) {
		files = append(files, File{Name: s.file, Value: s.value})
	}
	return files
}

func (l Limits) weight() uint64 {
	if l.CPUShares != 0 {
		return WeightFromShares(l.CPUShares)
	}
	return l.CPUWeight
}

func flag(now, before bool) string {
	switch {
	case now:
		return "1"
	case before:
		return "0"
	}
	return ""
}

func usec(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return strconv.FormatInt(d.Microseconds(), 10)
}

// changedIO returns the limits to write; a device that has none any more with zeros.
func changedIO(now, before []IOMax) []IOMax {
	changed := slices.Clone(now)
	for _, b := range before {
		if !slices.ContainsFunc(now, func(n IOMax) bool { return n.Major == b.Major && n.Minor == b.Minor }) {
			changed = append(changed, IOMax{Major: b.Major, Minor: b.Minor})
		}
	}
	return changed
}

func changedHuge(now, before map[string]uint64) []string {
	var sizes []string
	for size := range now {
		sizes = append(sizes, size)
	}
	for size := range before {
		if _, ok := now[size]; !ok {
			sizes = append(sizes, size)
		}
	}
	sort.Strings(sizes)
	return sizes
}

// String is the line that io.max takes.
func (m IOMax) String() string {
	return fmt.Sprintf("%d:%d rbps=%s wbps=%s riops=%s wiops=%s", m.Major, m.Minor,
		number(m.Rbps, 1, "max"), number(m.Wbps, 1, "max"), number(m.Riops, 1, "max"), number(m.Wiops, 1, "max"))
}

func anything(_, _ string) bool { return true }

// samePages: the kernel stores whole pages, rounded down.
func samePages(wrote, read string) bool { return roundedDown(wrote, read, uint64(os.Getpagesize())) }

// sameSize: and hugetlb whole huge pages.
func sameSize(size string) func(wrote, read string) bool {
	return func(wrote, read string) bool { return roundedDown(wrote, read, hugeBytes(size)) }
}

func hugeBytes(size string) uint64 {
	n := strings.TrimRight(size, "KMGB")
	v, _ := strconv.ParseUint(n, 10, 32) // check has seen it
	return v << map[string]int{"KB": 10, "MB": 20, "GB": 30}[size[len(n):]]
}

func roundedDown(wrote, read string, unit uint64) bool {
	w, err := strconv.ParseUint(wrote, 10, 64)
	if err != nil {
		return wrote == read
	}
	r, err := strconv.ParseUint(read, 10, 64)
	return err == nil && (r == w || r == w/unit*unit)
}

func sameList(wrote, read string) bool {
	w, err1 := kernel.ParseList(wrote)
	r, err2 := kernel.ParseList(read)
	return err1 == nil && err2 == nil && slices.Equal(w, r)
}

// hasIOLine: the kernel drops the line of a device without limits.
func hasIOLine(wrote, read string) bool {
	device, limits, _ := strings.Cut(wrote, " ")
	for line := range strings.SplitSeq(read, "\n") {
		if d, rest, _ := strings.Cut(line, " "); d == device {
			return rest == limits
		}
	}
	return limits == strings.TrimPrefix(IOMax{}.String(), "0:0 ")
}
