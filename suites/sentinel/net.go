package sentinel

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"cellwall/suites/attack"
	"cellwall/suites/rtnetlink"
)

// LoopbackListener listens on the host's own loopback addresses, on the target's Port.
func LoopbackListener(s *Stage) (*Watch, error) {
	four, port, err := s.listenTCP(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 8, false)
	if err != nil {
		return nil, err
	}
	listeners := []int{four}
	// A host without IPv6, or with the port in use there, has one service less to reach.
	if six, _, err := s.listenTCP(&unix.SockaddrInet6{Port: port, Addr: [16]byte{15: 1}}, 8, false); err == nil {
		listeners = append(listeners, six)
	}
	return &Watch{
		Target: attack.Target{Port: port},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			if err := MustTry(r, "connect 127.0.0.1"); err != nil {
				return Finding{}, err
			}
			total := 0
			var parts []part
			for i, l := range listeners {
				n, _, err := acceptAll(l)
				if err != nil {
					return Finding{}, err
				}
				total += n
				parts = append(parts, part{[]string{"127.0.0.1", "::1"}[i], n > 0})
			}
			f := Finding{Evidence: fmt.Sprintf("%d listeners of the host accepted %d connections", len(listeners), total)}
			return f.of(parts...), nil
		},
	}, nil
}

// netHost makes a network namespace that stands in for the host's, with lo up. Inode is the
// number of the harness's own, in which no attack is to act.
func (s *Stage) netHost() (host *standIn, inode string, err error) {
	host, err = s.standIn(unix.CLONE_NEWNET)
	if err != nil {
		return nil, "", err
	}
	inode = strings.TrimSuffix(strings.TrimPrefix(host.host, "net:["), "]")
	return host, inode, host.inside(func() error { return rtnetlink.Up("lo") })
}

// linkName is a random name for a link, of at most 15 bytes.
func (s *Stage) linkName() string { return "cw" + strings.ToLower(s.Nonce[:11]) }
