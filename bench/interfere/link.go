package interfere

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// What follows acts in the network namespace of the calling thread.

// route sends one message to rtnetlink(7).
func route(what string, m *attack.Netlink) error {
	if _, err := attack.Talk(unix.NETLINK_ROUTE, m); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// kind is the description of a kind of link.
func kind(name string, data func(*attack.Netlink)) func(*attack.Netlink) {
	return func(info *attack.Netlink) {
		info.Text(unix.IFLA_INFO_KIND, name)
		if data != nil {
			info.Nest(unix.IFLA_INFO_DATA, nil, data)
		}
	}
}

// newLink makes a link of a kind.
func newLink(name, of string, data func(*attack.Netlink)) error {
	err := route("make link "+name, attack.NewNetlink(unix.RTM_NEWLINK, attack.Create, attack.LinkHeader(0, 0)).
		Text(unix.IFLA_IFNAME, name).Nest(unix.IFLA_LINKINFO, nil, kind(of, data)))
	if errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("%s: this kernel has no such links, nor a module of them", of)
	}
	return err
}

// newVeth makes two links that are one wire: veth(4). The peer lies in the namespace of a descriptor.
func newVeth(name, peer string, namespace int) error {
	const vethInfoPeer = 1 // VETH_INFO_PEER of linux/veth.h
	return newLink(name, "veth", func(data *attack.Netlink) {
		data.Nest(vethInfoPeer, attack.LinkHeader(0, 0), func(p *attack.Netlink) {
			p.Text(unix.IFLA_IFNAME, peer).Word(unix.IFLA_NET_NS_FD, uint32(namespace)) // descriptors are positive
		})
	})
}

func indexOf(name string) (int, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return 0, fmt.Errorf("find link %s: %w", name, err)
	}
	return link.Index, nil
}

// bringUp brings a link up, in a bridge unless that is "".
func bringUp(name, bridge string) error {
	index, err := indexOf(name)
	if err != nil {
		return err
	}
	if bridge != "" {
		master, err := indexOf(bridge)
		if err != nil {
			return err
		}
		if err := route("put "+name+" into "+bridge, attack.NewNetlink(unix.RTM_NEWLINK, unix.NLM_F_ACK, attack.LinkHeader(index, 0)).
			Word(unix.IFLA_MASTER, uint32(master))); err != nil { // a link's index is positive
			return err
		}
	}
	return route("bring up "+name, attack.NewNetlink(unix.RTM_NEWLINK, unix.NLM_F_ACK, attack.LinkHeader(index, unix.IFF_UP)))
}

func addAddress(link string, p netip.Prefix) error {
	index, err := indexOf(link)
	if err != nil {
		return err
	}
	return route("add address "+p.String(), attack.NewNetlink(unix.RTM_NEWADDR, attack.Create, attack.AddressHeader(unix.AF_INET, byte(p.Bits()), index)).
		Attr(unix.IFA_LOCAL, p.Addr().AsSlice()).Attr(unix.IFA_ADDRESS, p.Addr().AsSlice()))
}

// shape puts a token bucket at the root of a link: tc-tbf(8). rate is in bytes a second, queue is how many
// bytes may wait; what comes beyond is dropped.
func shape(link string, rate, burst, queue uint32) error { //nolint:unparam // the parameters of tc-tbf(8)
	index, err := indexOf(link)
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
	err = route("shape "+link, attack.NewNetlink(unix.RTM_NEWQDISC, attack.Create, header).
		Text(unix.TCA_KIND, "tbf").
		Nest(unix.TCA_OPTIONS, nil, func(o *attack.Netlink) { o.Attr(tbfParms, options).Word(tbfBurst, burst) }))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) {
		return kernel.Unsupported("tc-tbf(8): this kernel has no token bucket, nor a module of it")
	}
	return err
}

// openNet opens a network namespace by its path.
func openNet(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open network namespace: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return fd, nil
}

// openContainer opens the network namespace of a process, which has to be another than ours: nothing is
// ever changed in the host's.
func openContainer(pid int) (int, error) {
	if pid <= 0 {
		return -1, kernel.Unsupported("the runtime does not tell the process of its container")
	}
	path := fmt.Sprintf("/proc/%d/ns/net", pid)
	fd, err := openNet(path)
	if err != nil {
		return -1, err
	}
	var ours, theirs unix.Stat_t
	if err := errors.Join(unix.Stat("/proc/self/ns/net", &ours), unix.Fstat(fd, &theirs)); err != nil {
		return -1, errors.Join(fmt.Errorf("compare network namespaces: %w", err), unix.Close(fd))
	}
	if ours.Ino == theirs.Ino {
		return -1, errors.Join(kernel.Unsupported("the container is in the host's network namespace"), unix.Close(fd))
	}
	return fd, nil
}
