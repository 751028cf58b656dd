package seccomp

import (
	"cmp"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// leaf decides the calls of one number: the first rule that matches, else the fallback.
type leaf struct {
	rules    []rule
	fallback uint32
}

// span is a run of numbers, up to the next span's start, with one leaf.
type span struct {
	start uint32
	leaf  leaf
}

// spans returns the leaves of an ABI in order of numbers. The first starts at a.bit.
func (p profile) spans(a abi) []span {
	calls := map[uint32][]rule{}
	last, stub := a.bit, false // the newest call, if the profile names any
	for _, r := range p.rules {
		for _, name := range r.names {
			nr, ok := a.number(name)
			if !ok {
				continue
			}
			calls[nr] = append(calls[nr], r)
			// arm's own calls (__ARM_NR_*) lie far above the table that grows.
			if nr&^a.bit < armBase {
				last, stub = max(last, nr), p.stub
			}
		}
	}
	above := leaf{fallback: p.fallback}
	if stub {
		above.fallback = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	out := []span{{start: a.bit, leaf: leaf{fallback: p.fallback}}}
	for _, nr := range slices.Sorted(maps.Keys(calls)) {
		after := leaf{fallback: p.fallback}
		if nr >= last {
			after = above
		}
		out = append(out, span{start: nr, leaf: p.leaf(calls[nr])}, span{start: nr + 1, leaf: after})
	}
	return merge(out)
}

// armBase is __ARM_NR_BASE of asm/unistd.h.
const armBase = 0xf0000

// merge drops spans that are empty or decide like the one before.
func merge(in []span) []span {
	var out []span
	for i, s := range in {
		if i+1 < len(in) && in[i+1].start == s.start {
			continue
		}
		if len(out) > 0 && out[len(out)-1].leaf.equal(s.leaf) {
			continue
		}
		out = append(out, s)
	}
	return out
}

// leaf applies the package's law for several rules of one call.
func (p profile) leaf(rules []rule) leaf {
	for _, r := range rules {
		if len(r.args) == 0 {
			return leaf{fallback: r.ret}
		}
	}
	rules = slices.Clone(rules)
	slices.SortStableFunc(rules, func(a, b rule) int { return cmp.Compare(strictness(a.ret), strictness(b.ret)) })
	for len(rules) > 0 && rules[len(rules)-1].ret == p.fallback {
		rules = rules[:len(rules)-1]
	}
	return leaf{rules: rules, fallback: p.fallback}
}

// strictness orders return values as the kernel does: signed, the lowest is the strictest.
func strictness(ret uint32) int32 { return int32(ret & unix.SECCOMP_RET_ACTION_FULL) }

// equal says whether two leaves decide every call alike, as far as their rules show it.
func (l leaf) equal(m leaf) bool {
	return l.fallback == m.fallback && slices.EqualFunc(l.rules, m.rules, func(a, b rule) bool {
		return a.ret == b.ret && slices.Equal(a.args, b.args)
	})
}
