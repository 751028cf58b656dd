package judge_test

import (
	"os"
	"strings"
	"testing"

	"cellwall/reports/record"
	"cellwall/runtime/lease"
	"cellwall/runtime/spec"
	"cellwall/suites/guarantee"
	"cellwall/suites/judge"
)

// newJudge returns a judge of the core. CELLWALL_ONLY, globs with commas between, narrows
// the rows.
func newJudge(t *testing.T) (*judge.Judge, []*guarantee.Guarantee) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes containers")
	}
	// Where all runs have their lease: elsewhere cellwall clean would take this one for dead.
	run, err := judge.NewRun(lease.Default)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Close(); err != nil {
			t.Error(err)
		}
	})
	j, err := run.Judge(t.Context(), run.Core)
	if err != nil {
		t.Fatal(err)
	}
	var only []string
	if globs := os.Getenv("CELLWALL_ONLY"); globs != "" {
		only = strings.Split(globs, ",")
	}
	var rows []*guarantee.Guarantee
	for _, g := range guarantee.All() {
		if guarantee.Match(only, g.ID) {
			rows = append(rows, g)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("CELLWALL_ONLY %q matches no row", only)
	}
	return j, rows
}

// TestLadder tries every row at every rung, or at CELLWALL_RUNG alone: below its own rung a row
// may be breached, but what happened must be told.
func TestLadder(t *testing.T) {
	j, rows := newJudge(t)
	rungs := spec.Ladder()
	if only := os.Getenv("CELLWALL_RUNG"); only != "" {
		r, err := spec.ParseRung(only)
		if err != nil {
			t.Fatal(err)
		}
		rungs = []spec.Rung{r}
	}
	for _, r := range rungs {
		for _, g := range rows {
			t.Run(string(r)+"/"+g.ID, func(t *testing.T) {
				v := j.Check(t.Context(), g, r)
				t.Logf("%s denied by %s (%s) %s %s %v", v.Outcome, v.DeniedBy, v.Errno, v.Evidence, v.Reason, v.Tries)
				if v.Outcome == record.Inconclusive || v.Claimed && v.Outcome == record.Breached || len(v.Leaks) > 0 {
					t.Errorf("%s: %s: %s %v", g.ID, v.Outcome, v.Reason, v.Leaks)
				}
			})
		}
	}
}
