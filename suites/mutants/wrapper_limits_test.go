package mutants_test

import (
	"slices"
	"strconv"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// tooLarge is by how much a limit is too large: twice is what every row that claims one has to see.
const tooLarge = 2

// limit is a wrapper that changes the container's own limits. The run's fence, a group above, stays.
func limit(change func(*specs.LinuxResources)) wrapper {
	return edited(func(s *specs.Spec) {
		if s.Linux.Resources != nil {
			change(s.Linux.Resources)
		}
	})
}

// limitWeaknesses are limits that are missing or too large. Their attacks bound themselves.
func limitWeaknesses() []weakness {
	return []weakness{
		{name: "no limits at all", do: edited(func(s *specs.Spec) { s.Linux.Resources = nil }), rows: []string{"pids.fork-bomb"}},
		{name: "no pids limit", do: limit(func(r *specs.LinuxResources) { r.Pids = nil }), rows: []string{"pids.threads-count"}},
		{name: "twice the pids", do: limit(func(r *specs.LinuxResources) {
			if r.Pids != nil && r.Pids.Limit != nil {
				*r.Pids.Limit *= tooLarge
			}
		}), rows: []string{"pids.fork-bomb", "pids.threads-count"}},
		{name: "no memory limit", do: limit(func(r *specs.LinuxResources) { r.Memory = nil }), rows: []string{"memory.limit-kills-inside"}},
		{name: "twice the memory", do: limit(func(r *specs.LinuxResources) {
			if r.Memory != nil && r.Memory.Limit != nil && r.Memory.Swap != nil {
				*r.Memory.Limit *= tooLarge
				*r.Memory.Swap *= tooLarge
			}
		}), rows: []string{"memory.limit-kills-inside"}},
		{name: "no CPU quota", do: limit(func(r *specs.LinuxResources) {
			if r.CPU != nil {
				r.CPU.Quota = nil
			}
		}), rows: []string{"cpu.quota"}},
		{name: "twice the CPU quota", do: limit(func(r *specs.LinuxResources) {
			if r.CPU != nil && r.CPU.Quota != nil {
				*r.CPU.Quota *= tooLarge
			}
		}), rows: []string{"cpu.quota"}},
		{name: "twice the CPU weight", do: limit(func(r *specs.LinuxResources) {
			if r.CPU != nil && r.CPU.Shares != nil {
				*r.CPU.Shares *= tooLarge
			}
			if n, err := strconv.Atoi(r.Unified["cpu.weight"]); err == nil {
				r.Unified["cpu.weight"] = strconv.Itoa(tooLarge * n)
			}
		}), rows: []string{"cpu.weight"}},
		{name: "a CPU weight like all others", do: limit(func(r *specs.LinuxResources) {
			if r.CPU != nil {
				r.CPU.Shares = nil
			}
			delete(r.Unified, "cpu.weight")
		}), rows: []string{"cpu.weight"}},
		{name: "every CPU", do: limit(func(r *specs.LinuxResources) {
			if r.CPU != nil {
				r.CPU.Cpus = ""
			}
		}), rows: []string{"cpu.cpuset"}},
		{name: "no I/O limit", do: limit(func(r *specs.LinuxResources) { r.BlockIO = nil }), rows: []string{"io.bandwidth"}},
		fastIO("bytes read", func(b *specs.LinuxBlockIO) []specs.LinuxThrottleDevice { return b.ThrottleReadBpsDevice }),
		fastIO("bytes written", func(b *specs.LinuxBlockIO) []specs.LinuxThrottleDevice { return b.ThrottleWriteBpsDevice }),
		fastIO("reads", func(b *specs.LinuxBlockIO) []specs.LinuxThrottleDevice { return b.ThrottleReadIOPSDevice }),
		fastIO("writes", func(b *specs.LinuxBlockIO) []specs.LinuxThrottleDevice { return b.ThrottleWriteIOPSDevice }),
		{name: "twice the I/O weight", only: "runc", why: "crun 1.8 writes to blkio.weight, which Linux has no more", do: limit(func(r *specs.LinuxResources) {
			if r.BlockIO != nil && r.BlockIO.Weight != nil {
				*r.BlockIO.Weight *= tooLarge
			}
		}), rows: []string{"io.weight"}},
		{name: "all devices", do: limit(func(r *specs.LinuxResources) {
			r.Devices = []specs.LinuxDeviceCgroup{{Allow: true, Access: "rwm"}}
		}), rows: []string{"device.unlisted"}},
		{name: "all character devices", do: limit(func(r *specs.LinuxResources) {
			r.Devices = append(r.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "rwm"})
		}), rows: []string{"device.unlisted"}},
		{name: "one device more, to read", do: limit(func(r *specs.LinuxResources) {
			major, minor := int64(1), int64(11) // /dev/kmsg, which no attack opens
			r.Devices = append(r.Devices, specs.LinuxDeviceCgroup{Allow: true, Type: "c", Major: &major, Minor: &minor, Access: "r"})
		}), rows: []string{"device.unlisted"}},
		{name: "a device of the host's", rung: spec.Limits, rows: []string{"device.default-set"}, do: edited(func(s *specs.Spec) {
			s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: "/dev/kmsg", Type: "c", Major: 1, Minor: 11})
		})},
		{name: "a null device that is none", rung: spec.Limits, rows: []string{"device.default-set"}, do: edited(func(s *specs.Spec) {
			s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{Path: "/dev/null", Type: "c", Major: 1, Minor: 5})
		})},
		withoutRlimit("RLIMIT_NOFILE", "abstract.open-files"),
		withoutRlimit("RLIMIT_MSGQUEUE", "abstract.mqueue-bytes"),
		withoutRlimit("RLIMIT_SIGPENDING", "abstract.pending-signals"),
		withoutRlimit("RLIMIT_MEMLOCK", "memory.mlock"),
		withoutRlimit("RLIMIT_FSIZE", "io.file-size"),
		largeRlimit("RLIMIT_MEMLOCK", "memory.mlock"),
		largeRlimit("RLIMIT_FSIZE", "io.file-size"),
		largeHardRlimit("RLIMIT_MSGQUEUE", "abstract.mqueue-bytes"),
		largeHardRlimit("RLIMIT_SIGPENDING", "abstract.pending-signals"),
		largeHardRlimit("RLIMIT_MEMLOCK", "memory.mlock"),
		largeHardRlimit("RLIMIT_FSIZE", "io.file-size"),
	}
}

