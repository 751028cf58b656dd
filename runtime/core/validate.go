package core

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Validate checks a spec that may come from anywhere. What the core cannot do is an error that
// wraps kernel.ErrNotSupported and never silently ignored; so is, without that, what makes no
// sense.
func Validate(s *specs.Spec) error {
	if s == nil || s.Process == nil || s.Root == nil {
		return errors.New("config.json needs process and root")
	}
	if s.Linux == nil {
		return errors.New("config.json needs linux")
	}
	for _, check := range []func(*specs.Spec) error{
		validateProcess, validateStrings, validateNamespaces, validateMounts, ValidateSysctls, validateDevices, validateHooks, validateUnsupported,
	} {
		if err := check(s); err != nil {
			return err
		}
	}
	return nil
}

// noID is (uid_t)-1: setresuid(2) leaves the id as it is, here the launcher's.
const noID = ^uint32(0)

func validateProcess(s *specs.Spec) error {
	switch p := s.Process; {
	case len(p.Args) == 0 || p.Args[0] == "":
		return errors.New("process.args is empty: name a program")
	case !path.IsAbs(p.Cwd):
		return fmt.Errorf("process.cwd %q is not absolute", p.Cwd)
	case !path.IsAbs(s.Root.Path):
		return fmt.Errorf("root.path %q is not absolute", s.Root.Path)
	case p.User.UID == noID || p.User.GID == noID:
		return fmt.Errorf("process.user %d:%d: %d is no id", p.User.UID, p.User.GID, noID)
	case p.OOMScoreAdj != nil && (*p.OOMScoreAdj < -1000 || *p.OOMScoreAdj > 1000):
		return fmt.Errorf("process.oomScoreAdj %d is not in -1000..1000", *p.OOMScoreAdj)
	}
	var seen []string
	for _, l := range s.Process.Rlimits {
		if _, ok := rlimitNumbers[l.Type]; !ok {
			return fmt.Errorf("process.rlimits: %q is unknown: want a name such as RLIMIT_NOFILE", l.Type)
		}
		if slices.Contains(seen, l.Type) {
			return fmt.Errorf("process.rlimits: %s is there twice", l.Type)
		}
		seen = append(seen, l.Type)
	}
	if c := s.Process.Capabilities; c != nil {
		for _, set := range [][]string{c.Bounding, c.Effective, c.Inheritable, c.Permitted, c.Ambient} {
			for _, name := range set {
				if _, ok := kernel.CapabilityNumber(name); !ok {
					return fmt.Errorf("process.capabilities: %q is unknown: want a name such as CAP_SYS_ADMIN", name)
				}
			}
		}
		for _, name := range c.Effective {
			if !slices.Contains(c.Permitted, name) {
				return fmt.Errorf("process.capabilities: %s is effective, but not permitted", name)
			}
		}
	}
	return nil
}

// validateStrings refuses NUL bytes, at which the kernel would cut a string.
func validateStrings(s *specs.Spec) error {
	fields := map[string][]string{
		"process.args": s.Process.Args, "process.env": s.Process.Env,
		"process.cwd": {s.Process.Cwd}, "root.path": {s.Root.Path}, "hostname": {s.Hostname}, "domainname": {s.Domainname},
		"linux.maskedPaths": s.Linux.MaskedPaths, "linux.readonlyPaths": s.Linux.ReadonlyPaths,
	}
	for _, m := range s.Mounts {
		fields["mounts"] = append(append(fields["mounts"], m.Destination, m.Source, m.Type), m.Options...)
	}
	for _, n := range s.Linux.Namespaces {
		fields["linux.namespaces"] = append(fields["linux.namespaces"], n.Path)
	}
	for k, v := range s.Linux.Sysctl {
		fields["linux.sysctl"] = append(fields["linux.sysctl"], k, v)
	}
	for field, values := range fields {
		for _, v := range values {
			if strings.ContainsRune(v, 0) {
				return fmt.Errorf("%s: %q holds a NUL byte", field, v)
			}
		}
	}
	return nil
}

