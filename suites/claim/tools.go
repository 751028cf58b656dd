package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// What tools of one command line do not claim, or are known to break. Every breach by a tool was looked
// into by hand: where it is a flaw of the tool's the entry is Known, all others are what the tool was
// never made for.

// inherits is said of programs that close no descriptor.
func inherits(source string) Exception {
	return Exception{
		Rows:   []string{"fs.inherited-dirfd", "fs.cwd-leak", "abstract.open-files"},
		Reason: "it passes on every descriptor that its launcher has left open, and a working directory behind one",
		Source: source,
		Advice: "start it with no descriptors but the three: close the others, or open them with O_CLOEXEC",
	}
}

// unlimited is said of programs that make no cgroup.
func unlimited(source string) Exception {
	return Exception{
		Rows: []string{
			"cpu.quota", "cpu.burst", "cpu.weight", "cpu.cpuset",
			"memory.limit-kills-inside", "memory.swap-limit", "memory.high-throttles", "memory.protected", "memory.oom-group",
			"memory.peak-recorded", "memory.hugetlb", "memory.cpuset-mems",
			"pids.fork-bomb", "pids.threads-count", "pids.kill-fork-bomb", "io.bandwidth", "io.weight", "abstract.cgroup-tree",
			"kernel.cgroup-raise", "device.unlisted", "lifecycle.freeze-stops-all",
		},
		Reason: "it makes no cgroup: limits, a device filter and a kill of all are its launcher's",
		Source: source,
		Advice: "start it in a cgroup: systemd-run --scope -p MemoryMax=... -p TasksMax=... -p DevicePolicy=closed",
	}
}

func keepsKeyring(source string) Exception {
	return Exception{
		Rows:   []string{"user.session-keyring"},
		Reason: "it joins no keyring of its own: its launcher's session keyring stays",
		Source: source,
		Advice: "start it by keyctl session, or deny keyctl, add_key and request_key by seccomp",
	}
}

var bwrapTable = []Exception{
	{
		Rows:   []string{"time.*", "process.own-namespaces"},
		Lack:   spec.WithoutNamespace(specs.TimeNamespace).Name,
		Reason: "it makes no time namespace",
		Source: "bwrap(1): no option has to do with one",
		Advice: "start it by unshare --time --fork; the clocks are the host's otherwise",
	},
	inherits("bubblewrap PR 221: the program is to get what is passed to it"),
	unlimited("bubblewrap issue 233: something wider than bwrap does it better"),
	{
		Rows: []string{
			"abstract.mqueue-bytes", "abstract.pending-signals", "abstract.inflight-fds", "memory.mlock", "pids.nproc-per-userns", "io.file-size",
		},
		Reason: "it sets no resource limits: its launcher's stay",
		Source: "bubblewrap issue 299, PR 192",
		Advice: "start it by prlimit(1) or behind the shell's ulimit",
	},
	{
		Rows:   []string{"abstract.namespaces"},
		Reason: "it sets no sysctl: of user.max_*_namespaces --disable-userns has one",
		Source: "bwrap(1)",
		Advice: "deny unshare and clone by seccomp",
	},
	{
		Rows:   []string{"abstract.ptys"},
		Reason: "it mounts a devpts without a maximum",
		Source: "bubblewrap.c, privileged_op: newinstance,ptmxmode=0666,mode=620",
		Advice: "the host's kernel.pty.max holds for all; kernel.pty.reserve keeps some for its first devpts",
	},
	{
		Rows:   []string{"memory.tmpfs-size"},
		Reason: "a tmpfs has a size, but no maximum of inodes",
		Source: "bwrap(1), --size",
		Advice: "limit the memory of the cgroup: inodes are charged to it",
	},
	{
		Rows:   []string{"fs.image-symlink"},
		Fixed:  []string{"0.12.0"},
		Known:  true,
		Reason: "it follows links of the image to /oldroot, where it has the host's root meanwhile, and makes mount points there as its launcher",
		Source: "CVE-2026-87766, GHSA-pxhw-h44j-8pfx; bubblewrap issue 195",
		Advice: "update to 0.12.0 or newer, never run it as root on an image of somebody else's, or resolve destinations before",
	},
	{
		Rows:   []string{"fs.noexec"},
		Reason: "it has no option for noexec",
		Source: "bubblewrap issue 349",
		Advice: "bind from a file system that is mounted so: its flags stay",
	},
	{
		Rows:   []string{"user.capability-sets", "user.inheritable-empty"},
		Reason: "what --cap-add gives is inheritable and ambient too, so that a program that is not root keeps it",
		Source: "bubblewrap.c, drop_all_caps and set_ambient_capabilities",
		Advice: "give none: by default the program has no capability and none in its bounding set",
	},
	{
		Rows:   []string{"user.supplementary-groups"},
		Reason: "a user namespace that an unprivileged user makes cannot change its groups: its launcher's stay",
		Source: "user_namespaces(7), the setgroups file; bubblewrap issue 525",
		Advice: "start it by a user without them: setpriv --clear-groups",
	},
	{
		Rows:   []string{"leak.launcher-environment"},
		Reason: "it keeps the launcher's umask, and sets PWD whatever --clearenv says",
		Source: "bubblewrap.c, old_umask; bwrap(1), --clearenv",
		Advice: "set the umask before",
	},
	keepsKeyring("bwrap(1); keyrings(7)"),
}

