package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"cellwall/reports/stats"
)

// ar is n values of an AR(1) with mean 0 and standard deviation 1 (of the values, not of what is
// new in each): phi is the autocorrelation of lag 1, draw gives what is new, with deviation 1.
func ar(n int, phi float64, draw func() float64) []float64 {
	x := make([]float64, n)
	v := draw()
	for range 50 { // so that the first value is as any other
		v = phi*v + math.Sqrt(1-phi*phi)*draw()
	}
	for i := range x {
		v = phi*v + math.Sqrt(1-phi*phi)*draw()
		x[i] = v
	}
	return x
}

// student draws from Student's t with 3 degrees of freedom, scaled to deviation 1.
func student(r *rand.Rand) float64 {
	square := 0.0
	for range 3 {
		z := r.NormFloat64()
		square += z * z
	}
	return r.NormFloat64() / math.Sqrt(square/3) / math.Sqrt(3)
}

// series is a setting of the simulation: a step of so many standard deviations of the series in
// its middle, or none.
type series struct {
	n     int
	phi   float64
	heavy bool
	step  float64
	white bool // half of the variance has no autocorrelation
}

func (s series) String() string {
	noise := "normal"
	if s.heavy {
		noise = "t3"
	}
	if s.white {
		noise += "+white"
	}
	return fmt.Sprintf("step=%g/runs=%d/phi=%g/%s", s.step, s.n, s.phi, noise)
}

func (s series) draw(r *rand.Rand) []float64 {
	draw := r.NormFloat64
	if s.heavy {
		draw = func() float64 { return student(r) }
	}
	x := ar(s.n, s.phi, draw)
	if s.white {
		for i := range x {
			x[i] = (x[i] + r.NormFloat64()) / math.Sqrt2
		}
	}
	for i := s.n / 2; i < s.n; i++ {
		x[i] += s.step
	}
	return x
}

// tally counts what Find says of many series of a setting.
type tally struct {
	series, false100         float64 // change points that are none, in 100 runs
	found, near              float64 // the share of series with the step, and with it within 2 runs
	position, shift, twoStep float64 // of the found ones: intervals that hold the truth, a second point beside the step
}

func simulate(tb testing.TB, d *stats.Detector, s series, count int) tally {
	tb.Helper()
	r := rand.New(rand.NewPCG(uint64(s.n), uint64(100*s.phi+10*s.step)))
	var t tally
	for range count {
		points, err := d.Find(s.draw(r))
		if err != nil {
			tb.Fatal(err)
		}
		var best *stats.ChangePoint
		beside := 0
		for i := range points {
			p := &points[i]
			if s.step == 0 || abs(p.At-s.n/2) > s.n/8 {
				t.false100++
				continue
			}
			beside++
			if best == nil || abs(p.At-s.n/2) < abs(best.At-s.n/2) {
				best = p
			}
		}
		if best == nil {
			continue
		}
		t.found++
		t.near += one(abs(best.At-s.n/2) <= 2)
		t.position += one(best.Low <= s.n/2 && s.n/2 <= best.High)
		t.shift += one(best.Shift.Low <= s.step && s.step <= best.Shift.High)
		t.twoStep += one(beside > 1)
	}
	if t.found > 0 {
		t.position, t.shift, t.twoStep = t.position/t.found, t.shift/t.found, t.twoStep/t.found
	}
	t.series = float64(count)
	t.found, t.near = t.found/t.series, t.near/t.series
	t.false100 *= 100 / (t.series * float64(s.n))
	return t
}

func abs(i int) int { return max(i, -i) }

func one(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

// The full simulation: go test -run '^$' -bench ChangePointRates -benchtime 2000x ./reports/stats.
func BenchmarkChangePointRates(b *testing.B) {
	d, err := stats.NewDetector(stats.ChangeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []series{
		{n: 100}, {n: 50, phi: 0.6}, {n: 100, phi: 0.6}, {n: 200, phi: 0.6}, {n: 500, phi: 0.6}, {n: 2000, phi: 0.6},
		{n: 200, phi: 0.6, heavy: true}, {n: 50, phi: 0.8}, {n: 200, phi: 0.8}, {n: 500, phi: 0.6, white: true}, {n: 500, phi: 0.9, white: true},
		{n: 20, phi: 0.6}, {n: 26, phi: 0.6}, {n: 30, phi: 0.6}, {n: 30, phi: 0.6, heavy: true}, {n: 20, step: 6}, {n: 26, step: 6}, {n: 30, step: 6}, {n: 50, step: 4}, {n: 50, step: 6},
		{n: 100, step: 1}, {n: 200, step: 1}, {n: 200, step: 1, heavy: true}, {n: 200, step: 1, phi: 0.6}, {n: 500, step: 1, phi: 0.6},
		{n: 200, step: 1.5}, {n: 500, step: 1.5, phi: 0.6}, {n: 200, step: 2, phi: 0.6}, {n: 200, step: 3}, {n: 200, step: 3, phi: 0.6},
	} {
		b.Run(s.String(), func(b *testing.B) {
			t := simulate(b, d, s, b.N)
			b.ReportMetric(t.false100, "false/100runs")
			if s.step > 0 {
				b.ReportMetric(t.found, "found")
				b.ReportMetric(t.near, "within2")
				b.ReportMetric(t.position, "position-in-interval")
				b.ReportMetric(t.shift, "shift-in-interval")
				b.ReportMetric(t.twoStep, "second-point")
			}
		})
	}
}

// BenchmarkChangePointHistory is the whole check of a history of 10,000 runs, from nothing.
func BenchmarkChangePointHistory(b *testing.B) {
	x := series{n: 10_000, phi: 0.6}.draw(rand.New(rand.NewPCG(1, 1)))
	for i := range x {
		x[i] += float64(i / 250 % 3)
	}
	for b.Loop() {
		if _, err := stats.ChangePoints(x, stats.ChangeOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
