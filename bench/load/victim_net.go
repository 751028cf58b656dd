package load

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// inet reads ADDRESS:PORT.
func inet(text string) (*unix.SockaddrInet4, error) {
	at, err := netip.ParseAddrPort(text)
	if err != nil || !at.Addr().Is4() {
		return nil, fmt.Errorf("address %.60q: want one of IPv4 with a port", text)
	}
	return &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}, nil
}

// dial connects over TCP and sends small messages at once.
func dial(to unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	if err := unix.Connect(fd, to); err != nil {
		return -1, errors.Join(fmt.Errorf("connect: %w", err), unix.Close(fd))
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, errors.Join(fmt.Errorf("set TCP_NODELAY: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// Far is the act at the other end of the victims' and antagonists' link: another host, as far as they can
// tell. It echoes on EchoPort, sends all that the link takes on SourcePort, and does not read the datagrams
// that come to DiscardPort. It ends with its input.
const Far = "far"

// The ports of Far.
const (
	EchoPort    = 7
	DiscardPort = 9
	SourcePort  = 19
)

// farBytes is how much Far sends at a time.
const farBytes = 64 << 10

// far serves all connections on one thread.
func far([]string) int {
	f := &farEnd{peers: map[int]bool{}}
	if err := f.run(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", err)
		return 1
	}
	return 0
}

// farEnd is the open sockets: those that accept, and the connections, with whether they are a source.
type farEnd struct {
	echo, source int
	peers        map[int]bool
}

func (f *farEnd) run() (err error) {
	if f.echo, err = listenAt(EchoPort); err != nil {
		return err
	}
	if f.source, err = listenAt(SourcePort); err != nil {
		return err
	}
	if _, err := bound(unix.SOCK_DGRAM, DiscardPort); err != nil {
		return err
	}
	if _, err := os.Stdout.WriteString(`{"ready":1}` + "\n"); err != nil {
		return err
	}
	for {
		poll := []unix.PollFd{{Fd: 0, Events: unix.POLLIN}, {Fd: int32(f.echo), Events: unix.POLLIN}, {Fd: int32(f.source), Events: unix.POLLIN}} // descriptors are small
		for fd, source := range f.peers {
			events := int16(unix.POLLIN)
			if source {
				events = unix.POLLOUT
			}
			poll = append(poll, unix.PollFd{Fd: int32(fd), Events: events}) // descriptors are small
		}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if poll[0].Revents != 0 {
			return nil
		}
		for _, p := range poll[1:] {
			if p.Revents != 0 {
				f.serve(int(p.Fd))
			}
		}
	}
}

// serve does what a socket is ready for. A peer that makes trouble is let go.
func (f *farEnd) serve(fd int) {
	if fd == f.echo || fd == f.source {
		peer, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(peer, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // it would only be slower
		f.peers[peer] = fd == f.source
		return
	}
	var b [farBytes]byte
	n, err := farBytes, error(nil)
	if !f.peers[fd] {
		n, err = unix.Read(fd, b[:])
	}
	if err == nil && n > 0 {
		_, err = unix.Write(fd, b[:n])
	}
	if n == 0 || err != nil && !errors.Is(err, unix.EAGAIN) {
		_ = unix.Close(fd)
		delete(f.peers, fd)
	}
}

func bound(kind, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("make a socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
		return -1, errors.Join(fmt.Errorf("bind to port %d: %w", port, err), unix.Close(fd))
	}
	return fd, nil
}

func listenAt(port int) (int, error) {
	fd, err := bound(unix.SOCK_STREAM, port)
	if err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return -1, errors.Join(fmt.Errorf("listen at port %d: %w", port, err), unix.Close(fd))
	}
	return fd, nil
}