func validateNamespaces(s *specs.Spec) error {
	var seen []specs.LinuxNamespaceType
	for _, n := range s.Linux.Namespaces {
		if !slices.ContainsFunc(namespaceTypes, func(t namespaceType) bool { return t.name == n.Type }) {
			return fmt.Errorf("linux.namespaces: type %q is unknown: want cgroup, ipc, mount, network, pid, time, user or uts", n.Type)
		}
		if slices.Contains(seen, n.Type) {
			return fmt.Errorf("linux.namespaces: %s is there twice", n.Type)
		}
		if n.Path != "" && !path.IsAbs(n.Path) {
			return fmt.Errorf("linux.namespaces: path %q is not absolute", n.Path)
		}
		seen = append(seen, n.Type)
	}
	user := slices.IndexFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.UserNamespace })
	mapped := len(s.Linux.UIDMappings) > 0 && len(s.Linux.GIDMappings) > 0
	switch {
	case user >= 0 && s.Linux.Namespaces[user].Path == "" && !mapped:
		return errors.New("linux.uidMappings and linux.gidMappings are needed for a user namespace")
	case user < 0 && len(s.Linux.UIDMappings)+len(s.Linux.GIDMappings) > 0:
		return errors.New("linux.uidMappings without a user namespace")
	case (s.Hostname != "" || s.Domainname != "") && !spec.HasNamespace(s, specs.UTSNamespace):
		return errors.New("hostname without a uts namespace would change the host's")
	case len(s.Linux.TimeOffsets) > 0 && !spec.HasNamespace(s, specs.TimeNamespace):
		return errors.New("linux.timeOffsets without a time namespace")
	}
	return nil
}

func validateMounts(s *specs.Spec) error {
	mountNS := spec.HasNamespace(s, specs.MountNamespace)
	if !mountNS && len(s.Mounts)+len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths)+len(s.Linux.Sysctl) > 0 {
		return errors.New("mounts, maskedPaths, readonlyPaths and sysctl need a mount namespace: without one they would change the host")
	}
	if !mountNS && (s.Root.Readonly || s.Linux.RootfsPropagation != "") {
		return errors.New("root.readonly and rootfsPropagation need a mount namespace")
	}
	for _, p := range slices.Concat(s.Linux.MaskedPaths, s.Linux.ReadonlyPaths) {
		if !path.IsAbs(p) || path.Clean(p) == "/" {
			return fmt.Errorf("linux.maskedPaths, linux.readonlyPaths: want absolute paths below the root, not %q", p)
		}
	}
	for _, m := range s.Mounts {
		opts := parseMountOptions(m.Options)
		switch {
		case m.Destination == "":
			return fmt.Errorf("mounts: %s has no destination", cmp.Or(m.Source, m.Type, "one"))
		case path.Clean("/"+m.Destination) == "/":
			return fmt.Errorf("mounts: destination %q is the root", m.Destination)
		case isBind(m) && !path.IsAbs(m.Source):
			return fmt.Errorf("mounts: source %q of %s is not absolute", m.Source, m.Destination)
		case isBind(m) && opts.data != "":
			return fmt.Errorf("mounts: option %q of %s is unknown", opts.data, m.Destination)
		case !isBind(m) && m.Type == "bind":
			return fmt.Errorf("mounts: %s is of type bind, but has neither the option bind nor rbind", m.Destination)
		case !isBind(m) && m.Type == "":
			return fmt.Errorf("mounts: %s has no type", m.Destination)
		case !isBind(m) && (opts.set|opts.clear) != 0:
			return kernel.Unsupported("mounts: recursive options of %s, which is no bind mount", m.Destination)
		case len(m.UIDMappings)+len(m.GIDMappings) > 0:
			return kernel.Unsupported("mounts: id mapping of %s", m.Destination)
		}
	}
	return nil
}

type namespacedSysctl struct {
	prefix    string
	namespace specs.LinuxNamespaceType
}

// namespacedSysctls are the sysctls that belong to a namespace, by the start of their keys. All
// others are the host's, whoever writes them.
var namespacedSysctls = []namespacedSysctl{
	{"net.", specs.NetworkNamespace},
	{"kernel.msg", specs.IPCNamespace},
	{"kernel.sem", specs.IPCNamespace},
	{"kernel.shm", specs.IPCNamespace},
	{"fs.mqueue.", specs.IPCNamespace},
	{"kernel.domainname", specs.UTSNamespace},
	{"user.max_", specs.UserNamespace}, // namespaces(7): "The /proc/sys/user directory"
}

