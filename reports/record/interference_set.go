package record

import (
	"errors"
	"fmt"
)

// Interfered returns the one run of a set and its interferences, in their order. What no matrix can be made
// of is an error that names file and line: several runs, a record of another one, two of one cell.
func (s *Set) Interfered() (Run, []Interference, error) {
	switch {
	case len(s.Interferences) == 0 && len(s.Verdicts)+len(s.Benches) > 0:
		return Run{}, nil, errors.New("it holds no interference: it is not of cellwall interfere")
	case len(s.Interferences) == 0:
		return Run{}, nil, errors.New("it holds no interference")
	case len(s.Runs) == 0:
		return Run{}, nil, errors.New("it has lost its start: no record describes the run")
	case len(s.Runs) > 1:
		return Run{}, nil, fmt.Errorf("it holds %d runs: a matrix is of one", len(s.Runs))
	}
	run := s.Runs[0]
	type cell struct{ victim, antagonist, setting string }
	seen := map[cell]*Interference{}
	for n := range s.Interferences {
		i := &s.Interferences[n]
		at := cell{i.Victim, i.Antagonist, i.Setting}
		switch other := seen[at]; {
		case i.Run != run.ID:
			return Run{}, nil, fmt.Errorf("%s: it is of run %.40q, not of %.40q", i.at(), i.Run, run.ID)
		case other != nil:
			return Run{}, nil, fmt.Errorf("%s: it is there twice, the other at %s", i.at(), other.at())
		}
		seen[at] = i
	}
	return run, s.Interferences, nil
}

// at is where the record is, for a person.
func (i *Interference) at() string {
	if i.line == "" {
		return fmt.Sprintf("the record of %.40q with %.40q at %.40q", i.Antagonist, i.Victim, i.Setting)
	}
	return i.line
}
