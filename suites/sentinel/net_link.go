package sentinel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"cellwall/suites/rtnetlink"
)

// What follows acts in the network namespace of the calling thread: it runs in standIn.inside.

// localPair makes a pair of links with both ends in the calling thread's namespace, up.
func localPair(name, peer string) error {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace: %w", err)
	}
	return errors.Join(rtnetlink.Veth(name, peer, fd), unix.Close(fd), rtnetlink.Up(name), rtnetlink.Up(peer))
}

// addAddresses gives a link addresses and brings it up.
func addAddresses(name string, prefixes ...string) error {
	for _, text := range prefixes {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return err
		}
		if err := rtnetlink.Address(name, p); err != nil {
			return err
		}
	}
	return rtnetlink.Up(name)
}

// allowIPv6 lets a link of the calling thread's namespace have addresses of IPv6, which an engine disables for all links
// of a container that it gives none (moby libnetwork, osl.setIPv6).
func allowIPv6(name string) error {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("0"), 0)
	if errors.Is(err, os.ErrNotExist) { // a kernel without IPv6
		return nil
	}
	return err
}

// listenTCP makes a nonblocking listener of the calling thread's namespace. Port 0 takes any.
func (s *Stage) listenTCP(at unix.Sockaddr, backlog int, reuse bool) (listener, port int, err error) {
	family := unix.AF_INET
	if _, ok := at.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, 0, fmt.Errorf("make a listener: %w", err)
	}
	s.Undo.Push("close a listener", func() error { return unix.Close(fd) })
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return -1, 0, fmt.Errorf("make a listener: %w", err)
		}
	}
	if reuse {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return -1, 0, fmt.Errorf("make a listener: %w", err)
		}
	}
	if err := unix.Bind(fd, at); err != nil {
		return -1, 0, fmt.Errorf("bind the listener: %w", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return -1, 0, fmt.Errorf("listen: %w", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, fmt.Errorf("ask for the listener's port: %w", err)
	}
	return fd, sockPort(name), nil
}

func sockPort(at unix.Sockaddr) int {
	switch at := at.(type) {
	case *unix.SockaddrInet4:
		return at.Port
	case *unix.SockaddrInet6:
		return at.Port
	}
	return 0
}

// sendFrame sends an Ethernet frame with a text over a link of the calling thread's namespace.
func sendFrame(link, text string) (err error) {
	index, err := rtnetlink.Index(link)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("send a frame: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	const broadcast, local = "\xff\xff\xff\xff\xff\xff", "\x02\x00\x00\x00\x00\x01"
	frame := []byte(broadcast + local + "\x88\xb5" + text) // 0x88b5: IEEE 802 local experiments
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index, Halen: 6}); err != nil {
		return fmt.Errorf("send a frame: %w", err)
	}
	return nil
}

// sendLoopback sends a datagram with a text over lo to a socket that holds it.
func sendLoopback(text string) (err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("send over lo: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("send over lo: %w", err)
	}
	to, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("send over lo: %w", err)
	}
	if err := unix.Sendto(fd, []byte(text), 0, to); err != nil {
		return fmt.Errorf("send over lo: %w", err)
	}
	return nil
}
