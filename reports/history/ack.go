package history

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"

	"cellwall/runtime/yamlfile"
)

// Ack says that a change is known and need not fail anybody.
type Ack struct {
	Run       string // its id, or the name of its file: one that may be the first after the change
	Benchmark string
	Reason    string
	Line      int // of the file
}

// acked is an Ack as it is written. Nodes know their lines.
type acked struct {
	Run       yaml.Node `yaml:"run"`
	Benchmark yaml.Node `yaml:"benchmark"`
	Reason    yaml.Node `yaml:"reason"`
}

// ParseAcks reads a list of what is known, in YAML:
//
//   - run: bench-oi6vunpke4
//     benchmark: start.exec
//     reason: the seccomp profile has grown, see docs/seccomp.md
//
// Each entry has all three, and nothing else. Errors are one line, with file and line.
func ParseAcks(file string, text []byte) ([]Ack, error) {
	var written []acked
	switch err := yamlfile.Decode(file, text, &written); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: want a list, each with run, benchmark and reason", err)
	}
	r := yamlfile.Reader{File: file}
	var acks []Ack
	for i := range written {
		w := &written[i]
		text := func(n *yaml.Node, name string) string {
			if n.Kind == 0 {
				r.Fail(0, "entry %d has no %s: each has run, benchmark and reason", i+1, name)
			}
			return r.Text(n, name)
		}
		a := Ack{Run: text(&w.Run, "run"), Benchmark: text(&w.Benchmark, "benchmark"), Reason: text(&w.Reason, "reason"), Line: w.Run.Line}
		if slices.ContainsFunc(acks, func(o Ack) bool { return o.Run == a.Run && o.Benchmark == a.Benchmark }) {
			r.Fail(a.Line, "%.40q at %.60q is there twice", a.Benchmark, a.Run)
		}
		acks = append(acks, a)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	return acks, nil
}

// Acknowledge marks the changes that are known. Each entry has to meet a change, whether that stands among all
// series or not: one that meets none is stale, and an error.
func (h *History) Acknowledge(file string, changes []*Change, acks []Ack) error {
	for i := range acks {
		a := &acks[i]
		met := false
		for _, c := range changes {
			if c.Benchmark == a.Benchmark && slices.ContainsFunc(c.Points[c.Low:c.High+1], func(p Point) bool { return p.Run.is(a.Run) }) {
				c.Ack, met = a, true
			}
		}
		switch {
		case met:
		case !slices.ContainsFunc(h.Runs, func(r *Run) bool { return r.is(a.Run) }):
			return fmt.Errorf("%s:%d: run %.60q is not in %s: remove the entry", file, a.Line, a.Run, h.Dir)
		default:
			return fmt.Errorf("%s:%d: %.40q has not changed at %.60q, as far as the runs that were looked at: remove the entry", file, a.Line, a.Benchmark, a.Run)
		}
	}
	return nil
}

// is reports whether a user means this run.
func (r *Run) is(name string) bool { return r.ID == name || r.File == name }
