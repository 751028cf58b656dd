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

// TestCatalogueOnCore tries every row on the core at the top rung.
func TestCatalogueOnCore(t *testing.T) {
	j, rows := newJudge(t)
	for _, g := range rows {
		t.Run(g.ID, func(t *testing.T) {
			v := j.Check(t.Context(), g, spec.Hardened)
			for i := range v.Controls {
				t.Logf("control with %s on %s: %s %s %s %v", v.Controls[i].Edit, v.Controls[i].On, v.Controls[i].Outcome, v.Controls[i].Evidence, v.Controls[i].Reason, v.Controls[i].Tries)
			}
			if v.Alone != nil {
				t.Logf("alone: %s denied by %s (%s) %s %s %v", v.Alone.Outcome, v.Alone.DeniedBy, v.Alone.Errno, v.Alone.Evidence, v.Alone.Reason, v.Alone.Tries)
			}
			t.Logf("real: %s denied by %s (%s) %s %s %v %s", v.Outcome, v.DeniedBy, v.Errno, v.Evidence, v.Reason, v.Tries, v.Duration)
			switch {
			case v.Outcome == record.Unsupported, v.Outcome == record.Unproven:
			case v.Outcome != record.Held || !v.Proven():
				t.Errorf("%s %s: %s, proven %v: %s %v", g.ID, g.Claim, v.Outcome, v.Proven(), v.Reason, v.Leaks)
			}
		})
	}
}
