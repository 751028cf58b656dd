package sentinel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// testConnections is how many connections the host makes to its own listener: that all of them
// come to one of two that share its port has a chance of 2^-32.
const testConnections = 32

// PortsKept is a listener of the host that allows others to share its port, the target's Port.
// While the attacker holds, the host connects to it, and binds port 80.
func PortsKept(s *Stage) (*Watch, error) {
	host, inode, err := s.netHost()
	if err != nil {
		return nil, err
	}
	var listener, port, got int
	var bound error
	held := false
	if err := host.inside(func() (err error) {
		listener, port, err = s.listenTCP(&unix.SockaddrInet4{}, testConnections, true)
		return err
	}); err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target: attack.Target{Port: port, Extra: inode, Count: testConnections},
		Hold: func(context.Context, string, *Subject) error {
			held = true
			return host.inside(func() error {
				if err := connectMany(port, testConnections); err != nil {
					return err
				}
				var err error
				if got, _, err = acceptAll(listener); err != nil {
					return err
				}
				bound = bindOnce(&unix.SockaddrInet4{Port: 80})
				return nil
			})
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "bind port 80", fmt.Sprintf("bind port %d", port)); err != nil {
				return Finding{}, err
			}
			if !held {
				return Finding{}, errors.New("the attacker did not hold its ports")
			}
			if bound != nil && !errors.Is(bound, unix.EADDRINUSE) {
				return Finding{}, bound
			}
			f := Finding{Evidence: fmt.Sprintf("the host's listener got %d of %d connections; the host can bind port 80: %v", got, testConnections, bound == nil)}
			return f.of(part{"sharing a port", got != testConnections}, part{"port 80", bound != nil}), nil
		},
	}), nil
}

// connectMany makes connections over lo and closes them.
func connectMany(port, count int) error {
	for range count {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("connect to our listener: %w", err)
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
		if err := errors.Join(err, unix.Close(fd)); err != nil {
			return fmt.Errorf("connect to our listener: %w", err)
		}
	}
	return nil
}

// bindOnce binds a port of the calling thread's namespace and gives it back.
func bindOnce(at *unix.SockaddrInet4) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bind port %d: %w", at.Port, err)
	}
	err = unix.Bind(fd, at)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("bind port %d: %w", at.Port, err)
	}
	return nil
}
