package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func ioRows() []Guarantee {
	return []Guarantee{{
		ID:       "io.file-size",
		Claim:    "cannot write a file beyond its size limit",
		Source:   "getrlimit(2)",
		Barrier:  "RLIMIT_FSIZE",
		Rung:     spec.Limits,
		Attack:   attack.LargeFile,
		Witness:  sentinel.FileBounded,
		Refusal:  Refusals{unix.EFBIG: Rlimit},
		Controls: spec.Edits{spec.WithRlimit("RLIMIT_FSIZE", 1<<20)},
	}, {
		ID:          "io.bandwidth",
		Claim:       "cannot exceed its I/O rate limit",
		Source:      "Documentation/admin-guide/cgroup-v2.rst, IO",
		Barrier:     "io.max",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.LoopDevice},
		Controllers: []string{"io"},
		Attack:      attack.ExceedRates,
		Witness:     sentinel.RatesKept,
		Controls: spec.Edits{spec.Change("no I/O rate limit", func(s *specs.Spec) {
			if s.Linux.Resources != nil {
				s.Linux.Resources.BlockIO = nil
			}
		})},
	}, {
		ID:          "io.weight",
		Claim:       "gets disk time only in proportion to its weight",
		Source:      "Documentation/block/bfq-iosched.rst, 4. BFQ group scheduling",
		Barrier:     "io.weight",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.LoopDevice},
		Controllers: []string{"io"},
		Attack:      attack.ReadDevice,
		Witness:     sentinel.IOShareKept,
		Controls:    spec.Edits{sentinel.WithIOWeight(sentinel.IOWeightNeighbour)},
		Alone:       true,
	}, {
		ID:      "io.disk-quota",
		Claim:   "cannot fill the host's disk or leave its quota project",
		Source:  "quotactl(2), ioctl_xfs_fsgetxattr(2)",
		Barrier: "project quota",
		// Without a user namespace root may change the project.
		Rung:     spec.Hardened,
		Attack:   attack.FillDisk,
		Witness:  sentinel.QuotaBounded,
		Refusal:  Refusals{unix.EDQUOT: Filesystem, unix.ENOSPC: Filesystem, unix.EINVAL: UserNamespace},
		Controls: spec.Edits{spec.Change(sentinel.WithoutQuota, nil)},
	}}
}
