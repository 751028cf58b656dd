package render_test

import (
	"strings"
	"time"

	"cellwall/reports/record"
	"cellwall/reports/render"
)

// climbed is a ladder as it might come out: H held, B breached, U unsupported, I inconclusive,
// V unproven here, a space for not tried, a letter a rung from the bottom up.
func climbed() render.Report {
	r := render.Report{Run: host()}
	outcomes := map[rune]record.Outcome{'H': record.Held, 'B': record.Breached, 'U': record.Unsupported, 'I': record.Inconclusive, 'V': record.Unproven}
	for _, row := range climbedRows() {
		for i, letter := range row.pattern {
			if letter == ' ' {
				continue
			}
			group, _, _ := strings.Cut(row.id, ".")
			r.Verdicts = append(r.Verdicts, record.Verdict{
				Run: "r1", Guarantee: row.id, Group: group, Claim: row.claim, Runtime: "core", RuntimeVersion: "0.1.0",
				Rung: record.Rungs()[i], Outcome: outcomes[letter], Duration: time.Millisecond,
			})
		}
	}
	return r
}

type climbedRow struct{ pattern, id, claim string }

func climbedRows() []climbedRow {
	return []climbedRow{
		{pattern: "BHHHH", id: "fs.dotdot", claim: "cannot reach the host tree through '..' from its root"},
		{pattern: "BBHHH", id: "fs.nested-chroot", claim: "cannot leave its root by a nested chroot"},
		{pattern: "BBHHH", id: "fs.proc-root-link", claim: "cannot follow /proc/PID/root or cwd links of host processes"},
		{pattern: "BBHHH", id: "fs.readonly-root", claim: "cannot write to a read-only root"},
		{pattern: "BBHHH", id: "fs.rro-submount", claim: "cannot write to submounts of a recursively read-only volume"},
		{pattern: "BBBBH", id: "fs.locked-mounts", claim: "cannot weaken or peel off inherited mounts from a nested user namespace"},
		{pattern: "BBBBH", id: "fs.mount-capability", claim: "cannot mount, remount or unmount anything"},
		{pattern: "BBBBH", id: "fs.masked-path", claim: "cannot read or change masked paths"},
		{pattern: "BBHHH", id: "fs.mount-propagation", claim: "cannot propagate its mounts or unmounts to the host"},
		{pattern: "BBBBH", id: "fs.fresh-procfs", claim: "cannot mount a fresh procfs that bypasses its masks"},
		{pattern: "BBHHH", id: "fs.nosuid", claim: "cannot change uid by a setuid binary on a nosuid volume"},
		{pattern: "BBHHH", id: "process.signal-host", claim: "cannot signal a process outside its PID namespace"},
		{pattern: "BBHHH", id: "process.kill-all", claim: "cannot hit host processes with kill(-1)"},
		{pattern: "BBHHH", id: "process.pidfd-open", claim: "cannot obtain or use a pidfd of a host process"},
		{pattern: "BBHHH", id: "process.trace-host", claim: "cannot trace, read or compare host processes"},
		{pattern: "BBBBH", id: "process.steal-fd", claim: "cannot take a descriptor from a host process"},
		{pattern: "BBBBH", id: "process.join-namespaces", claim: "cannot join a host namespace"},
		{pattern: "BBHHH", id: "process.own-namespaces", claim: "shares no namespace with the host"},
		{pattern: "BBBBH", id: "user.root-unprivileged", claim: "cannot act as host uid 0, even as container root"},
		{pattern: "BBBBH", id: "user.unmapped-ids", claim: "cannot use ids outside its mapping or change the mapping"},
		{pattern: "BBBBH", id: "user.setgroups-deny", claim: "cannot drop groups that deny it access"},
		{pattern: "BBBBH", id: "user.host-root-files", claim: "cannot write files owned by host root"},
		{pattern: "BBBBH", id: "user.capability-sets", claim: "holds exactly its spec's capability sets in every thread"},
		{pattern: "BBHHH", id: "ipc.sysv", claim: "cannot reach the host's SysV shared memory, semaphores or queues"},
		{pattern: "BBHHH", id: "ipc.posix-queue", claim: "cannot reach the host's POSIX message queues"},
		{pattern: "BBHHH", id: "ipc.abstract-socket", claim: "cannot reach the host's abstract UNIX sockets"},
		{pattern: "BBBBH", id: "ipc.landlock-scope", claim: "cannot signal or connect out of its Landlock domain"},
		{pattern: "BBHHH", id: "net.host-loopback", claim: "cannot reach services on the host's loopback"},
		{pattern: "HHHHH", id: "net.own-interfaces", claim: "sees only its own interfaces, routes and sockets"},
		{pattern: "BBBBH", id: "net.raw-socket", claim: "cannot send forged packets"},
		{pattern: "BBHHB", id: "net.packet-sniff", claim: "cannot capture the host's network traffic"},
		{pattern: "BBBBH", id: "net.vsock", claim: "cannot open un-namespaced socket families"},
		{pattern: "BBHHH", id: "uts.hostname-host", claim: "cannot change the host's host or domain name"},
		{pattern: "BBBBH", id: "uts.hostname-denied", claim: "cannot change its own host name"},
		{pattern: "BBBBH", id: "time.wall-clock", claim: "cannot set the wall clock"},
		{pattern: "BBBBH", id: "device.mknod", claim: "cannot make device nodes"},
		{pattern: "BBBBH", id: "device.unlisted", claim: "cannot open or mount a device outside its list"},
		{pattern: "BBHHH", id: "device.default-set", claim: "sees only the default devices in /dev"},
		{pattern: "BBBBH", id: "device.physical-memory", claim: "cannot reach physical memory or I/O ports"},
		{pattern: "BBBBH", id: "kernel.sysrq", claim: "cannot trigger sysrq"},
		{pattern: "BBBBH", id: "kernel.sysctl-global", claim: "cannot write global sysctls"},
		{pattern: "BBBBH", id: "kernel.sysfs-write", claim: "cannot write sysfs"},
		{pattern: "BBBBH", id: "kernel.cgroup-raise", claim: "cannot raise its own cgroup limits"},
		{pattern: "BBBBH", id: "kernel.cgroup-migrate", claim: "cannot move a process out of its cgroup subtree"},
		{pattern: "BBBBH", id: "kernel.release-agent", claim: "cannot set a cgroup v1 release_agent"},
		{pattern: "BBBBH", id: "kernel.modules", claim: "cannot load or remove kernel modules"},
		{pattern: "VVVVH", id: "kernel.kexec", claim: "cannot load another kernel"},
		{pattern: "BBBBH", id: "syscall.filter-active", claim: "runs every thread under a seccomp filter"},
		{pattern: "BBBBH", id: "syscall.rule-matrix", claim: "gets the configured answer for every rule of its profile"},
		{pattern: "BBBBH", id: "syscall.unknown-enosys", claim: "gets ENOSYS for system calls newer than its profile"},
		{pattern: "BBBBH", id: "syscall.args-64bit", claim: "cannot hide a forbidden argument in the high 32 bits"},
		{pattern: "  BBH", id: "syscall.i386-abi", claim: "cannot bypass its filter through the i386 ABI"},
		{pattern: "BBBHH", id: "cpu.quota", claim: "cannot use more CPU than its own or an ancestor's quota"},
		{pattern: "BBBIH", id: "cpu.burst", claim: "cannot exceed its burst allowance"},
		{pattern: "BBBHH", id: "cpu.weight", claim: "gets CPU only in proportion to its weight"},
		{pattern: "BBBHH", id: "cpu.cpuset", claim: "cannot run on CPUs outside its set"},
		{pattern: "BBBHH", id: "memory.limit-kills-inside", claim: "is killed inside when it exceeds its memory limit"},
		{pattern: "UUUUU", id: "memory.swap-limit", claim: "cannot use more swap than its limit"},
		{pattern: "BBBHH", id: "memory.high-throttles", claim: "is throttled, not killed, above its high mark"},
		{pattern: "BBBHH", id: "memory.protected", claim: "cannot reclaim a neighbour's protected memory"},
		{pattern: "BBBHH", id: "memory.oom-group", claim: "is killed as a whole on OOM when grouped"},
		{pattern: "BBBHH", id: "memory.all-charged", claim: "cannot hold kernel, tmpfs, cache or socket memory uncharged"},
		{pattern: "BBBHH", id: "pids.fork-bomb", claim: "cannot fork beyond its own or an ancestor's pids limit"},
		{pattern: "BBBHH", id: "pids.threads-count", claim: "cannot evade its pids limit with threads or zombies"},
		{pattern: "BBBHH", id: "pids.kill-fork-bomb", claim: "can be killed completely while it forks"},
		{pattern: "BBBBH", id: "pids.nproc-per-userns", claim: "cannot use up another container's RLIMIT_NPROC"},
		{pattern: "BBBHH", id: "io.bandwidth", claim: "cannot exceed its I/O rate limit"},
		{pattern: "BBBHH", id: "io.weight", claim: "gets disk time only in proportion to its weight"},
		{pattern: "BBBHH", id: "abstract.open-files", claim: "cannot open more descriptors than its limit"},
		{pattern: "BBBBH", id: "abstract.file-table", claim: "cannot exhaust the host's file table"},
		{pattern: "BBBBH", id: "abstract.inotify", claim: "cannot use up the host's inotify instances and watches"},
		{pattern: "BBBBH", id: "abstract.namespaces", claim: "cannot create more namespaces than its limit"},
		{pattern: "BBBBB", id: "leak.global-counters", claim: "cannot read host load from global counters"},
		{pattern: "BBHHH", id: "leak.cgroup-path", claim: "cannot learn its host cgroup path"},
		{pattern: "BBBBB", id: "leak.host-identifiers", claim: "cannot read host paths or ids from procfs"},
	}
}
