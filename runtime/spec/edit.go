package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Edit is one named change of a spec. Its name completes "with ...": "the host's pid namespace".
type Edit struct {
	Name string
	// Apply changes the spec in place. Nil for an edit that no spec can express.
	Apply func(*specs.Spec)
	// Omit names the steps of the core's plan (Step.ID) that are left out: the edit of a
	// guarantee that rests on the runtime's own behaviour. No other runtime can express it.
	Omit []string
	// OnCore edits take a barrier away from the core alone: another runtime may have a second
	// one of the kind, pass over an edit that it does not understand, or then do harm to the host.
	OnCore bool
}

// OnCore marks an edit so.
func OnCore(e Edit) Edit {
	e.OnCore = true
	return e
}

// Edits is a list of edits in the order in which they apply.
type Edits []Edit

// Apply changes a deep copy of s and returns it with all omitted steps.
func (e Edits) Apply(s *specs.Spec) (*specs.Spec, []string) {
	out := Clone(s)
	var omit []string
	for _, edit := range e {
		if edit.Apply != nil {
			edit.Apply(out)
		}
		omit = append(omit, edit.Omit...)
	}
	return out, omit
}

// Clone returns a deep copy.
func Clone(s *specs.Spec) *specs.Spec {
	// The spec is JSON by definition, so this loses nothing; it cannot fail for a value of
	// its own type, so an error is a defect of this program.
	raw, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("clone spec: %v", err))
	}
	var out specs.Spec
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(fmt.Sprintf("clone spec: %v", err))
	}
	return &out
}

// WithoutNamespace leaves the container in the host's namespace of one type. What makes no
// sense without the namespace goes with it, since it would change the host.
func WithoutNamespace(t specs.LinuxNamespaceType) Edit {
	return Edit{
		Name: "the host's " + string(t) + " namespace",
		Apply: func(s *specs.Spec) {
			s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
				return n.Type == t
			})
			switch t {
			case specs.UserNamespace:
				s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
			case specs.TimeNamespace:
				s.Linux.TimeOffsets = nil
			case specs.UTSNamespace:
				s.Hostname, s.Domainname = "", ""
			case specs.MountNamespace:
				s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, s.Linux.Sysctl = nil, nil, nil, nil
				s.Root.Readonly, s.Linux.RootfsPropagation = false, ""
			}
		},
	}
}

// JoinNamespace puts the container into the namespace behind path instead of the host's or a
// new one: a control that must not touch the host itself runs in a sacrificial one.
func JoinNamespace(t specs.LinuxNamespaceType, path string) Edit {
	return Edit{
		Name: "the " + string(t) + " namespace at " + path,
		Apply: func(s *specs.Spec) {
			for i := range s.Linux.Namespaces {
				if s.Linux.Namespaces[i].Type == t {
					s.Linux.Namespaces[i].Path = path
					return
				}
			}
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
		},
	}
}

// HasNamespace reports whether the container gets, or joins, a namespace of its own.
func HasNamespace(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return s.Linux != nil && slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == t
	})
}

// WithCapability adds a capability to the bounding, permitted and effective sets, or all by which
// kernels know what was one.
func WithCapability(names ...string) Edit {
	return Edit{
		Name: strings.Join(names, ", "),
		Apply: func(s *specs.Spec) {
			if s.Process.Capabilities == nil {
				return // none listed: the process keeps all
			}
			c := s.Process.Capabilities
			for _, set := range []*[]string{&c.Bounding, &c.Permitted, &c.Effective} {
				for _, name := range names {
					if !slices.Contains(*set, name) {
						*set = append(*set, name)
					}
				}
			}
		},
	}
}

// WithMount adds a mount, or replaces the one at the same destination.
func WithMount(m specs.Mount) Edit {
	return Edit{
		Name: "a mount at " + m.Destination,
		Apply: func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(o specs.Mount) bool { return o.Destination == m.Destination })
			own := m
			own.Options, own.UIDMappings, own.GIDMappings = slices.Clone(m.Options), slices.Clone(m.UIDMappings), slices.Clone(m.GIDMappings)
			s.Mounts = append(s.Mounts, own)
		},
	}
}

// WithoutMount removes the mount at a destination.
func WithoutMount(destination string) Edit {
	return Edit{
		Name: "no mount at " + destination,
		Apply: func(s *specs.Spec) {
			s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == destination })
		},
	}
}

// Bind returns a bind mount of a host path. Options such as "ro" or "nosuid" are appended.
func Bind(source, destination string, options ...string) specs.Mount {
	return specs.Mount{
		Destination: destination,
		Type:        "bind",
		Source:      source,
		Options:     append([]string{"rbind"}, options...),
	}
}

// Change is an edit made in place by whoever needs it only once.
func Change(name string, apply func(*specs.Spec)) Edit { return Edit{Name: name, Apply: apply} }

// Omitting leaves steps of the core's plan out.
func Omitting(name string, steps ...string) Edit { return Edit{Name: name, Omit: steps} }

// StandIn joins the namespace behind path only where the container has none of its own of that
// type: a sacrificial namespace takes the place of the host's.
func StandIn(t specs.LinuxNamespaceType, path string) Edit {
	return Edit{
		Name: "a stand-in for the host's " + string(t) + " namespace",
		Apply: func(s *specs.Spec) {
			if !HasNamespace(s, t) {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: path})
			}
		},
	}
}

// Unconfined takes the seccomp filter away.
func Unconfined() Edit {
	return Change("no seccomp filter", func(s *specs.Spec) { s.Linux.Seccomp = nil })
}

// Allowing lets system calls pass the seccomp filter whatever their arguments.
func Allowing(calls ...string) Edit {
	return Change("a filter that allows "+strings.Join(calls, ", "), func(s *specs.Spec) {
		if s.Linux.Seccomp == nil {
			return
		}
		rules := s.Linux.Seccomp.Syscalls
		for i := range rules {
			rules[i].Names = slices.DeleteFunc(rules[i].Names, func(n string) bool { return slices.Contains(calls, n) })
		}
		rules = slices.DeleteFunc(rules, func(r specs.LinuxSyscall) bool { return len(r.Names) == 0 })
		s.Linux.Seccomp.Syscalls = append(rules, specs.LinuxSyscall{Names: slices.Clone(calls), Action: specs.ActAllow})
	})
}

// WithRlimit sets both values of a resource limit, or replaces the one of that type.
func WithRlimit(name string, n uint64) Edit {
	return Change(fmt.Sprintf("%s of %d", name, n), func(s *specs.Spec) {
		s.Process.Rlimits = slices.DeleteFunc(s.Process.Rlimits, func(l specs.POSIXRlimit) bool { return l.Type == name })
		s.Process.Rlimits = append(s.Process.Rlimits, specs.POSIXRlimit{Type: name, Soft: n, Hard: n})
	})
}

// DenySetgroups is the annotation that, where it is "true", denies setgroups(2) in a new user
// namespace (user_namespaces(7)): the container keeps the launcher's groups, and what they are
// denied stays denied. Only the core knows it.
const DenySetgroups = "cellwall.deny-setgroups"
