package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Numbers of all sizes, with ties and both zeros.
func mixed(r *rand.Rand, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		switch r.IntN(5) {
		case 0:
			x[i] = float64(r.IntN(5) - 2)
		case 1:
			x[i] = math.Copysign(0, r.NormFloat64())
		case 2:
			x[i] = r.NormFloat64() * 1e12
		case 3:
			x[i] = r.NormFloat64() * 1e-12
		default:
			x[i] = r.NormFloat64()
		}
	}
	slices.Sort(x)
	return x
}

func TestNthIsThatOfTheSortedPairs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		a, b := mixed(r, 1+r.IntN(9)), mixed(r, 1+r.IntN(9))
		var sums, walsh []float64
		for i, v := range a {
			for _, w := range b {
				sums = append(sums, v+w)
			}
			for _, w := range a[i:] {
				walsh = append(walsh, (v+w)/2)
			}
		}
		slices.Sort(sums)
		slices.Sort(walsh)
		for k, want := range sums {
			if got := nthDifference(a, b, k+1); got != want {
				t.Fatalf("sum %d of %v and %v is %g, want %g", k+1, a, b, got, want)
			}
		}
		for k, want := range walsh {
			if got := nthWalsh(a, k+1); got != want {
				t.Fatalf("average %d of %v is %g, want %g", k+1, a, got, want)
			}
		}
	}
}

func TestOrderKeepsTheOrder(t *testing.T) {
	x := []float64{-math.MaxFloat64, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1.5, math.MaxFloat64}
	for i, v := range x {
		if disorder(order(v)) != v {
			t.Errorf("%g became %g", v, disorder(order(v)))
		}
		if i > 0 && order(x[i-1]) >= order(v) {
			t.Errorf("%g is not before %g", x[i-1], v)
		}
	}
}

// exactU is the distribution of U by adding one value after the other (Mann & Whitney 1947).
func exactU(n, m int) []float64 {
	p := make([][][]float64, n+1)
	for i := range p {
		p[i] = make([][]float64, m+1)
		for j := range p[i] {
			p[i][j] = make([]float64, n*m+1)
			if i == 0 || j == 0 {
				p[i][j][0] = 1
				continue
			}
			for u := range p[i][j] {
				p[i][j][u] = p[i][j-1][u] * float64(j) / float64(i+j)
				if u >= j {
					p[i][j][u] += p[i-1][j][u-j] * float64(i) / float64(i+j)
				}
			}
		}
	}
	return p[n][m]
}

// The rank of the interval reaches its confidence, exactly or to three digits where it is the
// normal approximation, and the next one does not.
func TestRankUReachesItsConfidence(t *testing.T) {
	for _, c := range []struct{ n, m int }{{5, 5}, {25, 25}, {10, 20}, {26, 26}, {40, 30}, {5, 40}, {2, 300}, {50, 50}} {
		a, b := make([]float64, c.n), make([]float64, c.m)
		for i := range a {
			a[i] = float64(i)
		}
		for i := range b {
			b[i] = float64(i) + 0.5
		}
		for _, confidence := range []float64{0.9, 0.95, 0.99} {
			rank, reached := rankU(a, b, confidence)
			p := exactU(c.n, c.m)
			exact := 1 - 2*upTo(p, rank-1)
			next := 1 - 2*upTo(p, rank)
			near := 1e-9
			if c.n*c.m > exactPairs {
				near = 0.001
			}
			if math.Abs(exact-reached) > near || exact < confidence-near || next >= confidence+near {
				t.Errorf("%d and %d: rank %d reaches %.5f, says %.5f for %g; the next %.5f", c.n, c.m, rank, exact, reached, confidence, next)
			}
		}
	}
}

// Two values, each half of a sample: the variance of U is three quarters of what it is without ties, as three
// values are the same in a quarter of the cases.
func TestTiesMakeTheIntervalNarrower(t *testing.T) {
	const n = 100
	plain, ties := make([]float64, n), make([]float64, n)
	for i := range plain {
		plain[i], ties[i] = float64(i), float64(i/(n/2))
	}
	if a, b := tied(plain), tied(ties); a != 0 || math.Abs(b-0.25) > 0.001 {
		t.Errorf("three values are the same with %g and %g", a, b)
	}
	a, _ := rankU(plain, plain, 0.95)
	b, reached := rankU(ties, ties, 0.95)
	if ratio := float64(n*n/2-b) / float64(n*n/2-a); math.Abs(ratio-math.Sqrt(0.75)) > 0.01 || math.Abs(reached-0.95) > 0.001 {
		t.Errorf("rank %d without ties, %d (%g) with", a, b, reached)
	}
}

// Published critical values of the signed rank statistic for alpha 0.05, two-sided (Wilcoxon 1945;
// Conover 1999, table A12): the largest T that rejects is one less than the rank.
func TestRankTIsThatOfTheTables(t *testing.T) {
	for n, critical := range map[int]int{6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 11: 10, 12: 13, 13: 17, 14: 21, 15: 25, 16: 29, 17: 34, 18: 40, 19: 46, 20: 52, 25: 89, 30: 137, 40: 264, 50: 434} {
		if rank, reached := rankT(n, 0.95); rank != critical+1 || reached < 0.95 {
			t.Errorf("%d: rank %d, %g, want %d", n, rank, reached, critical+1)
		}
	}
	if rank, _ := rankT(5, 0.95); rank != 0 {
		t.Errorf("5: rank %d", rank)
	}
	// On both sides of the limit of the exact distribution.
	exact, _ := rankT(signedLimit, 0.95)
	near, reached := rankT(signedLimit+1, 0.95)
	if step := near - exact; step < 38 || step > 43 || math.Abs(reached-0.95) > 0.001 {
		t.Errorf("rank %d for %d, %d (%g) for %d", exact, signedLimit, near, reached, signedLimit+1)
	}
}

func TestSignedRankPBeyondTheLimitIsNearTheExactOne(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		x := make([]float64, signedLimit+50)
		for i := range x {
			x[i] = math.Round(4*(r.NormFloat64()+0.2)) / 4 // ties and zeros
		}
		twice, positive := signedRanks(x)
		if len(twice) <= signedLimit {
			t.Fatal("too many zeros")
		}
		all := 0
		for _, v := range twice {
			all += v
		}
		exact := min(1, 2*upTo(signs(twice), min(positive, all-positive)))
		if got := signedRankP(x); math.Abs(got-exact) > 0.02*exact+0.0005 {
			t.Errorf("p %g, exact %g", got, exact)
		}
	}
}
