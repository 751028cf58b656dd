package stats

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// seed starts everything random of this package.
const seed = 20140101

// longest is the length up to which the null distribution is made for each length. Beyond it the
// distribution is that of this length, as long as the edges are the same share of the length.
const longest = 512

// nulls is the permutation distribution of the largest energy, for each length. The ranks of a
// series without ties are a permutation, so that distribution is the same for every series of a
// length and is made once, as far as it is needed.
type nulls struct {
	edge int

	mu    sync.Mutex // of what follows
	split energy
	made  map[int]*null
}

// null is the distribution for one length, as far as it is made.
type null struct {
	random *rand.Rand
	rank   []int
	drawn  []float64         // energies, in the order in which they were drawn
	sorted map[int][]float64 // as many of the first ones, sorted
}

// edgeOf is the number of values that a split leaves on each side at least.
func (t *nulls) edgeOf(length int) int {
	if length <= longest {
		return t.edge
	}
	return (t.edge*length + longest - 1) / longest
}

// of returns the distribution for a length.
func (t *nulls) of(length int) *null {
	length = min(length, longest)
	n := t.made[length]
	if n == nil {
		n = &null{random: rand.New(rand.NewPCG(seed, uint64(length))), rank: make([]int, length), sorted: map[int][]float64{}}
		for i := range n.rank {
			n.rank[i] = i + 1
		}
		t.made[length] = n
	}
	return n
}

// first returns the energies of the first count permutations, sorted.
func (t *nulls) first(n *null, count int) []float64 {
	if n.sorted[count] == nil {
		for len(n.drawn) < count {
			n.random.Shuffle(len(n.rank), func(i, j int) { n.rank[i], n.rank[j] = n.rank[j], n.rank[i] })
			q, _ := t.split.split(n.rank, t.edge)
			n.drawn = append(n.drawn, q)
		}
		n.sorted[count] = slices.Sorted(slices.Values(n.drawn[:count]))
	}
	return n.sorted[count]
}

// p is the share of count permutations whose energy is at least q, with the series itself as one
// of them, so that it is never 0. Fewer are made if enough of those have at least q (Besag & Clifford
// 1991). It does not depend on what was asked before.
func (t *nulls) p(q float64, length, count int) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	const fewest = 1000
	n := t.of(length)
	for made := min(fewest, count); ; made = min(2*made, count) {
		less, _ := slices.BinarySearch(t.first(n, made), q)
		if made == count || made-less >= enough {
			return float64(1+made-less) / float64(1+made)
		}
	}
}
