package claim

// vmTable leaves to a virtual machine what a bait on the host can tell of it. What its program may do inside, as root of
// its own kernel, is no witness's to see; nor is it a promise.
var vmTable = []Exception{
	{
		Rows: []string{
			"device.*", "fs.inherited-dirfd", "fs.cwd-leak", "fs.mask-source", "fs.masked-path", "fs.readonly-path", "fs.host-mount", "fs.mount-*",
			"fs.locked-mounts", "fs.fresh-procfs", "fs.fanotify-filesystem", "fs.nosuid", "fs.noexec", "fs.bundle-private",
			"kernel.sys*", "kernel.perf", "kernel.log", "kernel.audit", "kernel.modules", "leak.*", "net.vsock", "net.raw-socket",
			"process.*-namespaces", "process.sender-hidden", "process.init-death", "process.choose-pid", "process.oom-score", "process.join-namespaces",
			"user.root-unprivileged", "user.unmapped-ids", "user.set[^u]*", "user.supplementary-groups", "user.file-caps-rootid", "user.capability-sets",
			"user.inheritable-empty", "user.no-new-privs", "user.nested-userns", "user.rlimit-raise", "user.session-keyring", "uts.hostname-denied",
			"lifecycle.no-process-left",
		},
		Untried: true,
		Reason:  "the host sees a machine and no process of the container's; in it the program is root of its own kernel, and may do all of that there",
		Source:  "qemu(1): a guest is a process of the host's, and its processes are none",
		Advice:  "make a container inside the machine too, as Kata Containers does",
	},
	{
		Rows:    []string{"abstract.*", "cpu.*", "memory.*", "pids.*", "io.*", "kernel.cgroup-*", "lifecycle.freeze-stops-all"},
		Untried: true,
		Reason:  "the cgroup holds the machine: what runs in it is scheduled, counted and ended by a kernel of its own, within its memory and CPUs",
		Source:  "qemu(1), -m and -smp",
		Advice:  "limit the cgroup of the machine for all together",
	},
	{
		Rows:    []string{"syscall.*", "ipc.landlock-scope", "net.landlock-tcp"},
		Untried: true,
		Reason:  "system calls are answered by its own kernel, and no filter of a spec is loaded there",
		Source:  "the driver: runtime/driver/vm.go, Lacks",
		Advice:  "QEMU's own filter is what stands between the machine and the host: -sandbox on",
	},
	{
		Rows:    []string{"net.egress-policy", "net.bandwidth"},
		Untried: true,
		Reason:  "it has no network device",
		Source:  "docs/vm.md: -nodefaults, and none is added",
	},
	{
		Rows:    []string{"lifecycle.no-fd-growth"},
		Untried: true,
		Reason:  "the row makes a container after the other, and here each of them is a machine that boots",
		Source:  "docs/vm.md: seconds for each by translation",
	},
	{
		Rows:    []string{"time.offset"},
		Untried: true,
		Reason:  "its clocks begin when it boots: no offset is set, and none is needed",
		Source:  "the driver: runtime/driver/vm.go, Lacks",
	},
}
