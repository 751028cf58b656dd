package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// known is a judge who knows of a series all but what is asked: the deviation and autocorrelation
// of its normal noise, and where levels is set also the level before a step and after it.
type known struct {
	series
	levels bool
}

// scores says of each place how likely the step is there: the log of the likelihood ratio.
func (k known) scores(x []float64) []float64 {
	const edge = 5
	n, phi := len(x), k.phi
	noise := math.Sqrt(1 - phi*phi)
	// What is new in each value, in units of its deviation, and what a level of 1 adds to it.
	y, c := make([]float64, n), make([]float64, n)
	y[0], c[0] = x[0], 1
	for t := 1; t < n; t++ {
		y[t], c[t] = (x[t]-phi*x[t-1])/noise, (1-phi)/noise
	}
	cc := dot(c, c)
	scores := make([]float64, n)
	for t := range scores {
		scores[t] = math.Inf(-1)
	}
	s := make([]float64, n)
	for tau := edge; tau <= n-edge; tau++ {
		clear(s)
		copy(s[tau:], c[tau:])
		s[tau] = 1 / noise
		sy, ss := dot(s, y), dot(s, s)
		if k.levels {
			scores[tau] = k.step*sy - k.step*k.step*ss/2
			continue
		}
		// The levels are what fits best: the step without its part along a common level.
		cs := dot(c, s)
		sy, ss = sy-cs/cc*dot(c, y), ss-cs*cs/cc
		scores[tau] = sy * sy / ss / 2
	}
	return scores
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// BenchmarkChangePointBound says what cannot be done better: how often the likelihood ratio test
// with the levels unknown finds the step at 0.01 false ones in 100 runs, and how often the best
// guess of who knows the levels too lies within 2 runs.
// go test -run '^$' -bench ChangePointBound -benchtime 2000x ./reports/stats.
func BenchmarkChangePointBound(b *testing.B) {
	for _, s := range []series{
		{n: 100, step: 1}, {n: 200, step: 1}, {n: 200, step: 1, phi: 0.6}, {n: 500, step: 1, phi: 0.6},
		{n: 200, step: 1.5}, {n: 500, step: 1.5, phi: 0.6}, {n: 200, step: 2, phi: 0.6}, {n: 200, step: 3}, {n: 200, step: 3, phi: 0.6},
	} {
		b.Run(fmt.Sprint(s), func(b *testing.B) {
			r := rand.New(rand.NewPCG(11, uint64(s.n)))
			null := make([]float64, b.N)
			for i := range null {
				null[i] = slices.Max(known{series: s}.scores(series{n: s.n, phi: s.phi}.draw(r)))
			}
			slices.Sort(null)
			limit := null[int(float64(b.N)*(1-0.01*float64(s.n)/100))]
			found, near := 0.0, 0.0
			for range b.N {
				x := s.draw(r)
				found += one(slices.Max(known{series: s}.scores(x)) > limit)
				near += one(abs(bestFive(known{series: s, levels: true}.scores(x))-s.n/2) <= 2)
			}
			b.ReportMetric(found/float64(b.N), "found")
			b.ReportMetric(near/float64(b.N), "within2")
		})
	}
}

// bestFive is the middle of the five places that most likely hold the step.
func bestFive(scores []float64) int {
	most, at, top := 0.0, 0, slices.Max(scores)
	for t := 2; t < len(scores)-2; t++ {
		sum := 0.0
		for _, v := range scores[t-2 : t+3] {
			sum += math.Exp(v - top)
		}
		if sum > most {
			most, at = sum, t
		}
	}
	return at
}
