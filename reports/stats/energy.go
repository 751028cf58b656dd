package stats

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// energy finds the split of a series into two parts that differ the most, by the energy distance
// of E-divisive (Matteson & James 2014, with alpha 1) between the ranks on either side. It keeps
// its memory between calls.
type energy struct {
	tree []node // a Fenwick tree over the ranks that are left of the split
	rank []int
	at   []int
}

// node counts some ranks and adds them up.
type node struct{ count, sum float64 }

// split returns the largest energy of all splits of the permutation rank, which holds 1 to its
// length, with at least edge values on each side, and how many values lie left of that split. The
// energy is n*m/(n+m) times the distance of the two parts, divided by n+m to make it comparable
// between lengths. It takes O(n log n): as a value goes from the right part to the left one, the
// tree says how far it is from the values of each.
func (e *energy) split(rank []int, edge int) (best float64, left int) {
	size := len(rank)
	e.tree = slices.Grow(e.tree[:0], size+1)[:size+1]
	clear(e.tree)
	all := float64(size)
	total := all * (all*all - 1) / 6 // the distances of all pairs of 1..size
	inLeft, inRight, sum := 0.0, total, 0.0
	for i, z := range rank[:size-edge] {
		r, n := float64(z), float64(i)
		var below node
		for k := z; k > 0; k &= k - 1 {
			below.count += e.tree[k].count
			below.sum += e.tree[k].sum
		}
		toLeft := r*below.count - below.sum + (sum - below.sum) - r*(n-below.count)
		toAll := r*(r-1)/2 + (all-r)*(all-r+1)/2
		inLeft += toLeft
		inRight -= toAll - toLeft
		sum += r
		for k := z; k <= size; k += k & -k {
			e.tree[k].count++
			e.tree[k].sum += r
		}
		if i+1 < edge {
			continue
		}
		n++
		m := all - n
		between := total - inLeft - inRight
		if q := 2 * (between/all - inLeft*m/(n*all) - inRight*n/(m*all)) / all; q > best {
			best, left = q, i+1
		}
	}
	return best, left
}

// ranks turns x into the ranks of its values. Values that are the same get theirs by lot: by
// position they would look like a trend.
func (e *energy) ranks(x []float64, lot *rand.Rand) []int {
	e.at = e.at[:0]
	for i := range x {
		e.at = append(e.at, i)
	}
	lot.Shuffle(len(e.at), func(i, j int) { e.at[i], e.at[j] = e.at[j], e.at[i] })
	slices.SortStableFunc(e.at, func(i, j int) int { return cmp.Compare(x[i], x[j]) })
	e.rank = slices.Grow(e.rank[:0], len(x))[:len(x)]
	for r, i := range e.at {
		e.rank[i] = r + 1
	}
	return e.rank
}
