package seccomp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var natives = []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64}

func TestProgramsDecideLikeTheRules(t *testing.T) {
	profiles, calls := 200, 300
	if testing.Short() {
		profiles = 50
	}
	g := newGenerator(1)
	outcomes := map[uint32]int{}
	longJumps := 0
	for range profiles {
		s, native := g.profile(), pick(g, natives...)
		p, err := compile(native, s)
		if err != nil {
			t.Fatalf("%v: %s", err, asJSON(s))
		}
		longJumps += countLongJumps(p)
		m := newMachine(t, p.Filters)
		for range calls {
			c := g.call(s)
			want := decide(native, s, c)
			outcomes[want&0xffff0000]++
			if got := m.run(c); got != want {
				t.Fatalf("%s, %v: %#x, want %#x: %s", native, c, got, want, asJSON(s))
			}
		}
	}
	// The test is worth nothing if what it compares does not happen.
	if len(outcomes) != 7 || longJumps == 0 {
		t.Errorf("saw %d kinds of actions, want 7, and %d long jumps, want some", len(outcomes), longJumps)
	}
}

func countLongJumps(p Program) (n int) {
	for _, f := range p.Filters {
		if f.Code == unix.BPF_JMP|unix.BPF_JA {
			n++
		}
	}
	return n
}

func asJSON(v any) string { b, _ := json.Marshal(v); return string(b) }

func FuzzCompile(f *testing.F) {
	g := newGenerator(2)
	for range 8 {
		f.Add([]byte(asJSON(g.profile())), uint64(g.Uint32()))
	}
	f.Add([]byte(asJSON(defaultOf(specs.ArchX86_64, nil))), uint64(1))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_NOTIFY","syscalls":[{"names":[]}]}`), uint64(2))
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		var s specs.LinuxSeccomp
		if json.Unmarshal(text, &s) != nil {
			return
		}
		g := newGenerator(seed)
		for _, native := range natives {
			p, err := compile(native, &s)
			if err != nil {
				continue
			}
			m := newMachine(t, p.Filters)
			for range 20 {
				c := g.call(&s)
				if got, want := m.run(c), decide(native, &s, c); got != want {
					t.Fatalf("%s, %v: %#x, want %#x", native, c, got, want)
				}
			}
		}
	})
}

// Every operator at every boundary of both words, on both sizes of argument.
func TestOperators(t *testing.T) {
	values := []uint64{0, 1, 5, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<32 | 5, 5<<32 | 5, 5<<32 | 6, 6<<32 | 4, 1 << 63, ^uint64(0)}
	for _, op := range operators {
		for _, v := range values {
			for _, two := range values {
				if op != specs.OpMaskedEqual && two != 0 {
					continue
				}
				s := allowOnly("getpid", specs.LinuxSeccompArg{Index: 3, Op: op, Value: v, ValueTwo: two})
				s.Architectures = []specs.Arch{specs.ArchX86}
				p, err := compile(specs.ArchX86_64, s)
				if err != nil {
					t.Fatal(err)
				}
				m := newMachine(t, p.Filters)
				for _, arg := range values {
					for _, c := range []call{{arch: unix.AUDIT_ARCH_X86_64, nr: 39}, {arch: unix.AUDIT_ARCH_I386, nr: 20}} {
						c.args = [6]uint64{3: arg}
						if got, want := m.run(c), decide(specs.ArchX86_64, s, c); got != want {
							t.Errorf("%s %#x %#x, %v: %#x, want %#x", op, v, two, c, got, want)
						}
					}
				}
			}
		}
	}
}

func allowOnly(name string, args ...specs.LinuxSeccompArg) *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{name}, Action: specs.ActAllow, Args: args}}}
}

