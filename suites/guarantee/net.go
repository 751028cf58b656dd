package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

var netRows = []Guarantee{{
	ID:       "net.host-loopback",
	Claim:    "cannot reach services on the host's loopback",
	Source:   "network_namespaces(7)",
	Barrier:  "net namespace",
	Rung:     spec.Namespaces,
	Attack:   attack.HostLoopback,
	Witness:  sentinel.LoopbackListener,
	Refusal:  Refusals{unix.ENETUNREACH: NetNamespace, unix.ECONNREFUSED: NetNamespace},
	Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
}, {
	ID:       "net.own-interfaces",
	Claim:    "sees only its own interfaces, routes and sockets",
	Source:   "network_namespaces(7), rtnetlink(7), sock_diag(7)",
	Barrier:  "net namespace",
	Rung:     spec.Namespaces,
	Gates:    []*kernel.Feature{kernel.NetlinkRoute},
	Attack:   attack.OwnInterfaces,
	Witness:  sentinel.InterfacesUnseen,
	Refusal:  Refusals{unix.ENODEV: NetNamespace, unix.EPERM: Capability},
	Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
}, {
	ID:       "net.packet-sniff",
	Claim:    "cannot capture the host's network traffic",
	Source:   "network_namespaces(7), packet(7)",
	Barrier:  "net namespace",
	Rung:     spec.Namespaces,
	Gates:    []*kernel.Feature{kernel.Packet},
	Attack:   attack.PacketSniff,
	Witness:  sentinel.TrafficUnheard,
	Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
}, {
	ID:       "net.host-config",
	Claim:    "cannot change the host's firewall, routes or net sysctls",
	Source:   "network_namespaces(7), rtnetlink(7)",
	Barrier:  "net namespace",
	Rung:     spec.Namespaces,
	Gates:    []*kernel.Feature{kernel.NetlinkRoute},
	Attack:   attack.HostConfig,
	Witness:  sentinel.HostConfigKept,
	Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
}, {
	ID:       "net.privileged-port",
	Claim:    "cannot occupy a port of the host",
	Source:   "network_namespaces(7), socket(7) SO_REUSEPORT",
	Barrier:  "net namespace",
	Rung:     spec.Namespaces,
	Attack:   attack.PrivilegedPort,
	Witness:  sentinel.PortsKept,
	Controls: spec.Edits{spec.WithoutNamespace(specs.NetworkNamespace)},
}}
