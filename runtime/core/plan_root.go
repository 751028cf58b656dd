package core

import (
	"encoding/binary"
	"fmt"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rootDirectory gives the container its root. With a mount namespace everything is mounted
// behind a chroot into it but before the old root goes: paths then resolve inside the new root,
// where no symlink of the image leads out, and the kernel still sees the old procfs and sysfs
// without which it refuses new ones in a user namespace (mount_too_revealing).
func (p *planner) rootDirectory() error {
	root := p.Spec.Root.Path
	if !p.has(specs.MountNamespace) {
		p.createHooks()
		if root != "/" {
			p.enterRoot(root)
		}
		p.becomeRoot()
		return nil
	}
	// The trees keep the propagation of their sources; what stays attached loses it.
	p.openSources()
	p.add(Step{
		ID: "private-mounts", Barrier: "mount namespace",
		Text:   "make all mounts private",
		number: unix.SYS_MOUNT, args: calls(null(), str("/"), null(), num(unix.MS_PRIVATE|unix.MS_REC), null()),
	})
	// The modes of directories and nodes are exact; identity sets the umask of the program.
	p.add(Step{Text: "clear the umask", number: unix.SYS_UMASK, args: calls(num(0))})
	early := p.omits("in-root-resolution")
	if early {
		// A mutant: as runtimes did that joined root directory and destination and let the
		// kernel follow the image's symlinks in the host's tree (CVE-2019-19921).
		if err := p.mounts(root); err != nil {
			return err
		}
		p.made = nil
	}
	self, top := p.slot(), p.slot()
	pivoted := root != "/" && p.enter(root, self, top)
	if p.has(specs.UserNamespace) {
		p.makeTargets()
	}
	p.becomeRoot()
	if !early {
		if err := p.mounts("/"); err != nil {
			return err
		}
	}
	p.devices()
	p.createHooks() // before the masks, so that no mount of a hook lies over one
	p.sysctls()
	p.maskPaths()
	p.readonlyPaths()
	if pivoted {
		p.pivot(self, top)
	}
	return p.finishRoot()
}

// createHooks waits for the hooks that change the container while its mounts can still be reached by the paths
// of the host: config.md, "Prestart" and "CreateRuntime Hooks".
func (p *planner) createHooks() {
	if len(hooksAt(p.Spec.Hooks, createHooks)) > 0 {
		p.hold("report what is mounted", "wait for the create hooks")
	}
}

// enterRoot makes a directory the root by chroot(2).
func (p *planner) enterRoot(root string) {
	p.add(
		Step{Text: "change into " + root, number: unix.SYS_CHDIR, args: calls(str(root))},
		Step{
			ID: "chroot", Barrier: "root directory",
			Text:   "chroot .",
			number: unix.SYS_CHROOT, args: calls(str(".")),
		},
		Step{Text: "change into /", number: unix.SYS_CHDIR, args: calls(str("/"))},
	)
}

// enter makes root the root of all paths until pivot: by chroot(2), since after pivot_root the
// old root lies on top of the new one, and ".." leads there from the root directory. It keeps
// what pivot needs: the root, and the child itself, whose mount namespace leads out again. It
// reports whether pivot is to follow.
func (p *planner) enter(root string, self, top slot) bool {
	p.add(Step{
		Text:   "bind " + root + " on itself",
		number: unix.SYS_MOUNT, args: calls(str(root), str(root), null(), num(unix.MS_BIND|unix.MS_REC), null()),
	})
	if p.omits("pivot-root") {
		p.enterRoot(root)
		return false
	}
	pid := p.slot()
	p.add(
		Step{Text: "get the own pid", number: unix.SYS_GETPID, out: pid},
		Step{Text: "open the own pidfd", number: unix.SYS_PIDFD_OPEN, args: calls(from(pid), num(0)), out: self},
		Step{Text: "change into " + root, number: unix.SYS_CHDIR, args: calls(str(root))},
		Step{
			Text:   "open " + root,
			number: unix.SYS_OPENAT, args: calls(cwd(), str("."), num(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)), out: top,
		},
		Step{
			Text: "chroot . until everything is mounted", Barrier: "in-root path resolution",
			number: unix.SYS_CHROOT, args: calls(str(".")),
		},
	)
	return true
}

// pivot makes the container's root that of its mount namespace, and lets go of the old one.
// Entering the own mount namespace undoes the chroot: setns(2).
func (p *planner) pivot(self, top slot) {
	p.add(
		Step{Text: "go back to the old root", number: unix.SYS_SETNS, args: calls(from(self), num(unix.CLONE_NEWNS))},
		Step{Text: "change into the new root", number: unix.SYS_FCHDIR, args: calls(from(top))},
		Step{
			ID: "pivot-root", Barrier: "pivot_root",
			Text:   "pivot_root . .",
			number: unix.SYS_PIVOT_ROOT, args: calls(str("."), str(".")),
		},
		Step{Text: "change into /", number: unix.SYS_CHDIR, args: calls(str("/"))},
		Step{
			ID: "unmount-old-root", Barrier: "pivot_root",
			Text:   "unmount the old root",
			number: unix.SYS_UMOUNT2, args: calls(str("."), num(unix.MNT_DETACH)),
		},
	)
}

// finishRoot sets what the root mount itself is to be, once nothing is made in it any more.
func (p *planner) finishRoot() error {
	if name := p.Spec.Linux.RootfsPropagation; name != "" {
		flag, ok := propagations[name]
		if !ok {
			return fmt.Errorf("rootfsPropagation %q is unknown", name)
		}
		p.add(Step{
			Text:   "make the root " + name,
			number: unix.SYS_MOUNT, args: calls(null(), str("/"), null(), num(flag), null()),
		})
	}
	if p.Spec.Root.Readonly {
		p.add(p.setFlags("readonly-root", "read-only root mount", "/", unix.MS_RDONLY|p.Host.MountFlags[p.Spec.Root.Path])...)
	}
	return nil
}

// setFlags sets flags of an existing mount: mount_setattr(2), or on older kernels a remount,
// which takes away all flags that it does not name. In a user namespace it may not: mount_namespaces(7).
func (p *planner) setFlags(id, barrier, at string, flags uintptr) []Step {
	text := "make " + at + " read-only"
	if p.Host.MountSetattr {
		return []Step{{
			ID: id, Barrier: barrier, Text: text,
			number: unix.SYS_MOUNT_SETATTR,
			args:   calls(cwd(), str(at), num(0), mem(mountAttr(mountFlags{flags: flags}.attributes(), 0, 0)), num(unix.MOUNT_ATTR_SIZE_VER0)),
		}}
	}
	return []Step{{
		ID: id, Barrier: barrier, Text: text,
		number: unix.SYS_MOUNT, args: calls(null(), str(at), null(), num(unix.MS_REMOUNT|unix.MS_BIND|flags), null()),
	}}
}

// mountAttr is struct mount_attr of mount_setattr(2). The access time modes are one field, so
// setting one clears them all.
func mountAttr(set, clr uint64, propagation uintptr) []byte {
	const atime = 0x70 // MOUNT_ATTR__ATIME
	if set&atime != 0 {
		clr |= atime
	}
	b := make([]byte, unix.MOUNT_ATTR_SIZE_VER0)
	binary.NativeEndian.PutUint64(b[0:], set)
	binary.NativeEndian.PutUint64(b[8:], clr)
	binary.NativeEndian.PutUint64(b[16:], uint64(propagation))
	return b
}

// openHow is struct open_how of openat2(2).
func openHow(flags, resolve uint64) []byte {
	b := make([]byte, unix.SizeofOpenHow)
	binary.NativeEndian.PutUint64(b[0:], flags)
	binary.NativeEndian.PutUint64(b[16:], resolve)
	return b
}
