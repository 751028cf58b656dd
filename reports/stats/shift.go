package stats

import (
	"fmt"
	"math"
	"slices"
	"sort"

	mw "github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat/distuv"
)

// exactPairs is the largest number of pairs of two samples, such as 25*25, for which the exact
// distribution of U is used. Beyond it the normal approximation is much faster and good to three
// digits; where one sample has a few values only it is on the safe side.
const exactPairs = 625

// Shift estimates by how much the values of two samples differ, new minus old, in their unit: the
// median of all differences (Hodges & Lehmann 1963), with the interval that the Mann-Whitney
// test would not reject (Hollander & Wolfe 1999, 4.2 and 4.3). The interval is exact up to 25
// samples each, where ties make it wider than needed, and the normal approximation with
// correction for ties beyond. It takes O(n log n) time and no memory for the differences.
func Shift(older, newer []float64, confidence float64) (Interval, error) {
	minus, b, err := differences(older, newer)
	if err == nil {
		err = inside("confidence", confidence)
	}
	if err != nil {
		return Interval{}, fmt.Errorf("shift: %w", err)
	}
	n, m := len(minus), len(b)
	rank, reached := rankU(minus, b, confidence)
	if rank < 1 {
		return Interval{}, fmt.Errorf("shift with confidence %g: %d and %d samples are too few, %d each would do", confidence, n, m, eachForU(confidence))
	}
	return Interval{
		Point:      medianDifference(minus, b),
		Low:        nthDifference(minus, b, rank),
		High:       nthDifference(minus, b, n*m+1-rank),
		Confidence: reached,
	}, nil
}

// differences prepares the samples for nthDifference.
func differences(older, newer []float64) (minus, b []float64, err error) {
	a, err := sorted("old", older)
	if err != nil {
		return nil, nil, err
	}
	if b, err = sorted("new", newer); err != nil {
		return nil, nil, err
	}
	if math.IsInf(b[len(b)-1]-a[0], 0) || math.IsInf(b[0]-a[len(a)-1], 0) {
		return nil, nil, fmt.Errorf("the difference of %g and %g is not a finite number", a[0], b[len(b)-1])
	}
	slices.Reverse(a)
	for i := range a {
		a[i] = -a[i]
	}
	return a, b, nil
}

func medianDifference(minus, b []float64) float64 {
	all := len(minus) * len(b)
	point := nthDifference(minus, b, (all+1)/2)
	if all%2 == 0 {
		point = middle(point, nthDifference(minus, b, all/2+1))
	}
	return point
}

// rankU says which of the sorted differences, counted from either end, bound the interval, and
// the confidence that it reaches; rank 0 where all of them would be too few.
func rankU(minus, b []float64, confidence float64) (rank int, reached float64) {
	n, m := len(minus), len(b)
	cdf := mw.UDist{N1: n, N2: m}.CDF
	if n*m > exactPairs {
		same := (float64(n)*tied(minus) + float64(m)*tied(b)) / float64(n+m)
		u := distuv.Normal{Mu: float64(n) * float64(m) / 2, Sigma: math.Sqrt(float64(n) * float64(m) * float64(n+m+1) / 12 * (1 - same))}
		if u.Sigma == 0 { // no sample varies: all differences are the same
			return 1, 1
		}
		cdf = func(k float64) float64 { return u.CDF(k + 0.5) }
	}
	tail := (1 - confidence) / 2 * (1 + slack)
	rank = sort.Search(n*m/2+1, func(k int) bool { return cdf(float64(k)) > tail })
	return rank, 1 - 2*cdf(float64(rank-1))
}

// tied is the probability, estimated from s, that three values are the same: the correction for
// ties. Each sample on its own, as a shift moves ties between samples but not within one.
func tied(s []float64) float64 {
	n := float64(len(s))
	if n < 2 {
		return 0
	}
	sum := 0.0
	for i := 0; i < len(s); {
		from := i
		for i < len(s) && s[i] == s[from] {
			i++
		}
		t := float64(i - from)
		sum += t*t*t - t
	}
	return sum / (n*n*n - n)
}

// eachForU is the smallest size of two samples of the same size for which the most extreme order
// of their values is unlikely enough.
func eachForU(confidence float64) int {
	orders := 1.0
	for n := 1; ; n++ {
		orders *= float64(2*n) * float64(2*n-1) / float64(n*n)
		if 1/orders <= (1-confidence)/2*(1+slack) {
			return n
		}
	}
}
