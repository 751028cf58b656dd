package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// energyOf is the energy of a split by its definition (Szekely & Rizzo 2004): all pairs.
func energyOf(x []int, left int) float64 {
	mean := func(a, b []int) float64 {
		sum := 0.0
		for _, v := range a {
			for _, w := range b {
				sum += math.Abs(float64(v - w))
			}
		}
		return sum / float64(len(a)*len(b))
	}
	a, b := x[:left], x[left:]
	n, m := float64(len(a)), float64(len(b))
	return n * m / (n + m) * (2*mean(a, b) - mean(a, a) - mean(b, b)) / (n + m)
}

func TestSplitIsTheLargestEnergyOfAllPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var e energy
	for range 200 {
		size := 10 + r.IntN(40)
		edge := 1 + r.IntN(5)
		rank := r.Perm(size)
		for i := range rank {
			rank[i]++
		}
		want, at := 0.0, 0
		for left := edge; left <= size-edge; left++ {
			if q := energyOf(rank, left); q > want {
				want, at = q, left
			}
		}
		if got, left := e.split(rank, edge); math.Abs(got-want) > 1e-9 || left != at {
			t.Fatalf("%v with edge %d: %g at %d, want %g at %d", rank, edge, got, left, want, at)
		}
	}
}

func TestRanksBreakTiesByLot(t *testing.T) {
	var e energy
	lot := rand.New(rand.NewPCG(1, 1))
	got := e.ranks([]float64{3, 1, 2}, lot)
	if got[0] != 3 || got[1] != 1 || got[2] != 2 {
		t.Errorf("ranks %v", got)
	}
	seen := map[int]bool{}
	for range 100 {
		seen[e.ranks([]float64{7, 7, 7}, lot)[0]] = true
	}
	if len(seen) != 3 {
		t.Errorf("the first of three equal values has always had the ranks %v", seen)
	}
}

func TestEdgeGrowsWithALongSeries(t *testing.T) {
	n := nulls{edge: 5}
	for length, want := range map[int]int{20: 5, longest: 5, longest + 1: 6, 2 * longest: 10, 20 * longest: 100} {
		if got := n.edgeOf(length); got != want {
			t.Errorf("edge of %d is %d, want %d", length, got, want)
		}
	}
}

// The null distribution hardly depends on the length from where it is taken for all.
func TestNullsOfLongSeries(t *testing.T) {
	a := nulls{edge: 5, made: map[int]*null{}}
	long := a.first(a.of(longest), 400)
	var e energy
	r := rand.New(rand.NewPCG(9, 9))
	size := 4 * longest
	above := 0
	for range 400 {
		rank := r.Perm(size)
		for i := range rank {
			rank[i]++
		}
		if q, _ := e.split(rank, a.edgeOf(size)); q > long[400*9/10] {
			above++
		}
	}
	if above < 20 || above > 64 { // 40 expected, 6 is the deviation
		t.Errorf("%d of 400 long permutations are beyond what a tenth of the shorter ones is", above)
	}
}

func TestPermutationPCountsTheSeriesItself(t *testing.T) {
	n := nulls{edge: 5, made: map[int]*null{}}
	null := n.first(n.of(20), 99)
	for q, want := range map[float64]float64{null[98] + 1: 0.01, null[98]: 0.02, null[0]: 1, null[0] - 1: 1} {
		if got := n.p(q, 20, 99); math.Abs(got-want) > 1e-12 {
			t.Errorf("p of %g is %g, want %g", q, got, want)
		}
	}
}

// Fewer permutations say the same of a level as all of them.
func TestPermutationsEndEarly(t *testing.T) {
	const length, level = 20, 0.001
	count := int(enough / level)
	all := nulls{edge: 5, made: map[int]*null{}}
	energy := all.first(all.of(length), count)
	for _, beyond := range []int{1, 10, 18, 19, 20, 21, 100, 10_000, count} {
		few := nulls{edge: 5, made: map[int]*null{}}
		q := energy[count-beyond]
		less, _ := slices.BinarySearch(energy, q)
		want, got := float64(1+count-less)/float64(1+count), few.p(q, length, count)
		if (got <= level) != (want <= level) || want <= level && got != want {
			t.Errorf("beyond are %d: p is %g, of all permutations %g", beyond, got, want)
		}
		if made := len(few.of(length).drawn); (made < count/2) != (beyond >= 100) {
			t.Errorf("beyond are %d: %d permutations were made", beyond, made)
		}
	}
}

