package attack

import (
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

var userAttacks = slices.Concat([]Attack{
	RootUnprivileged,
	UnmappedIDs,
	HostRootFiles,
	SetuidPlant,
	FileCaps,
}, userCapabilityAttacks, userInheritAttacks)

// RootUnprivileged makes a file at Target.Path in the root directory.
var RootUnprivileged = Attack{Name: "user.root-unprivileged", Run: func(a *Attempt) {
	a.ReadFile("/proc/self/uid_map")
	a.Try("create "+a.Target.Path, os.WriteFile(a.Inside(a.Target.Path), nil, 0o644))
}}

// UnmappedIDs gives a file of its own at Target.Path, and one of its threads, the id Target.Count, as
// a user, as a group and as a supplementary group, and tries to map ids once more. It holds while it
// has them.
var UnmappedIDs = Attack{Name: "user.unmapped-ids", Run: func(a *Attempt) {
	runtime.LockOSThread() // and never unlock: the thread may have other ids than the rest
	path, id := a.Inside(a.Target.Path), a.Target.Count
	if a.Try("create "+a.Target.Path, os.WriteFile(path, nil, 0o644)) {
		a.Try("chown to an unmapped uid", unix.Chown(path, id, -1))
		a.Try("chown to an unmapped gid", unix.Chown(path, -1, id))
	}
	for _, file := range []string{"uid_map", "gid_map"} {
		a.Try("write "+file, os.WriteFile("/proc/self/"+file, []byte("0 0 1"), 0))
	}
	who, group := uintptr(id), uint32(id)
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&group)), 0)
	a.Try("setgroups to an unmapped gid", asError(errno))
	_, _, errno = unix.RawSyscall(unix.SYS_SETRESGID, who, who, who)
	a.Try("setresgid to an unmapped id", asError(errno))
	_, _, errno = unix.RawSyscall(unix.SYS_SETRESUID, who, who, who)
	a.Try("setresuid to an unmapped id", asError(errno))
	a.Hold("ids")
}}

// HostRootFiles changes the file at Target.Path in the root directory in every way that its
// owner can, and removes another of the same owner: Target.Name.
var HostRootFiles = Attack{Name: "user.host-root-files", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_CLOEXEC, 0)
	if a.Try("open for write", err) {
		_, err := unix.Write(fd, []byte("written by the container"))
		a.Try("write", err)
	}
	a.Try("chmod", unix.Chmod(path, 0o666))
	a.Try("chown", unix.Chown(path, 1, 1))
	a.Try("unlink", unix.Unlink(a.Inside(a.Target.Name)))
}}

// SetuidPlant makes the helper at Target.Path in the root directory, set-user-ID root.
var SetuidPlant = Attack{Name: "user.setuid-plant", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	if a.Try("create "+a.Target.Path, os.WriteFile(path, Helper(), 0o755)) { // to be executed
		a.Try("chown 0:0", unix.Chown(path, 0, 0))
		a.Try("chmod 4755", unix.Chmod(path, unix.S_ISUID|0o755))
	}
}}

// FileCaps makes the helper at Target.Path in the root directory and gives it the capability
// Target.Count.
var FileCaps = Attack{Name: "user.file-caps-rootid", Run: func(a *Attempt) {
	path := a.Inside(a.Target.Path)
	if a.Try("create "+a.Target.Path, os.WriteFile(path, Helper(), 0o755)) { // to be executed
		a.Try("setxattr security.capability", unix.Setxattr(path, "security.capability", FileCapability(a.Target.Count), 0))
	}
}}
