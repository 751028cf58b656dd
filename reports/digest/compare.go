package digest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Measurement is a run and its benchmarks.
type Measurement struct {
	record.Run
	Benchmarks []record.Measured
}

// The names of the two sides of a comparison. In a run in which they take turns, those of their subjects
// begin with them.
const (
	OldSide = "old"
	NewSide = "new"
)

// ManyRuns are enough for runs to be the units of a comparison: the noise between runs, which no run shows
// alone, is in the intervals then. It is the number that stats.Compare needs for Confidence.
const ManyRuns = 6

// Together compares two versions that took turns in the same runs. Each run is a unit: its workers and what
// they opened are its own, so that what differs from process to process counts as noise.
func Together(runs []Measurement) ([]Change, error) {
	older, err := sideOf(runs, OldSide)
	if err != nil {
		return nil, err
	}
	newer, err := sideOf(runs, NewSide)
	if err != nil {
		return nil, err
	}
	return changes(older, newer, func(older, newer []measured) (a, b [][]float64, err error) {
		for _, o := range older {
			at := slices.IndexFunc(newer, func(n measured) bool { return n.Run == o.Run })
			if at < 0 {
				continue
			}
			n := newer[at]
			if interleaved(o.Bench, n.Bench) {
				a, b = append(a, o.Values()), append(b, n.Values())
			} else { // one after the other, each beside the control
				both, err := units([]measured{o, n}, true)
				if err != nil {
					return nil, nil, err
				}
				a, b = append(a, both[0]), append(b, both[1])
			}
		}
		return a, b, nil
	})
}

// Confirm compares the fresh runs of what seemed to have changed, and nothing else of them, and puts that
// beside the changes. A change that the fresh runs do not have stays without.
func Confirm(changes []Change, runs []Measurement) error {
	wanted := map[Key]*Change{}
	for i := range changes {
		if changes[i].Candidate() {
			wanted[changes[i].Key] = &changes[i]
		}
	}
	var only []Measurement
	for _, run := range runs {
		var rows []record.Measured
		for _, m := range run.Benchmarks {
			m.Subjects = slices.DeleteFunc(slices.Clone(m.Subjects), func(b *record.Bench) bool { return wanted[keyOf(b)] == nil })
			rows = append(rows, m)
		}
		only = append(only, Measurement{Run: run.Run, Benchmarks: rows})
	}
	fresh, err := Together(only)
	if err != nil {
		return err
	}
	for i := range fresh {
		wanted[fresh[i].Key].Fresh = &fresh[i]
	}
	return nil
}

// Apart compares two versions that were measured in runs of their own, each by its ratio to the control of
// its run. The units are runs where both sides have ManyRuns, else blocks.
func Apart(older, newer []Measurement) ([]Change, error) {
	o, err := sideOf(older, "")
	if err != nil {
		return nil, err
	}
	n, err := sideOf(newer, "")
	if err != nil {
		return nil, err
	}
	return changes(o, n, func(older, newer []measured) (a, b [][]float64, err error) {
		perRun := min(len(older), len(newer)) >= ManyRuns
		if err = sameControl(slices.Concat(older, newer)); err != nil {
			return nil, nil, err
		}
		if a, err = units(older, perRun); err == nil {
			b, err = units(newer, perRun)
		}
		return a, b, err
	})
}

// side is what one version has shown.
type side struct {
	keys []Key // in their order
	of   map[Key][]measured
}

// measured is a subject in a run, and the control of that.
type measured struct {
	*record.Bench
	control *record.Bench
}

// sideOf collects the subjects whose names begin with a prefix.
func sideOf(runs []Measurement, prefix string) (side, error) {
	s := side{of: map[Key][]measured{}}
	for _, run := range runs {
		for _, m := range run.Benchmarks {
			for _, b := range m.Subjects {
				if !strings.HasPrefix(b.Subject, prefix) {
					continue
				}
				if err := s.add(measured{b, m.Control}); err != nil {
					return side{}, err
				}
			}
		}
	}
	return s, nil
}

func (s *side) add(m measured) error {
	k := keyOf(m.Bench)
	known := s.of[k]
	if len(known) == 0 {
		s.keys = append(s.keys, k)
	} else if err := sameUnit(known[0], m); err != nil {
		return err
	} else if last := known[len(known)-1]; last.Run == m.Run {
		return fmt.Errorf("%s: benchmark %.40q: %.40q and %.40q are both %s at %s: a run that is compared has one of each",
			where(m), k.Benchmark, last.Subject, m.Subject, k.Runtime, k.Rung)
	}
	s.of[k] = append(known, m)
	return nil
}

func keyOf(b *record.Bench) Key { return Key{b.Benchmark, b.Runtime, b.Rung} }

// where is the place of a record.
func where(m measured) string {
	if m.Where() == "" {
		return "run " + m.Run
	}
	return m.Where()
}

func sameUnit(a, b measured) error {
	if a.Unit == b.Unit && a.Better == b.Better {
		return nil
	}
	return fmt.Errorf("%s: benchmark %.40q: it is in %q (%s is better) here and in %q (%s is better) at %s",
		where(b), b.Benchmark, b.Unit, b.Better, a.Unit, a.Better, where(a))
}

// changes compares each Key that both sides have. units makes the units of both of it, or says why
// there are none.
func changes(older, newer side, units func(older, newer []measured) (a, b [][]float64, err error)) ([]Change, error) {
	var all []Change
	for _, k := range older.keys {
		o, n := older.of[k], newer.of[k]
		if len(n) == 0 {
			continue
		}
		if err := sameUnit(o[0], n[0]); err != nil {
			return nil, err
		}
		c := Change{Key: k, Group: o[0].Group, Unit: o[0].Unit, Better: o[0].Better}
		here, there := lacking(OldSide, o), lacking(NewSide, n)
		c.None, c.Nowhere = strings.Trim(here+"; "+there, "; "), here != "" && there != ""
		if c.None == "" {
			var err error
			if c.Old, err = medianOf(o); err != nil {
				return nil, err
			}
			if c.New, err = medianOf(n); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, errors.New("there is nothing to compare: no benchmark was measured on the same runtime at the same rung on both sides")
	}
	for i := range all {
		if c := &all[i]; c.None == "" {
			a, b, err := units(older.of[c.Key], newer.of[c.Key])
			if err != nil {
				c.None = err.Error()
				continue
			}
			c.decide(a, b, len(all))
		}
	}
	return all, adjust(all)
}

// lacking says why a side cannot do it, if it cannot.
func lacking(name string, of []measured) string {
	for _, m := range of {
		if m.Unsupported != "" {
			return "unsupported on the " + name + " side: " + strings.TrimPrefix(m.Unsupported, "not supported: ")
		}
	}
	return ""
}

func medianOf(of []measured) (stats.Interval, error) {
	var all []float64
	for _, m := range of {
		all = append(all, m.Values()...)
	}
	i, err := median(all)
	if err != nil {
		return i, fmt.Errorf("%s: benchmark %.40q: %w", where(of[0]), of[0].Benchmark, err)
	}
	return i, nil
}
