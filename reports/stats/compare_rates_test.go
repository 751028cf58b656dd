package stats_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"cellwall/reports/stats"
)

// The rates of docs/statistics.md with fewer runs, and what they may be by chance: at 250 runs
// the deviation of 0.95 is 0.014.
func TestCompareHoldsWhatItPromises(t *testing.T) {
	const blocks, each, ratio, count = 12, 8, 1.05, 250
	for _, n := range noises(t) {
		r := rand.New(rand.NewPCG(5, 5))
		held, alarms := 0.0, 0.0
		for range count {
			older, newer := interleave(n.draw(r, 2*blocks*each), blocks, each, ratio)
			c, err := stats.Compare(older, newer, stats.Options{})
			if err != nil {
				t.Fatal(err)
			}
			held += one(c.Ratio.Low <= ratio && ratio <= c.Ratio.High)
			older, newer = interleave(n.draw(r, 2*blocks*each), blocks, each, 1)
			c, err = stats.Compare(older, newer, stats.Options{})
			if err != nil {
				t.Fatal(err)
			}
			alarms += one(c.P <= 0.05)
		}
		if held/count < 0.92 || held/count > 0.99 || alarms/count > 0.09 || alarms/count < 0.01 {
			t.Errorf("%s: the interval holds the ratio in %.3f, p is below 0.05 in %.3f", n.name, held/count, alarms/count)
		}
	}
}

func TestMDEIsWhatAnotherRunFinds(t *testing.T) {
	n := noises(t)[0]
	if found, mde := powerOfMDE(t, n, 12, stats.Options{}, 250); found < 0.73 || found > 0.9 || mde < 1.03 || mde > 1.08 {
		t.Errorf("found %.3f of what was said to be found with power 0.8, at %.3f", found, mde)
	}
	if found, _ := powerOfMDE(t, n, 12, stats.Options{Alpha: 0.001, Power: 0.9}, 250); found < 0.82 || found > 0.96 {
		t.Errorf("found %.3f of what was said to be found with power 0.9", found)
	}
}

func TestTableHasNoFalseAlarmAndFindsFivePercent(t *testing.T) {
	recorded := noises(t)[3]
	if wrong, _ := tables(t, recorded, 0, 1, 6); wrong > 0 {
		t.Errorf("%.2f of the tables have a false alarm", wrong)
	}
	if wrong, found := tables(t, recorded, 1, 1.05, 6); wrong > 0 || found < 0.99 {
		t.Errorf("%.2f of the tables have a false alarm, %.2f of 5 %% found", wrong, found)
	}
}

// A drift that is much larger than the difference.
func TestCompareIsNotMovedByDrift(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 1))
	var older, newer [][]float64
	for b := range 20 {
		level := math.Exp(float64(b) / 4) // 100 times from begin to end
		var a, c []float64
		for range 5 {
			a = append(a, level*math.Exp(0.01*r.NormFloat64()))
			c = append(c, level*1.03*math.Exp(0.01*r.NormFloat64()))
		}
		older, newer = append(older, a), append(newer, c)
	}
	c, err := stats.Compare(older, newer, stats.Options{Confidence: 0.99})
	if err != nil || c.Ratio.Low > 1.03 || c.Ratio.High < 1.03 || c.Ratio.High-c.Ratio.Low > 0.02 || c.P > 0.001 || c.MDE < 1.002 || c.MDE > 1.02 || c.Blocks != 20 {
		t.Errorf("%+v, %v", c, err)
	}
	// The same with the versions and with the unit changed.
	back, err := stats.Compare(newer, older, stats.Options{Confidence: 0.99})
	if err != nil || !near(back.Ratio.Point, 1/c.Ratio.Point) || !near(back.Ratio.Low, 1/c.Ratio.High) || !near(back.P, c.P) {
		t.Errorf("%+v, %v, want the inverse of %+v", back, err, c)
	}
	for b := range older {
		for i := range older[b] {
			older[b][i] *= 1e9
			newer[b][i] *= 1e9
		}
	}
	if other, err := stats.Compare(older, newer, stats.Options{Confidence: 0.99}); err != nil || !near(other.Ratio.Point, c.Ratio.Point) || !near(other.MDE, c.MDE) {
		t.Errorf("%+v, %v, want %+v", other, err, c)
	}
}

// P and the interval are two sides of one test.
func TestComparePAgreesWithTheInterval(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	outside := 0
	for range 200 {
		x := make([]float64, 15)
		for i := range x {
			x[i] = r.NormFloat64() + 0.5
		}
		older, newer := pairs(x)
		c, err := stats.Compare(older, newer, stats.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Ratio.Low > 1 || c.Ratio.High < 1 {
			outside++
			if c.P > 1-c.Ratio.Confidence+1e-9 {
				t.Errorf("%+v", c)
			}
		} else if c.P <= 0.05 {
			t.Errorf("%+v", c)
		}
	}
	if outside < 50 || outside > 150 {
		t.Errorf("%d of 200 are outside", outside)
	}
}

func TestCompareRefuses(t *testing.T) {
	block := func(n int, x ...float64) (b [][]float64) {
		for range n {
			b = append(b, x)
		}
		return b
	}
	good := block(6, 1, 2)
	for _, c := range []struct {
		older, newer [][]float64
		o            stats.Options
		want         string
	}{
		{nil, nil, stats.Options{}, "no blocks"},
		{good, good[:5], stats.Options{}, "6 blocks of old samples and 5 of new ones"},
		{good[:5], good[:5], stats.Options{}, "confidence 0.95 and alpha 0.05: 5 blocks, at least 6 are needed"},
		{good, good, stats.Options{Alpha: 0.001}, "6 blocks, at least 11 are needed"},
		{good, good, stats.Options{Confidence: 0.99}, "6 blocks, at least 8 are needed"},
		{good, good, stats.Options{Confidence: 0.99, Alpha: 0.05}, "6 blocks, at least 8 are needed"},
		{good, block(6), stats.Options{}, "block 0: new: no samples"},
		{good, block(6, 1, 0), stats.Options{}, "block 0: new: sample 1 is 0: only positive"},
		{block(6, -1), good, stats.Options{}, "block 0: old: sample 0 is -1"},
		{block(6, math.NaN()), good, stats.Options{}, "sample 0 is NaN"},
		{block(6, math.Inf(1)), good, stats.Options{}, "sample 0 is +Inf"},
		{block(6, 1e-300), block(6, 1e300), stats.Options{}, "are they of the same unit?"},
		{good, good, stats.Options{Confidence: 95}, "confidence is 95: give a number between 0 and 1"},
		{good, good, stats.Options{Alpha: -1}, "alpha is -1"},
		{good, good, stats.Options{Power: math.NaN()}, "power is NaN"},
	} {
		if _, err := stats.Compare(c.older, c.newer, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.o, err, c.want)
		}
	}
}

// Blocks that all say the same leave no doubt, but also no more than their number can say.
func TestCompareOfBlocksWithoutNoise(t *testing.T) {
	var older, newer [][]float64
	for range 6 {
		older, newer = append(older, []float64{2, 2}), append(newer, []float64{3, 3, 3})
	}
	c, err := stats.Compare(older, newer, stats.Options{})
	if err != nil || !near(c.Ratio.Low, 1.5) || !near(c.Ratio.High, 1.5) || c.MDE != 1 || c.P != 2.0/64 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = stats.Compare(older, older, stats.Options{}); err != nil || c.P != 1 || c.Ratio.Point != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
