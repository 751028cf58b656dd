package guarantee

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func kernelRows() []Guarantee {
	return []Guarantee{{
		ID:       "kernel.sysrq",
		Claim:    "cannot trigger sysrq",
		Source:   "proc(5), /proc/sysrq-trigger; Documentation/admin-guide/sysrq.rst",
		Barrier:  "read-only path",
		Rung:     spec.Hardened,
		Attack:   attack.OpenForWrite,
		Witness:  sentinel.SysrqClosed,
		Refusal:  Refusals{unix.EROFS: Mount, unix.EACCES: DAC},
		Both:     noUserNamespace,
		Controls: spec.Edits{noReadonlyPaths()},
	}, {
		ID:       "kernel.sysctl-global",
		Claim:    "cannot write global sysctls",
		Source:   "proc_sys(5); CVE-2022-0492 and every core_pattern escape",
		Barrier:  "read-only path /proc/sys",
		Rung:     spec.Hardened,
		Attack:   attack.OpenSysctls,
		Witness:  sentinel.SysctlsClosed,
		Refusal:  Refusals{unix.EROFS: Mount, unix.EACCES: DAC},
		Both:     noUserNamespace,
		Controls: spec.Edits{noReadonlyPaths()},
	}, {
		ID:      "kernel.sysfs-write",
		Claim:   "cannot write sysfs",
		Source:  "sysfs(5); uevent_helper escape",
		Barrier: "read-only sysfs mount",
		Rung:    spec.Hardened,
		Attack:  attack.OpenSysfs,
		Witness: sentinel.SysfsClosed,
		Refusal: Refusals{unix.EROFS: Mount, unix.EACCES: DAC},
		Both:    noUserNamespace,
		Controls: spec.Edits{spec.WithMount(specs.Mount{
			Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev"},
		})},
	}, {
		ID:       "kernel.bpf",
		Claim:    "cannot create BPF maps or load programs",
		Source:   "bpf(2), capabilities(7): CAP_BPF",
		Barrier:  "capability CAP_BPF",
		Rung:     spec.Hardened,
		Attack:   attack.MakeBPF,
		Witness:  sentinel.NoBPFObject,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_BPF")},
	}, {
		ID:      "kernel.perf",
		Claim:   "cannot watch the host with perf events",
		Source:  "perf_event_open(2), capabilities(7): CAP_PERFMON",
		Barrier: "capability CAP_PERFMON",
		Rung:    spec.Hardened,
		Attack:  attack.WatchAll,
		Witness: sentinel.NoPerfEvent,
		Refusal: Refusals{unix.EACCES: Capability, unix.EPERM: Capability},
		Both:    capabilityAlone,
		// Debian's kernels have kernel.perf_event_paranoid at 3, with which theirs ask for CAP_SYS_ADMIN.
		Controls: spec.Edits{spec.WithCapability("CAP_PERFMON", "CAP_SYS_ADMIN")},
	}, {
		ID:       "kernel.log",
		Claim:    "cannot read the kernel log",
		Source:   "syslog(2), capabilities(7): CAP_SYSLOG",
		Barrier:  "capability CAP_SYSLOG",
		Rung:     spec.Hardened,
		Attack:   attack.ReadLog,
		Witness:  sentinel.LogUnread,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_SYSLOG")},
	}, {
		ID:       "kernel.modules",
		Claim:    "cannot load or remove kernel modules",
		Source:   "init_module(2), delete_module(2)",
		Barrier:  "capability CAP_SYS_MODULE",
		Rung:     spec.Hardened,
		Attack:   attack.LoadModule,
		Witness:  sentinel.ModulesKept,
		Alone:    true, // a tracer waits on its own
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_MODULE")},
	}, {
		ID:      "kernel.audit",
		Claim:   "cannot change audit rules or its login uid",
		Source:  "proc_pid_loginuid(5), capabilities(7): CAP_AUDIT_CONTROL; audit_netlink_ok in kernel/audit.c",
		Barrier: "capability CAP_AUDIT_CONTROL",
		Rung:    spec.Hardened,
		Attack:  attack.Audit,
		Witness: sentinel.AuditKept,
		Refusal: Refusals{unix.EPERM: Capability},
		// The kernel hears of rules from the first pid namespace alone.
		Both:     append(slices.Clone(capabilityAlone), spec.WithoutNamespace(specs.PIDNamespace)),
		Controls: spec.Edits{spec.WithCapability("CAP_AUDIT_CONTROL")},
	}}
}

func noReadonlyPaths() spec.Edit {
	return spec.Change("no read-only paths", func(s *specs.Spec) { s.Linux.ReadonlyPaths = nil })
}
