package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h), bytes.
const (
	wordNr   = 0
	wordArch = 4
)

// maxJump is how far a conditional jump of classic BPF reaches.
const maxJump = 255

// code is a program from its end to its beginning: all jumps go forward, so whatever an
// instruction jumps to is there before it.
type code struct {
	reversed []unix.SockFilter
	returns  map[uint32]label // the latest place that returns a value
	leaves   []emitted        // equal leaves are emitted once
}

type emitted struct {
	choice choice
	at     label
}

// label is the count of instructions from a place to the end of the program.
type label int

// assemble puts the ABIs' programs behind a dispatch on the architecture.
func assemble(abis []abi) []unix.SockFilter {
	c := code{returns: map[uint32]label{}}
	var audits []uint32 // in order of first use
	for _, a := range abis {
		if !slices.Contains(audits, a.audit) {
			audits = append(audits, a.audit)
		}
	}
	starts := map[uint32]label{}
	for _, audit := range slices.Backward(audits) {
		if first := c.tree(table(audit, abis)); c.distance(first) > 0 {
			c.goTo(first) // a lone return that was there before
		}
		starts[audit] = c.load(wordNr)
	}
	next := c.ret(unix.SECCOMP_RET_KILL_PROCESS)
	for _, audit := range slices.Backward(audits) {
		next = c.jump(unix.BPF_JEQ, audit, starts[audit], next)
	}
	c.load(wordArch)
	slices.Reverse(c.reversed)
	return c.reversed
}

// choice is a span of an ABI.
type choice struct {
	span
	wide bool
}

// table returns the choices of all ABIs of one audit architecture, from number 0 up.
func table(audit uint32, abis []abi) []choice {
	var out []choice
	for _, a := range abis {
		if a.audit != audit {
			continue
		}
		for _, s := range a.spans {
			out = append(out, choice{span: s, wide: a.wide})
		}
	}
	x32 := slices.ContainsFunc(abis, func(a abi) bool { return a.bit == x32Bit })
	if audit == unix.AUDIT_ARCH_X86_64 && !x32 {
		// -1 is what a tracer writes to skip a call: it is no call of x32 (seccomp(2)).
		minus1 := out[len(out)-1]
		minus1.start = ones
		refused := leaf{fallback: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}
		out = append(out, choice{span: span{start: x32Bit, leaf: refused}}, minus1)
	}
	return out
}

// tree emits a balanced search for the last choice whose start is not above the accumulator.
func (c *code) tree(choices []choice) label {
	if len(choices) == 1 {
		return c.leaf(choices[0])
	}
	mid := len(choices) / 2
	right := c.tree(choices[mid:])
	left := c.tree(choices[:mid])
	return c.jump(unix.BPF_JGE, choices[mid].start, right, left)
}

// leaf emits what a choice decides.
func (c *code) leaf(ch choice) label {
	if len(ch.leaf.rules) == 0 {
		return c.ret(ch.leaf.fallback)
	}
	for _, e := range c.leaves {
		if e.choice.wide == ch.wide && e.choice.leaf.equal(ch.leaf) {
			return e.at
		}
	}
	tests := ch.leaf.tests(ch.wide)
	at := make([]label, len(tests))
	resolve := func(e exit) label {
		if e.done {
			return c.ret(e.ret)
		}
		return at[e.test]
	}
	for i, t := range slices.Backward(tests) {
		yes := resolve(t.t)
		no := resolve(t.f)
		at[i] = c.jump(t.op, t.k, yes, no)
		if t.mask != ones {
			at[i] = c.add(unix.BPF_ALU|unix.BPF_AND|unix.BPF_K, t.mask)
		}
		if t.load {
			at[i] = c.load(t.word)
		}
	}
	c.leaves = append(c.leaves, emitted{choice: ch, at: at[0]})
	return at[0]
}

func (c *code) add(op uint16, k uint32) label {
	c.reversed = append(c.reversed, unix.SockFilter{Code: op, K: k})
	return label(len(c.reversed))
}

func (c *code) load(word uint32) label { return c.add(unix.BPF_LD|unix.BPF_W|unix.BPF_ABS, word) }

// ret returns a place that returns k, near enough for the next conditional jump.
func (c *code) ret(k uint32) label {
	const room = 8 // what may be added between this place and the jump to it
	if l, ok := c.returns[k]; ok && len(c.reversed)-int(l) < maxJump-room {
		return l
	}
	c.returns[k] = c.add(unix.BPF_RET|unix.BPF_K, k)
	return c.returns[k]
}

// jump emits a conditional jump, with a plain jump behind it for what is too far. The emission
// of one plain jump moves the other target away, so distances are asked for at the end.
func (c *code) jump(op uint16, k uint32, yes, no label) label {
	// Both fit even if one plain jump comes between.
	if c.distance(yes) >= maxJump {
		yes = c.goTo(yes)
	}
	if c.distance(no) >= maxJump {
		no = c.goTo(no)
	}
	c.reversed = append(c.reversed, unix.SockFilter{
		Code: unix.BPF_JMP | op | unix.BPF_K,
		Jt:   uint8(c.distance(yes)), Jf: uint8(c.distance(no)), K: k,
	})
	return label(len(c.reversed))
}

// distance is what a jump emitted now skips on its way to l.
func (c *code) distance(l label) int { return len(c.reversed) - int(l) }

func (c *code) goTo(l label) label {
	return c.add(unix.BPF_JMP|unix.BPF_JA, uint32(c.distance(l)))
}
