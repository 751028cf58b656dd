package digest

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Cell is what one victim felt of one antagonist under one setting.
type Cell struct {
	*record.Interference
	// Quantiles are in the order of Quantiles(); none where it is unsupported.
	Quantiles []Quantile
}

// Quantile is one quantile of the victim's latencies.
type Quantile struct {
	Name string  // "p99"
	Q    float64 // 0.99
	// Alone and Beside are the medians over the blocks, in seconds.
	Alone, Beside float64
	// Ratio is beside over alone: the median of the blocks' ratios with its interval. Nil where it cannot
	// be had, for the reason in Few.
	Ratio *stats.Interval
	Few   string
}

// QuantileNames are those of a cell's quantiles, in their order.
func QuantileNames() []string { return []string{"p50", "p99", "p99.9"} }

// quantiles are beside QuantileNames.
func quantiles() []float64 { return []float64{0.5, 0.99, 0.999} }

// Cells digests the interferences of a run.
func Cells(all []record.Interference) ([]Cell, error) {
	var cells []Cell
	for n := range all {
		c := Cell{Interference: &all[n]}
		if c.Unsupported == "" {
			alone, beside, err := c.histograms()
			if err != nil {
				return nil, fmt.Errorf("%s with %s at %s: %w", c.Antagonist, c.Victim, c.Setting, err)
			}
			for i, q := range quantiles() {
				quantile, err := quantileOf(QuantileNames()[i], q, alone, beside)
				if err != nil {
					return nil, fmt.Errorf("%s with %s at %s: %w", c.Antagonist, c.Victim, c.Setting, err)
				}
				c.Quantiles = append(c.Quantiles, quantile)
			}
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// histograms are those of the blocks.
func (c *Cell) histograms() (alone, beside []*stats.Histogram, err error) {
	for i := range c.Blocks {
		for _, s := range []struct {
			from *record.Histogram
			to   *[]*stats.Histogram
		}{{&c.Blocks[i].Alone.Latencies, &alone}, {&c.Blocks[i].Beside.Latencies, &beside}} {
			text, err := json.Marshal(s.from)
			if err != nil {
				return nil, nil, fmt.Errorf("read histogram: %w", err)
			}
			h := &stats.Histogram{}
			if err := json.Unmarshal(text, h); err != nil {
				return nil, nil, err
			}
			*s.to = append(*s.to, h)
		}
	}
	return alone, beside, nil
}

// quantileOf compares a quantile of the blocks. The blocks, not the latencies, are what is independent: a
// stall makes many latencies in a row long.
func quantileOf(name string, q float64, alone, beside []*stats.Histogram) (Quantile, error) {
	r := Quantile{Name: name, Q: q}
	need := int64(math.Ceil(1 / (1 - q) * (1 - 1e-9))) // for which one lies beyond it
	var older, newer [][]float64
	for i := range alone {
		var pair [2]float64
		for k, h := range []*stats.Histogram{alone[i], beside[i]} {
			if n := h.Count(); n < need && r.Few == "" {
				r.Few = fmt.Sprintf("a block has %d latencies of a side, %s needs %d", n, name, need)
			}
			d, err := h.Quantile(q)
			if err != nil {
				return r, err
			}
			pair[k] = max(d.Seconds(), 1e-9) // no clock tells less
		}
		older, newer = append(older, pair[:1:1]), append(newer, pair[1:])
	}
	r.Alone, r.Beside = middleOf(older), middleOf(newer)
	if r.Few != "" {
		return r, nil
	}
	c, err := stats.Compare(older, newer, stats.Options{Confidence: Confidence})
	if err != nil {
		r.Few = err.Error()
		return r, nil //nolint:nilerr // documented
	}
	r.Ratio = &c.Ratio
	return r, nil
}

// middleOf is the median of blocks of one value each.
func middleOf(blocks [][]float64) float64 {
	var x []float64
	for _, b := range blocks {
		x = append(x, b[0])
	}
	slices.Sort(x)
	n := len(x)
	return (x[(n-1)/2] + x[n/2]) / 2
}

// What counts as hurt, and as held.
const (
	HurtFrom  = 2.0
	HeldBelow = 1.3
)

// Feeling is what a ratio says.
type Feeling string

// What a ratio can say.
const (
	Hurt    Feeling = "hurt"    // more than HurtFrom, all of the interval
	Held    Feeling = "held"    // less than HeldBelow, all of the interval
	Between Feeling = "between" // neither, or the interval is too wide to tell
	Unknown Feeling = "unknown" // there is no ratio
)

// Feeling says what the cell shows of a quantile, by its name.
func (c *Cell) Feeling(quantile string) Feeling {
	q := c.Quantile(quantile)
	switch {
	case q == nil || q.Ratio == nil:
		return Unknown
	case q.Ratio.Low > HurtFrom:
		return Hurt
	case q.Ratio.High < HeldBelow:
		return Held
	}
	return Between
}

// Quantile is one of the cell's by its name; nil if it has none.
func (c *Cell) Quantile(name string) *Quantile {
	for i := range c.Quantiles {
		if c.Quantiles[i].Name == name {
			return &c.Quantiles[i]
		}
	}
	return nil
}

// Finding is the answer for one resource: a victim that an antagonist hurts where it has no limits, and
// what holds it.
type Finding struct {
	Resource string
	// Quantile is that in which it shows; empty where nobody is hurt.
	Quantile string
	// Tried reports whether anybody was measured without limits.
	Tried bool
	// Hurt is the cell without limits; nil where no antagonist hurts any victim.
	Hurt *Cell
	// Held is the same pair under limits that hold it; nil where none does. Then Best is the nearest to it.
	Held, Best *Cell
}

// Findings gives an answer for each resource, in their order of the records: in the first of the quantiles
// in which a pair is hurt and held, else the first in which one is hurt. Of several pairs it is one that is
// held, and of those the one that is hurt most.
func Findings(cells []Cell, quantiles ...string) []Finding {
	var all []Finding
	for i := range cells {
		if r := cells[i].Resource; !slices.ContainsFunc(all, func(f Finding) bool { return f.Resource == r }) {
			best := Finding{Resource: r}
			for _, q := range quantiles {
				best.take(cells, q)
			}
			all = append(all, best)
		}
	}
	return all
}

// take looks for a pair that says more than what the finding has.
func (f *Finding) take(cells []Cell, quantile string) {
	for i := range cells {
		c := &cells[i]
		if c.Resource != f.Resource || c.Limited {
			continue
		}
		feels := c.Feeling(quantile)
		f.Tried = f.Tried || feels != Unknown
		if feels != Hurt {
			continue
		}
		found := Finding{Resource: f.Resource, Quantile: quantile, Tried: true, Hurt: c}
		for k := range cells {
			other := &cells[k]
			q := other.Quantile(quantile)
			if !other.Limited || other.Victim != c.Victim || other.Antagonist != c.Antagonist || q == nil || q.Ratio == nil {
				continue
			}
			if found.Best == nil || q.Ratio.High < found.Best.Quantile(quantile).Ratio.High {
				found.Best = other
			}
			if found.Held == nil && other.Feeling(quantile) == Held {
				found.Held = other // the first is the least that does
			}
		}
		if found.better(*f) {
			*f = found
		}
	}
}

// better reports whether a finding says more than another.
func (f Finding) better(than Finding) bool {
	switch {
	case than.Hurt == nil:
		return true
	case (f.Held != nil) != (than.Held != nil):
		return f.Held != nil
	case f.Quantile != than.Quantile:
		return false // the one that came first
	}
	return f.Hurt.Quantile(f.Quantile).Ratio.Point > than.Hurt.Quantile(f.Quantile).Ratio.Point
}

// Unserved is how many of the victim's operations beside the antagonist were not begun in time.
func (c *Cell) Unserved() (n int) {
	for i := range c.Blocks {
		n += c.Blocks[i].Beside.Unserved
	}
	return n
}
