package driver

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/exec"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
)

// Sandboxed reports whether a runtime's containers run on a kernel of their own: their processes are none
// of the host's, Container.Pid is that of the sandbox, and to take one barrier away opens no way out.
func Sandboxed(rt Runtime) bool {
	o, ok := rt.(*oci)
	return ok && o.sandbox
}

// goferNamespace is the flag of runsc for the network namespace of its file servers. By default that is
// mounted in the directory of the state, for all containers, and stays there (runsc/specutils/namespace.go).
const goferNamespace = "gofer-network-namespace"

// hasFlag asks runsc whether it knows a flag: unknown ones it refuses.
func hasFlag(ctx context.Context, path, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "flags")
	cmd.WaitDelay = drained
	out, err := cmd.CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("ask %s for its flags: %w", path, cmp.Or(ctx.Err(), err))
	}
	return bytes.Contains(out, []byte("-"+name+" ")), nil
}

// sandboxFlags are what runsc is told besides the spec, of runsc/config/flags.go. Of a network namespace it
// would move the addresses into the sandbox (runsc/sandbox/network.go): one that it makes is empty.
func (o *oci) sandboxFlags(s *specs.Spec) []string {
	if !o.sandbox {
		return nil
	}
	flags := []string{"--network=host"}
	if spec.HasNamespace(s, specs.NetworkNamespace) {
		flags[0] = "--network=none"
	}
	if o.goferFlag {
		flags = append(flags, "--"+goferNamespace+"=new")
	}
	return flags
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
