package cgroup

// Stat is what a group uses, under the names of cgroup v2, translated where the host has v1.
type Stat struct {
	CPU     CPUStat
	Memory  MemoryStat
	Pids    PidsStat
	IO      map[string]IOStat // by "major:minor"
	Hugetlb map[string]uint64 // hugetlb.SIZE.current in bytes, by "2MB"
	// Lacks names, in v2's spelling, what this kernel or hierarchy does not tell: "memory.peak",
	// "cpu.stat nr_bursts". The fields that belong to it are zero.
	Lacks []string
}

// CPUStat is cpu.stat; v1 cpuacct.usage and cpu.stat. User and system time lack on v1.
type CPUStat struct {
	UsageUsec, UserUsec, SystemUsec uint64
	NrPeriods, NrThrottled          uint64
	ThrottledUsec                   uint64
	NrBursts, BurstUsec             uint64
}

// MemoryStat is memory.current, memory.peak, memory.swap.current and memory.stat, in bytes. On
// v1 Stat has v1's own keys.
type MemoryStat struct {
	Current, Peak, SwapCurrent uint64
	Stat                       map[string]uint64
}

// PidsStat is pids.current and pids.peak.
type PidsStat struct{ Current, Peak uint64 }

// IOStat is a line of io.stat; v1 blkio.throttle.io_service_bytes and io_serviced.
type IOStat struct{ Rbytes, Wbytes, Rios, Wios uint64 }

// Events counts what has happened to a group and those below it.
type Events struct {
	Memory  MemoryEvents
	PidsMax uint64            // pids.events max: forks refused
	Hugetlb map[string]uint64 // hugetlb.SIZE.events max, by "2MB"
	// Populated: there is a live process in the group or below it. Frozen: all are frozen.
	Populated, Frozen bool
	// Lacks names, in v2's spelling, what this kernel or hierarchy does not count.
	Lacks []string
}

// MemoryEvents is memory.events. v1 has Max (memory.failcnt and memory.memsw.failcnt) and
// OOMKill only; Max stays 0 on 6.18 where no swap is allowed, so OOMKill is the evidence.
type MemoryEvents struct {
	Low, High, Max, OOM, OOMKill, OOMGroupKill uint64
}
