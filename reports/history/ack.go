package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
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
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	switch err := d.Decode(&written); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlError(file, err)
	}
	if err := d.Decode(&[]acked{}); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: it holds more than one list", file)
	}
	var acks []Ack
	for i := range written {
		w := &written[i]
		var a Ack
		for _, field := range []struct {
			name string
			node *yaml.Node
			to   *string
		}{{"run", &w.Run, &a.Run}, {"benchmark", &w.Benchmark, &a.Benchmark}, {"reason", &w.Reason, &a.Reason}} {
			if field.node.Kind == 0 {
				return nil, fmt.Errorf("%s: entry %d has no %s: each has run, benchmark and reason", file, i+1, field.name)
			}
			if err := field.node.Decode(field.to); err != nil || *field.to == "" || strings.ContainsAny(*field.to, "\n\x00") {
				return nil, fmt.Errorf("%s:%d: %s is not one line of text", file, field.node.Line, field.name)
			}
		}
		a.Line = w.Run.Line
		if slices.ContainsFunc(acks, func(o Ack) bool { return o.Run == a.Run && o.Benchmark == a.Benchmark }) {
			return nil, fmt.Errorf("%s:%d: %.40q at %.60q is there twice", file, a.Line, a.Benchmark, a.Run)
		}
		acks = append(acks, a)
	}
	return acks, nil
}

var yamlLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`line (\d+): (.*)`) })

// yamlError is the first error of the YAML, as one line.
func yamlError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var many *yaml.TypeError
	if errors.As(err, &many) && len(many.Errors) > 0 {
		text = many.Errors[0]
	}
	text, _, _ = strings.Cut(text, " in type ") // ours, which says nothing
	text, _, _ = strings.Cut(text, " into []history")
	if m := yamlLine().FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s: %s: want a list, each with run, benchmark and reason", file, m[1], m[2])
	}
	return fmt.Errorf("%s: %s", file, strings.ReplaceAll(text, "\n", " "))
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
