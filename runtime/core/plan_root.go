package core

import (
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// rootDirectory gives the container its root. With a mount namespace everything is mounted
// after pivot_root but before the old root goes: paths then resolve inside the new root, where
// no symlink of the image leads out, and the kernel still sees the old procfs and sysfs
// without which it refuses new ones in a user namespace (mount_too_revealing).
func (p *planner) rootDirectory() error {
	root := p.Spec.Root.Path
	if !p.has(specs.MountNamespace) {
		if root != "/" {
			p.enterRoot(root, "chroot")
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
	early := p.omits("in-root-resolution")
	if early {
		// A mutant: as runtimes did that joined root directory and destination and let the
		// kernel follow the image's symlinks in the host's tree (CVE-2019-19921).
		if err := p.mounts(root); err != nil {
			return err
		}
		p.made = nil
	}
	pivoted := root != "/" && p.pivot(root)
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
	p.sysctls()
	p.maskPaths()
	p.readonlyPaths()
	if pivoted {
		p.dropOldRoot()
	}
	return p.finishRoot()
}

// enterRoot changes into the root directory by chroot(2) or to prepare pivot_root(2).
func (p *planner) enterRoot(root, how string) {
	p.add(Step{
		Text:   "change into " + root,
		number: unix.SYS_CHDIR, args: calls(str(root)),
	})
	if how == "chroot" {
		p.add(
			Step{
				ID: "chroot", Barrier: "root directory",
				Text:   "chroot .",
				number: unix.SYS_CHROOT, args: calls(str(".")),
			},
			Step{Text: "change into /", number: unix.SYS_CHDIR, args: calls(str("/"))},
		)
	}
}

// pivot makes root the container's root. The old root then lies on top of the new one, where
// a path never reaches it, until dropOldRoot. It reports whether it used pivot_root.
func (p *planner) pivot(root string) bool {
	p.add(Step{
		Text:   "bind " + root + " on itself",
		number: unix.SYS_MOUNT, args: calls(str(root), str(root), null(), num(unix.MS_BIND|unix.MS_REC), null()),
	})
	if p.omits("pivot-root") {
		p.enterRoot(root, "chroot")
		return false
	}
	p.enterRoot(root, "pivot_root")
	p.add(
		Step{
			ID: "pivot-root", Barrier: "pivot_root",
			Text:   "pivot_root . .",
			number: unix.SYS_PIVOT_ROOT, args: calls(str("."), str(".")),
		},
		Step{Text: "change into /", number: unix.SYS_CHDIR, args: calls(str("/"))},
	)
	return true
}

func (p *planner) dropOldRoot() {
	p.add(
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
		p.add(p.setFlags("readonly-root", "read-only root mount", "/", unix.MS_RDONLY)...)
	}
	return nil
}

// makeTargets makes the mount points in the root directory while the child still has the
// launcher's ids: the user namespace's root may not own the root directory. What cannot be
// made here is made, or fails, at its mount.
func (p *planner) makeTargets() {
	for _, m := range p.Spec.Mounts {
		for _, s := range p.mkdirs(path.Dir(path.Join("/", m.Destination))) {
			s.tolerate = append(s.tolerate, unix.EACCES, unix.EROFS, unix.EPERM, unix.ENOENT, unix.ENOTDIR)
			p.add(s)
		}
		target := p.target(m, path.Join("/", m.Destination))
		target.tolerate = append(target.tolerate, unix.EACCES, unix.EROFS, unix.EPERM, unix.ENOENT, unix.ENOTDIR)
		p.add(target)
	}
}

// makeDirectories adds the steps that make a directory and those above it, but for what earlier
// steps have made.
func (p *planner) makeDirectories(dir string) {
	for _, s := range p.mkdirs(dir) {
		if p.made[s.Text] {
			continue
		}
		if p.made == nil {
			p.made = map[string]bool{}
		}
		p.made[s.Text] = true
		p.add(s)
	}
}

// hide forgets what was made below a path: a mount lies over it now.
func (p *planner) hide(at string) {
	for text := range p.made {
		if strings.HasPrefix(text, "make directory "+at+"/") {
			delete(p.made, text)
		}
	}
}

// mkdirs makes a directory and those above it. The paths resolve inside the container's root.
func (p *planner) mkdirs(dir string) []Step {
	var steps []Step
	at := ""
	for _, name := range strings.Split(strings.Trim(path.Clean(dir), "/"), "/") {
		if name == "" || name == "." {
			continue
		}
		at += "/" + name
		steps = append(steps, Step{
			Text:   "make directory " + at,
			number: unix.SYS_MKDIRAT, args: calls(cwd(), str(at), num(0o755)), tolerate: []unix.Errno{unix.EEXIST},
		})
	}
	return steps
}

// target makes the mount point itself: a file for a bind of one, else a directory.
func (p *planner) target(m specs.Mount, at string) Step {
	if slices.Contains(p.Host.Files, m.Source) {
		return p.mkfile(at)
	}
	return Step{
		Text:   "make directory " + at,
		number: unix.SYS_MKDIRAT, args: calls(cwd(), str(at), num(0o755)), tolerate: []unix.Errno{unix.EEXIST},
	}
}

func (p *planner) mkfile(at string) Step {
	return Step{
		Text:   "make file " + at,
		number: unix.SYS_MKNODAT, args: calls(cwd(), str(at), num(unix.S_IFREG|0o644), num(0)), tolerate: []unix.Errno{unix.EEXIST},
	}
}

// setFlags sets flags of an existing mount: mount_setattr(2), or on older kernels a remount,
// which takes all the mount's flags, so that those of the file systems of the container, which
// all carry them, are named again.
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
