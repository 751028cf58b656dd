package stats_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"cellwall/reports/stats"
)

func TestChangePointsOfAPlainSeries(t *testing.T) {
	// 0 up to run 40, 4 up to run 90, then 1, with a little noise and one outlier.
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, 150)
	for i := range x {
		x[i] = 0.5 * r.NormFloat64()
		switch {
		case i >= 90:
			x[i]++
		case i >= 40:
			x[i] += 4
		}
	}
	x[20] = 1000
	points, err := stats.ChangePoints(x, stats.ChangeOptions{})
	if err != nil || len(points) != 2 {
		t.Fatalf("%+v, %v", points, err)
	}
	for i, want := range []struct {
		at    int
		shift float64
	}{{40, 4}, {90, -3}} {
		p := points[i]
		if p.At != want.at || p.Low > want.at || p.High < want.at || p.High-p.Low > 3 {
			t.Errorf("point %d: %+v, want it at %d", i, p, want.at)
		}
		if p.Shift.Low > want.shift || p.Shift.High < want.shift || p.Shift.High-p.Shift.Low > 1 || p.Shift.Confidence < 0.95 || p.P > 0.001 {
			t.Errorf("point %d: %+v, want a shift of %g", i, p, want.shift)
		}
	}
}

// The same statement for the same series: in other units, upside down, and again.
func TestChangePointsDependOnTheSeriesOnly(t *testing.T) {
	x := series{n: 200, phi: 0.3, step: 2}.draw(rand.New(rand.NewPCG(3, 3)))
	find := func(x []float64) []stats.ChangePoint {
		p, err := stats.ChangePoints(x, stats.ChangeOptions{})
		if err != nil || len(p) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		return p
	}
	a, again := find(x)[0], find(x)[0]
	if a != again {
		t.Errorf("%+v, then %+v", a, again)
	}
	scaled, turned := make([]float64, len(x)), make([]float64, len(x))
	for i, v := range x {
		scaled[i], turned[i] = 1000*v+7, -v
	}
	s, u := find(scaled)[0], find(turned)[0]
	if s.At != a.At || s.P != a.P || !near(s.Shift.Point, 1000*a.Shift.Point) || !near(s.Shift.Low, 1000*a.Shift.Low) {
		t.Errorf("scaled %+v, want 1000 times %+v", s, a)
	}
	if u.At != a.At || !near(u.Shift.Point, -a.Shift.Point) || !near(u.Shift.Low, -a.Shift.High) {
		t.Errorf("upside down %+v, want the opposite of %+v", u, a)
	}
}

// A detector may be shared, also by those of other rates, and says of a series what one of its own would say.
func TestDetectorsShareTheirTests(t *testing.T) {
	shared, err := stats.NewDetector(stats.ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x := series{n: 100, step: 2.5}.draw(rand.New(rand.NewPCG(6, 6)))
	var group sync.WaitGroup
	for _, rate := range []float64{0.001, 0.02, 0.005, 0.002} {
		group.Go(func() {
			d, err := shared.At(rate)
			if err != nil {
				t.Error(err)
				return
			}
			got, gotErr := d.Find(x)
			want, wantErr := stats.ChangePoints(x, stats.ChangeOptions{FalseRate: rate})
			if err := errors.Join(gotErr, wantErr); err != nil || len(want) != 1 || !slices.Equal(got, want) {
				t.Errorf("rate %g: %+v, %v, want %+v", rate, got, err, want)
			}
		})
	}
	group.Wait()
	if _, err := shared.At(2); err == nil {
		t.Error("a rate of 2 is none")
	}
}

func TestChangePointsOfASeriesThatHardlyVaries(t *testing.T) {
	same := make([]float64, 300)
	points, err := stats.ChangePoints(same, stats.ChangeOptions{})
	if err != nil || len(points) != 0 {
		t.Errorf("no noise, no step: %+v, %v", points, err)
	}
	for i := 120; i < len(same); i++ {
		same[i] = 1
	}
	points, err = stats.ChangePoints(same, stats.ChangeOptions{})
	if err != nil || len(points) != 1 || points[0].At != 120 || points[0].Shift.Point != 1 {
		t.Errorf("no noise, one step: %+v, %v", points, err)
	}
}

// The shift is that of the parts on both sides of the place that is named.
func TestShiftOfAChangePointIsThatOfItsPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		x := series{n: 100, step: 4}.draw(r)
		points, err := stats.ChangePoints(x, stats.ChangeOptions{})
		if err != nil || len(points) != 1 {
			t.Fatalf("%+v, %v", points, err)
		}
		p := points[0]
		want, err := stats.Shift(x[:p.At], x[p.At:], 0.95)
		if err != nil || p.Shift.Point != want.Point || p.Shift.Low > want.Low || p.Shift.High < want.High {
			t.Errorf("%+v, %v, want a shift of %+v", p, err, want)
		}
	}
}

