package stats

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	mw "github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat/distuv"
)

// MannWhitney tests whether values of newer tend to be larger or smaller than those of older. It
// returns U, the number of pairs in which the new value is the larger one, with ties as half a
// pair (so u divided by the number of pairs is the probability of that), and the two-sided p:
// exact up to 50 samples each without ties and 25 with, else the normal approximation with
// correction for ties and continuity. Where all values are the same p is 1.
func MannWhitney(older, newer []float64) (u, p float64, err error) {
	if _, err = sorted("old", older); err == nil {
		_, err = sorted("new", newer)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("mann-whitney: %w", err)
	}
	r, err := mw.MannWhitneyUTest(newer, older, mw.LocationDiffers)
	if errors.Is(err, mw.ErrSamplesEqual) {
		return float64(len(older)) * float64(len(newer)) / 2, 1, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("mann-whitney: %w", err)
	}
	return r.U, min(r.P, 1), nil
}

// signedLimit is the largest number of blocks for which the exact distribution of the signed
// rank statistic is used. It takes n^3 steps.
const signedLimit = 100

// signedRanks returns, for the numbers of x, twice their ranks by absolute value, in halves as
// ties share the mean rank, and twice the sum of those of the positive numbers. A zero has a
// rank but no sign (Pratt 1959), so that the test and the Walsh interval agree.
func signedRanks(x []float64) (twice []int, positive int) {
	order := slices.Clone(x)
	slices.SortFunc(order, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
	for i := 0; i < len(order); {
		from := i
		for i < len(order) && math.Abs(order[i]) == math.Abs(order[from]) {
			i++
		}
		for _, v := range order[from:i] {
			if v == 0 {
				continue
			}
			twice = append(twice, from+1+i)
			if v > 0 {
				positive += from + 1 + i
			}
		}
	}
	return twice, positive
}

// signedRankP is the two-sided p of the signed rank test that x is symmetric about 0: exact up to
// signedLimit numbers, given the absolute values, with ties or without.
func signedRankP(x []float64) float64 {
	twice, positive := signedRanks(x)
	all := 0
	for _, r := range twice {
		all += r
	}
	tail := min(positive, all-positive)
	if len(twice) <= signedLimit {
		return min(1, 2*upTo(signs(twice), tail))
	}
	variance := 0.0
	for _, r := range twice {
		variance += float64(r) * float64(r) / 4
	}
	return min(1, 2*distuv.UnitNormal.CDF((float64(tail)-float64(all)/2)/math.Sqrt(variance)))
}

// signs is the distribution of the sum of the ranks that a fair coin picks.
func signs(ranks []int) []float64 {
	all := 0
	for _, r := range ranks {
		all += r
	}
	p := make([]float64, all+1)
	p[0] = 1
	top := 0
	for _, r := range ranks {
		top += r
		for s := top; s >= 0; s-- {
			p[s] /= 2
			if s >= r {
				p[s] += p[s-r] / 2
			}
		}
	}
	return p
}

func upTo(p []float64, k int) float64 { return floats.Sum(p[:k+1]) }

// rankT says which of the sorted Walsh averages of n numbers, counted from either end, bound the
// interval, and the confidence that it reaches; rank 0 where all of them would be too few.
func rankT(n int, confidence float64) (rank int, reached float64) {
	tail := (1 - confidence) / 2 * (1 + slack)
	if n > signedLimit {
		k := float64(n)
		t := distuv.Normal{Mu: k * (k + 1) / 4, Sigma: math.Sqrt(k * (k + 1) * (2*k + 1) / 24)}
		rank = sort.Search(n*(n+1)/4, func(s int) bool { return t.CDF(float64(s)+0.5) > tail })
		return rank, 1 - 2*t.CDF(float64(rank)-0.5)
	}
	ranks := make([]int, n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	p := signs(ranks)
	below := 0.0
	for rank < len(p) && below+p[rank] <= tail {
		below += p[rank]
		rank++
	}
	return rank, 1 - 2*below
}
