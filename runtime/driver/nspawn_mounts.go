package driver

import (
	"os"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// nspawnMount is a file system that nspawn mounts in every container: mount_table in nspawn-mount.c,
// setup_pts in nspawn.c, mount_cgroups in nspawn-cgroup.c.
type nspawnMount struct {
	at, kind string
	options  []string // that it has
	unasked  bool     // no spec asks for it
	cover    bool     // another may be mounted over it
}

var nspawnMounts = []nspawnMount{
	{at: "/proc", kind: "proc", options: []string{"nosuid", "noexec", "nodev"}},
	{at: "/dev", kind: "tmpfs", options: []string{"nosuid", "strictatime", "mode=755"}},
	{at: "/dev/pts", kind: "devpts", options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}, cover: true},
	{at: "/dev/shm", kind: "tmpfs", cover: true},
	{at: "/dev/mqueue", kind: "mqueue", options: []string{"nosuid", "noexec", "nodev"}, cover: true},
	{at: "/sys", kind: "sysfs", options: []string{"nosuid", "noexec", "nodev", "ro"}},
	{at: "/sys/fs/cgroup", kind: "cgroup", options: []string{"nosuid", "noexec", "nodev"}, unasked: true},
	{at: "/run", kind: "tmpfs", options: []string{"nosuid", "nodev", "strictatime", "mode=755"}, unasked: true},
}

