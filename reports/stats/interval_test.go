package stats_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"cellwall/reports/stats"
)

func TestQuantileIsWhatCountingSays(t *testing.T) {
	for _, c := range readReference(t).Quantile {
		got, err := stats.Quantile(c.X, c.Q, c.Confidence)
		if c.Want.Need > 0 {
			want := fmt.Sprintf("%d samples, at least %d are needed", len(c.X), c.Want.Need)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d samples, q %g: %v, want %q", len(c.X), c.Q, err, want)
			}
			continue
		}
		if err != nil || !sameInterval(got, c.Want.Interval) {
			t.Errorf("%d samples, q %g: %+v, %v, want %+v", len(c.X), c.Q, got, err, c.Want.Interval)
		}
	}
}

// The ranks and levels are those of published tables of the interval of the median, such as
// Conover 1999, table A3 and Hollander & Wolfe 1999, table A.2 (sign test).
func TestMedianIsThatOfTheTables(t *testing.T) {
	for _, c := range []struct {
		n, rank    int
		confidence float64
		reached    float64
	}{
		{6, 1, 0.95, 0.9688},
		{8, 1, 0.99, 0.9922},
		{9, 2, 0.95, 0.9609},
		{10, 2, 0.95, 0.9785},
		{12, 3, 0.95, 0.9614},
		{15, 4, 0.95, 0.9648},
		{20, 6, 0.95, 0.9586},
		{25, 8, 0.95, 0.9567},
		{50, 18, 0.95, 0.9672},
	} {
		x := make([]float64, c.n)
		for i := range x {
			x[(i*7)%c.n] = float64(i + 1) // any order
		}
		if c.n%7 == 0 {
			t.Fatal("not a permutation")
		}
		got, err := stats.Median(x, c.confidence)
		want := stats.Interval{Point: float64(c.n+1) / 2, Low: float64(c.rank), High: float64(c.n + 1 - c.rank), Confidence: c.reached}
		if err != nil || got.Point != want.Point || got.Low != want.Low || got.High != want.High || math.Abs(got.Confidence-want.Confidence) > 6e-5 {
			t.Errorf("%d: %+v, %v, want %+v", c.n, got, err, want)
		}
	}
}
