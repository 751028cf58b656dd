package kernel

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Loopback is a way to 127.0.0.1, which a new network namespace has not.
var Loopback = &Feature{
	Name: "loopback device", Since: Version{2, 0},
	Remedy: "ip link set lo up",
	probe:  loopback,
}

// Address families. Asking for a socket may load the module of its family.
var (
	IPv6 = &Feature{
		Name: "ipv6(7)", Since: Version{2, 4},
		Remedy: "boot without ipv6.disable=1",
		probe:  family(unix.AF_INET6, unix.SOCK_STREAM, 0, ""),
	}
	Packet = &Feature{
		Name: "packet(7)", Since: Version{2, 4},
		Remedy: "run as root; load the module af_packet",
		probe:  family(unix.AF_PACKET, unix.SOCK_RAW, 0, "CAP_NET_RAW"),
	}
	Vsock = &Feature{
		Name: "vsock(7)", Since: Version{3, 9},
		Remedy: "load the module vsock",
		probe:  family(unix.AF_VSOCK, unix.SOCK_STREAM, 0, ""),
	}
	Alg = &Feature{
		Name: "AF_ALG", Since: Version{2, 6},
		Remedy: "load the module af_alg; the kernel needs CONFIG_CRYPTO_USER_API",
		probe:  family(unix.AF_ALG, unix.SOCK_SEQPACKET, 0, ""),
	}
	NetlinkAudit = &Feature{
		Name: "netlink(7) NETLINK_AUDIT", Since: Version{2, 6},
		Remedy: "boot with audit=1; the kernel needs CONFIG_AUDIT",
		probe:  family(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT, ""),
	}
	NetlinkRoute = &Feature{
		Name: "netlink(7) NETLINK_ROUTE", Since: Version{2, 4},
		probe: family(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, ""),
	}
)

func family(domain, kind, protocol int, capability string) func() error {
	return func() error {
		fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			return refused(err, capability)
		}
		return unix.Close(fd)
	}
}

func loopback() (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return refused(err, "")
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	// It sends nothing: it looks for the way.
	err = unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9})
	if errors.Is(err, unix.ENETUNREACH) {
		return absent(NotSetUp, "%v: lo is down", err)
	}
	return refused(err, "")
}