func TestBadProfilesAreRefused(t *testing.T) {
	errno := func(n uint) *uint { return &n }
	with := func(r specs.LinuxSyscall) *specs.LinuxSeccomp {
		return &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActLog}, r}}
	}
	arg := func(index uint, op specs.LinuxSeccompOperator) specs.LinuxSeccompArg {
		return specs.LinuxSeccompArg{Index: index, Op: op}
	}
	name := []string{"mkdir"}
	cases := []struct {
		about string
		in    *specs.LinuxSeccomp
		want  string // part of the error
		lacks bool   // wraps ErrNotSupported
	}{
		{about: "nothing", in: nil, want: "no profile"},
		{about: "no default", in: &specs.LinuxSeccomp{}, want: `unknown action ""`},
		{about: "notify by default", in: &specs.LinuxSeccomp{DefaultAction: specs.ActNotify}, want: "SCMP_ACT_NOTIFY: not supported", lacks: true},
		{about: "notify", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActNotify}), want: `rule 1 ["mkdir"]: action SCMP_ACT_NOTIFY: not supported`, lacks: true},
		{about: "listener", in: &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/s"}, want: "listenerPath", lacks: true},
		{about: "flag of a listener", in: &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagWaitKillableRecv}}, want: "WAIT_KILLABLE", lacks: true},
		{about: "flag", in: &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"X"}}, want: `unknown flag "X"`},
		{about: "architecture", in: &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{"SCMP_ARCH_VAX"}}, want: "SCMP_ARCH_VAX"},
		{about: "action", in: with(specs.LinuxSyscall{Names: name, Action: "SCMP_ACT_MAYBE"}), want: "SCMP_ACT_MAYBE"},
		{about: "no names", in: with(specs.LinuxSyscall{Action: specs.ActAllow}), want: "rule 1 []: no system call"},
		{about: "errno of allow", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActAllow, ErrnoRet: errno(1)}), want: "has no errno"},
		{about: "errno too high", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActErrno, ErrnoRet: errno(4096)}), want: "4096"},
		{about: "trace too high", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActTrace, ErrnoRet: errno(1 << 16)}), want: "65536"},
		{about: "seventh argument", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{arg(6, specs.OpEqualTo)}}), want: "argument 6"},
		{about: "operator", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{arg(0, "SCMP_CMP_ODD")}}), want: "SCMP_CMP_ODD"},
		{about: "one argument twice", in: with(specs.LinuxSyscall{Names: name, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{arg(0, specs.OpGreaterThan), arg(0, specs.OpLessThan)}}), want: "argument 0 compared twice"},
		{about: "too long", in: tooLong(), want: "at most 4096"},
	}
	for _, c := range cases {
		t.Run(c.about, func(t *testing.T) {
			_, err := Compile(c.in)
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrNotSupported) != c.lacks {
				t.Errorf("got %v, want %q, ErrNotSupported %v", err, c.want, c.lacks)
			}
		})
	}
}

func tooLong() *specs.LinuxSeccomp {
	s := allowOnly("read")
	for i := range uint64(2000) {
		s.Syscalls = append(s.Syscalls, allowOnly("mkdir", equal(0, i<<33|1)).Syscalls...)
	}
	return s
}

func TestUnknownNamesAndFlags(t *testing.T) {
	s := allowOnly("read")
	s.Syscalls[0].Names = []string{"zz", "read", "aa", "zz", "cacheflush"}
	s.Flags = []specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, "SECCOMP_FILTER_FLAG_TSYNC"}
	p, err := compile(specs.ArchX86_64, s)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"aa", "cacheflush", "zz"}; !slices.Equal(p.Ignored, want) {
		t.Errorf("ignored %v, want %v", p.Ignored, want)
	}
	if want := uint(unix.SECCOMP_FILTER_FLAG_LOG | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW | unix.SECCOMP_FILTER_FLAG_TSYNC); p.Flags != want {
		t.Errorf("flags %#x, want %#x", p.Flags, want)
	}
	s.Architectures = []specs.Arch{specs.ArchARM}
	if p, err = compile(specs.ArchAARCH64, s); err != nil || fmt.Sprint(p.Ignored) != "[aa zz]" {
		t.Errorf("with arm: ignored %v, %v, want [aa zz]", p.Ignored, err)
	}
}