// What was asked before does not change an answer, so a verdict does not depend on which detector gives it.
func TestPermutationPIsOfTheQuestionAlone(t *testing.T) {
	const length = 20
	used := nulls{edge: 5, made: map[int]*null{}}
	energy := slices.Clone(used.first(used.of(length), 50_000))
	for i := 0; i < len(energy); i += 97 {
		fresh := nulls{edge: 5, made: map[int]*null{}}
		for _, count := range []int{1500, 20_000} {
			if got, want := used.p(energy[i], length, count), fresh.p(energy[i], length, count); got != want {
				t.Fatalf("p of %g with %d permutations is %g, and %g before others were asked for", energy[i], count, got, want)
			}
		}
	}
}

func TestAutocorrelationIsNotMovedByAStep(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, phi := range []float64{0, 0.6} {
		for _, step := range []float64{0, 1, 10} {
			const runs, n = 300, 200
			sum, sumOf := 0.0, 0.0
			for range runs {
				x := make([]float64, n)
				v := r.NormFloat64()
				for i := range x {
					v = phi*v + math.Sqrt(1-phi*phi)*r.NormFloat64()
					x[i] = v
					if i >= n/2 {
						x[i] += step
					}
				}
				sum += autocorrelation(x) / runs
				of, _ := phiOf(x, 0, n/2, n)
				sumOf += of / runs
			}
			// Something is added on purpose, and what is negative counts as 0.
			guard := 0.75 * 1.2 * math.Sqrt((1-phi*phi)/n)
			if sum < phi+0.6*guard || sum > phi+2.2*guard {
				t.Errorf("phi %g, step %g: autocorrelation %.3f", phi, step, sum)
			}
			if math.Abs(sumOf-phi) > 0.02 {
				t.Errorf("phi %g, step %g: with the step known %.3f", phi, step, sumOf)
			}
		}
	}
}

// The newest runs count, also where a series is a little longer than a window.
func TestAutocorrelationIsOfAllRuns(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for n := 16; n <= phiWindow+phiWindow/4; n++ {
		x := make([]float64, n)
		for i := range x {
			x[i] = r.NormFloat64()
			if i > 0 {
				x[i] += x[i-1]
			}
		}
		before := autocorrelation(x)
		for _, at := range []int{0, n - 1} {
			y := slices.Clone(x)
			y[at] += 10
			if autocorrelation(y) == before {
				t.Errorf("%d runs: run %d is not looked at", n, at)
			}
		}
	}
}

func TestLadderAndIntervalsCoverTheSeries(t *testing.T) {
	for n, want := range map[int]int{20: 1, 29: 1, 31: 2, 100: 3, 200: 4, 10000: 10} {
		l := ladder(n, 20)
		if len(l) != want || l[len(l)-1] != n {
			t.Errorf("%d: %v", n, l)
		}
	}
	// Wherever a large step is, some interval shows it.
	n := nulls{edge: 5, made: map[int]*null{}}
	places, exact := 0, 0
	for at := 8; at <= 92; at += 7 {
		x := make([]float64, 100)
		r := rand.New(rand.NewPCG(1, uint64(at)))
		for i := range x {
			x[i] = r.NormFloat64()
			if i >= at {
				x[i] += 10
			}
		}
		picked := narrowest(n.intervals(x, 20, 0.002))
		if len(picked) != 1 || abs(picked[0].at-at) > 1 { // ranks like the parts to be of one size
			t.Fatalf("a step at %d: %+v", at, picked)
		}
		places++
		if picked[0].at == at {
			exact++
		}
	}
	if exact < 3*places/4 {
		t.Errorf("%d of %d steps are where they are", exact, places)
	}
}

func abs(i int) int { return max(i, -i) }

func TestNarrowestKeepsTheShortIntervals(t *testing.T) {
	picked := narrowest([]split{
		{from: 0, to: 100, at: 60, energy: 9},
		{from: 20, to: 40, at: 30, energy: 1},
		{from: 25, to: 45, at: 31, energy: 2},
		{from: 50, to: 70, at: 60, energy: 1},
		{from: 31, to: 71, at: 61, energy: 1},
	})
	if len(picked) != 2 || picked[0].at != 31 || picked[1].at != 60 {
		t.Errorf("%+v", picked)
	}
}
