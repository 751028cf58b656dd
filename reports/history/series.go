package history

import (
	"cmp"
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
}

// Point is what one run has shown.
type Point struct {
	Run    *Run
	Median float64 // of the samples, in the series' unit
	// Log is the logarithm of the median over that of the control, where that is in the same unit, which takes
	// away how fast the host was.
	Log float64
}

// Series are the series of a history whose benchmarks match one of the globs, in order of benchmark, runtime,
// rung and host. A run of another unit than the newest, or without a positive median, has no point.
func (h *History) Series(globs []string) []*Series {
	by := map[Key]*Series{}
	for _, r := range slices.Backward(h.Runs) {
		controls := map[string]level{}
		for _, l := range r.levels {
			if l.Control {
				controls[l.Benchmark] = l
			}
		}
		for _, l := range r.levels {
			if l.Control || !valid(l.median) || !matches(globs, l.Benchmark) {
				continue
			}
			k := Key{l.Benchmark, l.Runtime, l.Rung, r.Host}
			s := by[k]
			if s == nil {
				s = &Series{Key: k, Unit: l.Unit, Better: l.Better}
				by[k] = s
			}
			if l.Unit != s.Unit || l.Better != s.Better {
				continue
			}
			p := Point{Run: r, Median: l.median, Log: math.Log(l.median)}
			if c, there := controls[l.Benchmark]; there && c.Unit == l.Unit && valid(c.median) {
				p.Log -= math.Log(c.median)
			}
			s.Points = append(s.Points, p)
		}
	}
	var all []*Series
	for _, s := range by {
		slices.Reverse(s.Points)
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Series) int {
		return cmp.Or(cmp.Compare(a.Benchmark, b.Benchmark), cmp.Compare(a.Runtime, b.Runtime), cmp.Compare(a.Rung, b.Rung), cmp.Compare(a.Host, b.Host))
	})
	return all
}

func matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, err := path.Match(g, name)
		return err == nil && ok
	})
}

// Since says from which run of a series on changes are asked for.
type Since struct {
	Newest int       // so many runs; 0: by time
	Time   time.Time // runs that are not older
}

// DefaultNewest is how many runs are looked at where nothing is said.
const DefaultNewest = 30

// from is the place of the first point that is asked for.
func (s Since) from(points []Point) int {
	if s.Newest > 0 {
		return max(len(points)-s.Newest, 0)
	}
	at, _ := slices.BinarySearchFunc(points, s.Time, func(p Point, t time.Time) int { return p.Run.Time.Compare(t) })
	return at
}
