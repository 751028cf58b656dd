package record

import (
	"errors"
	"fmt"
)

// Measured is one benchmark of a run: its control and its subjects.
type Measured struct {
	Benchmark string
	Group     string
	Unit      Unit // of the subjects
	Better    Better
	Control   *Bench
	Subjects  []*Bench // in their order; those that are unsupported too
}

// Subject returns the subject of a name, nil if there is none.
func (m *Measured) Subject(name string) *Bench {
	for _, b := range m.Subjects {
		if b.Subject == name {
			return b
		}
	}
	return nil
}

// Measured returns the one run of a set and its benchmarks, in their order. What no statement can be
// made of is an error that names file and line: several runs, no control, two units for one benchmark,
// two records of one subject, fewer than atLeast samples.
func (s *Set) Measured(atLeast int) (Run, []Measured, error) {
	switch {
	case len(s.Benches) == 0 && len(s.Verdicts) > 0:
		return Run{}, nil, errors.New("it holds verdicts and no samples: it is of cellwall verify, not of cellwall bench")
	case len(s.Benches) == 0:
		return Run{}, nil, errors.New("it holds no samples")
	case len(s.Runs) == 0:
		return Run{}, nil, errors.New("it has lost its start: no record describes the run")
	case len(s.Runs) > 1:
		return Run{}, nil, fmt.Errorf("it holds %d runs: samples of different runs are not interleaved", len(s.Runs))
	}
	run := s.Runs[0]
	var all []Measured
	place := map[string]int{}
	for i := range s.Benches {
		b := &s.Benches[i]
		if b.Run != run.ID {
			return Run{}, nil, b.fault("it is of run %.40q, not of %.40q", b.Run, run.ID)
		}
		at, known := place[b.Benchmark]
		if !known {
			at = len(all)
			place[b.Benchmark] = at
			all = append(all, Measured{Benchmark: b.Benchmark, Group: b.Group})
		}
		if err := all[at].add(b, atLeast); err != nil {
			return Run{}, nil, err
		}
	}
	for i := range all {
		m := &all[i]
		switch {
		case len(m.Subjects) == 0:
			return Run{}, nil, m.Control.fault("it has a control and no subject")
		case m.Control == nil && m.measured():
			return Run{}, nil, m.Subjects[0].fault("it has no control: noise of the host cannot be told from a change")
		}
	}
	return run, all, nil
}

// measured reports whether any subject has samples.
func (m *Measured) measured() bool {
	for _, b := range m.Subjects {
		if len(b.Samples) > 0 {
			return true
		}
	}
	return false
}

func (m *Measured) add(b *Bench, atLeast int) error {
	if n := len(b.Samples); n < atLeast && b.Unsupported == "" {
		return b.fault("%d samples are too few: at least %d are needed", n, atLeast)
	}
	if b.Control {
		if m.Control != nil {
			return b.fault("it has two controls, the other at %s", m.Control.at())
		}
		m.Control = b
		return nil
	}
	if other := m.Subject(b.Subject); other != nil {
		return b.fault("%.40q is there twice, the other at %s", b.Subject, other.at())
	}
	if len(m.Subjects) > 0 && (b.Unit != m.Unit || b.Better != m.Better) {
		return b.fault("it is in %q (%s is better) here and in %q (%s is better) at %s", b.Unit, b.Better, m.Unit, m.Better, m.Subjects[0].at())
	}
	m.Unit, m.Better = b.Unit, b.Better
	m.Subjects = append(m.Subjects, b)
	return nil
}

// at is where the record is, for a person.
func (b *Bench) at() string {
	if b.line == "" {
		return "the record of " + b.Subject
	}
	return b.line
}

// fault is an error about a record that makes sense alone.
func (b *Bench) fault(format string, args ...any) error {
	return fmt.Errorf("%s: benchmark %.40q: %s", b.at(), b.Benchmark, fmt.Sprintf(format, args...))
}

// Blocks returns the values of each block, which is what interleaved subjects are compared by.
func (b *Bench) Blocks() [][]float64 {
	var blocks [][]float64
	for i, s := range b.Samples {
		if i == 0 || s.Block != b.Samples[i-1].Block {
			blocks = append(blocks, nil)
		}
		blocks[len(blocks)-1] = append(blocks[len(blocks)-1], s.Value)
	}
	return blocks
}
