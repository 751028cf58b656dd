package seccomp

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var operators = []specs.LinuxSeccompOperator{
	specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
	specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual,
}

// test is one load and one jump of a program: compares a 32-bit word of seccomp_data with k.
type test struct {
	word uint32 // offset in struct seccomp_data, bytes
	load bool   // the accumulator does not hold the word yet
	mask uint32 // and'ed to the accumulator first; all ones: no such instruction
	op   uint16 // BPF_JEQ, BPF_JGT, BPF_JGE or BPF_JSET
	k    uint32
	t, f exit
}

// exit is where a test goes: an index of a test of the leaf, or returned with ret.
type exit struct {
	test int
	ret  uint32
	done bool
}

const ones = ^uint32(0)

// argWord is the offset of an argument's low word in struct seccomp_data (little endian).
func argWord(index uint) uint32 { return 16 + 8*uint32(index) }

// tests compiles a leaf for an ABI. The last exit is the leaf's fallback.
func (l leaf) tests(wide bool) []test {
	var out []test
	for i, r := range l.rules {
		end := len(out) // where the next rule starts
		for _, a := range r.args {
			end += len(compare(a, wide, exit{}, exit{}, 0))
		}
		fail := exit{test: end}
		if i == len(l.rules)-1 {
			fail = exit{ret: l.fallback, done: true}
		}
		for j, a := range r.args {
			start := len(out)
			pass := exit{test: start + len(compare(a, wide, exit{}, exit{}, 0))}
			if last := j == len(r.args)-1; last {
				pass = exit{ret: r.ret, done: true}
			}
			out = append(out, compare(a, wide, pass, fail, start)...)
		}
	}
	skipLoads(out)
	return out
}

// compare compiles one comparison whose first test has the index start.
func compare(a specs.LinuxSeccompArg, wide bool, pass, fail exit, start int) []test {
	word := argWord(a.Index)
	lo, hi := uint32(a.Value), uint32(a.Value>>32)
	next := exit{test: start + 1}
	if a.Op == specs.OpMaskedEqual {
		low := masked(word, lo, uint32(a.ValueTwo), pass, fail)
		if !wide || hi == 0 {
			return []test{low}
		}
		return []test{masked(word+4, hi, uint32(a.ValueTwo>>32), next, fail), low}
	}
	// Each of the others is one of three operators, as it is or with the answers swapped.
	var op uint16
	t, f := pass, fail
	switch a.Op {
	case specs.OpEqualTo, specs.OpNotEqual:
		op = unix.BPF_JEQ
	case specs.OpGreaterThan, specs.OpLessEqual:
		op = unix.BPF_JGT
	case specs.OpGreaterEqual, specs.OpLessThan:
		op = unix.BPF_JGE
	}
	if a.Op == specs.OpNotEqual || a.Op == specs.OpLessEqual || a.Op == specs.OpLessThan {
		t, f = f, t
	}
	low := test{word: word, mask: ones, op: op, k: lo, t: t, f: f}
	if !wide {
		return []test{low}
	}
	high := test{word: word + 4, mask: ones, op: unix.BPF_JEQ, k: hi, t: next, f: f}
	if op == unix.BPF_JEQ {
		return []test{high, low}
	}
	high.t, high.f = exit{test: start + 2}, f
	above := test{word: word + 4, mask: ones, op: unix.BPF_JGT, k: hi, t: t, f: next}
	return []test{above, high, low}
}

// masked compares the bits of mask, without an and where one jump can do.
func masked(word, mask, want uint32, pass, fail exit) test {
	want &= mask
	switch {
	case mask == ones:
		return test{word: word, mask: ones, op: unix.BPF_JEQ, k: want, t: pass, f: fail}
	case want == 0:
		return test{word: word, mask: ones, op: unix.BPF_JSET, k: mask, t: fail, f: pass}
	case mask&(mask-1) == 0:
		return test{word: word, mask: ones, op: unix.BPF_JSET, k: mask, t: pass, f: fail}
	}
	return test{word: word, mask: mask, op: unix.BPF_JEQ, k: want, t: pass, f: fail}
}

// skipLoads sets load where not every way to a test leaves its word in the accumulator. All
// jumps go forward, so one pass sees every way.
func skipLoads(tests []test) {
	const unseen, unknown = ones, ones - 1
	held := make([]uint32, len(tests))
	for i := range held {
		held[i] = unseen
	}
	held[0] = unknown
	for i := range tests {
		tests[i].load = held[i] != tests[i].word
		after := tests[i].word
		if tests[i].mask != ones {
			after = unknown
		}
		for _, e := range []exit{tests[i].t, tests[i].f} {
			switch {
			case e.done:
			case held[e.test] == unseen:
				held[e.test] = after
			case held[e.test] != after:
				held[e.test] = unknown
			}
		}
	}
}
