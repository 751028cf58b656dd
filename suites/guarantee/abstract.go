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

func abstractRows() []Guarantee {
	return slices.Concat(abstractRlimitRows(), abstractUserRows())
}

func abstractRlimitRows() []Guarantee {
	return []Guarantee{{
		ID:       "abstract.open-files",
		Claim:    "cannot open more descriptors than its limit",
		Source:   "getrlimit(2)",
		Barrier:  "RLIMIT_NOFILE",
		Rung:     spec.Limits,
		Attack:   attack.OpenFiles,
		Witness:  sentinel.FilesBounded,
		Refusal:  Refusals{unix.EMFILE: Rlimit},
		Controls: spec.Edits{spec.WithRlimit("RLIMIT_NOFILE", 1024)},
	}, {
		ID:       "abstract.mqueue-bytes",
		Claim:    "cannot hold more message-queue memory than its limit",
		Source:   "getrlimit(2), mq_overview(7)",
		Barrier:  "RLIMIT_MSGQUEUE",
		Rung:     spec.Limits,
		Gates:    []*kernel.Feature{kernel.PosixMQ},
		Attack:   attack.MessageQueues,
		Witness:  sentinel.QueuesBounded,
		Refusal:  Refusals{unix.EMFILE: Rlimit},
		Controls: spec.Edits{spec.WithRlimit("RLIMIT_MSGQUEUE", 819_200)},
	}, {
		ID:       "abstract.pending-signals",
		Claim:    "cannot hold more timers and queued signals than its limit",
		Source:   "getrlimit(2), timer_create(2)",
		Barrier:  "RLIMIT_SIGPENDING",
		Rung:     spec.Limits,
		Attack:   attack.PendingSignals,
		Witness:  sentinel.SignalsBounded,
		Refusal:  Refusals{unix.EAGAIN: Rlimit},
		Controls: spec.Edits{spec.WithRlimit("RLIMIT_SIGPENDING", 1024)},
	}, {
		ID:       "abstract.ptys",
		Claim:    "cannot use up the host's pseudo-terminals",
		Source:   "Documentation/filesystems/devpts.rst",
		Barrier:  "devpts max option",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.Devpts},
		Attack:   attack.Terminals,
		Witness:  sentinel.TerminalsBounded,
		Refusal:  Refusals{unix.ENOSPC: Filesystem},
		Controls: spec.Edits{sentinel.TerminalsOf(0)},
	}, {
		ID:      "abstract.inflight-fds",
		Claim:   "cannot park unbounded descriptors in UNIX sockets",
		Source:  "unix(7), ETOOMANYREFS; Linux commit 712f4aad406b (4.5)",
		Barrier: "RLIMIT_NOFILE (per-user in-flight count)",
		Rung:    spec.Hardened,
		Attack:  attack.InFlight,
		Witness: sentinel.ParkedBounded,
		Refusal: Refusals{unix.ETOOMANYREFS: Rlimit},
		Both:    noUserNamespace,
		// CAP_SYS_RESOURCE does the same, but not every launcher has it to give.
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}, {
		ID:      "abstract.cgroup-tree",
		Claim:   "cannot create more or deeper cgroups than its limit",
		Source:  "Documentation/admin-guide/cgroup-v2.rst, Core Interface Files",
		Barrier: "cgroup.max.descendants, cgroup.max.depth",
		Rung:    spec.Limits,
		Gates:   []*kernel.Feature{kernel.Cgroup2},
		Attack:  attack.CgroupTree,
		Witness: sentinel.TreeBounded,
		Refusal: Refusals{unix.EAGAIN: Cgroup},
		Controls: spec.Edits{
			withoutFile("cgroup.max.descendants"),
			withoutFile("cgroup.max.depth"),
		},
	}}
}

func abstractUserRows() []Guarantee {
	return []Guarantee{{
		ID:       "abstract.inotify",
		Claim:    "cannot use up the host's inotify instances",
		Source:   "inotify(7), user_namespaces(7)",
		Barrier:  "user namespace (per-user ucount)",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.Inotify,
		Witness:  sentinel.InotifyNotUsedUp,
		Refusal:  Refusals{unix.EMFILE: UserNamespace},
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}, {
		ID:       "abstract.namespaces",
		Claim:    "cannot create more namespaces than its limit",
		Source:   "namespaces(7), /proc/sys/user",
		Barrier:  "user.max_*_namespaces",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace},
		Attack:   attack.Namespaces,
		Witness:  sentinel.NamespacesBounded,
		Refusal:  Refusals{unix.ENOSPC: Kernel},
		Both:     spec.Edits{spec.WithCapability("CAP_SYS_ADMIN"), spec.Unconfined()},
		Controls: spec.Edits{sentinel.NamespaceLimits(1000)},
	}, {
		ID:       "abstract.keys",
		Claim:    "cannot use up another user's key quota",
		Source:   "keyrings(7), add_key(2)",
		Barrier:  "user namespace (own kernel uid)",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.UserNamespace, kernel.Keyrings},
		Attack:   attack.Keys,
		Witness:  sentinel.KeysNotUsedUp,
		Refusal:  Refusals{unix.EDQUOT: UserNamespace},
		Both:     spec.Edits{spec.Unconfined()},
		Controls: spec.Edits{spec.WithoutNamespace(specs.UserNamespace)},
	}}
}
