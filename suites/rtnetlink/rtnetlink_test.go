package rtnetlink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"cellwall/runtime/kernel"
	"cellwall/suites/attack"
)

// inside runs f in a network namespace of its own.
func inside(t *testing.T, f func() error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	result := make(chan error)
	go kernel.ThrowAway(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = f()
		}
		result <- err
	})
	err := <-result
	if errors.Is(err, kernel.ErrNotSupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLinks makes a wire from a bridge to an address, and asks the kernel what there is.
func TestLinks(t *testing.T) {
	inside(t, func() error {
		here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(
			Bridge("br"), Up("br"), Veth("near", "far", here), unix.Close(here), Enslave("near", "br"), Up("far"),
			Address("far", netip.MustParsePrefix("192.0.2.1/24")), Address("far", netip.MustParsePrefix("2001:db8::1/64")),
		); err != nil {
			return err
		}
		for _, name := range []string{"br", "near", "far"} {
			l, err := net.InterfaceByName(name)
			if err != nil {
				return err
			}
			if l.Flags&net.FlagUp == 0 {
				t.Errorf("%s is down", name)
			}
		}
		far, err := net.InterfaceByName("far")
		if err != nil {
			return err
		}
		addresses, err := far.Addrs()
		if err != nil {
			return err
		}
		for _, want := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
			if !slices.ContainsFunc(addresses, func(a net.Addr) bool { return a.String() == want }) {
				t.Errorf("far has %v, and not %s", addresses, want)
			}
		}
		bridge, err := Index("br")
		if err != nil {
			return err
		}
		links, err := attack.Talk(unix.NETLINK_ROUTE, attack.NewNetlink(unix.RTM_GETLINK, unix.NLM_F_DUMP, attack.LinkHeader(0, 0)))
		if err != nil {
			return err
		}
		master := binary.NativeEndian.AppendUint16(binary.NativeEndian.AppendUint16(nil, unix.SizeofRtAttr+4), unix.IFLA_MASTER)
		master = binary.NativeEndian.AppendUint32(master, uint32(bridge))
		if !slices.ContainsFunc(links, func(l []byte) bool { return bytes.Contains(l, []byte("near\x00")) && bytes.Contains(l, master) }) {
			t.Error("near is not in the bridge")
		}
		return nil
	})
}

func TestShape(t *testing.T) {
	inside(t, func() error {
		if err := errors.Join(Bridge("br"), Shape("br", 1<<20, 32<<10, 64<<10)); err != nil {
			return err
		}
		disciplines, err := attack.Talk(unix.NETLINK_ROUTE, attack.NewNetlink(unix.RTM_GETQDISC, unix.NLM_F_DUMP, make([]byte, 20)))
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(disciplines, func(d []byte) bool { return strings.Contains(string(d), "tbf\x00") }) {
			t.Errorf("no token bucket among %d disciplines", len(disciplines))
		}
		return nil
	})
}

func TestErrorsNameTheLink(t *testing.T) {
	for what, err := range map[string]error{
		"up": Up("none"), "enslave": Enslave("none", "br"), "address": Address("none", netip.MustParsePrefix("192.0.2.1/24")),
		"shape": Shape("none", 1, 1, 1),
	} {
		if err == nil || !strings.Contains(err.Error(), "find link none: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	inside(t, func() error {
		if err := errors.Join(Bridge("br"), Up("lo")); err != nil {
			return err
		}
		if err := Bridge("br"); !errors.Is(err, unix.EEXIST) || !strings.Contains(fmt.Sprint(err), "make link br") {
			t.Errorf("a second br: %v", err)
		}
		return nil
	})
}
