package kernel

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const enableUserns = "raise sysctl user.max_user_namespaces; where present set kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0"

// The namespaces, each made by a clone in a child.
var (
	MountNamespace = &Feature{
		Name: "mount_namespaces(7)", Since: Version{2, 4},
		Remedy: "run as root, raise sysctl user.max_mnt_namespaces",
		probe:  namespace(unix.CLONE_NEWNS),
	}
	UTSNamespace = &Feature{
		Name: "uts_namespaces(7)", Since: Version{2, 6},
		Remedy: "run as root, raise sysctl user.max_uts_namespaces",
		probe:  namespace(unix.CLONE_NEWUTS),
	}
	IPCNamespace = &Feature{
		Name: "ipc_namespaces(7)", Since: Version{2, 6},
		Remedy: "run as root, raise sysctl user.max_ipc_namespaces",
		probe:  namespace(unix.CLONE_NEWIPC),
	}
	PIDNamespace = &Feature{
		Name: "pid_namespaces(7)", Since: Version{2, 6},
		Remedy: "run as root, raise sysctl user.max_pid_namespaces",
		probe:  namespace(unix.CLONE_NEWPID),
	}
	NetworkNamespace = &Feature{
		Name: "network_namespaces(7)", Since: Version{2, 6},
		Remedy: "run as root, raise sysctl user.max_net_namespaces",
		probe:  namespace(unix.CLONE_NEWNET),
	}
	CgroupNamespace = &Feature{
		Name: "cgroup_namespaces(7)", Since: Version{4, 6},
		Remedy: "run as root, raise sysctl user.max_cgroup_namespaces",
		probe:  namespace(unix.CLONE_NEWCGROUP),
	}
	TimeNamespace = &Feature{
		Name: "time_namespaces(7)", Since: Version{5, 6},
		Remedy: "run as root, raise sysctl user.max_time_namespaces; the kernel needs CONFIG_TIME_NS",
		probe:  func() error { return refused(inFork(unix.CLONE_NEWTIME), "CAP_SYS_ADMIN") },
	}
	// UserNamespace asks for this process, whoever it is; a process in the new namespace must
	// be able to use what it got there, which AppArmor can deny after the clone.
	UserNamespace = &Feature{
		Name: "user_namespaces(7)", Since: Version{3, 8},
		Remedy: enableUserns,
		probe: func() error {
			return refused(inChild(unix.CLONE_NEWUSER, ask("unshare", unix.SYS_UNSHARE, unix.CLONE_NEWUTS)), "")
		},
	}
	UnprivilegedUserNamespace = &Feature{
		Name: "user_namespaces(7) without privileges", Since: Version{3, 8},
		Remedy: enableUserns,
		probe:  func() error { return refused(inFork(0, asNobody(newUser()...)...), "") },
	}
)

func namespace(flag uint64) func() error {
	return func() error { return refused(inChild(flag), "CAP_SYS_ADMIN") }
}

// nobody is the user that probes become; it is the kernel's overflow user, fs.overflowuid.
const nobody = 65534

// asNobody lets a child give up root first, if it has it.
func asNobody(calls ...call) []call {
	if os.Geteuid() != 0 {
		return calls
	}
	return append([]call{
		do("setgroups", unix.SYS_SETGROUPS, 0, nil),
		do("setresgid", unix.SYS_SETRESGID, nobody, nobody, nobody),
		do("setresuid", unix.SYS_SETRESUID, nobody, nobody, nobody),
	}, calls...)
}

func newUser() []call {
	return []call{
		ask("unshare user", unix.SYS_UNSHARE, unix.CLONE_NEWUSER),
		ask("unshare uts", unix.SYS_UNSHARE, unix.CLONE_NEWUTS),
	}
}

// closeAll closes every descriptor of the child, so that the next one is 0, then 1, ...
func closeAll() call { return do("close_range", unix.SYS_CLOSE_RANGE, 0, 1<<31-1, 0) }

// mapRoot makes the child root of its new user namespace. It follows closeAll.
func mapRoot() []call {
	var calls []call
	for _, file := range []struct{ name, text string }{
		{name: "setgroups", text: "deny"}, // else an unprivileged gid_map is refused, since 3.19
		{name: "uid_map", text: fmt.Sprintf("0 %d 1", os.Geteuid())},
		{name: "gid_map", text: fmt.Sprintf("0 %d 1", os.Getegid())},
	} {
		calls = append(calls,
			do("open "+file.name, unix.SYS_OPENAT, unix.AT_FDCWD, "/proc/self/"+file.name, unix.O_WRONLY),
			do("write "+file.name, unix.SYS_WRITE, 0, file.text, len(file.text)),
			do("close "+file.name, unix.SYS_CLOSE, 0))
	}
	return calls
}
