package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func cpuRows() []Guarantee {
	return []Guarantee{{
		ID:          "cpu.quota",
		Claim:       "cannot use more CPU than its own or an ancestor's quota",
		Source:      "Documentation/scheduler/sched-bwc.rst",
		Barrier:     "cpu.max, its own and its parent's",
		Rung:        spec.Limits,
		Controllers: []string{"cpu"},
		Probes:      []string{"throttle"},
		Attack:      attack.SpinOn,
		Witness:     sentinel.QuotaKept,
		Controls: spec.Edits{
			spec.Change("no CPU quota", func(s *specs.Spec) {
				if s.Linux.Resources != nil && s.Linux.Resources.CPU != nil {
					s.Linux.Resources.CPU.Quota = nil
				}
			}),
			spec.Change(sentinel.WithoutParentQuota, nil),
		},
		Alone: true,
	}, {
		ID:          "cpu.burst",
		Claim:       "cannot exceed its burst allowance",
		Source:      "Documentation/scheduler/sched-bwc.rst, Burst feature; Linux commit f4183717b370 (5.14)",
		Barrier:     "cpu.max.burst",
		Rung:        spec.Limits,
		Controllers: []string{"cpu"},
		Attack:      attack.Spin,
		Witness:     sentinel.BurstKept,
		Controls:    spec.Edits{sentinel.WithBurst(sentinel.BurstQuota)},
		Alone:       true,
	}, {
		ID:          "cpu.weight",
		Claim:       "gets CPU only in proportion to its weight",
		Source:      "Documentation/admin-guide/cgroup-v2.rst, CPU",
		Barrier:     "cpu.weight",
		Rung:        spec.Limits,
		Controllers: []string{"cpu"},
		Attack:      attack.SpinOn,
		Witness:     sentinel.ShareKept,
		Controls:    spec.Edits{sentinel.WithWeight(sentinel.WeightNeighbour)},
		Alone:       true,
	}, {
		ID:          "cpu.cpuset",
		Claim:       "cannot run on CPUs outside its set",
		Source:      "cpuset(7), sched_setaffinity(2)",
		Barrier:     "cpuset.cpus",
		Rung:        spec.Limits,
		Gates:       []*kernel.Feature{kernel.MultipleCPUs},
		Controllers: []string{"cpuset"},
		Attack:      attack.OtherCPUs,
		Witness:     sentinel.CPUsKept,
		Refusal:     Refusals{unix.EINVAL: Cgroup},
		Controls: spec.Edits{spec.Change("no cpuset", func(s *specs.Spec) {
			if s.Linux.Resources != nil && s.Linux.Resources.CPU != nil {
				s.Linux.Resources.CPU.Cpus = ""
			}
		})},
	}, {
		ID:       "cpu.priority-raise",
		Claim:    "cannot raise its scheduling or I/O priority",
		Source:   "sched(7), setpriority(2), ioprio_set(2)",
		Barrier:  "capability CAP_SYS_NICE",
		Rung:     spec.Hardened,
		Attack:   attack.RaisePriority,
		Witness:  sentinel.PriorityKept,
		Refusal:  Refusals{unix.EPERM: Capability, unix.EACCES: Capability},
		Both:     noUserNamespace,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_NICE")},
	}}
}