// What it makes of its /proc: the read-only paths, and since masksNspawn the masked ones.
var (
	nspawnReadonly = []string{"/proc/acpi", "/proc/apm", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/scsi", "/proc/sys"}
	nspawnMasked   = []string{"/proc/kallsyms", "/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/timer_list"}
)

// nspawnShows reports whether a path is in what a container with a network of its own sees of /sys. It is
// mounted after all that the line asks for: mount_sysfs in nspawn-mount.c.
func nspawnShows(p string) bool {
	return slices.ContainsFunc([]string{"block", "bus", "class", "dev", "devices", "kernel"}, func(dir string) bool {
		return lies(path.Clean(p), "/sys/"+dir)
	})
}

// nspawnOwn is nspawn's mount in the place of one of a spec, nil where there is none or where the spec's
// goes over it.
func nspawnOwn(m specs.Mount) *nspawnMount {
	for i := range nspawnMounts {
		own := &nspawnMounts[i]
		if own.at == path.Clean("/"+m.Destination) && !(own.cover && (isBind(m) || m.Type == "tmpfs")) {
			return own
		}
	}
	return nil
}

func isBind(m specs.Mount) bool {
	return slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
}

// nspawnOptions takes from the mounts of a spec the options that nspawn's own do not have.
func nspawnOptions(s *specs.Spec) {
	for i := range s.Mounts {
		m := &s.Mounts[i]
		if own := nspawnOwn(*m); own != nil && own.kind == m.Type {
			m.Options = slices.DeleteFunc(m.Options, func(o string) bool { return !slices.Contains(own.options, o) })
		}
	}
}

// nspawnCustom are mounts that nspawn is asked for. It sorts them by their destinations (custom_mount_compare in
// nspawn-mount.c), so that each may have one only.
type nspawnCustom struct {
	args []string
	at   []string
}

func (c *nspawnCustom) add(option, source, destination string, options ...string) error {
	if slices.Contains(c.at, destination) {
		return kernel.Unsupported("%s mounts one thing at a place (%s)", nspawnName, destination)
	}
	c.at = append(c.at, destination)
	words := []string{colons(destination)}
	if source != "" {
		words = []string{colons(source), colons(destination)}
	}
	if len(options) > 0 {
		words = append(words, strings.Join(options, ","))
	}
	c.args = append(c.args, option+strings.Join(words, ":"))
	return nil
}

// colons quotes a path in an argument that colons part: extract_first_word in src/basic/extract-word.c.
func colons(p string) string { return strings.NewReplacer(`\`, `\\`, ":", `\:`).Replace(p) }

// nspawnMountOptions are the options for all mounts, masked and read-only paths.
func nspawnMountOptions(s *specs.Spec) ([]string, error) {
	c := &nspawnCustom{}
	var there []string
	for _, m := range s.Mounts {
		at := path.Clean("/" + m.Destination)
		there = append(there, at)
		own := nspawnOwn(m)
		var err error
		switch {
		case len(m.UIDMappings)+len(m.GIDMappings) > 0:
			err = kernel.Unsupported("%s maps no ids of a mount (%s)", nspawnName, at)
		case own != nil:
			err = own.is(m)
		case isBind(m):
			err = c.bind(m, at)
		case m.Type == "tmpfs":
			err = c.tmpfs(m, at)
		default:
			err = kernel.Unsupported("%s mounts no %s (%s)", nspawnName, m.Type, at)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, own := range nspawnMounts {
		if !slices.Contains(there, own.at) {
			return nil, kernel.Unsupported("%s mounts a %s always (%s)", nspawnName, own.kind, own.at)
		}
	}
	if err := c.covers(s); err != nil {
		return nil, err
	}
	return c.args, nil
}

// is says what of a mount of a spec nspawn's own is not.
func (own *nspawnMount) is(m specs.Mount) error {
	if m.Type != own.kind {
		return kernel.Unsupported("%s mounts a %s always (%s)", nspawnName, own.kind, own.at)
	}
	for _, o := range m.Options {
		if !slices.Contains(own.options, o) {
			return kernel.Unsupported("%s mounts no %s with %s (%s)", nspawnName, m.Type, o, own.at)
		}
	}
	if slices.Contains(own.options, "ro") && !slices.Contains(m.Options, "ro") {
		return kernel.Unsupported("%s mounts a read-only %s always (%s)", nspawnName, m.Type, own.at)
	}
	return nil
}

// bind is a bind mount: mount_bind in nspawn-mount.c. A read-only one is so with all mounts in it.
func (c *nspawnCustom) bind(m specs.Mount, at string) error {
	for _, dir := range []string{"/proc", "/sys", "/run/host"} { // made after the others, or nspawn's own
		if lies(at, dir) {
			return kernel.Unsupported("%s binds nothing of the host's below %s (%s)", nspawnName, dir, at)
		}
	}
	option, how := "--bind=", []string(nil)
	for _, o := range m.Options {
		switch o {
		case "rbind", "rw":
		case "bind":
			how = []string{"norbind"}
		case "ro", "rro":
			option = "--bind-ro="
		default:
			return kernel.Unsupported("%s binds nothing with %s (%s)", nspawnName, o, at)
		}
	}
	return c.add(option, m.Source, at, how...)
}

// tmpfs is a tmpfs: mount_tmpfs in nspawn-mount.c, which sets nodev and, in a user namespace, the owner.
func (c *nspawnCustom) tmpfs(m specs.Mount, at string) error {
	mode := []string{"mode=1777"} // tmpfs(5): nspawn's own default is another
	for _, o := range m.Options {
		key, _, _ := strings.Cut(o, "=")
		switch key {
		case "mode":
			mode = nil
		case "nosuid", "nodev", "noexec", "ro", "rw", "strictatime", "noatime", "relatime", "size", "nr_inodes":
		default:
			return kernel.Unsupported("%s mounts no tmpfs with %s (%s)", nspawnName, o, at)
		}
	}
	if !slices.Contains(m.Options, "nodev") {
		return kernel.Unsupported("%s mounts no tmpfs without nodev (%s)", nspawnName, at)
	}
	return c.add("--tmpfs=", "", at, append(mode, m.Options...)...)
}

// covers masks paths and makes them read-only. What is not there needs no cover. Below /proc sources are the
// container's (systemd issue 26897), and what --inaccessible= mounts there was none before masksNspawn; so
// masks are a null device and an empty directory.
func (c *nspawnCustom) covers(s *specs.Spec) error {
	for _, p := range s.Linux.MaskedPaths {
		source, dir := lookBehind(s, p)
		var err error
		switch {
		case source == "":
		case lies(path.Clean(p), "/sys") && makes(s, specs.NetworkNamespace):
			if nspawnShows(p) {
				err = kernel.Unsupported("%s masks nothing in /sys (%s)", nspawnName, p)
			}
		case dir:
			err = c.add("--tmpfs=", "", path.Clean(p), "mode=755", "size=4k", "nr_inodes=2", "ro")
		default:
			err = c.add("--bind-ro=", os.DevNull, path.Clean(p))
		}
		if err != nil {
			return err
		}
	}
	paths := slices.Clone(s.Linux.ReadonlyPaths)
	if slices.Contains(paths, "/proc/sys") && makes(s, specs.NetworkNamespace) {
		paths = append(paths, "/proc/sys/net") // which it leaves writable
	}
	for _, p := range paths {
		source, _ := lookBehind(s, p)
		if source == "" || slices.Contains(nspawnReadonly, p) || lies(path.Clean(p), "/sys") || slices.Contains(s.Linux.MaskedPaths, p) {
			continue
		}
		if err := c.add("--bind-ro=", source, path.Clean(p)); err != nil {
			return err
		}
	}
	return nil
}
