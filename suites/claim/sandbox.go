package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// runscTable leaves to gVisor what a bait on the host can tell of it, and what a cgroup of the host does to
// the sandbox as a whole.
var runscTable = []Exception{
	{
		Rows: []string{
			"abstract.open-files", "abstract.mqueue-bytes", "abstract.pending-signals", "abstract.ptys", "abstract.inflight-fds", "abstract.inotify",
			"abstract.namespaces", "cpu.priority-raise", "device.controlling-terminal", "device.default-set", "device.private-pts",
			"device.terminal-injection", "fs.fresh-procfs", "fs.inherited-dirfd", "fs.noexec", "fs.nosuid",
			"kernel.perf", "kernel.sys*", "leak.launcher-environment", "memory.cpuset-mems", "memory.mlock", "memory.tmpfs-size", "net.vsock",
			"process.*-namespaces", "process.choose-pid", "process.init-death", "process.sender-hidden", "user.capability-sets",
			"user.inheritable-empty", "user.nested-userns", "user.no-new-privs", "user.rlimit-raise", "uts.hostname-denied",
		},
		Untried: true,
		Reason:  "the witness looks at the attacker's process from the host, and no process of a sandbox is one of the host's",
		Source:  "gvisor.dev, Resource Model: processes within the sandbox do not manifest as processes on the host system",
	},
	{
		Rows:    []string{"fs.fd-reopen", "process.pidfd-open", "process.steal-fd"},
		Untried: true,
		Reason:  "a container connects to no socket of the host, by which the trial would pass a descriptor in",
		Source:  "runsc/config/flags.go: --host-uds is none by default",
	},
	{
		Rows:    []string{"io.bandwidth", "io.weight"},
		Untried: true,
		Reason:  "a container opens no block device, so that the attack cannot be made",
		Source:  "runsc/fsgofer/lisafs.go, checkSupportedFileType",
	},
	{
		Rows:    []string{"pids.*"},
		Untried: true,
		Reason:  "a limit of tasks counts the threads of its kernel, which ends where it gets none, and not the processes of a container",
		Source:  "gvisor.dev, Resource Model; seen with limits of these rows: the Go runtime of the sandbox ends with exit status 2",
	},
	{
		Rows:    []string{"memory.all-charged"},
		Untried: true,
		Reason:  "its kernel gives out memory that the sandbox holds already, so that what is filled is not seen to grow",
		Source:  "seen: now the page cache, now a System V segment of 4 MiB adds nothing; pkg/sentry/pgalloc of gVisor",
	},
	{
		Rows:    []string{"syscall.*"},
		Lack:    spec.Unconfined().Name,
		Untried: true,
		Reason:  "it loads no seccomp filter of a spec unless it is told to, and answers system calls itself",
		Source:  "runsc/config/flags.go: --oci-seccomp is false by default",
	},
	{
		Rows:    []string{"ipc.landlock-scope", "net.landlock-tcp"},
		Untried: true,
		Reason:  "its kernel has no Landlock",
		Source:  "gVisor issue 13439: landlock_create_ruleset is ENOSYS",
	},
	{
		Rows:    []string{"net.bandwidth", "net.egress-policy", "net.raw-socket"},
		Untried: true,
		Reason:  "it is started without a network: an interface that comes later is none of the sandbox's",
		Source:  "runsc/sandbox/network.go: with --network=none there is a loopback interface only",
	},
	{
		Rows:    []string{"time.*"},
		Lack:    spec.WithoutNamespace(specs.TimeNamespace).Name,
		Untried: true,
		Reason:  "it makes no time namespace",
		Source:  "runsc/specutils/namespace.go, nsCloneFlag",
	},
	{
		Rows:   []string{"fs.masked-path", "fs.mask-source", "fs.readonly-path", "fs.locked-mounts", "fs.mount-capability"},
		Reason: "it passes masked and read-only paths over; its /proc and /sys are its own",
		Source: "gVisor issue 9245; runsc/specutils/specutils.go has them for its log alone",
		Advice: "mount something read-only over what is to be hidden",
	},
	{
		Rows:   []string{"device.unlisted"},
		Reason: "it sets no device filter, so that nothing but its own kernel keeps a device closed: the attacker's open and mount were refused",
		Source: "runsc/cgroup/cgroup.go: linux.resources.devices is not read",
		Advice: "nothing: what its kernel opens is bounded by its mount namespace, which has no devices but /dev/kvm where that is the platform",
	},
	{
		Rows:   []string{"user.supplementary-groups"},
		Reason: "the sandbox itself keeps the supplementary groups of its launcher; the processes in it have those of the spec",
		Source: "seen in /proc/PID/status of runsc-sandbox and runsc-gofer; a file of that group was not opened from inside",
		Advice: "start it without them: setpriv --clear-groups",
	},
	{
		Rows: []string{
			"abstract.cgroup-tree", "cpu.burst", "memory.high-throttles", "memory.hugetlb", "memory.oom-group", "memory.protected", "memory.swap-limit",
		},
		Reason: "a cgroup holds the sandbox as a whole; these limits of it have not been seen at work yet",
		Source: "gvisor.dev, Resource Model; gVisor issue 10264: one limit for its kernel and all processes in it",
		Advice: "limit the memory of the cgroup for all together: where it is exceeded the whole sandbox may be killed",
	},
	{
		Rows:     []string{"fs.rro-submount"},
		Known:    true,
		Evidence: "changes on the host",
		Reason:   "it passes the mount option rro over without a word, and the volume is writable",
		Source:   "runsc/specutils/fs.go, optionsMap; seen in /proc/self/mountinfo of a container",
		Advice:   "write ro: it holds for all that is mounted in the volume, which is one mount to its kernel",
	},
	{
		Rows:     []string{"lifecycle.failed-create-clean"},
		Known:    true,
		Evidence: "has left cgroup",
		Reason:   "where a creation fails once the cgroups are made and before the sandbox runs, as at a mount, it leaves them",
		Source:   "runsc/container/container.go: stop removes the cgroups of a sandbox that it has, and createRoot has none yet",
		Advice:   "remove the container's cgroups where a creation has failed",
	},
	{
		Rows:     []string{"lifecycle.no-state-left"},
		Known:    true,
		Evidence: "has left cgroup",
		Reason:   "where the container's cgroup has one below it, deletion fails after five seconds, and both are left",
		Source:   "runsc/cgroup/cgroup.go, Uninstall, which calls rmdir(2) on the group alone",
		Advice:   "remove groups below the container's before it is deleted",
	},
}
