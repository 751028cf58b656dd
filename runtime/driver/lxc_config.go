package driver

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// lxcNamespaces are the names of namespaces in lxc.namespace.clone, those of /proc/PID/ns.
var lxcNamespaces = []struct {
	namespace specs.LinuxNamespaceType
	name      string
}{
	{specs.UserNamespace, "user"},
	{specs.MountNamespace, "mnt"},
	{specs.PIDNamespace, "pid"},
	{specs.UTSNamespace, "uts"},
	{specs.IPCNamespace, "ipc"},
	{specs.NetworkNamespace, "net"},
	{specs.CgroupNamespace, "cgroup"},
	{specs.TimeNamespace, "time"},
}

// lxcClocks are the keys for the offsets of clocks, by OCI's names. There are no other clocks: time_namespaces(7).
var lxcClocks = []struct{ clock, key string }{{"boottime", "lxc.time.offset.boot"}, {"monotonic", "lxc.time.offset.monotonic"}}

// lxcFile is a configuration file that is being written. Of errors it keeps the first.
type lxcFile struct {
	text strings.Builder
	err  error
}

// lxcLine bounds a line: getmntent(3) reads mount entries into a buffer of PATH_MAX.
const lxcLine = 4095

// set adds a line, and refuses what the file cannot say: parse_line in confile.c trims blanks, takes quotes
// off, ends at the line's end, and to it nothing is the default. A key, such as one with a sysctl, ends at an equals sign.
func (f *lxcFile) set(key, value string) {
	if strings.ContainsAny(key, "= \t\r\n\x00") {
		if f.err == nil {
			f.err = kernel.Unsupported("lxc-execute has no key %.100q", key)
		}
		return
	}
	quoted := len(value) > 1 && strings.ContainsAny(value[:1], `'"`) && value[:1] == value[len(value)-1:]
	if value == "" || value != strings.TrimSpace(value) || quoted || strings.ContainsAny(value, "\n\x00") || len(value) > lxcLine {
		if f.err == nil {
			f.err = kernel.Unsupported("lxc-execute takes no %s of %.100q: its file trims blanks and quotes", key, value)
		}
		return
	}
	fmt.Fprintf(&f.text, "%s = %s\n", key, value)
}

func (f *lxcFile) setIf(there bool, key, value string) {
	if there {
		f.set(key, value)
	}
}

// config is the configuration file of a container whose files are in a directory, but for its cgroups.
func (x *lxc) config(b Bundle, dir string) (string, error) {
	s := b.Spec
	p := s.Process
	f := &lxcFile{}
	f.setIf(x.apparmor, "lxc.apparmor.profile", "unconfined")
	f.set("lxc.console.path", "none") // the program has pipes, and nobody's terminal
	f.set("lxc.rootfs.path", "dir:"+s.Root.Path)
	f.set("lxc.rootfs.mount", filepath.Join(dir, lxcRoot))
	f.set("lxc.rootfs.managed", "0")
	f.setIf(s.Root.Readonly, "lxc.rootfs.options", "ro")
	f.setIf(s.Hostname != "", "lxc.uts.name", s.Hostname)
	f.setIf(makes(s, specs.NetworkNamespace), "lxc.net.0.type", "empty")
	var clone []string
	for _, n := range lxcNamespaces {
		if makes(s, n.namespace) {
			clone = append(clone, n.name)
		}
	}
	f.set("lxc.namespace.clone", strings.Join(clone, " "))
	for _, c := range lxcClocks {
		if o, moved := s.Linux.TimeOffsets[c.clock]; moved {
			f.set(c.key, fmt.Sprintf("%ds", o.Secs))
		}
	}
	if spec.HasNamespace(s, specs.UserNamespace) {
		for _, ids := range []struct {
			kind string
			list []specs.LinuxIDMapping
		}{{"u", s.Linux.UIDMappings}, {"g", s.Linux.GIDMappings}} {
			for _, m := range ids.list {
				f.set("lxc.idmap", fmt.Sprintf("%s %d %d %d", ids.kind, m.ContainerID, m.HostID, m.Size))
			}
		}
	}
	f.mounts(b)
	for _, key := range slices.Sorted(maps.Keys(s.Linux.Sysctl)) {
		f.set("lxc.sysctl."+key, s.Linux.Sysctl[key])
	}
	for _, l := range p.Rlimits {
		f.set("lxc.prlimit."+strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")), rlimit(l.Soft)+":"+rlimit(l.Hard))
	}
	f.setIf(p.Capabilities != nil, "lxc.cap.keep", lxcCapabilities(p.Capabilities))
	f.setIf(p.NoNewPrivileges, "lxc.no_new_privs", "1")
	if s.Linux.Seccomp != nil {
		f.set("lxc.seccomp.profile", filepath.Join(dir, lxcFilters))
		f.set("lxc.seccomp.allow_nesting", "1") // or it is passed over where the launcher has a filter
	}
	f.set("lxc.init.uid", decimal(p.User.UID))
	f.set("lxc.init.gid", decimal(p.User.GID))
	var groups []string
	for _, g := range p.User.AdditionalGids {
		groups = append(groups, decimal(g))
	}
	f.setIf(len(groups) > 0, "lxc.init.groups", strings.Join(groups, ","))
	f.set("lxc.init.cwd", path.Clean("/"+p.Cwd))
	for _, v := range p.Env {
		f.set("lxc.environment", v)
	}
	limits, err := lxcLimits(b)
	if f.err == nil {
		f.err = err
	}
	for _, l := range limits {
		f.set("lxc.cgroup2."+l.Name, l.Value)
	}
	return f.text.String(), f.err
}

// lxcCapabilities are those to keep; the bounding set is all that LXC changes, and the program is executed
// by root with it.
func lxcCapabilities(c *specs.LinuxCapabilities) string {
	if c == nil || len(c.Bounding) == 0 {
		return "none"
	}
	var names []string
	for _, name := range c.Bounding {
		names = append(names, strings.ToLower(strings.TrimPrefix(name, "CAP_")))
	}
	return strings.Join(names, " ")
}
