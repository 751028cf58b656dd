package seccomp

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func equal(index uint, value uint64) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Op: specs.OpEqualTo, Value: value}
}

func masked32(index uint, mask, value uint32) specs.LinuxSeccompArg {
	return specs.LinuxSeccompArg{Index: index, Op: specs.OpMaskedEqual, Value: uint64(mask), ValueTwo: uint64(value)}
}

// inet are the types and protocols of AF_INET and AF_INET6 that every kernel with networking
// has built in, or that are found without loading a module.
var inet = []struct {
	kind     uint32 // SOCK_*
	protocol uint64 // IPPROTO_*
}{
	{kind: unix.SOCK_STREAM, protocol: unix.IPPROTO_IP},
	{kind: unix.SOCK_STREAM, protocol: unix.IPPROTO_TCP},
	{kind: unix.SOCK_STREAM, protocol: unix.IPPROTO_MPTCP}, // Go's listeners, since 1.24
	{kind: unix.SOCK_DGRAM, protocol: unix.IPPROTO_IP},
	{kind: unix.SOCK_DGRAM, protocol: unix.IPPROTO_UDP},
	{kind: unix.SOCK_DGRAM, protocol: unix.IPPROTO_ICMP},
	{kind: unix.SOCK_DGRAM, protocol: unix.IPPROTO_ICMPV6},
}

// netlink are the protocols that containers use without CAP_NET_ADMIN.
var netlink = []uint64{
	unix.NETLINK_ROUTE, unix.NETLINK_SOCK_DIAG, unix.NETLINK_AUDIT,
	unix.NETLINK_KOBJECT_UEVENT, unix.NETLINK_GENERIC,
}

// sockTypeMask is SOCK_TYPE_MASK of linux/net.h; above it are SOCK_CLOEXEC and SOCK_NONBLOCK.
const sockTypeMask = 0xf

// sockets are the rules of socket(family, type, protocol).
func sockets(caps []string) [][]specs.LinuxSeccompArg {
	out := [][]specs.LinuxSeccompArg{{equal(0, unix.AF_UNIX)}}
	for _, family := range []uint64{unix.AF_INET, unix.AF_INET6} {
		// A raw socket takes any protocol without a module; CAP_NET_RAW guards it.
		out = append(out, []specs.LinuxSeccompArg{equal(0, family), masked32(1, sockTypeMask, unix.SOCK_RAW)})
		for _, s := range inet {
			out = append(out, []specs.LinuxSeccompArg{equal(0, family), masked32(1, sockTypeMask, s.kind), equal(2, s.protocol)})
		}
	}
	if slices.Contains(caps, "CAP_NET_ADMIN") {
		out = append(out, []specs.LinuxSeccompArg{equal(0, unix.AF_NETLINK)})
	} else {
		for _, p := range netlink {
			out = append(out, []specs.LinuxSeccompArg{equal(0, unix.AF_NETLINK), equal(2, p)})
		}
	}
	if slices.Contains(caps, "CAP_NET_RAW") {
		out = append(out, []specs.LinuxSeccompArg{equal(0, unix.AF_PACKET)})
	}
	return out
}

// allBut returns rules of which one matches exactly when the low 32 bits of an argument are
// none of the values. The kernel cuts such an argument to 32 bits, so the high ones must not
// count, and no operator of OCI says "not equal under a mask". So: a number differs from all
// values if some bit on which they agree is different, or if the bits on which they do not
// agree have a combination that no value has.
func allBut(index uint, values ...uint32) [][]specs.LinuxSeccompArg {
	zeros, sets := ones, ones // bits that are 0, or 1, in all values
	for _, v := range values {
		zeros &^= v
		sets &= v
	}
	// Below the smallest, with no high bits, is the common case: one comparison.
	out := [][]specs.LinuxSeccompArg{{{Index: index, Op: specs.OpLessThan, Value: uint64(slices.Min(values))}}}
	out = append(out, combinations(index, ^(zeros|sets), 0, 0, values)...)
	for bit := uint32(1); bit != 0; bit <<= 1 {
		switch {
		case zeros&bit != 0:
			out = append(out, []specs.LinuxSeccompArg{masked32(index, bit, bit)})
		case sets&bit != 0:
			out = append(out, []specs.LinuxSeccompArg{masked32(index, bit, 0)})
		}
	}
	return out
}

// combinations covers what the bits of open can be, with fixed already known to be want, except
// for what they are in one of the values.
func combinations(index uint, open, fixed, want uint32, values []uint32) [][]specs.LinuxSeccompArg {
	if len(values) == 0 {
		return [][]specs.LinuxSeccompArg{{masked32(index, fixed, want)}}
	}
	if open == 0 {
		return nil
	}
	bit := open & -open
	var out [][]specs.LinuxSeccompArg
	for _, v := range []uint32{0, bit} {
		rest := slices.DeleteFunc(slices.Clone(values), func(x uint32) bool { return x&bit != v })
		out = append(out, combinations(index, open&^bit, fixed|bit, want|v, rest)...)
	}
	return out
}