var unshareTable = []Exception{
	inherits("execve(2): descriptors stay open"),
	unlimited("unshare(1); cgroups(7)"),
	{
		Rows:   []string{"fs.nested-chroot"},
		Reason: "it changes the root directory by chroot(2), and a program with CAP_SYS_CHROOT leaves that again",
		Source: "chroot(2): the superuser can escape from a chroot jail",
		Advice: "use pivot_root(8) and unmount the old root: what bwrap and every OCI runtime do",
	},
	{
		Rows:   []string{"fs.rro-submount"},
		Reason: "mount(8) makes read-only what is at the top of a volume",
		Source: "mount(8): ro=recursive came with util-linux 2.39, and is not used here",
		Advice: "mount the submounts read-only one by one",
	},
	{
		Rows: []string{"syscall.*", "net.vsock", "device.terminal-injection", "user.nested-userns"},
		Lack: spec.Unconfined().Name, Reason: "it loads no seccomp filter",
		Source: "unshare(1), setpriv(1) of util-linux 2.38",
		Advice: "take bwrap with --seccomp, or systemd-run with SystemCallFilter=",
	},
	{
		Rows:   []string{"fs.locked-mounts", "fs.fresh-procfs"},
		Reason: "in a chroot nobody may make a user namespace, so there is no way to attack these",
		Source: "unshare(2), EPERM: the caller's root directory is not that of its mount namespace",
		Advice: "nothing: it is one way less",
	},
	{
		Rows:   []string{"user.capability-sets"},
		Reason: "the change of the root directory comes last, so that CAP_SYS_CHROOT stays",
		Source: "chroot(2), capabilities(7)",
		Advice: "drop it in the container, by a setpriv(1) of its own",
	},
	keepsKeyring("unshare(1), setpriv(1); keyrings(7)"),
}

// chrootTable leaves to chroot what a root directory alone can do.
var chrootTable = []Exception{
	inherits("execve(2): descriptors stay open"),
	{
		Rows:   []string{"leak.launcher-environment", "device.controlling-terminal"},
		Reason: "the process stays what it was but for its root directory: umask, session and terminal are the launcher's",
		Source: "chroot(2): changes an ingredient in the pathname resolution process and does nothing else",
		Advice: "start it by setsid(1), behind umask",
	},
	{
		Rows:   []string{"lifecycle.no-process-left"},
		Reason: "it keeps no account of what its program leaves behind",
		Source: "chroot(1)",
		Advice: "start it in a pid namespace: unshare --pid --fork --kill-child",
	},
	{
		Rows:   []string{"fs.image-symlink", "fs.mask-source", "lifecycle.no-mount-left"},
		Reason: "it mounts nothing",
		Source: "chroot(1)",
	},
	{
		Rows: []string{
			"fs.[^bdi]*", "process.*", "user.[^s]*", "user.se*", "ipc.*", "net.*", "uts.*", "time.*", "device.*", "kernel.*", "syscall.*",
			"cpu.*", "memory.*", "pids.*", "io.*", "abstract.*", "leak.*", "lifecycle.freeze-stops-all",
		},
		Lack:   spec.WithoutNamespace(specs.PIDNamespace).Name,
		Reason: "it has a root directory and nothing else",
		Source: "chroot(2): not intended to be used for any kind of security purpose",
		Advice: "see what chroot is for: cellwall verify --runtime chroot --rung chroot",
	},
}
