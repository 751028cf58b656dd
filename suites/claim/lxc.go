package claim

import "slices"

// lxcTable is what version 5.0.2 does on a host with v1 beside cgroup v2, each breach of which was looked into by hand;
// for v2 alone, and for newer versions, it is what the source says. Sources are files of its src/lxc, where no other
// place is named.
var lxcTable = []Exception{
	inherits("start.c, lxc_check_inherited: for a daemon alone it closes them; lxc-execute(1) has no --close-all-fds"),
	lxcUnlimited(),
	{
		Rows:   []string{"io.weight"},
		Reason: "it is told names of files, and whether that of a weight is io.weight or io.bfq.weight depends on the kernel's configuration",
		Source: "lxc.container.conf(5), lxc.cgroup2.[controller name].[controller file]",
		Advice: "set lxc.cgroup2.io.weight where the host has that file, or lxc.cgroup2.io.bfq.weight",
	},
	{
		Rows:   []string{"fs.nosuid", "fs.nodev", "fs.noexec"},
		Reason: "it makes the remount that gives a bind mount these flags for a read-only one alone",
		Source: "conf.c, mount_entry: skip the remount unless MS_RDONLY or a flag of the source is to be added",
		Advice: "add ro, or bind from a file system that is mounted so: its flags stay",
	},
	{
		Rows:   []string{"fs.rro-submount"},
		Reason: "it makes read-only what is at the top of a volume",
		Source: "conf.c, mount_entry: one remount of the target",
		Advice: "mount the submounts read-only one by one",
	},
	{
		Rows:   []string{"process.init-death"},
		Reason: "the program is the child of an init of LXC's: it can be killed from inside, and what it leaves behind lives on until that init is told to end",
		Source: "initutils.c, lxc_container_init: wait for the end of the orphan group; SIGTERM and SIGPWR kill it",
		Advice: "start it by lxc-start with lxc.init.cmd: the program is init then",
	},
	{
		Rows:   []string{"leak.launcher-environment"},
		Reason: "it keeps the launcher's umask",
		Source: "lxc.container.conf(5): no key has to do with it; conf.c restores what it was",
		Advice: "set the umask before",
	},
	{
		Rows:   []string{"syscall.i386-abi"},
		Reason: "its filter is for every ABI of the kernel: what it allows it allows to i386 and x32 programs too",
		Source: "seccomp.c, parse_config_v2: the contexts of amd64 are x86, x32 and x86_64 whatever the file says",
		Advice: "allow no call that is worse on i386: modify_ldt, vm86, socketcall",
	},
	{
		Rows:   []string{"net.vsock", "syscall.risky-calls", "syscall.args-64bit"},
		Reason: "it cannot compare the arguments of socket(2), which i386 multiplexes: sockets of all families are allowed",
		Source: "seccomp.c, do_resolve_add_rule: seccomp_rule_add_exact_array; libseccomp arch-x86.c, x86_rule_add: EINVAL",
		Advice: "deny socket(2) to a container that has no need of it",
	},
	{
		Rows:   []string{"syscall.unknown-enosys"},
		Reason: "it has no rule for calls newer than the profile: they get the profile's default, which is EPERM",
		Source: "seccomp.c, parse_config_v2: one action for all that the file does not name",
		Advice: "make the profile's default errno 38 (ENOSYS)",
	},
	{
		Rows:   []string{"abstract.namespaces"},
		Reason: "it writes sysctls last, when /proc/sys is read-only",
		Source: "conf.c, lxc_setup: setup_sysctl_parameters after setup_mount_entries",
		Advice: "deny unshare and clone by seccomp",
	},
}

// lxcUnlimited is said of hosts with cgroup v1.
func lxcUnlimited() Exception {
	e := unlimited("cgroups/cgfsng.c, cgfsng_payload_create: in every hierarchy that it sees")
	e.Rows = slices.DeleteFunc(e.Rows, func(row string) bool { return row == "device.unlisted" })
	e.Lack = "no cgroup limits"
	e.Reason = "it is shown no hierarchy of cgroup v1, where it would make groups and leave some"
	e.Advice = "verify it on a host with cgroup v2 alone"
	return e
}
