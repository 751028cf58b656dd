package matrix

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"cellwall/reports/record"
	"cellwall/runtime/kernel"
	"cellwall/runtime/yamlfile"
)

// Expected says from which kernel on one runtime must hold guarantees with one cgroup mode.
type Expected struct {
	Runtime string
	Cgroup  string
	rows    []expectation
}

type expectation struct {
	guarantee, reason string
	from              kernel.Version
}

// ParseExpected reads a file of expectations. known says whether a guarantee exists. Errors are one line,
// with file and line.
func ParseExpected(file string, text []byte, known func(string) bool) (Expected, error) {
	var w struct {
		Runtime    string `yaml:"runtime"`
		Cgroup     string `yaml:"cgroup"`
		Guarantees []struct {
			Name   yaml.Node `yaml:"name"`
			From   yaml.Node `yaml:"from"`
			Reason yaml.Node `yaml:"reason"`
		} `yaml:"guarantees"`
	}
	if err := yamlfile.Decode(file, text, &w); err != nil && !errors.Is(err, io.EOF) {
		return Expected{}, fmt.Errorf("%w: docs/matrix.md has the keys", err)
	}
	if w.Runtime == "" || w.Cgroup == "" || len(w.Guarantees) == 0 {
		return Expected{}, fmt.Errorf("%s: it needs runtime, cgroup and guarantees: docs/matrix.md has the keys", file)
	}
	e, seen := Expected{Runtime: w.Runtime, Cgroup: w.Cgroup}, map[string]bool{}
	for i, g := range w.Guarantees {
		row := expectation{guarantee: g.Name.Value, reason: g.Reason.Value}
		from, err := kernel.ParseVersion(g.From.Value)
		at := fmt.Sprintf("%s:%d", file, max(g.Name.Line, g.From.Line, g.Reason.Line))
		switch {
		case row.guarantee == "" || row.reason == "":
			return Expected{}, fmt.Errorf("%s: guarantee %d needs name, from and reason", at, i+1)
		case !known(row.guarantee):
			return Expected{}, fmt.Errorf("%s: guarantee %.40q is none: cellwall list shows them all", at, row.guarantee)
		case seen[row.guarantee]:
			return Expected{}, fmt.Errorf("%s: guarantee %s is there twice: keep the one that is right", at, row.guarantee)
		case err != nil || from.String() != g.From.Value:
			return Expected{}, fmt.Errorf("%s: from %.40q is no kernel: it is two numbers such as 5.12", at, g.From.Value)
		}
		row.from, seen[row.guarantee] = from, true
		e.rows = append(e.rows, row)
	}
	return e, nil
}

// Surprises compares a matrix with what is expected of it, and says what was expected and what was seen,
// a line each. Cells that have not booted, and what was not tried, surprise nobody here. The lines hold
// text of guests that is not escaped.
func (e *Expected) Surprises(m record.Matrix) []string {
	var list []string
	for i := range m.Tables {
		t := &m.Tables[i]
		if t.Runtime != e.Runtime || t.Cgroup != e.Cgroup {
			continue
		}
		for _, want := range e.rows {
			for _, row := range t.Rows {
				if row.Guarantee != want.guarantee {
					continue
				}
				for k, v := range row.Verdicts {
					if v != nil && t.Cells[k].Outcome == record.CellBooted {
						list = append(list, want.surprise(&t.Cells[k], v)...)
					}
				}
			}
		}
	}
	return list
}

func (e *expectation) surprise(c *record.Cell, v *record.Verdict) []string {
	release, err := kernel.ParseVersion(c.Release)
	held := v.Outcome == record.Held
	switch {
	case err != nil:
		return []string{fmt.Sprintf("%s on %s: expected held from %s on, and %v", e.guarantee, c.Kernel, e.from, err)}
	case release.Less(e.from) && held:
		return []string{fmt.Sprintf("%s on %s (%s): expected held from %s on only (%s), seen held", e.guarantee, c.Kernel, c.Release, e.from, e.reason)}
	case !release.Less(e.from) && !held:
		return []string{strings.TrimSuffix(fmt.Sprintf("%s on %s (%s): expected held from %s on (%s), seen %s: %s",
			e.guarantee, c.Kernel, c.Release, e.from, e.reason, v.Outcome, v.Reason), ": ")}
	}
	return nil
}
