package driver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"cellwall/runtime/cgroup"
	"cellwall/runtime/cleanup"
	"cellwall/runtime/core"
	"cellwall/runtime/kernel"
	"cellwall/runtime/rootfs"
	"cellwall/runtime/spec"
)

// oci is any runtime with the command line of runc(8): create, start, kill and delete.
type oci struct {
	name, path string
	version    string
	namespaces []specs.LinuxNamespaceType // that it can make
	flags      []string                   // that a sandbox gets
	quirks
}

// quirks are what a runtime cannot do, and says too late or not at all.
type quirks struct {
	noHybrid bool // use v1 beside a cgroup2 mount
	sandbox  bool // let processes be the host's: see Sandboxed
	// Versions since which it can. Empty is always.
	bfqSince      string // weigh I/O on v1 by BFQ, all that is there since Linux 5.0
	burstSince    string // set linux.resources.cpu.burst
	featuresSince string // tell its features
	// Since these versions, the first of each branch, it refuses a container whose /dev/null is not the null device.
	nullSince []string
}

// sinceOneZero are the namespaces of OCI 1.0, which a runtime has that cannot be asked.
var sinceOneZero = []specs.LinuxNamespaceType{
	specs.PIDNamespace, specs.NetworkNamespace, specs.MountNamespace, specs.IPCNamespace,
	specs.UTSNamespace, specs.UserNamespace, specs.CgroupNamespace,
}

// newOCI asks a runtime what it is and what it can do.
func newOCI(ctx context.Context, name, path string, q quirks) (*oci, error) {
	o := &oci{name: name, path: path, namespaces: sinceOneZero, quirks: q}
	var err error
	if o.version, err = version(ctx, path); err != nil {
		return nil, err
	}
	if q.sandbox {
		if o.flags, err = knownFlags(ctx, path); err != nil {
			return nil, err
		}
	}
	return o, o.ask(ctx)
}

// ask asks for the features. The command is newer than some runtimes that are in use; of one that
// should have it, a failure may hide what the runtime is held to.
func (o *oci) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, o.path, "features")
	cmd.WaitDelay = drained
	out, err := cmd.Output()
	var f features.Features
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("ask %s for its features: %w", o.name, ctx.Err())
	case err == nil && f.Linux != nil && len(f.Linux.Namespaces) > 0:
		o.namespaces = nil
		for _, n := range f.Linux.Namespaces {
			o.namespaces = append(o.namespaces, specs.LinuxNamespaceType(n))
		}
	case o.featuresSince != "" && !Older(o.version, o.featuresSince):
		return fmt.Errorf("ask %s %s for its features, which it tells since %s: %w",
			o.name, o.version, o.featuresSince, cmp.Or(err, errors.New("it names no namespaces")))
	}
	return nil
}

// version is what a program says to --version.
func version(ctx context.Context, path string) (string, error) {
	return versionOf(ctx, path, "--version")
}

// versionOf is the last word of the first line that a command prints.
func versionOf(ctx context.Context, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = drained
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, cmp.Or(ctx.Err(), err))
	}
	line, _, _ := strings.Cut(string(out), "\n")
	words := strings.Fields(line)
	if len(words) == 0 {
		return "", fmt.Errorf("ask %s for its version: it prints none", path)
	}
	return words[len(words)-1], nil
}

func (o *oci) Name() string                            { return o.name }
func (o *oci) Version(context.Context) (string, error) { return o.version, nil }

// Floor is where a mount namespace comes: without one an OCI runtime would mount on the host.
func (o *oci) Floor() spec.Rung { return spec.Namespaces }

// Lacks takes out the namespaces that the runtime cannot make.
func (o *oci) Lacks() spec.Edits {
	var lacks spec.Edits
	for _, t := range []specs.LinuxNamespaceType{specs.TimeNamespace, specs.CgroupNamespace} {
		if !slices.Contains(o.namespaces, t) {
			lacks = append(lacks, spec.WithoutNamespace(t))
		}
	}
	return append(lacks, o.sandboxLacks()...)
}

func (o *oci) Expresses(b Bundle) error {
	if len(b.Omit) > 0 {
		return kernel.Unsupported("%s cannot leave out %s: that is a step of the core", o.name, strings.Join(b.Omit, ", "))
	}
	if b.Spec.Annotations[spec.DenySetgroups] != "" {
		return kernel.Unsupported("%s cannot deny setgroups(2) in a new user namespace", o.name)
	}
	if b.Spec.Root.Path == "/" {
		return kernel.Unsupported("%s makes no container in the host's root directory", o.name)
	}
	if !spec.HasNamespace(b.Spec, specs.MountNamespace) {
		return kernel.Unsupported("%s without a mount namespace would mount on the host", o.name)
	}
	if r := b.Spec.Linux.Resources; r != nil {
		r = spec.Clone(b.Spec).Linux.Resources
		if err := inV1Words(r, b.Parent); err != nil {
			return err
		}
		if err := o.weighs(r); err != nil {
			return err
		}
		if Older(o.version, o.burstSince) && r.CPU != nil && r.CPU.Burst != nil {
			return kernel.Unsupported("%s %s passes linux.resources.cpu.burst over: it sets it since %s", o.name, o.version, o.burstSince)
		}
	}
	if len(o.nullSince) > 0 && !Older(o.version, o.nullSince...) && slices.ContainsFunc(b.Spec.Linux.Devices, counterfeit) {
		return kernel.Unsupported("%s %s makes no /dev/null that is not the null device", o.name, o.version)
	}
	for _, key := range slices.Sorted(maps.Keys(b.Spec.Linux.Sysctl)) {
		if strings.HasPrefix(key, "user.") {
			return kernel.Unsupported("%s sets no sysctl of a user namespace, such as %s", o.name, key)
		}
	}
	if err := o.unshown(b); err != nil {
		return err
	}
	for _, n := range b.Spec.Linux.Namespaces {
		if !slices.Contains(o.namespaces, n.Type) {
			return kernel.Unsupported("%s %s has no %s namespaces", o.name, o.version, n.Type)
		}
	}
	return o.sandboxExpresses(b.Spec)
}

