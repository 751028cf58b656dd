package guarantee

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func processRows() []Guarantee {
	return slices.Concat([]Guarantee{{
		ID:       "process.signal-host",
		Claim:    "cannot signal a process outside its PID namespace",
		Source:   "pid_namespaces(7)",
		Barrier:  "pid namespace",
		Rung:     spec.Namespaces,
		Attack:   attack.SignalHost,
		Witness:  sentinel.ProcessUnsignalled,
		Refusal:  Refusals{unix.ESRCH: PIDNamespace, unix.EPERM: DAC},
		Controls: spec.Edits{spec.WithoutNamespace(specs.PIDNamespace)},
	}, {
		ID:      "process.own-namespaces",
		Claim:   "shares no namespace with the host",
		Source:  "namespaces(7)",
		Barrier: "a namespace of each type", // one control for each
		Rung:    spec.Namespaces,
		Attack:  attack.OwnNamespaces,
		Witness: sentinel.NamespacesDiffer,
		Controls: spec.Edits{
			spec.WithoutNamespace(specs.MountNamespace),
			spec.WithoutNamespace(specs.PIDNamespace),
			spec.WithoutNamespace(specs.UTSNamespace),
			spec.WithoutNamespace(specs.IPCNamespace),
			spec.WithoutNamespace(specs.NetworkNamespace),
			spec.WithoutNamespace(specs.CgroupNamespace),
			spec.WithoutNamespace(specs.TimeNamespace),
		},
	}, {
		ID:       "process.neighbour-namespaces",
		Claim:    "shares no namespace with another container",
		Source:   "namespaces(7)",
		Barrier:  "a namespace of each type",
		Rung:     spec.Namespaces,
		Attack:   attack.OwnNamespaces,
		Witness:  sentinel.NeighboursDiffer,
		Controls: spec.Edits{{Name: sentinel.SharesNamespaces}},
	}}, processHostRows(), processLifeRows())
}
