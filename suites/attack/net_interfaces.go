package attack

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// OwnInterfaces lists links, routes and sockets by every interface that shows them, and sets an
// address on the link Target.Name.
var OwnInterfaces = Attack{Name: "net.own-interfaces", Run: func(a *Attempt) {
	links, err := Talk(unix.NETLINK_ROUTE, NewNetlink(unix.RTM_GETLINK, unix.NLM_F_DUMP, LinkHeader(0, 0)))
	a.Try("dump links", err)
	for _, l := range links {
		a.Saw(text([]byte(attribute(l, unix.SizeofIfInfomsg, unix.IFLA_IFNAME))))
	}
	routes, err := Talk(unix.NETLINK_ROUTE, NewNetlink(unix.RTM_GETROUTE, unix.NLM_F_DUMP, RouteHeader(unix.AF_INET, 0, 0, 0)))
	a.Try("dump routes", err)
	for _, r := range routes {
		a.Saw(fmt.Sprintf("route %x", attribute(r, unix.SizeofRtMsg, unix.RTA_DST)))
	}
	request := make([]byte, 56) // struct inet_diag_req_v2 of linux/inet_diag.h
	request[0], request[1] = unix.AF_INET, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(request[4:], ^uint32(0)) // every state
	sockets, err := Talk(unix.NETLINK_INET_DIAG, NewNetlink(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, request))
	a.Try("dump sockets", err)
	for _, s := range sockets {
		if len(s) >= 6 {
			a.Saw(fmt.Sprintf("port %d", binary.BigEndian.Uint16(s[4:])))
		}
	}
	entries, err := os.ReadDir("/sys/class/net")
	a.Try("read /sys/class/net", err)
	for _, e := range entries {
		a.Saw(e.Name())
	}
	a.ReadFile("/proc/net/tcp")
	a.ReadFile("/proc/net/route")
	a.setAddress()
}}

// setAddress asks by name, as netdevice(7) does.
func (a *Attempt) setAddress() {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if !a.Try("socket to set an address", err) {
		return
	}
	request, err := unix.NewIfreq(a.Target.Name)
	if err != nil || request.SetInet4Addr([]byte{198, 51, 100, 9}) != nil { // TEST-NET-2, RFC 5737
		return
	}
	a.Try("set an address on "+a.Target.Name, unix.IoctlIfreq(sock, unix.SIOCSIFADDR, request))
}

// attribute returns the data of an attribute of a netlink payload, empty if it has none.
func attribute(payload []byte, header int, kind uint16) string {
	for at := header; at+unix.SizeofRtAttr <= len(payload); {
		size := int(binary.NativeEndian.Uint16(payload[at:]))
		if size < unix.SizeofRtAttr || at+size > len(payload) {
			return ""
		}
		if binary.NativeEndian.Uint16(payload[at+2:]) == kind {
			return string(payload[at+unix.SizeofRtAttr : at+size])
		}
		at += (size + 3) &^ 3
	}
	return ""
}
