package stats

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// step is a series around one change, and what is known of its noise.
type step struct {
	x    []float64
	at   int // the first value after the change
	edge int
	phi  float64
}

// Huber's function grows linearly beyond this many standard deviations, so that an outlier counts
// but does not decide. It loses 5 % where the noise is normal.
const huberAt = 1.345

func huber(v float64) float64 {
	if v = math.Abs(v); v > huberAt {
		return huberAt * (v - huberAt/2)
	}
	return v * v / 2
}

// locate finds the most likely place of the change: with the level on either side and the noise
// as estimated, it compares the likelihood of all places. The point is the middle of the five
// runs that most likely hold it. Low and high bound the places that together have the confidence,
// each as likely before as any other.
func (s step) locate(confidence float64) (at, low, high int) {
	at, low, high = s.at, s.at, s.at
	// The levels depend on the place and the place on the levels: twice is enough.
	for range 2 {
		s.at = at
		w := s.likelihood()
		if w == nil { // without noise there is no doubt
			return at, at, at
		}
		at, low, high = likeliest(w, s.edge, confidence)
	}
	return at, low, high
}

// likelihood of each place for the change, such that they add up to 1; nil where nothing varies.
func (s step) likelihood() []float64 {
	left, right := level(s.x[:s.at]), level(s.x[s.at:])
	scale := s.noise(left, right)
	if scale == 0 {
		return nil
	}
	n := len(s.x)
	cost := func(t int, before, now float64) float64 {
		return huber((s.x[t] - now - s.phi*(s.x[t-1]-before)) / scale)
	}
	w := make([]float64, n+1)
	sum := 0.0 // of the costs if all were left of the change
	for t := 1; t < n; t++ {
		w[t] = -sum - cost(t, left, right)
		sum += cost(t, left, left)
	}
	sum = 0 // of the costs if all were right of it
	for t := n - 1; t > 0; t-- {
		w[t] -= sum
		sum += cost(t, right, right)
	}
	w = w[:n-s.edge+1]
	for t := range min(s.edge, len(w)) {
		w[t] = math.Inf(-1)
	}
	best := slices.Max(w)
	for t := range w {
		w[t] = math.Exp(w[t] - best)
	}
	floats.Scale(1/floats.Sum(w), w)
	return w
}

// likeliest returns the middle of the five places with the largest sum of w, and the bounds of
// the likeliest places that have the confidence together.
func likeliest(w []float64, edge int, confidence float64) (at, low, high int) {
	most := -1.0
	for t := edge; t < len(w); t++ {
		sum := floats.Sum(w[max(t-2, 0):min(t+3, len(w))])
		if sum > most || sum == most && w[t] > w[at] {
			most, at = sum, t
		}
	}
	order := make([]int, len(w))
	for t := range order {
		order[t] = t
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(cmp.Compare(w[j], w[i]), cmp.Compare(i, j)) })
	low, high = at, at
	held := 0.0
	for _, t := range order {
		if held >= confidence {
			break
		}
		held += w[t]
		low, high = min(low, t), max(high, t)
	}
	return at, low, high
}

// noise is the standard deviation of what is left of x when the levels and what each value
// foretells of the next are taken away, from the median of the absolute values.
func (s step) noise(left, right float64) float64 {
	rest := make([]float64, 0, len(s.x)-1)
	for t := 1; t < len(s.x); t++ {
		before, now := left, left
		if t >= s.at {
			now = right
		}
		if t > s.at {
			before = right
		}
		rest = append(rest, math.Abs(s.x[t]-now-s.phi*(s.x[t-1]-before)))
	}
	slices.Sort(rest)
	if middle := rest[len(rest)/2]; middle > 0 {
		return 1.4826 * middle
	}
	return stat.Mean(rest, nil) // more than half of the values are the same
}

// level is the mean of the middle half of x.
func level(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	cut := len(s) / 4
	return stat.Mean(s[cut:len(s)-cut], nil)
}
