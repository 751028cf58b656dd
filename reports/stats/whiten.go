package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
)

// phiWindow is the length of the windows in which the autocorrelation is estimated.
const phiWindow = 25

// maxPhi is where a series can no longer be told from a random walk.
const maxPhi = 0.95

// autocorrelation estimates that of lag 1: the median of the estimates in windows that overlap by
// three quarters or more and together are all of the series, each corrected for the bias of a short series
// (Kendall 1954). A step would be taken for correlation, so a window that holds a clear one is parted there; a
// smaller one spoils only the windows that hold it. Three quarters of a standard error are added: too low an
// estimate makes false change points, too high a one only hides small steps; with this there are few of either
// up to a correlation of 0.7. What is negative counts as 0.
func autocorrelation(x []float64) float64 {
	w := min(phiWindow, len(x))
	var all []float64
	hop := max(w/4, 1)
	moves := (len(x)-w+hop-1)/hop + 1
	for k := range moves {
		from := k * (len(x) - w) / max(moves-1, 1)
		if phi, ok := phiOf(x, parted(x, from, from+w)...); ok {
			all = append(all, phi)
		}
	}
	if len(all) == 0 {
		return 0 // nothing varies
	}
	slices.Sort(all)
	phi := middle(all[(len(all)-1)/2], all[len(all)/2])
	// The median of windows varies by 1.2 times the sqrt((1-phi^2)/n) of the usual estimate.
	phi += 0.75 * 1.2 * math.Sqrt(max(1-phi*phi, 0.05)/float64(len(x)))
	return min(max(phi, 0), maxPhi)
}

// parted returns the bounds of a window, and between them the place of its step, if a step is five sixths of
// what varies in it. Correlated noise looks like that in few windows; in a series of less than 50 runs a step
// in the middle is in most.
func parted(x []float64, from, to int) []int {
	const edge, rest = 2, 1.0 / 6
	least, at := math.Inf(1), from
	for cut := from + edge; cut <= to-edge; cut++ {
		if s := squares(x[from:cut]) + squares(x[cut:to]); s < least {
			least, at = s, cut
		}
	}
	if least < rest*squares(x[from:to]) {
		return []int{from, at, to}
	}
	return []int{from, to}
}

// squares is the sum of the squares about the mean.
func squares(x []float64) float64 {
	mean, sum := stat.Mean(x, nil), 0.0
	for _, v := range x {
		sum += (v - mean) * (v - mean)
	}
	return sum
}

// phiOf is the autocorrelation of lag 1 within the parts of x that the cuts bound, pooled, each
// about its own mean. It is not ok where nothing varies.
func phiOf(x []float64, cuts ...int) (phi float64, ok bool) {
	cross, square := 0.0, 0.0
	for k := 1; k < len(cuts); k++ {
		part := x[cuts[k-1]:cuts[k]]
		mean := stat.Mean(part, nil)
		for i, v := range part {
			square += (v - mean) * (v - mean)
			if i > 0 {
				cross += (v - mean) * (part[i-1] - mean)
			}
		}
	}
	if square == 0 {
		return 0, false
	}
	w := float64(cuts[len(cuts)-1]-cuts[0]) / float64(len(cuts)-1)
	return (cross/square + 1/w) / (1 - 3/w), true
}

// whiten takes from each value what the one before it foretells. The result is one shorter: its
// value i belongs to x[i+1].
func whiten(x []float64, phi float64) []float64 {
	e := make([]float64, len(x)-1)
	for i := range e {
		e[i] = x[i+1] - phi*x[i]
	}
	return e
}
