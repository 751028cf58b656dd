package mutants_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/spec"
	"cellwall/suites/sentinel"
)

// mounted is a wrapper that mounts something, in the place of what was to be there.
func mounted(m specs.Mount) wrapper { return edited(spec.WithMount(m).Apply) }

// volumes is a wrapper that changes the options of the trial's volumes.
func volumes(change func(options []string) []string) wrapper {
	return edited(func(s *specs.Spec) {
		for i := range s.Mounts {
			if sentinel.IsVolume(s.Mounts[i]) {
				s.Mounts[i].Options = change(s.Mounts[i].Options)
			}
		}
	})
}

// lacking is a change that drops an option.
func lacking(option string) func([]string) []string {
	return func(all []string) []string { return slices.DeleteFunc(all, func(o string) bool { return o == option }) }
}

// mountWeaknesses are mounts that show or allow too much. None does more than what is mounted for
// the controls of its rows.
func mountWeaknesses() []weakness {
	bind := func(path string, options ...string) wrapper { return mounted(spec.Bind(path, path, options...)) }
	return append(weakerMounts(), []weakness{
		{name: "a writable root directory", do: edited(func(s *specs.Spec) { s.Root.Readonly = false }), rows: []string{"fs.readonly-root"}},
		{name: "the image's layer as root directory", rung: spec.Limits, rows: []string{"fs.overlay-lower"}, do: edited(func(s *specs.Spec) {
			if layer, err := filepath.Glob(filepath.Join(filepath.Dir(s.Root.Path), "cellwall-rootfs-*")); err == nil && len(layer) == 1 {
				s.Root.Path = layer[0]
			}
		})},
		{name: "a bundle that everybody may enter", do: edited(openBundle), rows: []string{"fs.bundle-private"}},
		{name: "the host's /proc", do: bind("/proc"), rung: spec.Limits, rows: []string{"process.proc-view"}},
		{name: "the host's /dev/shm", do: bind("/dev/shm", "ro"), rows: []string{"ipc.dev-shm"}},
		{name: "the host's terminals", do: bind("/dev/pts"), rung: spec.Limits, rows: []string{"device.private-pts"}},
		{name: "the host's control sockets", do: edited(func(s *specs.Spec) {
			spec.WithMount(spec.Bind(filepath.Join(filepath.Dir(s.Root.Path), sentinel.SocketDirectory), "/run")).Apply(s)
		}), rows: []string{"fs.control-sockets"}},
		// The attack walks there, and touches nothing but its own socket. Without what is mounted
		// below: it gives up before it is through a /sys.
		{name: "the directory of all bundles, read-only, in an odd place", do: edited(func(s *specs.Spec) {
			all := filepath.Dir(filepath.Dir(filepath.Dir(s.Root.Path))) // above the run's and the trial's
			spec.WithMount(specs.Mount{Destination: "/run", Type: "bind", Source: all, Options: []string{"bind", "ro"}}).Apply(s)
		}), rows: []string{"fs.control-sockets"}},
		// It holds no file that an attack looks for: above that of the trial's bait.
		{name: "the trial's directory, read-only, in an odd place", do: edited(showTrial("/mnt/odd")), rows: []string{"fs.host-mount"}},
		{name: "the trial's directory, read-only, in the place of a /tmp of its own", do: edited(showTrial("/tmp")), rows: []string{"fs.host-mount"}},
		{name: "the trial's directory, read-only, in the place of a volume", do: edited(otherVolume), rows: []string{"fs.host-mount"}},
		// The attack touches nothing there but its own socket, as above.
		{name: "the host's root directory, read-only, in an odd place", rows: []string{"fs.control-sockets", "fs.host-mount"}, do: mounted(specs.Mount{
			Destination: "/mnt/odd", Type: "bind", Source: "/", Options: []string{"rbind", "ro", "rro"},
		})},
		{name: "terminals without number", do: edited(sentinel.TerminalsOf(0).Apply), rows: []string{"abstract.ptys"}},
		{name: "tmpfs without a size", do: edited(func(s *specs.Spec) {
			for i := range s.Mounts {
				s.Mounts[i].Options = slices.DeleteFunc(s.Mounts[i].Options, isSize)
			}
		}), rows: []string{"memory.tmpfs-size"}},
		{name: "a writable /sys", do: edited(writable("sysfs")), rows: []string{"kernel.sysfs-write", "fs.readonly-path"}},
		{name: "writable cgroups in an odd place", rows: []string{"kernel.cgroup-raise"}, do: mounted(specs.Mount{
			Destination: "/tmp/second", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "nodev", "noexec"},
		})},
		{name: "writable cgroups", do: edited(writable("cgroup")), rows: []string{"kernel.cgroup-raise"}},
		{name: "writable cgroups without a user namespace", rows: []string{"kernel.cgroup-raise"}, do: edited(func(s *specs.Spec) {
			if !spec.HasNamespace(s, specs.UserNamespace) {
				writable("cgroup")(s)
			}
		})},
		{name: "nothing masked", do: edited(func(s *specs.Spec) { s.Linux.MaskedPaths = nil }), rows: []string{"fs.masked-path"}},
		{name: "one mask missing", do: edited(unmask("/proc/keys")), rows: []string{"fs.masked-path"}},
		{name: "nothing masked in /proc and /sys", do: edited(unmask("/proc", "/sys")), rows: []string{"fs.masked-path"}},
		{name: "a read-only file missing", do: edited(notReadonly("/file")), rows: []string{"fs.readonly-path"}},
		{name: "a read-only directory missing", do: edited(notReadonly("/proc/irq")), rows: []string{"fs.readonly-path"}},
		{name: "no read-only paths", do: edited(func(s *specs.Spec) { s.Linux.ReadonlyPaths = nil }), rows: []string{"kernel.sysctl-global", "fs.readonly-path"}},
		{name: "nothing masked or read-only", do: edited(func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil }), rows: []string{"fs.fresh-procfs"}},
		{name: "volumes without nosuid", do: volumes(lacking("nosuid")), rung: spec.Limits, rows: []string{"fs.nosuid"}},
		{name: "volumes without nodev", do: volumes(lacking("nodev")), rung: spec.Limits, rows: []string{"fs.nodev"}},
		// At hardened crun 1.8.1 drops noexec by itself.
		{name: "volumes without noexec", do: volumes(lacking("noexec")), rung: spec.Limits, rows: []string{"fs.noexec"}},
		{name: "volumes without ro", do: volumes(lacking("ro")), rung: spec.Limits, rows: []string{"fs.proc-mem"}},
		{name: "volumes that are read-only at their top", rung: spec.Limits, rows: []string{"fs.rro-submount"},
			do: volumes(func(o []string) []string { return append(lacking("rro")(o), "ro") })},
		{name: "one volume of a common directory", do: edited(oneVolume), rung: spec.Limits, rows: []string{"fs.hardlink-host"}},
		{name: "a shared root and shared volumes", rung: spec.Limits, rows: []string{"fs.mount-propagation"}, only: "runc",
			why: "crun cuts a volume off from its source whatever it is told", do: together(
				edited(func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" }),
				volumes(func(o []string) []string { return append(o, "rshared") }),
			)},
		{name: "a shared root and private volumes", rung: spec.Limits, rows: []string{"fs.mount-propagation"}, only: "runc",
			why: "crun makes the root private before, so that it has no peer then", do: together(
				edited(func(s *specs.Spec) { s.Linux.RootfsPropagation = "shared" }),
				volumes(func(o []string) []string { return append(o, "rprivate") }),
			)},
	}...)
}

