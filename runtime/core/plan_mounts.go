package core

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
)

// isBind reports whether a mount shows an existing host path. As with mount(8), the options
// decide, not the type.
func isBind(m specs.Mount) bool { return parseMountOptions(m.Options).flags&unix.MS_BIND != 0 }

// openSources takes detached copies of all host paths that the container will show, while
// paths are still the launcher's. A copy is one object: nothing can be exchanged between here
// and its place (CVE-2021-30465).
func (p *planner) openSources() {
	p.trees = map[tree]slot{}
	for i, m := range p.Spec.Mounts {
		switch {
		case isBind(m):
			p.openTree(tree{mount: i}, m.Source, parseMountOptions(m.Options).recursive())
		case isCgroup(m) && !p.has(specs.CgroupNamespace):
			// The hierarchy itself would show the host's groups.
			for _, c := range p.Host.Cgroups {
				p.openTree(tree{mount: i, name: c.Name}, c.Path, true)
			}
		}
	}
	p.openNull()
	if p.ownDev() && p.has(specs.UserNamespace) {
		for _, d := range p.deviceList() {
			if d.Type == "p" {
				continue // a FIFO is no device: it is made
			}
			p.openTree(tree{device: d.Path}, d.Path, false)
		}
	}
}

// tree names a detached copy: of the source of a mount, by its place in the spec and the name
// of the hierarchy if it shows several, or of a device.
type tree struct {
	mount  int
	name   string
	device string
}

func isCgroup(m specs.Mount) bool { return m.Type == "cgroup" || m.Type == "cgroup2" }

func (p *planner) openTree(key tree, source string, recursive bool) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	p.trees[key] = p.slot()
	p.add(Step{
		Text:   "open " + source,
		number: unix.SYS_OPEN_TREE, args: calls(cwd(), str(source), num(flags)), out: p.trees[key],
	})
}

// kernelFS are the file systems over which no image may lay a symlink: what follows trusts
// them (CVE-2019-16884, CVE-2019-19921).
var kernelFS = []string{"proc", "sysfs"}

// mountOrder lists the spec's mounts by their place in it: procfs and sysfs, and what the spec mounts
// below them, after all others. As they are not there before, no link of an image leads a mount into
// them, where it could hide what the kernel says there (CVE-2019-19921, CVE-2023-28642).
func (p *planner) mountOrder() []int {
	below := func(m specs.Mount) bool {
		return slices.ContainsFunc(p.Spec.Mounts, func(k specs.Mount) bool {
			return isKernelFS(k) && strings.HasPrefix(path.Join("/", m.Destination)+"/", path.Join("/", k.Destination)+"/")
		})
	}
	var order, last []int
	for i, m := range p.Spec.Mounts {
		if below(m) {
			last = append(last, i)
		} else {
			order = append(order, i)
		}
	}
	return append(order, last...)
}

func isKernelFS(m specs.Mount) bool {
	if !isBind(m) {
		return slices.Contains(kernelFS, m.Type)
	}
	source := path.Clean(m.Source) + "/"
	return strings.HasPrefix(source, "/proc/") || strings.HasPrefix(source, "/sys/")
}

// mounts makes the spec's mounts below root: "/" once that is the container's own.
func (p *planner) mounts(root string) error {
	for _, i := range p.mountOrder() {
		m := p.Spec.Mounts[i]
		at := path.Join(root, m.Destination)
		p.makeDirectories(path.Dir(at))
		p.add(p.target(m, at)...)
		opts := parseMountOptions(m.Options)
		if !p.Host.MountSetattr && opts.set|opts.clear != 0 {
			return kernel.Unsupported("mounts: recursive options of %s without mount_setattr(2)", m.Destination)
		}
		switch {
		case opts.flags&unix.MS_BIND != 0:
			p.attach(p.trees[tree{mount: i}], m, at, opts)
		case isCgroup(m):
			if len(p.Host.Cgroups) == 0 {
				return fmt.Errorf("mounts: %s: the container has no cgroup of its own to show", m.Destination)
			}
			p.cgroupMount(i, m, at, opts)
		default:
			p.mountNew(m, at, opts)
		}
		p.hide(at)
		if opts.propagation != 0 && opts.flags&unix.MS_BIND == 0 {
			p.add(Step{
				Text:   "set propagation of " + at + optionText(m.Options),
				number: unix.SYS_MOUNT, args: calls(null(), str(at), null(), num(opts.propagation), null()),
			})
		}
	}
	return nil
}

