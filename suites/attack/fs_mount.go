package attack

import (
	"encoding/json"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var fsMountAttacks = []Attack{
	MountPropagation,
	MountCapability,
	LockedMounts,
	fsUncover,
	FreshProcfs,
	fsMountProc,
}

// MountPropagation mounts on the directory "a" of the volume Target.Path, and unmounts what is
// mounted on "b".
var MountPropagation = Attack{Name: "fs.mount-propagation", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	a.Try("mount tmpfs on "+dir+"/a", unix.Mount("tmpfs", dir+"/a", "tmpfs", 0, "size=4k"))
	a.Try("umount "+dir+"/b", unix.Unmount(dir+"/b", unix.MNT_DETACH))
	a.Hold("mounted")
}}

// MountCapability mounts on directories of the read-only volume Target.Path, makes the volume
// writable, and unmounts what masks the file "masked". A remount is always one of the mount
// alone (MS_BIND): it never changes the file system.
var MountCapability = Attack{Name: "fs.mount-capability", Run: func(a *Attempt) {
	dir := a.Inside(a.Target.Path)
	a.Try("mount tmpfs on "+dir+"/a", unix.Mount("tmpfs", dir+"/a", "tmpfs", 0, "size=4k"))
	a.writable(dir)
	a.Try("umount "+dir+"/masked", unix.Unmount(dir+"/masked", unix.MNT_DETACH))
	a.newMount(dir + "/b")
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if a.Try("open_tree "+dir, err) {
		a.Try("move_mount to "+dir+"/c", unix.MoveMount(tree, "", unix.AT_FDCWD, dir+"/c", unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
	a.Hold("mounted")
}}

// writable makes a mount writable. Its other flags stay: a user namespace may not take away those that
// its mounts came with (mount_namespaces(7)).
func (a *Attempt) writable(dir string) {
	var st unix.Statfs_t
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND)
	if unix.Statfs(dir, &st) == nil {
		flags |= uintptr(st.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC) // statfs(2) has the same bits
	}
	a.Try("remount "+dir+" writable", unix.Mount("", dir, "", flags, ""))
}

// newMount mounts a tmpfs by fsopen(2), fsmount(2) and move_mount(2).
func (a *Attempt) newMount(at string) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if !a.Try("fsopen tmpfs", err) || !a.Try("fsconfig create", unix.FsconfigCreate(fs)) {
		return
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if a.Try("fsmount", err) {
		a.Try("move_mount to "+at, unix.MoveMount(mount, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH))
	}
}

// LockedMounts peels off what covers the volume Target.Path, as uncover does: with the
// capabilities that a user namespace of its own gives it, and where it is.
var LockedMounts = Attack{Name: "fs.locked-mounts", Run: func(a *Attempt) {
	a.nested(fsUncover, unix.CLONE_NEWNS, "")
	a.uncover()
}}

var fsUncover = Attack{Name: "fs.locked-mounts/uncover", Run: func(a *Attempt) {
	a.uncover()
	a.answer()
}}

// uncover makes the read-only volume Target.Path writable and writes to its file "file", and
// unmounts what masks its file "masked" and reads that.
func (a *Attempt) uncover() {
	dir := a.Inside(a.Target.Path)
	a.Try("umount "+dir+"/masked", unix.Unmount(dir+"/masked", unix.MNT_DETACH))
	a.ReadFile(dir + "/masked")
	a.writable(dir)
	a.overwrite(dir + "/file")
}

// FreshProcfs mounts a procfs on the empty directory Target.Path, in namespaces of its own that
// give it the capability to, and where it is.
var FreshProcfs = Attack{Name: "fs.fresh-procfs", Run: func(a *Attempt) {
	a.nested(fsMountProc, unix.CLONE_NEWNS|unix.CLONE_NEWPID, "mounted")
	a.mountProc()
	a.Hold("mounted")
}}

var fsMountProc = Attack{Name: "fs.fresh-procfs/mount", Run: func(a *Attempt) {
	a.mountProc()
	a.answer()
}}

func (a *Attempt) mountProc() {
	dir := a.Inside(a.Target.Path)
	a.Try("mount proc on "+dir, unix.Mount("proc", dir, "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""))
}

// answer tells the attacker that runs this attack in nested namespaces what it notes, and stays
// until that attacker is done.
func (a *Attempt) answer() {
	if a.out.Encode(a.record) == nil {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// nested runs an attack that ends with an answer in a new user namespace and other new ones, of
// which it has CAP_SYS_ADMIN, and takes over what it notes. While it is still there the attacker
// holds, if hold names a point.
func (a *Attempt) nested(attack Attack, flags uintptr, hold string) {
	cmd := a.Again(attack)
	cmd.Stderr = os.Stderr // os/exec would open /dev/null, which a bare root directory lacks
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | flags,
		// In place of a mapping: root may map itself only with CAP_SETFCAP (user_namespaces(7)).
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN},
	}
	in, out, ok := a.pipes(cmd)
	if !ok {
		return
	}
	if !a.Try("clone into a new user namespace", cmd.Start()) {
		return
	}
	var record Record
	if a.Try("hear from the new user namespace", json.NewDecoder(out).Decode(&record)) {
		for _, t := range record.Tries {
			t.Call = "nested: " + t.Call
			a.record.Tries = append(a.record.Tries, t)
		}
		a.record.Saw = append(a.record.Saw, record.Saw...)
		if hold != "" {
			a.Hold(hold)
		}
	}
	_ = in.Close()
	_ = cmd.Wait()
}
