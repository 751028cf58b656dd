package stats

import (
	"fmt"
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its confidence interval, in the unit of the samples.
type Interval struct {
	Point float64 `json:"point"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Confidence is what the interval really reaches, at least what was asked for: a discrete
	// statistic has only so many levels. Where the method approximates, so does this number.
	Confidence float64 `json:"confidence"`
}

// Median returns the median of x with its order statistic interval. Its confidence is exact
// for independent samples of any continuous distribution (Hollander & Wolfe 1999, 3.6). It fails
// where there are too few samples for the confidence, and says how many are needed.
func Median(x []float64, confidence float64) (Interval, error) {
	return Quantile(x, 0.5, confidence)
}

// Quantile returns the quantile q of x, such as 0.99, with the interval between the two order
// statistics whose ranks are binomial quantiles (Conover 1999, 3.2). Both tails have at most half
// of what the confidence leaves. The point is the inverse of the empirical distribution, averaged
// where that has a step (type 2 of Hyndman & Fan 1996), which for 0.5 is the usual median. It
// fails where there are too few samples for the confidence, and says how many are needed.
func Quantile(x []float64, q, confidence float64) (Interval, error) {
	s, err := sorted("quantile", x)
	if err == nil {
		err = inside("quantile", q)
	}
	if err == nil {
		err = inside("confidence", confidence)
	}
	if err != nil {
		return Interval{}, err
	}
	n := len(s)
	tail := (1 - confidence) / 2 * (1 + slack)
	below := distuv.Binomial{N: float64(n), P: q} // how many samples lie below the true quantile
	low := sort.Search(n, func(k int) bool { return below.CDF(float64(k)) > tail })
	high := 1 + sort.Search(n, func(k int) bool { return below.CDF(float64(k)) >= 1-tail })
	if low < 1 || high > n {
		need := math.Ceil(math.Log((1-confidence)/2) / math.Log(max(q, 1-q)) * (1 - slack))
		return Interval{}, fmt.Errorf("quantile %g with confidence %g: %d samples, at least %.0f are needed", q, confidence, n, need)
	}
	return Interval{
		Point:      point(s, q),
		Low:        s[low-1],
		High:       s[high-1],
		Confidence: below.CDF(float64(high-1)) - below.CDF(float64(low-1)),
	}, nil
}

// point is the quantile q of s, which is sorted.
func point(s []float64, q float64) float64 {
	h := float64(len(s)) * q
	if step := math.Round(h); math.Abs(h-step) < 1e-9*float64(len(s)) {
		k := int(step)
		return middle(s[max(k-1, 0)], s[min(k, len(s)-1)])
	}
	return s[int(math.Ceil(h))-1]
}
