package sentinel

import (
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"

	"cellwall/suites/attack"
)

// lastCall is set_mempolicy_home_node of Linux 5.17. To the calls after it a runtime may answer ENOSYS,
// as to all that its libseccomp does not know, and ENOSYS is what attack.RiskyCalls gets where it
// passes: syscall.unknown-enosys is for these.
const lastCall = 450

// refusals are calls that a profile refuses: of every call that it never allows one, and of
// one that it allows for some arguments those whose arguments are next to an allowed set.
func refusals(f *specs.LinuxSeccomp, numbers map[string]uint32) []attack.Call {
	rules := map[string][]specs.LinuxSyscall{}
	for _, r := range f.Syscalls {
		for _, name := range r.Names {
			rules[name] = append(rules[name], r)
		}
	}
	var out []attack.Call
	for _, name := range slices.Sorted(maps.Keys(numbers)) {
		if numbers[name] > lastCall {
			continue
		}
		made := map[[6]uintptr]bool{}
		for _, args := range besides(rules[name]) {
			args[5] = attack.Marked
			if made[args] || allows(f.DefaultAction, rules[name], args) {
				continue
			}
			made[args] = true
			out = append(out, attack.Call{Name: fmt.Sprintf("%s%#x", name, args[:5]), Number: uintptr(numbers[name]), Args: args})
		}
	}
	return out
}

// besides are the arguments that each rule of a call matches, each time with one of them changed a
// little, and those that are all 0.
func besides(rules []specs.LinuxSyscall) [][6]uintptr {
	out := [][6]uintptr{{}}
	for _, r := range rules {
		var is [6]uintptr
		for _, c := range r.Args {
			is[c.Index] = uintptr(c.Value)
			if c.Op == specs.OpMaskedEqual {
				is[c.Index] = uintptr(c.ValueTwo)
			}
		}
		for _, c := range r.Args {
			differ := []uint64{0, 1, high}
			if c.Op == specs.OpMaskedEqual {
				differ = bitsOf(c.Value)
			}
			for _, d := range differ {
				other := is
				other[c.Index] ^= uintptr(d)
				out = append(out, other)
			}
		}
	}
	return out
}

// bitsOf are the bits of a mask, one by one.
func bitsOf(mask uint64) (out []uint64) {
	for ; mask != 0; mask &= mask - 1 {
		out = append(out, mask&-mask)
	}
	return out
}

// allows says whether a call passes by the rules for its name: the strictest that is for its
// arguments counts.
func allows(byDefault specs.LinuxSeccompAction, rules []specs.LinuxSyscall, args [6]uintptr) bool {
	matching := slices.DeleteFunc(slices.Clone(rules), func(r specs.LinuxSyscall) bool {
		return slices.ContainsFunc(r.Args, func(c specs.LinuxSeccompArg) bool { return !matches(c, uint64(args[c.Index])) })
	})
	if len(matching) == 0 {
		return byDefault == specs.ActAllow
	}
	return !slices.ContainsFunc(matching, func(r specs.LinuxSyscall) bool { return r.Action != specs.ActAllow })
}

func matches(c specs.LinuxSeccompArg, v uint64) bool {
	switch c.Op {
	case specs.OpEqualTo:
		return v == c.Value
	case specs.OpNotEqual:
		return v != c.Value
	case specs.OpLessThan:
		return v < c.Value
	case specs.OpLessEqual:
		return v <= c.Value
	case specs.OpGreaterThan:
		return v > c.Value
	case specs.OpGreaterEqual:
		return v >= c.Value
	case specs.OpMaskedEqual:
		return v&c.Value == c.ValueTwo
	}
	return false
}
