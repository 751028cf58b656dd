package claim

import (
	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
)

// nspawnTable is what version 252 does, each breach of which was looked into by hand, and what the source of newer
// ones, up to 260, says. Sources are files of its src/nspawn, where no other place is named.
var nspawnTable = []Exception{
	{
		Rows:   []string{"time.*", "process.own-namespaces"},
		Lack:   spec.WithoutNamespace(specs.TimeNamespace).Name,
		Reason: "it makes no time namespace",
		Source: "nspawn.c, effective_clone_ns_flags",
		Advice: "start it by unshare --time --fork; the clocks are the host's otherwise",
	},
	unitLimits(),
	{
		Rows:   []string{"fs.host-mount"},
		Reason: "it shows every container the host's os-release, and a directory of the host through which machinectl bind adds mounts",
		Source: "nspawn-mount.c, mount_table: /run/host/os-release; nspawn.c, setup_propagate",
		Advice: "nothing: both are read-only",
	},
	{
		Rows:     []string{"fs.image-symlink"},
		Known:    true,
		Evidence: "null is new",
		Reason:   "where the image's /dev is a link, it makes devices, links and directories where that leads on the host: it resolves /dev in the image for the mount there alone",
		Source:   "nspawn.c, copy_devnodes, setup_pts, dev_setup: path_join of the root directory and /dev/null",
		Advice:   "refuse images whose /dev is a link",
	},
	{
		Rows:     []string{"fs.fresh-procfs"},
		Fixed:    []string{"253"},
		Known:    true,
		Evidence: "fresh procfs",
		Reason:   "it moves the container's root directory over the host's, whose mounts stay below it in the container's mount namespace: with the host's /proc there, which nothing covers, the kernel lets any user namespace have a new one",
		Source:   "nspawn-mount.c and mount-util.c of 252, mount_move_root: MS_MOVE and chroot; systemd PR 25513, nspawn: support pivot_root()",
		Advice:   "update to 253 or newer, or deny mount(2): --system-call-filter=~mount fsmount",
	},
	{
		Rows:   []string{"fs.cwd-leak"},
		Known:  true,
		Reason: "it changes to the working directory before it closes what its launcher has left open, and does not look where that is",
		Source: "nspawn.c, inner_child: chdir before fdset_close_others",
		Advice: "start it with no descriptors but the three",
	},
	{
		Rows:   []string{"fs.nosuid", "fs.nodev", "fs.noexec"},
		Reason: "a bind mount of it has no option for these flags",
		Source: "nspawn-mount.c, parse_mount_bind_options",
		Advice: "bind from a file system that is mounted so: its flags stay",
	},
	{
		Rows:   []string{"user.capability-sets", "user.inheritable-empty"},
		Reason: "the capabilities that it leaves the container's root are inheritable too",
		Source: "nspawn.c, drop_capabilities",
		Advice: "drop them all where no program needs one: --drop-capability=all",
	},
	{
		Rows:   []string{"leak.launcher-environment"},
		Reason: "it adds variables of its own, of which container_host_* tell the host's os-release",
		Source: "nspawn.c, inner_child: container_uuid, USER, LOGNAME, LANG, NOTIFY_SOCKET; outer_child: load_os_release_pairs_with_prefix",
		Advice: "start the program by env -i",
	},
	{
		Rows:   []string{"device.default-set"},
		Reason: "it makes /dev/net/tun where the host has it, newer ones /dev/fuse too, and /dev/char with links",
		Source: "nspawn.c, copy_devnodes",
		Advice: "run it in a unit with DevicePolicy=closed, which keeps them from being opened",
	},
	{
		Rows: []string{
			"syscall.rule-matrix", "syscall.unknown-enosys", "syscall.args-64bit", "syscall.risky-calls", "syscall.kill-action", "syscall.clone3",
			"syscall.io-uring", "user.nested-userns", "net.vsock", "device.terminal-injection",
		},
		Reason: "its filter is a list of its own, with no rules for arguments: clone, clone3, unshare, io_uring_setup, socket and ioctl pass",
		Source: "nspawn-seccomp.c, seccomp_add_default_syscall_filter; systemd.exec(5), SystemCallFilter=: @process, @aio",
		Advice: "take calls away by --system-call-filter=~...",
	},
	{
		Rows:   []string{"syscall.filter-irrevocable"},
		Reason: "its filter allows personality(2), the call by which the row sees that a filter is gone",
		Source: "nspawn-seccomp.c, allow_list",
		Advice: "nothing: the kernel takes no filter away, from no runtime's container",
	},
	{
		Rows:   []string{"abstract.namespaces"},
		Reason: "it sets no sysctl: user.max_*_namespaces stay the host's",
		Source: "systemd-nspawn(1); nspawn-oci.c, oci_sysctl, which takes names only that are not valid",
		Advice: "--system-call-filter=~unshare clone clone3",
	},
	{
		Rows:   []string{"abstract.ptys"},
		Reason: "it mounts a devpts without a maximum",
		Source: "nspawn.c, setup_pts: newinstance,ptmxmode=0666,mode=620",
		Advice: "the host's kernel.pty.max holds for all; kernel.pty.reserve keeps some for its first devpts",
	},
}

// unitLimits is said of nspawn, whose limits are systemd's.
func unitLimits() Exception {
	e := unlimited("systemd-nspawn(1), --keep-unit, --property=; nspawn-cgroup.c, create_subcgroup")
	e.Reason = "the group that it makes has no limits and no device filter: they are those of its unit, and systemd's to set"
	e.Advice = "run it as a service, systemd-nspawn@.service, with MemoryMax=, TasksMax= and DevicePolicy=closed"
	return e
}