// weakerMounts are those of a spec, each without one of its flags.
func weakerMounts() (all []weakness) {
	for _, m := range []struct {
		at    string
		flags []string
	}{
		{"/proc", []string{"nosuid", "nodev", "noexec"}},
		{"/sys", []string{"nosuid", "nodev", "noexec"}},
		{"/tmp", []string{"nosuid", "nodev"}},
		{"/dev/shm", []string{"nosuid", "nodev", "noexec"}},
		{"/dev/pts", []string{"nosuid", "noexec"}},
		{"/dev/mqueue", []string{"nosuid", "nodev", "noexec"}},
	} {
		for _, flag := range m.flags {
			all = append(all, weakness{name: m.at + " without " + flag, rows: []string{"fs." + flag}, do: edited(func(s *specs.Spec) {
				i := slices.IndexFunc(s.Mounts, func(o specs.Mount) bool { return o.Destination == m.at })
				s.Mounts[i].Options = lacking(flag)(s.Mounts[i].Options)
			})})
		}
	}
	return all
}

// openBundle lets everybody pass through the directory in which the root directory lies.
func openBundle(s *specs.Spec) {
	if dir := filepath.Dir(s.Root.Path); filepath.Base(dir) == "bundle" {
		_ = os.Chmod(dir, 0o755) // the row sees what comes of it
	}
}

// showTrial mounts the directory in which the trial's root directory lies.
func showTrial(at string) func(*specs.Spec) {
	return func(s *specs.Spec) { spec.WithMount(spec.Bind(filepath.Dir(s.Root.Path), at, "ro")).Apply(s) }
}

// otherVolume shows the trial's directory where a volume is asked for.
func otherVolume(s *specs.Spec) {
	for i := range s.Mounts {
		if m := &s.Mounts[i]; sentinel.IsVolume(*m) {
			m.Source = filepath.Dir(s.Root.Path)
		}
	}
}

// notReadonly drops the read-only path that ends so.
func notReadonly(suffix string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.ReadonlyPaths = slices.DeleteFunc(s.Linux.ReadonlyPaths, func(p string) bool { return strings.HasSuffix(p, suffix) })
	}
}

// unmask drops the masks of paths that begin so.
func unmask(prefixes ...string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		s.Linux.MaskedPaths = slices.DeleteFunc(s.Linux.MaskedPaths, func(path string) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) })
		})
	}
}

// isSize says that an option of a tmpfs bounds it.
func isSize(option string) bool {
	return strings.HasPrefix(option, "size=") || strings.HasPrefix(option, "nr_inodes=")
}

// writable drops ro from mounts of a type.
func writable(kind string) func(*specs.Spec) {
	return func(s *specs.Spec) {
		for i := range s.Mounts {
			if s.Mounts[i].Type == kind {
				s.Mounts[i].Options = lacking("ro")(s.Mounts[i].Options)
			}
		}
	}
}

// oneVolume shows the directory that two volumes have in common, in place of the two.
func oneVolume(s *specs.Spec) {
	i := slices.IndexFunc(s.Mounts, sentinel.IsVolume)
	if i < 0 {
		return
	}
	first := s.Mounts[i]
	s.Mounts = slices.DeleteFunc(s.Mounts, sentinel.IsVolume)
	spec.WithMount(spec.Bind(filepath.Dir(first.Source), filepath.Dir(first.Destination))).Apply(s)
}
