package driver

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// bwrap is bubblewrap, bwrap(1). With a user namespace it is run as its users do: by an unprivileged
// user of the host, the one that the container's user is mapped to. Without one it needs root.
type bwrap struct {
	path string
	held []string // capabilities of ours
}

func newBwrap(ctx context.Context, name, path string) (Runtime, error) {
	v, err := version(ctx, path)
	if err != nil {
		return nil, err
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	return &tool{name: name, version: v, recipe: &bwrap{path: path, held: held}}, nil
}

// Floor is where a mount namespace comes: bwrap makes one whatever it is told.
func (w *bwrap) Floor() spec.Rung { return spec.Namespaces }

// covered are the paths that bwrap makes read-only with every /proc that it mounts as root: setup_newroot
// in bubblewrap.c.
var covered = []string{"/proc/bus", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

func (w *bwrap) Lacks() spec.Edits {
	return append(without("time-namespace", "limits", "device-filter", "rlimits", "sysfs"),
		spec.Change("no_new_privs", func(s *specs.Spec) { s.Process.NoNewPrivileges = true }),
		spec.Change("a read-only /proc/sys", func(s *specs.Spec) {
			for _, p := range covered {
				if !slices.Contains(s.Linux.ReadonlyPaths, p) {
					s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, p)
				}
			}
		}),
		spec.Change("the mount options that bwrap has", bwrapOptions),
	)
}

func (w *bwrap) expresses(b Bundle) error {
	s := b.Spec
	_, mountErr := w.mounts(b)
	_, filterErr := compiled(s)
	_, _, idErr := hostIDs(s)
	err := cmp.Or(mountErr, filterErr, idErr, noLimits("bwrap", s), only("bwrap", s, specs.MountNamespace, specs.PIDNamespace,
		specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace, specs.UserNamespace))
	if err != nil {
		return err
	}
	user := spec.HasNamespace(s, specs.UserNamespace)
	proc := slices.ContainsFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "proc" })
	uncovered := slices.ContainsFunc(covered, func(p string) bool { return !slices.Contains(s.Linux.ReadonlyPaths, p) })
	c := s.Process.Capabilities
	for _, no := range []struct {
		there bool
		what  string
	}{
		{!makes(s, specs.MountNamespace), "makes a mount namespace always"},
		{!s.Process.NoNewPrivileges, "sets no_new_privs always"},
		{len(s.Process.Rlimits) > 0, "sets no rlimits"},
		{len(s.Linux.Sysctl) > 0, "sets no sysctl"},
		{len(s.Linux.Devices) > 0, "makes no devices but the default ones"},
		{s.Process.User.Umask != nil, "sets no umask"},
		{len(s.Process.User.AdditionalGids) > 0, "sets no supplementary groups"},
		{!user && s.Process.User.UID|s.Process.User.GID != 0, "changes the user by a user namespace only"},
		{!user && s.Annotations[spec.DenySetgroups] != "", "denies setgroups(2) in a user namespace only"},
		{!user && proc && uncovered, "makes " + strings.Join(covered, ", ") + " read-only always"},
		{c != nil && len(c.Inheritable)+len(c.Ambient) > 0, "makes capabilities inheritable and ambient together with the others"},
		{!oneSet(c), "has one set of capabilities for all"},
		{withoutValue(s.Process.Env), "sets no variable without a value"},
	} {
		if no.there {
			return kernel.Unsupported("bwrap %s", no.what)
		}
	}
	return nil
}

// unshares are bwrap's options for namespaces.
var unshares = []struct {
	namespace specs.LinuxNamespaceType
	option    string
}{
	{specs.UserNamespace, "--unshare-user"},
	{specs.PIDNamespace, "--unshare-pid"},
	{specs.UTSNamespace, "--unshare-uts"},
	{specs.IPCNamespace, "--unshare-ipc"},
	{specs.NetworkNamespace, "--unshare-net"},
	{specs.CgroupNamespace, "--unshare-cgroup"},
}

// seccompFD is the first of a launch's files.
const seccompFD = "3"

func (w *bwrap) command(b Bundle, undo *cleanup.Stack) (l launch, err error) {
	s := b.Spec
	a := []string{w.path, "--die-with-parent", "--new-session"}
	for _, u := range unshares {
		if makes(s, u.namespace) {
			a = append(a, u.option)
		}
	}
	if makes(s, specs.PIDNamespace) {
		a = append(a, "--as-pid-1")
	}
	if makes(s, specs.UserNamespace) {
		if l.as, err = mappedUser(s); err != nil {
			return l, err
		}
		a = append(a, "--uid", strconv.FormatUint(uint64(s.Process.User.UID), 10), "--gid", strconv.FormatUint(uint64(s.Process.User.GID), 10))
	}
	if s.Hostname != "" {
		a = append(a, "--hostname", s.Hostname)
	}
	mounts, err := w.mounts(b)
	if err != nil {
		return l, err
	}
	a = append(a, mounts...)
	a = append(a, bwrapCovers(s)...)
	a = append(a, "--chdir", s.Process.Cwd, "--clearenv")
	for _, v := range s.Process.Env {
		name, value, _ := strings.Cut(v, "=")
		a = append(a, "--setenv", name, value)
	}
	if c := s.Process.Capabilities; c != nil && (l.as != nil || len(c.Bounding) < len(w.held)) {
		a = append(a, "--cap-drop", "ALL")
		for _, name := range c.Bounding {
			a = append(a, "--cap-add", name)
		}
	}
	program, err := compiled(s)
	if err != nil {
		return l, err
	}
	if program != nil {
		file, err := inMemory("seccomp", program)
		if err != nil {
			return l, err
		}
		undo.Push("close the filter", file.Close)
		l.files = []*os.File{file}
		a = append(a, "--seccomp", seccompFD)
	}
	l.argv = slices.Concat(a, []string{"--"}, s.Process.Args)
	return l, nil
}
