package judge_test

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"cellwall/reports/record"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/sentinel"
)

// TestTriedAgain: a row that runs alone has a second attempt where the first told nothing, and no third. A
// breach stands.
func TestTriedAgain(t *testing.T) {
	j, _ := newJudge(t)
	all := guarantee.All()
	row := all[slices.IndexFunc(all, func(g *guarantee.Guarantee) bool { return g.ID == "uts.hostname-host" })]
	const disturbed = "the host did something else"
	for name, c := range map[string]struct {
		alone    bool
		failing  int32 // attempts of the witness, of which there is one in each trial
		outcome  record.Outcome
		attempts int32
	}{
		"disturbed once":          {alone: true, failing: 1, outcome: record.Held, attempts: 6},
		"disturbed always":        {alone: true, failing: 100, outcome: record.Inconclusive, attempts: 6},
		"disturbed, side by side": {failing: 1, outcome: record.Inconclusive, attempts: 3},
		"never disturbed":         {alone: true, outcome: record.Held, attempts: 3},
	} {
		t.Run(name, func(t *testing.T) {
			g, attempts := *row, atomic.Int32{}
			g.Alone = c.alone
			g.Witness = func(s *sentinel.Stage) (*sentinel.Watch, error) {
				if attempts.Add(1) <= c.failing {
					return nil, errors.New(disturbed)
				}
				return row.Witness(s)
			}
			v := j.Check(t.Context(), &g, spec.Namespaces)
			if v.Outcome != c.outcome || attempts.Load() != c.attempts {
				t.Errorf("%s after %d attempts: %s", v.Outcome, attempts.Load(), v.Reason)
			}
			if retried := c.alone && c.failing > 0; strings.Contains(v.Retried, disturbed) != retried {
				t.Errorf("tried again for %q", v.Retried)
			}
		})
	}
	t.Run("breached", func(t *testing.T) {
		g, attempts := *row, atomic.Int32{}
		g.Alone = true
		g.Witness = func(s *sentinel.Stage) (*sentinel.Watch, error) {
			attempts.Add(1)
			return row.Witness(s)
		}
		// With the control's own edit in the row's common part, the barrier alone is breached.
		g.Both = append(slices.Clone(g.Both), g.Controls[0])
		v := j.Check(t.Context(), &g, spec.Namespaces)
		if v.Outcome != record.Breached || v.Retried != "" || attempts.Load() != 3 {
			t.Errorf("%s after %d attempts, tried again for %q: %s", v.Outcome, attempts.Load(), v.Retried, v.Reason)
		}
	})
}
