package core

import (
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maskPaths lays an empty read-only tmpfs over directories and the host's /dev/null over
// files. The null device is opened from the launcher's root, so that nothing in the image can
// stand in for it (CVE-2025-31133). A path that is not there needs no mask.
func (p *planner) maskPaths() {
	if len(p.Spec.Linux.MaskedPaths) == 0 {
		return
	}
	if p.omits("mask-source") {
		p.null = p.openDevNull() // a mutant: the image's, whatever it is
	}
	for _, m := range p.Spec.Linux.MaskedPaths {
		at := path.Join("/", m)
		tree, point := p.slot(), p.slot()
		p.add(
			Step{
				ID: "mask-paths", Barrier: "masked path",
				Text:   "mask directory " + at,
				number: unix.SYS_MOUNT,
				args: calls(str("tmpfs"), str(at), str("tmpfs"),
					num(unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), str("size=0,nr_inodes=1")),
				tolerate: []unix.Errno{unix.ENOTDIR, unix.ENOENT}, then: 3,
			},
			Step{
				ID: "mask-paths", Text: "open " + at,
				number:   unix.SYS_OPENAT2,
				args:     calls(cwd(), str(at), mem(openHow(unix.O_PATH|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)), num(unix.SizeofOpenHow)),
				tolerate: []unix.Errno{unix.ENOENT, unix.ENOTDIR}, skip: 2, out: point,
			},
			Step{
				ID: "mask-paths", Text: "copy the mount of /dev/null",
				number: unix.SYS_OPEN_TREE,
				args:   calls(from(p.null), str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)), out: tree,
			},
			Step{
				ID: "mask-paths", Barrier: "masked path",
				Text:   "mask file " + at,
				number: unix.SYS_MOVE_MOUNT,
				args:   calls(from(tree), str(""), from(point), str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)),
			},
		)
	}
}

// openNull keeps the launcher's /dev/null for the masks.
func (p *planner) openNull() {
	if len(p.Spec.Linux.MaskedPaths) == 0 {
		return
	}
	p.null = p.openDevNull()
}

func (p *planner) openDevNull() slot {
	null := p.slot()
	p.add(Step{
		ID: "mask-paths", Text: "open /dev/null",
		number: unix.SYS_OPENAT, args: calls(cwd(), str("/dev/null"), num(unix.O_PATH|unix.O_CLOEXEC)), out: null,
	})
	return null
}

// readonlyPaths binds paths on themselves, read-only.
func (p *planner) readonlyPaths() {
	for _, r := range p.Spec.Linux.ReadonlyPaths {
		at := path.Join("/", r)
		tree, point := p.slot(), p.slot()
		flags := unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV
		p.add(
			Step{
				ID: "readonly-paths", Text: "open " + at,
				number:   unix.SYS_OPENAT2,
				args:     calls(cwd(), str(at), mem(openHow(unix.O_PATH|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)), num(unix.SizeofOpenHow)),
				tolerate: []unix.Errno{unix.ENOENT, unix.ENOTDIR}, skip: 3, out: point,
			},
			Step{
				ID: "readonly-paths", Text: "copy " + at,
				number: unix.SYS_OPEN_TREE,
				args:   calls(from(point), str(""), num(unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)), out: tree,
			},
		)
		attach := Step{
			ID: "readonly-paths", Text: "bind " + at + " on itself",
			number: unix.SYS_MOVE_MOUNT,
			args:   calls(from(tree), str(""), from(point), str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)),
		}
		if p.Host.MountSetattr {
			ro := p.treeFlags(tree, "make "+at+" read-only", unix.AT_RECURSIVE, mountAttr(unix.MOUNT_ATTR_RDONLY, 0, 0))
			ro.ID, ro.Barrier = "readonly-paths", "read-only path"
			p.add(ro, attach)
			continue
		}
		p.add(attach)
		p.add(p.setFlags("readonly-paths", "read-only path", at, uintptr(flags))...)
	}
}

// openSysctls opens the launcher's /proc/sys: what lies there in the container is the image's to
// say (CVE-2025-52881). The kernel shows in both the values of the namespaces of whoever opens a
// file.
func (p *planner) openSysctls() error {
	if len(p.Spec.Linux.Sysctl) > 0 {
		p.procSys = p.slot()
		p.add(Step{
			Text:   "open the launcher's /proc/sys",
			number: unix.SYS_OPENAT,
			args:   calls(cwd(), str("/proc/sys"), num(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)),
			out:    p.procSys,
		})
	}
	return nil
}

// sysctls writes linux.sysctl, once the namespaces and their root are the container's.
func (p *planner) sysctls() {
	for _, key := range slices.Sorted(maps.Keys(p.Spec.Linux.Sysctl)) {
		value := p.Spec.Linux.Sysctl[key]
		p.writeFile(Step{Text: "set " + key + " to " + value}, from(p.procSys),
			strings.ReplaceAll(key, ".", "/"), value)
	}
	if len(p.Spec.Linux.Sysctl) > 0 {
		// It leads to all of the launcher's procfs, and the interpreter of a script may be a path through it.
		p.add(Step{Text: "close the launcher's /proc/sys", number: unix.SYS_CLOSE, args: calls(from(p.procSys))})
	}
}
