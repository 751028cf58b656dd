package sentinel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
)

// InterfacesUnseen is a link with a random name, an address and a route, and a listener on a
// random port. The target's Name is the link's.
func InterfacesUnseen(s *Stage) (*Watch, error) {
	host, inode, err := s.netHost()
	if err != nil {
		return nil, err
	}
	link, port := s.linkName(), 0
	if err := host.inside(func() error {
		if err := errors.Join(localPair(link, "peer"), addAddresses(link, "203.0.113.1/24")); err != nil {
			return err
		}
		_, port, err = s.listenTCP(&unix.SockaddrInet4{}, 1, false)
		return err
	}); err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target: attack.Target{Name: link, Extra: inode},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (f Finding, err error) {
			if err := MustTry(r, "dump links", "dump routes", "dump sockets"); err != nil {
				return f, err
			}
			var seen []string
			for _, bait := range []struct{ name, text string }{
				{"link " + link, link},
				{"route to 203.0.113.0/24", "route cb007100"},
				{"port of a socket", fmt.Sprintf("port %d", port)},
				{"port in /proc/net/tcp", fmt.Sprintf(":%04X ", port)},
			} {
				if slices.ContainsFunc(r.Saw, func(text string) bool { return strings.Contains(text, bait.text) }) {
					seen = append(seen, bait.name)
				}
			}
			var now []net.Addr
			err = host.inside(func() error {
				l, err := net.InterfaceByName(link)
				if err == nil {
					now, err = l.Addrs()
				}
				return err
			})
			if err != nil {
				return f, fmt.Errorf("look at the host's link: %w", err)
			}
			for _, a := range now {
				if strings.HasPrefix(a.String(), "198.51.100.9/") {
					seen = append(seen, "address set on the link")
				}
			}
			f = Finding{Breached: len(seen) > 0, Evidence: fmt.Sprintf("no link, route or socket of the host among %d texts", len(r.Saw))}
			if f.Breached {
				f.Evidence = "of the host: " + strings.Join(seen, ", ")
			}
			saw := func(prefix string) bool {
				return slices.ContainsFunc(seen, func(what string) bool { return strings.HasPrefix(what, prefix) })
			}
			// Not every kernel has sock_diag(7).
			return f.of(part{"links", saw("link ")}, part{"routes", saw("route ")}, part{"sockets", saw("port ")}, part{"addresses", saw("address ")}), nil
		},
	}), nil
}

// Sniffing is bounded by frames, and by the wait for one.
const (
	sniffFrames = 64
	sniffWait   = 30 * time.Millisecond
	// What is sent behind the nonce.
	overLoopback, overWire = " over lo", " over a wire"
)

// TrafficUnheard sends the nonce over lo and over a pair of links while the attacker listens.
func TrafficUnheard(s *Stage) (*Watch, error) {
	host, inode, err := s.netHost()
	if err != nil {
		return nil, err
	}
	link := s.linkName()
	if err := host.inside(func() error { return localPair(link, "peer") }); err != nil {
		return nil, err
	}
	return host.guard(&Watch{
		Target:    attack.Target{Extra: inode, Count: sniffFrames, For: sniffWait},
		Refusable: true,
		Hold: func(context.Context, string, *Subject) error {
			return host.inside(func() error {
				return errors.Join(sendLoopback(s.Nonce+overLoopback), sendFrame(link, s.Nonce+overWire))
			})
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			heard := func(text string) bool {
				return slices.ContainsFunc(r.Saw, func(saw string) bool { return strings.Contains(saw, s.Nonce+text) })
			}
			return s.Returned(r).of(part{"lo", heard(overLoopback)}, part{"a link", heard(overWire)}), MustTry(r, "socket AF_PACKET")
		},
	}), nil
}
