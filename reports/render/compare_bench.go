package render

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"cellwall/reports/digest"
	"cellwall/reports/record"
	"cellwall/reports/stats"
)

// Compare is what a renderer shows of a comparison of two versions.
type Compare struct {
	Run      record.Run // for the host
	Old, New string     // what they are: "HEAD~1 (a68b550)", "old/bench.jsonl"
	Changes  []digest.Change
	Effect   float64 // the change that was to be found, as a share; 0: none
	// Apart says that they were measured in runs of their own, and that no fresh run can confirm anything.
	Apart bool
	Notes []string // what else a reader must know, whole sentences
}

// errNoChange keeps a report on nothing from looking like one on two versions that are the same.
var errNoChange = errors.New("no comparison to report")

// compareHeads are the columns of the table.
func compareHeads() []string {
	return []string{"benchmark", "side", "median", "95 % interval", "new/old", "95 % interval", "p", "finds", "verdict"}
}

// sideLines are the two lines of a row, not yet escaped.
func (r Compare) sideLines(c *digest.Change) (older, newer []string) {
	older = []string{c.Benchmark, digest.OldSide, amount(c.Old.Point, c.Unit), spread(c.Old.Low, c.Old.High, c.Unit)}
	newer = []string{r.on(c), digest.NewSide, amount(c.New.Point, c.Unit), spread(c.New.Low, c.New.High, c.Unit)}
	newer = append(newer, factor(c.Ratio.Point), factorSpread(c.Ratio), probability(c.Adjusted), finds(c.Finds), r.word(c))
	return older, newer
}

// on is where a row was measured, where not all were at the same place.
func (r Compare) on(c *digest.Change) string {
	if slices.ContainsFunc(r.Changes, func(o digest.Change) bool { return o.Runtime != c.Runtime || o.Rung != c.Rung }) {
		return "  " + c.Runtime + " at " + c.Rung
	}
	return ""
}

// place is a row in words.
func (r Compare) place(c *digest.Change) string {
	return c.Benchmark + strings.Replace(r.on(c), "  ", " on ", 1)
}

// word is the verdict in words.
func (r Compare) word(c *digest.Change) string {
	direction := map[bool]string{true: "worse", false: "better"}[c.Worse()]
	switch v := c.Says(r.Effect); v {
	case digest.Confirmed:
		return strings.ToUpper(direction)
	case digest.Unconfirmed:
		return direction + "? no: " + string(v)
	case digest.CouldBe:
		return direction + "?"
	case digest.Same:
		if math.IsInf(c.Finds, 1) {
			return "could find none"
		}
		return "none of " + finds(c.Finds)
	default:
		return string(v)
	}
}

// findings are what the table comes to, whole sentences, the worst first, not yet escaped.
func (r Compare) findings() []string {
	var worse, better, could, lost, noisy, not []string
	for i := range r.Changes {
		c := &r.Changes[i]
		is := map[bool]string{true: "worse", false: "better"}[c.Worse()]
		ratio := ": new/old is " + factor(c.Ratio.Point) + " (" + factorSpread(c.Ratio) + ")"
		switch {
		case c.Fresh == nil:
		case c.Fresh.None != "":
			ratio += ", and the fresh run cannot be compared: " + c.Fresh.None
		default:
			ratio += ", and in the fresh run " + factor(c.Fresh.Ratio.Point) + " (" + factorSpread(c.Fresh.Ratio) + ")"
		}
		switch c.Says(r.Effect) {
		case digest.Confirmed:
			if c.Worse() {
				worse = append(worse, r.place(c)+" is "+is+ratio+".")
			} else {
				better = append(better, r.place(c)+" is "+is+ratio+".")
			}
		case digest.Unconfirmed:
			lost = append(lost, r.place(c)+" seemed to be "+is+", which is not confirmed"+ratio+".")
		case digest.CouldBe:
			could = append(could, r.place(c)+" seems to be "+is+ratio+".")
		case digest.TooNoisy:
			least := "one of " + finds(c.Finds) + " would have been found"
			if math.IsInf(c.Finds, 1) {
				least = "and so could any other"
			}
			noisy = append(noisy, fmt.Sprintf("%s is too noisy: a change of %s could have been missed, %s.", r.place(c), percent(r.Effect), least))
		case digest.NoRatio:
			not = append(not, r.place(c)+" cannot be compared: "+c.None+".")
		}
	}
	return slices.Concat(worse, better, could, lost, noisy, not)
}

// sum is the last line.
func (r Compare) sum() string {
	counts := map[string]int{}
	for i := range r.Changes {
		c := &r.Changes[i]
		v := string(c.Says(r.Effect))
		if v == string(digest.Confirmed) {
			v = map[bool]string{true: "worse", false: "better"}[c.Worse()]
		}
		counts[v]++
	}
	parts := []string{fmt.Sprintf("%d worse", counts["worse"]), fmt.Sprintf("%d better", counts["better"])}
	if r.Apart {
		parts = nil
	}
	for _, v := range []digest.Verdict{digest.CouldBe, digest.Unconfirmed, digest.TooNoisy, digest.NoRatio, digest.Same} {
		if n := counts[string(v)]; n > 0 {
			word := string(v)
			switch {
			case v == digest.CouldBe && n > 1:
				word += "s"
			case v == digest.Same:
				word = "without a difference as large as what it finds"
			}
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return fmt.Sprintf("%d compared: %s", len(r.Changes), strings.Join(parts, ", "))
}

// intro says what a reader must know before the table, not yet escaped.
func (r Compare) intro() []string {
	list := []string{"old is " + r.Old + ", new is " + r.New + "."}
	list = append(list, r.Notes...)
	return append(list, "p is adjusted for all rows (Benjamini and Hochberg). \"finds\" is the smallest change that the comparison could have found in a row.")
}

// factor writes a ratio so that a change of a few percent is seen: "1.052".
func factor(x float64) string {
	if x >= 0.1 && x < 10 {
		return fmt.Sprintf("%.3f", x)
	}
	return digits(x)
}

func factorSpread(i stats.Interval) string { return factor(i.Low) + " to " + factor(i.High) }

// probability writes a p.
func probability(p float64) string {
	if p < 0.001 {
		return "<0.001"
	}
	return fmt.Sprintf("%.3f", p)
}
