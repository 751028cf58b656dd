package stats_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"cellwall/reports/stats"
)

// The example of Benjamini & Hochberg 1995, section 3.2: four of fifteen at q = 0.05, where
// Bonferroni's procedure rejects three.
func TestBenjaminiHochbergIsThatOfThePaper(t *testing.T) {
	p := []float64{0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.000}
	rejected, adjusted, err := stats.BenjaminiHochberg(p, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rejected {
		if r != (i < 4) {
			t.Errorf("hypothesis %d: %v", i+1, r)
		}
	}
	if !near(adjusted[3], 0.0095*15/4) || !near(adjusted[14], 1) {
		t.Errorf("adjusted %v", adjusted)
	}
}

func TestBenjaminiHochbergIsWhatItsDefinitionSays(t *testing.T) {
	for _, c := range readReference(t).BH {
		rejected, adjusted, err := stats.BenjaminiHochberg(c.P, c.Q)
		if err != nil || !slices.Equal(rejected, c.Want.Rejected) || !slices.EqualFunc(adjusted, c.Want.Adjusted, near) {
			t.Errorf("%v: %v, %v, %v, want %+v", c.P, rejected, adjusted, err, c.Want)
		}
	}
}

func TestBenjaminiHochbergRefuses(t *testing.T) {
	for _, c := range []struct {
		p    []float64
		q    float64
		want string
	}{
		{[]float64{0.1, math.NaN()}, 0.05, "p-value 1 is NaN"},
		{[]float64{1.1}, 0.05, "p-value 0 is 1.1"},
		{[]float64{-0.1}, 0.05, "p-value 0 is -0.1"},
		{[]float64{0.1}, 0, "q is 0"},
	} {
		if _, _, err := stats.BenjaminiHochberg(c.p, c.q); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if rejected, adjusted, err := stats.BenjaminiHochberg(nil, 0.05); err != nil || len(rejected) != 0 || len(adjusted) != 0 {
		t.Errorf("no tests: %v, %v, %v", rejected, adjusted, err)
	}
}
