package driver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// engine is podman(1) or docker(1), which are driven by nearly the same command line: create, start,
// container inspect, kill and rm. What differs is the dialect.
type engine struct {
	dialect
	path, version string
	under         *oci // what makes its containers; nil is that nobody knows
}

// engineWith makes the driver of an engine that answers.
func engineWith(d dialect) func(ctx context.Context, name, path string) (Runtime, error) {
	return func(ctx context.Context, name, path string) (Runtime, error) {
		v, err := d.ask(ctx, name, path)
		if err != nil {
			return nil, err
		}
		under, err := d.oci(ctx, path)
		if err != nil {
			return nil, err
		}
		d.name = name // it may have a label
		return &engine{dialect: d, path: path, version: v, under: under}, nil
	}
}

func (e *engine) Name() string { return e.name }

func (e *engine) Version(context.Context) (string, error) {
	if e.under == nil {
		return e.version, nil
	}
	return e.version + " with " + e.under.name + " " + e.under.version, nil
}

// Under returns the OCI runtime that makes the containers of an engine, with its version. It is nil of all else.
func Under(rt Runtime) (oci Runtime, version string) {
	if e, ok := rt.(*engine); ok && e.under != nil {
		return e.under, e.under.version
	}
	return nil, ""
}

// Copies reports whether a runtime runs a copy of the root directory: what its containers change is not seen
// there.
func Copies(rt Runtime) bool {
	e, ok := rt.(*engine)
	return ok && e.daemon || Machines(rt)
}

// Floor is where a mount namespace comes: an engine makes one always.
func (e *engine) Floor() spec.Rung { return spec.Namespaces }

func (e *engine) Lacks() spec.Edits {
	edits := append(without(e.lacks...), spec.Change("the mounts that "+e.name+" makes", e.ownMounts))
	if Older(e.version, e.newCapsSince) {
		edits = append(edits, spec.Change("no "+strings.Join(newCaps, ", "), func(s *specs.Spec) {
			if c := s.Process.Capabilities; c != nil {
				for _, set := range []*[]string{&c.Bounding, &c.Effective, &c.Permitted, &c.Inheritable, &c.Ambient} {
					*set = slices.DeleteFunc(*set, isNewCap)
				}
			}
		}))
	}
	if e.masked != nil {
		return append(edits, spec.Change(e.name+"'s masked paths", e.ownMasks))
	}
	return append(edits, spec.Change(Unfiltered, func(s *specs.Spec) {
		if spec.HasNamespace(s, specs.UserNamespace) && s.Linux.Resources != nil {
			s.Linux.Resources.Devices = nil
		}
	}))
}

// newCaps are the capabilities since Linux 5.8.
var newCaps = []string{"CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE"}

func isNewCap(name string) bool { return slices.Contains(newCaps, name) }

// Unfiltered is the name of what podman lacks where it has a user namespace: pkg/specgen/generate/oci_linux.go.
const Unfiltered = "no device filter in a user namespace"

// Expresses names what the command line cannot say, and what an engine does whatever it is told.
func (e *engine) Expresses(b Bundle) error {
	s := b.Spec
	c, user := s.Process.Capabilities, spec.HasNamespace(s, specs.UserNamespace)
	for _, no := range []struct {
		there bool
		what  string
	}{
		{len(b.Omit) > 0, "cannot leave out " + strings.Join(b.Omit, ", ") + ": that is a step of the core"},
		{b.From != "" && e.daemon, "makes its containers in the mounts of its daemon"},
		{s.Root.Path == "/", "makes no container in the host's root directory"},
		{len(s.Process.Args) == 0, "needs a program"},
		{s.Process.Terminal, "is given no terminal"},
		{s.Hooks != nil, "runs no hooks of a spec"},
		{s.Domainname != "", "sets no domain name"},
		{s.Process.ApparmorProfile != "" || s.Process.SelinuxLabel != "" || s.Linux.MountLabel != "", "is given no label of a security module"},
		{s.Linux.RootfsPropagation != "", "sets no propagation of the root directory"},
		{s.Linux.IntelRdt != nil || s.Linux.Personality != nil, "is given neither intelRdt nor personality"},
		{s.Process.User.Umask != nil && e.daemon, "sets no umask"},
		{s.Annotations[spec.DenySetgroups] != "", "cannot deny setgroups(2) in a new user namespace"},
		{withoutValue(s.Process.Env), "sets no variable without a value"},
		{!makes(s, specs.MountNamespace), "makes a mount namespace always"},
		{!makes(s, specs.IPCNamespace), "shows the host's /dev/shm with an ipc namespace that is not the container's own"},
		{user && !makes(s, specs.NetworkNamespace), "binds the host's /sys in a user namespace with another network"},
		{user && !makes(s, specs.PIDNamespace), "binds the host's /proc in a user namespace with other processes"},
		{s.Hostname != "" && !makes(s, specs.UTSNamespace), "sets a host name in a uts namespace of the container's own only"},
		{c == nil, "needs a list of capabilities"},
		{!oneSet(c), "has one set of capabilities for all"},
		{c != nil && Older(e.version, e.newCapsSince) && slices.ContainsFunc(c.Bounding, isNewCap), e.version + " knows none of " + strings.Join(newCaps, ", ")},
		{c != nil && len(c.Inheritable)+len(c.Ambient) > 0, "makes no capability of root's inheritable or ambient"},
		{c != nil && len(c.Bounding) > 0 && s.Process.User.UID != 0 && e.ambient, "makes the capabilities of a user that is not root ambient"},
	} {
		if no.there {
			return kernel.Unsupported("%s %s", e.name, no.what)
		}
	}
	types := []specs.LinuxNamespaceType{specs.MountNamespace, specs.PIDNamespace, specs.UTSNamespace, specs.IPCNamespace,
		specs.NetworkNamespace, specs.CgroupNamespace}
	if !slices.Contains(e.lacks, "user-namespace") {
		types = append(types, specs.UserNamespace)
	}
	if err := only(e.name, s, types...); err != nil {
		return err
	}
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" && (e.joins == "" || n.Type == specs.UserNamespace) {
			return kernel.Unsupported("%s joins no %s namespace", e.name, n.Type)
		}
	}
	if e.daemon {
		if err := imageable(s.Root.Path); err != nil {
			return fmt.Errorf("%s: %w", e.name, err)
		}
	}
	if err := e.under.unshown(b); err != nil {
		return err
	}
	_, err := e.options(b, "")
	return err
}
