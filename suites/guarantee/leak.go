package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func leakRows() []Guarantee {
	return []Guarantee{{
		ID:       "leak.cgroup-path",
		Claim:    "cannot learn its host cgroup path",
		Source:   "cgroup_namespaces(7)",
		Barrier:  "cgroup namespace",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.CgroupNamespace},
		Attack:   attack.CgroupPath,
		Witness:  sentinel.CgroupPathUnknown,
		Refusal:  Refusals{unix.ENOENT: RootDirectory},
		Both:     spec.Edits{spec.WithMount(specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}})},
		Controls: spec.Edits{spec.OnCore(spec.WithoutNamespace(specs.CgroupNamespace))}, // see kernel.cgroup-raise
	}, {
		ID:      "leak.launcher-environment",
		Claim:   "inherits no environment, argument or umask of its launcher",
		Source:  "OCI runtime-spec config.md: process.env, process.user.umask; execve(2)",
		Barrier: "clean environment, umask by the runtime",
		Rung:    spec.Runtime,
		Attack:  attack.LauncherEnvironment,
		Witness: sentinel.EnvironmentClean,
		Controls: spec.Edits{
			spec.Change("one more variable", func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, "CELLWALL_LAUNCHER=1") }),
			spec.Omitting("the launcher's umask", "umask"),
		},
		Alone: true, // the environment is the whole process's
	}, {
		ID:       "leak.kernel-addresses",
		Claim:    "cannot read kernel addresses",
		Source:   "proc_kallsyms(5), proc_sys_kernel(5): kptr_restrict, capabilities(7): CAP_SYSLOG",
		Barrier:  "capability CAP_SYSLOG",
		Rung:     spec.Hardened,
		Attack:   attack.KernelAddresses,
		Witness:  sentinel.AddressesHidden,
		Refusal:  Refusals{unix.EACCES: Capability, unix.EPERM: Capability, unix.ENOENT: RootDirectory},
		Both:     noUserNamespace,
		Controls: spec.Edits{spec.WithCapability("CAP_SYSLOG")},
	}}
}