// mountNew mounts a file system. The mount point is opened first and the mount made on ".",
// so that the point that was checked is the one that is used.
func (p *planner) mountNew(m specs.Mount, at string, opts mountFlags) {
	resolve := uint64(unix.RESOLVE_NO_MAGICLINKS)
	if slices.Contains(kernelFS, m.Type) {
		resolve = unix.RESOLVE_NO_SYMLINKS
	}
	point := p.slot()
	p.add(
		Step{
			ID: "open-mount-point", Barrier: "in-root path resolution",
			Text:   "open mount point " + at,
			number: unix.SYS_OPENAT2,
			args:   calls(cwd(), str(at), mem(openHow(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, resolve)), num(unix.SizeofOpenHow)),
			out:    point,
		},
		Step{Text: "change into " + at, number: unix.SYS_FCHDIR, args: calls(from(point))},
		Step{
			ID: "mount " + at, Barrier: mountBarrier(m.Type),
			Text:   fmt.Sprintf("mount %s on %s%s", m.Type, at, optionText(m.Options)),
			number: unix.SYS_MOUNT, args: calls(str(m.Source), str("."), str(m.Type), num(opts.flags), str(opts.data)),
		},
	)
}

func mountBarrier(fs string) string {
	switch fs {
	case "proc":
		return "procfs of its own pid namespace"
	case "devpts":
		return "devpts instance"
	case "mqueue":
		return "ipc namespace"
	default:
		return fs + " of its own"
	}
}

// attach puts a bind source into its place with its flags already set, so that no moment
// exists at which it can be written to. Kernels without mount_setattr set them afterwards.
func (p *planner) attach(tree slot, m specs.Mount, at string, opts mountFlags) {
	propagation := opts.propagation &^ unix.MS_REC
	if propagation == 0 {
		propagation = unix.MS_PRIVATE
	}
	if p.Host.MountSetattr {
		p.add(p.treeFlags(tree, "set propagation of "+at, unix.AT_RECURSIVE, mountAttr(opts.set, opts.clear, propagation)))
		if attrs := opts.attributes(); attrs != 0 {
			p.add(p.treeFlags(tree, "set flags of "+at+optionText(m.Options), 0, mountAttr(attrs, 0, 0)))
		}
	}
	p.add(p.moveTree(tree, at, fmt.Sprintf("bind %s on %s%s", m.Source, at, optionText(m.Options)))...)
	if p.Host.MountSetattr {
		return
	}
	p.add(Step{
		Text:   "set propagation of " + at,
		number: unix.SYS_MOUNT, args: calls(null(), str(at), null(), num(propagation|unix.MS_REC), null()),
	})
	if opts.attributes() != 0 {
		p.add(Step{
			Text:   "set flags of " + at + optionText(m.Options),
			number: unix.SYS_MOUNT, args: calls(null(), str(at), null(), num(unix.MS_REMOUNT|unix.MS_BIND|opts.flags&^unix.MS_REC|p.Host.MountFlags[m.Source]), null()),
		})
	}
}

func (p *planner) treeFlags(tree slot, text string, flags int, attr []byte) Step {
	return Step{
		Text:   text,
		number: unix.SYS_MOUNT_SETATTR,
		args:   calls(from(tree), str(""), num(unix.AT_EMPTY_PATH|flags), mem(attr), num(len(attr))),
	}
}

// moveTree attaches a detached tree to a path inside the container's root.
func (p *planner) moveTree(tree slot, at, text string) []Step {
	point := p.slot()
	return []Step{
		{
			ID: "open-mount-point", Barrier: "in-root path resolution",
			Text:   "open mount point " + at,
			number: unix.SYS_OPENAT2,
			args:   calls(cwd(), str(at), mem(openHow(unix.O_PATH|unix.O_CLOEXEC, unix.RESOLVE_NO_MAGICLINKS)), num(unix.SizeofOpenHow)),
			out:    point,
		},
		{
			ID: "mount " + at, Text: text,
			number: unix.SYS_MOVE_MOUNT,
			args:   calls(from(tree), str(""), from(point), str(""), num(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)),
		},
	}
}

// cgroupMount shows the container its own cgroups: the hierarchies themselves, which a cgroup
// namespace cuts to its root, or the container's directories of them.
func (p *planner) cgroupMount(i int, m specs.Mount, at string, opts mountFlags) {
	if len(p.Host.Cgroups) == 1 && p.Host.Cgroups[0].Name == "" {
		p.mountHierarchy(i, m, p.Host.Cgroups[0], at, opts)
		return
	}
	// Read-write until the directories are made.
	p.mountNew(specs.Mount{Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "nodev", "mode=755"}}, at,
		mountFlags{flags: unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV, data: "mode=755"})
	for _, c := range p.Host.Cgroups {
		sub := path.Join(at, c.Name)
		p.makeDirectories(sub)
		p.mountHierarchy(i, m, c, sub, opts)
	}
	if opts.flags&unix.MS_RDONLY != 0 {
		p.add(p.setFlags("readonly-cgroup", "read-only cgroupfs", at, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV)...)
	}
}

func (p *planner) mountHierarchy(i int, m specs.Mount, c CgroupMount, at string, opts mountFlags) {
	if tree, ok := p.trees[tree{mount: i, name: c.Name}]; ok {
		m.Source = c.Path
		p.attach(tree, m, at, opts)
		return
	}
	p.mountNew(specs.Mount{Type: c.Type, Source: c.Type, Options: m.Options}, at,
		mountFlags{flags: opts.flags &^ (unix.MS_REC | unix.MS_RELATIME), data: c.Data})
}
