package kernel

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Loopback is a loopback device that is up: that of a new network namespace is not.
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
	// A route alone says nothing: the default one leads elsewhere, and those of a device that was taken down stay.
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); errors.Is(err, unix.EADDRNOTAVAIL) {
		return absent(NotSetUp, "%v", err)
	} else if err != nil {
		return refused(err, "")
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	if err := unix.Sendto(fd, []byte{0}, 0, own); errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EINVAL) { // from a loopback address to another device
		return absent(NotSetUp, "%v", err)
	} else if err != nil {
		return refused(err, "")
	}
	// It is there at once, or never.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return refused(err, "")
	}
	for {
		switch _, _, err := unix.Recvfrom(fd, make([]byte, 1), 0); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return absent(NotSetUp, "what is sent to 127.0.0.1 does not come back")
		default:
			return err
		}
	}
}
