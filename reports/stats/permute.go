package stats

import (
	"math/rand/v2"
	"slices"
)

// seed starts everything random of this package.
const seed = 20140101

// longest is the length up to which the null distribution is made for each length. Beyond it the
// distribution is that of this length, as long as the edges are the same share of the length.
const longest = 512

// nulls is the permutation distribution of the largest energy, for each length. The ranks of a
// series without ties are a permutation, so that distribution is the same for every series of a
// length and is made once.
type nulls struct {
	edge  int
	split energy
	made  map[int][]float64 // sorted
}

// edgeOf is the number of values that a split leaves on each side at least.
func (t *nulls) edgeOf(length int) int {
	if length <= longest {
		return t.edge
	}
	return (t.edge*length + longest - 1) / longest
}

// of returns the distribution for a length with at least count permutations.
func (t *nulls) of(length, count int) []float64 {
	length = min(length, longest)
	if len(t.made[length]) >= count {
		return t.made[length]
	}
	random := rand.New(rand.NewPCG(seed, uint64(length)))
	rank := make([]int, length)
	for i := range rank {
		rank[i] = i + 1
	}
	null := make([]float64, count)
	for i := range null {
		random.Shuffle(length, func(i, j int) { rank[i], rank[j] = rank[j], rank[i] })
		null[i], _ = t.split.split(rank, t.edge)
	}
	slices.Sort(null)
	t.made[length] = null
	return null
}

// p is the share of the permutations whose energy is at least q, with the series itself as one
// of them, so that it is never 0.
func (t *nulls) p(q float64, length, count int) float64 {
	null := t.of(length, count)
	less, _ := slices.BinarySearch(null, q)
	return float64(1+len(null)-less) / float64(1+len(null))
}
