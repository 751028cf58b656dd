package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// resamples is how often leastShift draws the blocks again.
const resamples = 200

// leastShift is the smallest shift of x, the sorted log ratios of the blocks, that the signed rank
// test would have found at alpha with this power. A shift is found when the lower bound of the
// interval is above 0, so what a run needs is its own lower bound with the sign turned: it is
// drawn again from the deviations of x, with signs by lot as the test takes them to be symmetric.
func leastShift(x []float64, center, alpha, power float64) float64 {
	n := len(x)
	rank, _ := rankT(n, 1-alpha)
	random := rand.New(rand.NewPCG(seed, uint64(n)))
	base := math.Sqrt(float64(n) / float64(n-1)) // deviations from an estimate are too small
	needs := make([]float64, resamples)
	again := make([]float64, n)
	for i := range needs {
		square := 0.0
		for range n - 1 {
			z := random.NormFloat64()
			square += z * z
		}
		wider := base * math.Sqrt(float64(n-1)/square)
		for k := range again {
			again[k] = (x[random.IntN(n)] - center) * wider
			if random.IntN(2) == 0 {
				again[k] = -again[k]
			}
		}
		slices.Sort(again)
		needs[i] = -nthWalsh(again, rank)
	}
	slices.Sort(needs)
	return max(0, point(needs, power))
}
