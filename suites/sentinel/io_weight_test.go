package sentinel

import "testing"

func TestAgreed(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares []float64
		want   float64
		ok     bool
	}{
		{"too few", []float64{0.088, 0.088, 0.088}, 0, false},
		{"all", []float64{0.089, 0.088, 0.088, 0.088}, 0.088, true},
		{"some, among others", []float64{0.5, 0.088, 0.3, 0.09, 0.012, 0.088, 0.2, 0.091}, 0.088, true},
		{"a few low ones, where it waited", []float64{0.06, 0.06, 0.06, 0.06, 0.5, 0.5, 0.5, 0.5, 0.5}, 0.5, true},
		{"as many low ones", []float64{0.06, 0.06, 0.06, 0.06, 0.5, 0.5, 0.5, 0.5}, 0.5, true},
		{"some of many, as on a slow host", []float64{0.01, 0.29, 0.56, 0.64, 0.06, 0.32, 0.11, 0.27, 0.03, 0.78, 0.11, 0.07, 0.12, 0.14, 0.05, 0.1, 0.09, 0.29, 0.23, 0.14, 0.31, 0.31}, 0, false},
		{"all apart", []float64{0.05, 0.088, 0.12, 0.16, 0.2, 0.3, 0.5}, 0, false},
		{"the neighbour did not run", []float64{1, 1, 0.99, 0.98, 0.97}, 0, false},
		{"it did not run itself", []float64{0, 0.001, 0.01, 0.01, 0.01}, 0, false},
	} {
		if got, ok := agreed(c.shares); got != c.want || ok != c.ok {
			t.Errorf("%s: %v, %t, want %v, %t", c.name, got, ok, c.want, c.ok)
		}
	}
}
