package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func userCapabilityRows() []Guarantee {
	return []Guarantee{{
		ID:      "user.capability-sets",
		Claim:   "holds exactly its spec's capability sets in every thread",
		Source:  "capabilities(7), OCI runtime-spec config.md: process.capabilities",
		Barrier: "capset and bounding set",
		Rung:    spec.Hardened,
		Attack:  attack.CapabilitySets,
		Witness: sentinel.CapabilitiesExact,
		Refusal: Refusals{unix.EPERM: Capability},
		Controls: spec.Edits{
			spec.WithCapability("CAP_SYS_CHROOT"),
			spec.Omitting("a full bounding set", "bounding-set"),
		},
	}, {
		ID:      "user.inheritable-empty",
		Claim:   "starts with empty inheritable and ambient sets",
		Source:  "capabilities(7), prctl(2): PR_CAP_AMBIENT; CVE-2022-24769, CVE-2022-27649",
		Barrier: "inheritable set cleared by the runtime",
		Rung:    spec.Hardened,
		Attack:  attack.InheritableEmpty,
		Witness: sentinel.InheritablesEmpty,
		Refusal: Refusals{unix.EPERM: Capability},
		Both:    spec.Edits{spec.WithCapability("CAP_SETUID")},
		Controls: spec.Edits{
			spec.Change("inheritable capabilities", func(s *specs.Spec) {
				if c := s.Process.Capabilities; c != nil {
					c.Inheritable = c.Permitted
				}
			}),
		},
	}, {
		ID:      "user.no-new-privs",
		Claim:   "cannot gain privilege by exec",
		Source:  "prctl(2): PR_SET_NO_NEW_PRIVS, execve(2)",
		Barrier: "no_new_privs",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.NoNewPrivs},
		Attack:  attack.NoNewPrivs,
		Witness: sentinel.PrivilegeNotGained,
		Refusal: Refusals{unix.EINVAL: Kernel},
		Controls: spec.Edits{
			spec.Change("no_new_privs off", func(s *specs.Spec) { s.Process.NoNewPrivileges = false }),
		},
	}, {
		ID:       "user.nested-userns",
		Claim:    "cannot create a user namespace",
		Source:   "user_namespaces(7), seccomp(2)",
		Barrier:  "seccomp",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Seccomp, kernel.UnprivilegedUserNamespace},
		Attack:   attack.NestedUserns,
		Witness:  sentinel.UserNamespaceKept,
		Refusal:  Refusals{unix.EPERM: Seccomp},
		Controls: spec.Edits{spec.Allowing("clone", "unshare")},
	}, {
		ID:       "user.rlimit-raise",
		Claim:    "cannot raise its hard resource limits",
		Source:   "getrlimit(2): EPERM",
		Barrier:  "capability CAP_SYS_RESOURCE",
		Rung:     spec.Hardened,
		Attack:   attack.RlimitRaise,
		Witness:  sentinel.RlimitsKept,
		Refusal:  Refusals{unix.EPERM: Capability},
		Both:     noUserNamespace,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_RESOURCE")},
	}}
}
