package sentinel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/runtime/spec"
	"cellwall/suites/attack"
)

// NoEgressRule is the edit that leaves out the rule of EgressDropped. It is the witness's to
// carry out: the rule is on the host. Rungs without a network namespace have none either.
const NoEgressRule = "no firewall rule on the host"

// The destinations: cloud metadata, by IPv4 and IPv6, and one that is allowed.
const (
	metadata4 = "169.254.169.254"
	metadata6 = "fd00:ec2::254"
	allowed   = "192.0.2.1"
	// egressWait is how long the attacker waits for answers that the policy drops.
	egressWait = 30 * time.Millisecond
)

// destination counts what comes to one address: datagrams and connections.
type destination struct{ sockets, listeners []int }

// EgressDropped has stubs on cloud metadata's addresses, on a wire to the attacker, and a rule of
// the host's firewall that drops what goes there. The target's Paths are the forbidden
// destinations, Address is an allowed one, which must be reached.
func EgressDropped(s *Stage) (*Watch, error) {
	w, err := s.wire()
	if err != nil {
		return nil, err
	}
	forbidden, ours, theirs := []string{metadata4}, []string{allowed + "/24", metadata4 + "/24"}, []string{"192.0.2.2/24", "169.254.169.2/24"}
	if kernel.IPv6.Check() == nil {
		forbidden, ours, theirs = append(forbidden, metadata6), append(ours, metadata6+"/64"), append(theirs, "fd00:ec2::2/64")
	}
	bad, good := map[string]*destination{}, destination{}
	return w.jail.guard(&Watch{
		Target: attack.Target{Paths: forbidden, Address: allowed, For: egressWait},
		Ready: func(_ context.Context, a *Subject) error {
			if err := w.connect(a.PID, ours, theirs); err != nil {
				return err
			}
			return w.host.inside(func() error {
				for _, at := range forbidden {
					bad[at] = &destination{}
					if err := s.listenAll(bad[at], at); err != nil {
						return err
					}
				}
				if err := s.listenAll(&good, allowed); err != nil {
					return err
				}
				if s.Has(NoEgressRule) || !s.Rung.Covers(spec.Namespaces) {
					return nil
				}
				return dropTo(forbidden)
			})
		},
		Look: func(_ context.Context, _ *Subject, r attack.Record) (Finding, error) {
			var parts []part
			reached := 0
			for _, at := range forbidden {
				n, err := bad[at].count()
				if err != nil {
					return Finding{}, err
				}
				reached += n
				parts = append(parts, part{at, n > 0})
			}
			control, err := good.count()
			if err == nil && control == 0 {
				err = errors.New("nothing came to the allowed destination: the wire does not work")
			}
			f := Finding{Evidence: fmt.Sprintf("%d packets and connections came to %d forbidden destinations, %d to the allowed one", reached, len(forbidden), control)}
			return f.of(parts...), errors.Join(err, MustTry(r, "begin to connect", "send to "+metadata4))
		},
	}), nil
}

// listenAll opens the ports of attack.EgressPolicy on an address of the calling thread's
// namespace.
func (s *Stage) listenAll(to *destination, text string) error {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return err
	}
	at := func(port int) (int, unix.Sockaddr) {
		if address.Is4() {
			return unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: address.As4()}
		}
		return unix.AF_INET6, &unix.SockaddrInet6{Port: port, Addr: address.As16()}
	}
	for _, port := range []int{attack.HTTP, attack.DNS} {
		family, name := at(port)
		fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("make a stub: %w", err)
		}
		s.Undo.Push("close a stub", func() error { return unix.Close(fd) })
		if err := unix.Bind(fd, name); err != nil {
			return fmt.Errorf("bind a stub to %s: %w", text, err)
		}
		to.sockets = append(to.sockets, fd)
	}
	_, name := at(attack.HTTP)
	fd, _, err := s.listenTCP(name, 8, false)
	to.listeners = append(to.listeners, fd)
	return err
}

