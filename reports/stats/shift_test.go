package stats_test

import (
	"testing"

	"cellwall/reports/stats"
)

func TestShiftIsWhatCountingSays(t *testing.T) {
	for _, c := range readReference(t).Shift {
		got, err := stats.Shift(c.Old, c.New, c.Confidence)
		if c.Want.Few {
			if err == nil {
				t.Errorf("%d and %d samples: %+v, want an error", len(c.Old), len(c.New), got)
			}
			continue
		}
		if err != nil || !sameInterval(got, c.Want.Interval) {
			t.Errorf("%d and %d samples: %+v, %v, want %+v", len(c.Old), len(c.New), got, err, c.Want.Interval)
		}
	}
}

func TestMannWhitneyIsWhatCountingSays(t *testing.T) {
	for _, c := range readReference(t).MannWhitney {
		u, p, err := stats.MannWhitney(c.Old, c.New)
		if err != nil || !near(u, c.Want.U) || !near(p, c.Want.P) {
			t.Errorf("%d and %d samples: U %g, p %g, %v, want %+v", len(c.Old), len(c.New), u, p, err, c.Want)
		}
	}
}

// The permeability of the human chorioamnion, Hollander & Wolfe 1999, table 4.1: U is 15 or 35.
func TestMannWhitneyIsThatOfTheBook(t *testing.T) {
	term := []float64{0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46}
	early := []float64{1.15, 0.88, 0.90, 0.74, 1.21}
	u, p, err := stats.MannWhitney(early, term)
	if err != nil || u != 35 || !near(p, 2*0.127206127206127) {
		t.Errorf("U %g, p %g, %v", u, p, err)
	}
}
