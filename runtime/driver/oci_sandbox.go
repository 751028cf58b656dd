package driver

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Sandboxed reports whether a runtime's containers run on a kernel of their own: their processes are none
// of the host's, Container.Pid is that of the sandbox, and to take one barrier away opens no way out.
func Sandboxed(rt Runtime) bool {
	o, ok := rt.(*oci)
	return ok && o.sandbox || Machines(rt)
}

// Machines reports whether a runtime's containers are virtual machines.
func Machines(rt Runtime) bool {
	t, ok := rt.(*tool)
	if !ok {
		return false
	}
	_, ok = t.recipe.(*vm)
	return ok
}

// sandboxFlags are what runsc is told besides the spec where it knows the flag, of runsc/config/flags.go.
var sandboxFlags = []struct{ name, value string }{
	// By default the network namespace of its file servers is mounted in the directory of the state, for all
	// containers, and stays there (runsc/specutils/namespace.go).
	{"gofer-network-namespace", "new"},
	// By default what a container writes to its root directory stays in a file that only the sandbox reads: no
	// witness would see it, and one wall more would stand before those that a volume has.
	{"overlay2", "none"},
}

// knownFlags are those of sandboxFlags that runsc knows: others it refuses.
func knownFlags(ctx context.Context, path string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "flags")
	cmd.WaitDelay = drained
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("ask %s for its flags: %w", path, cmp.Or(ctx.Err(), err))
	}
	var known []string
	for _, f := range sandboxFlags {
		if bytes.Contains(out, []byte("-"+f.name+" ")) {
			known = append(known, "--"+f.name+"="+f.value)
		}
	}
	return known, nil
}

// options are what runsc is told besides the spec. Of a network namespace it would move the addresses into
// the sandbox (runsc/sandbox/network.go): one that it makes is empty.
func (o *oci) options(s *specs.Spec) []string {
	switch {
	case !o.sandbox:
		return nil
	case spec.HasNamespace(s, specs.NetworkNamespace):
		return slices.Concat([]string{"--network=none"}, o.flags)
	}
	return slices.Concat([]string{"--network=host"}, o.flags)
}

// sandboxLacks are what runsc passes over: seccomp without --oci-seccomp (runsc/config/flags.go), and paths
// to mask (gVisor issue 9245).
func (o *oci) sandboxLacks() spec.Edits {
	if !o.sandbox {
		return nil
	}
	return without("seccomp", "masked-paths", "readonly-paths")
}

// sandboxExpresses says what a sandbox cannot share with the host, and what it would pass over.
func (o *oci) sandboxExpresses(s *specs.Spec) error {
	if !o.sandbox {
		return nil
	}
	for _, t := range []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		if !makes(s, t) {
			return kernel.Unsupported("%s runs containers on a kernel of its own: they share no %s namespace", o.name, t)
		}
	}
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" {
			return kernel.Unsupported("%s joins no %s namespace", o.name, n.Type)
		}
	}
	r := s.Linux.Resources
	switch {
	case r != nil && r.CPU != nil && r.CPU.Burst != nil: // runsc/cgroup/cgroup.go, which sets blkio.weight too
		return kernel.Unsupported("%s passes linux.resources.cpu.burst over", o.name)
	case s.Linux.Seccomp != nil:
		return kernel.Unsupported("%s passes linux.seccomp over", o.name)
	case len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0:
		return kernel.Unsupported("%s passes linux.maskedPaths and linux.readonlyPaths over", o.name)
	}
	return nil
}
