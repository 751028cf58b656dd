package driver

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/cleanup"
	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// tool is a runtime that is one command line: the container is a process, and nothing is kept of it
// but the group of control that we make around it.
type tool struct {
	recipe
	name, version string
}

// recipe says which containers a tool makes, and by which command line.
type recipe interface {
	// Floor and Lacks are Runtime's.
	Floor() spec.Rung
	Lacks() spec.Edits
	// expresses names what this tool cannot do of what tools can.
	expresses(Bundle) error
	// command is what makes the container of a bundle. It is called in the bundle's mount
	// namespace. What it opens is closed with the stack.
	command(Bundle, *cleanup.Stack) (launch, error)
}

func (t *tool) Name() string                            { return t.name }
func (t *tool) Version(context.Context) (string, error) { return t.version, nil }

// Expresses asks first for what no tool has.
func (t *tool) Expresses(b Bundle) error {
	s := b.Spec
	for _, c := range []struct {
		there bool
		what  string
	}{
		{len(b.Omit) > 0, "cannot leave out " + strings.Join(b.Omit, ", ") + ": that is a step of the core"},
		{s.Root.Path == "/", "makes no container in the host's root directory"},
		{len(s.Process.Args) == 0, "needs a program"},
		{s.Process.Terminal, "makes no terminal"},
		{s.Hooks != nil, "runs no hooks"},
		{s.Domainname != "", "sets no domain name"},
		{s.Hostname != "" && !makes(s, specs.UTSNamespace), "sets a host name in a uts namespace of the container's own only: elsewhere it is another's"},
		{s.Process.OOMScoreAdj != nil, "sets no oom_score_adj"},
		{s.Process.ApparmorProfile != "" || s.Process.SelinuxLabel != "" || s.Linux.MountLabel != "", "sets no label of a security module"},
		{s.Linux.RootfsPropagation != "", "sets no propagation of the root directory"},
		{s.Linux.IntelRdt != nil || s.Linux.Personality != nil, "has neither intelRdt nor personality"},
	} {
		if c.there {
			return kernel.Unsupported("%s %s", t.name, c.what)
		}
	}
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" && !slices.Contains(joinable, n.Type) {
			return kernel.Unsupported("%s joins no %s namespace", t.name, n.Type)
		}
	}
	return t.expresses(b)
}

// joinable are the namespaces that a tool is in as soon as the thread is that starts it.
var joinable = []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.IPCNamespace, specs.UTSNamespace}

// joined are the files of the namespaces that a tool is to be started in.
func joined(s *specs.Spec) []string {
	var paths []string
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" {
			paths = append(paths, n.Path)
		}
	}
	return paths
}

// makes reports whether the tool itself has to make a namespace.
func makes(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	return slices.ContainsFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t && n.Path == "" })
}

// only says that there are no namespaces of other types.
func only(name string, s *specs.Spec, types ...specs.LinuxNamespaceType) error {
	for _, n := range s.Linux.Namespaces {
		if !slices.Contains(types, n.Type) {
			return kernel.Unsupported("%s makes no %s namespace", name, n.Type)
		}
	}
	return nil
}

// limitsOf names what is limited, by the fields of linux.resources. Rules that let all devices pass
// limit nothing.
func limitsOf(r *specs.LinuxResources) ([]string, error) {
	if r == nil {
		return nil, nil
	}
	c := *r
	if !slices.ContainsFunc(c.Devices, func(d specs.LinuxDeviceCgroup) bool { return !d.Allow }) {
		c.Devices = nil
	}
	raw, err := json.Marshal(&c)
	if err != nil {
		return nil, fmt.Errorf("read linux.resources: %w", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("read linux.resources: %w", err)
	}
	maps.DeleteFunc(fields, func(_ string, v json.RawMessage) bool { return string(v) == "{}" })
	return slices.Sorted(maps.Keys(fields)), nil
}

// oneSet reports whether what a program may have, has and uses of capabilities is the same.
func oneSet(c *specs.LinuxCapabilities) bool {
	sorted := func(names []string) []string { return slices.Compact(slices.Sorted(slices.Values(names))) }
	return c == nil || slices.Equal(sorted(c.Bounding), sorted(c.Permitted)) && slices.Equal(sorted(c.Bounding), sorted(c.Effective))
}

// withoutValue reports whether there is a variable that has none, not even an empty one.
func withoutValue(env []string) bool {
	return slices.ContainsFunc(env, func(v string) bool { return !strings.Contains(v, "=") })
}

// noLimits says that nothing is limited, for a tool that makes no cgroup.
func noLimits(name string, s *specs.Spec) error {
	limits, err := limitsOf(s.Linux.Resources)
	if err == nil && len(limits) > 0 {
		err = kernel.Unsupported("%s sets no cgroup limits, such as %s", name, strings.Join(limits, ", "))
	}
	return err
}

func (t *tool) Create(ctx context.Context, b Bundle) (_ Container, err error) {
	if err := t.Expresses(b); err != nil {
		return nil, err
	}
	if b.Parent == nil {
		return nil, fmt.Errorf("%s: a container needs a cgroup, by which it is found again", t.name)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &toolContainer{tool: t, bundle: b}
	defer c.undo.OnError(&err)
	err = within(b.From, func() error {
		if makes(b.Spec, specs.MountNamespace) {
			if err := makeTargets(b.Spec); err != nil {
				return err
			}
		}
		c.launch, err = t.command(b, &c.undo)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.name, err)
	}
	if c.group, err = b.Parent.Create(groupName(b.ID), c.launch.limits); err != nil {
		return nil, err
	}
	c.undo.Push("remove the container's cgroup", c.group.Close)
	c.launch.group, c.launch.from, c.launch.prepare = c.group, b.From, b.Prepare
	if c.launch.place != nil {
		if c.launch.group, err = c.launch.place(c.group); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	c.launch.join = joined(b.Spec)
	c.launch.stdin, c.launch.stdout = b.Stdin, b.Stdout
	return c, nil
}
