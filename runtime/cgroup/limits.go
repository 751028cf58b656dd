package cgroup

import "time"

// Limits says what a group may use, in the words of cgroup v2 (Documentation/admin-guide/
// cgroup-v2.rst). The zero value sets nothing. Sizes are bytes; 0 is "no limit" unless the field
// is a pointer or a map, where absence is.
type Limits struct {
	MemoryMax  uint64  // memory.max; v1 memory.limit_in_bytes
	MemoryHigh uint64  // memory.high; v1 has none
	MemoryMin  uint64  // memory.min; v1 has none
	MemoryLow  uint64  // memory.low; v1 memory.soft_limit_in_bytes, as every OCI runtime maps it
	SwapMax    *uint64 // memory.swap.max, swap alone; v1 memory.memsw.limit_in_bytes, needs MemoryMax
	OOMGroup   bool    // memory.oom.group; v1 has none

	CPUMax    CPUMax // cpu.max, cpu.max.burst; v1 cpu.cfs_*_us
	CPUWeight uint64 // cpu.weight, 1 to 10000; v1 cpu.shares by the kernel's scale (100 is 1024)
	// CPUShares is the same in OCI's and v1's unit, 2 to 262144: written as it is on v1, as
	// WeightFromShares on v2. Not together with CPUWeight.
	CPUShares uint64

	CPUs string // cpuset.cpus, a list such as "0-2,7"
	Mems string // cpuset.mems

	PidsMax uint64 // pids.max

	IOWeight uint64  // io.weight, 1 to 10000; v1 blkio.weight or blkio.bfq.weight
	IOMax    []IOMax // io.max; v1 blkio.throttle.*

	Hugetlb map[string]uint64 // hugetlb.SIZE.max by the kernel's SIZE: "2MB", "1GB"

	// Controllers are those that the group gets although nothing of theirs is limited, under
	// v2's names: groups below it can then have them.
	Controllers []string

	MaxDescendants *uint64 // cgroup.max.descendants; v1 has none, hybrid has it
	MaxDepth       *uint64 // cgroup.max.depth

	// Devices are rules in OCI order: nothing is allowed, then the last rule that matches
	// decides. No rules: no filter.
	Devices []DeviceRule
}

// CPUMax is the bandwidth of cpu.max: Quota of CPU time in each Period, for all CPUs together.
// Quota 0 is no limit, Period 0 the kernel's 100 ms. The kernel counts whole microseconds.
type CPUMax struct{ Quota, Period, Burst time.Duration }

// IOMax limits one block device, in bytes and operations per second; 0 is no limit.
type IOMax struct {
	Major, Minor             uint32
	Rbps, Wbps, Riops, Wiops uint64
}

// DeviceRule allows or denies access to device nodes.
type DeviceRule struct {
	Allow bool
	Type  string // "c", "b" or, for both, "a"; "" is "a"
	// Major and Minor: nil is any.
	Major, Minor *int64
	Access       string // some of "rwm": read, write, mknod; "" is "rwm"
}
