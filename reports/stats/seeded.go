package stats

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// split is where an interval of a series falls apart.
type split struct {
	from, to int // the interval
	at       int // the first value of its right part
	energy   float64
	p        float64
}

// enough is how many permutations beyond a level are expected of all that are made for it. Once as
// many have the energy of an interval, its p is above the level, and more of them would not change that.
const enough = 20

// intervals tests seeded intervals of e (Kovács et al. 2023): lengths that double, from shortest up to
// all of e, each moved by a quarter of its length. It returns those that fall apart, at levels at
// which a series without a change has rate false ones in 100 values: each length has the same
// share of that, and its intervals have the same share of it.
func (t *nulls) intervals(e []float64, shortest int, rate float64) []split {
	lot := rand.New(rand.NewPCG(seed, 0))
	var own energy
	lengths := ladder(len(e), shortest)
	var found []split
	for _, length := range lengths {
		moves := (len(e)-length)/max(length/4, 1) + 1
		level := rate * float64(len(e)) / 100 / float64(len(lengths)) / float64(moves)
		level = min(level, 0.5)
		for k := range moves {
			s := split{from: k * (len(e) - length) / max(moves-1, 1)}
			s.to = s.from + length
			var left int
			s.energy, left = own.split(own.ranks(e[s.from:s.to], lot), t.edgeOf(length))
			s.at = s.from + left
			if s.p = t.p(s.energy, length, int(enough/level)); s.p <= level {
				found = append(found, s)
			}
		}
	}
	return found
}

// ladder is shortest, its doubles, and n itself in place of one that is nearly as long.
func ladder(n, shortest int) []int {
	var lengths []int
	for l := shortest; 3*l < 2*n; l *= 2 {
		lengths = append(lengths, l)
	}
	return append(lengths, n)
}

// narrowest picks splits of which none lies within the interval of another (Baranowski et al.
// 2019): first those of the shortest intervals, as these hold one change only. They are in order.
func narrowest(found []split) []split {
	slices.SortFunc(found, func(a, b split) int {
		return cmp.Or(cmp.Compare(a.to-a.from, b.to-b.from), cmp.Compare(b.energy, a.energy), cmp.Compare(a.from, b.from))
	})
	var picked []split
	for len(found) > 0 {
		s := found[0]
		picked = append(picked, s)
		found = slices.DeleteFunc(found, func(o split) bool { return o.from < s.at && s.at < o.to })
	}
	slices.SortFunc(picked, func(a, b split) int { return cmp.Compare(a.at, b.at) })
	return picked
}
