package stats_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"cellwall/reports/stats"
)

// recording is what testdata/fork-exec-true.txt holds: 20,000 times in the order in which they
// were measured, with their autocorrelation (0.66 at lag 1, 0.2 at lag 100), two modes and drift.
func recording(tb testing.TB) []float64 {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "fork-exec-true.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n")
	var x []float64
	for f := range strings.FieldsSeq(text) {
		v, err := strconv.ParseFloat(f, 64)
		if err != nil {
			tb.Fatal(err)
		}
		x = append(x, v)
	}
	return x
}

// noise gives n positive times in the order in which they would be measured.
type noise struct {
	name string
	draw func(r *rand.Rand, n int) []float64
}

func noises(tb testing.TB) []noise {
	real := recording(tb)
	exp := func(x []float64, by float64) []float64 {
		for i := range x {
			x[i] = math.Exp(by * x[i])
		}
		return x
	}
	return []noise{
		{name: "lognormal", draw: func(r *rand.Rand, n int) []float64 { return exp(ar(n, 0, r.NormFloat64), 0.1) }},
		{name: "ar0.6-t3", draw: func(r *rand.Rand, n int) []float64 {
			return exp(ar(n, 0.6, func() float64 { return student(r) }), 0.1)
		}},
		{name: "ar0.6-t3-drift", draw: func(r *rand.Rand, n int) []float64 {
			x := ar(n, 0.6, func() float64 { return student(r) })
			walk := 0.0
			for i := range x { // doubles from begin to end, and wanders
				walk += 0.2 * r.NormFloat64()
				x[i] += walk + 10*math.Ln2*float64(i)/float64(n)
			}
			return exp(x, 0.1)
		}},
		{name: "recorded", draw: func(r *rand.Rand, n int) []float64 {
			from := r.IntN(len(real) - n)
			return slices.Clone(real[from : from+n])
		}},
	}
}

// interleave deals out times as an interleaved run of two versions measures them: blocks of
// ABBA... with each samples of either. The new version takes ratio times as long.
func interleave(x []float64, blocks, each int, ratio float64) (older, newer [][]float64) {
	for b := range blocks {
		var a, c []float64
		for i, v := range x[b*2*each : (b+1)*2*each] {
			if i%4 == 0 || i%4 == 3 {
				a = append(a, v)
			} else {
				c = append(c, v*ratio)
			}
		}
		older, newer = append(older, a), append(newer, c)
	}
	return older, newer
}

// bootstrap is the rival of the signed rank interval: the percentile interval of the median or
// mean of blocks that are drawn again.
func bootstrap(r *rand.Rand, ratios []float64, of func([]float64) float64) (low, high float64) {
	const times = 400
	estimates := make([]float64, times)
	again := make([]float64, len(ratios))
	for i := range estimates {
		for k := range again {
			again[k] = ratios[r.IntN(len(ratios))]
		}
		estimates[i] = of(again)
	}
	slices.Sort(estimates)
	return estimates[times/40], estimates[times-1-times/40]
}

func meanOf(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}

func medianOf(x []float64) float64 {
	s := slices.Clone(x)
	slices.Sort(s)
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// medianRatio is the median of the ratios of all pairs.
func medianRatio(a, c []float64) float64 {
	var all []float64
	for _, v := range a {
		for _, w := range c {
			all = append(all, w/v)
		}
	}
	return medianOf(all)
}

// BenchmarkCoverage: go test -run '^$' -bench Coverage -benchtime 2000x ./reports/stats.
func BenchmarkCoverage(b *testing.B) {
	for _, noise := range noises(b) {
		for _, blocks := range []int{10, 20, 50} {
			const each, ratio = 8, 1.05
			b.Run(fmt.Sprintf("%s/blocks=%d", noise.name, blocks), func(b *testing.B) {
				r := rand.New(rand.NewPCG(5, uint64(blocks)))
				var signed, mean, median, width, widthMean, reached float64
				for range b.N {
					older, newer := interleave(noise.draw(r, blocks*2*each), blocks, each, ratio)
					c, err := stats.Compare(older, newer, stats.Options{})
					if err != nil {
						b.Fatal(err)
					}
					holds := func(low, high float64) float64 { return one(low <= ratio && ratio <= high) }
					signed += holds(c.Ratio.Low, c.Ratio.High)
					reached = c.Ratio.Confidence
					width += c.Ratio.High - c.Ratio.Low
					var ratios []float64
					for k := range older {
						ratios = append(ratios, medianRatio(older[k], newer[k]))
					}
					low, high := bootstrap(r, ratios, meanOf)
					mean += holds(low, high)
					widthMean += high - low
					low, high = bootstrap(r, ratios, medianOf)
					median += holds(low, high)
				}
				n := float64(b.N)
				b.ReportMetric(reached, "promised")
				b.ReportMetric(signed/n, "signed-rank")
				b.ReportMetric(mean/n, "bootstrap-mean")
				b.ReportMetric(median/n, "bootstrap-median")
				b.ReportMetric(100*width/n, "width%")
				b.ReportMetric(100*widthMean/n, "width-bootstrap-mean%")
			})
		}
	}
}

// BenchmarkMDE plants what one run says it would have found into another one like it.
// go test -run '^$' -bench MDE -benchtime 2000x ./reports/stats.
func BenchmarkMDE(b *testing.B) {
	for _, noise := range noises(b) {
		for _, o := range []stats.Options{{}, {Power: 0.95}, {Alpha: 0.001, Power: 0.9}} {
			for _, blocks := range []int{12, 20, 50} {
				b.Run(fmt.Sprintf("%s/blocks=%d/alpha=%g/power=%g", noise.name, blocks, max(o.Alpha, 0.05*one(o.Alpha == 0)), max(o.Power, 0.8)), func(b *testing.B) {
					found, mde := powerOfMDE(b, noise, blocks, o, b.N)
					b.ReportMetric(found, "found")
					b.ReportMetric(100*(mde-1), "mde%")
				})
			}
		}
	}
}

func powerOfMDE(tb testing.TB, noise noise, blocks int, o stats.Options, count int) (found, mde float64) {
	tb.Helper()
	const each = 8
	r := rand.New(rand.NewPCG(6, uint64(blocks)))
	run := func(ratio float64) stats.Comparison {
		older, newer := interleave(noise.draw(r, blocks*2*each), blocks, each, ratio)
		c, err := stats.Compare(older, newer, o)
		if err != nil {
			tb.Fatal(err)
		}
		return c
	}
	alpha := o.Alpha
	if alpha == 0 {
		alpha = 0.05
	}
	for range count {
		could := run(1).MDE
		mde += could / float64(count)
		found += one(run(could).P <= alpha) / float64(count)
	}
	return found, mde
}
