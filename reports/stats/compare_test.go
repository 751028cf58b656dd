package stats_test

import (
	"math"
	"testing"

	"cellwall/reports/stats"
)

// pairs makes blocks with one sample each, of which the log ratios are x.
func pairs(x []float64) (older, newer [][]float64) {
	for _, v := range x {
		older, newer = append(older, []float64{1}), append(newer, []float64{math.Exp(v)})
	}
	return older, newer
}

func TestCompareIsWhatCountingSays(t *testing.T) {
	r := readReference(t)
	for _, c := range r.Walsh {
		older, newer := pairs(c.X)
		got, err := stats.Compare(older, newer, stats.Options{Confidence: c.Confidence})
		if c.Want.Few {
			if err == nil {
				t.Errorf("%d blocks: %+v, want an error", len(c.X), got)
			}
			continue
		}
		logs := stats.Interval{Point: math.Log(got.Ratio.Point), Low: math.Log(got.Ratio.Low), High: math.Log(got.Ratio.High), Confidence: got.Ratio.Confidence}
		if err != nil || !sameInterval(logs, c.Want.Interval) {
			t.Errorf("%d blocks: %+v, %v, want %+v", len(c.X), logs, err, c.Want.Interval)
		}
	}
	for _, c := range r.SignedRank {
		older, newer := pairs(c.X)
		got, err := stats.Compare(older, newer, stats.Options{Confidence: 0.5})
		if err != nil || !near(got.P, c.Want) {
			t.Errorf("%v: p %g, %v, want %g", c.X, got.P, err, c.Want)
		}
	}
}
