package guarantee

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
	"cellwall/suites/sentinel"
)

func netRows() []Guarantee {
	return []Guarantee{{
		ID:       "net.host-loopback",
		Claim:    "cannot reach services on the host's loopback",
		Source:   "network_namespaces(7)",
		Barrier:  "net namespace",
		Rung:     spec.Namespaces,
		Gates:    []*kernel.Feature{kernel.Loopback},
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
	}, {
		ID:      "net.raw-socket",
		Claim:   "cannot send forged packets",
		Source:  "packet(7), raw(7), capabilities(7)",
		Barrier: "capability CAP_NET_RAW",
		Rung:    spec.Hardened,
		Gates:   []*kernel.Feature{kernel.Packet},
		Attack:  attack.RawSocket,
		Witness: sentinel.ForgeriesUnseen,
		Refusal: Refusals{unix.EPERM: Capability},
		// The filter refuses AF_PACKET without the capability as well.
		Both:     capabilityAlone,
		Controls: spec.Edits{spec.WithCapability("CAP_NET_RAW")},
	}, {
		ID:       "net.vsock",
		Claim:    "cannot open VSOCK or ALG sockets, which no namespace covers",
		Source:   "vsock(7), socket(2); Documentation/crypto/userspace-if.rst",
		Barrier:  "seccomp argument filter",
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.Vsock},
		Attack:   attack.OpenFamilies,
		Witness:  sentinel.FamiliesClosed,
		Refusal:  Refusals{unix.EPERM: Seccomp},
		Controls: spec.Edits{spec.Unconfined()},
	}, {
		ID:       "net.egress-policy",
		Claim:    "cannot reach forbidden destinations, cloud metadata included",
		Source:   "nftables, nft(8); RFC 3927 for 169.254.169.254",
		Barrier:  "netfilter rule",
		Kept:     ByKernel,
		Rung:     spec.Namespaces,
		Attack:   attack.EgressPolicy,
		Witness:  sentinel.EgressDropped,
		Refusal:  Refusals{unix.ETIMEDOUT: Netfilter},
		Controls: spec.Edits{{Name: sentinel.NoEgressRule}},
	}, {
		ID:       "net.landlock-tcp",
		Claim:    "cannot bind or connect TCP ports outside its Landlock rules",
		Source:   "landlock(7), LANDLOCK_ACCESS_NET_BIND_TCP, LANDLOCK_ACCESS_NET_CONNECT_TCP",
		Barrier:  "Landlock net rules",
		Kept:     ByKernel,
		Rung:     spec.Hardened,
		Gates:    []*kernel.Feature{kernel.LandlockNet, kernel.Loopback},
		Attack:   attack.LandlockTCP,
		Witness:  sentinel.TCPKept,
		Refusal:  Refusals{unix.EACCES: Landlock},
		Controls: spec.Edits{{Name: sentinel.NoTCPRules}},
	}, {
		ID:       "net.bandwidth",
		Claim:    "cannot send faster than its bandwidth limit",
		Source:   "tc-tbf(8)",
		Barrier:  "tc qdisc on the host side",
		Kept:     ByKernel,
		Rung:     spec.Limits,
		Attack:   attack.Bandwidth,
		Alone:    true,
		Witness:  sentinel.BandwidthKept,
		Controls: spec.Edits{{Name: sentinel.NoQdisc}},
	}}
}