// fastIO is a weakness of one I/O rate that is too large.
func fastIO(what string, of func(*specs.LinuxBlockIO) []specs.LinuxThrottleDevice) weakness {
	return weakness{name: "twice the " + what, rows: []string{"io.bandwidth"}, do: limit(func(r *specs.LinuxResources) {
		if r.BlockIO == nil {
			return
		}
		for i, limits := 0, of(r.BlockIO); i < len(limits); i++ {
			limits[i].Rate *= tooLarge
		}
	})}
}

// withoutRlimit is a weakness of a process that keeps the launcher's resource limit.
func withoutRlimit(name string, rows ...string) weakness {
	return weakness{name: "no " + name, rows: rows, do: edited(func(s *specs.Spec) {
		s.Process.Rlimits = slices.DeleteFunc(s.Process.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == name })
	})}
}

// largeRlimit is a weakness of a process whose resource limit is too large.
func largeRlimit(name string, rows ...string) weakness {
	return weakness{name: "twice the " + name, rows: rows, do: edited(func(s *specs.Spec) {
		for i := range s.Process.Rlimits {
			if l := &s.Process.Rlimits[i]; l.Type == name {
				l.Soft, l.Hard = tooLarge*l.Soft, tooLarge*l.Hard
			}
		}
	})}
}

// largeHardRlimit is a weakness of a process whose hard limit alone is too large.
func largeHardRlimit(name string, rows ...string) weakness {
	return weakness{name: "twice the hard " + name, rows: rows, do: edited(func(s *specs.Spec) {
		for i := range s.Process.Rlimits {
			if l := &s.Process.Rlimits[i]; l.Type == name {
				l.Hard *= tooLarge
			}
		}
	})}
}
