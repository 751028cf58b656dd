package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// The ports that an egress policy is tried on.
const (
	HTTP = 80
	DNS  = 53
)

// EgressPolicy sends to each of Target.Paths, addresses that are forbidden, and last to
// Target.Address, which is allowed. It waits Target.For for what may be answered.
var EgressPolicy = Attack{Name: "net.egress-policy", Run: func(a *Attempt) {
	var begun []unix.PollFd
	for _, text := range a.Target.Paths {
		a.datagram(text, HTTP)
		a.datagram(text, DNS)
		if fd, err := dial(text, HTTP, unix.SOCK_STREAM|unix.SOCK_NONBLOCK); a.Try("begin to connect to "+text, err) {
			begun = append(begun, unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT})
		}
	}
	a.datagram(a.Target.Address, HTTP)
	_, err := dial(a.Target.Address, HTTP, unix.SOCK_STREAM)
	a.Try("connect to allowed "+a.Target.Address, err)
	for end := time.Now().Add(a.Target.For); len(begun) > 0 && time.Now().Before(end); {
		if n, err := unix.Poll(begun, int(a.Target.For.Milliseconds())); n == len(begun) || err != nil {
			break
		}
	}
	for i := range begun {
		code, err := unix.GetsockoptInt(int(begun[i].Fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if begun[i].Revents == 0 {
			code = int(unix.ETIMEDOUT)
		}
		if err == nil {
			err = asError(unix.Errno(code))
		}
		a.Try("connect to "+a.Target.Paths[i], err)
	}
}}

func (a *Attempt) datagram(to string, port int) {
	fd, err := dial(to, port, unix.SOCK_DGRAM)
	if a.Try(fmt.Sprintf("socket for %s port %d", to, port), err) {
		_, err := unix.Write(fd, []byte("\x00\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01")) // asks for the root's A record
		a.Try(fmt.Sprintf("send to %s port %d", to, port), err)
	}
}

// dial connects a socket. That a nonblocking one is not there yet is no error.
func dial(to string, port, kind int) (int, error) {
	address, err := netip.ParseAddr(to)
	if err != nil {
		return -1, err
	}
	family, at := unix.AF_INET, unix.Sockaddr(nil)
	if address.Is4() {
		at = &unix.SockaddrInet4{Port: port, Addr: address.As4()}
	} else {
		family, at = unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: address.As16()}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	bound := unix.Timeval{Sec: 5} // for a blocking connect, socket(7)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &bound); err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, at); err != nil && err != unix.EINPROGRESS { //nolint:errorlint // the call's own answer
		return -1, err
	}
	return fd, nil
}

// Bandwidth sends datagrams to Target.Address by four sockets, for Target.For or until
// Target.Bytes are sent. It holds before and after.
var Bandwidth = Attack{Name: "net.bandwidth", Run: func(a *Attempt) {
	const sockets, discard = 4, 9 // RFC 863
	var fds [sockets]int
	for i := range fds {
		fd, err := dial(a.Target.Address, discard, unix.SOCK_DGRAM)
		if !a.Try("connect to "+a.Target.Address, err) {
			return
		}
		fds[i] = fd
	}
	awaitAnswer(fds[0])
	a.Hold("start")
	datagram := make([]byte, 1400)
	sent := int64(0)
	for i, end := 0, time.Now().Add(a.Target.For); sent < a.Target.Bytes && time.Now().Before(end); i++ {
		// A full queue, or a sink that answers that nobody listens, is no reason to stop.
		if n, err := unix.Write(fds[i%sockets], datagram); err == nil {
			sent += int64(n)
		}
	}
	a.Try("flood", nil)
	a.Fact("sent", sent)
	a.Hold("end")
}}

// awaitAnswer sends single datagrams until the other side answers that nobody listens, or three
// seconds: links that have just been made may lose what comes first, and a flood must not begin so.
func awaitAnswer(fd int) {
	const step = 20 // milliseconds
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		if _, err := unix.Write(fd, []byte{0}); errors.Is(err, unix.ECONNREFUSED) {
			return
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd)}}, step) // an error is always told
	}
}

// What RawSocket forges: a neighbour of the host that has moved, and a packet from elsewhere.
var (
	ForgedNeighbour = netip.AddrFrom4([4]byte{192, 0, 2, 77})
	ForgedSource    = netip.AddrFrom4([4]byte{198, 51, 100, 66})
)

// ForgedMAC is the hardware address that the neighbour is said to have.
const ForgedMAC = "\x02\x00\x00\x00\x66\x66"

// RawSocket sends a forged ARP reply over the link Target.Name and a packet with a foreign source
// to Target.Address, both with the text Target.Path in them, and holds.
var RawSocket = Attack{Name: "net.raw-socket", Run: func(a *Attempt) {
	if a.onHost() {
		return
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if a.Try("socket AF_PACKET", err) {
		a.Try("send a forged ARP reply", sendARP(fd, a.Target.Name, a.Target.Path))
	}
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	to, parseErr := netip.ParseAddr(a.Target.Address)
	if a.Try("socket SOCK_RAW", err) && parseErr == nil {
		a.Try("send from a foreign source", unix.Sendto(fd, ipPacket(ForgedSource, to, a.Target.Path), 0, &unix.SockaddrInet4{Addr: to.As4()}))
	}
	a.Hold("sent")
}}

// sendARP sends a gratuitous reply (RFC 5227), which Linux takes at once for a neighbour that it
// knows: arp_process in net/ipv4/arp.c.
func sendARP(fd int, link, mark string) error {
	request, err := unix.NewIfreq(link)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return err
	}
	const broadcast, ethernetIPv4, reply = "\xff\xff\xff\xff\xff\xff", "\x00\x01\x08\x00\x06\x04", "\x00\x02"
	ip := string(ForgedNeighbour.AsSlice())
	frame := broadcast + ForgedMAC + "\x08\x06" + ethernetIPv4 + reply + ForgedMAC + ip + ForgedMAC + ip + mark
	return unix.Sendto(fd, []byte(frame), 0, &unix.SockaddrLinklayer{Ifindex: int(request.Uint32()), Halen: 6})
}

// ipPacket is an IPv4 header with a payload of an experimental protocol (RFC 3692). The kernel
// fills in length, id and checksum: raw(7).
func ipPacket(from, to netip.Addr, payload string) []byte {
	const experimental = 253
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, experimental
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], from.AsSlice())
	copy(b[16:], to.AsSlice())
	return append(b, payload...)
}

// OpenFamilies opens sockets of families that no namespace covers, of all types, and holds.
var OpenFamilies = Attack{Name: "net.vsock", Run: func(a *Attempt) {
	_, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	a.Try("socket AF_VSOCK stream", err)
	_, err = unix.Socket(unix.AF_VSOCK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	a.Try("socket AF_VSOCK datagram", err)
	_, err = unix.Socket(unix.AF_VSOCK, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	a.Try("socket AF_VSOCK seqpacket", err)
	_, err = unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	a.Try("socket AF_ALG", err)
	a.Hold("opened")
}}
