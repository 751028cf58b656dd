package stats

import (
	"fmt"
	"math"
	"slices"
)

// slack forgives the rounding of a probability that is compared with a level.
const slack = 1e-12

// sorted returns a sorted copy of x, or an error that names what is wrong with it.
func sorted(name string, x []float64) ([]float64, error) {
	if len(x) == 0 {
		return nil, fmt.Errorf("%s: no samples", name)
	}
	for i, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("%s: sample %d is %g, not a finite number", name, i, v)
		}
	}
	s := slices.Clone(x)
	slices.Sort(s)
	return s, nil
}

// inside refuses a probability that is not between 0 and 1, both excluded.
func inside(name string, p float64) error {
	if !(p > 0 && p < 1) {
		return fmt.Errorf("%s is %g: give a number between 0 and 1, such as 0.95", name, p)
	}
	return nil
}

// middle is the mean of two finite numbers. The sum of two large ones would overflow.
func middle(a, b float64) float64 {
	if a == b {
		return a
	}
	return a/2 + b/2
}