func TestChangePointsWithMostRunsBetween(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	o := stats.ChangeOptions{MinRuns: 102}
	if p, err := stats.ChangePoints(series{n: 1000}.draw(r), o); err != nil || len(p) != 0 {
		t.Errorf("nothing: %+v, %v", p, err)
	}
	if p, err := stats.ChangePoints(series{n: 1000, step: 1}.draw(r), o); err != nil || len(p) != 1 || abs(p[0].At-500) > 10 {
		t.Errorf("a step: %+v, %v", p, err)
	}
}

func TestChangePointsRefuse(t *testing.T) {
	x := make([]float64, 50)
	bad := append(make([]float64, 50), math.NaN())
	for _, c := range []struct {
		x    []float64
		o    stats.ChangeOptions
		want string
	}{
		{x[:19], stats.ChangeOptions{}, "19 runs, at least 20 are needed"},
		{nil, stats.ChangeOptions{}, "0 runs"},
		{bad, stats.ChangeOptions{}, "run 50 is NaN"},
		{append(x, math.Inf(1)), stats.ChangeOptions{}, "run 50 is +Inf"},
		{x, stats.ChangeOptions{Confidence: 1}, "confidence is 1"},
		{x, stats.ChangeOptions{Confidence: 0.999}, "5 runs between two changes, from 7 to 102 are possible"},
		{x, stats.ChangeOptions{FalseRate: -1}, "false rate is -1"},
		{x, stats.ChangeOptions{FalseRate: 1e-9}, "take too long"},
		{append(x, -1e101), stats.ChangeOptions{}, "run 50 is -1e+101, not a finite number below 1e100"},
		{x, stats.ChangeOptions{MinRuns: 103}, "103 runs between"},
		{x, stats.ChangeOptions{MinRuns: 1 << 62}, "from 4 to 102"},
		{x, stats.ChangeOptions{MinRuns: -3}, "-3 runs between two changes, from 4 to 102"},
	} {
		if _, err := stats.ChangePoints(c.x, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d runs, %+v: %v, want %q", len(c.x), c.o, err, c.want)
		}
	}
}

// The rates of docs/statistics.md with fewer series, and what they may be by chance.
func TestChangePointRates(t *testing.T) {
	d, err := stats.NewDetector(stats.ChangeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		series
		count                  int
		false100, found, near2 float64
	}{
		{series{n: 100, phi: 0.6}, 3000, 0.02, 0, 0},
		{series{n: 200, phi: 0.6, heavy: true}, 1000, 0.02, 0, 0},
		{series{n: 1000, phi: 0.6}, 150, 0.02, 0, 0},
		{series{n: 20, phi: 0.6}, 3000, 0.02, 0, 0},
		{series{n: 30, phi: 0.6, heavy: true}, 3000, 0.006, 0, 0},
		{series{n: 20, step: 6}, 200, 0.02, 0.9, 0.9},
		{series{n: 30, step: 6}, 200, 0.02, 0.93, 0.93},
		{series{n: 50, step: 6}, 200, 0.02, 0.97, 0.97},
		{series{n: 200, step: 1}, 200, 0.02, 0.95, 0.58},
		{series{n: 500, step: 1, phi: 0.6}, 100, 0.03, 0.85, 0.25},
		{series{n: 200, step: 2}, 200, 0.02, 0.99, 0.92},
		{series{n: 200, step: 3, phi: 0.6}, 200, 0.02, 0.97, 0.93},
	} {
		got := simulate(t, d, c.series, c.count)
		if got.false100 > c.false100 || got.found < c.found || got.near < c.near2 {
			t.Errorf("%v: %+v, want at most %g false, at least %g found and %g within 2 runs", c.series, got, c.false100, c.found, c.near2)
		}
		if c.step > 0 && (got.position < 0.9 || c.step == 1 && c.phi == 0 && got.position > 0.99 || got.shift < 0.88 || got.twoStep > 0.01) {
			t.Errorf("%v: %+v: the intervals do not hold what they promise", c.series, got)
		}
	}
}
