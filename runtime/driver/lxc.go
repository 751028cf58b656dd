package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// lxc is lxc-execute(1): a configuration file for each container, lxc.container.conf(5), and a program that
// a small init of LXC's, lxc-init, starts as its child. 5.0.2 has been run; what is said of the source is of LXC
// 5.0 and 6.0.
type lxc struct {
	path     string
	apparmor bool // is on, so that LXC would confine what is not unconfined
	limits   bool // can be set: the host has cgroup v2 alone
}

// lxcSince is the first version with all that is asked for here, and with the order in which cgroups are made
// that lxcGroups rests on.
const lxcSince = "5.0"

func newLXC(ctx context.Context, name, path string) (Runtime, error) {
	v, err := version(ctx, path)
	if err != nil {
		return nil, err
	}
	if Older(v, lxcSince) {
		return nil, &Unfit{Name: name, Why: fmt.Errorf("it is of version %s: %s or newer is needed", v, lxcSince)}
	}
	tree, err := cgroup.Find()
	if err != nil {
		return nil, err
	}
	x := &lxc{path: path, limits: tree.Mode() == cgroup.V2}
	if err := tree.Close(); err != nil {
		return nil, err
	}
	enabled, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("ask whether AppArmor is on: %w", err)
	}
	x.apparmor = strings.HasPrefix(string(enabled), "Y")
	return &tool{name: name, version: v, recipe: x}, nil
}

// Floor is where a mount namespace comes: without one LXC would mount on the host.
func (x *lxc) Floor() spec.Rung { return spec.Namespaces }

func (x *lxc) Lacks() spec.Edits {
	var lacks spec.Edits
	if !x.limits {
		lacks = without("limits")
	}
	return append(lacks,
		spec.Change("the mount options of LXC's /dev", lxcDevOptions),
		spec.Change("a filter for all ABIs of the kernel", lxcFilter),
	)
}

func (x *lxc) expresses(b Bundle) error {
	s := b.Spec
	p, c := s.Process, s.Process.Capabilities
	user := spec.HasNamespace(s, specs.UserNamespace)
	rootless := func(list []specs.LinuxIDMapping) bool {
		return !slices.ContainsFunc(list, func(m specs.LinuxIDMapping) bool { return m.ContainerID == 0 && m.Size > 0 })
	}
	for _, no := range []struct {
		there bool
		what  string
	}{
		{!makes(s, specs.MountNamespace), "without a mount namespace would mount on the host"},
		{user && (rootless(s.Linux.UIDMappings) || rootless(s.Linux.GIDMappings)), "becomes root of a user namespace: it must map root"},
		{user && slices.ContainsFunc(s.Mounts, isOwnDev) && len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) == 0, "covers /proc/sys/kernel/random/boot_id always, which in a user namespace is a covered /proc"},
		{user && len(p.User.AdditionalGids) > 0, "drops all groups in a user namespace"},
		{s.Annotations[spec.DenySetgroups] != "", "cannot deny setgroups(2) in a new user namespace"},
		{p.User.Umask != nil, "sets no umask"},
		{c != nil && len(c.Inheritable)+len(c.Ambient) > 0, "makes no capability inheritable or ambient"},
		{!oneSet(c), "has one set of capabilities for all"},
		{withoutValue(p.Env), "takes a variable without a value from its own environment"},
		{len(s.Linux.Devices) > 0, "makes no devices but the default ones"},
		{len(s.Linux.Sysctl) > 0 && slices.ContainsFunc(s.Linux.ReadonlyPaths, coversSysctls), "sets sysctls when /proc/sys is read-only"},
		{slices.ContainsFunc(slices.Collect(maps.Values(s.Linux.TimeOffsets)), func(o specs.LinuxTimeOffset) bool { return o.Nanosecs != 0 }), "moves a clock by whole seconds"},
	} {
		if no.there {
			return kernel.Unsupported("lxc-execute %s", no.what)
		}
	}
	if err := core.ValidateSysctls(s); err != nil { // LXC writes them wherever they lead
		return kernel.Unsupported("lxc-execute: %v", err)
	}
	_, limitErr := lxcLimits(b)
	_, filterErr := lxcProfile(s.Linux.Seccomp)
	_, configErr := x.config(b, "/")
	return cmp.Or(limitErr, filterErr, configErr)
}

