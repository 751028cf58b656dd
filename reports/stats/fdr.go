package stats

import (
	"cmp"
	"fmt"
	"slices"
)

// BenjaminiHochberg says which of the hypotheses with the p-values p are rejected when at most the
// share q of what is rejected may be wrong (Benjamini & Hochberg 1995), for tests that are
// independent or depend positively. Adjusted is the smallest q at which each would be rejected.
// Both have the order of p.
func BenjaminiHochberg(p []float64, q float64) (rejected []bool, adjusted []float64, err error) {
	if err := inside("q", q); err != nil {
		return nil, nil, fmt.Errorf("benjamini-hochberg: %w", err)
	}
	order := make([]int, len(p))
	for i, v := range p {
		if !(v >= 0 && v <= 1) {
			return nil, nil, fmt.Errorf("benjamini-hochberg: p-value %d is %g, not between 0 and 1", i, v)
		}
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(p[j], p[i]) })
	rejected, adjusted = make([]bool, len(p)), make([]float64, len(p))
	least := 1.0
	for from, i := range order { // from the largest, whose rank is len(p)
		least = min(least, p[i]*(float64(len(p))/float64(len(p)-from))) // never below p[i], as p[i]*3/3 may be
		adjusted[i] = least
		rejected[i] = least <= q
	}
	return rejected, adjusted, nil
}
