package driver

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// engineNamespaces are the options for namespaces, and what asks for one of the container's own: empty is
// the default.
var engineNamespaces = []struct {
	namespace   specs.LinuxNamespaceType
	option, own string
}{
	{specs.PIDNamespace, "--pid", ""},
	{specs.UTSNamespace, "--uts", ""},
	{specs.IPCNamespace, "--ipc", "private"},
	{specs.NetworkNamespace, "--network", "none"},
	{specs.CgroupNamespace, "--cgroupns", "private"},
}

// The files of a container's directory that options name.
const seccompFile = "seccomp.json"

func deviceFile(i int) string { return "device-" + strconv.Itoa(i) }

// options are those of create for a container whose files are in a directory, but for its name, cgroup and
// image.
func (e *engine) options(b Bundle, dir string) ([]string, error) {
	s := b.Spec
	a := slices.Clone(e.always)
	if b.Stdin != nil {
		a = append(a, "--interactive")
	}
	a = append(a, e.namespaceOptions(s)...)
	p := s.Process
	a = append(a, "--workdir="+p.Cwd, "--user="+decimal(p.User.UID)+":"+decimal(p.User.GID))
	for _, g := range p.User.AdditionalGids {
		a = append(a, "--group-add="+decimal(g))
	}
	if u := p.User.Umask; u != nil {
		a = append(a, fmt.Sprintf("--umask=%04o", *u))
	}
	for _, v := range p.Env {
		a = append(a, "--env="+v)
	}
	if n := p.OOMScoreAdj; n != nil {
		a = append(a, "--oom-score-adj="+strconv.Itoa(*n))
	}
	if s.Hostname != "" {
		a = append(a, "--hostname="+s.Hostname)
	}
	if s.Root.Readonly {
		a = append(a, "--read-only")
	}
	for _, part := range []func() ([]string, error){
		func() ([]string, error) { return e.securityOptions(s, dir) },
		func() ([]string, error) { return e.sysctlOptions(s) },
		func() ([]string, error) { return e.deviceOptions(s, dir) },
		func() ([]string, error) { return e.mountOptions(s) },
		func() ([]string, error) { return e.limitOptions(b) },
	} {
		more, err := part()
		if err != nil {
			return nil, err
		}
		a = append(a, more...)
	}
	return append(a, e.rlimitOptions(p.Rlimits)...), nil
}

func (e *engine) namespaceOptions(s *specs.Spec) []string {
	var a []string
	for _, n := range engineNamespaces {
		value := "host"
		for _, there := range s.Linux.Namespaces {
			switch {
			case there.Type != n.namespace:
			case there.Path != "":
				value = e.joins + there.Path
			default:
				value = n.own
			}
		}
		if value != "" {
			a = append(a, n.option+"="+value)
		}
	}
	if !makes(s, specs.NetworkNamespace) {
		a = append(a, e.networked...)
	}
	if !spec.HasNamespace(s, specs.UserNamespace) {
		return append(a, "--userns=host")
	}
	for _, kind := range []struct {
		option   string
		mappings []specs.LinuxIDMapping
	}{{"--uidmap", s.Linux.UIDMappings}, {"--gidmap", s.Linux.GIDMappings}} {
		for _, m := range kind.mappings {
			a = append(a, kind.option+"="+decimal(m.ContainerID)+":"+decimal(m.HostID)+":"+decimal(m.Size))
		}
	}
	return a
}

func (e *engine) securityOptions(s *specs.Spec, dir string) ([]string, error) {
	a := append([]string{"--security-opt=label=disable", "--security-opt=apparmor=unconfined"}, e.privileges[s.Process.NoNewPrivileges]...)
	if c := s.Process.Capabilities; c != nil {
		a = append(a, "--cap-drop=ALL")
		for _, name := range c.Bounding {
			a = append(a, "--cap-add="+name)
		}
	}
	masks, err := e.masks(s.Linux.MaskedPaths, s.Linux.ReadonlyPaths)
	if err != nil {
		return nil, err
	}
	a = append(a, masks...)
	f := s.Linux.Seccomp
	switch {
	case f == nil:
		return append(a, "--security-opt=seccomp=unconfined"), nil
	case f.ListenerPath != "":
		return nil, kernel.Unsupported("%s is given no listener of a seccomp filter", e.name)
	case Older(e.version, e.seccompSince) && (len(f.Flags) > 0 || f.DefaultErrnoRet != nil && *f.DefaultErrnoRet != uint(unix.EPERM)):
		return nil, kernel.Unsupported("%s %s passes flags and defaultErrnoRet of a seccomp filter over: it takes them since %s", e.name, e.version, e.seccompSince)
	}
	return append(a, "--security-opt=seccomp="+filepath.Join(dir, seccompFile)), nil
}

// engineSysctls are those of an ipc namespace that can be set, besides net.* and fs.mqueue.*: docker's
// opts.ValidateSysctl and podman's util.ValidateSysctls.
var engineSysctls = []string{
	"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
}

func (e *engine) sysctlOptions(s *specs.Spec) ([]string, error) {
	all := map[string]string{}
	if makes(s, specs.NetworkNamespace) {
		maps.Copy(all, e.sysctls)
	}
	maps.Copy(all, s.Linux.Sysctl)
	var a []string
	for _, key := range slices.Sorted(maps.Keys(all)) {
		net := strings.HasPrefix(key, "net.")
		if !net && !strings.HasPrefix(key, "fs.mqueue.") && !slices.Contains(engineSysctls, key) {
			return nil, kernel.Unsupported("%s sets no sysctl such as %s", e.name, key)
		}
		if net && !makes(s, specs.NetworkNamespace) {
			return nil, kernel.Unsupported("%s sets %s in a network namespace of the container's own only", e.name, key)
		}
		a = append(a, "--sysctl="+e.listed(key+"="+all[key]))
	}
	return a, nil
}

// rlimitOptions gives the launcher's own limits for those that an engine raises otherwise. Podman lowers its own of
// processes to kernel.pid_max (containers/common, pkg/config/default_linux.go), above which root without
// CAP_SYS_RESOURCE can give none.
func (e *engine) rlimitOptions(limits []specs.POSIXRlimit) []string {
	var a []string
	for _, l := range limits {
		a = append(a, rlimitOption(strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")), l.Soft, l.Hard))
	}
	for _, own := range []struct {
		name     string
		resource int
	}{{"nofile", unix.RLIMIT_NOFILE}, {"nproc", unix.RLIMIT_NPROC}} {
		var l unix.Rlimit
		most := uint64(math.MaxUint64)
		if n, err := kernel.SysctlInt("kernel.pid_max"); own.resource == unix.RLIMIT_NPROC && err == nil {
			most = uint64(n)
		}
		given := slices.ContainsFunc(a, func(o string) bool { return strings.HasPrefix(o, "--ulimit="+own.name+"=") })
		if slices.Contains(e.limits, own.name) && !given && unix.Getrlimit(own.resource, &l) == nil {
			a = append(a, rlimitOption(own.name, min(l.Cur, most), min(l.Max, most)))
		}
	}
	return a
}

// rlimitOption writes no limit as -1: docker/go-units, ParseUlimit.
func rlimitOption(name string, soft, hard uint64) string {
	return fmt.Sprintf("--ulimit=%s=%d:%d", name, int64(soft), int64(hard))
}
