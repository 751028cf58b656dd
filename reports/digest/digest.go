// Package digest turns the samples of a run into the numbers that tables show and decisions rest on.
//
// It knows no terminal and prints nothing. The statistics are those of package stats.
package digest

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Confidence is that of every interval.
const Confidence = 0.95

// Row is one benchmark of a run.
type Row struct {
	record.Measured
	// Lines are the subjects in their order and then the control, where there is one.
	Lines []Line
	// Finds is the smallest change that the run could have found here, as a share: 0.03 is 3 %. It is the
	// worst over the subjects; +Inf where there are too few blocks for any.
	Finds float64
}

// Line is what a subject has shown.
type Line struct {
	*record.Bench
	Median stats.Interval
	// CPU is the median of CPU time in seconds; 0 where it was not counted.
	CPU float64
	// Ratio is the subject over the first one of the benchmark; nil for that one, for the control, and
	// where there are too few blocks.
	Ratio *stats.Interval
	// Finds is as in Row, of this subject: against the first one, or for that one against itself.
	Finds float64
}

// Rows digests the benchmarks of a run. Samples of which no median can be taken are an error.
func Rows(measured []record.Measured) ([]Row, error) {
	var rows []Row
	for _, m := range measured {
		r := Row{Measured: m}
		var first *record.Bench
		for _, b := range m.Subjects {
			l, err := line(b, first)
			if err != nil {
				return nil, fmt.Errorf("benchmark %s on %s: %w", m.Benchmark, b.Subject, err)
			}
			r.Lines = append(r.Lines, l)
			if b.Unsupported != "" {
				continue
			}
			r.Finds = max(r.Finds, l.Finds)
			if first == nil {
				first = b
			}
		}
		if m.Control != nil {
			l, err := line(m.Control, nil)
			if err != nil {
				return nil, fmt.Errorf("benchmark %s on its control: %w", m.Benchmark, err)
			}
			r.Lines = append(r.Lines, l)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func line(b, first *record.Bench) (Line, error) {
	l := Line{Bench: b}
	if b.Unsupported != "" {
		return l, nil
	}
	values := b.Values()
	var err error
	if l.Median, err = median(values); err != nil {
		return l, err
	}
	cpu, err := median(b.CPU())
	if err != nil {
		return l, err
	}
	l.CPU = cpu.Point
	older, newer := halves(b)
	if first != nil && interleaved(first, b) {
		older, newer = first.Blocks(), b.Blocks()
	}
	c, err := stats.Compare(older, newer, stats.Options{Confidence: Confidence})
	if err != nil {
		l.Finds = math.Inf(1) // too few blocks, or a value of 0: no ratio
		return l, nil         //nolint:nilerr // documented
	}
	l.Finds = c.MDE - 1
	if first == nil {
		return l, nil
	}
	if !interleaved(first, b) {
		if c.Ratio, err = apart(first.Values(), values); err != nil {
			return l, nil //nolint:nilerr // too few samples
		}
	}
	l.Ratio = &c.Ratio
	return l, nil
}

// interleaved reports whether two subjects were measured in the same blocks.
func interleaved(a, b *record.Bench) bool { return a.Samples[0].Block == b.Samples[0].Block }

// apart is the ratio newer/older of what was measured one after the other: a drift of the host between
// them is in it.
func apart(older, newer []float64) (stats.Interval, error) {
	shift, err := stats.Shift(logs(older), logs(newer), Confidence)
	if err != nil {
		return stats.Interval{}, err
	}
	shift.Point, shift.Low, shift.High = math.Exp(shift.Point), math.Exp(shift.Low), math.Exp(shift.High)
	return shift, nil
}

func logs(x []float64) []float64 {
	l := make([]float64, len(x))
	for i, v := range x {
		l[i] = math.Log(v)
	}
	return l
}

// median has no interval where there are too few samples for one: then it is from the least to the most.
func median(x []float64) (stats.Interval, error) {
	if len(x) == 0 {
		return stats.Interval{}, errors.New("no samples")
	}
	const few = 6 // samples, below which no interval of a median reaches Confidence
	if len(x) >= few {
		return stats.Median(x, Confidence)
	}
	s := slices.Sorted(slices.Values(x))
	n := len(s)
	return stats.Interval{Point: (s[(n-1)/2] + s[n/2]) / 2, Low: s[0], High: s[n-1]}, nil
}

// halves parts the samples of every block into those of the way there and those of the way back: the
// same thing measured against itself.
func halves(b *record.Bench) (there, back [][]float64) {
	for _, block := range b.Blocks() {
		if n := len(block) / 2; n > 0 {
			there, back = append(there, block[:n]), append(back, block[n:])
		}
	}
	return there, back
}

// TooNoisy reports whether a change could not have been found that was to be. 0 is no wish.
func (r Row) TooNoisy(effect float64) bool { return effect > 0 && r.Finds > effect }