// weighs says that a runtime cannot weigh I/O. A nil one may.
func (o *oci) weighs(r *specs.LinuxResources) error {
	if o != nil && (o.sandbox || Older(o.version, o.bfqSince)) && r.BlockIO != nil && r.BlockIO.Weight != nil {
		return kernel.Unsupported("%s %s writes to blkio.weight, which Linux has no more", o.name, o.version)
	}
	return nil
}

// ociContainer is a container and the directories of the trial that it lives in.
type ociContainer struct {
	*oci
	bundle  Bundle
	dir     string        // the bundle's, and what else is the container's
	manager *cgroup.Group // what the runtime's own processes run in
	below   string        // linux.cgroupsPath
	strayed string        // where the runtime has put it instead, below the same fence
	init    *awaited
	undo    cleanup.Stack
}

func (o *oci) Create(ctx context.Context, b Bundle) (_ Container, err error) {
	if err := o.Expresses(b); err != nil {
		return nil, err
	}
	if b.Parent == nil {
		return nil, fmt.Errorf("%s: a container needs a cgroup, by which it is found again", o.name)
	}
	c := &ociContainer{oci: o, bundle: b}
	defer c.undo.OnError(&err)
	if c.dir, err = os.MkdirTemp(b.Dir, "oci-"); err != nil {
		return nil, fmt.Errorf("make the bundle: %w", err)
	}
	c.undo.Push("remove the bundle", func() error { return rootfs.Remove(c.dir) })
	if err := os.Chmod(c.dir, 0o755); err != nil { // a mapped root must pass
		return nil, fmt.Errorf("make the bundle: %w", err)
	}
	// The runtime gets the id as it is, our own paths no part of one that could lead elsewhere.
	name := b.ID
	if core.ValidID(name) != nil {
		name = filepath.Base(c.dir)
	}
	if c.below, err = below(b.Parent, name); err != nil {
		return nil, fmt.Errorf("%s: %w", o.name, err)
	}
	if c.manager, err = b.Parent.Create(name+"-runtime", cgroup.Limits{}); err != nil {
		return nil, err
	}
	c.undo.Push("remove the runtime's cgroup", c.manager.Close)
	if err := c.write(); err != nil {
		return nil, err
	}
	c.undo.Push("remove what the runtime left", c.sweep)
	l := c.launch("create", "--bundle", c.dir, "--pid-file", c.at(pidFile), b.ID)
	l.prepare, l.stdin, l.stdout, l.stderr = b.Prepare, b.Stdin, b.Stdout, b.Stderr
	if err := c.call(ctx, l); err != nil {
		return nil, err
	}
	c.undo.Push("delete the container", func() error { return c.bounded("delete", "--force", b.ID) })
	if c.init, err = awaitFile(c.at(pidFile)); err != nil {
		return nil, fmt.Errorf("%s create: %w", o.name, err)
	}
	c.undo.Push("forget the container's init", c.init.close)
	if err := c.placed(); err != nil {
		return nil, fmt.Errorf("%s create: %w", o.name, err)
	}
	if err := c.applied(); err != nil {
		return nil, err
	}
	return c, nil
}

// placed says that the process of the pid file is in the container's cgroup, in every hierarchy that
// the parent is in: else it is another's, or the runtime has put the container elsewhere.
func (c *ociContainer) placed() (err error) {
	g, err := cgroup.Open(c.init.pid)
	if err != nil {
		return fmt.Errorf("look at process %d of the pid file: %w", c.init.pid, err)
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	where := map[string]string{}
	for _, h := range g.Hierarchies() {
		where[h.Name] = h.Below
	}
	parents := c.bundle.Parent.Hierarchies()
	for _, h := range parents {
		at := where[h.Name]
		if at == c.below || h.V2 && len(parents) > 1 && path.Base(at) == c.manager.Name() {
			continue // beside v1 some leave v2 alone
		}
		// Only what bears the container's name is its own: another may be an honest trial's.
		if strings.HasPrefix(at, c.below+"-") && path.Base(at) != c.manager.Name() {
			c.strayed = at
		}
		return fmt.Errorf("process %d of the pid file is not in cgroup %s but in %s of %s", c.init.pid, c.below, at, h.Name)
	}
	return nil
}

// applied asks for what some runtimes pass over in silence.
func (c *ociContainer) applied() (err error) {
	r := c.bundle.Spec.Linux.Resources
	if r == nil || r.CPU == nil || r.CPU.Burst == nil {
		return nil
	}
	g, err := cgroup.Open(c.init.pid)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Close()) }()
	l, err := g.Limits()
	if err == nil && l.CPUMax.Burst == 0 {
		return fmt.Errorf("%s %s has passed linux.resources.cpu.burst over", c.name, c.version)
	}
	return err
}
