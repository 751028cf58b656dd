package mutants_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// capability is a weakness of one capability too much.
func capability(name string, rows ...string) weakness {
	return weakness{name: name, do: edited(spec.WithCapability(name).Apply), rows: rows}
}

// privilegeWeaknesses are capabilities and identities that a container should not have.
func privilegeWeaknesses() []weakness {
	// It sees every one; those with a row that sees them used are left to that.
	const sets = "user.capability-sets"
	return []weakness{
		capability("CAP_SYS_ADMIN", sets, "fs.mount-capability", "fs.fanotify-filesystem", "fs.locked-mounts", "process.join-namespaces"),
		capability("CAP_SYS_PTRACE", sets),
		capability("CAP_SYS_CHROOT", sets),
		capability("CAP_SYS_NICE", "cpu.priority-raise"),
		capability("CAP_NET_RAW", "net.raw-socket"),
		capability("CAP_NET_ADMIN", sets),
		capability("CAP_DAC_OVERRIDE", sets),
		capability("CAP_DAC_READ_SEARCH", "fs.open-by-handle"),
		capability("CAP_SETUID", sets),
		capability("CAP_MKNOD", "device.mknod"),
		capability("CAP_BPF", "kernel.bpf"),
		capability("CAP_PERFMON", "kernel.perf"),
		capability("CAP_SYSLOG", "kernel.log", "leak.kernel-addresses"),
		capability("CAP_AUDIT_CONTROL", "kernel.audit"),
		capability("CAP_CHECKPOINT_RESTORE", "process.choose-pid"),
		{name: "all capabilities", do: everyCapability(func(c *specs.LinuxCapabilities, all []string) {
			c.Bounding, c.Permitted, c.Effective = all, all, all
		}), rows: []string{sets}},
		{name: "a full bounding set", do: everyCapability(func(c *specs.LinuxCapabilities, all []string) { c.Bounding = all }), rows: []string{sets}},
		{name: "inheritable capabilities", do: edited(func(s *specs.Spec) {
			s.Process.Capabilities.Inheritable = s.Process.Capabilities.Permitted
		}), rows: []string{"user.inheritable-empty"}},
		{name: "ambient capabilities", do: edited(func(s *specs.Spec) {
			c := s.Process.Capabilities
			c.Inheritable, c.Ambient = c.Permitted, c.Permitted
		}), rows: []string{"user.inheritable-empty"}},
		{name: "no_new_privs off", do: edited(func(s *specs.Spec) { s.Process.NoNewPrivileges = false }), rows: []string{"user.no-new-privs"}},
		{name: "root in place of the user", do: edited(func(s *specs.Spec) { s.Process.User = specs.User{} }), rung: spec.Limits, rows: []string{"user.supplementary-groups"}},
		// A group without a mapping cannot be kept: so this is tried without a user namespace.
		{name: "the launcher's supplementary groups", do: before("create", keepGroups), rung: spec.Limits, rows: []string{"user.supplementary-groups"}},
		{name: "sysctls of devices that may be written", do: edited(func(s *specs.Spec) {
			i := slices.Index(s.Linux.ReadonlyPaths, "/proc/sys")
			if i >= 0 {
				s.Linux.ReadonlyPaths = slices.Replace(s.Linux.ReadonlyPaths, i, i+1, "/proc/sys/fs", "/proc/sys/kernel", "/proc/sys/net", "/proc/sys/vm")
			}
		}), rows: []string{"kernel.sysctl-global"}},
		{name: "a umask of 0", do: edited(func(s *specs.Spec) {
			none := uint32(0)
			s.Process.User.Umask = &none
		}), rows: []string{"leak.launcher-environment"}},
	}
}

// everyCapability is a wrapper that hands out what the launcher itself holds.
func everyCapability(give func(c *specs.LinuxCapabilities, all []string)) wrapper {
	return before("create", func(c *call) error {
		all, err := kernel.HeldCapabilities()
		if err != nil {
			return err
		}
		return c.edit(func(s *specs.Spec) { give(s.Process.Capabilities, all) })
	})
}

// keepGroups gives the container's process the groups of whoever starts the runtime.
func keepGroups(c *call) error {
	groups, err := unix.Getgroups()
	if err != nil {
		return err
	}
	return c.edit(func(s *specs.Spec) {
		for _, g := range groups {
			s.Process.User.AdditionalGids = append(s.Process.User.AdditionalGids, uint32(g))
		}
	})
}

// launchWeaknesses are what a container inherits of whoever starts it.
func launchWeaknesses() []weakness {
	return []weakness{
		{name: "the launcher's session keyring", do: before("create", with("--no-new-keyring")), rows: []string{"user.session-keyring"}},
		{name: "the launcher's environment", do: edited(func(s *specs.Spec) {
			s.Process.Env = append(os.Environ(), s.Process.Env...)
		}), rows: []string{"leak.launcher-environment"}},
		{name: "the launcher's TERM", do: edited(func(s *specs.Spec) {
			s.Process.Env = append(s.Process.Env, "TERM="+os.Getenv("TERM"))
		}), rows: []string{"leak.launcher-environment"}},
		{name: "a descriptor of the launcher's", do: before("create", openDirectory, with("--preserve-fds=1")), rows: []string{"fs.inherited-dirfd"}},
		{name: "a socket of the launcher's", do: before("create", openSocket, with("--preserve-fds=1")), rows: []string{"fs.inherited-dirfd"}},
		{name: "a filter that allows packets of AF_VSOCK", do: edited(func(s *specs.Spec) {
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
					Names: []string{"socket"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{
						{Index: 0, Value: unix.AF_VSOCK, Op: specs.OpEqualTo}, {Index: 1, Value: unix.SOCK_SEQPACKET | unix.SOCK_CLOEXEC, Op: specs.OpEqualTo},
					},
				})
			}
		}), rows: []string{"net.vsock"}},
		{name: "an id of dots that is a path", do: always(joinDots), rows: []string{"lifecycle.id-traversal"}, sees: "made outside the state directory",
			only: "runc", why: "crun 1.8 takes other hostile ids, and is breached before"},
		{name: "a state that all may read", do: on("create", really, openState), rows: []string{"fs.bundle-private"}},
	}
}

// openState lets everybody read what the runtime keeps of the container.
func openState(c *call) error {
	return filepath.WalkDir(c.option("--root"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() && !e.Type().IsRegular() {
			return err
		}
		return os.Chmod(path, 0o755)
	})
}

// openSocket leaves a socket open as the first descriptor after the standard ones.
func openSocket(*call) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return passOn(fd)
}

// openDirectory leaves the bundle open as the first descriptor after the standard ones, which is
// what --preserve-fds=1 passes on.
func openDirectory(c *call) error {
	fd, err := unix.Open(c.bundle(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return passOn(fd)
}

// passOn makes a descriptor the first after the standard ones, and lets it survive an exec.
func passOn(fd int) error {
	const first = 3
	if fd == first {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
		return err
	}
	return unix.Dup3(fd, first, 0)
}
