package history

import (
	"fmt"
	"math"
	"slices"
	"time"

	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Confidence is that of every interval, and Share the largest share of false alarms among the changes that
// are found, by Benjamini and Hochberg over all series.
const (
	Confidence = 0.95
	Share      = 0.05
)

// LookBack is how many runs of a series are looked at where the newest are asked for: more would tell little of
// what has changed lately, and the permutation tests take their time.
const LookBack = 400

// Newest is how many runs the newest are, where nobody says from when on changes are asked for.
const Newest = 30

// window is how many runs are looked at where changes among so many of the newest are asked for.
func window(asked int) int { return max(asked-Newest, 0) + LookBack }

// MinRuns is how many runs a series needs for any change to be found: four times the runs that the detector
// wants between two changes.
const (
	MinRuns = 4 * between
	between = 5
)

// rates are how many false changes 100 runs of a series may have, from the most. Each costs more time than the
// one before.
func rates() []float64 { return []float64{0.02, 0.005, 0.002, 0.001} }

// Change is a change of a series' level that stays.
type Change struct {
	*Series
	At        int // the first point after it, most likely
	Low, High int // the first point after it is one of these
	// Ratio is the level after over the one before.
	Ratio stats.Interval
	// P is the probability of such a change among the runs that were asked for where there is none, as far as
	// that was looked into, and Adjusted the same by Benjamini and Hochberg over all series.
	P, Adjusted float64
	// settled says that it was not found at the last rate that was tried.
	settled bool
	// Ack is why a person says that it is known; nil where nobody does.
	Ack *Ack
}

// Found reports whether the change stands among all series.
func (c *Change) Found() bool { return c.Adjusted <= Share }

// Worse reports whether the level has become the worse one.
func (c *Change) Worse() bool {
	switch c.Better {
	case record.Higher:
		return c.Ratio.Point < 1
	case record.One:
		return math.Abs(c.level(c.At, len(c.Points))-1) > math.Abs(c.level(0, c.At)-1)
	}
	return c.Ratio.Point > 1
}

// level is the median of some points.
func (s *Series) level(from, to int) float64 {
	var x []float64
	for _, p := range s.Points[from:to] {
		x = append(x, p.Median)
	}
	return median(x)
}

// Changes finds the changes of series since a time, in the order of the series. Those that do not stand among all
// series are there too: see Found.
func Changes(series []*Series, since time.Time) ([]*Change, error) {
	by := make([][]*Change, len(series))
	shared, err := detector()
	if err != nil {
		return nil, err
	}
	for _, rate := range rates() {
		d, err := shared.At(rate)
		if err != nil {
			return nil, err
		}
		if err := refine(series, rate, by, func(s *Series) ([]*Change, error) {
			from := s.from(since)
			asked := len(s.Points) - from
			return s.changes(d, from, window(asked), min(1, rate*float64(asked)/100))
		}); err != nil {
			return nil, err
		}
		if err := adjust(by); err != nil {
			return nil, err
		}
	}
	return slices.Concat(by...), nil
}

// Points finds the change points of each series alone, as a chart shows them: a series in which nothing changes
// has two in 100 runs at most. They are those of the newest LookBack runs, and have no p.
func Points(series []*Series) ([]*Change, error) {
	by := make([][]*Change, len(series))
	d, err := detector()
	if err != nil {
		return nil, err
	}
	err = refine(series, rates()[0], by, func(s *Series) ([]*Change, error) {
		return s.changes(d, max(len(s.Points)-LookBack, 0), LookBack, 0)
	})
	return slices.Concat(by...), err
}

// detector is one at the first of the rates.
func detector() (*stats.Detector, error) {
	return stats.NewDetector(stats.ChangeOptions{Confidence: Confidence, FalseRate: rates()[0], MinRuns: between})
}

// open reports whether a change could still come to stand at a lower rate.
func open(c *Change) bool { return !c.settled && !c.Found() }

// refine looks for changes at a rate: in all series at the first, and then where something was found that does
// not stand yet. What is found again is the less likely to be false.
func refine(series []*Series, rate float64, by [][]*Change, find func(*Series) ([]*Change, error)) error {
	first := rate == rates()[0]
	if !first && !slices.ContainsFunc(slices.Concat(by...), open) {
		return nil
	}
	errs := make([]error, len(series))
	each(len(series), nil, func(i int) {
		if !first && !slices.ContainsFunc(by[i], open) {
			return
		}
		found, err := find(series[i])
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("benchmark %.40q: %w", series[i].Benchmark, err)
		case first:
			by[i] = found
		default:
			for _, c := range by[i] {
				if at := slices.IndexFunc(found, c.same); at >= 0 {
					c.P = found[at].P
				} else {
					c.settled = true
				}
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// same reports whether two changes can be one.
func (c *Change) same(o *Change) bool { return c.Low <= o.High && o.Low <= c.High }

// changes finds the changes from a point on by the newest so many points. p is that of each.
func (s *Series) changes(d *stats.Detector, from, newest int, p float64) ([]*Change, error) {
	n := min(len(s.Points), newest)
	// A round number, so that series of nearly one length share the permutation tests of the detector.
	const round = 10
	n -= n % round
	if n < MinRuns || from >= len(s.Points) {
		return nil, nil
	}
	start := len(s.Points) - n
	x := make([]float64, n)
	for i, point := range s.Points[start:] {
		x[i] = point.Log
	}
	points, err := d.Find(x)
	if err != nil {
		return nil, err
	}
	var found []*Change
	for _, c := range points {
		if c.At+start < from {
			continue
		}
		found = append(found, &Change{
			Series: s, At: c.At + start, Low: c.Low + start, High: min(c.High+start, len(s.Points)-1), P: p,
			Ratio: stats.Interval{Point: math.Exp(c.Shift.Point), Low: math.Exp(c.Shift.Low), High: math.Exp(c.Shift.High), Confidence: c.Shift.Confidence},
		})
	}
	return found, nil
}

// adjust takes into account that there are many series.
func adjust(by [][]*Change) error {
	all := slices.Concat(by...)
	var p []float64
	for _, c := range all {
		p = append(p, c.P)
	}
	for _, found := range by {
		if len(found) == 0 {
			p = append(p, 1)
		}
	}
	_, adjusted, err := stats.BenjaminiHochberg(p, Share)
	if err != nil {
		return err
	}
	for i, c := range all {
		c.Adjusted = adjusted[i]
	}
	return nil
}
