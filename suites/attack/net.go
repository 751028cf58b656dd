package attack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

var netAttacks = []Attack{
	HostLoopback,
	OwnInterfaces,
	PacketSniff,
	HostConfig,
	PrivilegedPort,
	EgressPolicy,
	RawSocket,
	OpenFamilies,
	LandlockTCP,
	Bandwidth,
}

// HostLoopback connects to Target.Port on the loopback addresses.
var HostLoopback = Attack{Name: "net.host-loopback", Run: func(a *Attempt) {
	for _, to := range []struct {
		name   string
		family int
		at     unix.Sockaddr
	}{
		{"127.0.0.1", unix.AF_INET, &unix.SockaddrInet4{Port: a.Target.Port, Addr: [4]byte{127, 0, 0, 1}}},
		{"::1", unix.AF_INET6, &unix.SockaddrInet6{Port: a.Target.Port, Addr: [16]byte{15: 1}}},
	} {
		fd, err := unix.Socket(to.family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if a.Try("socket for "+to.name, err) {
			a.Try("connect "+to.name, unix.Connect(fd, to.at))
		}
	}
}}

// onHost reports whether the attacker is in the network namespace Target.Extra, an inode number:
// the harness's own. What would change the host is then not done.
func (a *Attempt) onHost() bool {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false // nothing can be done without sockets
	}
	defer unix.Close(sock) //nolint:errcheck // nothing was written
	// SIOCGSKNS needs CAP_NET_ADMIN in the namespace, as every change of it does.
	ns, err := unix.IoctlRetInt(sock, unix.SIOCGSKNS)
	if err != nil {
		return false
	}
	defer unix.Close(ns) //nolint:errcheck // nothing was written
	var st unix.Stat_t
	if unix.Fstat(ns, &st) != nil || decimal(st.Ino) != a.Target.Extra {
		return false
	}
	a.Try("leave the host's own network namespace alone", unix.ECANCELED)
	return true
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// NetworkOrder is a number as packet(7) wants its protocols.
func NetworkOrder(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}

// PacketSniff listens on every link while the host sends, and returns what it has heard.
var PacketSniff = Attack{Name: "net.packet-sniff", Run: func(a *Attempt) {
	if a.onHost() {
		return
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(NetworkOrder(unix.ETH_P_ALL)))
	if !a.Try("socket AF_PACKET", err) {
		return
	}
	links, err := Talk(unix.NETLINK_ROUTE, NewNetlink(unix.RTM_GETLINK, unix.NLM_F_DUMP, LinkHeader(0, 0)))
	a.Try("dump links", err)
	for _, l := range links {
		if len(l) < unix.SizeofIfInfomsg {
			continue
		}
		index := int32(binary.NativeEndian.Uint32(l[4:]))
		a.Try(fmt.Sprintf("be promiscuous on link %d", index), unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: index, Type: unix.PACKET_MR_PROMISC}))
	}
	a.Hold("listening")
	frame := make([]byte, 2048)
	for range a.Target.Count {
		// Frames between links of one host are there at once; the wait is for those that are not.
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(a.Target.For.Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if ready <= 0 {
			break
		}
		if n, _, err := unix.Recvfrom(fd, frame, 0); err == nil {
			a.Saw(string(frame[:n]))
		}
	}
}}

// HostConfig makes a firewall table Target.Name, a route for a test prefix, and changes a sysctl.
var HostConfig = Attack{Name: "net.host-config", Run: func(a *Attempt) {
	if a.onHost() {
		return
	}
	_, err := Talk(unix.NETLINK_ROUTE, NewNetlink(unix.RTM_NEWROUTE, Create, RouteHeader(unix.AF_INET, 24, unix.RT_SCOPE_UNIVERSE, unix.RTN_BLACKHOLE)).
		Attr(unix.RTA_DST, []byte{198, 51, 100, 0})) // TEST-NET-2, RFC 5737
	a.Try("add a route", err)
	_, err = Talk(unix.NETLINK_NETFILTER, Tables(NewNetlink(TableMessage(unix.NFT_MSG_NEWTABLE), Create, TableHeader(unix.NFPROTO_INET)).
		Text(unix.NFTA_TABLE_NAME, a.Target.Name))...)
	a.Try("add a firewall table", err)
	const somaxconn = "/proc/sys/net/core/somaxconn"
	before, err := os.ReadFile(somaxconn)
	if !a.Try("read "+somaxconn, err) {
		return
	}
	value, err := strconv.Atoi(strings.TrimSpace(string(before)))
	if err != nil {
		return
	}
	a.Try("write "+somaxconn, os.WriteFile(somaxconn, []byte(strconv.Itoa(value+1)), 0))
}}

// PrivilegedPort listens on port 80 and, with SO_REUSEPORT, on Target.Port, and holds.
var PrivilegedPort = Attack{Name: "net.privileged-port", Run: func(a *Attempt) {
	if a.onHost() {
		return
	}
	for _, port := range []int{80, a.Target.Port} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if !a.Try("socket", err) {
			continue
		}
		a.Try("share the port", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
		if a.Try(fmt.Sprintf("bind port %d", port), unix.Bind(fd, &unix.SockaddrInet4{Port: port})) {
			a.Try(fmt.Sprintf("listen on port %d", port), unix.Listen(fd, a.Target.Count))
		}
	}
	a.Hold("listening")
}}
