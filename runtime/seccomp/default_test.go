package seccomp

import (
	"fmt"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/moby/profiles/seccomp"
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

// mobyCaps are the capabilities that moby's profile asks for, and those that ours does.
func mobyCaps() []string {
	caps := map[string]bool{"CAP_NET_ADMIN": true, "CAP_NET_RAW": true}
	for _, c := range seccomp.DefaultProfile().Syscalls {
		for _, f := range []*seccomp.Filter{c.Includes, c.Excludes} {
			for i := 0; f != nil && i < len(f.Caps); i++ {
				caps[f.Caps[i]] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(caps))
}

// mobyProfile stands in for moby's own function, which knows only the running architecture and
// kernel.
func TestMobyProfileIsMobys(t *testing.T) {
	native, err := archOfGo(runtime.GOARCH)
	if err != nil {
		t.Skip(err)
	}
	for _, caps := range [][]string{nil, {"CAP_SYS_ADMIN"}, {"CAP_SYS_PTRACE", "CAP_BPF"}, mobyCaps()} {
		want, err := seccomp.GetDefaultProfile(specWith(caps...))
		if err != nil {
			t.Fatal(err)
		}
		got := mobyProfile(native, caps)
		slices.Sort(got.Architectures)
		slices.Sort(want.Architectures)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("with %v:\n%s\nwant\n%s", caps, asJSON(got), asJSON(want))
		}
	}
	for _, c := range seccomp.DefaultProfile().Syscalls {
		for _, f := range []*seccomp.Filter{c.Includes, c.Excludes} {
			if f != nil && f.MinKernel != nil && (f.MinKernel.Kernel > 5 || f.MinKernel.Kernel == 5 && f.MinKernel.Major > 10) {
				t.Errorf("%v asks for kernel %v: mobyProfile takes 5.10 for granted", c.Names, f.MinKernel)
			}
		}
	}
}

func TestDefaultIsAtLeastAsTightAsMobys(t *testing.T) {
	sets := [][]string{nil, mobyCaps()}
	for _, c := range mobyCaps() {
		sets = append(sets, []string{c})
	}
	tighter := 0
	for _, native := range natives {
		for _, caps := range sets {
			moby, ours := mobyProfile(native, caps), defaultOf(native, caps)
			mobys, err := compile(native, moby)
			if err != nil {
				t.Fatal(err)
			}
			program, err := compile(native, ours)
			if err != nil {
				t.Fatal(err)
			}
			for c := range interesting(native, moby, ours) {
				got, _ := interpret(program.Filters, c)
				bound, _ := interpret(mobys.Filters, c)
				if got == allow && bound != allow {
					t.Fatalf("%s with %v allows %v, moby's says %#x", native, caps, c, bound)
				}
				if got != allow && bound == allow {
					tighter++
				}
			}
		}
	}
	if tighter == 0 {
		t.Error("no call is allowed by moby's and refused by ours: the vectors are too few")
	}
}

// interesting yields every number of every ABI around, with the arguments that the profiles'
// rules name, their neighbours, and both with high bits set.
func interesting(native specs.Arch, profiles ...*specs.LinuxSeccomp) func(func(call) bool) {
	values := map[uint32][3]map[uint64]bool{} // by native number, the first three arguments
	a, _ := abis[indexABI(native)].read()
	for _, p := range profiles {
		for _, r := range p.Syscalls {
			for _, x := range r.Args {
				for _, name := range r.Names {
					nr, ok := a.number(name)
					if !ok {
						continue
					}
					v, ok := values[nr]
					if !ok {
						v = [3]map[uint64]bool{{0: true}, {0: true}, {0: true}}
					}
					v[x.Index][x.Value], v[x.Index][x.Value+1], v[x.Index][x.ValueTwo] = true, true, true
					if x.Op != specs.OpMaskedEqual || x.Value < 16 { // not the 32 single bits thrice
						v[x.Index][x.Value-1], v[x.Index][x.Value|1<<32] = true, true
					}
					values[nr] = v
				}
			}
		}
	}
	return func(yield func(call) bool) {
		for _, b := range abis {
			for nr := range uint32(520) {
				if !yield(call{arch: b.audit, nr: nr | b.bit}) {
					return
				}
			}
		}
		for _, nr := range []uint32{0xf0001, 0xf0002, 0xf0005, 0x3fffffff, 0x7fffffff, 0xffffffff} {
			for _, audit := range audits {
				if !yield(call{arch: audit, nr: nr}) {
					return
				}
			}
		}
		for nr, v := range values {
			for x := range v[0] {
				for y := range v[1] {
					for z := range v[2] {
						if !yield(call{arch: a.audit, nr: nr, args: [6]uint64{x, y, z}}) {
							return
						}
					}
				}
			}
		}
	}
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
		{name: "ioctl", args: [3]uint64{0, unix.FIONREAD}, want: allow},
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
				if _, known := library[specs.ArchX86].SyscallNames[name]; !known {
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

// allBut must be exact: every 16-bit number, and samples above.
func TestAllBut(t *testing.T) {
	sets := [][]uint32{{unix.TIOCSTI, tiocLinux, unix.TIOCSETD}, {0}, {ones}, {5, 0x80000005}, {1, 2, 3, 4}}
	for _, set := range sets {
		s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
		for _, args := range allBut(1, set...) {
			s.Syscalls = append(s.Syscalls, allowOnly("ioctl", args...).Syscalls...)
		}
		p, err := compile(specs.ArchX86_64, s)
		if err != nil {
			t.Fatal(err)
		}
		try := func(v uint64) {
			got, _ := interpret(p.Filters, call{arch: unix.AUDIT_ARCH_X86_64, nr: 16, args: [6]uint64{1: v}})
			if want := slices.Contains(set, uint32(v)); (got == eperm) != want {
				t.Errorf("%#x, value %#x: %#x, refused want %v", set, v, got, want)
			}
		}
		for low := range uint64(1 << 16) {
			for _, above := range []uint64{0, 1 << 16, 1 << 31, 1 << 32, 1 << 63, 0xffff << 16} {
				try(low | above)
			}
		}
		for _, v := range set {
			for bit := range 64 {
				try(uint64(v) ^ 1<<bit)
			}
		}
	}
}
