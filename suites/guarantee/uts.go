package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func utsRows() []Guarantee {
	return []Guarantee{{
		ID:       "uts.hostname-host",
		Claim:    "cannot change the host's host or domain name",
		Source:   "uts_namespaces(7), sethostname(2)",
		Barrier:  "uts namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.HostName,
		Witness:  sentinel.HostNameKept,
		Controls: spec.Edits{spec.WithoutNamespace(specs.UTSNamespace)},
	}, {
		ID:      "uts.hostname-denied",
		Claim:   "cannot change its own host name",
		Source:  "sethostname(2), capabilities(7)",
		Barrier: "capability CAP_SYS_ADMIN",
		Rung:    spec.Hardened,
		Attack:  attack.HostNameDenied,
		Witness: sentinel.OwnNameKept,
		Refusal: Refusals{unix.EPERM: Capability},
		// The filter would refuse the calls as well.
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_SYS_ADMIN")},
	}}
}
