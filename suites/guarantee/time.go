package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func timeRows() []Guarantee {
	return []Guarantee{{
		ID:      "time.offset",
		Claim:   "cannot read the host's uptime or monotonic clock",
		Source:  "time_namespaces(7)",
		Barrier: "time namespace, with offsets",
		Rung:    spec.Namespaces,
		Gates:   []*kernel.Feature{kernel.TimeNamespace},
		Attack:  attack.ClockOffset,
		Witness: sentinel.ClocksOffset,
		Refusal: Refusals{unix.EACCES: TimeNamespace, unix.EPERM: Capability},
		Controls: spec.Edits{
			spec.Change("no clock offsets", func(s *specs.Spec) { s.Linux.TimeOffsets = nil }),
			spec.WithoutNamespace(specs.TimeNamespace),
		},
	}}
}
