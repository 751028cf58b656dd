package record

import (
	"errors"
	"fmt"
	"slices"
)

// Ladder is the verdicts of one runtime by guarantee and rung. Its columns are the rungs from the
// bottom up, those with a verdict only.
type Ladder struct {
	Runtime string
	Grid
}

// Climb sorts the verdicts of one runtime into a ladder. Rungs that Rungs does not list come
// last. No verdict, two runtimes, or two verdicts for one guarantee and rung are an error.
func Climb(verdicts []Verdict) (Ladder, error) {
	if len(verdicts) == 0 {
		return Ladder{}, errors.New("no verdict to make a ladder of")
	}
	l := Ladder{Runtime: verdicts[0].Runtime}
	for i := range verdicts {
		if v := &verdicts[i]; v.Runtime != l.Runtime {
			return Ladder{}, fmt.Errorf("a ladder is of one runtime, not of %q and %q", l.Runtime, v.Runtime)
		}
	}
	var err error
	l.Grid, err = gridOf(rungsOf(verdicts), verdicts, func(v *Verdict) string { return v.Rung })
	return l, err
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
