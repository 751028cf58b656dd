package stats_test

import (
	"encoding/binary"
	"math"
	"testing"

	"cellwall/reports/stats"
)

// numbers reads float64s from data: all bit patterns, with NaN, infinities and the smallest, or
// where the first byte is even, small whole numbers with many ties.
func numbers(data []byte) []float64 {
	if len(data) == 0 {
		return nil
	}
	var x []float64
	if data[0]%2 == 0 {
		for _, b := range data[1:] {
			x = append(x, float64(int8(b)))
		}
		return x
	}
	for data = data[1:]; len(data) >= 8; data = data[8:] {
		x = append(x, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
	return x
}

func encode(x ...float64) []byte {
	b := []byte{1}
	for _, v := range x {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

// check fails for an interval that is none.
func check(t *testing.T, what string, i stats.Interval, confidence float64, err error) {
	t.Helper()
	if err != nil {
		return
	}
	for _, v := range []float64{i.Point, i.Low, i.High, i.Confidence} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			t.Fatalf("%s: %+v", what, i)
		}
	}
	if i.Low > i.Point || i.Point > i.High || i.Confidence > 1 || i.Confidence < confidence-1e-9 {
		t.Fatalf("%s with confidence %g: %+v", what, confidence, i)
	}
}

func FuzzSamples(f *testing.F) {
	f.Add(encode(1, 2, 3, 4, 5, 6), encode(2, 3, 4, 5, 6, 7), 0.5, 0.9)
	f.Add(encode(1, math.NaN()), encode(math.Inf(1)), 0.99, 0.95)
	f.Add(encode(-1.7e308, 1.7e308, 5e-324), encode(1.7e308, -5e-324), 0.5, 0.1)
	f.Add([]byte("\x00aaabbbccc"), []byte("\x00bbbcccddd"), 0.25, 0.99)
	f.Fuzz(func(t *testing.T, a, b []byte, q, confidence float64) {
		if len(a) > 400 || len(b) > 400 {
			return
		}
		x, y := numbers(a), numbers(b)
		i, err := stats.Median(x, confidence)
		check(t, "median", i, confidence, err)
		i, err = stats.Quantile(x, q, confidence)
		check(t, "quantile", i, confidence, err)
		i, err = stats.Shift(x, y, confidence)
		check(t, "shift", i, confidence, err)
		u, p, err := stats.MannWhitney(x, y)
		if err == nil && !(u >= 0 && u <= float64(len(x)*len(y)) && p >= 0 && p <= 1) {
			t.Fatalf("U %g, p %g", u, p)
		}
		rejected, adjusted, err := stats.BenjaminiHochberg(x, q)
		for i := range rejected {
			if err == nil && (adjusted[i] < x[i] || adjusted[i] > 1 || rejected[i] != (adjusted[i] <= q)) {
				t.Fatalf("%v at %g: %v, %v", x, q, rejected, adjusted)
			}
		}
		var older, newer [][]float64
		for len(x) > 1 && len(y) > 1 {
			older, newer = append(older, x[:2]), append(newer, y[:1])
			x, y = x[2:], y[1:]
		}
		c, err := stats.Compare(older, newer, stats.Options{Confidence: confidence, Alpha: q})
		check(t, "compare", c.Ratio, confidence, err)
		if err == nil && !(c.P > 0 && c.P <= 1 && c.MDE >= 1) {
			t.Fatalf("%+v", c)
		}
	})
}

func FuzzChangePoints(f *testing.F) {
	f.Add(encode(1, 2, 3), 5, 0.95)
	f.Add([]byte("\x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaazzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"), 5, 0.95)
	f.Add([]byte("\x00aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaazzzzzzzzzzzzzzzzzzzzzzaaaaaaaaaaaaaaaaaaaaaaa"), 2, 0.5)
	f.Fuzz(func(t *testing.T, data []byte, minRuns int, confidence float64) {
		if len(data) > 1000 {
			return
		}
		x := numbers(data)
		points, err := stats.ChangePoints(x, stats.ChangeOptions{MinRuns: minRuns, Confidence: confidence, FalseRate: 0.2})
		if err != nil {
			return
		}
		last := 0
		for _, p := range points {
			check(t, "shift", p.Shift, p.Shift.Confidence, nil)
			if p.At <= last || p.At >= len(x) || p.Low > p.At || p.High < p.At || p.Low < 0 || p.High >= len(x) || !(p.P > 0 && p.P <= 1) {
				t.Fatalf("%+v of %d", points, len(x))
			}
			last = p.At
		}
	})
}
