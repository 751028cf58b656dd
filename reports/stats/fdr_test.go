package stats_test

import (
	"slices"
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
