package stats_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"cellwall/reports/stats"
)

// reference is what testdata/reference.py found by brute force.
type reference struct {
	Quantile []struct {
		X             []float64
		Q, Confidence float64
		Want          wantInterval
	}
	Shift []struct {
		Old, New   []float64
		Confidence float64
		Want       wantInterval
	}
	MannWhitney []struct {
		Old, New []float64
		Want     struct{ U, P float64 }
	} `json:"mann_whitney"`
	Walsh []struct {
		X          []float64
		Confidence float64
		Want       wantInterval
	}
	SignedRank []struct {
		X    []float64
		Want float64
	} `json:"signed_rank"`
	BH []struct {
		P    []float64
		Q    float64
		Want struct {
			Rejected []bool
			Adjusted []float64
		}
	}
}

type wantInterval struct {
	stats.Interval
	Need int
	Few  bool
}

func readReference(t *testing.T) reference {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r reference
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*(1+math.Abs(b)) }

func sameInterval(a, b stats.Interval) bool {
	return near(a.Point, b.Point) && near(a.Low, b.Low) && near(a.High, b.High) && near(a.Confidence, b.Confidence)
}
