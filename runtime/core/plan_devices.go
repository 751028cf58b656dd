package core

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/cgroup"
)

// defaultDevices are those that the OCI runtime-spec requires (config-linux.md, "Default
// Devices"). /dev/ptmx and /dev/console come with the devpts and the terminal.
var defaultDevices = []specs.LinuxDevice{
	{Path: "/dev/null", Type: "c", Major: 1, Minor: 3},
	{Path: "/dev/zero", Type: "c", Major: 1, Minor: 5},
	{Path: "/dev/full", Type: "c", Major: 1, Minor: 7},
	{Path: "/dev/random", Type: "c", Major: 1, Minor: 8},
	{Path: "/dev/urandom", Type: "c", Major: 1, Minor: 9},
	{Path: "/dev/tty", Type: "c", Major: 5, Minor: 0},
}

// devLinks are the symbolic links that the OCI runtime-spec requires in /dev.
var devLinks = []struct{ target, path string }{
	{"/proc/self/fd", "/dev/fd"},
	{"/proc/self/fd/0", "/dev/stdin"},
	{"/proc/self/fd/1", "/dev/stdout"},
	{"/proc/self/fd/2", "/dev/stderr"},
	{"pts/ptmx", "/dev/ptmx"},
}

// ownDev reports whether the container has a /dev of its own, which the runtime fills. One
// that is bound from the host stays as it is.
func (p *planner) ownDev() bool {
	return slices.ContainsFunc(p.Spec.Mounts, func(m specs.Mount) bool {
		return path.Clean(m.Destination) == "/dev" && !isBind(m)
	})
}

func (p *planner) deviceList() []specs.LinuxDevice {
	list := slices.Clone(defaultDevices)
	for _, d := range p.Spec.Linux.Devices {
		list = slices.DeleteFunc(list, func(o specs.LinuxDevice) bool { return o.Path == d.Path })
		list = append(list, d)
	}
	return list
}

// withDefaultDevices allows, behind the rules of a spec, the default devices, which `runc spec` relies on
// as it denies all, and to make those that the spec lists: who may open these the rules say alone.
func withDefaultDevices(rules []cgroup.DeviceRule, s *specs.Spec) []cgroup.DeviceRule {
	if len(rules) == 0 {
		return nil // no filter at all
	}
	allow := func(kind string, major int64, minor *int64, access string) {
		rules = append(rules, cgroup.DeviceRule{Allow: true, Type: kind, Major: &major, Minor: minor, Access: access})
	}
	for _, d := range defaultDevices {
		allow(d.Type, d.Major, &d.Minor, "rwm")
	}
	for _, d := range s.Linux.Devices {
		if kind := strings.Replace(d.Type, "u", "c", 1); kind == "c" || kind == "b" {
			allow(kind, d.Major, &d.Minor, "m")
		}
	}
	ptmx := int64(2)
	allow("c", 5, &ptmx, "rwm")
	allow("c", 136, nil, "rwm") // pty slaves: Documentation/admin-guide/devices.txt
	return rules
}

const defaultDeviceMode os.FileMode = 0o666

// devices fills /dev. A user namespace may not make nodes, so it gets those of the host bound.
func (p *planner) devices() {
	if !p.ownDev() {
		return
	}
	for _, d := range p.deviceList() {
		at := path.Join("/", d.Path)
		p.makeDirectories(path.Dir(at))
		if slices.ContainsFunc(p.Spec.Mounts, func(m specs.Mount) bool { return path.Join("/", m.Destination) == at }) {
			continue // the spec has put something else there
		}
		if tree, ok := p.trees[tree{device: d.Path}]; ok {
			p.add(p.mkfile(at))
			p.add(p.moveTree(tree, at, "bind the host's "+at)...)
			continue
		}
		p.makeNode(d, at)
	}
	if p.Spec.Process.Terminal {
		p.add(p.mkfile("/dev/console"))
	}
	for _, l := range devLinks {
		p.add(Step{
			Text:   "link " + l.path + " to " + l.target,
			number: unix.SYS_SYMLINKAT, args: calls(str(l.target), cwd(), str(l.path)), tolerate: []unix.Errno{unix.EEXIST},
		})
	}
}

var nodeTypes = map[string]uint32{"b": unix.S_IFBLK, "c": unix.S_IFCHR, "u": unix.S_IFCHR, "p": unix.S_IFIFO}

func (p *planner) makeNode(d specs.LinuxDevice, at string) {
	mode := defaultDeviceMode
	if d.FileMode != nil {
		mode = *d.FileMode
	}
	p.add(Step{
		Text:   fmt.Sprintf("make device %s (%s %d:%d)", at, d.Type, d.Major, d.Minor),
		number: unix.SYS_MKNODAT,
		args:   calls(cwd(), str(at), num(nodeTypes[d.Type]|uint32(mode.Perm())), num(unix.Mkdev(uint32(d.Major), uint32(d.Minor)))),
	})
	if d.UID != nil || d.GID != nil {
		p.add(Step{
			Text:   "set the owner of " + at,
			number: unix.SYS_FCHOWNAT, args: calls(cwd(), str(at), num(owner(d.UID)), num(owner(d.GID)), num(unix.AT_SYMLINK_NOFOLLOW)),
		})
	}
}

// owner is an id, or (uid_t)-1, which leaves it: chown(2).
func owner(id *uint32) uint32 {
	if id == nil {
		return ^uint32(0)
	}
	return *id
}
