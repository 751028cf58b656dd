package record

import (
	"errors"
	"fmt"
	"slices"
)

// Interfered returns the runs of a set and their interferences, in their order. Several runs make one matrix,
// as each cell is compared within its own. What no matrix can be made of is an error that names file and
// line: a record of no run, runs on different hosts, two records of one cell.
func (s *Set) Interfered() ([]Run, []Interference, error) {
	switch {
	case len(s.Interferences) == 0 && len(s.Verdicts)+len(s.Benches) > 0:
		return nil, nil, errors.New("it holds no interference: it is not of cellwall interfere")
	case len(s.Interferences) == 0:
		return nil, nil, errors.New("it holds no interference")
	}
	for _, r := range s.Runs {
		if first := s.Runs[0]; r.Kernel != first.Kernel || r.Machine != first.Machine || r.CPUs != first.CPUs {
			return nil, nil, fmt.Errorf("a matrix is of one host: run %.40q is of kernel %.40s with %d CPUs and run %.40q of %.40s with %d",
				r.ID, r.Kernel, r.CPUs, first.ID, first.Kernel, first.CPUs)
		}
	}
	type cell struct{ victim, antagonist, setting string }
	seen := map[cell]*Interference{}
	for n := range s.Interferences {
		i := &s.Interferences[n]
		at := cell{i.Victim, i.Antagonist, i.Setting}
		switch other := seen[at]; {
		case !slices.ContainsFunc(s.Runs, func(r Run) bool { return r.ID == i.Run }):
			return nil, nil, fmt.Errorf("%s: no record describes its run %.40q", i.at(), i.Run)
		case other != nil:
			return nil, nil, fmt.Errorf("%s: it is there twice, the other at %s", i.at(), other.at())
		}
		seen[at] = i
	}
	return s.Runs, s.Interferences, nil
}

// at is where the record is, for a person.
func (i *Interference) at() string {
	if i.line == "" {
		return fmt.Sprintf("the record of %.40q with %.40q at %.40q", i.Antagonist, i.Victim, i.Setting)
	}
	return i.line
}
