package record

import (
	"errors"
	"fmt"
)

// One returns the run of a set that holds one, and its verdicts in their order. Anything from which
// no report can be made is an error: no run or several, a verdict of another run, two for the same
// guarantee, runtime and rung, none at all.
func (s *Set) One() (Run, []Verdict, error) {
	switch {
	case len(s.Runs) == 0 && len(s.Verdicts) == 0:
		return Run{}, nil, errors.New("it holds no records")
	case len(s.Runs) == 0:
		return Run{}, nil, errors.New("it has lost its start: no record describes the run")
	case len(s.Runs) > 1:
		return Run{}, nil, fmt.Errorf("it holds %d runs: a report is on one", len(s.Runs))
	case len(s.Verdicts) == 0:
		return Run{}, nil, errors.New("it holds no verdict")
	}
	type place struct{ guarantee, runtime, rung string }
	run, seen := s.Runs[0], map[place]bool{}
	for i := range s.Verdicts {
		v := &s.Verdicts[i]
		at := place{v.Guarantee, v.Runtime, v.Rung}
		if v.Run != run.ID {
			return Run{}, nil, fmt.Errorf("the verdict on %.40q is of run %.40q, not of %.40q", v.Guarantee, v.Run, run.ID)
		}
		if seen[at] {
			return Run{}, nil, fmt.Errorf("it holds two verdicts on %.40q by %.40q at %.40q", v.Guarantee, v.Runtime, v.Rung)
		}
		seen[at] = true
	}
	return run, s.Verdicts, nil
}
