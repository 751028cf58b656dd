package digest_test

import (
	"math"
	"slices"
	"testing"

	"cellwall/reports/digest"
	"cellwall/reports/record"
)

// spread is a histogram of n latencies that rise evenly up to a most, in ns.
func spread(n int, most int64) record.Histogram {
	h := record.Histogram{Unit: "ns", Digits: 3}
	for i := range int64(n) {
		h.Counts = append(h.Counts, [2]int64{1 + i*most/int64(n), 1})
	}
	return h
}

// felt is a cell whose blocks have latencies up to a most, beside the antagonist factor times as long.
func felt(victim, antagonist, resource, setting string, limited bool, n int, factors ...float64) record.Interference {
	i := record.Interference{Victim: victim, Antagonist: antagonist, Resource: resource, Setting: setting, Limited: limited}
	for b, f := range factors {
		most := int64(1_000_000 * (10 + b)) // a drift that hits both sides
		i.Blocks = append(i.Blocks, record.Duel{
			Alone:  record.Side{Latencies: spread(n, most)},
			Beside: record.Side{Latencies: spread(n, int64(f*float64(most)))},
		})
	}
	return i
}

func cells(t *testing.T, all ...record.Interference) []digest.Cell {
	t.Helper()
	c, err := digest.Cells(all)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func near(a, b float64) bool { return math.Abs(a-b) <= 0.003*b } // three digits of the histogram, twice

func TestACellsRatioIsThatOfItsBlocks(t *testing.T) {
	c := cells(t, felt("request", "cpu", "cpu", "namespaces", false, 1000, 3, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6))[0]
	var names []string
	for _, q := range c.Quantiles {
		names = append(names, q.Name)
		if q.Ratio == nil || !near(q.Ratio.Point, 3.3) || q.Ratio.Low < 2.99 || q.Ratio.Low > 3.11 || q.Ratio.High < 3.49 || q.Ratio.High > 3.61 || q.Ratio.Confidence < digest.Confidence {
			t.Errorf("%s: %+v, want 3.3 from 3.0 to 3.6", q.Name, q.Ratio)
		}
	}
	if !slices.Equal(names, digest.QuantileNames()) {
		t.Errorf("quantiles %v", names)
	}
	if q := c.Quantile("p50"); !near(q.Alone, 0.0065) || !near(q.Beside, 3.3*0.0065) { // block 3 of 10 to 16 ms
		t.Errorf("alone %g s, beside %g s", q.Alone, q.Beside)
	}
	if c.Quantile("p1") != nil {
		t.Error("a quantile that nobody has")
	}
}

func TestTooFewForAQuantile(t *testing.T) {
	six := []float64{2, 2, 2, 2, 2, 2}
	for _, c := range []struct {
		n       int
		factors []float64
		want    []bool // of p50, p99, p99.9
	}{
		{1000, six, []bool{true, true, true}},
		{999, six, []bool{true, true, false}},
		{100, six, []bool{true, true, false}},
		{99, six, []bool{true, false, false}},
		{1, six, []bool{false, false, false}},
		{1000, six[:5], []bool{false, false, false}}, // no interval of five blocks has 95 %
	} {
		cell := cells(t, felt("v", "a", "cpu", "limits", true, c.n, c.factors...))[0]
		for i, q := range cell.Quantiles {
			if (q.Ratio != nil) != c.want[i] || (q.Few == "") != c.want[i] {
				t.Errorf("%d latencies in each of %d blocks: %s has %+v, %q", c.n, len(c.factors), q.Name, q.Ratio, q.Few)
			}
		}
	}
}

func TestFeelings(t *testing.T) {
	for _, c := range []struct {
		factors []float64
		want    digest.Feeling
	}{
		{[]float64{3, 3, 3, 3, 3, 3}, digest.Hurt},
		{[]float64{3, 3, 3, 3, 3, 1.9}, digest.Between}, // the interval of six is all of them
		{[]float64{1, 1.1, 1.2, 0.9, 1, 1}, digest.Held},
		{[]float64{1, 1.1, 1.4, 0.9, 1, 1}, digest.Between},
		{[]float64{1.6, 1.6, 1.6, 1.6, 1.6, 1.6}, digest.Between},
		{[]float64{3, 3}, digest.Unknown},
	} {
		cell := cells(t, felt("v", "a", "cpu", "limits", true, 100, c.factors...))[0]
		if got := cell.Feeling("p99"); got != c.want {
			t.Errorf("%v: %s, want %s", c.factors, got, c.want)
		}
	}
	lacking := record.Interference{Victim: "v", Antagonist: "a", Setting: "limits", Unsupported: "no"}
	if c := cells(t, lacking)[0]; c.Feeling("p99") != digest.Unknown || len(c.Quantiles) != 0 {
		t.Errorf("unsupported: %+v", c)
	}
}

func TestFindings(t *testing.T) {
	hurt, held, mild := []float64{5, 5, 5, 5, 5, 5}, []float64{1, 1, 1, 1, 1, 1}, []float64{1.5, 1.5, 1.5, 1.5, 1.5, 1.5}
	worse := []float64{50, 50, 50, 50, 50, 50}
	got := digest.Findings(cells(t,
		felt("cpu", "spin", "cpu", "namespaces", false, 100, worse...), // hurt most, and nothing holds it
		felt("cpu", "spin", "cpu", "limits", true, 100, mild...),
		felt("cpu", "spin", "cpu", "limits+weight", true, 100, hurt...),
		felt("request", "spin", "cpu", "namespaces", false, 100, hurt...),
		felt("request", "spin", "cpu", "limits", true, 100, held...),
		felt("request", "spin", "cpu", "limits+cpuset", true, 100, held...),
		felt("request", "hog", "memory", "namespaces", false, 100, mild...),
		felt("request", "hog", "memory", "limits", true, 100, hurt...),
		felt("fsync", "write", "disk", "namespaces", false, 100, hurt...),
		felt("fsync", "write", "disk", "limits", true, 100, worse...),
		felt("fsync", "write", "disk", "limits+io", true, 100, mild...),
		felt("echo", "send", "network", "namespaces", false, 100, hurt...),
		felt("echo", "churn", "inodes", "limits", true, 100, hurt...),
		felt("echo", "other", "network", "limits", true, 100, held...), // another antagonist
	), "p99")
	if len(got) != 5 {
		t.Fatalf("%d findings", len(got))
	}
	if f := got[0]; f.Hurt == nil || f.Hurt.Victim != "request" || f.Held == nil || f.Held.Setting != "limits" {
		t.Errorf("cpu: %+v, want what is held before what is hurt most, by the first that holds it", f)
	}
	if f := got[1]; f.Resource != "memory" || !f.Tried || f.Hurt != nil || f.Held != nil {
		t.Errorf("memory: %+v", f)
	}
	if f := got[2]; f.Hurt == nil || f.Held != nil || f.Best == nil || f.Best.Setting != "limits+io" {
		t.Errorf("disk: %+v", f)
	}
	if f := got[3]; f.Hurt == nil || f.Held != nil || f.Best != nil {
		t.Errorf("network: %+v", f)
	}
	if f := got[4]; f.Tried || f.Hurt != nil {
		t.Errorf("inodes: %+v", f)
	}
}

// TestAFindingMayBeInAnotherQuantile: the first counts, unless only a later one is held.
func TestAFindingMayBeInAnotherQuantile(t *testing.T) {
	hurt, mild := []float64{5, 5, 5, 5, 5, 5}, []float64{1.5, 1.5, 1.5, 1.5, 1.5, 1.5}
	slow := felt("fsync", "write", "disk", "namespaces", false, 100, hurt...)
	fast := felt("fsync", "write", "disk", "limits", true, 100, []float64{1, 1, 1, 1, 1, 1}...)
	if f := digest.Findings(cells(t, slow, fast), "p99", "p50")[0]; f.Quantile != "p99" || f.Held == nil {
		t.Errorf("held in both: %+v", f)
	}
	// Its last latencies are ten times as long as they should be.
	for i := range fast.Blocks {
		counts := fast.Blocks[i].Beside.Latencies.Counts
		for k := 95; k < 100; k++ {
			counts[k][0] *= 10
		}
	}
	if f := digest.Findings(cells(t, slow, fast), "p99", "p50")[0]; f.Quantile != "p50" || f.Held == nil {
		t.Errorf("held in the median only: %+v", f)
	}
	if f := digest.Findings(cells(t, slow, fast), "p99")[0]; f.Quantile != "p99" || f.Held != nil || f.Best == nil {
		t.Errorf("asked for one quantile: %+v", f)
	}
	slow = felt("fsync", "write", "disk", "namespaces", false, 100, mild...)
	if f := digest.Findings(cells(t, slow, fast), "p99", "p50")[0]; f.Quantile != "" || !f.Tried || f.Hurt != nil {
		t.Errorf("nobody is hurt: %+v", f)
	}
}

func TestUnserved(t *testing.T) {
	i := felt("v", "a", "cpu", "limits", true, 10, 1, 1)
	i.Blocks[0].Beside.Unserved, i.Blocks[1].Beside.Unserved, i.Blocks[1].Alone.Unserved = 2, 3, 100
	if n := cells(t, i)[0].Unserved(); n != 5 {
		t.Errorf("%d, want 5", n)
	}
}

func TestAHistogramOfAnotherKindIsRefused(t *testing.T) {
	i := felt("v", "a", "cpu", "limits", true, 10, 1)
	i.Blocks[0].Beside.Latencies.Unit = "us"
	if _, err := digest.Cells([]record.Interference{i}); err == nil {
		t.Error("a histogram in us is taken for one in ns")
	}
}
