package driver

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
)

// nspawnAlways keeps machined, systemd, settings files and the host's own files out of it, and passes the
// standard streams on as they are.
var nspawnAlways = []string{
	"--quiet", "--register=no", "--keep-unit", "--settings=no", "--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
}

// nspawnShares are the variables that leave a container in a namespace of the host's, docs/ENVIRONMENT.md
// and parse_environment in nspawn.c; without them it makes these four.
var nspawnShares = []struct {
	namespace specs.LinuxNamespaceType
	variable  string
}{
	{specs.PIDNamespace, "SYSTEMD_NSPAWN_SHARE_NS_PID=1"},
	{specs.IPCNamespace, "SYSTEMD_NSPAWN_SHARE_NS_IPC=1"},
	{specs.UTSNamespace, "SYSTEMD_NSPAWN_SHARE_NS_UTS=1"},
	{specs.CgroupNamespace, "SYSTEMD_NSPAWN_USE_CGNS=0"},
}

// nspawnEnv is the environment of nspawn itself, of which the container sees nothing but TERM.
func nspawnEnv(s *specs.Spec) []string {
	env := []string{
		"SYSTEMD_NSPAWN_LOCK=0",              // no lock files beside the root directory and in /run
		"SYSTEMD_NSPAWN_TMPFS_TMP=0",         // /tmp is as the spec says
		"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", // not what the systemd of an image would like, which has none
	}
	for _, share := range nspawnShares {
		if !makes(s, share.namespace) {
			env = append(env, share.variable)
		}
	}
	if s.Linux.Seccomp == nil {
		env = append(env, "SYSTEMD_SECCOMP=0")
	}
	return env
}

// options are those that the spec decides.
func (n *nspawn) options(s *specs.Spec) ([]string, error) {
	ids, err := nspawnIDs(s)
	if err != nil {
		return nil, err
	}
	calls, err := nspawnCalls(s.Linux.Seccomp)
	if err != nil {
		return nil, err
	}
	mounts, err := nspawnMountOptions(s)
	if err != nil {
		return nil, err
	}
	a := []string{"--directory=" + s.Root.Path, ids}
	if s.Root.Readonly {
		a = append(a, "--read-only")
	}
	if makes(s, specs.NetworkNamespace) {
		a = append(a, "--private-network")
	}
	if s.Hostname != "" {
		a = append(a, "--hostname="+s.Hostname)
	}
	a = append(a, mounts...)
	a = append(a, "--chdir="+s.Process.Cwd)
	for _, v := range s.Process.Env {
		a = append(a, "--setenv="+v)
	}
	for _, l := range s.Process.Rlimits {
		a = append(a, fmt.Sprintf("--rlimit=%s=%s:%s", strings.TrimPrefix(l.Type, "RLIMIT_"), nspawnLimit(l.Soft), nspawnLimit(l.Hard)))
	}
	a = append(a, n.capabilities(s.Process.Capabilities)...)
	a = append(a, "--no-new-privileges="+yesNo(s.Process.NoNewPrivileges))
	if len(calls) > 0 {
		a = append(a, "--system-call-filter="+strings.Join(calls, " "))
	}
	return a, nil
}

func nspawnLimit(n uint64) string {
	if n == ^uint64(0) {
		return "infinity"
	}
	return strconv.FormatUint(n, 10)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// nspawnIDs is the user namespace: one range from 0, the same for users and groups.
func nspawnIDs(s *specs.Spec) (string, error) {
	if !makes(s, specs.UserNamespace) {
		return "--private-users=no", nil
	}
	m := s.Linux.UIDMappings
	if len(m) != 1 || !slices.Equal(m, s.Linux.GIDMappings) || m[0].ContainerID != 0 || m[0].Size == 0 {
		return "", kernel.Unsupported("%s maps one range of ids from 0, the same for users and groups", nspawnName)
	}
	return fmt.Sprintf("--private-users=%d:%d", m[0].HostID, m[0].Size), nil
}

// capabilities names those to keep beyond nspawn's own list, and all others to lose: it keeps CAP_NET_ADMIN too where
// the network is the container's own, and a user namespace gives what the launcher itself does not have.
func (n *nspawn) capabilities(c *specs.LinuxCapabilities) []string {
	keep := n.held
	if c != nil {
		keep = c.Bounding
	}
	drop := slices.DeleteFunc(kernel.Capabilities(), func(name string) bool { return slices.Contains(keep, name) })
	var a []string
	if len(keep) > 0 {
		a = append(a, "--capability="+strings.Join(keep, ","))
	}
	if len(drop) > 0 {
		a = append(a, "--drop-capability="+strings.Join(drop, ","))
	}
	return a
}

// nspawnSet stands in a spec for the calls that nspawn's own filter lets pass: nspawn-seccomp.c. It is the
// name of no system call.
const nspawnSet = "@systemd-nspawn"

// nspawnFilter is its own filter, in a spec's words.
func nspawnFilter() *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{nspawnSet}, Action: specs.ActAllow}},
	}
}

// nspawnCalls are those that pass beyond its own filter. It has no other: one that is not there is turned
// off by a variable.
func nspawnCalls(f *specs.LinuxSeccomp) ([]string, error) {
	if f == nil {
		return nil, nil
	}
	var names []string
	plain := f.DefaultAction == specs.ActErrno && f.DefaultErrnoRet == nil && len(f.Architectures)+len(f.Flags) == 0 && f.ListenerPath == ""
	for _, r := range f.Syscalls {
		plain = plain && r.Action == specs.ActAllow && r.ErrnoRet == nil && len(r.Args) == 0
		names = append(names, r.Names...)
	}
	if !plain || !slices.Contains(names, nspawnSet) {
		return nil, kernel.Unsupported("%s loads a seccomp filter of its own, to which calls can be added", nspawnName)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == nspawnSet }), nil
}

// lies reports whether a path is another or lies below it.
func lies(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }
