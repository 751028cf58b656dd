package stats

import (
	"errors"
	"fmt"
	"math"
)

// ChangeOptions say how sure ChangePoints has to be. Zero values mean the defaults.
type ChangeOptions struct {
	Confidence float64 // of the intervals, 0.95
	// FalseRate is how many false change points 100 runs without a change may have at most, 0.02, where
	// the noise is an AR(1). docs/statistics.md says how many there were, and with other noise.
	FalseRate float64
	MinRuns   int // between two changes, 5
}

// The limits of the options: three runs tell nothing of their autocorrelation, the permutations are
// of 512 runs at most, and their time grows as the inverse of the rate.
const (
	fewestRuns = 4
	mostRuns   = longest / 5
	leastRate  = 0.001
)

// ChangePoint is a change of the level of a series that stays.
type ChangePoint struct {
	At    int      `json:"at"`   // the first run after it, from 0: the middle of the five likeliest
	Low   int      `json:"low"`  // the first run that At may be
	High  int      `json:"high"` // the last one
	Shift Interval `json:"shift"`
	// P is the p of the permutation test on the interval of the series that showed the change. It
	// is one of many tests: FalseRate says what they amount to.
	P float64 `json:"p"`
}

// ChangePoints finds where the level of a series changed, such as the log ratio of each run to its
// interleaved control, oldest first. See Detector.
func ChangePoints(series []float64, o ChangeOptions) ([]ChangePoint, error) {
	d, err := NewDetector(o)
	if err != nil {
		return nil, err
	}
	return d.Find(series)
}

// Detector finds change points in many series: it keeps the permutation tests, which depend on
// the length of a series only. It is safe for concurrent use.
type Detector struct {
	o     ChangeOptions
	nulls *nulls
}

// NewDetector returns a Detector with these options.
func NewDetector(o ChangeOptions) (*Detector, error) {
	if o.Confidence == 0 {
		o.Confidence = 0.95
	}
	if o.FalseRate == 0 {
		o.FalseRate = 0.02
	}
	if o.MinRuns == 0 {
		o.MinRuns = 5
	}
	if err := errors.Join(inside("confidence", o.Confidence), inside("false rate", o.FalseRate)); err != nil {
		return nil, fmt.Errorf("change points: %w", err)
	}
	if need := max(eachForU(o.Confidence), fewestRuns); o.MinRuns < need || o.MinRuns > mostRuns {
		return nil, fmt.Errorf("change points with confidence %g: %d runs between two changes, from %d to %d are possible", o.Confidence, o.MinRuns, need, mostRuns)
	}
	if o.FalseRate < leastRate {
		return nil, fmt.Errorf("change points with false rate %g: the permutations for less than %g take too long", o.FalseRate, leastRate)
	}
	return &Detector{o: o, nulls: &nulls{edge: o.MinRuns, made: map[int]*null{}}}, nil
}

// At returns a Detector of another FalseRate that shares the permutation tests.
func (d *Detector) At(rate float64) (*Detector, error) {
	o := d.o
	o.FalseRate = rate
	other, err := NewDetector(o)
	if err == nil {
		other.nulls = d.nulls
	}
	return other, err
}

// Find returns the change points of a series, in order. It is E-divisive on ranks (Matteson &
// James 2014) with a permutation test that keeps the autocorrelation:
//
//   - what each value foretells of the next is taken away (an AR(1) that steps do not disturb),
//   - seeded intervals of all lengths are split where the ranks on both sides differ the most, and
//     tested against permutations,
//   - of those that fall apart the narrowest are kept,
//   - each change is placed by likelihood between its neighbours, and the shift there is that of
//     Hodges and Lehmann, with an interval that is wider by what the autocorrelation takes.
//
// It takes O(n log² n). It fails for fewer than 4*MinRuns values and for one that is not finite.
func (d *Detector) Find(series []float64) ([]ChangePoint, error) {
	n, shortest := len(series), 4*d.o.MinRuns
	if n < shortest {
		return nil, fmt.Errorf("change points: %d runs, at least %d are needed", n, shortest)
	}
	for i, v := range series {
		if math.IsNaN(v) || math.Abs(v) > 1e100 {
			return nil, fmt.Errorf("change points: run %d is %g, not a finite number below 1e100", i, v)
		}
	}
	e := whiten(series, autocorrelation(series))
	picked := narrowest(d.nulls.intervals(e, shortest, d.o.FalseRate))
	cuts := []int{0}
	for _, s := range picked {
		cuts = append(cuts, s.at+1) // e[i] belongs to series[i+1]
	}
	cuts = append(cuts, n)
	phi, _ := phiOf(series, cuts...)
	phi = min(max(phi, 0), maxPhi)
	points := make([]ChangePoint, 0, len(picked))
	for i, s := range picked {
		from, to := cuts[i], cuts[i+2]
		c := ChangePoint{P: s.p}
		c.At, c.Low, c.High = step{x: series[from:to], at: cuts[i+1] - from, edge: d.o.MinRuns, phi: phi}.locate(d.o.Confidence)
		c.At, c.Low, c.High = c.At+from, c.Low+from, c.High+from
		cuts[i+1] = c.At
		points = append(points, c)
	}
	for i := range points {
		shift, err := Shift(series[cuts[i]:cuts[i+1]], series[cuts[i+1]:cuts[i+2]], d.o.Confidence)
		if err != nil {
			return nil, fmt.Errorf("change point at run %d: %w", points[i].At, err)
		}
		points[i].Shift = shift.wider(math.Sqrt((1 + phi) / (1 - phi)))
	}
	return points, nil
}

// wider stretches the interval about its point: n values with the autocorrelation phi tell as
// much as n*(1-phi)/(1+phi) independent ones.
func (i Interval) wider(by float64) Interval {
	i.Low, i.High = i.Point-(i.Point-i.Low)*by, i.Point+(i.High-i.Point)*by
	return i
}