// coversSysctls reports whether a read-only path has sysctls in it: read-only paths are mounts, which LXC makes
// before it writes sysctls (lxc_setup in conf.c).
func coversSysctls(p string) bool {
	p = filepath.Clean(p)
	return p == "/proc" || p == "/proc/sys" || strings.HasPrefix(p, "/proc/sys/")
}

// Files in a container's directory, which is LXC's path too (-P): its log lies there.
const (
	lxcConfig  = "config"
	lxcFilters = "seccomp"
	lxcRoot    = "rootfs"
)

func (x *lxc) command(b Bundle, undo *cleanup.Stack) (l launch, err error) {
	dir, err := os.MkdirTemp(b.Dir, "lxc-")
	if err != nil {
		return l, fmt.Errorf("make the container's directory: %w", err)
	}
	undo.Push("remove the container's directory", func() error { return rootfs.Remove(dir) })
	undo.Push("remove LXC's directory for locks", func() error { return removeEmpty(lxcLocks, dir) })
	if err := makeBelow(lxcLocks, dir); err != nil {
		return l, fmt.Errorf("make LXC's directory for locks: %w", err)
	}
	// A mapped root must pass, which LXC asks first (do_start in start.c).
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, lxcRoot), 0o755)); err != nil {
		return l, fmt.Errorf("make the container's directory: %w", err)
	}
	config, err := x.config(b, dir)
	if err != nil {
		return l, err
	}
	profile, err := lxcProfile(b.Spec.Linux.Seccomp)
	if err != nil {
		return l, err
	}
	if err := os.WriteFile(filepath.Join(dir, lxcFilters), []byte(profile), 0o600); err != nil {
		return l, fmt.Errorf("write LXC's filter: %w", err)
	}
	l.place = func(own *cgroup.Group) (*cgroup.Group, error) {
		groups, err := lxcGroups(own)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, lxcConfig), []byte(config+groups), 0o600); err != nil {
			return nil, fmt.Errorf("write LXC's configuration: %w", err)
		}
		// What has groups below it may hold no process: cgroups(7), the no internal processes rule.
		leaf, err := own.Create("lxc-execute", cgroup.Limits{})
		if err == nil {
			undo.Push("remove the cgroup that lxc-execute starts in", leaf.Close)
		}
		return leaf, err
	}
	if l.hide, err = cgroupV1Mounts(); err != nil {
		return l, err
	}
	name := b.ID
	if core.ValidID(name) != nil {
		name = filepath.Base(dir)
	}
	l.argv = slices.Concat([]string{x.path, "-n", name, "-P", dir, "-f", filepath.Join(dir, lxcConfig), "--"}, b.Spec.Process.Args)
	// Without PATH it finds no newuidmap(1), which would insist on ids of /etc/subuid: root maps any.
	l.env = []string{}
	l.init = true
	l.apart = true // it may end by kill(0, ...) where its init was killed: main in lxc_execute.c
	return l, nil
}

// lxcLocks is where LXC makes a directory for the locks of each path (lxclock_name in lxclock.c), and leaves it.
const lxcLocks = "/run/lxc/lock"

// makeBelow makes the directory of that path below base. LXC would, but it asks once for each that is above, and
// removeEmpty may take one away in between that another container does not need any more.
func makeBelow(base, path string) error {
	const races = 1000 // that can be lost; each time somebody else has got on
	var err error
	for range races {
		// One that goes as MkdirAll looks what it is exists, it says.
		if err = os.MkdirAll(filepath.Join(base, path), 0o755); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return err
}

// removeEmpty removes the directory of that path below base, and those above it that are empty then.
func removeEmpty(base, path string) error {
	for ; path != "/"; path = filepath.Dir(path) {
		err := os.Remove(filepath.Join(base, path))
		switch {
		case err == nil, errors.Is(err, os.ErrNotExist):
		case errors.Is(err, os.ErrExist): // ENOTEMPTY: others are there
			return nil
		default:
			return err
		}
	}
	return nil
}
