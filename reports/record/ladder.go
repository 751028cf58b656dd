package record

import (
	"errors"
	"fmt"
	"slices"
)

// Ladder is the verdicts of one runtime by guarantee and rung.
type Ladder struct {
	Runtime string
	Rungs   []string // from the bottom up, those with a verdict only
	Groups  []string // in the order of the verdicts
	Rows    []Row    // one a guarantee, group by group
}

// Row is one guarantee on every rung of a ladder.
type Row struct {
	Guarantee string
	Group     string
	Claim     string
	Verdicts  []*Verdict // one a rung; nil where it was not tried
}

// Climb sorts the verdicts of one runtime into a ladder. Rungs that Rungs does not list come
// last. No verdict, two runtimes, or two verdicts for one guarantee and rung are an error.
func Climb(verdicts []Verdict) (Ladder, error) {
	if len(verdicts) == 0 {
		return Ladder{}, errors.New("no verdict to make a ladder of")
	}
	l := Ladder{Runtime: verdicts[0].Runtime, Rungs: rungsOf(verdicts)}
	for _, group := range Split(verdicts, func(v *Verdict) string { return v.Group }) {
		l.Groups = append(l.Groups, group.Name)
		for _, part := range Split(group.Verdicts, func(v *Verdict) string { return v.Guarantee }) {
			row := Row{Guarantee: part.Name, Group: group.Name, Claim: part.Verdicts[0].Claim}
			row.Verdicts = make([]*Verdict, len(l.Rungs))
			for i := range part.Verdicts {
				v := &part.Verdicts[i]
				if v.Runtime != l.Runtime {
					return Ladder{}, fmt.Errorf("a ladder is of one runtime, not of %q and %q", l.Runtime, v.Runtime)
				}
				at := slices.Index(l.Rungs, v.Rung)
				if row.Verdicts[at] != nil {
					return Ladder{}, fmt.Errorf("two verdicts on %q at %q", v.Guarantee, v.Rung)
				}
				row.Verdicts[at] = v
			}
			l.Rows = append(l.Rows, row)
		}
	}
	return l, nil
}

func rungsOf(verdicts []Verdict) []string {
	parts := Split(verdicts, func(v *Verdict) string { return v.Rung })
	place := func(p Part) int {
		if at := slices.Index(Rungs(), p.Name); at >= 0 {
			return at
		}
		return len(Rungs())
	}
	slices.SortStableFunc(parts, func(a, b Part) int { return place(a) - place(b) })
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = p.Name
	}
	return names
}

// At counts the verdicts at a rung, given by its index, of one group, or of all for "".
func (l *Ladder) At(rung int, group string) Tally {
	var t Tally
	for _, row := range l.Rows {
		if v := row.Verdicts[rung]; v != nil && (group == "" || row.Group == group) {
			t.Add(v)
		}
	}
	return t
}

// Added returns what a rung adds: held there, breached on the rung below. The lowest rung adds
// nothing, since nothing is below it.
func (l *Ladder) Added(rung int) []Row { return l.turned(rung, Breached, Held) }

// Lost returns what a rung takes away: breached there, held on the rung below. It ought to be
// empty.
func (l *Ladder) Lost(rung int) []Row { return l.turned(rung, Held, Breached) }

// With returns the rows with an outcome at a rung.
func (l *Ladder) With(rung int, o Outcome) []Row {
	var rows []Row
	for _, row := range l.Rows {
		if row.is(rung, o) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (l *Ladder) turned(rung int, from, to Outcome) []Row {
	var rows []Row
	for _, row := range l.Rows {
		if rung > 0 && row.is(rung-1, from) && row.is(rung, to) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *Row) is(rung int, o Outcome) bool {
	return r.Verdicts[rung] != nil && r.Verdicts[rung].Outcome == o
}
