package seccomp

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	allow = unix.SECCOMP_RET_ALLOW
	eperm = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	kill  = unix.SECCOMP_RET_KILL_PROCESS
)

func specWith(caps ...string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
}

func TestDefaultAnswers(t *testing.T) {
	const high = 1 << 32
	cases := []struct {
		name string
		args [3]uint64
		caps string
		want uint32
	}{
		{name: "getpid", want: allow},
		{name: "execve", want: allow},
		{name: "newfstatat", want: allow},
		{name: "clone3", want: enosys},
		{name: "clone3", caps: "CAP_SYS_ADMIN", want: allow},
		{name: "clone", args: [3]uint64{uint64(unix.SIGCHLD)}, want: allow},
		{name: "clone", args: [3]uint64{unix.CLONE_NEWUSER}, want: eperm},
		{name: "clone", args: [3]uint64{unix.CLONE_NEWUSER | high}, want: eperm},
		{name: "clone", args: [3]uint64{unix.CLONE_NEWNS | unix.CLONE_VM}, want: eperm},
		{name: "unshare", want: eperm},
		{name: "unshare", caps: "CAP_SYS_ADMIN", want: allow},
		{name: "setns", want: eperm},
		{name: "mount", want: eperm},
		{name: "fsopen", want: eperm},
		{name: "bpf", want: eperm},
		{name: "perf_event_open", want: eperm},
		{name: "io_uring_setup", caps: "CAP_SYS_ADMIN", want: eperm},
		{name: "keyctl", caps: "CAP_SYS_ADMIN", want: eperm},
		{name: "kcmp", want: eperm},
		{name: "open_by_handle_at", want: eperm},
		{name: "personality", args: [3]uint64{0}, want: allow},
		{name: "personality", args: [3]uint64{0xffffffff}, want: allow},
		{name: "personality", args: [3]uint64{0x0040000}, want: eperm}, // ADDR_NO_RANDOMIZE
		{name: "personality", args: [3]uint64{high}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSTI}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSTI | high}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSTI | 0xffffffff<<32}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, tiocLinux}, caps: "CAP_SYS_ADMIN", want: eperm},
		{name: "ioctl", args: [3]uint64{0, tiocLinux | 7*high}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSETD}, want: eperm},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSTI - 1}, want: allow},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCSTI + 1}, want: allow},
		{name: "ioctl", args: [3]uint64{0, unix.TCGETS}, want: allow},
		{name: "ioctl", args: [3]uint64{0, unix.TIOCINQ}, want: allow},
		{name: "ioctl", args: [3]uint64{0, 0xffffffff}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_UNIX, unix.SOCK_SEQPACKET, 0}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK, unix.IPPROTO_TCP}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_INET6, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_ICMPV6}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW}, want: allow}, // the capability refuses
		{name: "socket", args: [3]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_INET, unix.SOCK_DCCP, 0}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_INET | high, unix.SOCK_STREAM, 0}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP | high}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, want: allow},
		{name: "socket", args: [3]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM}, caps: "CAP_NET_ADMIN", want: allow},
		{name: "socket", args: [3]uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_PACKET, unix.SOCK_RAW, 0}, caps: "CAP_NET_RAW", want: allow},
		{name: "socket", args: [3]uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, want: eperm},
		{name: "socket", args: [3]uint64{unix.AF_ALG, unix.SOCK_SEQPACKET, 0}, want: eperm},
		{name: "socketpair", args: [3]uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}, want: allow},
		{name: "socketpair", args: [3]uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, want: eperm},
		{name: "listns", want: enosys},
	}
	for _, native := range natives {
		a, err := abis[indexABI(native)].read()
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			t.Run(fmt.Sprint(native, " ", c.name, c.args, c.caps), func(t *testing.T) {
				p, err := compile(native, defaultOf(native, strings.Fields(c.caps)))
				if err != nil {
					t.Fatal(err)
				}
				nr, ok := a.number(c.name)
				if !ok {
					t.Fatal("unknown call")
				}
				in := call{arch: a.audit, nr: nr, args: [6]uint64{c.args[0], c.args[1], c.args[2]}}
				if got := newMachine(t, p.Filters).run(in); got != c.want {
					t.Errorf("%#x, want %#x", got, c.want)
				}
			})
		}
	}
}

// What no rule of a profile can open: foreign ABIs and unknown numbers.
func TestDefaultRefusesOtherABIs(t *testing.T) {
	for _, caps := range [][]string{nil, mobyCaps()} {
		p, err := compile(specs.ArchX86_64, defaultOf(specs.ArchX86_64, caps))
		if err != nil {
			t.Fatal(err)
		}
		m := newMachine(t, p.Filters)
		for nr := range uint32(600) {
			if got := m.run(call{arch: unix.AUDIT_ARCH_I386, nr: nr}); got != kill {
				t.Errorf("i386 call %d: %#x, want a kill", nr, got)
			}
			if got := m.run(call{arch: unix.AUDIT_ARCH_X86_64, nr: nr | x32Bit}); got != enosys {
				t.Errorf("x32 call %d: %#x, want ENOSYS", nr, got)
			}
			if got := m.run(call{arch: unix.AUDIT_ARCH_X86_64, nr: nr}); nr > 466 && got != enosys {
				t.Errorf("call %d: %#x, want ENOSYS", nr, got)
			}
		}
	}
}

func TestDenialsHoldWithEveryCapability(t *testing.T) {
	for _, native := range natives {
		p, err := compile(native, defaultOf(native, mobyCaps()))
		if err != nil {
			t.Fatal(err)
		}
		a, _ := abis[indexABI(native)].read()
		for _, d := range denials {
			if d.reason == "" || d.source == "" {
				t.Errorf("%v: no reason or source", d.names)
			}
			for _, name := range d.names {
				if _, x86 := libraryNumber(specs.ArchX86, name); !x86 && !knows(native, name) {
					t.Errorf("%s is no system call", name)
				}
				if nr, ok := a.number(name); ok {
					if got, _ := interpret(p.Filters, call{arch: a.audit, nr: nr}); got != eperm {
						t.Errorf("%s %s: %#x, want EPERM", native, name, got)
					}
				}
			}
		}
	}
}

func knows(a specs.Arch, name string) bool { _, ok := libraryNumber(a, name); return ok }

func TestDefaultOfAnEmptySpec(t *testing.T) {
	if _, err := archOfGo(runtime.GOARCH); err != nil {
		t.Skip(err)
	}
	want := asJSON(mustDefault(t, specWith()))
	for _, s := range []*specs.Spec{nil, {}, {Process: &specs.Process{}}} {
		if got := asJSON(mustDefault(t, s)); got != want {
			t.Errorf("%+v: %s, want %s", s, got, want)
		}
	}
}

func mustDefault(t testing.TB, s *specs.Spec) *specs.LinuxSeccomp {
	t.Helper()
	out, err := Default(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
