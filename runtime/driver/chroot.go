package driver

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// chroot is chroot(1) of the GNU coreutils: a root directory, a user and its groups, and nothing else.
type chroot struct{ path string }

func newChroot(ctx context.Context, name, path string) (Runtime, error) {
	v, err := fitVersion(ctx, name, path)
	if err != nil {
		return nil, err
	}
	return &tool{name: name, version: v, recipe: &chroot{path}}, nil
}

func (c *chroot) Floor() spec.Rung { return spec.Chroot }

// Lacks all that comes after a root directory.
func (c *chroot) Lacks() spec.Edits { return without(partNames()...) }

func (c *chroot) expresses(b Bundle) error {
	s := b.Spec
	for _, no := range []struct {
		there bool
		what  string
	}{
		{len(s.Mounts)+len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0 || s.Root.Readonly, "mounts nothing"},
		{slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Path == "" }), "makes no namespaces"},
		{s.Process.Cwd != "/", "starts in the root directory always"},
		{s.Process.User.Umask != nil, "sets no umask"},
		{s.Process.NoNewPrivileges, "sets no no_new_privs"},
		{s.Linux.Seccomp != nil, "loads no seccomp filter"},
		{len(s.Process.Rlimits) > 0, "sets no rlimits"},
		{len(s.Linux.Sysctl) > 0, "sets no sysctl"},
		{len(s.Linux.Devices) > 0, "makes no devices"},
		{s.Annotations[spec.DenySetgroups] != "", "denies no setgroups(2)"},
	} {
		if no.there {
			return kernel.Unsupported("chroot %s", no.what)
		}
	}
	return cmp.Or(noLimits("chroot", s), keepsAll("chroot", s))
}

// keepsAll says that a container keeps the capabilities of its launcher.
func keepsAll(name string, s *specs.Spec) error {
	c := s.Process.Capabilities
	if c == nil {
		return nil
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return err
	}
	if len(c.Bounding) < len(held) || !oneSet(c) || len(c.Inheritable)+len(c.Ambient) > 0 {
		return kernel.Unsupported("%s takes no capability away, and gives none", name)
	}
	return nil
}

func (c *chroot) command(b Bundle, _ *cleanup.Stack) (launch, error) {
	s := b.Spec
	u := s.Process.User
	groups := make([]string, len(u.AdditionalGids))
	for i, g := range u.AdditionalGids {
		groups[i] = decimal(g)
	}
	a := []string{c.path, "--groups=" + strings.Join(groups, ",")}
	if u.UID|u.GID != 0 {
		a = append(a, "--userspec=+"+decimal(u.UID)+":+"+decimal(u.GID)) // chroot(1): no names
	}
	return launch{argv: slices.Concat(a, []string{s.Root.Path}, s.Process.Args), env: append([]string{}, s.Process.Env...)}, nil
}

func decimal(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