// ValidateSysctls refuses a sysctl that would be written to another namespace than one of the
// container's own: linux.sysctl as config-linux.md has it.
func ValidateSysctls(s *specs.Spec) error {
	for key := range s.Linux.Sysctl {
		if strings.Contains(key, "..") || strings.Contains(key, "/") {
			return fmt.Errorf("linux.sysctl: key %q is not one", key)
		}
		i := slices.IndexFunc(namespacedSysctls, func(n namespacedSysctl) bool { return strings.HasPrefix(key, n.prefix) })
		if i < 0 {
			return fmt.Errorf("linux.sysctl: %s belongs to no namespace: it would change the host", key)
		}
		if want := namespacedSysctls[i].namespace; !slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == want && n.Path == "" }) {
			return fmt.Errorf("linux.sysctl: %s without a new %s namespace would change another's", key, want)
		}
	}
	return nil
}

func validateDevices(s *specs.Spec) error {
	for _, d := range s.Linux.Devices {
		if _, ok := nodeTypes[d.Type]; !ok {
			return fmt.Errorf("linux.devices: type %q of %s is unknown: want b, c, u or p", d.Type, d.Path)
		}
		if !strings.HasPrefix(path.Clean(d.Path), "/dev/") || strings.ContainsRune(d.Path, 0) {
			return fmt.Errorf("linux.devices: path %q is not below /dev", d.Path)
		}
		// include/linux/kdev_t.h: 12 bits and 20.
		if d.Major>>12 != 0 || d.Minor>>20 != 0 {
			return fmt.Errorf("linux.devices: %s has the number %d:%d, want at most 4095:1048575", d.Path, d.Major, d.Minor)
		}
	}
	return nil
}

// validateHooks refuses hooks that would be looked up in the launcher's PATH, or never end.
func validateHooks(s *specs.Spec) error {
	for _, m := range []moment{createHooks, startedHooks, stoppedHooks} {
		for _, h := range hooksAt(s.Hooks, m) {
			if !path.IsAbs(h.Path) || strings.ContainsRune(h.Path, 0) {
				return fmt.Errorf("hooks: path %q is not absolute", h.Path)
			}
			if h.Timeout != nil && *h.Timeout <= 0 {
				return fmt.Errorf("hooks: timeout %d of %s is not above 0", *h.Timeout, h.Path)
			}
		}
	}
	return nil
}

// validateUnsupported names the parts of the runtime-spec that the core does not have.
func validateUnsupported(s *specs.Spec) error {
	h := s.Hooks
	for _, u := range []struct {
		there bool
		what  string
	}{
		{s.Linux.CgroupsPath != "", "linux.cgroupsPath: a container's cgroup lies below the launcher's and bears its name; leave the path out"},
		{h != nil && len(h.CreateContainer)+len(h.StartContainer) > 0, "hooks that run inside the container (createContainer, startContainer)"},
		{s.Process.ApparmorProfile != "", "process.apparmorProfile"},
		{s.Process.SelinuxLabel != "" || s.Linux.MountLabel != "", "SELinux labels"},
		{s.Process.Scheduler != nil, "process.scheduler"},
		{s.Process.IOPriority != nil, "process.ioPriority"},
		{s.Process.ExecCPUAffinity != nil, "process.execCPUAffinity"},
		{s.Linux.IntelRdt != nil, "linux.intelRdt"},
		{s.Linux.Personality != nil, "linux.personality"},
		{s.Linux.Seccomp != nil && s.Linux.Seccomp.ListenerPath != "", "linux.seccomp.listenerPath"},
		{len(s.Linux.NetDevices) > 0, "linux.netDevices"},
		{s.Linux.MemoryPolicy != nil, "linux.memoryPolicy"},
		{s.VM != nil || s.Windows != nil || s.Solaris != nil || s.ZOS != nil || s.FreeBSD != nil, "a platform other than linux"},
	} {
		if u.there {
			return kernel.Unsupported("%s", u.what)
		}
	}
	return nil
}
