// Package rtnetlink makes the links of network namespaces that are the harness's own: rtnetlink(7). All of it
// acts in the network namespace of the calling thread.
package rtnetlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// Route sends one message to rtnetlink(7). An error says what it was to do.
func Route(what string, m *attack.Netlink) error {
	if _, err := attack.Talk(unix.NETLINK_ROUTE, m); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Index is the number of a link.
func Index(name string) (int, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", name, err)
	}
	return link.Index, nil
}

// create makes a link of a kind, whose own attributes data adds.
func create(name, kind string, data func(*attack.Netlink)) error {
	err := Route("make link "+name, attack.NewNetlink(unix.RTM_NEWLINK, attack.Create, attack.LinkHeader(0, 0)).
		Text(unix.IFLA_IFNAME, name).
		Nest(unix.IFLA_LINKINFO, nil, func(info *attack.Netlink) {
			info.Text(unix.IFLA_INFO_KIND, kind).Nest(unix.IFLA_INFO_DATA, nil, data)
		}))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("%s: this kernel has no such links, nor a module of them", kind)
	}
	return err
}

// Veth makes two links that are one wire: veth(4). The peer's end lies in the namespace of a descriptor. The
// pair goes with either namespace.
func Veth(name, peer string, namespace int) error {
	const vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	return create(name, "veth", func(data *attack.Netlink) {
		data.Nest(vethInfoPeer, attack.LinkHeader(0, 0), func(p *attack.Netlink) {
			p.Text(unix.IFLA_IFNAME, peer).Word(unix.IFLA_NET_NS_FD, uint32(namespace)) // descriptors are positive
		})
	})
}

// Bridge makes a bridge, which is down.
func Bridge(name string) error { return create(name, "bridge", func(*attack.Netlink) {}) }

// Up brings a link up.
func Up(name string) error {
	index, err := Index(name)
	if err != nil {
		return err
	}
	return Route("bring up "+name, attack.NewNetlink(unix.RTM_NEWLINK, unix.NLM_F_ACK, attack.LinkHeader(index, unix.IFF_UP)))
}

// Enslave puts a link into a bridge and brings it up.
func Enslave(name, bridge string) error {
	index, err := Index(name)
	if err != nil {
		return err
	}
	master, err := Index(bridge)
	if err != nil {
		return err
	}
	return Route("put "+name+" into "+bridge, attack.NewNetlink(unix.RTM_NEWLINK, unix.NLM_F_ACK, attack.LinkHeader(index, unix.IFF_UP)).
		Word(unix.IFLA_MASTER, uint32(master))) // a link's index is positive
}

// Address gives a link an address.
func Address(name string, p netip.Prefix) error {
	index, err := Index(name)
	if err != nil {
		return err
	}
	family := byte(unix.AF_INET)
	if p.Addr().Is6() {
		family = unix.AF_INET6
	}
	return Route("add address "+p.String(), attack.NewNetlink(unix.RTM_NEWADDR, attack.Create, attack.AddressHeader(family, byte(p.Bits()), index)).
		Attr(unix.IFA_LOCAL, p.Addr().AsSlice()).Attr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
}

// Shape puts a token bucket at the root of a link: tc-tbf(8). Rate is in bytes a second, burst is how many
// may pass at once and queue how many may wait; what comes beyond is dropped.
func Shape(name string, rate, burst, queue uint32) error {
	index, err := Index(name)
	if err != nil {
		return err
	}
	header := make([]byte, 20)                               // struct tcmsg of linux/rtnetlink.h
	binary.NativeEndian.PutUint32(header[4:], uint32(index)) // a link's index is positive
	binary.NativeEndian.PutUint32(header[12:], ^uint32(0))   // TC_H_ROOT
	// struct tc_tbf_qopt of linux/pkt_sched.h: two struct tc_ratespec, limit, buffer, mtu.
	options := make([]byte, 36)
	const linkEthernet = 1 // TC_LINKLAYER_ETHERNET: the rate table is not needed
	options[1] = linkEthernet
	binary.NativeEndian.PutUint32(options[8:], rate)
	binary.NativeEndian.PutUint32(options[24:], queue)
	const tbfParms, tbfBurst = 1, 6 // TCA_TBF_PARMS, TCA_TBF_BURST
	err = Route("shape "+name, attack.NewNetlink(unix.RTM_NEWQDISC, attack.Create, header).
		Text(unix.TCA_KIND, "tbf").
		Nest(unix.TCA_OPTIONS, nil, func(o *attack.Netlink) { o.Attr(tbfParms, options).Word(tbfBurst, burst) }))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("tc-tbf(8): this kernel has no token bucket, nor a module of it")
	}
	return err
}
