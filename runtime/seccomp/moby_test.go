package seccomp

import (
	"maps"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

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
