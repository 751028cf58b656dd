package history

import (
	"cmp"
	"errors"
	"math"
	"path"
	"slices"
	"time"

	"cellwall/reports/record"
)

// Key is what has a series of its own.
type Key struct{ Benchmark, Runtime, Rung, Host string }

func keyOf(run *record.Run, benchmark, runtime, rung string) Key {
	return Key{benchmark, runtime, rung, hostOf(run)}
}

// Series is what the runs of one class of hosts have shown of a benchmark on a runtime at a rung.
type Series struct {
	Key
	Unit   record.Unit
	Better record.Better
	Points []Point // in order of time

	controlled bool // whether their control is in the same unit
}

// Point is what one run has shown.
type Point struct {
	Run    *Run
	Median float64 // of the samples, in the series' unit
	// Log is the logarithm of the median over that of the control, where that is in the same unit, which takes
	// away how fast the host was.
	Log float64
}

// together is how many runs are decoded before we see whether they are enough.
const together = 64

// Series are the series of a history whose benchmarks match one of the globs, in order of benchmark, runtime,
// rung and host. Those that have no run since a time are left out, and no more runs are decoded than Changes
// needs for that; the zero time is all. A run of another unit than the newest, or whose control is, or
// without positive medians, has no point. Of what cannot be decoded there is an error, and a series of the rest.
func (h *History) Series(globs []string, since time.Time) ([]*Series, error) {
	by := map[Key]*Series{}
	var errs []error
	for end := len(h.Runs); end > 0; {
		part := h.Runs[max(end-together, 0):end]
		levels, err := h.decode(part)
		errs = append(errs, err)
		for i, r := range slices.Backward(part) {
			r.addTo(by, levels[i], globs)
		}
		end -= len(part)
		if end > 0 && h.Runs[end-1].Time.Before(since) && enough(by, since) {
			break
		}
	}
	var all []*Series
	for _, s := range by {
		slices.Reverse(s.Points)
		if s.from(since) < len(s.Points) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Series) int {
		return cmp.Or(cmp.Compare(a.Benchmark, b.Benchmark), cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Rung, b.Rung), cmp.Compare(a.Host, b.Host))
	})
	return all, errors.Join(errs...)
}

// addTo puts the points of a run behind those of newer runs.
func (r *Run) addTo(by map[Key]*Series, levels []level, globs []string) {
	controls := map[string]level{}
	for _, l := range levels {
		if l.Control {
			controls[l.Benchmark] = l
		}
	}
	for _, l := range levels {
		if l.Control || !valid(l.median) || !matches(globs, l.Benchmark) {
			continue
		}
		c, controlled := controls[l.Benchmark]
		controlled = controlled && c.Unit == l.Unit
		k := Key{l.Benchmark, l.Runtime, l.Rung, r.Host}
		s := by[k]
		if s == nil {
			s = &Series{Key: k, Unit: l.Unit, Better: l.Better, controlled: controlled}
			by[k] = s
		}
		if l.Unit != s.Unit || l.Better != s.Better || controlled != s.controlled || controlled && !valid(c.median) {
			continue
		}
		p := Point{Run: r, Median: l.median, Log: math.Log(l.median)}
		if controlled {
			p.Log -= math.Log(c.median)
		}
		s.Points = append(s.Points, p)
	}
}

// enough reports whether all series that have runs since a time, newest first, have as many as Changes looks at.
func enough(by map[Key]*Series, since time.Time) bool {
	for _, s := range by {
		asked := 0
		for asked < len(s.Points) && !s.Points[asked].Run.Time.Before(since) {
			asked++
		}
		if asked > 0 && len(s.Points) < window(asked) {
			return false
		}
	}
	return true
}

func matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, err := path.Match(g, name)
		return err == nil && ok
	})
}

// from is the place of the first point that is not older than a time.
func (s *Series) from(since time.Time) int {
	at, _ := slices.BinarySearchFunc(s.Points, since, func(p Point, t time.Time) int { return p.Run.Time.Compare(t) })
	return at
}
