package record

import (
	"slices"
	"time"
)

// Tally counts verdicts. Every verdict is in exactly one of the fields Held to NotClaimed; the others
// overlap them.
type Tally struct {
	Held         int
	Breached     int // and claimed
	Known        int // breached, as the runtime's claims say
	Unsupported  int
	Inconclusive int
	Unproven     int // not claimed, and the attack did nothing
	NotClaimed   int // breached, where the runtime does not claim it
	Proven       int // held, and proven on the runtime itself: see Verdict.Proven
	CoreProven   int // held, and proven with a control that ran on the core
	Apart        int // held, and not kept by the runtime: see Verdict.KeptBy; neither Proven nor CoreProven
	Leaked       int // left something on the host
	Total        int
	Spent        time.Duration // the sum of the verdicts' durations; less by the clock where some ran at once
}

// Count counts verdicts.
func Count(verdicts []Verdict) Tally {
	var t Tally
	for i := range verdicts {
		t.Add(&verdicts[i])
	}
	return t
}

// Add counts one more verdict. An outcome that is not known counts as inconclusive: whatever
// it means, it is not an answer.
func (t *Tally) Add(v *Verdict) {
	t.Total++
	t.Spent += v.Duration
	if len(v.Leaks) > 0 {
		t.Leaked++
	}
	switch v.Outcome {
	case Held:
		t.Held++
		switch {
		case v.KeptBy != "":
			t.Apart++
		case !v.Proven():
		case v.ControlElsewhere():
			t.CoreProven++
		default:
			t.Proven++
		}
	case Breached:
		switch {
		case v.Known():
			t.Known++
		case v.Claimed:
			t.Breached++
		default:
			t.NotClaimed++
		}
	case Unsupported:
		t.Unsupported++
	case Unproven:
		t.Unproven++
	default:
		t.Inconclusive++
	}
}

// Through counts what got through, whether that was claimed or known or not.
func (t *Tally) Through() int { return t.Breached + t.Known + t.NotClaimed }

// Part is the verdicts that share a name: a group's, a runtime's.
type Part struct {
	Name     string
	Verdicts []Verdict
}

// Split parts verdicts by the name that key gives them. Parts and verdicts keep the order in
// which they come.
func Split(verdicts []Verdict, key func(*Verdict) string) []Part {
	var parts []Part
	for i := range verdicts {
		name := key(&verdicts[i])
		at := slices.IndexFunc(parts, func(p Part) bool { return p.Name == name })
		if at < 0 {
			at = len(parts)
			parts = append(parts, Part{Name: name})
		}
		parts[at].Verdicts = append(parts[at].Verdicts, verdicts[i])
	}
	return parts
}
