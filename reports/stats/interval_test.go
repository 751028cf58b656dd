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

func TestQuantileRefuses(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	for _, c := range []struct {
		x             []float64
		q, confidence float64
		want          string
	}{
		{nil, 0.5, 0.95, "no samples"},
		{append(x, math.Inf(1)), 0.5, 0.95, "sample 6 is +Inf, not a finite number"},
		{x, 0, 0.95, "quantile is 0"},
		{x, 1, 0.95, "quantile is 1"},
		{x, math.NaN(), 0.95, "quantile is NaN"},
		{x, 0.5, 95, "confidence is 95: give a number between 0 and 1"},
		{x, 0.5, 0.99, "6 samples, at least 8 are needed"},
		{x, 0.999, 0.95, "6 samples, at least 3688 are needed"},
	} {
		if _, err := stats.Quantile(c.x, c.q, c.confidence); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// What the error says is needed is enough, and one less is not.
func TestQuantileNeedsWhatItSays(t *testing.T) {
	for _, q := range []float64{0.01, 0.25, 0.5, 0.9, 0.99} {
		for _, confidence := range []float64{0.8, 0.95, 0.999} {
			_, err := stats.Quantile([]float64{1}, q, confidence)
			var need int
			if _, scan := fmt.Sscanf(err.Error(), fmt.Sprintf("quantile %g with confidence %g: 1 samples, at least %%d are needed", q, confidence), &need); scan != nil {
				t.Fatal(err, scan)
			}
			x := make([]float64, need)
			if got, err := stats.Quantile(x, q, confidence); err != nil || got.Confidence < confidence-1e-9 {
				t.Errorf("q %g, %d samples: %+v, %v", q, need, got, err)
			}
			if _, err := stats.Quantile(x[1:], q, confidence); err == nil {
				t.Errorf("q %g: %d samples are enough, it said %d", q, need-1, need)
			}
		}
	}
}
