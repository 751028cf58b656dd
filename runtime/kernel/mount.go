package kernel

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mounting. A process without CAP_SYS_ADMIN is asked in a user namespace of its own. Nothing
// is attached to the mount namespace of the caller.
var (
	Openat2 = &Feature{
		Name: "openat2(2)", Since: Version{5, 6},
		probe: func() error {
			fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{
				Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
			})
			if err != nil {
				return refused(err, "")
			}
			return unix.Close(fd)
		},
	}
	MoveMount = &Feature{
		Name: "open_tree(2), move_mount(2)", Since: Version{5, 2},
		Remedy: "run as root or enable user namespaces",
		probe: func() error {
			return inMountNamespace(0, ask("move_mount", unix.SYS_MOVE_MOUNT, 0, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH))
		},
	}
	MountSetattr = &Feature{
		Name: "mount_setattr(2)", Since: Version{5, 12},
		Remedy: "run as root or enable user namespaces",
		probe: func() error {
			// A size that no version of struct mount_attr has is refused before rights and the
			// path are looked at, so that this needs no mount namespace to try in.
			var attr unix.MountAttr
			_, _, errno := unix.Syscall6(unix.SYS_MOUNT_SETATTR, ^uintptr(0), 0, 0, uintptr(unsafe.Pointer(&attr)), 1, 0)
			if errno == unix.EINVAL {
				return nil
			}
			return refused(errno, "")
		},
	}
	Fsopen = &Feature{
		Name: "fsopen(2), fsconfig(2), fsmount(2)", Since: Version{5, 2},
		Remedy: "run as root or enable user namespaces",
		probe:  filesystem("tmpfs", 0, option{key: "size", value: "4k"}),
	}
	Tmpfs = &Feature{
		Name: "tmpfs(5)", Since: Version{2, 4},
		Remedy: "run as root or enable user namespaces",
		probe:  filesystem("tmpfs", 0),
	}
	Devpts = &Feature{
		Name: "devpts newinstance", Since: Version{2, 6},
		Remedy: "run as root or enable user namespaces",
		probe:  filesystem("devpts", 0, option{key: "ptmxmode", value: "666"}),
	}
	Mqueue = &Feature{
		Name: "mqueue file system, mq_overview(7)", Since: Version{2, 6},
		Remedy: "run as root or enable user namespaces; the kernel needs CONFIG_POSIX_MQUEUE",
		probe:  filesystem("mqueue", unix.CLONE_NEWIPC),
	}
	Cgroup2 = &Feature{
		Name: "cgroup2 file system, cgroups(7)", Since: Version{4, 5},
		Remedy: "run as root or enable user namespaces",
		probe:  filesystem("cgroup2", unix.CLONE_NEWCGROUP),
	}
	ProcInUserNamespace = &Feature{
		Name: "proc(5) in a new user namespace", Since: Version{3, 8},
		Remedy: "enable user namespaces; unmount what hides a part of /proc (an outer container's masked paths)",
		probe:  filesystem("proc", unix.CLONE_NEWUSER|unix.CLONE_NEWPID),
	}
	SysfsInUserNamespace = &Feature{
		Name: "sysfs(5) in a new user namespace", Since: Version{3, 8},
		Remedy: "enable user namespaces; mount /sys and unmount what hides a part of it",
		probe:  filesystem("sysfs", unix.CLONE_NEWUSER|unix.CLONE_NEWNET),
	}
	Overlay = &Feature{
		Name: "overlay file system", Since: Version{3, 18},
		Remedy: "load the module overlay; run as root, or as another user from 5.11",
		probe:  probeOverlay,
	}
)

// filesystem asks for a new instance of a file system in new namespaces, by fsmount(2).
func filesystem(fstype string, namespaces uint64, options ...option) func() error {
	return func() error {
		flags, calls := ownMounts(namespaces)
		calls = append(calls, mounted(fstype, 0, options...)...)
		return refused(inChild(flags, calls...), "")
	}
}

// ownMounts returns the flags and the first calls of a child that may mount: it has its own
// mount namespace, no descriptor, and without CAP_SYS_ADMIN its own user namespace as root.
func ownMounts(namespaces uint64) (uint64, []call) {
	flags := namespaces | unix.CLONE_NEWNS
	if !holds("CAP_SYS_ADMIN") {
		flags |= unix.CLONE_NEWUSER
	}
	calls := []call{closeAll()}
	if flags&unix.CLONE_NEWUSER != 0 {
		calls = append(calls, mapRoot()...)
	}
	return flags, calls
}

// mounted makes a detached mount. Its descriptor, and that of its context below it, are the
// next two: fd+1 and fd.
func mounted(fstype string, fd int, options ...option) []call {
	calls := []call{ask("fsopen "+fstype, unix.SYS_FSOPEN, fstype, 0)}
	for _, o := range options {
		calls = append(calls, ask(fmt.Sprintf("fsconfig %s=%s", o.key, o.value), unix.SYS_FSCONFIG,
			fd, unix.FSCONFIG_SET_STRING, o.key, o.value, 0))
	}
	attributes := 0
	if fstype == "sysfs" { // as containers have it: where the host's is read-only the kernel grants no other
		attributes = unix.MOUNT_ATTR_RDONLY
	}
	return append(calls,
		ask("fsconfig create "+fstype, unix.SYS_FSCONFIG, fd, unix.FSCONFIG_CMD_CREATE, nil, nil, 0),
		ask("fsmount "+fstype, unix.SYS_FSMOUNT, fd, 0, attributes))
}

// inMountNamespace asks about a detached copy of the whole mount tree, which is descriptor 0.
func inMountNamespace(namespaces uint64, calls ...call) error {
	flags, first := ownMounts(namespaces)
	first = append(first, private(),
		ask("open_tree", unix.SYS_OPEN_TREE, unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.AT_RECURSIVE))
	return refused(inChild(flags, append(first, calls...)...), "")
}

// private keeps what is mounted below /proc, a mount on every host, from going anywhere.
func private() call {
	return do("mount --make-private /proc", unix.SYS_MOUNT, nil, "/proc", nil, unix.MS_PRIVATE, nil)
}

// probeOverlay mounts an overlay whose layers lie in a tmpfs. Before 6.15 the layers must be
// attached somewhere; it is /proc, since that is a mount point on every host.
func probeOverlay() error {
	flags, calls := ownMounts(0)
	calls = append(calls, private())
	for _, one := range mounted("tmpfs", 0) {
		one.asked = false
		calls = append(calls, one)
	}
	calls = append(calls,
		do("move_mount", unix.SYS_MOVE_MOUNT, 1, "", unix.AT_FDCWD, "/proc", unix.MOVE_MOUNT_F_EMPTY_PATH))
	for _, name := range []string{"lower", "upper", "work"} {
		calls = append(calls, do("mkdirat "+name, unix.SYS_MKDIRAT, unix.AT_FDCWD, "/proc/"+name, 0o755))
	}
	calls = append(calls, mounted("overlay", 2,
		option{key: "lowerdir", value: "/proc/lower"},
		option{key: "upperdir", value: "/proc/upper"},
		option{key: "workdir", value: "/proc/work"})...)
	return refused(inChild(flags, calls...), "")
}
