package digest

import (
	"math"

	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Alpha bounds the share of false alarms among the changes that a comparison calls candidates: that of the
// procedure of Benjamini and Hochberg over the whole table.
const Alpha = 0.05

// Key is what is compared: a benchmark on a runtime at a rung.
type Key struct{ Benchmark, Runtime, Rung string }

// Change is what a comparison of two versions says of a Key.
type Change struct {
	Key
	Group  string
	Unit   record.Unit
	Better record.Better
	// Old and New are the medians of all samples, in Unit.
	Old, New stats.Interval
	// Ratio is new over old: 1.05 is 5 % more. It is no quotient of the medians, but what the units say.
	Ratio stats.Interval
	// P is that of no change, and Adjusted the same by Benjamini and Hochberg over the table.
	P, Adjusted float64
	// Finds is the smallest change, as a share, that the comparison could have found had it been the only one
	// of the table: 0.03 is 3 %. +Inf: none.
	Finds float64
	// Units are the independent ratios behind it: rounds, runs, or blocks of a run.
	Units int
	// None is why there is no ratio; empty where there is one. Nowhere says that neither side can do it at all.
	None    string
	Nowhere bool
	// Fresh is the same of the run that was to confirm it, which says nothing where it has no ratio; nil where there
	// was none.
	Fresh *Change
}

// Verdict is what a comparison comes to.
type Verdict string

// Verdicts of a comparison.
const (
	Same        Verdict = "no difference"      // none as large as Finds
	TooNoisy    Verdict = "too noisy"          // none found, and the one that was asked for could have been missed
	CouldBe     Verdict = "candidate"          // a difference that no fresh run has confirmed yet
	Unconfirmed Verdict = "not confirmed"      // the fresh run did not show it
	Confirmed   Verdict = "confirmed"          // the fresh run showed it too, in the same direction
	NoRatio     Verdict = "cannot be compared" // None says why
)

// Candidate reports whether there seems to be a difference.
func (c *Change) Candidate() bool { return c.None == "" && c.Adjusted <= Alpha }

// Worse reports whether the new version is the worse one, by however little.
func (c *Change) Worse() bool {
	switch c.Better {
	case record.Higher:
		return c.Ratio.Point < 1
	case record.One:
		return math.Abs(c.New.Point-1) > math.Abs(c.Old.Point-1)
	}
	return c.Ratio.Point > 1
}

// Says is the verdict, where a change of the share effect was to be found; 0 is no wish.
func (c *Change) Says(effect float64) Verdict {
	switch {
	case c.None != "":
		return NoRatio
	case c.Candidate() && (c.Fresh == nil || c.Fresh.None != ""):
		return CouldBe
	case c.Candidate() && c.Fresh.Candidate() && c.Fresh.Ratio.Point > 1 == (c.Ratio.Point > 1):
		return Confirmed
	case c.Candidate():
		return Unconfirmed
	case effect > 0 && c.Finds > effect:
		return TooNoisy
	}
	return Same
}

// decide makes the ratio of units of samples: what was measured together, or under the same conditions.
func (c *Change) decide(older, newer [][]float64, tests int) {
	few := min(len(older), len(newer))
	older, newer = regroup(older, few), regroup(newer, few)
	r, err := stats.Compare(older, newer, stats.Options{Confidence: Confidence})
	if err != nil {
		c.None = err.Error()
		return
	}
	c.Ratio, c.P, c.Units, c.Finds = r.Ratio, r.P, r.Blocks, math.Inf(1)
	// The one change of a table is found when its p is below Alpha over the number of tests.
	r, err = stats.Compare(older, newer, stats.Options{Confidence: Confidence, Alpha: Alpha / float64(tests)})
	if err == nil { // otherwise there are too few units for so many tests
		c.Finds = r.MDE - 1
	}
}

// regroup joins neighbours until there are n units.
func regroup(units [][]float64, n int) [][]float64 {
	groups := make([][]float64, n)
	for i := range groups {
		for _, u := range units[i*len(units)/n : (i+1)*len(units)/n] {
			groups[i] = append(groups[i], u...)
		}
	}
	return groups
}

// adjust takes into account that a table has many tests.
func adjust(changes []Change) error {
	var p []float64
	for _, c := range changes {
		if c.None == "" {
			p = append(p, c.P)
		}
	}
	_, adjusted, err := stats.BenjaminiHochberg(p, Alpha)
	if err != nil {
		return err
	}
	for i := range changes {
		if changes[i].None == "" {
			changes[i].Adjusted, adjusted = adjusted[0], adjusted[1:]
		}
	}
	return nil
}
