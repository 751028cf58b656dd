package driver

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// unshare is the container by hand: unshare(1) for the namespaces, a shell that mounts, and a change of
// the root directory last. What else is needed comes from util-linux as well.
type unshare struct {
	path string
	aids map[string]string // programs by their names
	held int               // capabilities of ours
}

// aids are the programs beside unshare that the container takes: those of the shell's script are
// looked for where it runs.
var aids = []string{"sh", "setpriv", "setsid", "env", "prlimit", "mount", "hostname", "mkdir", "ln"}

// Aids are further programs of the host that a runtime of that name starts.
func Aids(name string) []string {
	if name == "unshare" {
		return slices.Clone(aids)
	}
	return nil
}

func newUnshare(ctx context.Context, name, path string) (Runtime, error) {
	v, err := fitVersion(ctx, name, path)
	if err != nil {
		return nil, err
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	u := &unshare{path: path, aids: map[string]string{}, held: len(held)}
	for _, aid := range aids {
		if u.aids[aid], err = exec.LookPath(aid); err != nil {
			return nil, &Unfit{Name: name, Why: fmt.Errorf("it needs %s: %w", aid, err)}
		}
	}
	return &tool{name: name, version: v, recipe: u}, nil
}

// Floor is where a mount namespace comes: without one it would mount on the host.
func (u *unshare) Floor() spec.Rung { return spec.Namespaces }

// chrootCapability is what the last step before the program needs, and the program then has.
const chrootCapability = "CAP_SYS_CHROOT"

func (u *unshare) Lacks() spec.Edits {
	return append(without("limits", "device-filter", "seccomp"), spec.WithCapability(chrootCapability))
}

func (u *unshare) expresses(b Bundle) error {
	s := b.Spec
	user := spec.HasNamespace(s, specs.UserNamespace)
	p, c := s.Process, s.Process.Capabilities
	for _, no := range []struct {
		there bool
		what  string
	}{
		{!makes(s, specs.MountNamespace), "without a mount namespace would mount on the host"},
		{s.Linux.Seccomp != nil, "loads no seccomp filter"},
		{user && p.User.UID|p.User.GID != 0, "maps the container's root alone"},
		{!user && p.User.UID|p.User.GID != 0 && !may(c, "CAP_SETUID", "CAP_SETGID"), "needs CAP_SETUID and CAP_SETGID to change the user last"},
		{user && len(p.User.AdditionalGids) > 0, "can set no groups in a user namespace of one"},
		{user && len(s.Linux.Devices) > 0, "makes no devices in a user namespace"},
		{slices.ContainsFunc(s.Linux.Devices, func(d specs.LinuxDevice) bool { return d.UID != nil || d.GID != nil }), "makes devices that are root's"},
		{!user && s.Annotations[spec.DenySetgroups] != "", "denies setgroups(2) in a user namespace only"},
		{c != nil && len(c.Inheritable)+len(c.Ambient) > 0, "makes no capability inheritable or ambient"},
		{!may(c, chrootCapability), "needs " + chrootCapability + " to change the root directory last"},
		{!oneSet(c), "has one set of capabilities for all"},
		{withoutValue(p.Env), "sets no variable without a value"},
		{slices.ContainsFunc(slices.Collect(maps.Values(s.Linux.TimeOffsets)), func(o specs.LinuxTimeOffset) bool { return o.Nanosecs != 0 }), "moves a clock by whole seconds"},
	} {
		if no.there {
			return kernel.Unsupported("unshare %s", no.what)
		}
	}
	if err := core.ValidateSysctls(s); err != nil { // the script writes them wherever it is
		return kernel.Unsupported("unshare: %v", err)
	}
	_, err := u.script(s)
	_, _, idErr := hostIDs(s)
	return cmp.Or(err, idErr, noLimits("unshare", s), only("unshare", s, specs.MountNamespace, specs.PIDNamespace, specs.UTSNamespace,
		specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace, specs.UserNamespace, specs.TimeNamespace))
}

// may reports whether a program has capabilities; one without a list keeps all.
func may(c *specs.LinuxCapabilities, names ...string) bool {
	return c == nil || !slices.ContainsFunc(names, func(n string) bool { return !slices.Contains(c.Bounding, n) })
}

// ofUnshare are unshare's options for namespaces. The user namespace comes with its mapping.
var ofUnshare = []struct {
	namespace specs.LinuxNamespaceType
	option    string
}{
	{specs.PIDNamespace, "--pid"},
	{specs.UTSNamespace, "--uts"},
	{specs.IPCNamespace, "--ipc"},
	{specs.NetworkNamespace, "--net"},
	{specs.CgroupNamespace, "--cgroup"},
	{specs.TimeNamespace, "--time"},
}

func (u *unshare) command(b Bundle, _ *cleanup.Stack) (launch, error) {
	s := b.Spec
	script, err := u.script(s)
	if err != nil {
		return launch{}, err
	}
	var a []string
	if makes(s, specs.UserNamespace) {
		uid, gid, err := hostIDs(s)
		if err != nil {
			return launch{}, err
		}
		groups := "--clear-groups"
		if s.Annotations[spec.DenySetgroups] != "" {
			groups = "--keep-groups"
		}
		a = append(a, u.aids["setpriv"], "--reuid", decimal(uid), "--regid", decimal(gid), groups, "--pdeathsig", "KILL", "--")
	}
	a = append(a, u.path, "--mount", "--propagation", "private", "--fork", "--kill-child")
	if makes(s, specs.UserNamespace) {
		a = append(a, "--map-root-user")
	}
	for _, o := range ofUnshare {
		if makes(s, o.namespace) {
			a = append(a, o.option)
		}
	}
	for _, clock := range slices.Sorted(maps.Keys(s.Linux.TimeOffsets)) {
		a = append(a, "--"+clock, strconv.FormatInt(s.Linux.TimeOffsets[clock].Secs, 10))
	}
	a = append(a, u.aids["sh"], "-c", script, "sh")
	return launch{argv: slices.Concat(a, u.last(s), s.Process.Args)}, nil
}

// last are the programs that the shell becomes one after the other, each of which sets something of the
// process and then executes the next. None but the last is in the container's root directory.
func (u *unshare) last(s *specs.Spec) []string {
	p := s.Process
	a := slices.Concat([]string{u.aids["setsid"], u.aids["env"], "-i", "--"}, p.Env)
	if len(p.Rlimits) > 0 {
		a = append(a, u.aids["prlimit"])
		for _, l := range p.Rlimits {
			name := strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_"))
			a = append(a, fmt.Sprintf("--%s=%s:%s", name, rlimit(l.Soft), rlimit(l.Hard)))
		}
		a = append(a, "--")
	}
	a = append(a, u.privileges(s)...)
	a = append(a, u.path, "--root="+s.Root.Path, "--wd="+p.Cwd)
	if p.User.UID|p.User.GID != 0 {
		a = append(a, "--setgid", decimal(p.User.GID), "--setuid", decimal(p.User.UID))
	}
	return append(a, "--")
}

func rlimit(n uint64) string {
	if n == ^uint64(0) {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// privileges is setpriv(1), where there is anything for it to do.
func (u *unshare) privileges(s *specs.Spec) []string {
	p := s.Process
	a := []string{u.aids["setpriv"]}
	switch {
	case makes(s, specs.UserNamespace): // its groups cannot be changed any more
	case len(p.User.AdditionalGids) > 0:
		var groups []string
		for _, g := range p.User.AdditionalGids {
			groups = append(groups, decimal(g))
		}
		a = append(a, "--groups", strings.Join(groups, ","))
	default:
		a = append(a, "--clear-groups")
	}
	if p.NoNewPrivileges {
		a = append(a, "--no-new-privs")
	}
	if c := p.Capabilities; c != nil && len(c.Bounding) < u.held {
		sets := []string{"-all"}
		for _, name := range c.Bounding {
			sets = append(sets, "+"+strings.ToLower(strings.TrimPrefix(name, "CAP_")))
		}
		a = append(a, "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set="+strings.Join(sets, ","))
	}
	if len(a) == 1 {
		return nil
	}
	return append(a, "--")
}
