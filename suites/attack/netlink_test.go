package attack

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestNetlinkAttributes(t *testing.T) {
	m := NewNetlink(unix.RTM_NEWLINK, 0, LinkHeader(7, unix.IFF_UP)).
		Text(unix.IFLA_IFNAME, "abc").
		Word(unix.IFLA_MTU, 1400).
		Nest(unix.IFLA_LINKINFO, []byte{1, 2, 3, 4}, func(n *Netlink) { n.Text(1, "veth") })
	if len(m.body)%4 != 0 {
		t.Errorf("body has %d bytes, which is no multiple of four", len(m.body))
	}
	for _, c := range []struct {
		kind uint16
		want string
	}{
		{unix.IFLA_IFNAME, "abc\x00"},
		{unix.IFLA_MTU, string(binary.NativeEndian.AppendUint32(nil, 1400))},
		{unix.IFLA_ADDRESS, ""},
	} {
		if got := attribute(m.body, unix.SizeofIfInfomsg, c.kind); got != c.want {
			t.Errorf("attribute %d is %q, want %q", c.kind, got, c.want)
		}
	}
	nested := attribute(m.body, unix.SizeofIfInfomsg, unix.IFLA_LINKINFO)
	if got := attribute([]byte(nested), 4, 1); got != "veth\x00" {
		t.Errorf("nested attribute is %q", got)
	}
}

// datagram is one netlink message.
func datagram(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, 10)...)
	return append(b, body...)
}

func TestAnswersOf(t *testing.T) {
	no := binary.NativeEndian.AppendUint32(nil, ^uint32(unix.EPERM)+1)
	for _, c := range []struct {
		name     string
		datagram []byte
		answers  int
		done     int
		err      error
	}{
		{"acknowledgement", datagram(unix.NLMSG_ERROR, make([]byte, 4)), 0, 1, nil},
		{"refusal", datagram(unix.NLMSG_ERROR, no), 0, 0, unix.EPERM},
		{"end of a dump", append(datagram(unix.RTM_NEWLINK, make([]byte, 16)), datagram(unix.NLMSG_DONE, make([]byte, 4))...), 1, 1, nil},
	} {
		answers, done, err := answersOf(c.datagram)
		if len(answers) != c.answers || done != c.done || !errors.Is(err, c.err) {
			t.Errorf("%s: %d answers, %d done, %v", c.name, len(answers), done, err)
		}
	}
	if _, _, err := answersOf(datagram(unix.NLMSG_ERROR, nil)); err == nil {
		t.Error("an error that is cut was taken")
	}
}

// TestTalkListsLinks asks the kernel, as any user: lo is link 1 of every network namespace.
func TestTalkListsLinks(t *testing.T) {
	links, err := Talk(unix.NETLINK_ROUTE, NewNetlink(unix.RTM_GETLINK, unix.NLM_F_DUMP, LinkHeader(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(links, func(l []byte) bool { return attribute(l, unix.SizeofIfInfomsg, unix.IFLA_IFNAME) == "lo\x00" }) {
		t.Errorf("no lo among %d links", len(links))
	}
	none := NewNetlink(unix.RTM_GETLINK, unix.NLM_F_ACK, LinkHeader(0, 0)).Text(unix.IFLA_IFNAME, "cellwall-none")
	if _, err := Talk(unix.NETLINK_ROUTE, none); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a link that is not there: %v, want ENODEV", err)
	}
}

// TestOnHost: an attacker in the namespace that it must leave alone knows it.
func TestOnHost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: asks for the network namespace of a socket")
	}
	var st unix.Stat_t
	if err := unix.Stat("/proc/self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		inode uint64
		want  bool
	}{{st.Ino, true}, {st.Ino + 1, false}} {
		a := &Attempt{Target: Target{Extra: decimal(c.inode)}}
		if got := a.onHost(); got != c.want {
			t.Errorf("in namespace %d, told %d: %v", st.Ino, c.inode, got)
		}
	}
}

func FuzzAnswersOf(f *testing.F) {
	f.Add(datagram(unix.NLMSG_ERROR, make([]byte, 4)))
	f.Add(append(datagram(unix.RTM_NEWLINK, make([]byte, 16)), datagram(unix.NLMSG_DONE, nil)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		answers, done, err := answersOf(b)
		if len(answers)+done > len(b)/unix.SizeofNlMsghdr {
			t.Errorf("%d bytes gave %d answers and %d ends (%v)", len(b), len(answers), done, err)
		}
	})
}

func FuzzAttribute(f *testing.F) {
	f.Add(NewNetlink(0, 0, LinkHeader(1, 0)).Text(unix.IFLA_IFNAME, "lo").body, uint16(unix.IFLA_IFNAME))
	f.Fuzz(func(t *testing.T, b []byte, kind uint16) {
		if got := attribute(b, unix.SizeofIfInfomsg, kind); len(got) > max(0, len(b)-unix.SizeofIfInfomsg-unix.SizeofRtAttr) {
			t.Errorf("%d bytes gave an attribute of %d", len(b), len(got))
		}
	})
}
