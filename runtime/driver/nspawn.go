package driver

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// nspawn is systemd-nspawn(1), run by root without machined and without a unit of its own. It reads OCI
// bundles too, but fewer of a spec's fields than its options can say: how/systemd-nspawn.md.
//
// 252 has been run; what is said of newer ones, up to 260, is from their source (src/nspawn), which comments name by
// file.
type nspawn struct {
	path, version string
	held          []string // capabilities of ours
	run           string   // where it keeps something of each container
}

const (
	nspawnName = "systemd-nspawn"
	nspawnRun  = "/run/systemd/nspawn"
	// oldestNspawn is the oldest whose source was read.
	oldestNspawn = "252"
	// v2Nspawn takes /sys/fs/cgroup for cgroup v2 (systemd issue 23961: v1 went after 257).
	v2Nspawn = "258"
	// masksNspawn is the first that masks files of /proc: before, the mask was looked for where there was
	// none (systemd issue 40501; PR 40833 was merged after 259, the release is inferred).
	masksNspawn = "260"
)

func newNspawn(ctx context.Context, name, path string) (Runtime, error) {
	v, err := version(ctx, path)
	if err != nil {
		return nil, err
	}
	v = strings.Trim(v, "()") // systemd 252 (252.38-1~deb12u1)
	if Older(v, oldestNspawn) {
		return nil, &Unfit{Name: name, Why: fmt.Errorf("version %s is older than %s", v, oldestNspawn)}
	}
	held, err := kernel.HeldCapabilities()
	if err != nil {
		return nil, err
	}
	n := &nspawn{path: path, version: v, held: held, run: nspawnRun}
	return &tool{name: name, version: v, recipe: n}, nil
}

// Floor is where a mount namespace comes: it makes one always.
func (n *nspawn) Floor() spec.Rung { return spec.Namespaces }

func (n *nspawn) Lacks() spec.Edits {
	lacks := append(without("time-namespace", "limits", "device-filter"),
		spec.Change("a /run and a writable /sys/fs/cgroup of its own", func(s *specs.Spec) {
			for _, m := range nspawnMounts {
				if m.unasked {
					spec.WithMount(specs.Mount{Destination: m.at, Type: m.kind, Source: m.kind, Options: m.options}).Apply(s)
				}
			}
		}),
		spec.Change("the mount options that "+nspawnName+" has", nspawnOptions),
		spec.Change("a read-only /proc/sys", func(s *specs.Spec) { addPaths(&s.Linux.ReadonlyPaths, nspawnReadonly) }),
		spec.Change("nothing masked in /sys/devices and what else it shows of /sys", func(s *specs.Spec) {
			s.Linux.MaskedPaths = slices.DeleteFunc(s.Linux.MaskedPaths, nspawnShows)
		}),
		spec.Change("a seccomp filter of its own", func(s *specs.Spec) {
			if s.Linux.Seccomp != nil {
				s.Linux.Seccomp = nspawnFilter()
			}
		}),
	)
	if n.masks() {
		lacks = append(lacks, spec.Change("masks of its own in /proc", func(s *specs.Spec) { addPaths(&s.Linux.MaskedPaths, nspawnMasked) }))
	}
	return lacks
}

func (n *nspawn) masks() bool { return !Older(n.version, masksNspawn) }

// holds reports whether all of some paths are in a list.
func holds(list, paths []string) bool {
	return !slices.ContainsFunc(paths, func(p string) bool { return !slices.Contains(list, p) })
}

// addPaths adds those paths to a list that are not in it.
func addPaths(list *[]string, paths []string) {
	for _, p := range paths {
		if !slices.Contains(*list, p) {
			*list = append(*list, p)
		}
	}
}

func (n *nspawn) expresses(b Bundle) error {
	s := b.Spec
	_, lineErr := n.options(s)
	err := cmp.Or(lineErr, n.placeable(b), noLimits(nspawnName, s), only(nspawnName, s, specs.MountNamespace, specs.PIDNamespace,
		specs.UTSNamespace, specs.IPCNamespace, specs.NetworkNamespace, specs.CgroupNamespace, specs.UserNamespace))
	if err != nil {
		return err
	}
	user, p, c := spec.HasNamespace(s, specs.UserNamespace), s.Process, s.Process.Capabilities
	for _, no := range []struct {
		there bool
		what  string
	}{
		{!makes(s, specs.MountNamespace), "makes a mount namespace always"},
		{user && !makes(s, specs.PIDNamespace), "mounts a /proc, which in a user namespace takes a pid namespace too"},
		{makes(s, specs.UTSNamespace) && s.Hostname == "", "gives every container a host name"},
		{len(s.Linux.Sysctl) > 0, "sets no sysctl"},
		{len(s.Linux.Devices) > 0, "makes no devices but the default ones"},
		{p.User.Umask != nil && *p.User.Umask != 0o022, "sets a umask of 022 always"},
		{p.User.UID|p.User.GID != 0 || len(p.User.AdditionalGids) > 0, "asks getent(1) of the image for users and groups: root is all that it needs none for"},
		{s.Annotations[spec.DenySetgroups] != "", "does not deny setgroups(2)"},
		{c != nil && len(c.Inheritable)+len(c.Ambient) > 0, "makes capabilities inheritable together with the others"},
		{!oneSet(c), "has one set of capabilities for all"},
		{!holds(s.Linux.ReadonlyPaths, nspawnReadonly), "makes " + strings.Join(nspawnReadonly, ", ") + " read-only always"},
		{n.masks() && !holds(s.Linux.MaskedPaths, nspawnMasked), "masks " + strings.Join(nspawnMasked, ", ") + " always"},
	} {
		if no.there {
			return kernel.Unsupported("%s %s", nspawnName, no.what)
		}
	}
	for _, v := range p.Env {
		if !nspawnVariable().MatchString(v) {
			return kernel.Unsupported("%s sets no variable such as %.40q", nspawnName, v)
		}
	}
	return nil
}

// nspawnVariable matches what --setenv= takes, a C name and UTF-8: env_assignment_is_valid in
// src/basic/env-util.c.
var nspawnVariable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=[^\x00\x{fffd}]*$`)
})

func (n *nspawn) command(b Bundle, undo *cleanup.Stack) (launch, error) {
	s := b.Spec
	options, err := n.options(s)
	if err != nil {
		return launch{}, err
	}
	if err := makeUsr(s.Root.Path); err != nil {
		return launch{}, err
	}
	machine := machineName(b.ID)
	undo.Push("remove what "+nspawnName+" keeps of the container", func() error { return n.forget(machine) })
	beside := "" // the path of the container's group, where it makes more of that path
	undo.Push("remove the groups that "+nspawnName+" made", func() error {
		if beside == "" {
			return nil
		}
		return cgroup.RemoveAt(beside)
	})
	return launch{
		argv: slices.Concat([]string{n.path, "--machine=" + machine}, nspawnAlways, options, []string{"--"}, s.Process.Args),
		env:  nspawnEnv(s),
		place: func(own *cgroup.Group) (*cgroup.Group, error) {
			if len(own.Hierarchies()) > 1 {
				beside = v2Path(own)
			}
			return own, nil
		},
	}, nil
}
