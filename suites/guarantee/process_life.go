package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

// What a container's processes are to themselves.
func processLifeRows() []Guarantee {
	return []Guarantee{{
		ID:       "process.init-death",
		Claim:    "dies completely with its init, which ignores signals from inside",
		Source:   "pid_namespaces(7), the namespace init process; zap_pid_ns_processes in kernel/pid_namespace.c",
		Barrier:  "pid namespace init rules",
		Rung:     spec.Namespaces,
		Attack:   attack.InitDeath,
		Witness:  sentinel.InitDies,
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:      "process.join-namespaces",
		Claim:   "cannot join a host namespace",
		Source:  "setns(2): EPERM",
		Barrier: "capability CAP_SYS_ADMIN in the user namespace that the other one belongs to",
		Rung:    spec.Hardened,
		Attack:  attack.JoinNamespaces,
		Witness: sentinel.NamespacesUnjoined,
		Refusal: Refusals{unix.EPERM: Capability},
		Both: spec.Edits{
			spec.WithoutNamespace(specs.UserNamespace),
			spec.WithoutNamespace(specs.PIDNamespace), // setns(2) leads only to its descendants
			spec.Allowing("setns"),
			spec.WithCapability("CAP_SYS_CHROOT"), // for mount namespaces
			spec.WithCapability("CAP_SYS_PTRACE"), // for pidfds
		},
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}, {
		ID:      "process.choose-pid",
		Claim:   "cannot choose the pid of a new process",
		Source:  "clone3(2): set_tid; proc_sys_kernel(5): ns_last_pid; capabilities(7): CAP_CHECKPOINT_RESTORE",
		Barrier: "capability CAP_CHECKPOINT_RESTORE",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.Clone3},
		Attack:  attack.ChoosePID,
		Witness: sentinel.PIDUnchosen,
		Refusal: Refusals{unix.EPERM: Capability, unix.ENOSYS: Seccomp},
		Both: spec.Edits{
			spec.Allowing("clone3"),
			spec.Change("a writable /proc/sys", func(s *specs.Spec) { s.Linux.ReadonlyPaths = nil }),
		},
		Controls: spec.Edits{spec.WithCapability("CAP_CHECKPOINT_RESTORE")},
	}, {
		ID:       "process.oom-score",
		Claim:    "cannot make itself less likely to be OOM-killed",
		Source:   "proc_pid_oom_score_adj(5)",
		Barrier:  "capability CAP_SYS_RESOURCE",
		Rung:     spec.Hardened,
		Attack:   attack.OOMScore,
		Witness:  sentinel.OOMScoreKept,
		Refusal:  Refusals{unix.EACCES: Capability},
		Both:     noUserNamespace,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_RESOURCE")},
	}}
}
