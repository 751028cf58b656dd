package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// runscTable leaves to gVisor what a bait on the host can tell of it: that the bait was not reached. It is
// made from runsc's documentation and source; no real one has been verified yet.
var runscTable = []Exception{
	{
		Rows: []string{
			"device.*", "fs.inherited-dirfd", "fs.cwd-leak", "fs.mask-source", "fs.host-mount", "fs.mount-*", "fs.fresh-procfs", "fs.nosuid", "fs.noexec",
			"kernel.sys*", "kernel.perf", "kernel.audit", "kernel.modules", "leak.*", "net.vsock",
			"process.*-namespaces", "process.sender-hidden", "process.init-death", "process.choose-pid", "process.oom-score",
			"user.root-unprivileged", "user.unmapped-ids", "user.set[^u]*", "user.supplementary-groups", "user.file-caps-rootid", "user.capability-sets",
			"user.inheritable-empty", "user.no-new-privs", "user.nested-userns", "user.rlimit-raise", "user.session-keyring", "uts.hostname-denied",
		},
		Reason: "the witness looks at the attacker's process from the host, which no process in a sandbox is one of",
		Source: "gvisor.dev, Resource Model: processes within the sandbox do not manifest as processes on the host system",
		Advice: "nothing: what the sandbox itself may do is bounded by its own filter and namespaces",
	},
	{
		Rows: []string{
			"abstract.*", "cpu.*", "memory.*", "pids.*", "io.*", "kernel.cgroup-*", "lifecycle.freeze-stops-all",
		},
		Reason: "a cgroup holds the sandbox as a whole: what runs in it is scheduled, counted and ended by a kernel of its own",
		Source: "gvisor.dev, Resource Model; gVisor issue 10264: one limit for that kernel and all processes in it",
		Advice: "limit the memory of the cgroup for all together: where it is exceeded the whole sandbox may be killed",
	},
	{
		Rows:   []string{"syscall.*"},
		Lack:   spec.Unconfined().Name,
		Reason: "it loads no seccomp filter of a spec unless it is told to, and answers system calls itself",
		Source: "runsc/config/flags.go: --oci-seccomp is false by default",
		Advice: "give it --oci-seccomp where a program counts on its filter",
	},
	{
		Rows:   []string{"fs.masked-path", "fs.readonly-path"},
		Reason: "it passes masked and read-only paths over; its /proc and /sys are its own",
		Source: "gVisor issue 9245",
		Advice: "mount something read-only over what is to be hidden",
	},
	{
		Rows:   []string{"ipc.landlock-scope", "net.landlock-tcp"},
		Reason: "its kernel has no Landlock",
		Source: "gVisor issue 13439: landlock_create_ruleset is ENOSYS",
	},
	{
		Rows:   []string{"net.egress-policy", "net.bandwidth", "net.raw-socket"},
		Reason: "it is started without a network: an interface that comes later is none of the sandbox's",
		Source: "runsc/sandbox/network.go: with --network=none there is a loopback interface only",
		Advice: "set the policy on the host's end of the interface",
	},
	{
		Rows:   []string{"time.*"},
		Lack:   spec.WithoutNamespace(specs.TimeNamespace).Name,
		Reason: "it makes no time namespace",
		Source: "runsc/specutils/namespace.go, KnownNamespaces",
	},
	{
		Rows:   []string{"fs.nested-chroot", "fs.locked-mounts", "fs.overlay-lower", "fs.fanotify-filesystem"},
		Reason: "these attack the mounts of the host's kernel; what they are worth on another has not been seen yet",
		Source: "gvisor.dev, Filesystem: mounts are the sandbox's own, and the root is an overlay by default",
	},
}
