package seccomp

import (
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// generator makes random profiles and calls that come close to each other.
type generator struct {
	*rand.Rand
	names []string
}

func newGenerator(seed uint64) generator {
	all := map[string]bool{"no_such_call": true, "listns": true}
	for _, a := range abis {
		a, _ := a.read()
		for name := range a.numbers {
			all[name] = true
		}
	}
	return generator{Rand: rand.New(rand.NewPCG(seed, 0)), names: slices.Sorted(maps.Keys(all))}
}

func pick[T any](g generator, from ...T) T { return from[g.IntN(len(from))] }

func (g generator) value() uint64 {
	v := pick(g, 0, 1, 2, 3, 5, 8, 0x5412, 0x541c, 0x7e020000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1<<63, ^uint64(0), g.Uint64())
	return pick(g, v, v, v, v+1, v-1, v|v<<32, v|1<<32)
}

func (g generator) action() (specs.LinuxSeccompAction, *uint) {
	a := pick(g, specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillThread, specs.ActKillProcess, specs.ActTrap, specs.ActTrace, specs.ActLog)
	if (a == specs.ActErrno || a == specs.ActTrace) && g.IntN(2) == 0 {
		e := pick[uint](g, 0, 1, 38, 4095)
		return a, &e
	}
	return a, nil
}

func (g generator) profile() *specs.LinuxSeccomp {
	s := &specs.LinuxSeccomp{}
	s.DefaultAction, s.DefaultErrnoRet = g.action()
	for _, a := range []specs.Arch{specs.ArchX86_64, specs.ArchX32, specs.ArchX86, specs.ArchAARCH64, specs.ArchARM, specs.ArchS390X} {
		if g.IntN(2) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	few := make([]string, 1+g.IntN(12)) // so that rules meet
	for i := range few {
		few[i] = pick(g, g.names...)
	}
	for range g.IntN(24) {
		r := specs.LinuxSyscall{Names: []string{pick(g, few...)}}
		if g.IntN(8) == 0 { // long runs of numbers, and many spans
			r.Names = append(r.Names, g.names[:g.IntN(len(g.names))]...)
		}
		r.Action, r.ErrnoRet = g.action()
		for _, index := range g.Perm(6)[:min(6, g.IntN(9))] {
			if g.IntN(2) == 0 {
				r.Args = append(r.Args, specs.LinuxSeccompArg{Index: uint(index), Op: pick(g, operators...), Value: g.value(), ValueTwo: g.value()})
			}
		}
		if len(s.Syscalls) > 0 && g.IntN(4) == 0 { // leaves that differ in their actions only
			r.Args = pick(g, s.Syscalls...).Args
		}
		s.Syscalls = append(s.Syscalls, r)
	}
	return s
}

var audits = []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_S390X}

// call returns a call of a rule with arguments around the rule's values, or a random one.
func (g generator) call(s *specs.LinuxSeccomp) call {
	a := pick(g, abis...)
	c := call{arch: a.audit, nr: uint32(g.IntN(520)) | a.bit}
	for i := range c.args {
		c.args[i] = g.value()
	}
	if g.IntN(8) == 0 {
		c.arch = pick(g, audits...)
		c.nr = pick(g, g.Uint32(), 0xffffffff, 0xfffffffe, 0x40000000, 0x3fffffff, 0xeffff, 0xf0002, 0xf0005, 0xf0006)
	}
	if len(s.Syscalls) == 0 || g.IntN(4) == 0 {
		return c
	}
	r := pick(g, s.Syscalls...)
	if nr, ok := libraryNumber(a.name, pick(g, r.Names...)); ok {
		c.nr = nr | a.bit
		c.nr += pick[uint32](g, 0, 0, 0, 0, 1, ^uint32(0))
	}
	for _, x := range r.Args {
		near := pick(g, x.Value, x.ValueTwo&x.Value, x.ValueTwo&x.Value|^x.Value&g.value())
		c.args[x.Index] = pick(g, near, near, near, near+1, near-1, near^1<<32, near^1<<g.IntN(64))
	}
	return c
}
