package stats_test

import (
	"math"
	"math/rand/v2"
	"strings"
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

// The interval of large samples holds the shift as often as it says, with ties and without.
func TestShiftOfLargeSamplesHoldsWhatItPromises(t *testing.T) {
	for _, c := range []struct {
		name string
		draw func(r *rand.Rand) float64
		grid float64
	}{
		{"normal", (*rand.Rand).NormFloat64, 0},
		{"exponential", (*rand.Rand).ExpFloat64, 0},
		{"grid of one", (*rand.Rand).NormFloat64, 1},
	} {
		r := rand.New(rand.NewPCG(1, 7))
		const count = 1000
		held := 0
		for range count {
			old, new := make([]float64, 60), make([]float64, 90)
			for i := range old {
				old[i] = c.draw(r)
			}
			for i := range new {
				new[i] = c.draw(r)
			}
			if c.grid > 0 {
				for _, s := range [][]float64{old, new} {
					for i := range s {
						s[i] = math.Round(s[i]/c.grid) * c.grid
					}
				}
			}
			for i := range new {
				new[i] += 2
			}
			s, err := stats.Shift(old, new, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if s.Low <= 2 && 2 <= s.High {
				held++
			}
		}
		if held < 930 || c.grid == 0 && held > 970 {
			t.Errorf("%s: %d of %d intervals hold the shift", c.name, held, count)
		}
	}
}

func TestShiftOfAMillionPairsTakesNoMemoryForThem(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	old, new := make([]float64, 20_000), make([]float64, 30_000)
	for i := range old {
		old[i] = r.NormFloat64()
	}
	for i := range new {
		new[i] = r.NormFloat64() + 0.5
	}
	s, err := stats.Shift(old, new, 0.95)
	if err != nil || s.Low > 0.5 || s.High < 0.5 || s.High-s.Low > 0.05 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestShiftOfSamplesThatDoNotVary(t *testing.T) {
	old, new := make([]float64, 31), make([]float64, 41) // an odd number of pairs has one in the middle
	for i := range new {
		new[i] = 3
	}
	if s, err := stats.Shift(old, new, 0.95); err != nil || s != (stats.Interval{Point: 3, Low: 3, High: 3, Confidence: 1}) {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestShiftAndMannWhitneyRefuse(t *testing.T) {
	good := []float64{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		old, new   []float64
		confidence float64
		want       string
	}{
		{nil, good, 0.95, "old: no samples"},
		{good, nil, 0.95, "new: no samples"},
		{good, []float64{1, math.NaN()}, 0.95, "new: sample 1 is NaN"},
		{[]float64{math.Inf(-1)}, good, 0.95, "old: sample 0 is -Inf"},
		{good, good, 1.5, "confidence is 1.5"},
		{good[:2], good[:2], 0.95, "2 and 2 samples are too few, 4 each would do"},
		{[]float64{-1e308}, []float64{1e308}, 0.5, "not a finite number"},
	} {
		if _, err := stats.Shift(c.old, c.new, c.confidence); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("shift: %v, want %q", err, c.want)
		}
	}
	if _, _, err := stats.MannWhitney(good, []float64{math.NaN()}); err == nil || !strings.Contains(err.Error(), "new: sample 0 is NaN") {
		t.Error(err)
	}
	if u, p, err := stats.MannWhitney([]float64{1, 1}, []float64{1, 1, 1}); err != nil || u != 3 || p != 1 {
		t.Errorf("all the same: U %g, p %g, %v", u, p, err)
	}
}