func (t *destination) count() (n int, err error) {
	for _, fd := range t.sockets {
		for {
			_, _, err := unix.Recvfrom(fd, make([]byte, 64), 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil {
				return n, fmt.Errorf("read a stub: %w", err)
			}
			n++
		}
	}
	for _, fd := range t.listeners {
		accepted, _, err := acceptAll(fd)
		if err != nil {
			return n, err
		}
		n += accepted
	}
	return n, nil
}

// dropTo makes a chain at the input hook that drops what goes to the addresses.
func dropTo(addresses []string) error {
	const table, chain = "cellwall", "input"
	messages := []*attack.Netlink{
		nft(unix.NFT_MSG_NEWTABLE).Text(unix.NFTA_TABLE_NAME, table),
		nft(unix.NFT_MSG_NEWCHAIN).Text(unix.NFTA_CHAIN_TABLE, table).Text(unix.NFTA_CHAIN_NAME, chain).Text(unix.NFTA_CHAIN_TYPE, "filter").
			Nest(unix.NFTA_CHAIN_HOOK|unix.NLA_F_NESTED, nil, func(h *attack.Netlink) {
				h.Attr(unix.NFTA_HOOK_HOOKNUM, be32(unix.NF_INET_LOCAL_IN)).Attr(unix.NFTA_HOOK_PRIORITY, be32(0))
			}),
	}
	for _, text := range addresses {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return err
		}
		offset := uint32(16) // of the destination in an IPv4 header
		if address.Is6() {
			offset = 24
		}
		messages = append(messages, nft(unix.NFT_MSG_NEWRULE).Text(unix.NFTA_RULE_TABLE, table).Text(unix.NFTA_RULE_CHAIN, chain).
			Nest(unix.NFTA_RULE_EXPRESSIONS|unix.NLA_F_NESTED, nil, func(list *attack.Netlink) { dropRule(list, offset, address.AsSlice()) }))
	}
	_, err := attack.Talk(unix.NETLINK_NETFILTER, attack.Tables(messages...)...)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOENT) {
		return kernel.Unsupported("nf_tables with chains of type filter: %v", err)
	}
	if err != nil {
		return fmt.Errorf("make a firewall rule: %w", err)
	}
	return nil
}

func nft(kind uint16) *attack.Netlink {
	return attack.NewNetlink(attack.TableMessage(kind), unix.NLM_F_CREATE|unix.NLM_F_APPEND|unix.NLM_F_ACK, attack.TableHeader(unix.NFPROTO_INET))
}

// dropRule is: the bytes at an offset of the network header are these; drop.
func dropRule(list *attack.Netlink, offset uint32, value []byte) {
	expression := func(name string, fill func(*attack.Netlink)) {
		list.Nest(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, nil, func(e *attack.Netlink) {
			e.Text(unix.NFTA_EXPR_NAME, name).Nest(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, nil, fill)
		})
	}
	expression("payload", func(e *attack.Netlink) {
		e.Attr(unix.NFTA_PAYLOAD_DREG, be32(unix.NFT_REG_1)).Attr(unix.NFTA_PAYLOAD_BASE, be32(unix.NFT_PAYLOAD_NETWORK_HEADER)).
			Attr(unix.NFTA_PAYLOAD_OFFSET, be32(offset)).Attr(unix.NFTA_PAYLOAD_LEN, be32(uint32(len(value))))
	})
	expression("cmp", func(e *attack.Netlink) {
		e.Attr(unix.NFTA_CMP_SREG, be32(unix.NFT_REG_1)).Attr(unix.NFTA_CMP_OP, be32(unix.NFT_CMP_EQ)).
			Nest(unix.NFTA_CMP_DATA|unix.NLA_F_NESTED, nil, func(d *attack.Netlink) { d.Attr(unix.NFTA_DATA_VALUE, value) })
	})
	expression("immediate", func(e *attack.Netlink) {
		e.Attr(unix.NFTA_IMMEDIATE_DREG, be32(unix.NFT_REG_VERDICT)).
			Nest(unix.NFTA_IMMEDIATE_DATA|unix.NLA_F_NESTED, nil, func(d *attack.Netlink) {
				const drop = 0 // NF_DROP of linux/netfilter.h
				d.Nest(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, nil, func(v *attack.Netlink) { v.Attr(unix.NFTA_VERDICT_CODE, be32(drop)) })
			})
	})
}

// be32 is a number in network order, as nf_tables has them all.
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
