package guarantee

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func kernelCgroupRows() []Guarantee {
	return []Guarantee{{
		ID:          "kernel.cgroup-raise",
		Claim:       "cannot raise its own cgroup limits",
		Source:      "cgroups(7), cgroup_namespaces(7); CVE-2023-25809",
		Barrier:     "read-only cgroupfs",
		Rung:        spec.Hardened,
		Controllers: []string{"pids", "memory", "cpu"},
		Attack:      attack.RaiseLimits,
		Witness:     sentinel.CgroupLimitsKept,
		Refusal:     Refusals{unix.EROFS: Mount, unix.EACCES: DAC, unix.EPERM: Capability},
		// Where cgroup2 is mounted with nsdelegate a cgroup namespace is a second barrier. Other runtimes without
		// one mount the whole hierarchy anew, which takes nsdelegate off the host's (apply_cgroup_root_flags).
		Both:     append(slices.Clone(noUserNamespace), spec.OnCore(spec.WithoutNamespace(specs.CgroupNamespace))),
		Controls: spec.Edits{writableCgroups()},
	}, {
		ID:      "kernel.cgroup-migrate",
		Claim:   "cannot move a process out of its cgroup subtree",
		Source:  "cgroups(7), \"Cgroups delegation\"",
		Barrier: "delegation containment",
		Rung:    spec.Hardened,
		Attack:  attack.LeaveCgroup,
		Witness: sentinel.CgroupKept,
		Refusal: Refusals{unix.EACCES: Cgroup, unix.ENOENT: CgroupNamespace},
		// The namespace is a barrier only where cgroup2 is mounted with nsdelegate.
		Both:     spec.Edits{spec.WithoutNamespace(specs.CgroupNamespace)},
		Controls: noUserNamespace,
	}}
}

func writableCgroups() spec.Edit {
	return spec.Change("writable cgroups", func(s *specs.Spec) {
		for i := range s.Mounts {
			if m := &s.Mounts[i]; m.Type == "cgroup" {
				m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return o == "ro" })
			}
		}
	})
}
