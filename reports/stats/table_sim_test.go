package stats_test

import (
	"math/rand/v2"
	"testing"

	"cellwall/reports/stats"
)

// What a table of benchmarks takes: 30 benchmarks on 2 runtimes, each an interleaved run of 30
// blocks with 8 samples of either version.
const (
	tableRows   = 60
	tableBlocks = 30
	tableEach   = 8
	tableShare  = 0.05 // q of Benjamini & Hochberg
	tableAlpha  = 0.05 // of the fresh run that has to confirm
)

// alarms measures a table once. What Benjamini & Hochberg reject gets one fresh run of the same
// size; it is an alarm where that says the same at tableAlpha. The first planted rows of the new
// version take ratio times as long.
func alarms(tb testing.TB, n noise, r *rand.Rand, planted int, ratio float64) (row []bool) {
	tb.Helper()
	run := func(row int) stats.Comparison {
		by := 1.0
		if row < planted {
			by = ratio
		}
		older, newer := interleave(n.draw(r, tableBlocks*2*tableEach), tableBlocks, tableEach, by)
		c, err := stats.Compare(older, newer, stats.Options{})
		if err != nil {
			tb.Fatal(err)
		}
		return c
	}
	first, p := make([]stats.Comparison, tableRows), make([]float64, tableRows)
	for i := range first {
		first[i] = run(i)
		p[i] = first[i].P
	}
	rejected, _, err := stats.BenjaminiHochberg(p, tableShare)
	if err != nil {
		tb.Fatal(err)
	}
	for i, r := range rejected {
		if r {
			again := run(i)
			rejected[i] = again.P <= tableAlpha && again.Ratio.Point > 1 == (first[i].Ratio.Point > 1)
		}
	}
	return rejected
}

// tables counts the tables with a false alarm, and the planted rows that were found.
func tables(tb testing.TB, n noise, planted int, ratio float64, count int) (falseTables, found float64) {
	tb.Helper()
	r := rand.New(rand.NewPCG(8, uint64(planted)))
	for range count {
		wrong := false
		for i, alarm := range alarms(tb, n, r, planted, ratio) {
			if i < planted {
				found += one(alarm) / float64(count*planted)
			} else {
				wrong = wrong || alarm
			}
		}
		falseTables += one(wrong) / float64(count)
	}
	return falseTables, found
}

// BenchmarkTable: go test -run '^$' -bench Table -benchtime 300x -timeout 1h ./reports/stats.
func BenchmarkTable(b *testing.B) {
	for _, n := range noises(b) {
		b.Run(n.name+"/nothing", func(b *testing.B) {
			wrong, _ := tables(b, n, 0, 1, b.N)
			b.ReportMetric(wrong, "tables-with-false-alarm")
		})
		b.Run(n.name+"/one-is-5%-slower", func(b *testing.B) {
			wrong, found := tables(b, n, 1, 1.05, b.N)
			b.ReportMetric(wrong, "tables-with-false-alarm")
			b.ReportMetric(found, "found")
		})
	}
}
