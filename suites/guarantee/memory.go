package guarantee

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

const memoryDoc = "Documentation/admin-guide/cgroup-v2.rst, Memory"

func memoryRows() []Guarantee {
	return slices.Concat(memoryLimitRows(), memoryPlaceRows())
}

func memoryLimitRows() []Guarantee {
	return []Guarantee{{
		ID:          "memory.limit-kills-inside",
		Claim:       "is killed inside when it exceeds its memory limit",
		Source:      memoryDoc,
		Barrier:     "memory.max",
		Rung:        spec.Limits,
		Controllers: []string{"memory"},
		Probes:      []string{"oom"},
		Attack:      attack.LongLine,
		Witness:     sentinel.KilledInside,
		Refusal:     Refusals{unix.ENOMEM: Cgroup},
		Controls:    spec.Edits{withoutMemoryLimit},
	}, {
		ID:          "memory.swap-limit",
		Claim:       "cannot use more swap than its limit",
		Source:      memoryDoc,
		Barrier:     "memory.swap.max",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.Swap, kernel.SwapAccounting},
		Controllers: []string{"memory"},
		Attack:      attack.Hog,
		Witness:     sentinel.SwapBounded,
		Refusal:     Refusals{unix.ENOMEM: Cgroup},
		Controls: spec.Edits{spec.Change("no swap limit", func(s *specs.Spec) {
			s.Linux.Resources.Memory.Swap = nil
		})},
	}, {
		ID:          "memory.high-throttles",
		Claim:       "is throttled, not killed, above its high mark",
		Source:      memoryDoc,
		Barrier:     "memory.high",
		Rung:        spec.Limits,
		Controllers: []string{"memory"},
		Attack:      attack.Hog,
		Witness:     sentinel.Throttled,
		Controls:    spec.Edits{withoutFile("memory.high")},
		Alone:       true,
	}, {
		ID:          "memory.protected",
		Claim:       "cannot reclaim a neighbour's protected memory",
		Source:      memoryDoc,
		Barrier:     "memory.min",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.LoopDevice},
		Controllers: []string{"memory"},
		Attack:      attack.Hog,
		Witness:     sentinel.Protected,
		Refusal:     Refusals{unix.ENOMEM: Cgroup},
		Controls:    spec.Edits{spec.Change(sentinel.WithoutProtection, nil)},
	}, {
		ID:          "memory.oom-group",
		Claim:       "is killed as a whole on OOM when grouped",
		Source:      memoryDoc,
		Barrier:     "memory.oom.group",
		Rung:        spec.Limits,
		Controllers: []string{"memory"},
		Attack:      attack.Siblings,
		Witness:     sentinel.KilledTogether,
		Refusal:     Refusals{unix.ENOMEM: Cgroup},
		Controls:    spec.Edits{withoutFile("memory.oom.group")},
	}, {
		ID:          "memory.all-charged",
		Claim:       "cannot hold kernel, tmpfs, cache or socket memory uncharged",
		Source:      memoryDoc + "; Documentation/admin-guide/cgroup-v1/memory.rst, 2.7",
		Barrier:     "memory controller accounting",
		Rung:        spec.Limits,
		Controllers: []string{"memory"},
		Attack:      attack.Fill,
		Witness:     sentinel.Charged,
		Controls:    spec.Edits{spec.Change(sentinel.OutsideTheCgroup, nil)},
	}, {
		ID:          "memory.peak-recorded",
		Claim:       "cannot hide its peak memory use from the host",
		Source:      memoryDoc + "; Linux commit 8e20d4b33266 (5.19)",
		Barrier:     "memory.peak",
		Rung:        spec.Limits,
		Controllers: []string{"memory"},
		Attack:      attack.Remember,
		Witness:     sentinel.PeakKept,
		Refusal:     Refusals{unix.EROFS: Mount},
		Controls:    spec.Edits{spec.Change(sentinel.ReadCurrent, nil)},
	}}
}

func memoryPlaceRows() []Guarantee {
	return []Guarantee{{
		ID:       "memory.tmpfs-size",
		Claim:    "cannot fill a tmpfs beyond its size or inode count",
		Source:   "tmpfs(5)",
		Barrier:  "tmpfs size and nr_inodes options",
		Rung:     spec.Namespaces,
		Attack:   attack.FillTmpfs,
		Witness:  sentinel.TmpfsFull,
		Refusal:  Refusals{unix.ENOSPC: Filesystem},
		Controls: spec.Edits{sentinel.TmpfsOf(8<<20, 1024)},
	}, {
		ID:          "memory.hugetlb",
		Claim:       "cannot use more huge pages than its limit",
		Source:      "Documentation/admin-guide/cgroup-v2.rst, HugeTLB",
		Barrier:     "hugetlb.max",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.HugePages},
		Controllers: []string{"hugetlb"},
		Attack:      attack.HugePages,
		Witness:     sentinel.HugePagesBounded,
		Refusal:     Refusals{unix.ENOMEM: Cgroup, unix.EFAULT: Cgroup},
		Controls: spec.Edits{spec.Change("no hugetlb limit", func(s *specs.Spec) {
			s.Linux.Resources.HugepageLimits = nil
		})},
	}, {
		ID:          "memory.cpuset-mems",
		Claim:       "cannot place memory on nodes outside its set",
		Source:      "cpuset(7), mbind(2)",
		Barrier:     "cpuset.mems",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.NUMA},
		Controllers: []string{"cpuset"},
		Attack:      attack.OtherNodes,
		Witness:     sentinel.NodesKept,
		Refusal:     Refusals{unix.EINVAL: Cgroup},
		Controls: spec.Edits{spec.Change("no cpuset.mems", func(s *specs.Spec) {
			s.Linux.Resources.CPU.Mems = ""
		})},
	}, {
		ID:       "memory.mlock",
		Claim:    "cannot lock more memory than its limit",
		Source:   "mlock(2), shmctl(2)",
		Barrier:  "RLIMIT_MEMLOCK",
		Rung:     spec.Hardened,
		Attack:   attack.Lock,
		Witness:  sentinel.LockedBounded,
		Refusal:  Refusals{unix.ENOMEM: Rlimit, unix.EAGAIN: Rlimit},
		Both:     spec.Edits{spec.Allowing("mlock", "mlock2", "mlockall")}, // nspawn's filter denies them
		Controls: spec.Edits{spec.WithRlimit("RLIMIT_MEMLOCK", 4<<20)},
	}}
}

var withoutMemoryLimit = spec.Change("no memory limit", func(s *specs.Spec) {
	if s.Linux.Resources != nil {
		s.Linux.Resources.Memory = nil
	}
})

// withoutFile takes one file of cgroup v2 off the list of limits.
func withoutFile(file string) spec.Edit {
	return spec.Change("no "+file, func(s *specs.Spec) {
		if s.Linux.Resources != nil {
			delete(s.Linux.Resources.Unified, file)
		}
	})
}
