package driver

import (
	"math"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// lxcDevOptions takes from the mounts of a spec what LXC's own /dev and /dev/pts cannot be told: mount_autodev
// and lxc_setup_devpts_child in conf.c.
func lxcDevOptions(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if has, own := lxcHas(*m); own {
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return !has(o) })
		}
	}
}

// lxcHas says which options the mounts have that LXC makes itself.
func lxcHas(m specs.Mount) (has func(string) bool, own bool) {
	switch {
	case isOwnDev(m):
		return func(o string) bool { return o == "mode=755" || o == "mode=0755" || strings.HasPrefix(o, "size=") }, true
	case isOwnPts(m):
		fixed := []string{"nosuid", "noexec", "newinstance", "gid=5", "ptmxmode=0666", "mode=0620"}
		return func(o string) bool { return slices.Contains(fixed, o) || strings.HasPrefix(o, "max=") }, true
	}
	return nil, false
}

func isOwnPts(m specs.Mount) bool {
	return path.Clean(m.Destination) == "/dev/pts" && m.Type == "devpts"
}

// allTerminals is the most that a devpts can have, and has where none is said: NR_UNIX98_PTY_MAX.
const allTerminals = "1048576"

// mounts adds the mounts of a container: LXC's own /dev first, then entries in the spec's order, and what masks
// or protects paths last. The devpts comes after all, whatever the spec says (lxc_setup in conf.c).
func (f *lxcFile) mounts(b Bundle) {
	s := b.Spec
	dev, refuse := "0", func(format string, args ...any) {
		if f.err == nil {
			f.err = kernel.Unsupported("lxc-execute "+format, args...)
		}
	}
	ownDev := slices.ContainsFunc(s.Mounts, isOwnDev)
	for i, m := range s.Mounts {
		at := strings.TrimPrefix(path.Clean("/"+m.Destination), "/")
		has, own := lxcHas(m)
		if own {
			if o := slices.IndexFunc(m.Options, func(o string) bool { return !has(o) }); o >= 0 {
				refuse("mounts no %s with %s (%s)", m.Type, m.Options[o], m.Destination)
			}
		}
		switch {
		case at == "":
			refuse("mounts nothing on the root directory")
		case isOwnDev(m):
			dev = "1"
			if size := option(m, "size="); size != "" {
				n, err := bytesOf(size)
				if err != nil || n == 0 || n > math.MaxInt32 {
					refuse("mounts no /dev of size %s", size)
					continue
				}
				f.set("lxc.autodev.tmpfs.size", strconv.FormatUint(n, 10))
			}
		case isOwnPts(m) && ownDev:
			terminals := option(m, "max=")
			f.setIf(terminals != "", "lxc.pty.max", terminals)
			f.setIf(terminals == "", "lxc.pty.max", allTerminals)
		case m.Type == "devpts":
			refuse("mounts a devpts in a /dev of its own only")
		case at == "dev/pts" && ownDev:
			refuse("unmounts what is on /dev/pts (%s)", m.Source) // lxc_setup_devpts_child in conf.c
		case at == "proc" && m.Type != "proc":
			refuse("unmounts a /proc that is not its own (%s)", m.Source) // lxc_create_tmp_proc_mount in conf.c
		default:
			f.mount(b, m, at, inside(s.Mounts[:i], m.Destination))
		}
	}
	f.set("lxc.autodev", dev)
	f.covers(s)
}

// option is the value of a mount's option, or nothing.
func option(m specs.Mount, name string) string {
	for _, o := range m.Options {
		if value, ok := strings.CutPrefix(o, name); ok {
			return value
		}
	}
	return ""
}

// mount adds one mount. Its target is there (makeTargets) but in a file system of the container's own: elsewhere
// create=dir would follow a link of the image (lxc_mkdir_p in utils.c).
func (f *lxcFile) mount(b Bundle, m specs.Mount, at string, create bool) {
	kind, options := m.Type, slices.Clone(m.Options)
	bind := slices.Contains(options, "bind") || slices.Contains(options, "rbind")
	refuse := func(what string) {
		if f.err == nil {
			f.err = kernel.Unsupported("lxc-execute %s (%s)", what, m.Destination)
		}
	}
	switch {
	case len(m.UIDMappings)+len(m.GIDMappings) > 0:
		refuse("maps ids of a mount as those of the container only")
	case bind:
		kind = "none"
		// mount_entry in conf.c: the remount that would set flags is made for ro alone.
		readonly := slices.Contains(options, "ro")
		for _, o := range options {
			switch o {
			case "bind", "rbind", "ro", "rw", "private", "rprivate":
			case "nosuid", "nodev", "noexec":
				if !readonly {
					refuse("sets " + o + " of a bind mount with ro only")
				}
			default:
				refuse("binds nothing with " + o)
			}
		}
	case kind == "cgroup" && (!makes(b.Spec, specs.CgroupNamespace) || !v2Alone(b.Parent)):
		refuse("mounts cgroups of v2 alone, in a cgroup namespace")
	case kind == "cgroup":
		kind = "cgroup2"
	}
	if create {
		how := "create=dir"
		if info, err := os.Stat(m.Source); bind && err == nil && !info.IsDir() {
			how = "create=file"
		}
		options = append(options, how)
	}
	source := m.Source
	if source == "" {
		source = "none"
	}
	f.entry(source, at, kind, options...)
}

// entry is a line of fstab(5). A target that does not begin with a slash is one in the root directory.
func (f *lxcFile) entry(source, at, kind string, options ...string) {
	if len(options) == 0 {
		options = []string{"defaults"}
	}
	f.set("lxc.mount.entry", strings.Join([]string{escaped(source), escaped(at), kind, escaped(strings.Join(options, ",")), "0", "0"}, " "))
}

// escaped is a field of fstab(5).
func escaped(field string) string {
	return strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`, "#", `\043`).Replace(field)
}

// covers masks paths and makes them read-only. What is not there needs none of it.
func (f *lxcFile) covers(s *specs.Spec) {
	for _, p := range s.Linux.MaskedPaths {
		at := strings.TrimPrefix(path.Clean("/"+p), "/")
		switch source, dir := lookBehind(s, p); {
		case dir:
			f.entry("tmpfs", at, "tmpfs", "ro", "nosuid", "nodev", "noexec", "size=4k", "nr_inodes=2")
		case source != "":
			f.entry(os.DevNull, at, "none", "bind")
		}
	}
	for _, p := range s.Linux.ReadonlyPaths {
		at := strings.TrimPrefix(path.Clean("/"+p), "/")
		if source, _ := lookBehind(s, p); source != "" {
			f.entry(at, at, "none", "rbind", "ro", "relative") // it keeps the flags that it finds
		}
	}
}
